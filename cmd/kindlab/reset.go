package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
	"github.com/spf13/cobra"
)

func newReset(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "reset LAB",
		Short: "Bring a lab back to its start; your files are kept aside",
		Long: `reset removes what you made in the lab's namespace and the containers and images
that carry the lab's labels, makes the start state again, forgets what you had
solved in it, and gives the work folder its files back. Your own files are put
aside first, never deleted.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if err := a.notInClass("reset " + a.me + " " + args[0]); err != nil {
				return err
			}
			s, err := a.newSession(ctx, "")
			if err != nil {
				return err
			}
			defer s.close()
			if _, err := s.course.FindLab(args[0]); err != nil {
				return err
			}
			if err := s.place.Attach(ctx); err != nil {
				return err
			}
			return s.reset(ctx, args[0], s.place.Report)
		},
	}
}

// reset brings a lab back to its start and says what it does to r.
func (s *session) reset(ctx context.Context, id string, r provision.Reporter) error {
	lab, err := s.lab(ctx, id)
	if err != nil {
		return err
	}
	place := *s.place
	place.Report = r
	kept, err := place.Reset(ctx, s.course.ID, lab)
	if err != nil {
		return err
	}
	s.keeper.forget(placeOf{s.me, s.course.ID, id})
	if err := s.store.Reset(ctx, s.me, s.course.ID, id); err != nil {
		return err
	}
	if kept != "" {
		r.Note("your files are in " + kept)
	}
	left, err := place.Unlabelled(ctx, containerNames(lab))
	if err != nil {
		return err
	}
	for _, name := range left {
		r.Note(fmt.Sprintf("container %s does not carry the lab's labels, so it stays; remove it with: docker rm -f %s", name, name))
	}
	return nil
}

// containerNames are the containers that the lab's checks speak of.
func containerNames(lab *labs.Lab) []string {
	var names []string
	for _, c := range lab.Checks() {
		var spec struct {
			Name string `yaml:"name"`
		}
		if c.Kind == "container" && c.Spec.Decode(&spec) == nil && !slices.Contains(names, spec.Name) {
			names = append(names, spec.Name)
		}
	}
	return names
}
