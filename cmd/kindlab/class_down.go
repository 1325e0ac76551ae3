package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
	"github.com/kindlab/kindlab/site/progress"
	"github.com/spf13/cobra"
)

func newClassAdd(a *app, file *string) *cobra.Command {
	var made madeOf
	c := &cobra.Command{
		Use:   "add NAME...",
		Short: "Take people into the class, with an environment and a link each",
		Args:  cobra.MinimumNArgs(1),
		RunE: a.withClass(file, func(ctx context.Context, c *classroom, args []string) error {
			c.made = made
			return c.add(ctx, args)
		}),
	}
	made.flags(c.Flags())
	return c
}

func (c *classroom) add(ctx context.Context, names []string) error {
	there, err := c.people(ctx)
	if err != nil {
		return err
	}
	taken := func(id string) bool { return there.has(id) }
	var fresh []labs.Person
	for _, typed := range names {
		name, err := labs.PersonName(typed)
		if err != nil {
			return fmt.Errorf("%.80q: %w", clean(typed), err)
		}
		p := labs.Person{ID: labs.PersonID(name, taken), Name: name}
		there = append(there, progress.Member{Person: p})
		fresh = append(fresh, p)
	}
	if err := c.preflight(ctx, len(there.attendees())); err != nil {
		return err
	}
	if err := c.admit(ctx, fresh, nil); err != nil {
		return err
	}
	if err := c.converge(ctx, fresh); err != nil {
		return err
	}
	page, err := c.writeHandout(ctx)
	if err != nil {
		return err
	}
	for _, p := range fresh {
		fmt.Fprintf(c.err, "%s is %s. The link is in %s.\n", clean(p.Name), p.ID, page)
	}
	return nil
}

func newClassRemove(a *app, file *string) *cobra.Command {
	return &cobra.Command{
		Use:   "remove ATTENDEE",
		Short: "Take somebody out of the class: environment and link; what they reached stays",
		Args:  cobra.ExactArgs(1),
		RunE: a.withClass(file, func(ctx context.Context, c *classroom, args []string) error {
			p, err := c.leaving(ctx, args[0])
			if err != nil {
				return err
			}
			// The link first: nobody works in what is being taken away.
			if err := c.dismiss(ctx, p.ID); err != nil {
				return err
			}
			if err := c.takeAway(ctx, p.ID, c.reporter()); err != nil {
				return &provision.Hinted{Err: err, Hint: "run the command again"}
			}
			_, err = c.writeHandout(ctx)
			return err
		}),
	}
}

// takeAway removes one attendee's environment. Work folder and progress stay.
func (c *classroom) takeAway(ctx context.Context, id string, r provision.Reporter) error {
	place := c.of(id, r).place
	switch c.class.Isolation {
	case labs.OwnCluster:
		return place.Down(ctx)
	case labs.OwnNamespace:
		return place.RemoveAttendee(ctx)
	}
	return nil
}

func newClassReset(a *app, file *string) *cobra.Command {
	return &cobra.Command{
		Use:   "reset ATTENDEE [LAB]",
		Short: "Bring an attendee's lab, or all of them, back to the start; their files are kept aside",
		Args:  cobra.RangeArgs(1, 2),
		RunE: a.withClass(file, func(ctx context.Context, c *classroom, args []string) error {
			p, err := c.attendee(ctx, args[0])
			if err != nil {
				return err
			}
			if c.class.Isolation == labs.OwnMachine {
				return &provision.Hinted{Err: fmt.Errorf("%s works on a machine of their own", p.ID), Hint: "they run `kindlab reset LAB` there"}
			}
			s := c.of(p.ID, c.reporter())
			which := c.course.Labs
			if len(args) == 2 {
				lab, err := c.course.FindLab(args[1])
				if err != nil {
					return err
				}
				which = []*labs.Lab{lab}
			}
			if err := s.place.Attach(ctx); err != nil {
				return err
			}
			for _, l := range which {
				if err := s.reset(ctx, l.ID, s.place.Report); err != nil {
					return fmt.Errorf("lab %s: %w", l.ID, err)
				}
			}
			return nil
		}),
	}
}

func newClassDown(a *app, file *string) *cobra.Command {
	everything := false
	c := &cobra.Command{
		Use:   "down",
		Short: "Remove everybody's environment, and their links",
		Long: `down removes the class's clusters, or its namespaces in a cluster that was there before,
the attendees' containers and images, the links and the hand-out. What everybody
reached stays, and so do their work folders, unless --everything is given.`,
		Args: cobra.NoArgs,
		RunE: a.withClass(file, func(ctx context.Context, c *classroom, args []string) error {
			return c.down(ctx, everything)
		}),
	}
	c.Flags().BoolVar(&everything, "everything", false, "remove what was reached and the work folders too")
	return c
}

func (c *classroom) down(ctx context.Context, everything bool) error {
	if c.class.Isolation != labs.OwnMachine {
		if err := c.takeAllAway(ctx); err != nil {
			return err
		}
	}
	if err := c.forgetLinks(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(c.state, "kube")); err != nil {
		return fmt.Errorf("removing the kubeconfigs: %w", err)
	}
	if !everything {
		fmt.Fprintf(c.err, "What everybody reached stays in %s, and their files in %s.\n", c.state, c.work)
		return nil
	}
	c.close()
	return errors.Join(os.RemoveAll(c.state), os.RemoveAll(c.work))
}

// takeAllAway removes everybody's environment, and what they share.
func (c *classroom) takeAllAway(ctx context.Context) error {
	everybody, err := c.everybody(ctx)
	if err != nil {
		return err
	}
	r := c.reporter()
	shared := c.place("", r)
	there, err := shared.Clusters(ctx)
	if err != nil {
		return err
	}
	for _, id := range everybody {
		own := c.of(id, r).place
		// By who is in the roll, not by how clusters are called: another class may
		// have a name that begins as this one's.
		if c.class.Isolation == labs.OwnCluster && slices.Contains(there, own.Cluster) {
			r.Note("cluster " + own.Cluster)
			err = own.Down(ctx)
		} else {
			err = own.RemoveDockerObjects(ctx)
		}
		if err != nil {
			return err
		}
	}
	if shared.Existing != nil {
		return shared.LeaveCluster(ctx)
	}
	return shared.Down(ctx)
}
