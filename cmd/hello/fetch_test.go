package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGet(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	address := backend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-App-Version", "v1")
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/echo", http.StatusFound)
		case "/bad":
			http.Error(w, "no", http.StatusTeapot)
		case "/big":
			io.WriteString(w, strings.Repeat("x", maxBody+1))
		default:
			io.WriteString(w, strings.Join([]string{r.Method, r.Host, r.Header.Get("End-User")}, " "))
		}
	})
	host := strings.TrimPrefix(address, "http://")
	for name, c := range map[string]struct {
		args []string
		code int
		out  string
		err  string
	}{
		"plain":    {[]string{address}, exitOK, "GET " + host + " ", "HTTP 200 OK, "},
		"no proto": {[]string{host}, exitOK, "GET " + host + " ", "HTTP 200 OK, "},
		"headers":  {[]string{"-X", "PUT", "-H", "host: hello.example", "-H", "end-user:ann", address}, exitOK, "PUT hello.example ann", ""},
		"moved":    {[]string{address + "/moved"}, exitOK, "<a href", "HTTP 302 Found"},
		"error":    {[]string{address + "/bad"}, exitFailed, "no\n", "HTTP 418 I'm a teapot"},
		"big":      {[]string{address + "/big"}, exitOK, "xxx", "only the first 1048576 bytes"},
		"refused":  {[]string{"http://127.0.0.1:1"}, exitFailed, "", "hello get: http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProcess()
			assert.Equal(t, c.code, p.run(t.Context(), append([]string{"get"}, c.args...)))
			assert.Contains(t, p.out.String(), c.out)
			assert.Contains(t, p.err.String(), c.err)
			assert.LessOrEqual(t, len(p.out.String()), maxBody)
		})
	}
}

// TestGetAtOnce has a backend that answers only when four requests are there.
func TestGetAtOnce(t *testing.T) {
	var there sync.WaitGroup
	there.Add(4)
	address := backend(t, func(w http.ResponseWriter, r *http.Request) {
		there.Done()
		there.Wait()
		io.WriteString(w, "together\n")
	})
	p := newProcess()
	assert.Equal(t, exitOK, p.run(t.Context(), []string{"get", "-n", "4", "-c", "4", address}))
	assert.Equal(t, strings.Repeat("together\n", 4), p.out.String())

	p = newProcess()
	assert.Equal(t, exitFailed, p.run(t.Context(), []string{"get", "-o", "text", "-n", "90", "-c", "2", "http://127.0.0.1:1"}))
	assert.LessOrEqual(t, strings.Count(p.err.String(), "refused"), 2, "what is not answered is not asked again")
}

func TestGetJSON(t *testing.T) {
	address := backend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-App-Version"] = []string{"v1", "v2"}
		w.Header()["Date"] = nil
		http.Error(w, "<no>", http.StatusServiceUnavailable)
	})
	ask := func(args ...string) map[string]any {
		p := newProcess()
		assert.Equal(t, exitOK, p.run(t.Context(), append([]string{"get", "-o", "json"}, args...)))
		assert.Empty(t, p.err.String())
		assert.Equal(t, 1, strings.Count(p.out.String(), "\n"))
		var v map[string]any
		require.NoError(t, json.Unmarshal([]byte(p.out.String()), &v))
		assert.Contains(t, v, "ms")
		delete(v, "ms")
		return v
	}
	assert.Equal(t, map[string]any{
		"status": 503.0, "body": "<no>\n", "error": "", "kind": "",
		"headers": map[string]any{
			"X-App-Version": "v1, v2", "Content-Type": "text/plain; charset=utf-8", "Content-Length": "5",
			"X-Content-Type-Options": "nosniff",
		},
	}, ask(address))
	assert.Equal(t, map[string]any{
		"status": 0.0, "body": "", "headers": map[string]any{}, "kind": "refused",
		"error": "dial tcp 127.0.0.1:1: connect: connection refused",
	}, ask("127.0.0.1:1"))
}

func TestGetSeveral(t *testing.T) {
	asked := 0
	address := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		io.WriteString(w, strings.Repeat("x", asked))
	})
	p := newProcess()
	assert.Equal(t, exitOK, p.run(t.Context(), []string{"get", "-n", "3", "-o", "json", address}))
	assert.Equal(t, 3, asked)
	lines := strings.Split(strings.TrimSpace(p.out.String()), "\n")
	require.Len(t, lines, 3)
	assert.Contains(t, lines[2], `"body":"xxx"`)

	p = newProcess()
	assert.Equal(t, exitOK, p.run(t.Context(), []string{"get", "-n", "3", "-o", "json", "127.0.0.1:1"}))
	assert.Equal(t, 1, strings.Count(p.out.String(), "\n"), "it goes on after a request that is not answered")

	p = newProcess()
	assert.Equal(t, exitUsage, p.run(t.Context(), []string{"get", "-n", "0", address}))
	assert.Contains(t, p.err.String(), "-n: must be at least 1")
}

