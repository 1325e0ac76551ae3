package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// An identity is how the application describes itself.
type identity struct {
	App            string            `json:"app"`
	Version        string            `json:"version"`
	Colour         string            `json:"colour"`
	Message        string            `json:"message"`
	Pod            string            `json:"pod"`
	Node           string            `json:"node"`
	Namespace      string            `json:"namespace"`
	PodIP          string            `json:"podIP"`
	ServiceAccount string            `json:"serviceAccount"`
	Started        time.Time         `json:"started"`
	Requests       int64             `json:"requests"`
	Headers        map[string]string `json:"headers"`
	Backend        *upstream         `json:"backend,omitempty"`
}

// An upstream is what the backend said: the body as JSON if it is JSON, as a string otherwise.
type upstream struct {
	URL    string          `json:"url"`
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body,omitempty"`
	Error  string          `json:"error"`
	Kind   string          `json:"kind"`
	Ms     int64           `json:"ms"`
}

func (a *app) getAPI(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, a.identity(r))
}

// getChain is the same as /api, but its status tells how the backend did.
func (a *app) getChain(w http.ResponseWriter, r *http.Request) {
	id, status := a.identity(r), http.StatusOK
	switch b := id.Backend; {
	case b == nil:
	case b.Kind == kindTimeout, b.Status == http.StatusGatewayTimeout:
		status = http.StatusGatewayTimeout
	case b.Error != "", b.Status >= 400:
		status = http.StatusBadGateway
	}
	writeJSON(w, status, id)
}

func (a *app) identity(r *http.Request) identity {
	return identity{
		App:            a.cfg.name,
		Version:        a.cfg.version,
		Colour:         a.cfg.colour,
		Message:        a.cfg.message,
		Pod:            a.cfg.pod,
		Node:           a.cfg.node,
		Namespace:      a.cfg.namespace,
		PodIP:          a.cfg.podIP,
		ServiceAccount: a.cfg.serviceAccount,
		Started:        a.started.UTC().Truncate(time.Second),
		Requests:       a.requests.Load(),
		Headers:        headersOfInterest(r.Header),
		Backend:        a.callBackend(r),
	}
}

// hopHeader counts the backends a request has passed, so that a ring of them ends.
const (
	hopHeader = "X-Hello-Hops"
	maxHops   = 10
)

// callBackend asks the next tier, and is nil when there is none. It always has an answer.
func (a *app) callBackend(r *http.Request) *upstream {
	if a.cfg.backend == "" {
		return nil
	}
	u := &upstream{URL: redacted(a.cfg.backend)}
	hops, _ := strconv.Atoi(r.Header.Get(hopHeader))
	if hops >= maxHops {
		u.Error, u.Kind = "more than "+strconv.Itoa(maxHops)+" backends in a row", kindOther
		return u
	}
	header := forwarded(r.Header)
	header.Set(hopHeader, strconv.Itoa(hops+1))
	got := fetch(r.Context(), a.client, request{
		method: http.MethodGet, url: a.cfg.backend, header: header, timeout: a.cfg.backendTimeout,
	})
	u.Status, u.Kind, u.Ms = got.status, got.kind, got.took.Milliseconds()
	if got.err != nil {
		u.Error = got.err.Error()
	}
	switch {
	case len(got.body) == 0:
	case json.Valid(got.body) && utf8.Valid(got.body):
		u.Body = got.body
	default:
		u.Body, _ = json.Marshal(string(got.body))
	}
	return u
}

func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Redacted()
}

// carried are the headers that belong to the whole way of a request: its trace, and on whose behalf it is made.
func carried(name string) bool {
	switch name = strings.ToLower(name); name {
	case "x-request-id", "traceparent", "tracestate", "baggage", "b3", "x-ot-span-context",
		"end-user", "x-user", "user-agent":
		return true
	}
	return strings.HasPrefix(name, "x-b3-")
}

func forwarded(from http.Header) http.Header {
	to := http.Header{}
	for name, values := range from {
		if carried(name) {
			to[name] = slices.Clone(values)
		}
	}
	return to
}

// headersOfInterest are the carried ones and those that proxies add.
func headersOfInterest(h http.Header) map[string]string {
	seen := map[string]string{}
	for name, values := range h {
		lower := strings.ToLower(name)
		if carried(name) || strings.HasPrefix(lower, "x-forwarded-") || strings.HasPrefix(lower, "x-envoy-") {
			seen[lower] = strings.Join(values, ", ")
		}
	}
	return seen
}
