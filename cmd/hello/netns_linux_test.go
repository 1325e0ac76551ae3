package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestGetInAnotherNetwork has a server in a network of its own, at an address that
// something else has in this one.
func TestGetInAnotherNetwork(t *testing.T) {
	here := backend(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "here") })
	type made struct {
		network *os.File
		l       net.Listener
		err     error
	}
	there := make(chan made)
	go func() {
		runtime.LockOSThread() // for ever: see dialIn
		var m made
		if m.err = unix.Unshare(unix.CLONE_NEWNET); m.err == nil {
			m.err = loopbackUp()
		}
		if m.err == nil {
			m.network, m.err = os.Open("/proc/thread-self/ns/net")
		}
		if m.err == nil {
			m.l, m.err = net.Listen("tcp", here[len("http://"):])
		}
		there <- m
	}()
	m := <-there
	if errors.Is(m.err, unix.EPERM) {
		t.Skip("a network can be made by root only")
	}
	require.NoError(t, m.err)
	defer m.network.Close()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "there") })}
	go server.Serve(m.l)
	defer server.Close()

	p := newProcess()
	assert.Equal(t, exitOK, p.run(t.Context(), []string{"get", here}))
	assert.Equal(t, "here", p.out.String())
	p = newProcess()
	p.dial = dialIn(m.network)
	assert.Equal(t, exitOK, p.run(t.Context(), []string{"get", "-n", "2", "-c", "2", here}))
	assert.Equal(t, "therethere", p.out.String())
	p = newProcess()
	p.dial = dialIn(m.network)
	assert.Equal(t, exitOK, p.run(t.Context(), []string{"get", "-o", "json", "http://127.0.0.1:1"}))
	assert.Contains(t, p.out.String(), `"kind":"refused"`)
}

func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo)
}
