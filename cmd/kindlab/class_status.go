package main

import (
	"context"
	"fmt"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/spf13/cobra"
)

func newClassStatus(a *app, file *string) *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show who is in, who is how far, and whose environment is there",
		Args:  cobra.NoArgs,
		RunE: a.withClass(file, func(ctx context.Context, c *classroom, args []string) error {
			st, err := c.status(ctx)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return a.writeJSON(st)
			}
			c.writeStatus(st)
			return nil
		}),
	}
	outputFlag(a, c)
	return c
}

type classStatus struct {
	Class     string           `json:"class"`
	Course    string           `json:"course"`
	Isolation labs.Isolation   `json:"isolation"`
	Attendees []attendeeStatus `json:"attendees"`
}

type attendeeStatus struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Entered *time.Time `json:"entered,omitempty"` // when they came in first
	Solved  int        `json:"solved"`            // tasks
	Total   int        `json:"total"`
	At      string     `json:"at,omitempty"` // LAB/TASK, the first that is not solved
	Ready   bool       `json:"ready"`        // the environment is there
	Detail  string     `json:"detail,omitempty"`
}

func (c *classroom) status(ctx context.Context) (classStatus, error) {
	st := classStatus{Class: c.class.Name, Course: c.course.ID, Isolation: c.class.Isolation, Attendees: []attendeeStatus{}}
	people, err := c.people(ctx)
	if err != nil {
		return st, err
	}
	roll := &rollCall{class: c}
	for _, m := range people {
		if m.Instructor || m.Removed {
			continue
		}
		a := attendeeStatus{ID: m.ID, Name: m.Name}
		if !m.Entered.IsZero() {
			a.Entered = &m.Entered
		}
		p, err := c.store.Progress(ctx, m.ID, c.course.ID)
		if err != nil {
			return st, err
		}
		for _, l := range c.course.Labs {
			solved, total := p.Lab(l)
			a.Solved, a.Total = a.Solved+solved, a.Total+total
			for _, t := range l.Tasks {
				if _, ok := p.Task(l.ID, t); !ok && len(t.Checks) > 0 && a.At == "" {
					a.At = l.ID + "/" + t.ID
				}
			}
		}
		if c.class.Isolation != labs.OwnMachine {
			a.Ready, a.Detail = roll.ready(ctx, m.ID)
		}
		st.Attendees = append(st.Attendees, a)
	}
	return st, nil
}

func (c *classroom) writeStatus(st classStatus) {
	fmt.Fprintf(c.out, "%s: %s, isolation %s\n", c.paint(bold, st.Class), clean(c.course.Title), st.Isolation)
	rows := [][]string{{"ATTENDEE", "NAME", "CAME IN", "SOLVED", "AT", "ENVIRONMENT"}}
	for _, a := range st.Attendees {
		in, env := "not yet", "ready"
		if a.Entered != nil {
			in = a.Entered.Local().Format("2 Jan 15:04")
		}
		if st.Isolation == labs.OwnMachine {
			env = "their own"
		} else if !a.Ready {
			env = a.Detail
		}
		rows = append(rows, []string{a.ID, clean(a.Name), in, fmt.Sprintf("%d/%d", a.Solved, a.Total), a.At, clean(env)})
	}
	table(c.out, rows)
}
