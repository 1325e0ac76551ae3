package provision

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRunRegistry: the registry takes the first port that is free, for us and for the engine.
func TestRunRegistry(t *testing.T) {
	const refused = "driver failed programming external connectivity: Bind for 127.0.0.1:%d failed: port is already allocated"
	for _, c := range []struct {
		name    string
		held    int            // how many ports from the first on another program of this machine has
		starts  map[int]string // what the engine says when it starts the container on the first, second … port
		want    int            // the port in the end, counted from the first
		wantErr string
	}{
		{name: "free"},
		{name: "another program has it", held: 1, want: 1},
		{name: "two are taken", held: 2, want: 2},
		{name: "taken where we cannot see it", starts: map[int]string{0: refused, 1: "listen tcp4 127.0.0.1: bind: address already in use"}, want: 2},
		{name: "another trouble", starts: map[int]string{0: "no space left on device"}, wantErr: "starting the registry: .*no space left on device"},
		{name: "all are taken", held: portTries, wantErr: `no free port for the registry from \d+ to \d+: port \d+ is taken`},
	} {
		t.Run(c.name, func(t *testing.T) {
			firstPort := freeRun(t, portTries)
			for i := range c.held {
				l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(firstPort+i))
				require.NoError(t, err)
				t.Cleanup(func() { _ = l.Close() })
			}
			e := &registryEngine{fail: map[int]string{}}
			for i, text := range c.starts {
				e.fail[firstPort+i] = text
			}
			got, err := (&Environment{Docker: e.client(t), Report: Quiet{}}).runRegistry(t.Context(), firstPort)
			if c.wantErr != "" {
				require.Regexp(t, c.wantErr, err)
				assert.Zero(t, e.port, "no container is left")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, firstPort+c.want, got)
			assert.Equal(t, got, e.port)
			assert.True(t, e.running)
			assert.Equal(t, "127.0.0.1", e.host, "nobody else's machine reaches it")
		})
	}
}

// freeRun is the first of n ports in a row that are free.
func freeRun(t *testing.T, n int) int {
	t.Helper()
	for port := 21000; port < 30000; port += n {
		free := 0
		for free < n && PortFree(port+free) {
			free++
		}
		if free == n {
			return port
		}
	}
	t.Fatal("no free ports")
	return 0
}

// A registryEngine is a Docker Engine that knows one container.
type registryEngine struct {
	fail    map[int]string // why a start on this host port does not work
	host    string
	port    int // of the container; 0 when there is none
	running bool
}

func (e *registryEngine) client(t *testing.T) *client.Client {
	t.Helper()
	srv := httptest.NewServer(e)
	t.Cleanup(srv.Close)
	docker, err := client.New(client.WithHost("tcp://" + srv.Listener.Addr().String()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = docker.Close() })
	return docker
}

func (e *registryEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Api-Version", "1.52")
	w.Header().Set("Content-Type", "application/json")
	answer := func(code int, body any) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(body)
	}
	fail := func(code int, text string) { answer(code, map[string]string{"message": text}) }
	switch {
	case path.Base(r.URL.Path) == "_ping":
		_, _ = w.Write([]byte("OK"))
	case strings.HasSuffix(r.URL.Path, "/containers/create"):
		var body struct {
			HostConfig struct {
				PortBindings map[string][]struct{ HostIp, HostPort string }
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || e.port != 0 {
			fail(http.StatusConflict, "a container of this name is there already")
			return
		}
		binding := body.HostConfig.PortBindings["5000/tcp"][0]
		e.host = binding.HostIp
		e.port, _ = strconv.Atoi(binding.HostPort)
		answer(http.StatusCreated, map[string]any{"Id": "0123456789abcdef"})
	case strings.HasSuffix(r.URL.Path, "/start"):
		if text := e.fail[e.port]; text != "" {
			fail(http.StatusInternalServerError, text)
			return
		}
		e.running = true
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodDelete:
		e.port, e.running = 0, false
		w.WriteHeader(http.StatusNoContent)
	default:
		fail(http.StatusNotFound, "no such thing: "+r.URL.Path)
	}
}
