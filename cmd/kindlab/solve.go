package main

import (
	"fmt"
	"strings"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
	"github.com/spf13/cobra"
)

func newSolve(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "solve LAB/TASK",
		Short: "Do a task for you: the page's commands, and the author's solution",
		Long: `solve runs a task's commands in your lab and shows each. Tasks before it must be
solved already. It changes only what the task's own commands change.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			id, taskID, ok := strings.Cut(args[0], "/")
			if !ok {
				return &provision.Hinted{Err: fmt.Errorf("solve wants LAB/TASK, not %q", args[0]), Hint: "`kindlab check " + args[0] + "` lists the lab's tasks"}
			}
			s, err := a.newSession(ctx, "")
			if err != nil {
				return err
			}
			defer s.close()
			template, err := s.course.FindLab(id)
			if err != nil {
				return err
			}
			if _, err := template.FindTask(taskID); err != nil {
				return err
			}
			if err := s.place.Attach(ctx); err != nil {
				return err
			}
			lab, err := s.lab(ctx, id)
			if err != nil {
				return err
			}
			task, err := lab.FindTask(taskID)
			if err != nil {
				return err
			}
			env, err := s.labEnv(id)
			if err != nil {
				return err
			}
			r := &runner{place: s.place, course: s.course.ID, lab: lab, env: env, echo: a.err}
			defer r.stop()
			if err := r.task(ctx, task); err != nil {
				return err
			}
			results, err := s.awaitTask(ctx, lab, task)
			if err != nil {
				return err
			}
			for _, v := range results {
				a.writeVerdict(v)
			}
			if labs.Worst(results) != labs.Passed {
				return errNotSolved
			}
			return nil
		},
	}
}
