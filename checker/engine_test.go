package checker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
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
func loadLab(t testing.TB, page string) *labs.Lab {
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
	e := &Engine{target: &Target{Lab: &labs.Lab{ID: "lab"}, Watcher: NewWatcher()}, progress: func() labs.Progress { return p }, seen: make([]record, len(fakes))}
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

// measurer is a fake that takes its time, and more of it than others may.
type measurer struct{ fake }

func (m *measurer) pace() (failing, passed time.Duration) { return time.Second, time.Second }
func (m *measurer) patience() time.Duration               { return 2 * lookTime }

func TestMeasuresOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int32
		m := &measurer{fake{answer: func() ([]labs.Finding, error) {
			most.Store(max(most.Load(), under.Add(1)))
			time.Sleep(lookTime + time.Second)
			under.Add(-1)
			return nil, nil
		}}}
		e := newFakes(t, []*fake{nil}, func(c []*check) { c[0].kind, c[0].measuring = m, make(chan struct{}, 1) }, nil)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { assert.Equal(t, []labs.State{labs.Passed}, states(e.Check(t.Context()))) })
		}
		all.Wait()
		assert.EqualValues(t, 1, most.Load())
		assert.Equal(t, 3, m.count())
	})
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
		all := func(*check, record) bool { return true }
		e.evaluate(t.Context(), all)
		time.Sleep(3 * time.Second)
		vs := e.evaluate(t.Context(), all)
		assert.Equal(t, "true for 3 s of 10 s", vs[0].Findings[0].Got)
	})
}

// watched runs the engine's Watch in the background and collects what it sends.
func watched(t *testing.T, e *Engine) (sent *[][]labs.Verdict) {
	ctx, cancel := context.WithCancel(t.Context())
	sent = new([][]labs.Verdict)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.Watch(ctx, func(v []labs.Verdict) { *sent = append(*sent, v) })
	}()
	t.Cleanup(func() { cancel(); <-ended })
	synctest.Wait()
	return sent
}

// change wakes the checks of these numbers, as a change of what they have read does.
func change(e *Engine, which ...int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, i := range which {
		e.tends[i].poke()
	}
}

func TestWatchLooksAgainOnlyWhereNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		announced, failing, passed := &fake{answer: isFalse}, &fake{answer: isFalse, ticks: true}, &fake{answer: isTrue, ticks: true}
		e := newFakes(t, []*fake{announced, failing, passed}, nil, nil)
		sent := watched(t, e)
		time.Sleep(3*slowTick + time.Second)
		synctest.Wait()
		assert.Equal(t, 1, announced.count(), "nothing changed")
		assert.Equal(t, 11, failing.count())
		assert.Equal(t, 4, passed.count())
		assert.Len(t, *sent, 1, "nothing differs")
		change(e, 0)
		synctest.Wait()
		assert.Equal(t, []int{2, 11, 4}, []int{announced.count(), failing.count(), passed.count()})
	})
}

func TestWatchActsAtOnceAndThenGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fake{answer: isFalse}
		e := newFakes(t, []*fake{a}, nil, nil)
		sent := watched(t, e)
		time.Sleep(time.Second)
		a.set(isTrue)
		begin := time.Now()
		change(e, 0)
		synctest.Wait()
		assert.Equal(t, 2, a.count())
		assert.Len(t, *sent, 2)
		assert.Zero(t, time.Since(begin))
		for range 50 { // a burst of a whole gap
			change(e, 0)
			time.Sleep(gap / 50)
		}
		time.Sleep(gap)
		synctest.Wait()
		assert.LessOrEqual(t, a.count(), 4)
		assert.Greater(t, a.count(), 2, "the last change counts")
	})
}

func TestChangeDuringALookIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fake{}
		e := newFakes(t, []*fake{a}, nil, nil)
		a.set(func() ([]labs.Finding, error) {
			if a.count() == 1 {
				change(e, 0)
				return isFalse()
			}
			return isTrue()
		})
		sent := watched(t, e)
		time.Sleep(time.Second)
		synctest.Wait()
		require.NotEmpty(t, *sent)
		assert.Equal(t, labs.Passed, (*sent)[len(*sent)-1][0].State)
	})
}

func TestSlowLookDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &fake{answer: func() ([]labs.Finding, error) { time.Sleep(20 * time.Second); return isTrue() }}
		quick := &fake{answer: isFalse}
		e := newFakes(t, []*fake{slow, quick}, nil, nil)
		sent := watched(t, e)
		time.Sleep(firstAll + time.Millisecond)
		synctest.Wait()
		require.Len(t, *sent, 1, "the one that is known is not kept back")
		assert.Equal(t, "b", (*sent)[0][0].Check)
		quick.set(isTrue)
		change(e, 1)
		synctest.Wait()
		require.Len(t, *sent, 2)
		assert.Equal(t, []labs.State{labs.Passed}, states((*sent)[1]))
	})
}

func TestNeededCheckWakesThoseThatNeedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fake{answer: isFalse}, &fake{answer: isTrue}
		e := newFakes(t, []*fake{a, b}, func(c []*check) { c[1].needs = []int{0} }, nil)
		sent := watched(t, e)
		require.NotEmpty(t, *sent)
		assert.Equal(t, []labs.State{labs.Failing, labs.Blocked}, states((*sent)[len(*sent)-1]))
		a.set(isTrue)
		change(e, 0)
		time.Sleep(2 * gap)
		synctest.Wait()
		assert.Equal(t, []labs.State{labs.Passed, labs.Passed}, states((*sent)[len(*sent)-1]))
		a.set(isFalse)
		change(e, 0)
		time.Sleep(2 * gap)
		synctest.Wait()
		assert.Equal(t, []labs.State{labs.Failing, labs.Blocked}, states((*sent)[len(*sent)-1]))
	})
}

func TestWatchHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fake{answer: isTrue}
		e := newFakes(t, []*fake{a}, func(c []*check) { c[0].check.Holds.For = 10 * time.Second }, nil)
		sent := watched(t, e)
		time.Sleep(10*time.Second - time.Millisecond)
		assert.Equal(t, labs.Failing, (*sent)[len(*sent)-1][0].State)
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		assert.Equal(t, labs.Passed, (*sent)[len(*sent)-1][0].State)
	})
}

func TestTouchLooksAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fake{answer: isFalse}, &fake{answer: isFalse}
		e := newFakes(t, []*fake{a, b}, nil, nil)
		watched(t, e)
		e.Touch()
		time.Sleep(gap)
		synctest.Wait()
		assert.Equal(t, []int{2, 2}, []int{a.count(), b.count()})
	})
}

func TestLostConnectionComesBackWithoutFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fake{answer: isTrue}, &fake{answer: isTrue}
		e := newFakes(t, []*fake{a, b}, func(c []*check) {
			c[1].needs = []int{0}
			c[0].check.Holds.For, c[1].check.Holds.For = 5*time.Second, 5*time.Second
		}, nil)
		sent := watched(t, e)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		require.Equal(t, []labs.State{labs.Passed, labs.Passed}, states((*sent)[len(*sent)-1]))
		before := len(*sent)
		a.set(isLost)
		change(e, 0)
		time.Sleep(10 * time.Second)
		a.set(isTrue)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		var after [][]labs.State
		for _, v := range (*sent)[before:] {
			after = append(after, states(v))
		}
		for _, now := range after {
			assert.NotContains(t, now, labs.Failing)
		}
		assert.Contains(t, after, []labs.State{labs.Unknown, labs.Blocked})
		assert.Equal(t, []labs.State{labs.Passed, labs.Passed}, after[len(after)-1])
	})
}

// A runs is a fake that observes all the time.
type runs struct {
	fake
	began, ended bool
}

func (r *runs) run(ctx context.Context, _ *Target, changed func()) {
	r.began = true
	time.Sleep(5 * time.Second)
	r.set(isTrue)
	changed()
	<-ctx.Done()
	r.ended = true
}

func TestRunnerRunsWhileWatchedAndNotBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &fake{answer: isFalse}, &runs{fake: fake{answer: isFalse}}
		e := newFakes(t, []*fake{first, nil}, func(c []*check) { c[1].kind, c[1].needs = second, []int{0} }, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var last []labs.Verdict
		go e.Watch(ctx, func(v []labs.Verdict) { last = v })
		time.Sleep(time.Second)
		synctest.Wait()
		assert.False(t, second.began, "what it needs has not passed")
		first.set(isTrue)
		change(e, 0)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		assert.Equal(t, []labs.State{labs.Passed, labs.Passed}, states(last))
		cancel()
		synctest.Wait()
		assert.True(t, second.ended)
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
