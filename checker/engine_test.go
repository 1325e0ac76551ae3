package checker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

// loadLab is the lab that is written in page.
func loadLab(t *testing.T, page string) *labs.Lab {
	t.Helper()
	c, err := labs.Load(fstest.MapFS{
		"course.yaml": {Data: []byte("title: T\ngoal: G\nlabs: [one]\n")},
		"one/lab.md":  {Data: []byte(page)},
	}, "course")
	require.NoError(t, err)
	return c.Lab("one")
}

// A fake is a kind of check whose answer a test sets.
type fake struct {
	mu     sync.Mutex
	looks  int
	answer func() ([]labs.Finding, error)
	ticks  bool
}

func (f *fake) validate() error { return nil }

func (f *fake) unannounced() bool { return f.ticks }

func (f *fake) look(context.Context, *Target) ([]labs.Finding, error) {
	f.mu.Lock()
	f.looks++
	answer := f.answer
	f.mu.Unlock()
	return answer()
}

func (f *fake) set(answer func() ([]labs.Finding, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.looks
}

func isTrue() ([]labs.Finding, error)  { return nil, nil }
func isFalse() ([]labs.Finding, error) { return []labs.Finding{{Got: "false"}}, nil }
func isLost() ([]labs.Finding, error) {
	return nil, unreachable("the cluster", errors.New("nothing answers"))
}

// newFake is an engine of fake checks, named a, b, c …, each needing what edit says.
func newFakes(t *testing.T, fakes []*fake, edit func([]*check), p labs.Progress) *Engine {
	t.Helper()
	e := &Engine{target: &Target{Lab: &labs.Lab{ID: "lab"}}, progress: func() labs.Progress { return p }, seen: make([]record, len(fakes))}
	for i, f := range fakes {
		name := string(rune('a' + i))
		e.checks = append(e.checks, &check{task: &labs.Task{ID: "task"}, check: &labs.Check{ID: name, That: "that " + name, Kind: "fake"}, kind: f})
	}
	if edit != nil {
		edit(e.checks)
	}
	return e
}

func states(vs []labs.Verdict) []labs.State {
	out := make([]labs.State, len(vs))
	for i, v := range vs {
		out[i] = v.State
	}
	return out
}

func TestBlockedUntilNeededPasses(t *testing.T) {
	a, b := &fake{answer: isFalse}, &fake{answer: isTrue}
	e := newFakes(t, []*fake{a, b}, func(c []*check) { c[1].needs = []int{0} }, nil)
	vs := e.Check(t.Context())
	assert.Equal(t, []labs.State{labs.Failing, labs.Blocked}, states(vs))
	assert.Equal(t, "that a", vs[1].Reason)
	assert.Zero(t, b.count(), "what is blocked is not looked at")
	a.set(isTrue)
	assert.Equal(t, []labs.State{labs.Passed, labs.Passed}, states(e.Check(t.Context())))
}

func TestOnceStaysPassed(t *testing.T) {
	a, b := &fake{answer: isTrue}, &fake{answer: isFalse}
	e := newFakes(t, []*fake{a, b}, func(c []*check) {
		c[0].check.Holds.Once, c[1].check.Holds.Once = true, true
	}, labs.Progress{labs.Key("lab", "b"): time.Now()})
	assert.Equal(t, []labs.State{labs.Passed, labs.Passed}, states(e.Check(t.Context())), "b passed in an earlier life")
	a.set(isFalse)
	assert.Equal(t, []labs.State{labs.Passed, labs.Passed}, states(e.Check(t.Context())))
	assert.Equal(t, 1, a.count())
}

func TestErrorAndPanicAreUnknown(t *testing.T) {
	was := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	defer slog.SetDefault(was)
	e := newFakes(t, []*fake{{answer: isLost}, {answer: func() ([]labs.Finding, error) { panic("oh") }}, {answer: isTrue}}, nil, nil)
	vs := e.Check(t.Context())
	assert.Equal(t, []labs.State{labs.Unknown, labs.Unknown, labs.Passed}, states(vs))
	assert.Equal(t, "the cluster cannot be reached: nothing answers", vs[0].Reason)
	assert.NotContains(t, vs[1].Reason, "oh")
}

func TestSlowLookIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &fake{answer: func() ([]labs.Finding, error) { time.Sleep(lookTime + time.Second); return isFalse() }}
		vs := newFakes(t, []*fake{slow}, nil, nil).Check(t.Context())
		assert.Equal(t, "looking at this takes longer than 30 s", vs[0].Reason)
	})
}

func TestCheckWaitsForHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakes(t, []*fake{{answer: isTrue}, {answer: isFalse}}, func(c []*check) { c[0].check.Holds.For = 10 * time.Second }, nil)
		begin := time.Now()
		assert.Equal(t, []labs.State{labs.Passed, labs.Failing}, states(e.Check(t.Context())))
		assert.Equal(t, 10*time.Second, time.Since(begin))
	})
}

