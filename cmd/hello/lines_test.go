package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lineBackend is a line server at an address; change may come before it begins.
func lineBackend(t *testing.T, change func(*lineServer)) (s *lineServer, address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s = newLineServer(config{version: "v2"}, log.New(io.Discard, "", 0))
	if change != nil {
		change(s)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.serve(l) }()
	t.Cleanup(func() {
		l.Close()
		assert.NoError(t, <-ended)
		assert.NoError(t, s.shutdown(context.Background()))
	})
	return s, l.Addr().String()
}

func dialLines(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

func writes(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(conn, text)
	require.NoError(t, err)
}

// reads is what comes, up to so many bytes or the end.
func reads(t *testing.T, conn net.Conn, n int64) string {
	t.Helper()
	text, err := io.ReadAll(io.LimitReader(conn, n))
	require.NoError(t, err)
	return string(text)
}

func TestLinesComeBackBehindTheVersion(t *testing.T) {
	_, address := lineBackend(t, nil)
	conn := dialLines(t, address)
	writes(t, conn, "one\ntwo ")
	assert.Equal(t, "v2 one\n", reads(t, conn, 7))
	writes(t, conn, "words\n\n")
	assert.Equal(t, "v2 two words\nv2 \n", reads(t, conn, 17))
}

func TestLineThatIsTooLong(t *testing.T) {
	_, address := lineBackend(t, nil)
	conn := dialLines(t, address)
	writes(t, conn, strings.Repeat("x", maxLine-1)+"\n")
	assert.Len(t, reads(t, conn, maxLine+3), maxLine+3)
	writes(t, conn, strings.Repeat("x", maxLine))
	assert.Equal(t, "v2 the line is longer than 1024 bytes\n", reads(t, conn, 1<<20))
}

func TestLineConnectionThatSaysNothingIsClosed(t *testing.T) {
	_, address := lineBackend(t, func(s *lineServer) { s.idle = 10 * time.Millisecond })
	conn := dialLines(t, address)
	assert.Empty(t, reads(t, conn, 1))
}

// inTheMiddle waits until the server has the beginning of a line.
func inTheMiddle(t *testing.T, s *lineServer) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, busy := range s.open {
			if busy {
				return true
			}
		}
		return false
	}, patience, time.Millisecond)
}

func TestLineThatHasBegunIsAnswered(t *testing.T) {
	s, address := lineBackend(t, nil)
	quiet, busy := dialLines(t, address), dialLines(t, address)
	writes(t, quiet, "a\n")
	assert.Equal(t, "v2 a\n", reads(t, quiet, 5))
	writes(t, busy, "the first half")
	inTheMiddle(t, s)
	ended := make(chan error, 1)
	go func() { ended <- s.shutdown(context.Background()) }()
	assert.Empty(t, reads(t, quiet, 1), "a connection between two lines is closed")
	writes(t, busy, ", the second\nand another\n")
	assert.Equal(t, "v2 the first half, the second\n", reads(t, busy, 30))
	assert.NoError(t, <-ended)
	late, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer late.Close()
	_, err = late.Read(make([]byte, 1))
	assert.Error(t, err)
}

func TestLineThatDoesNotEndIsCutOff(t *testing.T) {
	s, address := lineBackend(t, nil)
	conn := dialLines(t, address)
	writes(t, conn, "never")
	inTheMiddle(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, s.shutdown(ctx), context.Canceled)
}

// freePort is one that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func TestServeAnswersLinesToo(t *testing.T) {
	port := freePort(t)
	r := start(t.Context(), t, "TCP_PORT="+port, "APP_VERSION=v3", "SHUTDOWN_DELAY=1h")
	r.says(t, "hello v3 lines on 127.0.0.1:"+port)
	conn := dialLines(t, "127.0.0.1:"+port)
	writes(t, conn, "hi\n")
	assert.Equal(t, "v3 hi\n", reads(t, conn, 6))
	r.says(t, "LINE hi v3 host-1")
	writes(t, conn, "half a")
	r.signals <- syscall.SIGTERM
	r.says(t, "still serving for 1h")
	writes(t, conn, " line\n")
	assert.Equal(t, "v3 half a line\n", reads(t, conn, 15))
	r.signals <- syscall.SIGTERM
	assert.Equal(t, exitOK, r.ended(t))
	assert.Empty(t, reads(t, conn, 1))
}

func TestServeTakenTCPPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	p := newProcess("PORT=0", "LISTEN_HOST=127.0.0.1", "TCP_PORT="+strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	assert.Equal(t, exitFailed, p.run(t.Context(), nil))
	assert.Contains(t, p.err.String(), "address already in use")
}

func TestGetLines(t *testing.T) {
	_, address := lineBackend(t, nil)
	for name, c := range map[string]struct {
		args     []string
		code     int
		out, err string
	}{
		"plain":       {[]string{"tcp://" + address}, exitOK, "v2 hello, is anybody there?\n", ""},
		"several":     {[]string{"-n", "3", "tcp://" + address}, exitOK, strings.Repeat("v2 hello, is anybody there?\n", 3), ""},
		"lines":       {[]string{"-line", "a b", "-line", "c", "tcp://" + address}, exitOK, "v2 a b\nv2 c\n", ""},
		"refused":     {[]string{"tcp://127.0.0.1:1"}, exitFailed, "", "hello get: tcp://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused\n"},
		"no port":     {[]string{"tcp://echo"}, exitUsage, "", "not an address such as tcp://echo:9000"},
		"line, HTTP":  {[]string{"-line", "a", "http://" + address}, exitUsage, "", "not an address such as tcp://echo:9000"},
		"header":      {[]string{"-H", "a: b", "tcp://" + address}, exitUsage, "", "no such thing in TCP"},
		"end in line": {[]string{"-line", "a\nb", "tcp://" + address}, exitUsage, "", "give one for each line"},
		"of load":     {nil, exitUsage, "", "not a web address"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProcess()
			args := append([]string{"get"}, c.args...)
			if c.args == nil {
				args = []string{"load", "tcp://" + address}
			}
			assert.Equal(t, c.code, p.run(t.Context(), args))
			assert.Equal(t, c.out, p.out.String())
			assert.Contains(t, p.err.String(), c.err)
		})
	}
}

func TestGetLinesJSON(t *testing.T) {
	asked := func(address string, more ...string) map[string]any {
		p := newProcess()
		assert.Equal(t, exitOK, p.run(t.Context(), append([]string{"get", "-o", "json", "tcp://" + address}, more...)))
		var v map[string]any
		require.NoError(t, json.Unmarshal([]byte(p.out.String()), &v))
		delete(v, "ms")
		return v
	}
	_, address := lineBackend(t, nil)
	assert.Equal(t, map[string]any{"status": 0.0, "headers": map[string]any{}, "body": "v2 hello, is anybody there?\n", "error": "", "kind": ""}, asked(address))

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	assert.Equal(t, "timeout", asked(l.Addr().String(), "-timeout", "50ms")["kind"], "nobody accepts")
	go func() {
		conn, err := l.Accept() // the one of before, which has gone
		for err == nil {
			conn.Close()
			conn, err = l.Accept()
		}
	}()
	assert.Equal(t, "reset", asked(l.Addr().String())["kind"])
}
