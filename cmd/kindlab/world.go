package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kindlab/kindlab/checker"
	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
)

// world does one job and takes its world away again.
func (p *prover) world(ctx context.Context, j job, n int) {
	started := time.Now()
	what := "solve " + j.lab.ID
	if j.miss != nil {
		what = j.lab.ID + ": " + j.miss.Check + ", " + j.miss.Why
	}
	end := p.place.Report.Begin(what)
	place := *p.place
	place.Attendee = "prove" + strconv.Itoa(n)
	if !p.verbose {
		place.Report = provision.Quiet{}
	}
	w, err := p.build(ctx, &place, j.lab)
	if err == nil {
		if j.miss == nil {
			err = p.solve(ctx, w)
		} else {
			err = p.reject(ctx, w, j.miss)
		}
		w.run.stop()
		w.unwatch()
	}
	if w != nil {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
		defer cancel()
		if rmErr := place.Remove(clean, w.lab); rmErr != nil {
			err = errors.Join(err, rmErr)
		}
	}
	if err != nil && ctx.Err() == nil {
		p.hole(j, err.Error())
	}
	if j.miss != nil {
		p.with(j.lab.ID, j.miss.Check, func(r *proofRow) { r.took += time.Since(started) })
	}
	end("", err)
}

// A world is an attendee made for the proof, in one lab.
type world struct {
	lab     *labs.Lab
	run     *runner
	engine  *checker.Engine
	news    chan struct{} // some verdict differs
	unwatch func()
	mu      sync.Mutex
	passed  labs.Progress
}

func (p *prover) build(ctx context.Context, place *provision.Environment, template *labs.Lab) (*world, error) {
	place.Work = filepath.Join(place.Work, place.Attendee)
	values := labs.Values{}
	for name, spec := range template.Specs {
		values[name] = drawValue(spec, place.Attendee+"/"+template.ID, name, p.takePort)
	}
	// A script that calls kindlab, such as its answer, means this lab.
	if _, err := p.store.PutValues(ctx, place.Attendee, p.course.ID, template.ID, values); err != nil {
		return nil, err
	}
	lab, err := template.For(values.With(builtin(place, p.course.ID, template.ID)))
	if err != nil {
		return nil, err
	}
	w := &world{lab: lab, passed: labs.Progress{}, news: make(chan struct{}, 1)}
	if err := place.StartLab(ctx, p.course.ID, lab); err != nil {
		return w, fmt.Errorf("making the start state: %w", err)
	}
	if err := place.WaitStart(ctx, lab); err != nil {
		return w, err
	}
	own := *p.session
	own.place = place
	env, err := own.labEnv(lab.ID)
	if err != nil {
		return w, err
	}
	w.run = &runner{place: place, course: p.course.ID, lab: lab, env: env, again: func(err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.again = append(p.again, err.Error())
	}}
	if w.engine, err = checker.NewEngine(p.target(place, lab), w.progress); err != nil {
		return w, err
	}
	w.watch(ctx)
	return w, nil
}

// watch has the world watched as an open page does, until unwatch: some checks are
// about what happens while somebody looks.
func (w *world) watch(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	w.unwatch = func() { stop(); <-ended }
	go func() {
		defer close(ended)
		w.engine.Watch(ctx, func([]labs.Verdict) {
			select {
			case w.news <- struct{}{}:
			default:
			}
		})
	}()
}

// takePort reports whether a port is free and no other world's, and takes it.
func (p *prover) takePort(port int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ports[port] || !provision.PortFree(port) {
		return false
	}
	p.ports[port] = true
	return true
}

func (w *world) progress() labs.Progress {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := labs.Progress{}
	for k, v := range w.passed {
		out[k] = v
	}
	return out
}

// check evaluates checks of the lab, all without ids, and remembers what passed.
func (w *world) check(ctx context.Context, ids ...string) map[string]labs.Verdict {
	out := map[string]labs.Verdict{}
	for _, v := range w.engine.Check(ctx, ids...) {
		out[v.Check] = v
		if v.State == labs.Passed {
			w.mu.Lock()
			w.passed[labs.Key(w.lab.ID, v.Check)] = v.At
			w.mu.Unlock()
		}
	}
	return out
}