func TestHoldIsBrokenByFalse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fake{answer: isTrue}
		e := newFakes(t, []*fake{a}, func(c []*check) { c[0].check.Holds.For = 10 * time.Second }, nil)
		go func() { time.Sleep(3500 * time.Millisecond); a.set(isFalse) }()
		begin := time.Now()
		vs := e.Check(t.Context())
		assert.Equal(t, labs.Failing, vs[0].State)
		assert.Equal(t, "false", vs[0].Findings[0].Got)
		assert.Equal(t, 4*time.Second, time.Since(begin))
	})
}

func TestHoldTellsHowLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakes(t, []*fake{{answer: isTrue}}, func(c []*check) { c[0].check.Holds.For = 10 * time.Second }, nil)
		e.evaluate(t.Context(), everything)
		time.Sleep(3 * time.Second)
		vs := e.evaluate(t.Context(), unsettled)
		assert.Equal(t, "true for 3 s of 10 s", vs[0].Findings[0].Got)
	})
}

// follow runs the engine's loop in the background and collects what it sends.
func follow(t *testing.T, e *Engine) (changes chan struct{}, sent *[][]labs.Verdict) {
	ctx, cancel := context.WithCancel(t.Context())
	changes, sent = make(chan struct{}, 1), new([][]labs.Verdict)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.follow(ctx, changes, func(v []labs.Verdict) { *sent = append(*sent, v) })
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return changes, sent
}

func TestWatchLooksAgainOnlyWhereNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		announced, other := &fake{answer: isTrue}, &fake{answer: isTrue, ticks: true}
		_, sent := follow(t, newFakes(t, []*fake{announced, other}, nil, nil))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Equal(t, 1, announced.count())
		assert.Equal(t, 4, other.count())
		assert.Len(t, *sent, 1, "nothing differs")
	})
}

func TestWatchDebounces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fake{answer: isFalse}
		changes, sent := follow(t, newFakes(t, []*fake{a}, nil, nil))
		synctest.Wait()
		a.set(isTrue)
		for range 5 {
			changes <- struct{}{}
			time.Sleep(50 * time.Millisecond)
		}
		synctest.Wait()
		assert.Equal(t, 1, a.count(), "not yet quiet")
		time.Sleep(quiet)
		synctest.Wait()
		assert.Equal(t, 2, a.count())
		assert.Len(t, *sent, 2)
	})
}

func TestWatchActsWithinPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fake{answer: isTrue}
		changes, _ := follow(t, newFakes(t, []*fake{a}, nil, nil))
		synctest.Wait()
		begin := time.Now()
		for a.count() < 2 {
			select {
			case changes <- struct{}{}:
			default:
			}
			time.Sleep(50 * time.Millisecond)
			synctest.Wait()
		}
		assert.LessOrEqual(t, time.Since(begin), patience)
	})
}

func TestLostConnectionComesBackWithoutFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fake{answer: isTrue}, &fake{answer: isTrue}
		e := newFakes(t, []*fake{a, b}, func(c []*check) {
			c[1].needs = []int{0}
			c[0].check.Holds.For, c[1].check.Holds.For = 5*time.Second, 5*time.Second
		}, nil)
		changes, sent := follow(t, e)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		require.Equal(t, []labs.State{labs.Passed, labs.Passed}, states((*sent)[len(*sent)-1]))
		before := len(*sent)
		a.set(isLost)
		changes <- struct{}{}
		time.Sleep(10 * time.Second)
		a.set(isTrue)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		var after [][]labs.State
		for _, v := range (*sent)[before:] {
			after = append(after, states(v))
		}
		assert.Equal(t, [][]labs.State{{labs.Unknown, labs.Blocked}, {labs.Passed, labs.Passed}}, after)
	})
}

func TestWatchEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		sent := 0
		a := &fake{answer: func() ([]labs.Finding, error) { cancel(); return nil, ctx.Err() }}
		newFakes(t, []*fake{a}, nil, nil).Watch(ctx, func([]labs.Verdict) { sent++ })
		assert.Zero(t, sent, "what was cut off says nothing")
	})
}

func TestNewEngineNamesTheBadCheck(t *testing.T) {
	lab := loadLab(t, "---\ntitle: T\ngoal: G\nminutes: 1\nneeds: [cluster]\n---\n# T\n\n## Do\n```check\nid: bad\nthat: it is\nhint: look\nobject: {kind: Pod}\n```\n")
	_, err := NewEngine(&Target{Lab: lab}, func() labs.Progress { return nil })
	assert.ErrorContains(t, err, "check bad: line")
	assert.ErrorContains(t, err, "apiVersion is missing")
}

func TestClusterThatIsGoneIsUnknown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	l.Close()
	lab := loadLab(t, "---\ntitle: T\ngoal: G\nminutes: 1\nneeds: [cluster]\n---\n# T\n\n## Do\n```check\nid: pod\nthat: it is\nhint: look\nobject: {apiVersion: v1, kind: Pod, metadata: {name: a}}\n```\n")
	e, err := NewEngine(&Target{Lab: lab, Namespace: "n", Cluster: &rest.Config{Host: "https://" + address}}, func() labs.Progress { return nil })
	require.NoError(t, err)
	vs := e.Check(t.Context())
	assert.Equal(t, labs.Unknown, vs[0].State)
	assert.Equal(t, "the cluster cannot be reached: nothing answers at "+address, vs[0].Reason)

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	e.Watch(ctx, func([]labs.Verdict) {}) // ends with its context
}
