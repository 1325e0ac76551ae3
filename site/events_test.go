package site

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
)

// A looker is a browser that looks at a lab's events.
type looker struct {
	t     *testing.T
	lines *bufio.Scanner
	leave func()
}

func look(t *testing.T, url string) *looker {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", url+"/demo/scale-it/events", nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.Equal(t, "text/event-stream", answer.Header.Get("Content-Type"))
	t.Cleanup(func() { answer.Body.Close() })
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	return &looker{t, lines, cancel}
}

// next is the next event and its data; comments are passed over.
func (l *looker) next() (event, data string) {
	l.t.Helper()
	for l.lines.Scan() {
		name, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch name {
		case "event":
			event = value
		case "data":
			return event, value
		}
	}
	l.t.Fatal("the stream ended: ", l.lines.Err())
	return "", ""
}

// until reads events until the check scaled is in a state.
func (l *looker) until(want labs.State) pageState {
	l.t.Helper()
	for {
		event, data := l.next()
		require.Equal(l.t, "state", event)
		var s pageState
		require.NoError(l.t, json.Unmarshal([]byte(data), &s))
		if s.Tasks[0].Checks[0].State == want {
			return s
		}
	}
}

func TestEventsFanOut(t *testing.T) {
	w := demo(t)
	s, server := serve(t, w.config())
	s.hub.linger = 50 * time.Millisecond
	first, second := look(t, server.URL), look(t, server.URL)
	first.until(looking)
	second.until(looking)
	require.Eventually(t, func() bool { now, _ := w.watchers(); return now == 1 }, 5*time.Second, time.Millisecond)

	w.say("scale-it", verdict("scaled", labs.Failing, "1 of 4 is ready"))
	for _, l := range []*looker{first, second} {
		state := l.until(labs.Failing)
		assert.Contains(t, state.Tasks[0].Checks[0].HTML, "1 of 4 is ready")
		assert.Equal(t, "hello runs 4 ready replicas", state.Tasks[0].Checks[0].That)
	}
	late := look(t, server.URL)
	event, data := late.next()
	assert.Equal(t, "state", event)
	assert.Contains(t, data, "1 of 4 is ready", "who comes late sees the last state at once")

	w.say("scale-it", verdict("scaled", labs.Passed, ""))
	for _, l := range []*looker{first, second, late} {
		state := l.until(labs.Passed)
		assert.Equal(t, 1, state.Solved)
		assert.Equal(t, labState{"scale-it", 1, 3}, state.Labs[1])
	}
	_, ever := w.watchers()
	assert.Equal(t, 1, ever, "one watcher serves all")

	first.leave()
	second.leave()
	time.Sleep(4 * s.hub.linger)
	now, _ := w.watchers()
	assert.Equal(t, 1, now, "it goes on while one looks")
	late.leave()
	assert.Eventually(t, func() bool { now, _ := w.watchers(); return now == 0 }, 5*time.Second, time.Millisecond)
}

func TestResetReloadsPages(t *testing.T) {
	w := demo(t)
	w.say("scale-it", verdict("scaled", labs.Passed, ""))
	w.reset = func(context.Context, func(string)) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		clear(w.progress)
		w.verdicts["scale-it"] = nil
		return nil
	}
	s, server := serve(t, w.config())
	l := look(t, server.URL)
	l.until(labs.Passed)
	require.Equal(t, 200, do(t, s, "POST", "/demo/scale-it/reset").Code)
	event, _ := l.next()
	assert.Equal(t, "reload", event)
	assert.Contains(t, get(t, s, "/demo/scale-it/").Body.String(), "looking…", "what was seen before is forgotten")
}

func TestCloseEndsStreams(t *testing.T) {
	w := demo(t)
	s, server := serve(t, w.config())
	l := look(t, server.URL)
	l.until(looking)
	s.Close()
	for l.lines.Scan() {
	}
	assert.NoError(t, l.lines.Err(), "a clean end")
}

func TestHeartbeat(t *testing.T) {
	w := demo(t)
	s, server := serve(t, w.config())
	s.beat = 10 * time.Millisecond
	l := look(t, server.URL)
	l.until(looking)
	for l.lines.Scan() {
		if l.lines.Text() == ": still here" {
			return
		}
	}
	t.Fatal("no beat: ", l.lines.Err())
}

func TestNoEventsOfUnknownLabs(t *testing.T) {
	assert.Equal(t, 404, get(t, newSite(t, demo(t).config()), "/demo/nothing/events").Code)
}

// TestHub goes through a watcher's life in a bubble where waiting takes no time.
func TestHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running, started, early := 0, 0, true
		var send func([]labs.Verdict)
		h := newHub(t.Context(), func(ctx context.Context, _, _ string, s func([]labs.Verdict)) {
			mu.Lock()
			running, started, send = running+1, started+1, s
			quit := early
			early = false
			mu.Unlock()
			if !quit {
				<-ctx.Done()
			}
			mu.Lock()
			running--
			mu.Unlock()
		})
		k := key{"c", "lab"}
		_, leave := h.join(k)
		synctest.Wait()
		assert.Equal(t, 0, running, "the first watcher ended by itself")
		time.Sleep(h.retry)
		synctest.Wait()
		assert.Equal(t, 1, running, "and another took its place")

		leave()
		leave() // harmless
		time.Sleep(h.linger / 2)
		wake, leave := h.join(k)
		time.Sleep(2 * h.linger)
		synctest.Wait()
		assert.Equal(t, 2, started, "a reload keeps the watcher")

		at := time.Now()
		send([]labs.Verdict{{Check: "x", State: labs.Failing, At: at}})
		send([]labs.Verdict{{Check: "x", State: labs.Failing, At: at.Add(time.Minute)}})
		<-wake
		seen, _ := h.known(k)
		assert.Equal(t, at, seen["x"].Since, "since the first time it was so")
		assert.True(t, seen["x"].First)
		send([]labs.Verdict{{Check: "x", State: labs.Passed, At: at.Add(2 * time.Minute)}})
		seen, _ = h.known(k)
		assert.Equal(t, at.Add(2*time.Minute), seen["x"].Since)
		assert.False(t, seen["x"].First)

		old := send
		h.forget(k)
		synctest.Wait()
		assert.Equal(t, 3, started)
		old([]labs.Verdict{{Check: "x", State: labs.Passed}})
		seen, epoch := h.known(k)
		assert.Empty(t, seen, "a watcher of before the reset is not heard")
		assert.Equal(t, 1, epoch)

		leave()
		time.Sleep(h.linger)
		synctest.Wait()
		assert.Equal(t, 0, running, "it ends when the last one left")
	})
}
