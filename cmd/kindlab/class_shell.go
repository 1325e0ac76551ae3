package main

import (
	"context"
	"fmt"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
	"github.com/spf13/cobra"
)

func newClassShell(a *app, file *string) *cobra.Command {
	return &cobra.Command{
		Use:   "shell ATTENDEE [LAB]",
		Short: "Open a shell as an attendee: their folder, their rights in the cluster",
		Long: `shell opens your shell where an attendee works, with the rights that they have in
the cluster: for attendees who have an account on this host, and to see what they see.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: a.withClass(file, func(ctx context.Context, c *classroom, args []string) error {
			p, err := c.attendee(ctx, args[0])
			if err != nil {
				return err
			}
			if c.class.Isolation == labs.OwnMachine {
				return &provision.Hinted{Err: fmt.Errorf("%s works on a machine of their own", p.ID), Hint: "they run `kindlab shell` there"}
			}
			s := c.of(p.ID, c.reporter())
			if err := s.place.Attach(ctx); err != nil {
				return err
			}
			if err := s.renew(ctx); err != nil {
				return err
			}
			id := ""
			if len(args) == 2 {
				id = args[1]
			}
			return s.shell(ctx, id)
		}),
	}
}

// renew gives the kubeconfigs of an attendee who shares a cluster new tokens: those
// that they have end after a while.
func (s *session) renew(ctx context.Context) error {
	if s.place.Tenant == nil {
		return nil
	}
	for _, l := range s.course.Labs {
		if !l.Wants("cluster") {
			continue
		}
		if _, err := s.place.RenewKubeconfig(ctx, l.ID, kubeconfigLasts); err != nil {
			return err
		}
	}
	return nil
}

// notInClass refuses what would take an attendee's place in a class for one that is
// the learner's alone.
func (a *app) notInClass(instead string) error {
	if a.class == "" {
		return nil
	}
	return &provision.Hinted{Err: fmt.Errorf("this is the shell of an attendee of the class %s", a.class), Hint: "leave it, and run `kindlab class " + instead + "`"}
}
