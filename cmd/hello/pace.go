package main

import (
	"context"
	"sync"
	"time"
)

// A pacer sends requests at a steady pace and keeps the account. The pace does not wait for answers, unless as many
// requests are in flight as there may be.
type pacer struct {
	plan plan
	send func(context.Context) answer

	mu       sync.Mutex
	begun    time.Time
	counting time.Time // when the first tally began
	counted  int       // of all tallies
	tally    *tally    // nil until the first success, when the plan says once ready
	second   counts    // since the last line of progress
	finished bool
}

// A plan is how to send.
type plan struct {
	url       string
	n         int           // how many, without end when 0
	lasts     time.Duration // for how long, without end when 0
	interval  time.Duration // from one request to the next, none when 0
	inFlight  int           // how many at a time
	onceReady bool          // nothing counts before the first success
	patience  time.Duration // how long to wait for it, without end when 0
}

// maxLag is how much the pace may catch up after the process had to wait.
const maxLag = 100 * time.Millisecond

func newPacer(plan plan, send func(context.Context) answer) *pacer {
	return &pacer{plan: plan, send: send}
}

// run sends until the plan is fulfilled or the context ends, and then waits for the answers to what it has sent.
func (p *pacer) run(ctx context.Context) {
	p.start()
	slots := make(chan struct{}, p.plan.inFlight)
	var sending sync.WaitGroup
	for next := time.Now(); !p.over(next) && pause(ctx, time.Until(next)); {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		t, more := p.take()
		if !more {
			break
		}
		sending.Go(func() {
			p.record(t, p.send(context.WithoutCancel(ctx)))
			<-slots
		})
		next = next.Add(p.plan.interval)
		if lag := time.Since(next); lag > maxLag {
			next = next.Add(lag)
		}
	}
	stopped := time.Now()
	sending.Wait()
	p.finish(stopped)
}

func (p *pacer) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = time.Now()
	if !p.plan.onceReady {
		p.count(p.begun)
	}
}

// count begins to count.
func (p *pacer) count(now time.Time) {
	p.tally, p.counting = newTally(now), now
}

// over tells whether nothing is to be sent at this time or later.
func (p *pacer) over(at time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fulfilled(at)
}

func (p *pacer) fulfilled(at time.Time) bool {
	if p.tally == nil {
		return p.plan.patience > 0 && at.Sub(p.begun) >= p.plan.patience
	}
	return (p.plan.n > 0 && p.counted >= p.plan.n) || (p.plan.lasts > 0 && at.Sub(p.counting) >= p.plan.lasts)
}

// take asks for one more request, and returns the tally it belongs to.
func (p *pacer) take() (*tally, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.fulfilled(now) {
		return nil, false
	}
	if p.tally == nil {
		return nil, true
	}
	p.counted++
	p.tally.sent++
	p.second.sent++
	return p.tally, true
}

// record counts an answer in the tally that its request belongs to, which a reset may have replaced since.
func (p *pacer) record(t *tally, a answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if t == nil { // sent before anything counted
		if p.tally != nil || !succeeded(a) {
			return
		}
		p.count(now)
		p.counted++
		p.tally.sent++
		p.second.sent++
		t = p.tally
	}
	t.add(now, a)
	if t == p.tally {
		p.second.add(a)
	}
}

// finish ends the tally at the time when the sending stopped, or at the last answer that counts.
func (p *pacer) finish(stopped time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finished = true
	if p.tally != nil {
		p.tally.end(stopped)
	}
}

func (p *pacer) report() report {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tally.report(p.plan.url, time.Now())
}

// reset begins a new tally, and returns the report on the old one. What is still in flight is in neither.
func (p *pacer) reset() report {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	old := p.tally.report(p.plan.url, now)
	if p.tally != nil {
		p.tally = newTally(now)
		if p.finished {
			p.tally.end(now)
		}
	}
	p.second = counts{}
	return old
}

// sinceLast returns what happened since it was last asked.
func (p *pacer) sinceLast() counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.second
	p.second = counts{}
	return c
}
