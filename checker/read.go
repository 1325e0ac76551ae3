package checker

import (
	"errors"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// mostRequests is how many questions to a cluster are asked at a time.
const mostRequests = 64

// A reading sends requests to a cluster's API server. Of each that reads objects it
// tells the listener of the request's context, which is how the engine knows what
// a check depends on.
type reading struct {
	next  http.RoundTripper
	slots chan struct{}
}

func newReading(next http.RoundTripper) http.RoundTripper {
	return &reading{next: next, slots: make(chan struct{}, mostRequests)}
}

// RoundTrip implements [http.RoundTripper].
func (r *reading) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	l := listenerOf(ctx)
	if s, ok := sourceOf(req.URL.Path); ok && req.Method == http.MethodGet {
		fact(ctx, "read %s", s)
		if l != nil && l.reads(ctx, s) && !l.fresh && !l.wrote.Load() {
			return l.cluster.answered(req, s, r.send)
		}
	} else if l != nil && req.Method != http.MethodGet {
		l.wrote.Store(true)
	}
	return r.send(req)
}

// send sends a request when there is room for it.
func (r *reading) send(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-r.slots }()
	return atOnce{next: r.next}.RoundTrip(req)
}

// An atOnce sends requests too, and says at once that a connection is lost. The
// client library would try 10 times, a second apart.
type atOnce struct {
	next http.RoundTripper
	also func(error) bool // what else is a lost connection
}

// failAtOnce is an atOnce for watches. The library takes one that could not be begun in
// time for one that ended without news.
func failAtOnce(next http.RoundTripper) http.RoundTripper { return atOnce{next, utilnet.IsTimeout} }

// RoundTrip implements [http.RoundTripper].
func (a atOnce) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := a.next.RoundTrip(req)
	if err != nil && (utilnet.IsProbableEOF(err) || utilnet.IsConnectionReset(err) || utilnet.IsHTTP2ConnectionLost(err) || a.also != nil && a.also(err)) {
		return nil, errBroken
	}
	return resp, err
}

// errBroken is no error that the library knows.
var errBroken = errors.New("the connection broke off")

// WrappedRoundTripper is asked by the client library when it gives up a request.
func (r *reading) WrappedRoundTripper() http.RoundTripper { return r.next }

// WrappedRoundTripper is asked by the client library when it gives up a request.
func (a atOnce) WrappedRoundTripper() http.RoundTripper { return a.next }

// sourceOf is what a path of the Kubernetes API reads: see "API concepts, resource
// URIs" in its documentation. ok is false for what is no object, such as the
// discovery of kinds, and for parts of an object, such as a pod's log.
func sourceOf(path string) (s source, ok bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var gv schema.GroupVersion
	switch {
	case len(parts) > 2 && parts[0] == "api":
		gv.Version, parts = parts[1], parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		gv.Group, gv.Version, parts = parts[1], parts[2], parts[3:]
	default:
		return source{}, false
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		s.namespace, parts = parts[1], parts[2:]
	}
	s.resource = gv.WithResource(parts[0])
	switch len(parts) {
	case 1:
		return s, true
	case 2:
		s.name = parts[1]
		return s, true
	}
	return source{}, false
}
