package checker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

const (
	lookTime  = 30 * time.Second       // for one look at one check
	atOnce    = 8                      // looks at a time
	quiet     = 150 * time.Millisecond // a change is acted on when none follows for so long,
	patience  = time.Second            // and after this long even when more follow
	tick      = 3 * time.Second        // between looks at what nothing announces
	holdPulse = time.Second            // between looks at what must stay true for a while
)

// Engine evaluates the checks of one lab for one attendee. Its methods may be
// called at the same time; what each of them sees counts for all.
type Engine struct {
	target   *Target
	progress func() labs.Progress
	kube     *kube // nil when the lab has no cluster
	checks   []*check

	mu   sync.Mutex // guards what follows
	seen []record   // by check
}

// A check is one of the lab's, ready to be looked at.
type check struct {
	task  *labs.Task
	check *labs.Check
	kind  kind
	needs []int // indexes of the checks before it that must pass first
}

// A record is what the engine remembers of a check.
type record struct {
	verdict labs.Verdict
	latched bool      // it passed once, which is enough
	since   time.Time // it has been true from then on; zero when it is not
	holding bool      // it is true, but not for long enough yet
	lost    bool      // nothing is known of it, or of one that it needs
}

// An unannouncer is a kind that knows whether its answer can change without an event that tells.
type unannouncer interface{ unannounced() bool }

// NewEngine makes an engine. progress tells which checks have passed before: those that hold once stay passed.
// The error says which check cannot be evaluated as it is written.
func NewEngine(t *Target, progress func() labs.Progress) (*Engine, error) {
	e := &Engine{target: t, progress: progress}
	if t.Cluster != nil {
		k, err := newKube(t.Cluster)
		if err != nil {
			return nil, err
		}
		e.kube = k
	}
	index := map[string]int{}
	for _, task := range t.Lab.Tasks {
		for _, c := range task.Checks {
			kind, err := decode(c)
			if err != nil {
				return nil, fmt.Errorf("%s: check %s: %w", c.File, c.ID, err)
			}
			own := &check{task: task, check: c, kind: kind}
			for _, need := range c.Needs {
				if i, ok := index[need]; ok {
					own.needs = append(own.needs, i)
				}
			}
			index[c.ID] = len(e.checks)
			e.checks = append(e.checks, own)
		}
	}
	e.seen = make([]record, len(e.checks))
	return e, nil
}

// Check evaluates checks once and returns their verdicts in page order: those with
// the given ids and what they need, or without ids every check of the lab. A check
// that must hold for a while is watched for that long.
func (e *Engine) Check(ctx context.Context, ids ...string) []labs.Verdict {
	meant := e.withNeeds(ids)
	among := func(chosen func(*check, record) bool) func(*check, record) bool {
		return func(c *check, m record) bool { return meant[c.check.ID] && chosen(c, m) }
	}
	verdicts := e.evaluate(ctx, among(everything))
	for ctx.Err() == nil && e.holding() {
		pause(ctx, e.untilHeld(holdPulse))
		verdicts = e.evaluate(ctx, among(unsettled))
	}
	return slices.DeleteFunc(verdicts, func(v labs.Verdict) bool { return !meant[v.Check] })
}

// withNeeds are the checks of the given ids and all that these need; every check
// when ids is empty.
func (e *Engine) withNeeds(ids []string) map[string]bool {
	meant := map[string]bool{}
	for _, c := range slices.Backward(e.checks) { // a need stands before what needs it
		if len(ids) > 0 && !meant[c.check.ID] && !slices.Contains(ids, c.check.ID) {
			continue
		}
		meant[c.check.ID] = true
		for _, need := range c.needs {
			meant[e.checks[need].check.ID] = true
		}
	}
	return meant
}

// Watch evaluates now, and again whenever the attendee's world changes, until ctx
// ends. It sends all verdicts of the lab, in page order, each time one of them differs.
func (e *Engine) Watch(ctx context.Context, send func([]labs.Verdict)) {
	ctx, cancel := context.WithCancel(ctx)
	var sources sync.WaitGroup
	defer sources.Wait()
	defer cancel()
	changes := make(chan struct{}, 1)
	changed := func() {
		select {
		case changes <- struct{}{}:
		default: // one is waiting already
		}
	}
	if e.kube != nil {
		sources.Go(func() { e.kube.watch(ctx, e.target.Namespace, changed) })
	}
	if e.target.Docker != nil && e.target.Lab.Wants("docker") {
		sources.Go(func() { watchDocker(ctx, e.target.Docker, changed) })
	}
	e.follow(ctx, changes, send)
}

