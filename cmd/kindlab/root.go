package main

import (
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
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
		RunE:          help,
		Args:          subcommand,

		PersistentPreRunE: func(*cobra.Command, []string) error { return a.settle() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	f := root.PersistentFlags()
	f.BoolVarP(&a.verbose, "verbose", "v", false, "echo each command, or what a person would type for what is done")
	f.StringVar(&a.state, "state", a.state, "folder for progress, kubeconfigs and logs (KINDLAB_STATE)")
	f.StringVar(&a.work, "work", a.work, "folder for the labs' work folders (KINDLAB_WORK)")
	f.StringVar(&a.cluster, "cluster", a.cluster, "name of the kind cluster (KINDLAB_CLUSTER)")
	f.StringVar(&a.courseName, "course", a.courseName, "course, or folder of one; otherwise the one that up made last (KINDLAB_COURSE)")
	root.AddGroup(&cobra.Group{ID: "learn", Title: "Learn:"}, &cobra.Group{ID: "place", Title: "The place:"}, &cobra.Group{ID: "teach", Title: "Teach a class:"}, &cobra.Group{ID: "write", Title: "Write courses:"})
	in := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	in("learn", newCheck(a), newAnswer(a), newStatus(a), newReset(a), newSolve(a), newShell(a), newTool(a, toolKubectl), newTool(a, toolHelm), newJoin(a), newLeave(a))
	in("place", newUp(a), newDown(a), newDoctor(a), newVersion(a))
	in("teach", newClass(a), newMachine(a))
	in("write", newCourse(a))
	root.SetFlagErrorFunc(usageError)
	hintUsage(root)
	return root
}

// settle makes of the flags what all commands rely on: whole paths, because some
// commands work in another folder, and a name that kind takes.
func (a *app) settle() (err error) {
	if ok, _ := regexp.MatchString(`^[a-z0-9][a-z0-9.-]*$`, a.cluster); !ok {
		return &provision.Hinted{Err: fmt.Errorf("--cluster %q is no name for a cluster", a.cluster), Hint: "use small letters, digits, '-' and '.', such as --cluster kindlab-2"}
	}
	if a.state, err = filepath.Abs(a.state); err != nil {
		return fmt.Errorf("finding the state folder: %w", err)
	}
	if a.work, err = filepath.Abs(a.work); err != nil {
		return fmt.Errorf("finding the work folder: %w", err)
	}
	return nil
}

// help is what a command that only has other commands does.
func help(c *cobra.Command, _ []string) error { return c.Help() }

// subcommand refuses what is none of c's commands.
func subcommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("there is no command `%s %s`", c.CommandPath(), args[0])
	var names []string
	for _, sub := range c.Commands() {
		names = append(names, sub.Name())
	}
	if near := labs.Nearest(args[0], names); near != "" {
		return &provision.Hinted{Err: err, Hint: fmt.Sprintf("did you mean `%s %s`?", c.CommandPath(), near)}
	}
	return err
}

// hintUsage lets c and the commands below it say where their use is described when
// the arguments are wrong.
func hintUsage(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error { return usageError(c, check(c, args)) }
	}
	for _, sub := range c.Commands() {
		hintUsage(sub)
	}
}

func usageError(c *cobra.Command, err error) error {
	if _, hinted := err.(*provision.Hinted); hinted || err == nil {
		return err
	}
	return &provision.Hinted{Err: err, Hint: fmt.Sprintf("see `%s --help`", c.CommandPath())}
}

// outputFlag adds -o to a command that has a result.
func outputFlag(a *app, c *cobra.Command) {
	c.Flags().StringVarP(&a.output, "output", "o", "text", "how the result is written: text or json")
	c.PreRunE = func(*cobra.Command, []string) error {
		if a.output != "text" && a.output != "json" {
			return &provision.Hinted{Err: fmt.Errorf("-o %s: there is no such form", a.output), Hint: "use -o text or -o json"}
		}
		return nil
	}
}
