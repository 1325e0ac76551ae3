package main

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const (
	maxDelay  = time.Minute
	maxSleepy = 10 * time.Minute
)

// getStatus answers with the status that was asked for.
func (a *app) getStatus(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || code < 200 || code > 599 {
		http.Error(w, "not a status from 200 to 599", http.StatusBadRequest)
		return
	}
	w.WriteHeader(code)
	if code != http.StatusNoContent && code != http.StatusNotModified {
		fmt.Fprintln(w, code, http.StatusText(code))
	}
}

// getDelay answers after so many milliseconds, or after a minute when that is less.
func (a *app) getDelay(w http.ResponseWriter, r *http.Request) {
	takeTime(w, r, r.PathValue("ms"), time.Millisecond, maxDelay)
}

// getSleepy answers after so many seconds: a request to be in flight when the process is told to end.
func (a *app) getSleepy(w http.ResponseWriter, r *http.Request) {
	takeTime(w, r, r.PathValue("seconds"), time.Second, maxSleepy)
}

func takeTime(w http.ResponseWriter, r *http.Request, amount string, unit, most time.Duration) {
	n, err := strconv.Atoi(amount)
	if err != nil || n < 0 {
		http.Error(w, "not a number", http.StatusBadRequest)
		return
	}
	d := min(time.Duration(min(n, int(most/unit)))*unit, most)
	if !pause(r.Context(), d) {
		http.Error(w, "the client has left", statusClientLeft)
		return
	}
	fmt.Fprintf(w, "answered after %v\n", d)
}

// getFlaky fails the first so many of each so many requests with the same key.
func (a *app) getFlaky(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	fail, err1 := intParam(q, "fail", 1, 0, maxOf)
	of, err2 := intParam(q, "of", 2, 1, maxOf)
	status, err3 := intParam(q, "status", a.cfg.failStatus, 400, 599)
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	rate, err := newRate(fail, of)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	key := q.Get("key")
	if len(key) > 100 {
		http.Error(w, "the key is longer than 100 bytes", http.StatusBadRequest)
		return
	}
	n := a.flaky.next(key)
	failed := rate.hits(n)
	if !failed {
		status = http.StatusOK
	}
	writeJSON(w, status, map[string]any{"key": key, "request": n + 1, "failed": failed})
}
