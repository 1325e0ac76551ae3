package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/kindlab/kindlab/checker"
	"github.com/kindlab/kindlab/labs"
	"github.com/spf13/cobra"
)

func newCourse(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "course",
		Short: "Lint and prove courses",
		RunE:  help,
		Args:  subcommand,
	}
	c.AddCommand(newCourseList(a), newCourseLint(a), newCourseProve(a))
	return c
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
			wrong = append(wrong, course.Lint()...)
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
