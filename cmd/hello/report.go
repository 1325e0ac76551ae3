package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// A report is a tally as it is printed, and the JSON of load. Always sent = ok + lost + other + inFlight, and lost is the
// sum of the errors.
type report struct {
	URL      string    `json:"url"`
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"`
	Waiting  bool      `json:"waiting"` // for the first success: nothing counts yet
	Finished bool      `json:"finished"`

	Sent     int `json:"sent"`
	OK       int `json:"ok"`       // 2xx
	Lost     int `json:"lost"`     // no complete answer, or 5xx
	Other    int `json:"other"`    // 3xx and 4xx
	InFlight int `json:"inFlight"` // not known yet

	Versions     []string           `json:"versions"` // in the order in which they first answered
	ByVersion    map[string]int     `json:"byVersion"`
	ByPod        map[string]int     `json:"byPod"`
	ByStatus     map[string]int     `json:"byStatus"`
	Errors       map[string]failure `json:"errors"` // by kind: dns, refused, timeout, reset, other, status
	LongestGapMs int64              `json:"longestGapMs"`
	LatencyMs    latencyReport      `json:"latencyMs"`
}

type latencyReport struct {
	P50 int `json:"p50"`
	P95 int `json:"p95"`
	Max int `json:"max"`
}

// report describes a tally as of now; a nil tally has not begun.
func (t *tally) report(address string, now time.Time) report {
	waiting := t == nil
	if waiting {
		t = newTally(now)
	}
	finished := !t.ended.IsZero()
	if finished {
		now = t.ended
	}
	gap := t.gap
	if t.sent > 0 {
		gap = max(gap, now.Sub(t.lastOK)) // the one that is still open
	}
	return report{
		URL:      redacted(address),
		Started:  t.started.UTC(),
		Seconds:  float64(now.Sub(t.started).Milliseconds()) / 1000,
		Waiting:  waiting,
		Finished: finished,
		Sent:     t.sent, OK: t.ok, Lost: t.lost, Other: t.done - t.ok - t.lost, InFlight: t.sent - t.done,
		Versions:     append([]string{}, t.versions...),
		ByVersion:    clone(t.byVersion),
		ByPod:        clone(t.byPod),
		ByStatus:     clone(t.byStatus),
		Errors:       maps.Clone(t.errors),
		LongestGapMs: gap.Milliseconds(),
		LatencyMs:    latencyReport{t.latency.percentile(50), t.latency.percentile(95), roundUp(t.latency.longest)},
	}
}

func clone(m map[string]int) map[string]int {
	c := make(map[string]int, len(m))
	maps.Copy(c, m)
	return c
}

// print writes the report for people.
func (r report) print(w io.Writer) {
	fmt.Fprintf(w, "%s: %d sent in %.1f s, %d ok, %d lost", r.URL, r.Sent, r.Seconds, r.OK, r.Lost)
	if r.Other > 0 {
		fmt.Fprintf(w, ", %d other", r.Other)
	}
	fmt.Fprintf(w, "\n  versions  %s\n", listed(r.Versions, r.ByVersion))
	fmt.Fprintf(w, "  pods      %s\n", listed(slices.Sorted(maps.Keys(r.ByPod)), r.ByPod))
	fmt.Fprintf(w, "  statuses  %s\n", listed(slices.Sorted(maps.Keys(r.ByStatus)), r.ByStatus))
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(w, "  lost      %s %d: %s\n", kind, r.Errors[kind].Count, r.Errors[kind].Example)
	}
	fmt.Fprintf(w, "  longest gap between two ok: %d ms; latency p50 %d ms, p95 %d ms, max %d ms\n",
		r.LongestGapMs, r.LatencyMs.P50, r.LatencyMs.P95, r.LatencyMs.Max)
}

// listed writes counts in this order.
func listed(names []string, count map[string]int) string {
	if len(names) == 0 {
		return "none"
	}
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = fmt.Sprintf("%s %d", name, count[name])
	}
	return strings.Join(parts, ", ")
}
