package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLoadCountsExactly(t *testing.T) {
	var n atomic.Int64
	address := backend(t, func(w http.ResponseWriter, r *http.Request) {
		i := n.Add(1) - 1
		w.Header().Set("X-App-Version", map[bool]string{true: "v1", false: "v2"}[i < 50])
		w.Header().Set("X-Pod", fmt.Sprint("pod-", i%2))
		switch i % 10 {
		case 3:
			panic(http.ErrAbortHandler)
		case 6:
			http.Error(w, "no healthy upstream", http.StatusServiceUnavailable)
		case 9:
			w.WriteHeader(http.StatusTooManyRequests)
		}
		assert.Equal(t, "ann", r.Header.Get("End-User"))
	})
	p := newProcess()
	args := strings.Fields("load -n 100 -rate 0 -c 4 -timeout 30s -o json -H end-user:ann " + address)
	assert.Equal(t, exitFailed, p.run(t.Context(), args), "something was lost")
	assert.EqualValues(t, 100, n.Load(), "nothing is sent twice")
	var r report
	require.NoError(t, json.Unmarshal([]byte(p.out.String()), &r))
	assert.Equal(t, []int{100, 70, 20, 10, 0}, []int{r.Sent, r.OK, r.Lost, r.Other, r.InFlight})
	assert.Equal(t, []string{"v1", "v2"}, r.Versions)
	assert.Equal(t, map[string]int{"v1": 45, "v2": 45}, r.ByVersion)
	assert.Equal(t, map[string]int{"pod-0": 50, "pod-1": 40}, r.ByPod)
	assert.Equal(t, map[string]int{"200": 70, "503": 10, "429": 10}, r.ByStatus)
	assert.Equal(t, map[string]failure{
		"reset":  {10, "connection closed before the answer was complete: EOF"},
		"status": {10, "HTTP 503 Service Unavailable: no healthy upstream "},
	}, r.Errors)
	assert.True(t, r.Finished)
	assert.Empty(t, p.err.String())
}

func TestLoadText(t *testing.T) {
	address := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-App-Version", "v1")
		w.Header().Set("X-Pod", "pod-0")
	})
	p := newProcess()
	assert.Equal(t, exitOK, p.run(t.Context(), []string{"load", "-n", "5", "-rate", "0", "-timeout", "30s", address}))
	assert.Regexp(t, `^`+address+`: 5 sent in \d+\.\d s, 5 ok, 0 lost
  versions  v1 5
  pods      pod-0 5
  statuses  200 5
  longest gap between two ok: \d+ ms; latency p50 \d+ ms, p95 \d+ ms, max \d+ ms
$`, p.out.String())
	assert.Regexp(t, `^\d\d:\d\d:\d\d  sent 5  ok 5  lost 0  v1 5\n$`, p.err.String())
}

func TestLoadListens(t *testing.T) {
	address := backend(t, func(http.ResponseWriter, *http.Request) {})
	p, code := newProcess(), make(chan int)
	go func() {
		code <- p.run(t.Context(), []string{"load", "-listen", "127.0.0.1:0", "-n", "3", "-rate", "0", "-o", "json", address})
	}()
	var at []string
	require.Eventually(t, func() bool {
		at = regexp.MustCompile(`report on (http://\S+)/report`).FindStringSubmatch(p.err.String())
		return at != nil
	}, patience, time.Millisecond)
	ask := func(method, path string) (r report) {
		a := fetch(t.Context(), newClient(), request{method: method, url: at[1] + path, timeout: patience})
		require.Equal(t, 200, a.status)
		require.NoError(t, json.Unmarshal(a.body, &r))
		return r
	}
	require.Eventually(t, func() bool { return ask("GET", "/report").Finished }, patience, time.Millisecond)
	assert.Equal(t, 3, ask("GET", "/report").OK)
	assert.Equal(t, 3, ask("POST", "/reset").OK)
	assert.Equal(t, 0, ask("GET", "/report").Sent)
	assert.Equal(t, 200, fetch(t.Context(), newClient(), request{method: "GET", url: at[1] + "/healthz", timeout: patience}).status)
	p.signals <- os.Interrupt
	assert.Equal(t, exitOK, <-code)
}

func TestParsePace(t *testing.T) {
	for s, want := range map[string]float64{"20": 20, "20/s": 20, "90/m": 1.5, "0": 0, "0.5/s": 0.5, "10000": 10000} {
		got, err := parsePace(s)
		require.NoError(t, err, s)
		assert.Equal(t, want, got, s)
	}
	for _, s := range []string{"", "x", "5/h", "5/", "-1", "NaN", "Inf", "10001", "0.0001", "5/s/s"} {
		_, err := parsePace(s)
		assert.Error(t, err, s)
	}
}

