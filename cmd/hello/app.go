package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// An app answers the requests of the web application. It knows nothing of listeners and signals.
type app struct {
	cfg     config
	environ []string
	log     *log.Logger
	started time.Time
	client  *http.Client

	requests atomic.Int64 // of the application itself, not of probes
	draining atomic.Bool  // set by the server when it is about to end
	crash    chan int     // an exit code that the server must end with
	health   toggle
	ready    toggle
	faults   faults
	flaky    counters
	metrics  metrics
}

func newApp(cfg config, environ []string, log *log.Logger) *app {
	return &app{
		cfg:     cfg,
		environ: environ,
		log:     log,
		started: time.Now(),
		client:  newClient(),
		crash:   make(chan int, 1),
		faults:  faults{rate: cfg.failRate, status: cfg.failStatus},
		metrics: metrics{version: cfg.version},
	}
}

// handler has everything but /admin.
func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	a.route(mux)
	return a.observe(mux)
}

// adminHandler has nothing but /admin.
func (a *app) adminHandler() http.Handler {
	mux := http.NewServeMux()
	a.routeAdmin(mux)
	return a.observe(mux)
}

func (a *app) handlerWithAdmin() http.Handler {
	mux := http.NewServeMux()
	a.route(mux)
	a.routeAdmin(mux)
	return a.observe(mux)
}

func (a *app) route(mux *http.ServeMux) {
	for pattern, h := range map[string]http.HandlerFunc{
		"GET /{$}":              a.getPage,
		"GET /api":              a.getAPI,
		"GET /chain":            a.getChain,
		"GET /env":              a.getEnv,
		"GET /headers":          a.getHeaders,
		"GET /flaky":            a.getFlaky,
		"/status/{code}":        a.getStatus,
		"GET /delay/{ms}":       a.getDelay,
		"GET /sleepy/{seconds}": a.getSleepy,
	} {
		mux.HandleFunc(pattern, a.work(h))
	}
	mux.HandleFunc("GET /healthz", a.getHealth)
	mux.HandleFunc("GET /readyz", a.getReady)
	mux.HandleFunc("GET /startupz", a.getStartup)
	mux.HandleFunc("GET /metrics", a.getMetrics)
	mux.HandleFunc("POST /crash", a.postCrash)
}

func (a *app) routeAdmin(mux *http.ServeMux) {
	mux.HandleFunc("POST /admin/health", a.postHealth)
	mux.HandleFunc("POST /admin/ready", a.postReady)
	mux.HandleFunc("POST /admin/fail", a.postFail)
}

// work is what the application does before each of its own answers: warm up, count, take its time, and fail as told.
func (a *app) work(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if left := a.warmUp(); left > 0 {
			http.Error(w, fmt.Sprintf("warming up, ready in %v", left.Round(100*time.Millisecond)), http.StatusServiceUnavailable)
			return
		}
		a.requests.Add(1)
		if !pause(r.Context(), a.cfg.delay) {
			http.Error(w, "the client has left", statusClientLeft)
			return
		}
		if status := a.faults.next(); status != 0 {
			http.Error(w, "this request fails as told", status)
			return
		}
		h(w, r)
	}
}

// statusClientLeft is what the log and the metrics show for a request that nobody waits for.
const statusClientLeft = 499

// observe marks, counts and logs every answer.
func (a *app) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		w.Header().Set("X-App-Version", a.cfg.version)
		w.Header().Set("X-Pod", a.cfg.pod)
		w.Header().Set("Cache-Control", "no-store")
		rec := &recorder{ResponseWriter: w, draining: &a.draining}
		next.ServeHTTP(rec, r)
		status := cmp.Or(rec.status, http.StatusOK)
		a.metrics.count(patternPath(r.Pattern), status)
		a.log.Printf("%s %s %d %dms %s %s", r.Method, short(r.URL.EscapedPath(), 200), status,
			time.Since(begin).Milliseconds(), a.cfg.version, a.cfg.pod)
	})
}

// patternPath is the path in the pattern of a route.
func patternPath(pattern string) string {
	if i := strings.Index(pattern, "/"); i >= 0 {
		return strings.TrimSuffix(pattern[i:], "{$}")
	}
	return "unknown"
}

// A recorder remembers the status. While the process ends it also asks the client to come back on a new connection,
// which then leads elsewhere.
type recorder struct {
	http.ResponseWriter
	draining *atomic.Bool
	status   int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
		if r.draining.Load() {
			r.Header().Set("Connection", "close")
		}
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	return r.ResponseWriter.Write(b)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // the client may have left
}

// short cuts a text that came from elsewhere, and takes out what could confuse a terminal.
func short(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' || (r >= 0x80 && r < 0xa0) {
			return ' '
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n]) + "…"
	}
	return s
}
