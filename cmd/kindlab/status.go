package main

import (
	"context"
	"fmt"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
	"github.com/spf13/cobra"
)

func newStatus(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show how far you are, and what runs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			s, err := a.attached(ctx, "")
			if err != nil {
				return err
			}
			defer s.close()
			p, err := s.store.Progress(ctx, s.me, s.course.ID)
			if err != nil {
				return err
			}
			st := statusResult{Course: s.course.ID, Title: s.course.Title, Labs: labStatuses(s.course, p), Running: s.place.Running(ctx)}
			if st.Class, err = s.hubStatus(ctx); err != nil {
				return err
			}
			if a.output == "json" {
				return a.writeJSON(st)
			}
			a.writeStatus(st)
			return nil
		},
	}
	outputFlag(a, c)
	return c
}

type statusResult struct {
	Course  string            `json:"course"`
	Title   string            `json:"title"`
	Labs    []labStatus       `json:"labs"`
	Running provision.Running `json:"running"`
	Class   *hubStatus        `json:"class,omitempty"`
}

// hubStatus is where this machine is in a class, and what the hub has not heard yet.
type hubStatus struct {
	Class   string `json:"class"`
	Name    string `json:"name"`
	Hub     string `json:"hub"`
	Course  string `json:"course"`
	Waiting int    `json:"waiting"`
}

func (s *session) hubStatus(ctx context.Context) (*hubStatus, error) {
	if !s.joined.Joined() {
		return nil, nil
	}
	waiting, _, err := s.store.CountWaiting(ctx)
	return &hubStatus{s.joined.Class, s.joined.Name, s.joined.Hub, s.joined.Course, waiting}, err
}

type labStatus struct {
	ID     string       `json:"id"`
	Title  string       `json:"title"`
	Solved int          `json:"solved"`
	Total  int          `json:"total"`
	Tasks  []taskStatus `json:"tasks"`
}

type taskStatus struct {
	ID       string     `json:"id"`
	SolvedAt *time.Time `json:"solvedAt,omitempty"`
}

func labStatuses(c *labs.Course, p labs.Progress) []labStatus {
	var out []labStatus
	for _, l := range c.Labs {
		st := labStatus{ID: l.ID, Title: l.Title}
		st.Solved, st.Total = p.Lab(l)
		for _, t := range l.Tasks {
			if len(t.Checks) == 0 {
				continue
			}
			ts := taskStatus{ID: t.ID}
			if at, ok := p.Task(l.ID, t); ok {
				ts.SolvedAt = &at
			}
			st.Tasks = append(st.Tasks, ts)
		}
		out = append(out, st)
	}
	return out
}

func (a *app) writeStatus(st statusResult) {
	fmt.Fprintf(a.out, "%s (%s)\n", a.paint(bold, clean(st.Title)), st.Course)
	for _, l := range st.Labs {
		mark := a.mark(labs.Blocked)
		if l.Solved == l.Total {
			mark = a.mark(labs.Passed)
		}
		fmt.Fprintf(a.out, "%s %-12s %d/%d  %s\n", mark, l.ID, l.Solved, l.Total, clean(l.Title))
	}
	fmt.Fprintln(a.out)
	mesh := st.Running.Mesh
	if st.Running.Gateway != "" {
		mesh += ", gateway at http://" + st.Running.Gateway
	}
	for _, r := range []struct{ name, is string }{{"Docker", st.Running.Docker}, {"cluster", st.Running.Cluster}, {"registry", st.Running.Registry}, {"mesh", mesh}, {"metrics", st.Running.Metrics}} {
		fmt.Fprintf(a.out, "%-10s %s\n", r.name, clean(r.is))
	}
	if c := st.Class; c != nil {
		waits := ""
		if c.Waiting > 0 {
			waits = fmt.Sprintf("; %s, sent while `kindlab up` runs", count(c.Waiting, "verdict waits", "verdicts wait"))
		}
		fmt.Fprintf(a.out, "%-10s %s\n", "class", clean(fmt.Sprintf("%s at %s, as %s%s", c.Class, c.Hub, c.Name, waits)))
	}
}