// solve shows the start state and the solved one.
func (p *prover) solve(ctx context.Context, w *world) error {
	started := time.Now()
	atStart := w.check(ctx)
	for _, c := range w.lab.Checks() {
		p.with(w.lab.ID, c.ID, func(r *proofRow) {
			r.Start = atStart[c.ID].State
			if r.Start != labs.Failing && r.Start != labs.Blocked {
				r.Holes = append(r.Holes, fmt.Sprintf("in the start state it is %s, and must be failing: %s", r.Start, strings.Join(atStart[c.ID].Lines(), "; ")))
			}
		})
	}
	for _, t := range w.lab.Tasks {
		if err := w.run.task(ctx, t); err != nil {
			return fmt.Errorf("task %s: %w", t.ID, err)
		}
		if err := p.await(ctx, w, t); err != nil {
			return err
		}
	}
	atEnd := w.check(ctx)
	for _, c := range w.lab.Checks() {
		p.with(w.lab.ID, c.ID, func(r *proofRow) {
			r.Solved = atEnd[c.ID].State
			r.took += time.Since(started) / time.Duration(len(w.lab.Checks()))
			if r.Solved != labs.Passed {
				r.Holes = append(r.Holes, fmt.Sprintf("when all is done it is %s: %s (does a later task undo it? then it holds once)", r.Solved, strings.Join(atEnd[c.ID].Lines(), "; ")))
			}
		})
	}
	return nil
}

// await waits until a task's checks have passed.
func (p *prover) await(ctx context.Context, w *world, t *labs.Task) error {
	if len(t.Checks) == 0 {
		return nil
	}
	limit := time.Now().Add(passWithin)
	var ids []string
	for _, c := range t.Checks {
		ids = append(ids, c.ID)
	}
	for {
		now := w.check(ctx, ids...)
		i := slices.IndexFunc(t.Checks, func(c *labs.Check) bool { return now[c.ID].State != labs.Passed })
		if i < 0 {
			return nil
		}
		if c := t.Checks[i]; time.Now().After(limit) {
			return fmt.Errorf("check %s does not pass after the task's commands:\n    %s", c.ID, strings.Join(now[c.ID].Lines(), "\n    "))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.news:
		case <-time.After(2 * time.Second):
		}
	}
}

// reject does the tasks before the near miss, the near miss, and shows that the
// check is not fooled.
func (p *prover) reject(ctx context.Context, w *world, miss *labs.NearMiss) error {
	task, check := w.lab.Check(miss.Check)
	for _, t := range w.lab.Tasks {
		if t == task {
			break
		}
		if err := w.run.task(ctx, t); err != nil {
			return fmt.Errorf("task %s: %w", t.ID, err)
		}
		if err := p.await(ctx, w, t); err != nil {
			return err
		}
	}
	// A near miss often is the page's file with one thing wrong.
	if err := w.run.files(task); err != nil {
		return err
	}
	script := ""
	for _, m := range w.lab.NearMisses(check.ID) { // with this world's values
		if m.File == miss.File {
			script = m.Script
		}
	}
	if err := w.run.script(ctx, script, commandTimeout); err != nil {
		return fmt.Errorf("%s: %w", miss.File, err)
	}
	last, err := p.rejected(ctx, w, check.ID)
	switch {
	case err != nil:
		return err
	case last.State == labs.Passed:
		return fmt.Errorf("%s: the check passes", miss.File)
	case last.State != labs.Failing:
		return fmt.Errorf("%s: the check is %s, so nothing is shown: %s", miss.File, last.State, last.Reason)
	case len(last.Lines()) == 0:
		return fmt.Errorf("%s: the check fails and does not say why", miss.File)
	}
	p.with(w.lab.ID, check.ID, func(r *proofRow) {
		r.Rejected++
		r.Told = append(r.Told, toldOfMiss{miss.Why, last.Lines()})
	})
	return nil
}

// rejected watches a check until it has been failing for rejectFor without a break,
// or passes for good, or does neither in time. The last verdict tells which.
func (p *prover) rejected(ctx context.Context, w *world, check string) (labs.Verdict, error) {
	var failing time.Time
	passing := 0
	for limit := time.Now().Add(passWithin); ; {
		v := w.check(ctx, check)[check]
		if v.State == labs.Passed {
			passing++ // a moment of the script's own does not count
		} else {
			passing = 0
		}
		switch {
		case v.State != labs.Failing:
			failing = time.Time{} // what it needs may still be settling
		case failing.IsZero():
			failing = time.Now()
		}
		if passing > 2 || !failing.IsZero() && time.Since(failing) >= rejectFor || time.Now().After(limit) {
			return v, nil
		}
		if err := pause(ctx, time.Second); err != nil {
			return v, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
