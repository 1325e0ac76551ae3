package checker

import (
	"context"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
)

// A sample is what came of one request.
type sample struct {
	sent, done time.Time
	answer     httpAnswer // with the beginning of its body
	version    string
}

func (s sample) lost() bool { return s.answer.Error != "" || s.answer.Status >= 500 }

// kind is why a request was lost.
func (s sample) kind() string {
	if s.answer.Error == "" {
		return kindStatus
	}
	return s.answer.Kind
}

// kindStatus is the kind of a lost request that did get an answer.
const kindStatus = "status"

// send sends requests at the check's pace until stop is closed or ctx ends, and tells
// what came of each. One that could not be sent has no sample.
func (c *rolloutCheck) send(ctx context.Context, t *Target, stop <-chan struct{}, came func(s sample, ok bool)) {
	pace := time.NewTicker(time.Second / time.Duration(c.rate()))
	defer pace.Stop()
	var by *expression
	if c.By != "" {
		by, _, _ = compile(c.By, answerVariables())
	}
	var all sync.WaitGroup
	defer all.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-stop:
			return
		case <-pace.C:
		}
		all.Go(func() {
			s, f, err := c.request(ctx, t, by)
			came(s, err == nil && len(f) == 0)
		})
	}
}

// request sends one request; by, which may be nil, makes a version of its answer. A finding
// or an error says why nobody can ask: that is no request, and not the learner's program.
func (c *rolloutCheck) request(ctx context.Context, t *Target, by *expression) (s sample, f []labs.Finding, err error) {
	ctx, cancel := context.WithTimeout(ctx, rolloutTimeout)
	defer cancel()
	asks := c.http()
	u, err := asks.parse()
	if err != nil {
		return s, nil, err
	}
	s.sent = time.Now()
	send, _, f, err := asks.sender(ctx, t)
	if err != nil || len(f) > 0 {
		return s, f, err
	}
	answers, err := send(ctx, t, u)
	if err != nil {
		return s, nil, err
	}
	s.done, s.answer = time.Now(), answers[0]
	if by != nil && s.answer.Error == "" {
		vars := s.answer.variables()
		vars["answers"] = []any{s.answer.variables()}
		if v, err := by.eval(ctx, vars); err == nil {
			s.version = celText(v)
		}
	}
	s.answer.Headers, s.answer.Body = nil, clip(s.answer.Body, 200) // there may be thousands
	return s, nil, nil
}
