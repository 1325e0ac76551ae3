//go:build e2e && bench

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/require"
)

// mark is what stands before the number of a change, wherever it is shown.
const mark = "change-"

// A looker is an open page, or an open board: it has a stream of events, and notes
// when it heard of each change first.
type looker struct {
	who string

	mu    sync.Mutex
	heard map[int]time.Time
	bytes int
	ended error
}

// browse opens a stream and returns when the first event is in.
func (r *benchRoom) browse(ctx context.Context, client *http.Client, who, path string) *looker {
	res, err := client.Do(r.request(who, "GET", path, "").WithContext(ctx))
	require.NoError(r.b, err)
	require.Equal(r.b, http.StatusOK, res.StatusCode, path)
	w := &looker{who: who, heard: map[int]time.Time{}}
	first := make(chan struct{})
	go w.read(res.Body, first)
	<-first
	return w
}

func (w *looker) read(body io.ReadCloser, first chan struct{}) {
	defer body.Close()
	in := bufio.NewReader(body)
	open := sync.OnceFunc(func() { close(first) })
	defer open()
	for {
		line, err := in.ReadSlice('\n')
		data := bytes.HasPrefix(line, []byte("data: "))
		for err == bufio.ErrBufferFull { // a long line comes in parts; a mark may be cut in two
			line = bytes.Clone(line)
			var more []byte
			more, err = in.ReadSlice('\n')
			line = append(line, more...)
		}
		at := time.Now()
		w.mu.Lock()
		w.bytes += len(line)
		if data {
			for _, n := range marks(line) {
				if _, known := w.heard[n]; !known {
					w.heard[n] = at
				}
			}
		}
		w.ended = err
		w.mu.Unlock()
		if err != nil {
			return
		}
		if data {
			open()
		}
	}
}

// marks are the numbers of the changes that a line tells of.
func marks(line []byte) []int {
	var out []int
	for {
		_, rest, found := bytes.Cut(line, []byte(mark))
		if !found {
			return out
		}
		end := bytes.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if n, err := strconv.Atoi(string(rest[:max(end, 0)])); err == nil {
			out = append(out, n)
		}
		line = rest
	}
}

// open opens so many pages of everybody, as many at a time as a room does.
func (r *benchRoom) open(ctx context.Context, people []labs.Person, each int, paths ...string) []*looker {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, WriteBufferSize: 1 << 10}}
	var mu sync.Mutex
	var all []*looker
	var waiting sync.WaitGroup
	slots := make(chan struct{}, 20)
	for i, p := range people {
		for j := range each {
			waiting.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				w := r.browse(ctx, client, p.ID, paths[(i+j)%len(paths)]+"events")
				mu.Lock()
				defer mu.Unlock()
				all = append(all, w)
			})
		}
	}
	waiting.Wait()
	return all
}

// lost is how many of the browsers' streams have ended.
func lost(all []*looker) (n int) {
	for _, w := range all {
		w.mu.Lock()
		if w.ended != nil {
			n++
		}
		w.mu.Unlock()
	}
	return n
}

// A change is one that was made, of whose object it was, and when the API server or
// the hub said that it is done.
type change struct {
	who string
	at  time.Time
}

// delays are how long changes took to browsers until they showed them, or a later one
// of the same that had overtaken them; missing is how many never came.
func delays(all []*looker, made map[int]change) (took []time.Duration, overtaken, missing int) {
	for _, w := range all {
		w.mu.Lock()
		heard := map[string]time.Time{} // whose change after this one was heard first
		for _, n := range slices.Backward(slices.Sorted(maps.Keys(made))) {
			c := made[n]
			if w.who != benchInstructor && c.who != "" && c.who != w.who {
				continue
			}
			at, shown := w.heard[n]
			later, known := heard[c.who]
			switch {
			case shown && (!known || at.Before(later)):
				heard[c.who] = at
			case known && !shown:
				overtaken++
			case !shown:
				missing++
				continue
			}
			took = append(took, max(0, heard[c.who].Sub(c.at)))
		}
		w.mu.Unlock()
	}
	return took, overtaken, missing
}

// load has pages loaded, so many a second, each at its time whether or not those before
// have come. What is waited before a request is sent counts too.
func (r *benchRoom) load(perSecond int, d time.Duration, people []labs.Person, paths ...string) (took []time.Duration, failed []string) {
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 500}}
	var mu sync.Mutex
	var all sync.WaitGroup
	begin := time.Now()
	for i := range perSecond * int(d/time.Second) {
		due := begin.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
		time.Sleep(time.Until(due))
		who, path := people[rand.IntN(len(people))].ID, paths[rand.IntN(len(paths))]
		all.Go(func() {
			err := fetch(client, r.request(who, "GET", path, ""))
			late := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, late)
			if err != nil {
				failed = append(failed, err.Error())
			}
		})
	}
	all.Wait()
	client.CloseIdleConnections()
	return took, failed
}

func fetch(client *http.Client, q *http.Request) error {
	res, err := client.Do(q)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s: %s", q.URL.Path, res.Status)
	}
	return nil
}
