package main

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
	"github.com/spf13/cobra"
)

func newCheck(a *app) *cobra.Command {
	explain := false
	c := &cobra.Command{
		Use:   "check [LAB[/TASK]]",
		Short: "Say what is solved, and what is not and why",
		Long: `check looks at your work now. Without an argument it looks at every lab of the
course. With --explain it also says how it came to each answer: the chain from the
symptom to the cause, what it saw, and what it ruled out. It exits with 0 when all of it is solved, with 1 when something is not,
and with 2 when it could not look.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			what := ""
			if len(args) == 1 {
				what = args[0]
			}
			return a.check(cmd.Context(), what, explain)
		},
	}
	c.Flags().BoolVar(&explain, "explain", false, "say how each answer was found")
	outputFlag(a, c)
	return c
}

// labResult is what check says of one lab.
type labResult struct {
	lab      *labs.Lab
	verdicts []labs.Verdict
}

func (a *app) check(ctx context.Context, what string, explain bool) error {
	s, err := a.attached(ctx, "")
	if err != nil {
		return err
	}
	defer s.close()
	which, task, err := s.selectLabs(ctx, what)
	if err != nil {
		return err
	}
	results, err := s.checkLabs(ctx, which)
	if err != nil {
		return err
	}
	all, seen := []labs.Verdict{}, []labs.Verdict(nil)
	for i, r := range results {
		seen = append(seen, r.verdicts...)
		if task != "" {
			results[i].verdicts = ofTask(r.verdicts, task)
		}
		all = append(all, results[i].verdicts...)
	}
	if a.output == "json" {
		if err := a.writeJSON(all); err != nil {
			return err
		}
	} else {
		a.writeVerdicts(results, task, explain)
	}
	if labs.Worst(all) == labs.Passed {
		return nil
	}
	return s.notPassed(ctx, seen)
}

// notPassed is the error that verdicts of whole labs make the command end with. A
// check that waits for one which could not be looked at says nothing against the learner.
func (s *session) notPassed(ctx context.Context, seen []labs.Verdict) error {
	failing, why := false, ""
	for _, v := range seen {
		failing = failing || v.State == labs.Failing
		if v.State == labs.Unknown {
			why = first(why, v.Reason)
		}
	}
	if failing || why == "" {
		return errNotSolved
	}
	next := "run `kindlab up`"
	if provision.Ping(ctx, s.place.Docker) != nil {
		next = "run `kindlab doctor`"
	}
	return &provision.Hinted{Err: fmt.Errorf("not everything could be looked at: %s", why), Hint: next}
}

// selectLabs finds what LAB[/TASK] means; all labs when it is empty.
func (s *session) selectLabs(ctx context.Context, what string) (which []*labs.Lab, task string, err error) {
	if what == "" {
		which, err = s.allLabs(ctx)
		return which, "", err
	}
	id, task, _ := strings.Cut(what, "/")
	lab, err := s.lab(ctx, id)
	if err != nil {
		return nil, "", err
	}
	if task != "" {
		if _, err := lab.FindTask(task); err != nil {
			return nil, "", err
		}
	}
	return []*labs.Lab{lab}, task, nil
}

// checkLabs evaluates labs side by side and records what passed.
func (s *session) checkLabs(ctx context.Context, which []*labs.Lab) ([]labResult, error) {
	results := make([]labResult, len(which))
	errs := make([]error, len(which))
	var wg sync.WaitGroup
	for i, lab := range which {
		wg.Go(func() {
			engine, err := s.engine(ctx, lab.ID)
			if err != nil {
				errs[i] = err
				return
			}
			results[i] = labResult{lab, engine.Check(ctx)}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for i, err := range errs {
		if err != nil {
			return nil, err
		}
		if err := s.record(ctx, results[i].verdicts); err != nil {
			return nil, err
		}
	}
	return results, nil
}

func ofTask(vs []labs.Verdict, task string) []labs.Verdict {
	var out []labs.Verdict
	for _, v := range vs {
		if v.Task == task {
			out = append(out, v)
		}
	}
	return out
}

// writeVerdicts prints verdicts below their labs and tasks.
func (a *app) writeVerdicts(results []labResult, only string, explain bool) {
	for i, r := range results {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		fmt.Fprintln(a.out, a.paint(bold, clean(r.lab.Title)))
		for _, t := range r.lab.Tasks {
			vs := ofTask(r.verdicts, t.ID)
			if len(vs) == 0 || only != "" && t.ID != only {
				continue
			}
			fmt.Fprintf(a.out, "  %s\n", a.paint(faint, r.lab.ID+"/"+t.ID))
			for _, v := range vs {
				a.writeVerdict(v)
				if explain {
					a.writeExplanation(v)
				}
			}
		}
	}
}

func (a *app) writeVerdict(v labs.Verdict) {
	fmt.Fprintf(a.out, "  %s %s\n", a.mark(v.State), clean(v.That))
	if v.State == labs.Passed {
		return
	}
	for _, line := range v.Lines() {
		fmt.Fprintf(a.out, "      %s\n", clean(line))
	}
}

// writeExplanation prints how a verdict was found.
func (a *app) writeExplanation(v labs.Verdict) {
	parts := v.Explanation()
	if len(v.Facts) > 0 {
		parts = append(parts, labs.Section{Title: "seen", Lines: v.Facts})
	}
	for _, part := range parts {
		fmt.Fprintf(a.out, "      %s\n", a.paint(faint, part.Title))
		for i, line := range part.Lines {
			fmt.Fprintf(a.out, "        %d. %s\n", i+1, clean(line))
		}
	}
	if v.State != labs.Blocked {
		fmt.Fprintf(a.out, "      %s\n", a.paint(faint, fmt.Sprintf("looked at %s, in %s", v.At.Local().Format("15:04:05"), took(v.Took))))
	}
}
