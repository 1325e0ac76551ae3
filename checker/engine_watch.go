package checker

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
)

const (
	gap      = 100 * time.Millisecond // between the beginnings of two looks at one check
	tick     = 3 * time.Second        // between looks at what nothing announces,
	slowTick = 10 * time.Second       // and when it has passed
	firstAll = time.Second            // for how long the first verdicts wait for one another
)

// A tended is a check that is watched.
type tended struct {
	wake     chan struct{} // holds one
	listener *listener
	running  bool // its kind's run has begun
}

func (t *tended) poke() {
	select {
	case t.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Watch evaluates now, and each check again whenever something changes that it has
// read, until ctx ends. It sends the verdicts of the lab that are known, in page
// order, each time one of them differs. One Watch of an engine runs at a time.
func (e *Engine) Watch(ctx context.Context, send func([]labs.Verdict)) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	var docker *dockerWatch
	if e.cluster != nil {
		defer e.cluster.use()()
	}
	if e.target.Docker != nil && e.target.Lab.Wants("docker") {
		docker = e.target.Watcher.docker(e.target.Docker)
		defer docker.use()()
	}
	news := make(chan struct{}, 1)
	tends := make([]*tended, len(e.checks))
	for i := range tends {
		t := &tended{wake: make(chan struct{}, 1)}
		// What counts for ever is not decided by what may have changed a moment ago.
		fresh := e.checks[i].check.Holds.Once
		t.listener = &listener{wake: t.poke, owner: e.target.Attendee, fresh: fresh, cluster: e.cluster, docker: docker}
		tends[i] = t
	}
	e.mu.Lock()
	e.tends, e.news = tends, news
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.tends, e.news = nil, nil
	}()
	for i := range e.checks {
		all.Go(func() { e.tend(ctx, i, tends[i], &all) })
	}
	e.sendNews(ctx, news, send)
}

// Touch has every check looked at again: something changed that no event tells of.
func (e *Engine) Touch() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range e.tends {
		t.poke()
	}
}

// tell wakes those who wait for a check's verdict. The engine is locked.
func (e *Engine) tell(i int, before record) {
	if e.news == nil {
		return
	}
	now := e.seen[i]
	if sameVerdict(before.verdict, now.verdict) && before.lost == now.lost {
		return
	}
	select {
	case e.news <- struct{}{}:
	default:
	}
	for j, c := range e.checks {
		if slices.Contains(c.needs, i) {
			e.tends[j].poke()
		}
	}
}

// sendNews sends the verdicts whenever one differs.
func (e *Engine) sendNews(ctx context.Context, news <-chan struct{}, send func([]labs.Verdict)) {
	var last []labs.Verdict
	begun := time.NewTimer(firstAll)
	defer begun.Stop()
	waiting := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-begun.C:
			waiting = false
		case <-news:
		}
		now := e.known()
		if ctx.Err() != nil {
			return // what was cut off says nothing
		}
		if waiting && len(now) < len(e.checks) || len(now) == 0 {
			continue
		}
		waiting = false
		if last == nil || !slices.EqualFunc(last, now, sameVerdict) {
			send(slices.Clone(now))
			last = now
		}
	}
}

// known are the verdicts that there are, in page order.
func (e *Engine) known() []labs.Verdict {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []labs.Verdict
	for _, m := range e.seen {
		if m.verdict.State != "" {
			out = append(out, m.verdict)
		}
	}
	return out
}

// tend keeps the verdict of one check true until ctx ends.
func (e *Engine) tend(ctx context.Context, i int, t *tended, all *sync.WaitGroup) {
	defer t.listener.close()
	for ctx.Err() == nil {
		began := time.Now()
		looked := e.again(ctx, i, t, all)
		d, ok := e.next(i, t.listener.deaf.Load())
		timer := time.NewTimer(d)
		if !ok {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-t.wake:
			// Changes come in bursts: the first is acted on at once, the others together.
			if left := gap - time.Since(began); looked && left > 0 {
				pause(ctx, left)
			}
		}
		timer.Stop()
	}
}

// again makes the verdict of one check anew, and reports whether it had to look.
func (e *Engine) again(ctx context.Context, i int, t *tended, all *sync.WaitGroup) (looked bool) {
	select {
	case <-t.wake: // what changed until now is seen from here on
	default:
	}
	for _, need := range e.checks[i].needs {
		if e.remember(need).verdict.State == "" {
			return false // it will wake this one
		}
	}
	if _, decided := e.decided(i, e.progress()); decided {
		return false
	}
	target := *e.target
	target.listener = t.listener
	if r, ok := e.checks[i].kind.(runner); ok && !t.running {
		t.running = true
		all.Go(func() { e.runKind(ctx, i, r, &target, t.poke) })
	}
	t.listener.begin()
	e.lookAt(withListener(ctx, t.listener), i, &target)
	t.listener.end()
	return true
}

// runKind runs a kind that observes all the time. A panic ends only this.
func (e *Engine) runKind(ctx context.Context, i int, r runner, t *Target, changed func()) {
	defer func() {
		if p := recover(); p != nil {
			slog.ErrorContext(ctx, "a check panicked", "check", e.checks[i].check.ID, "kind", e.checks[i].check.Kind, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	if e.cluster != nil {
		ctx = withKube(ctx, e.cluster.kube)
	}
	r.run(ctx, t, changed)
}

// next is when to look at a check by itself; ok is false when only a change can
// make its verdict another one.
func (e *Engine) next(i int, deaf bool) (d time.Duration, ok bool) {
	m, c := e.remember(i), e.checks[i]
	u, is := c.kind.(unannouncer)
	silent := deaf || is && u.unannounced()
	failing, passed := tick, slowTick
	if p, ok := c.kind.(pacer); ok {
		failing, passed = p.pace()
	}
	switch {
	case m.holding:
		left := max(time.Until(m.since.Add(c.check.Holds.For)), 10*time.Millisecond)
		if silent {
			left = min(left, holdPulse)
		}
		return left, true
	case m.verdict.State == labs.Unknown:
		return tick, true
	case m.verdict.State == labs.Passed && m.latched, m.verdict.State == labs.Blocked, m.verdict.State == "":
		return time.Hour, false
	case silent && m.verdict.State == labs.Passed && !deaf:
		return passed, true
	case silent:
		return failing, true
	}
	return time.Hour, false
}
