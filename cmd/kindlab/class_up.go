package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
	"github.com/spf13/cobra"
)

// sharedRow is the row of what all attendees share in the table of a class.
const sharedRow = "(all)"

func newClassUp(a *app, file *string) *cobra.Command {
	var made madeOf
	c := &cobra.Command{
		Use:   "up",
		Short: "Make everybody's environment, and the hand-out with their links",
		Long: `up looks whether this machine can carry the class, makes what is missing of it, and
writes the hand-out: a page to print, with a link and a code for each. Run it again
whenever it was cut off or class.yaml has more names: what is there stays as it is.`,
		Args: cobra.NoArgs,
		RunE: a.withClass(file, func(ctx context.Context, c *classroom, args []string) error {
			c.made = made
			return c.up(ctx)
		}),
	}
	made.flags(c.Flags())
	return c
}

func (c *classroom) up(ctx context.Context) error {
	started := time.Now()
	known, err := c.people(ctx)
	if err != nil {
		return err
	}
	// Before anybody is in the roll: who is refused may list fewer.
	if err := c.preflight(ctx, len(known.with(c.class.Attendees).attendees())); err != nil {
		return err
	}
	if err := c.admit(ctx, c.class.Attendees, c.class.Instructors); err != nil {
		return err
	}
	all, err := c.attendees(ctx)
	if err != nil {
		return err
	}
	if err := c.converge(ctx, all); err != nil {
		return err
	}
	page, err := c.writeHandout(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, "Ready after %s: %s. Print %s, then run `%s class serve`.\n", took(time.Since(started)), provision.HowMany(len(all)), page, callMe())
	return nil
}

// preflight refuses what this machine cannot carry.
func (c *classroom) preflight(ctx context.Context, attendees int) error {
	if c.class.Isolation == labs.OwnMachine || c.class.Kubeconfig != "" {
		return nil // it is others who carry it
	}
	pods, err := provision.StartPods(c.course.Labs)
	if err != nil {
		return err
	}
	end := c.reporter().Begin("preflight")
	place := c.place("", provision.Quiet{})
	facts := provision.Look(ctx, c.docker, 0)
	facts.Mesh, facts.Metrics = place.WantsMesh(c.course), place.WantsMetrics(c.course)
	most := 0
	if c.class.Isolation == labs.OwnNamespace {
		most = c.class.Resources.Pods * len(c.course.Labs) // a quota for each namespace, which each lab has
	}
	findings := append(provision.Judge(facts), provision.JudgeClass(facts, provision.ClassDemand{
		Isolation: c.class.Isolation, Attendees: attendees, Pods: pods, Most: most, Mesh: facts.Mesh, Metrics: facts.Metrics})...)
	if ctx.Err() != nil {
		end("", ctx.Err())
		return ctx.Err()
	}
	err = failed(findings)
	end("", err)
	c.writeFindings(findings, false)
	if err != nil {
		return &provision.Hinted{Err: err, Hint: "mend what is marked ✗, then run `kindlab class up` again"}
	}
	return nil
}

// converge makes the environments of attendees, and what they share.
func (c *classroom) converge(ctx context.Context, attendees []labs.Person) error {
	if c.class.Isolation == labs.OwnMachine {
		return nil
	}
	who := []string{}
	if c.class.Isolation == labs.OwnNamespace {
		who = append(who, sharedRow)
	}
	for _, p := range attendees {
		who = append(who, p.ID)
	}
	t := c.classTable(who)
	ports, err := c.ports(ctx)
	if err != nil {
		return err
	}
	if c.class.Isolation == labs.OwnNamespace {
		place := c.place("", t.of(sharedRow))
		if err := c.made.apply(place); err != nil {
			return err
		}
		err := place.Up(ctx, c.course, func() ([]*labs.Lab, error) { return nil, nil })
		t.end(sharedRow, err)
		if err != nil {
			return err
		}
	}
	ready := func(id string) error {
		s := c.of(id, t.of(id))
		s.free = ports.take
		if err := c.made.apply(s.place); err != nil {
			return err
		}
		return s.convergeIn(ctx, c.class)
	}
	var each []func() error
	for _, p := range attendees {
		each = append(each, func() error {
			err := ready(p.ID)
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			t.end(p.ID, err)
			if err != nil {
				err = fmt.Errorf("%s: %w", p.ID, err)
			}
			return err
		})
	}
	err = provision.Few(ctx, c.parallel(), each...)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return &provision.Hinted{Err: err, Hint: "what is ready stays; run `kindlab class up` again for the rest"}
	}
	return nil
}

// convergeIn makes one attendee's environment.
func (s *session) convergeIn(ctx context.Context, class *labs.Class) error {
	if class.Isolation == labs.OwnCluster {
		return s.converge(ctx)
	}
	// What is shared was made before: only the labs are this attendee's own.
	if err := s.place.Attach(ctx); err != nil {
		return err
	}
	return s.place.StartLabs(ctx, s.course.ID, func() ([]*labs.Lab, error) { return s.allLabs(ctx) })
}

// parallel is how many environments are made at a time. A cluster keeps about two
// CPUs busy while it is made, and the labs of a namespace hardly one.
func (c *classroom) parallel() int {
	if c.class.Parallel > 0 {
		return c.class.Parallel
	}
	if c.class.Isolation == labs.OwnCluster {
		return max(1, runtime.NumCPU()/2)
	}
	return 4
}

// A portBook knows which host ports are somebody's already, so that no two attendees
// of a class are told to use the same.
type portBook struct {
	mu    sync.Mutex
	taken map[string]bool
}

// ports are those that were drawn for anybody of the class.
func (c *classroom) ports(ctx context.Context) (*portBook, error) {
	taken, err := c.store.Drawn(ctx)
	if err != nil {
		return nil, err
	}
	return &portBook{taken: taken}, nil
}

// take reports whether a port is free and nobody's, and takes it.
func (b *portBook) take(port int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := fmt.Sprint(port)
	if b.taken[name] || !provision.PortFree(port) {
		return false
	}
	b.taken[name] = true
	return true
}
