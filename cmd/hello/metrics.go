package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// metrics count answers. Paths are patterns and statuses have three digits, so there are never many.
type metrics struct {
	version string
	mu      sync.Mutex
	answers map[answerKind]int64
}

type answerKind struct {
	path   string
	status int
}

func (m *metrics) count(path string, status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.answers == nil {
		m.answers = map[answerKind]int64{}
	}
	m.answers[answerKind{path, status}]++
}

// getMetrics writes what Prometheus reads.
func (a *app) getMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	version := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(a.metrics.version)
	fmt.Fprint(w, "# HELP hello_start_time_seconds When the application began to listen.\n"+
		"# TYPE hello_start_time_seconds gauge\n")
	fmt.Fprintf(w, "hello_start_time_seconds{version=\"%s\"} %d\n", version, a.started.Unix())
	fmt.Fprint(w, "# HELP hello_requests_total Answered requests.\n# TYPE hello_requests_total counter\n")

	a.metrics.mu.Lock()
	answers := maps.Clone(a.metrics.answers)
	a.metrics.mu.Unlock()
	kinds := slices.SortedFunc(maps.Keys(answers), func(x, y answerKind) int {
		return cmp.Or(strings.Compare(x.path, y.path), x.status-y.status)
	})
	for _, k := range kinds {
		fmt.Fprintf(w, "hello_requests_total{version=\"%s\",path=\"%s\",status=\"%d\"} %d\n",
			version, k.path, k.status, answers[k])
	}
}
