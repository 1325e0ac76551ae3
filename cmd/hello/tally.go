package main

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// What a tally may hold at most; what comes after that is counted under one name.
const (
	maxVersions = 50
	maxPods     = 200
	others      = "(others)"
)

// counts are what happened in some time.
type counts struct {
	sent, done, ok, lost int
	versions             []string // in the order in which they first answered
	byVersion            map[string]int
}

func (c *counts) add(a answer) {
	c.done++
	switch {
	case succeeded(a):
		c.ok++
	case lost(a):
		c.lost++
	}
	version := short(a.header.Get("X-App-Version"), 64)
	if a.status == 0 || version == "" {
		return
	}
	if c.byVersion == nil {
		c.byVersion = map[string]int{}
	}
	if name, first := bump(c.byVersion, version, maxVersions); first {
		c.versions = append(c.versions, name)
	}
}

func succeeded(a answer) bool { return a.err == nil && a.status >= 200 && a.status < 300 }

func lost(a answer) bool { return a.err != nil || a.status >= 500 }

// bump counts under a key, or with all others when there are too many. It returns the name it counted under.
func bump(m map[string]int, key string, most int) (name string, first bool) {
	if _, known := m[key]; !known && len(m) >= most {
		key = others
	}
	m[key]++
	return key, m[key] == 1
}

// A tally is the whole account of a run, or of what came after a reset. It is not safe for concurrent use.
type tally struct {
	counts
	started, ended time.Time     // it has not ended when that is zero
	last, lastOK   time.Time     // answers
	gap            time.Duration // the longest time without a success, so far
	byPod          map[string]int
	byStatus       map[string]int
	errors         map[string]failure
	latency        latencies
}

// A failure is one kind of lost request.
type failure struct {
	Count   int    `json:"count"`
	Example string `json:"example"`
}

// kindStatus is the kind of a lost request that did get an answer.
const kindStatus = "status"

func newTally(now time.Time) *tally {
	return &tally{
		started: now, last: now, lastOK: now,
		byPod: map[string]int{}, byStatus: map[string]int{}, errors: map[string]failure{},
	}
}

func (t *tally) add(now time.Time, a answer) {
	t.counts.add(a)
	t.last = now
	if succeeded(a) {
		t.gap = max(t.gap, now.Sub(t.lastOK))
		t.lastOK = now
	}
	if a.status != 0 {
		t.byStatus[strconv.Itoa(a.status)]++
		t.latency.add(a.took)
		if pod := short(a.header.Get("X-Pod"), 64); pod != "" {
			bump(t.byPod, pod, maxPods)
		}
	}
	switch {
	case a.err != nil:
		t.fail(a.kind, a.err.Error())
	case lost(a):
		t.fail(kindStatus, fmt.Sprintf("HTTP %d %s: %s", a.status, http.StatusText(a.status), a.body[:min(len(a.body), 400)]))
	}
}

// end ends the tally at this time, or at its last answer when that came later.
func (t *tally) end(at time.Time) {
	t.ended = at
	if t.last.After(at) {
		t.ended = t.last
	}
}

func (t *tally) fail(kind, example string) {
	f := t.errors[kind]
	f.Count++
	if f.Example == "" {
		f.Example = short(example, 200)
	}
	t.errors[kind] = f
}

// latencies are counted by whole milliseconds, rounded up; those above the last one share it.
type latencies struct {
	count   []int
	n       int
	longest time.Duration
}

const maxLatency = 10_000

func (l *latencies) add(d time.Duration) {
	if l.count == nil {
		l.count = make([]int, maxLatency+1)
	}
	l.count[min(roundUp(d), maxLatency)]++
	l.n++
	l.longest = max(l.longest, d)
}

// percentile is the latency that so many of a hundred did not exceed.
func (l *latencies) percentile(p int) int {
	rest := (l.n*p + 99) / 100
	for ms, n := range l.count {
		if rest -= n; rest <= 0 {
			return min(ms, roundUp(l.longest))
		}
	}
	return 0
}

func roundUp(d time.Duration) int { return int((d + time.Millisecond - 1) / time.Millisecond) }
