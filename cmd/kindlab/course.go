package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/kindlab/kindlab/checker"
	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
	"github.com/spf13/cobra"
)

func newCourse(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "course",
		Short: "Lint and prove courses",
		RunE:  help,
		Args:  subcommand,
	}
	c.AddCommand(newCourseList(a), newCourseLint(a), newCourseProve(a), newCourseSchema(a), newCourseChecks(a))
	return c
}

func newCourseSchema(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print a JSON Schema of checks, for editors",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			schema, err := checker.Schema()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "%s\n", schema)
			return err
		},
	}
}

func newCourseChecks(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "checks [KIND]",
		Short: "Describe the kinds of check: their fields, and an example",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			text, err := checker.Reference(name)
			if err != nil {
				if near := labs.Nearest(name, checker.Kinds()); near != "" {
					return &provision.Hinted{Err: err, Hint: "did you mean " + near + "?"}
				}
				return err
			}
			if name == "" {
				text += "\nkindlab course checks KIND describes one of them.\n"
			}
			_, err = fmt.Fprint(a.out, text)
			return err
		},
	}
}

func newCourseList(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the built-in courses",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			names, err := courses()
			if err != nil {
				return err
			}
			type row struct {
				ID    string `json:"id"`
				Title string `json:"title"`
				Goal  string `json:"goal"`
				Labs  int    `json:"labs"`
			}
			var rows []row
			for _, n := range names {
				course, err := loadCourse(n)
				if err != nil {
					return err
				}
				rows = append(rows, row{n, course.Title, course.Goal, len(course.Labs)})
			}
			if a.output == "json" {
				return a.writeJSON(rows)
			}
			for _, r := range rows {
				fmt.Fprintf(a.out, "%-18s %s (%d labs)\n%-18s %s\n", r.ID, clean(r.Title), r.Labs, "", clean(r.Goal))
			}
			return nil
		},
	}
	outputFlag(a, c)
	return c
}

// courseArg is the course an author's command is about: the folder or name given,
// --course, or the folder one is in.
func (a *app) courseArg(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return first(a.courseName, ".")
}

func newCourseLint(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "lint [COURSE]",
		Short: "Report every mistake of a course as file:line",
		Long: `lint reports broken front matter and checks, unknown values, dead links, missing
hints, and tasks and checks that nothing proves. COURSE is a folder or the name of
a built-in course; without it, the folder you are in.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := a.courseArg(args)
			course, err := loadCourse(name)
			var wrong labs.Problems
			if err != nil && !errors.As(err, &wrong) {
				return err
			}
			unfit, err := checker.LintSchema(course)
			if err != nil {
				return err
			}
			wrong = append(append(wrong, course.Lint()...), unfit...)
			wrong.Sort()
			if a.output == "json" {
				type problem struct {
					File string `json:"file"`
					Line int    `json:"line"`
					Text string `json:"text"`
				}
				rows := []problem{}
				for _, p := range wrong {
					rows = append(rows, problem{p.File, p.Line, p.Text})
				}
				if err := a.writeJSON(rows); err != nil {
					return err
				}
			} else {
				for _, p := range wrong {
					fmt.Fprintln(a.out, clean(p.String()))
				}
				checks := 0
				for _, l := range course.Labs {
					checks += len(l.Checks())
				}
				fmt.Fprintf(a.err, "%s: %d labs, %d checks of kinds %v, %d mistakes\n", filepath.Base(course.ID), len(course.Labs), checks, kindsUsed(course), len(wrong))
			}
			if len(wrong) > 0 {
				return errNotSolved
			}
			return nil
		},
	}
	outputFlag(a, c)
	return c
}

// kindsUsed are the kinds of check in a course.
func kindsUsed(course *labs.Course) []string {
	used := map[string]bool{}
	for _, l := range course.Labs {
		for _, c := range l.Checks() {
			used[c.Kind] = true
		}
	}
	var out []string
	for _, k := range checker.Kinds() {
		if used[k] {
			out = append(out, k)
		}
	}
	return out
}
