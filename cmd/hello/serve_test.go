package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for what must happen, before it gives up.
const patience = 30 * time.Second

// A running server has an address and, once it has ended, an exit code.
type running struct {
	testProcess
	url  string
	code chan int
}

func start(ctx context.Context, t *testing.T, environ ...string) running {
	t.Helper()
	r := running{testProcess: newProcess(append(environ, "PORT=0", "LISTEN_HOST=127.0.0.1")...), code: make(chan int, 1)}
	go func() { r.code <- r.run(ctx, nil) }()
	r.says(t, "listening on 127.0.0.1:")
	r.url = "http://" + regexp.MustCompile(`listening on (\S+)`).FindStringSubmatch(r.out.String())[1]
	return r
}

func (r running) says(t *testing.T, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(r.out.String(), text) }, patience, time.Millisecond, text)
}

func (r running) ended(t *testing.T) int {
	t.Helper()
	select {
	case code := <-r.code:
		return code
	case <-time.After(patience):
		require.Fail(t, "it does not end", r.out.String())
		return 0
	}
}

func (r running) fetch(path string) answer {
	return fetch(context.Background(), newClient(), request{method: http.MethodGet, url: r.url + path, timeout: patience})
}

// inFlight begins a request, waits until the server has it, and returns where its answer will arrive.
func (r running) inFlight(t *testing.T, path string) <-chan answer {
	t.Helper()
	got := make(chan answer, 1)
	go func() { got <- r.fetch(path) }()
	calls := int64(0)
	require.Eventually(t, func() bool {
		calls++
		var id identity
		require.NoError(t, json.Unmarshal(r.fetch("/api").body, &id))
		return id.Requests > calls
	}, patience, time.Millisecond)
	return got
}

func TestServeStopsWell(t *testing.T) {
	r := start(t.Context(), t, "SHUTDOWN_DELAY=30s", "APP_VERSION=v2")
	slow := r.inFlight(t, "/sleepy/1")
	kept, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	require.NoError(t, err)
	defer kept.Close()
	require.NoError(t, kept.SetDeadline(time.Now().Add(patience)))

	r.signals <- syscall.SIGTERM
	r.says(t, "still serving for 30s")
	assert.Equal(t, 503, r.fetch("/readyz").status, "it says that it is about to end")
	assert.Equal(t, 200, r.fetch("/api").status, "but it still serves new requests")
	_, err = fmt.Fprint(kept, "GET /api HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	text, err := io.ReadAll(kept)
	require.NoError(t, err, "a connection that was open serves one more request, and is closed")
	assert.Contains(t, string(text), "200 OK")
	assert.Contains(t, string(text), "Connection: close")

	r.signals <- syscall.SIGTERM // the second one skips the rest of the delay
	a := <-slow
	require.NoError(t, a.err)
	assert.Equal(t, 200, a.status, "the request in flight is finished")
	assert.Equal(t, "answered after 1s\n", string(a.body))
	assert.Equal(t, exitOK, r.ended(t))
	assert.Equal(t, kindRefused, r.fetch("/").kind)
	r.says(t, "\nstopped\n")
}

func TestServeStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := start(ctx, t, "SHUTDOWN_DELAY=10ms")
	slow := r.inFlight(t, "/sleepy/1")
	cancel()
	assert.Equal(t, 200, (<-slow).status)
	assert.Equal(t, exitOK, r.ended(t))
}

func TestServeInterruptSkipsTheDelay(t *testing.T) {
	r := start(t.Context(), t, "SHUTDOWN_DELAY=1h")
	r.signals <- os.Interrupt
	assert.Equal(t, exitOK, r.ended(t))
}

func TestServeCutsOffAfterDrainTimeout(t *testing.T) {
	r := start(t.Context(), t, "SHUTDOWN_DELAY=0", "DRAIN_TIMEOUT=50ms")
	slow := r.inFlight(t, "/sleepy/600")
	r.signals <- syscall.SIGTERM
	assert.Equal(t, exitFailed, r.ended(t))
	assert.Equal(t, kindReset, (<-slow).kind)
	assert.Contains(t, r.err.String(), "requests in flight were cut off")
}

func TestServeIgnoresSIGTERM(t *testing.T) {
	r := start(t.Context(), t, "IGNORE_SIGTERM=true", "SHUTDOWN_DELAY=1h")
	r.signals <- syscall.SIGTERM
	r.says(t, "SIGTERM ignored")
	assert.Equal(t, 200, r.fetch("/readyz").status)
	r.signals <- os.Interrupt
	assert.Equal(t, exitOK, r.ended(t))
}

func TestServeCrashes(t *testing.T) {
	for _, stopping := range []bool{false, true} {
		r := start(t.Context(), t, "SHUTDOWN_DELAY=1h")
		if stopping {
			r.signals <- syscall.SIGTERM
			r.says(t, "still serving")
		}
		a := fetch(t.Context(), newClient(), request{method: http.MethodPost, url: r.url + "/crash?code=7", timeout: patience})
		assert.Equal(t, 200, a.status)
		assert.Equal(t, 7, r.ended(t))
	}
}

func TestServeStartsLate(t *testing.T) {
	p := newProcess("STARTUP_DELAY=1h", "IGNORE_SIGTERM=true")
	p.signals <- syscall.SIGTERM
	p.signals <- os.Interrupt
	assert.Equal(t, exitOK, p.run(t.Context(), []string{"serve"}), "it can be told to end before it listens")
	assert.Equal(t, "SIGTERM ignored, as IGNORE_SIGTERM says\n", p.out.String())

	r := start(t.Context(), t, "STARTUP_DELAY=10ms")
	r.signals <- os.Interrupt
	assert.Equal(t, exitOK, r.ended(t))
}

func TestServeAdminPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)

	p := newProcess("PORT=0", "LISTEN_HOST=127.0.0.1", "ADMIN_PORT="+port)
	assert.Equal(t, exitFailed, p.run(t.Context(), nil))
	assert.Contains(t, p.err.String(), "address already in use")

	require.NoError(t, l.Close())
	r := start(t.Context(), t, "ADMIN_PORT="+port)
	r.says(t, "admin on 127.0.0.1:"+port)
	post := func(address string) answer {
		return fetch(t.Context(), newClient(), request{method: http.MethodPost, url: address, timeout: patience})
	}
	assert.Equal(t, 200, post("http://127.0.0.1:"+port+"/admin/health?ok=false").status)
	assert.Equal(t, 404, post(r.url+"/admin/health?ok=true").status)
	assert.Equal(t, 500, r.fetch("/healthz").status)
	r.signals <- os.Interrupt
	assert.Equal(t, exitOK, r.ended(t))
}
