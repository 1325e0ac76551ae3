package site

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
)

// key names a lab of a course.
type key struct{ course, lab string }

// A hub shares one watcher of each lab among all who look at it, and remembers
// what the watcher said last.
type hub struct {
	ctx    context.Context
	watch  func(ctx context.Context, course, lab string, send func([]labs.Verdict))
	linger time.Duration // how long a watcher goes on when nobody looks: longer than a reload takes
	retry  time.Duration // how long to wait when a watcher ends by itself

	mu     sync.Mutex
	feeds  map[key]*feed
	others map[chan struct{}]bool // who looks at no lab
}

// A feed is what is known about one lab, and who wants to know.
type feed struct {
	seen    map[string]sighting // by check id
	epoch   int                 // how often the lab was reset
	news    int                 // how often a watcher said something, or the lab was reset
	lookers map[chan struct{}]bool
	stop    context.CancelFunc // ends the watcher; nil when none runs
	idle    *time.Timer        // calls stop when nobody came back; nil when somebody looks
}

// A sighting is a verdict and since when it is so.
type sighting struct {
	labs.Verdict
	Since time.Time
	First bool // it was so at the first look: it came about before Since
}

func newHub(ctx context.Context, watch func(context.Context, string, string, func([]labs.Verdict))) *hub {
	return &hub{ctx: ctx, watch: watch, linger: 10 * time.Second, retry: 2 * time.Second, feeds: map[key]*feed{},
		others: map[chan struct{}]bool{}}
}

// feed is the feed of a lab. The hub is locked.
func (h *hub) feed(k key) *feed {
	f := h.feeds[k]
	if f == nil {
		f = &feed{seen: map[string]sighting{}, lookers: map[chan struct{}]bool{}}
		h.feeds[k] = f
	}
	return f
}

// join has the lab watched until leave is called. wake receives when there is
// something new; several news may come as one.
func (h *hub) join(k key) (wake <-chan struct{}, leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.feed(k)
	c := make(chan struct{}, 1)
	f.lookers[c] = true
	if f.idle != nil {
		f.idle.Stop()
		f.idle = nil
	}
	if f.stop == nil {
		ctx, stop := context.WithCancel(h.ctx)
		f.stop = stop
		go h.run(ctx, k, f)
	}
	return c, sync.OnceFunc(func() { h.leave(f, c) })
}

// listen is join for a page that is not a lab's.
func (h *hub) listen() (wake <-chan struct{}, leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := make(chan struct{}, 1)
	h.others[c] = true
	return c, func() { h.mu.Lock(); defer h.mu.Unlock(); delete(h.others, c) }
}

func (h *hub) leave(f *feed, c chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(f.lookers, c)
	if len(f.lookers) > 0 {
		return
	}
	var idle *time.Timer
	idle = time.AfterFunc(h.linger, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if f.idle == idle { // else somebody came while this waited for the lock
			f.stop()
			f.stop, f.idle = nil, nil
		}
	})
	f.idle = idle
}

// run watches until ctx ends.
func (h *hub) run(ctx context.Context, k key, f *feed) {
	for ctx.Err() == nil {
		h.watch(ctx, k.course, k.lab, func(vs []labs.Verdict) { h.see(ctx, f, vs) })
		select {
		case <-ctx.Done():
		case <-time.After(h.retry):
		}
	}
}

// see takes in what a watcher says.
func (h *hub) see(ctx context.Context, f *feed, vs []labs.Verdict) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return // a watcher that is slow to end must not speak over the next one
	}
	for _, v := range vs {
		if v.At.IsZero() {
			v.At = time.Now()
		}
		now := sighting{Verdict: v, Since: v.At, First: true}
		if before, ok := f.seen[v.Check]; ok {
			now.First = false
			if before.State == v.State {
				now.Since, now.First = before.Since, before.First
			}
		}
		f.seen[v.Check] = now
	}
	f.news++
	f.wakeAll()
}

func (f *feed) wakeAll() { wake(f.lookers) }

func wake(lookers map[chan struct{}]bool) {
	for c := range lookers {
		select {
		case c <- struct{}{}:
		default: // it has not looked since the last time: it will see this too
		}
	}
}

// wakeAll wakes all who look, whatever they look at.
func (h *hub) wakeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.feeds {
		f.wakeAll()
	}
	wake(h.others)
}

// news counts what was said of a lab.
func (h *hub) news(k key) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.feed(k).news
}

// known is what was last seen of a lab, by check id, and how often it was reset.
func (h *hub) known(k key) (map[string]sighting, int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.feed(k)
	return maps.Clone(f.seen), f.epoch
}

// forget drops what was seen of a lab that was reset and starts its watcher anew.
func (h *hub) forget(k key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.feed(k)
	clear(f.seen)
	f.epoch++
	f.news++
	if f.stop != nil {
		f.stop()
		ctx, stop := context.WithCancel(h.ctx)
		f.stop = stop
		go h.run(ctx, k, f)
	}
	f.wakeAll()
}
