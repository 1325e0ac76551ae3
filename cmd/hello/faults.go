package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// maxOf bounds the second number of a rate.
const maxOf = 1_000_000

// A rate is how many of each so many requests fail: the first ones. The zero rate fails none.
type rate struct{ fail, of int }

// parseRate reads 2/5 as two of each five. Nothing and 0 are the rate that fails none.
func parseRate(s string) (rate, error) {
	if s == "" || s == "0" {
		return rate{}, nil
	}
	a, b, found := strings.Cut(s, "/")
	fail, err1 := strconv.Atoi(a)
	of, err2 := strconv.Atoi(b)
	if !found || err1 != nil || err2 != nil {
		return rate{}, errors.New("not a rate such as 2/5 (two of each five)")
	}
	return newRate(fail, of)
}

func newRate(fail, of int) (rate, error) {
	if of < 1 || of > maxOf || fail < 0 || fail > of {
		return rate{}, fmt.Errorf("%d of each %d is not possible", fail, of)
	}
	return rate{fail, of}, nil
}

// hits tells whether the request with this number, counted from 0, fails.
func (r rate) hits(n int64) bool { return r.of > 0 && n%int64(r.of) < int64(r.fail) }

func (r rate) String() string { return fmt.Sprintf("%d/%d", r.fail, max(r.of, 1)) }

// faults are the failures of the application itself.
type faults struct {
	mu     sync.Mutex
	rate   rate
	status int
	n      int64
}

// set changes the rate and begins to count anew; status 0 keeps the status.
func (f *faults) set(r rate, status int) (rate, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rate, f.n = r, 0
	if status != 0 {
		f.status = status
	}
	return f.rate, f.status
}

// next counts a request and returns the status it fails with, or 0.
func (f *faults) next() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.n
	f.n++
	if f.rate.hits(n) {
		return f.status
	}
	return 0
}

// maxKeys is how many counters there can be; the oldest one makes room for a new one.
const maxKeys = 1000

// counters count by key, from 0.
type counters struct {
	mu    sync.Mutex
	count map[string]int64
	order []string
}

func (c *counters) next(key string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, known := c.count[key]
	if !known {
		if len(c.order) == maxKeys {
			delete(c.count, c.order[0])
			c.order = c.order[1:]
		}
		if c.count == nil {
			c.count = map[string]int64{}
		}
		c.order = append(c.order, key)
	}
	c.count[key] = n + 1
	return n
}