// follow evaluates on every change and tick, and sends what differs.
func (e *Engine) follow(ctx context.Context, changes <-chan struct{}, send func([]labs.Verdict)) {
	var last []labs.Verdict
	which := everything
	for {
		now := e.evaluate(ctx, which)
		if ctx.Err() != nil {
			return // what was cut off says nothing
		}
		if last == nil || !slices.EqualFunc(last, now, sameVerdict) {
			send(slices.Clone(now))
			last = now
		}
		wait := time.NewTimer(e.untilHeld(tick))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-changes:
			wait.Stop()
			settle(ctx, changes)
			which = everything
		case <-wait.C:
			which = unsettled
		}
	}
}

// settle waits until no change has come for a while, but not for ever.
func settle(ctx context.Context, changes <-chan struct{}) {
	latest := time.NewTimer(patience - quiet)
	defer latest.Stop()
	for {
		calm := time.NewTimer(quiet)
		select {
		case <-ctx.Done():
		case <-latest.C:
		case <-calm.C:
		case <-changes:
			calm.Stop()
			continue
		}
		calm.Stop()
		return
	}
}

// everything and unsettled choose the checks to look at: all of them, or those
// whose answer may have changed without an event.
func everything(*check, record) bool { return true }

func unsettled(c *check, m record) bool {
	if m.verdict.State == labs.Unknown || m.verdict.State == "" || m.holding {
		return true
	}
	u, ok := c.kind.(unannouncer)
	return ok && u.unannounced() || c.check.Kind == "chart"
}

// evaluate looks at the checks that are chosen, several at a time, each after
// those that it needs; the others keep their verdicts.
func (e *Engine) evaluate(ctx context.Context, chosen func(*check, record) bool) []labs.Verdict {
	if e.kube != nil {
		ctx = withKube(ctx, e.kube)
	}
	passed := e.progress()
	out := make([]labs.Verdict, len(e.checks))
	done := make([]chan struct{}, len(e.checks))
	for i := range done {
		done[i] = make(chan struct{})
	}
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, c := range e.checks {
		all.Go(func() {
			defer close(done[i])
			for _, need := range c.needs {
				<-done[need]
			}
			slots <- struct{}{}
			defer func() { <-slots }()
			out[i] = e.one(ctx, i, c, passed, out, chosen)
		})
	}
	all.Wait()
	return out
}

// one makes the verdict of a check. The verdicts of those it needs are in before.
func (e *Engine) one(ctx context.Context, i int, c *check, passed labs.Progress, before []labs.Verdict, chosen func(*check, record) bool) labs.Verdict {
	v := labs.Verdict{Lab: e.target.Lab.ID, Task: c.task.ID, Check: c.check.ID, That: c.check.That, At: time.Now()}
	m := e.remember(i)
	if _, ever := passed[labs.Key(v.Lab, v.Check)]; c.check.Holds.Once && (ever || m.latched) {
		v.State = labs.Passed
		return e.keep(i, c, v, yes)
	}
	for _, need := range c.needs {
		if before[need].State != labs.Passed {
			v.State, v.Reason = labs.Blocked, before[need].That
			if e.remember(need).lost {
				return e.keep(i, c, v, unknowable)
			}
			return e.keep(i, c, v, no)
		}
	}
	if m.verdict.State != labs.Blocked && !chosen(c, m) {
		return m.verdict
	}
	noting, written := withNotes(ctx)
	findings, err := observe(noting, c, e.target)
	written.into(&v)
	v.Took = time.Since(v.At)
	var is truth
	switch {
	case err != nil:
		is, v.State, v.Reason = unknowable, labs.Unknown, err.Error()
	case len(findings) > 0:
		is, v.State, v.Findings = no, labs.Failing, findings
	default:
		is, v.State = yes, labs.Passed
	}
	if ctx.Err() != nil {
		return v // it was cut off: nothing to remember
	}
	return e.keep(i, c, v, is)
}

