package checker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
)

// mostAnswer is the size of the largest answer that is given again, in bytes.
const mostAnswer = 4 << 20

// An answer is what the API server said of a source. It is as good as a new one until
// something is announced of that source, so that checks which read the same, or read
// it again since something else changed, ask once.
type answer struct {
	done     chan struct{} // closed when the rest is known
	response *http.Response
	body     []byte
	err      error
}

// changed has all that read the source ask again, also where an answer is under way:
// it may be older than the change. The cluster's watch is locked.
func (r *readers) changed() { clear(r.answers) }

// answered answers a GET of a source that is watched: with what is known, or by
// sending it. Those who ask for the same at the same time wait for one answer.
func (c *clusterWatch) answered(req *http.Request, s source, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	// The server may answer the same address in several forms.
	key := req.URL.String() + " " + req.Header.Get("Accept")
	for {
		a, mine := c.answer(s, key)
		if a == nil {
			return send(req)
		}
		if mine {
			a.ask(req, send)
			c.settle(s, key, a)
			close(a.done)
			return a.to(req)
		}
		select {
		case <-a.done:
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
		if !errors.Is(a.err, context.Canceled) && !errors.Is(a.err, context.DeadlineExceeded) {
			return a.to(req)
		}
		// Who asked has gone, or had no time left, which says nothing to the others.
	}
}

// answer is the present answer of a source, or a new one that the caller has to ask
// for. It is nil when nobody reads the source any more.
func (c *clusterWatch) answer(s source, key string) (a *answer, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.index[s]
	if r == nil {
		return nil, false
	}
	if a := r.answers[key]; a != nil {
		return a, false
	}
	a = &answer{done: make(chan struct{})}
	r.answers[key] = a
	return a, true
}

// settle forgets an answer that must not be given again.
func (c *clusterWatch) settle(s source, key string, a *answer) {
	if a.err == nil && (a.response.StatusCode == http.StatusOK || a.response.StatusCode == http.StatusNotFound) && len(a.body) <= mostAnswer {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.index[s]; r != nil && r.answers[key] == a {
		delete(r.answers, key)
	}
}

// ask sends the request and takes in the whole answer.
func (a *answer) ask(req *http.Request, send func(*http.Request) (*http.Response, error)) {
	if a.response, a.err = send(req); a.err != nil {
		return
	}
	defer a.response.Body.Close()
	a.body, a.err = io.ReadAll(a.response.Body)
}

// to is the answer as one to the request.
func (a *answer) to(req *http.Request) (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	own := *a.response
	own.Request, own.Header, own.Body = req, a.response.Header.Clone(), io.NopCloser(bytes.NewReader(a.body))
	return &own, nil
}
