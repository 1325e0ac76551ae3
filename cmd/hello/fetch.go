package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Why a request got no answer.
const (
	kindDNS     = "dns"
	kindRefused = "refused"
	kindTimeout = "timeout"
	kindReset   = "reset"
	kindOther   = "other"
)

// maxBody is how much of an answer is read.
const maxBody = 1 << 20

type request struct {
	method, url string
	header      http.Header
	timeout     time.Duration
}

// An answer is what came of a request. With an error there may still be a status, when the answer broke off.
type answer struct {
	status    int
	header    http.Header
	body      []byte
	truncated bool
	err       error
	kind      string
	took      time.Duration
}

// newClient makes a client that opens a new connection for each request, follows nothing, and asks no proxy.
func newClient() *http.Client { return process{}.client() }

// client is a client in the network that the process asks in.
func (p process) client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true, DialContext: p.dialName},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// fetch sends one request and reads its answer.
func fetch(ctx context.Context, c *http.Client, r request) answer {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	step := new(progress)
	a := attempt(httptrace.WithClientTrace(ctx, step.trace()), c, r)
	a.took = time.Since(begin)
	if a.err != nil {
		a.err, a.kind = explain(ctx, a.err, step, r.timeout)
	}
	return a
}

func attempt(ctx context.Context, c *http.Client, r request) answer {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, nil)
	if err != nil {
		return answer{err: err}
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	req.Host = req.Header.Get("Host") // when empty, the one in the address
	req.Header.Del("Host")
	resp, err := c.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	a.body, a.err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if len(a.body) > maxBody {
		a.body, a.truncated = a.body[:maxBody], true
	}
	return a
}

// progress is how far a request has come, so that a timeout can tell what it waited for.
type progress struct{ step atomic.Int32 }

const (
	stepLookup = iota + 1
	stepConnect
	stepAnswer
)

func (p *progress) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart:     func(httptrace.DNSStartInfo) { p.step.Store(stepLookup) },
		ConnectStart: func(string, string) { p.step.Store(stepConnect) },
		GotConn:      func(httptrace.GotConnInfo) { p.step.Store(stepAnswer) },
	}
}

// explain says what went wrong without the words that say nothing, and of which kind it is.
func explain(ctx context.Context, err error, p *progress, timeout time.Duration) (error, string) {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var dns *net.DNSError
	var network net.Error
	switch {
	case errors.As(err, &dns):
		return err, kindDNS
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		switch p.step.Load() {
		case stepLookup:
			return fmt.Errorf("timeout after %v looking up the name", timeout), kindDNS
		case stepConnect:
			return fmt.Errorf("timeout after %v connecting", timeout), kindTimeout
		}
		return fmt.Errorf("timeout after %v waiting for the answer", timeout), kindTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return err, kindRefused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("connection closed before the answer was complete: %w", err), kindReset
	}
	return err, kindOther
}

// address reads a URL as people type it: http is meant when nothing is said.
func address(s string) (string, error) {
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", err
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return "", fmt.Errorf("%q is not a web address", s)
	}
	return s, nil
}

// headers is the flag -H, which may be given several times.
type headers http.Header

func (h headers) String() string { return "" }

func (h headers) Set(s string) error {
	name, value, err := parseHeader(s)
	if err != nil {
		return err
	}
	http.Header(h).Add(name, value)
	return nil
}

// parseHeader reads "name: value".
func parseHeader(s string) (name, value string, err error) {
	name, value, found := strings.Cut(s, ":")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !found || name == "" {
		return "", "", errors.New(`not a header such as "end-user: ann"`)
	}
	for _, c := range []byte(name) {
		if !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) &&
			(c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return "", "", fmt.Errorf("%q cannot be in the name of a header", c)
		}
	}
	for _, c := range []byte(value) {
		if (c < ' ' && c != '\t') || c == 0x7f {
			return "", "", fmt.Errorf("%q cannot be in a header", c)
		}
	}
	return name, value, nil
}

// wantsJSON reads the flag -o.
func wantsJSON(format string) (bool, error) {
	switch format {
	case "text":
		return false, nil
	case "json":
		return true, nil
	}
	return false, fmt.Errorf("-o %s: not text or json", format)
}