func TestFetchUsesANewConnectionEachTime(t *testing.T) {
	remotes := map[string]bool{}
	address := backend(t, func(_ http.ResponseWriter, r *http.Request) { remotes[r.RemoteAddr] = true })
	c := newClient()
	for range 5 {
		require.NoError(t, fetch(t.Context(), c, request{method: "GET", url: address, timeout: patience}).err)
	}
	assert.Len(t, remotes, 5)
}

func TestKindsOfFailure(t *testing.T) {
	half := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "half")
	})
	stuck := backend(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	aborts := backend(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for name, c := range map[string]struct{ url, kind, err string }{
		"half an answer": {half, kindReset, "before the answer was complete"},
		"no answer":      {aborts, kindReset, "before the answer was complete"},
		"stuck":          {stuck, kindTimeout, "timeout after 300ms waiting for the answer"},
		"refused":        {"http://127.0.0.1:1", kindRefused, "connection refused"},
		"no TLS here":    {strings.Replace(half, "http:", "https:", 1), kindOther, "HTTP response to HTTPS client"},
	} {
		a := fetch(t.Context(), newClient(), request{method: "GET", url: c.url, timeout: 300 * time.Millisecond})
		assert.Equal(t, c.kind, a.kind, name)
		assert.ErrorContains(t, a.err, c.err, name)
		assert.NotContains(t, a.err.Error(), "Get ", name)
	}
}

// A name that nobody answers for is told from an address that nobody answers at, also
// in another network, where looking up opens connections of its own.
func TestSilentDNS(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	p := process{dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, silent.LocalAddr().String())
	}}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			a := fetch(t.Context(), p.client(), request{method: "GET", url: "http://web.invalid./", timeout: 200 * time.Millisecond})
			assert.Equal(t, kindDNS, a.kind, "%v", a.err)
			assert.ErrorContains(t, a.err, "timeout")
		})
	}
	all.Wait()
}

func TestExplain(t *testing.T) {
	expired, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for _, c := range []struct {
		ctx  context.Context
		err  error
		step int32
		kind string
		text string
	}{
		{t.Context(), &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}, stepLookup, kindDNS, "lookup x: no such host"},
		{expired, context.DeadlineExceeded, stepLookup, kindDNS, "timeout after 1s looking up the name"},
		{expired, context.DeadlineExceeded, stepConnect, kindTimeout, "timeout after 1s connecting"},
		{expired, context.DeadlineExceeded, stepAnswer, kindTimeout, "timeout after 1s waiting for the answer"},
		{t.Context(), errors.New("odd"), stepAnswer, kindOther, "odd"},
	} {
		p := new(progress)
		p.step.Store(c.step)
		err, kind := explain(c.ctx, c.err, p, time.Second)
		assert.EqualError(t, err, c.text)
		assert.Equal(t, c.kind, kind)
	}
}

func FuzzParseHeader(f *testing.F) {
	for _, s := range []string{"a: b", "host:x", "", ":", "a b: c", "a: b\r\nc: d", "ä: b", "x: \x00", "x:\ty"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, value, err := parseHeader(s)
		if err != nil {
			return
		}
		req, err := http.NewRequest(http.MethodGet, "http://x", nil)
		require.NoError(t, err)
		req.Header.Add(name, value)
		var wire strings.Builder
		require.NoError(t, req.Write(&wire))
		assert.Equal(t, 1, strings.Count(wire.String(), "\r\n\r\n"), "nothing else gets in with it")
		assert.LessOrEqual(t, strings.Count(wire.String(), "\r\n"), 5)
	})
}

func FuzzFlags(f *testing.F) {
	for _, s := range []string{"http://x", "-n 5 x", "x -rate 20/s", "-H a:b x", "-- x", "-rate NaN x", "-rate 1e-9 x", "-c 5 -for 1s x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		p := newProcess()
		o, err := parseLoad(p.process, strings.Fields(line))
		if err != nil {
			return
		}
		assert.NotEmpty(t, o.url)
		assert.Positive(t, o.inFlight)
		assert.LessOrEqual(t, o.inFlight, 1000)
		assert.GreaterOrEqual(t, o.interval, time.Duration(0))
		assert.GreaterOrEqual(t, o.n, 0)
		assert.Positive(t, o.request.timeout)
	})
}