func TestLoadDefaults(t *testing.T) {
	for line, want := range map[string]plan{
		"x":                         {n: 100, interval: 100 * time.Millisecond, inFlight: 21, patience: readyPatience},
		"x -n 5":                    {n: 5, interval: 100 * time.Millisecond, inFlight: 21, patience: readyPatience},
		"x -n 0":                    {interval: 100 * time.Millisecond, inFlight: 21},
		"x -for 5s -rate 0":         {lasts: 5 * time.Second, inFlight: 1, patience: readyPatience},
		"x -for 5s -rate 1000 -c 7": {lasts: 5 * time.Second, interval: time.Millisecond, inFlight: 7, patience: readyPatience},
		"x -rate 1000 -timeout 5s":  {n: 100, interval: time.Millisecond, inFlight: 1000, patience: readyPatience},
		"x -listen :0 -once-ready":  {interval: 100 * time.Millisecond, inFlight: 21, onceReady: true},
	} {
		o, err := parseLoad(newProcess().process, strings.Fields(line))
		require.NoError(t, err, line)
		want.url = "http://x"
		assert.Equal(t, want, o.plan, line)
	}
}

// answered is an answer of a version.
func answered(status int, version string) answer {
	return answer{status: status, header: http.Header{"X-App-Version": {version}}}
}

// clocked is a sender that takes some time and then answers by the time since the beginning, on the clock of the test.
func clocked(takes time.Duration, by func(since time.Duration) answer) func(context.Context) answer {
	begin := time.Now()
	return func(context.Context) answer {
		sent := time.Since(begin)
		time.Sleep(takes)
		a := by(sent)
		a.took = takes
		return a
	}
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		p := newPacer(plan{lasts: 2 * time.Second, interval: 100 * time.Millisecond, inFlight: 10},
			clocked(250*time.Millisecond, func(time.Duration) answer { return answered(200, "v1") }))
		p.run(t.Context())
		r := p.report()
		assert.Equal(t, 20, r.Sent, "the pace does not wait for answers")
		assert.Equal(t, 20, r.OK)
		assert.Equal(t, 2150*time.Millisecond, time.Since(begin), "the last one was sent after 1.9 s")
		assert.Equal(t, latencyReport{250, 250, 250}, r.LatencyMs)
		assert.EqualValues(t, 250, r.LongestGapMs, "until the first answer")
	})
}

func TestPaceIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var mu sync.Mutex
		flying, most := 0, 0
		fly := func(by int) {
			mu.Lock()
			defer mu.Unlock()
			flying += by
			most = max(most, flying)
		}
		p := newPacer(plan{n: 7, interval: time.Millisecond, inFlight: 2}, func(context.Context) answer {
			fly(1)
			defer fly(-1)
			time.Sleep(time.Second)
			return answered(200, "v1")
		})
		p.run(t.Context())
		assert.Equal(t, 7, p.report().OK)
		assert.Equal(t, 2, most)
		assert.Less(t, time.Since(begin), 5*time.Second)
	})
}

func TestLongestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(plan{n: 100, interval: 100 * time.Millisecond, inFlight: 10}, clocked(0, func(at time.Duration) answer {
			switch {
			case at > 3*time.Second && at < 5*time.Second:
				return answered(503, "v1")
			case at > 8*time.Second && at < 9*time.Second:
				return answer{err: errors.New("refused"), kind: kindRefused}
			}
			return answered(200, "v1")
		}))
		p.run(t.Context())
		r := p.report()
		assert.EqualValues(t, 2000, r.LongestGapMs)
		assert.Equal(t, 28, r.Lost)
		assert.Equal(t, 72, r.OK)
		assert.Equal(t, map[string]failure{"refused": {9, "refused"}, "status": {19, "HTTP 503 Service Unavailable: "}}, r.Errors)
	})
}

func TestLongestGapMayBeOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(plan{n: 31, interval: 100 * time.Millisecond, inFlight: 10}, clocked(0, func(at time.Duration) answer {
			if at > time.Second {
				return answered(503, "v1")
			}
			return answered(200, "v1")
		}))
		p.run(t.Context())
		time.Sleep(time.Hour)
		assert.EqualValues(t, 2000, p.report().LongestGapMs, "up to the end of sending, no longer")
		assert.InDelta(t, 3.0, p.report().Seconds, 0.0001)
	})
}

func TestOnceReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(plan{n: 10, interval: 100 * time.Millisecond, inFlight: 50, onceReady: true, patience: time.Minute},
			func(begin time.Time) func(context.Context) answer {
				return func(context.Context) answer {
					if time.Since(begin) < 5*time.Second {
						time.Sleep(2 * time.Second) // those sent last fail when others have succeeded
						return answer{err: errors.New("timeout"), kind: kindTimeout}
					}
					return answered(200, "v1")
				}
			}(time.Now()))
		go func() {
			time.Sleep(4 * time.Second)
			assert.True(t, p.report().Waiting)
			assert.Zero(t, p.report().Sent)
		}()
		p.run(t.Context())
		r := p.report()
		assert.Equal(t, []int{10, 10, 0}, []int{r.Sent, r.OK, r.Lost})
		assert.EqualValues(t, 100, r.LongestGapMs)
		assert.False(t, r.Waiting)
	})
}

func TestOnceReadyLosesPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		o := loadOptions{plan: plan{n: 10, interval: time.Second, inFlight: 5, onceReady: true, patience: time.Minute}}
		p := newPacer(o.plan, func(context.Context) answer { return answered(503, "v1") })
		p.run(t.Context())
		assert.LessOrEqual(t, time.Since(begin), time.Minute)
		out := newProcess()
		assert.Equal(t, exitFailed, out.printReport(p.report(), o))
		assert.Contains(t, out.err.String(), "no success within 1m0s")
	})
}

func TestResetLeavesOutWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := newPacer(plan{interval: time.Second, inFlight: 10}, clocked(1500*time.Millisecond, func(at time.Duration) answer {
			if at < 10*time.Second {
				return answered(503, "v1")
			}
			return answered(200, "v2")
		}))
		go p.run(ctx)
		time.Sleep(9500*time.Millisecond + time.Nanosecond)
		old := p.reset()
		assert.Equal(t, []int{10, 0, 9, 1}, []int{old.Sent, old.OK, old.Lost, old.InFlight})
		time.Sleep(10 * time.Second)
		cancel()
		synctest.Wait()
		time.Sleep(2 * time.Second) // for the last one
		r := p.report()
		assert.Equal(t, []int{10, 10, 0, 0}, []int{r.Sent, r.OK, r.Lost, r.InFlight})
		assert.Equal(t, []string{"v2"}, r.Versions)
		assert.True(t, r.Finished, "a signal ends the sending, not the requests")
	})
}

func TestTallyIsBounded(t *testing.T) {
	tally := newTally(time.Now())
	for i := range 1000 {
		a := answered(200, fmt.Sprint("v", i))
		a.header.Set("X-Pod", fmt.Sprint("pod-", i))
		tally.add(time.Now(), a)
	}
	long := answered(200, strings.Repeat("x", 1000)+"\x1b")
	tally.add(time.Now(), long)
	r := tally.report("", time.Now())
	assert.Len(t, r.Versions, maxVersions+1)
	assert.Len(t, r.ByVersion, maxVersions+1)
	assert.Equal(t, 1001-maxVersions, r.ByVersion[others])
	assert.Len(t, r.ByPod, maxPods+1)
}

func TestPercentiles(t *testing.T) {
	var l latencies
	assert.Zero(t, l.percentile(50))
	for ms := range 100 {
		l.add(time.Duration(ms+1) * time.Millisecond)
	}
	assert.Equal(t, 50, l.percentile(50))
	assert.Equal(t, 95, l.percentile(95))
	assert.Equal(t, 100, l.percentile(100))
	l = latencies{}
	l.add(300 * time.Microsecond)
	assert.Equal(t, 1, l.percentile(50))
	l.add(time.Minute)
	assert.Equal(t, maxLatency, l.percentile(95), "it is known to be at least so long")
	assert.Equal(t, time.Minute, l.longest)
}

func TestReportIsCompleteJSON(t *testing.T) {
	w := httptest.NewRecorder()
	newPacer(plan{url: "http://ann:hush@x"}, nil).handler().ServeHTTP(w, httptest.NewRequest("GET", "/report", nil))
	var got map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	delete(got, "started")
	assert.Equal(t, map[string]any{
		"url": "http://ann:xxxxx@x", "seconds": 0.0, "waiting": true, "finished": false,
		"sent": 0.0, "ok": 0.0, "lost": 0.0, "other": 0.0, "inFlight": 0.0,
		"versions": []any{}, "byVersion": map[string]any{}, "byPod": map[string]any{}, "byStatus": map[string]any{},
		"errors": map[string]any{}, "longestGapMs": 0.0, "latencyMs": map[string]any{"p50": 0.0, "p95": 0.0, "max": 0.0},
	}, got)
}
