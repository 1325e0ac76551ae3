package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "kindlab",
		Short: "Learn containers and Kubernetes by doing",
		Long: `kindlab makes a place to learn (Docker, a kind cluster), serves the course as
pages, and says of each exercise whether it works, or why not.

  kindlab up            make everything and serve the course
  kindlab shell LAB     a shell where the lab's commands work
  kindlab check         what is solved, and what is not and why
  kindlab down          remove what kindlab made; your files stay

Exit codes: 0 solved, 1 not solved yet, 2 could not run.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	f := root.PersistentFlags()
	f.BoolVarP(&a.verbose, "verbose", "v", false, "echo each command, or what a person would type for what is done")
	f.StringVar(&a.state, "state", a.state, "folder for progress, kubeconfigs and logs (KINDLAB_STATE)")
	f.StringVar(&a.work, "work", a.work, "folder for the labs' work folders (KINDLAB_WORK)")
	f.StringVar(&a.cluster, "cluster", a.cluster, "name of the kind cluster (KINDLAB_CLUSTER)")
	f.StringVar(&a.courseName, "course", a.courseName, "course, or folder of one; the last `up` counts otherwise (KINDLAB_COURSE)")
	root.AddGroup(&cobra.Group{ID: "learn", Title: "Learn:"}, &cobra.Group{ID: "place", Title: "The place:"}, &cobra.Group{ID: "write", Title: "Write courses:"})
	in := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	in("learn", newCheck(a), newStatus(a), newReset(a), newSolve(a), newShell(a), newTool(a, toolKubectl), newTool(a, toolHelm))
	in("place", newUp(a), newDown(a), newDoctor(a), newVersion(a))
	in("write", newCourse(a))
	return root
}

// outputFlag adds -o to a command that has a result.
func outputFlag(a *app, c *cobra.Command) {
	c.Flags().StringVarP(&a.output, "output", "o", "text", "how the result is written: text or json")
	c.PreRunE = func(*cobra.Command, []string) error {
		if a.output != "text" && a.output != "json" {
			return fmt.Errorf("-o %s: the result is written as text or json", a.output)
		}
		return nil
	}
}
