package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/spf13/cobra"
)

// A proof of a lab shows, on the real engines, of each check: it does not pass in
// the start state; it passes after the page's commands and solutions; and it
// rejects each near miss. Every state is made in a world of its own: an attendee
// with own values, namespace, containers and work folder. Worlds run side by side.

const (
	// rejectFor is how long a near miss must be rejected without a break after its
	// script has ended.
	rejectFor = 5 * time.Second
	// passWithin is how long a check may take to pass after its task's commands.
	passWithin = 90 * time.Second
)

type proveOptions struct {
	keep     bool
	parallel int
	made     madeOf
}

// worldsAtOnce is how many worlds a machine can make at a time: one for each core, and
// with more of them what is measured in one suffers from the others.
func worldsAtOnce(cores int) int { return min(max(cores, 2), 4) }

func newCourseProve(a *app) *cobra.Command {
	o := proveOptions{}
	c := &cobra.Command{
		Use:   "prove [LAB]",
		Short: "Prove that each check fails, passes and rejects as it should",
		Long: `prove makes a cluster of its own and does the labs in it: every check must fail
in the start state, pass after the page's own commands and the solutions, and
reject each near miss. It prints a table and exits with 1 when there is a hole.
The course is the folder you are in, or --course.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.prove(cmd.Context(), args, o) },
	}
	c.Flags().BoolVar(&o.keep, "keep", false, "leave the cluster for the next proof")
	c.Flags().IntVar(&o.parallel, "parallel", worldsAtOnce(runtime.NumCPU()), "how many worlds are made at a time")
	o.made.flags(c.Flags())
	outputFlag(a, c)
	return c
}

// A proofRow is what was shown of one check.
type proofRow struct {
	Lab      string        `json:"lab"`
	Check    string        `json:"check"`
	Kind     string        `json:"kind"`
	Start    labs.State    `json:"start"`
	Solved   labs.State    `json:"solved"`
	Rejected int           `json:"rejected"`
	Misses   int           `json:"nearMisses"`
	Seconds  float64       `json:"seconds"`
	Holes    []string      `json:"holes,omitempty"`
	Told     []toldOfMiss  `json:"told,omitempty"`
	took     time.Duration // of all worlds that show something of this check alone
}

// toldOfMiss is what a learner would have been told of a near miss.
type toldOfMiss struct {
	Miss    string   `json:"miss"`
	Finding []string `json:"finding"`
}

// A job is one world: a lab done to its end, or up to one near miss.
type job struct {
	lab  *labs.Lab
	miss *labs.NearMiss
}

type prover struct {
	*session
	mu    sync.Mutex
	ports map[int]bool // taken by a world
	rows  []*proofRow
	holes []string // of labs as a whole
	again []string // commands of pages that worked only the second time
}

func (a *app) prove(ctx context.Context, args []string, o proveOptions) error {
	started := time.Now()
	a.cluster = a.cluster + "-prove"
	course := first(a.courseName, ".")
	if _, err := os.Stat("course.yaml"); course == "." && err != nil {
		course = "" // not in a course's folder: the one that was up last
	}
	scratch, err := os.MkdirTemp("", "kindlab-prove-")
	if err != nil {
		return fmt.Errorf("making a folder for the proof: %w", err)
	}
	defer os.RemoveAll(scratch)
	if course == "" {
		if course, err = a.lastCourse(ctx); err != nil {
			return err
		}
	}
	// Nothing of the learner's: own progress, own kubeconfigs, own work folders.
	a.courseName = course // what scripts mean that call kindlab
	a.state, a.work = filepath.Join(scratch, "state"), filepath.Join(scratch, "work")
	s, err := a.newSession(ctx, course)
	if err != nil {
		return err
	}
	defer s.close()
	if err := o.made.apply(s.place); err != nil {
		return err
	}
	s.place.Attendee = "prove" // cleaning up must not find the learner's containers
	which := s.course.Labs
	if len(args) == 1 {
		lab, err := s.course.FindLab(args[0])
		if err != nil {
			return err
		}
		which = []*labs.Lab{lab}
		only := *s.course // what the others need is not made
		only.Labs = which
		s.course = &only
	}
	if err := s.preflight(ctx, sitePort); err != nil {
		return err
	}
	p := &prover{session: s, ports: map[int]bool{}}
	if !o.keep {
		defer func() {
			clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
			defer cancel()
			if err := s.place.Down(clean); err != nil {
				s.place.Report.Note("cleaning up: " + err.Error())
			}
		}()
	}
	if err := s.place.Up(ctx, s.course, func() ([]*labs.Lab, error) { return nil, nil }); err != nil {
		return err
	}
	if err := p.run(ctx, which, o.parallel); err != nil {
		return err
	}
	for _, r := range p.rows {
		r.Seconds = r.took.Seconds()
	}
	if a.output == "json" {
		if err := a.writeJSON(p.rows); err != nil {
			return err
		}
	} else {
		p.write(time.Since(started))
	}
	if p.holed() {
		return errNotSolved
	}
	return nil
}

// lastCourse is the course that was up last.
func (a *app) lastCourse(ctx context.Context) (string, error) {
	store, err := a.store()
	if err != nil {
		return "", err
	}
	defer store.Close()
	name, err := store.Setting(ctx, "course")
	return first(name, "docker-to-helm"), err
}

// run does every world, the long ones first.
func (p *prover) run(ctx context.Context, which []*labs.Lab, parallel int) error {
	var jobs []job
	for _, lab := range which {
		jobs = append(jobs, job{lab, nil})
		for _, c := range lab.Checks() {
			misses := lab.NearMisses(c.ID)
			p.rows = append(p.rows, &proofRow{Lab: lab.ID, Check: c.ID, Kind: c.Kind, Misses: len(misses)})
			for _, m := range misses {
				jobs = append(jobs, job{lab, &m})
			}
		}
	}
	slices.SortStableFunc(jobs, func(a, b job) int { return cmp.Compare(p.length(b), p.length(a)) })
	queue := make(chan int)
	var wg sync.WaitGroup
	for range max(1, parallel) {
		wg.Go(func() {
			for i := range queue {
				p.world(ctx, jobs[i], i+1)
			}
		})
	}
	for i := range jobs {
		select {
		case queue <- i:
		case <-ctx.Done():
		}
	}
	close(queue)
	wg.Wait()
	return ctx.Err()
}

// length guesses how long a job is: its number of tasks.
func (p *prover) length(j job) int {
	if j.miss == nil {
		return len(j.lab.Tasks) + 1
	}
	for i, t := range j.lab.Tasks {
		for _, c := range t.Checks {
			if c.ID == j.miss.Check {
				return i
			}
		}
	}
	return 0
}

// with changes the row of a check.
func (p *prover) with(lab, check string, f func(*proofRow)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.rows {
		if r.Lab == lab && r.Check == check {
			f(r)
		}
	}
}

// hole records what a job could not show.
func (p *prover) hole(j job, text string) {
	if j.miss != nil {
		p.with(j.lab.ID, j.miss.Check, func(r *proofRow) { r.Holes = append(r.Holes, text) })
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holes = append(p.holes, j.lab.ID+": "+text)
}

func (p *prover) holed() bool {
	return len(p.holes) > 0 || slices.ContainsFunc(p.rows, func(r *proofRow) bool {
		return len(r.Holes) > 0 || r.Misses == 0 || r.Solved != labs.Passed
	})
}

// write prints the table, and below it the holes.
func (p *prover) write(whole time.Duration) {
	rows := [][]string{{"LAB", "CHECK", "KIND", "START", "SOLVED", "NEAR MISSES", "TIME"}}
	shown, rejected, misses := 0, 0, 0
	for _, r := range p.rows {
		if len(r.Holes) == 0 && r.Solved == labs.Passed {
			shown++
		}
		rejected, misses = rejected+r.Rejected, misses+r.Misses
		rows = append(rows, []string{r.Lab, r.Check, r.Kind, first(string(r.Start), "-"), first(string(r.Solved), "-"),
			fmt.Sprintf("%d/%d rejected", r.Rejected, r.Misses), took(r.took)})
	}
	table(p.out, rows)
	for _, r := range p.rows {
		for _, h := range r.Holes {
			fmt.Fprintf(p.out, "\n%s %s/%s: %s\n", p.paint(red, "hole"), r.Lab, r.Check, cleanLines(h))
		}
		if r.Misses == 0 {
			fmt.Fprintf(p.out, "\n%s %s/%s: it has no near miss\n", p.paint(red, "hole"), r.Lab, r.Check)
		}
		if p.verbose {
			for _, t := range r.Told {
				fmt.Fprintf(p.out, "\n%s/%s, %s:\n    %s\n", r.Lab, r.Check, t.Miss, cleanLines(strings.Join(t.Finding, "\n    ")))
			}
		}
	}
	for _, h := range p.holes {
		fmt.Fprintf(p.out, "\n%s %s\n", p.paint(red, "hole"), cleanLines(h))
	}
	p.writeAgain()
	fmt.Fprintf(p.out, "\n%d of %d checks proved, %d of %d near misses rejected, in %s\n", shown, len(p.rows), rejected, misses, took(whole))
}

// writeAgain prints which commands of pages worked only the second time, and how often.
func (p *prover) writeAgain() {
	times := map[string]int{}
	for _, text := range p.again {
		where, _, _ := strings.Cut(text, "\n")
		times[strings.TrimSuffix(where, ":")]++
		if p.verbose {
			fmt.Fprintf(p.out, "\n%s %s\n", p.paint(yellow, "worked the second time"), cleanLines(text))
		}
	}
	for _, where := range slices.Sorted(maps.Keys(times)) {
		fmt.Fprintf(p.out, "\n%s (%d×) %s\n", p.paint(yellow, "worked the second time"), times[where], clean(where))
	}
}