func (e *Engine) remember(i int) record {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen[i]
}

// A truth is what a look at a check came to.
type truth int

const (
	no truth = iota
	yes
	unknowable
)

// keep remembers a verdict. When the check must be true for a while, a passed one
// becomes failing until then. A lost connection breaks the while, but does not
// take away what was reached before.
func (e *Engine) keep(i int, c *check, v labs.Verdict, is truth) labs.Verdict {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := &e.seen[i]
	if is == no || is == unknowable && m.holding {
		m.since = time.Time{}
	}
	m.holding, m.lost = false, is == unknowable
	if is == yes {
		if m.since.IsZero() {
			m.since = v.At
		}
		m.latched = m.latched || c.check.Holds.Once
		if held := v.At.Sub(m.since); held < c.check.Holds.For {
			m.holding = true
			v.State = labs.Failing
			v.Findings = []labs.Finding{{
				Expected: "this to stay true for " + seconds(c.check.Holds.For),
				Got:      fmt.Sprintf("true for %s of %s", seconds(held), seconds(c.check.Holds.For)),
			}}
		}
	}
	m.verdict = v
	return v
}

func seconds(d time.Duration) string { return fmt.Sprintf("%d s", int(d.Round(time.Second).Seconds())) }

// holding reports whether a check is true and must stay so for longer.
func (e *Engine) holding() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.seen, func(m record) bool { return m.holding })
}

// untilHeld is how long to wait for the next look: at most this long, less when
// a check is to be seen staying true, or is about to have done so.
func (e *Engine) untilHeld(most time.Duration) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, m := range e.seen {
		if m.holding {
			left := time.Until(m.since.Add(e.checks[i].check.Holds.For))
			most = min(most, holdPulse, max(left, 10*time.Millisecond))
		}
	}
	return most
}

// observe looks at one check, for a limited time. A panic is a mistake in
// kindlab: it is logged, and only this check is unknown.
func observe(ctx context.Context, c *check, t *Target) (findings []labs.Finding, err error) {
	own, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			slog.ErrorContext(ctx, "a check panicked", "check", c.check.ID, "kind", c.check.Kind, "panic", p, "stack", string(debug.Stack()))
			findings, err = nil, errors.New("kindlab made a mistake in looking at this; its log says more")
		}
	}()
	findings, err = c.kind.look(own, t)
	if own.Err() != nil && ctx.Err() == nil {
		// Whatever came back was cut off, findings too.
		return nil, fmt.Errorf("looking at this takes longer than %s", seconds(lookTime))
	}
	return findings, err
}

// sameVerdict compares what a learner reads.
func sameVerdict(a, b labs.Verdict) bool {
	return a.Lab == b.Lab && a.Task == b.Task && a.Check == b.Check && a.That == b.That &&
		a.State == b.State && a.Reason == b.Reason && slices.Equal(a.Findings, b.Findings)
}

// watchDocker calls changed for every image and container that changes, and each
// time that the connection is back, until ctx ends.
func watchDocker(ctx context.Context, docker *client.Client, changed func()) {
	filters := client.Filters{}.Add("type", string(events.ImageEventType), string(events.ContainerEventType), string(events.NetworkEventType))
	for ctx.Err() == nil {
		stream, stop := context.WithCancel(ctx)
		result := docker.Events(stream, client.EventsListOptions{Filters: filters})
		changed() // what happened between two streams is announced by no event
		for open := true; open; {
			select {
			case event := <-result.Messages:
				if matters(event.Action) {
					changed()
				}
			case <-result.Err: // the stream's end, that of ctx too
				open = false
			}
		}
		stop()
		pause(ctx, time.Second)
	}
}

// matters leaves out what looking itself causes, such as health checks.
func matters(action events.Action) bool {
	switch action {
	case events.ActionExecCreate, events.ActionExecStart, events.ActionExecDie, events.ActionTop, events.ActionAttach,
		events.ActionDetach, events.ActionResize:
		return false
	}
	return len(action) < 5 || action[:5] != "exec_" // exec_create is followed by the command
}
