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
)

const (
	lookTime  = 30 * time.Second // for one look at one check
	holdPulse = time.Second      // between looks at what must stay true for a while
)

// Engine evaluates the checks of one lab for one attendee. Its methods may be
// called at the same time; what each of them sees counts for all.
type Engine struct {
	target   *Target
	progress func() labs.Progress
	cluster  *clusterWatch // nil when the lab has no cluster
	checks   []*check

	mu    sync.Mutex    // guards what follows
	seen  []record      // by check
	tends []*tended     // by check, while Watch runs
	news  chan struct{} // while Watch runs: some verdict may differ
}

// A check is one of the lab's, ready to be looked at.
type check struct {
	task  *labs.Task
	check *labs.Check
	kind  kind
	needs []int // indexes of the checks before it that must pass first

	measuring chan struct{} // holds one during a look of a pacer: two at a time would measure each other; nil for other kinds
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

// A pacer is a kind that says how often to look when nothing is announced: while it
// fails, and when it has passed.
type pacer interface {
	pace() (failing, passed time.Duration)
}

// A patient is a kind that may look for longer than lookTime.
type patient interface{ patience() time.Duration }

// patience is how long one look of a kind may take.
func patience(k kind) time.Duration {
	if p, ok := k.(patient); ok {
		return p.patience()
	}
	return lookTime
}

// A runner is a kind that observes all the time while it is watched, not only when
// it is looked at. Its run begins when what the check needs has passed, and ends
// with its context; changed asks for a look.
type runner interface {
	run(ctx context.Context, t *Target, changed func())
}

// NewEngine makes an engine. progress tells which checks have passed before: those that hold once stay passed.
// The error says which check cannot be evaluated as it is written.
func NewEngine(t *Target, progress func() labs.Progress) (*Engine, error) {
	e := &Engine{target: t, progress: progress}
	if t.Watcher == nil {
		own := *t
		own.Watcher = NewWatcher()
		e.target = &own
	}
	if t.Cluster != nil {
		c, err := e.target.Watcher.cluster(t.Cluster)
		if err != nil {
			return nil, err
		}
		e.cluster = c
	}
	index := map[string]int{}
	for _, task := range t.Lab.Tasks {
		for _, c := range task.Checks {
			kind, err := decode(c)
			if err != nil {
				return nil, fmt.Errorf("%s: check %s: %w", c.File, c.ID, err)
			}
			own := &check{task: task, check: c, kind: kind}
			if _, measures := kind.(pacer); measures {
				own.measuring = make(chan struct{}, 1)
			}
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
	verdicts := e.evaluate(ctx, func(c *check, _ record) bool { return meant[c.check.ID] })
	for ctx.Err() == nil && e.holding() {
		pause(ctx, e.untilHeld(holdPulse))
		verdicts = e.evaluate(ctx, func(c *check, m record) bool { return meant[c.check.ID] && m.holding })
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

// evaluate looks at the checks that are chosen, side by side, each after those
// that it needs; the others keep their verdicts.
func (e *Engine) evaluate(ctx context.Context, chosen func(*check, record) bool) []labs.Verdict {
	passed := e.progress()
	out := make([]labs.Verdict, len(e.checks))
	done := make([]chan struct{}, len(e.checks))
	for i := range done {
		done[i] = make(chan struct{})
	}
	var all sync.WaitGroup
	for i, c := range e.checks {
		all.Go(func() {
			defer close(done[i])
			for _, need := range c.needs {
				<-done[need]
			}
			m := e.remember(i)
			if v, decided := e.decided(i, passed); decided {
				out[i] = v
			} else if m.verdict.State != labs.Blocked && m.verdict.State != "" && !chosen(c, m) {
				out[i] = m.verdict
			} else {
				out[i] = e.lookAt(ctx, i, e.target)
			}
		})
	}
	all.Wait()
	return out
}

// decided is the verdict of a check that need not be looked at: it has passed and
// holds once, or something that it needs has not. Those it needs are in before.
func (e *Engine) decided(i int, passed labs.Progress) (v labs.Verdict, decided bool) {
	c, m := e.checks[i], e.remember(i)
	v = e.blank(c)
	if _, ever := passed[labs.Key(v.Lab, v.Check)]; c.check.Holds.Once && (ever || m.latched) {
		v.State = labs.Passed
		return e.keep(i, v, yes), true
	}
	for _, need := range c.needs {
		if n := e.remember(need); n.verdict.State != labs.Passed {
			v.State, v.Reason = labs.Blocked, n.verdict.That
			if n.lost {
				return e.keep(i, v, unknowable), true
			}
			return e.keep(i, v, no), true
		}
	}
	return v, false
}

func (e *Engine) blank(c *check) labs.Verdict {
	return labs.Verdict{Lab: e.target.Lab.ID, Task: c.task.ID, Check: c.check.ID, That: c.check.That, At: time.Now()}
}

// lookAt makes the verdict of a check by looking at the target.
func (e *Engine) lookAt(ctx context.Context, i int, t *Target) labs.Verdict {
	c := e.checks[i]
	if c.measuring != nil {
		select {
		case c.measuring <- struct{}{}:
			defer func() { <-c.measuring }()
		case <-ctx.Done():
			return e.blank(c)
		}
	}
	v := e.blank(c)
	if e.cluster != nil {
		ctx = withKube(ctx, e.cluster.kube)
	}
	noting, written := withNotes(ctx)
	findings, err := observe(noting, c, t)
	if len(findings) > 0 && findings[0].Because != "" {
		step(noting, "%s", findings[0].Because) // the chain ends in the cause
	}
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
	return e.keep(i, v, is)
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
func (e *Engine) keep(i int, v labs.Verdict, is truth) labs.Verdict {
	e.mu.Lock()
	defer e.mu.Unlock()
	m, c := &e.seen[i], e.checks[i]
	before := *m
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
	e.tell(i, before)
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
	most := patience(c.kind)
	own, cancel := context.WithTimeout(ctx, most)
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
		return nil, fmt.Errorf("looking at this takes longer than %s", seconds(most))
	}
	return findings, err
}

// sameVerdict compares what a learner reads.
func sameVerdict(a, b labs.Verdict) bool {
	return a.Lab == b.Lab && a.Task == b.Task && a.Check == b.Check && a.That == b.That &&
		a.State == b.State && a.Reason == b.Reason && slices.Equal(a.Findings, b.Findings) &&
		slices.Equal(a.Chain, b.Chain) && slices.Equal(a.RuledOut, b.RuledOut)
}
