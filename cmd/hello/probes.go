package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// A toggle is an answer that the clock gives until somebody sets it.
type toggle struct {
	mu  sync.Mutex
	set *bool
}

func (t *toggle) get(byClock bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.set != nil {
		return *t.set
	}
	return byClock
}

// put sets the answer, or turns it over when ok is empty.
func (t *toggle) put(ok string, byClock bool) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := byClock
	if t.set != nil {
		now = *t.set
	}
	now = !now
	if ok != "" {
		var err error
		if now, err = strconv.ParseBool(ok); err != nil {
			return false, fmt.Errorf("ok=%s: not true or false", short(ok, 20))
		}
	}
	t.set = &now
	return now, nil
}

func (a *app) healthyByClock() bool {
	return a.cfg.healthyFor == 0 || time.Since(a.started) < a.cfg.healthyFor
}

func (a *app) readyByClock() bool { return time.Since(a.started) >= a.cfg.readyAfter }

// warmUp is how long the application will not answer yet. Who sets it ready ends the wait.
func (a *app) warmUp() time.Duration {
	if a.readyByClock() || a.ready.get(false) {
		return 0
	}
	return a.cfg.readyAfter - time.Since(a.started)
}

func (a *app) getHealth(w http.ResponseWriter, _ *http.Request) {
	if !a.health.get(a.healthyByClock()) {
		http.Error(w, "unhealthy", http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, "healthy")
}

func (a *app) getReady(w http.ResponseWriter, _ *http.Request) {
	switch {
	case a.draining.Load():
		http.Error(w, "not ready: stopping", http.StatusServiceUnavailable)
	case !a.ready.get(a.readyByClock()):
		http.Error(w, "not ready", http.StatusServiceUnavailable)
	default:
		fmt.Fprintln(w, "ready")
	}
}

// getStartup always says yes: who can hear it has started.
func (a *app) getStartup(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "started") }

func (a *app) postHealth(w http.ResponseWriter, r *http.Request) {
	ok, err := a.health.put(r.URL.Query().Get("ok"), a.healthyByClock())
	answerPost(w, map[string]any{"healthy": ok}, err)
}

func (a *app) postReady(w http.ResponseWriter, r *http.Request) {
	ok, err := a.ready.put(r.URL.Query().Get("ok"), a.readyByClock())
	answerPost(w, map[string]any{"ready": ok}, err)
}

// postFail sets the fault rate, and the status too when there is one.
func (a *app) postFail(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !q.Has("rate") {
		answerPost(w, nil, fmt.Errorf("no rate: use ?rate=2/5, or ?rate=0 for none"))
		return
	}
	rate, err := parseRate(q.Get("rate"))
	if err != nil {
		answerPost(w, nil, fmt.Errorf("rate=%s: %w", short(q.Get("rate"), 20), err))
		return
	}
	status, err := intParam(q, "status", 0, 400, 599)
	if err != nil {
		answerPost(w, nil, err)
		return
	}
	rate, status = a.faults.set(rate, status)
	answerPost(w, map[string]any{"rate": rate.String(), "status": status}, nil)
}

// postCrash answers, and then ends the process with the code that was asked for.
func (a *app) postCrash(w http.ResponseWriter, r *http.Request) {
	code, err := intParam(r.URL.Query(), "code", 1, 0, 255)
	answerPost(w, map[string]any{"code": code}, err)
	if err != nil {
		return
	}
	_ = http.NewResponseController(w).Flush()
	select {
	case a.crash <- code:
	default: // it is crashing already
	}
}

func answerPost(w http.ResponseWriter, v any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, http.StatusOK, v)
}

func intParam(q url.Values, name string, fallback, low, high int) (int, error) {
	s := q.Get(name)
	if s == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%s=%s: not a number from %d to %d", name, short(s, 20), low, high)
	}
	return n, nil
}
