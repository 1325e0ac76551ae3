package provision

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHinted(t *testing.T) {
	cause := errors.New("it broke")
	err := fmt.Errorf("up: %w", hint(fmt.Errorf("doing x: %w", cause), "run `%s`", "kindlab doctor"))
	assert.EqualError(t, err, "up: doing x: it broke", "the hint is not part of the text")
	require.ErrorIs(t, err, cause)
	var h *Hinted
	require.ErrorAs(t, err, &h)
	assert.Equal(t, "run `kindlab doctor`", h.Hint)
	require.ErrorAs(t, errors.Join(errors.New("other"), err), &h)
}

func TestRemoteEngine(t *testing.T) {
	for _, c := range []struct{ host, want string }{
		{"unix:///var/run/docker.sock", ""}, {"npipe:////./pipe/docker_engine", ""}, {"fd://", ""}, {"", ""}, {"/var/run/docker.sock", ""},
		{"tcp://localhost:2375", ""}, {"tcp://127.0.0.1:2376", ""}, {"tcp://[::1]:2375", ""}, {"http://localhost", ""}, {":%", ""},
		{"tcp://10.0.0.5:2376", "10.0.0.5"}, {"ssh://ann@build.example.com", "build.example.com"}, {"https://build:2376/x", "build"},
		{"tcp://[fd00::1]:2375", "fd00::1"},
	} {
		assert.Equal(t, c.want, remoteEngine(c.host), c.host)
	}
}

// engine is a Docker Engine that answers with fixed JSON, by the end of the path.
func engine(t *testing.T, answers map[string]string) *client.Client {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.52")
		w.Header().Set("Content-Type", "application/json")
		for end, answer := range answers {
			if strings.HasSuffix(r.URL.Path, end) {
				_, _ = w.Write([]byte(answer))
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"message": "no such thing"}`))
	}))
	t.Cleanup(srv.Close)
	docker, err := client.New(client.WithHost("tcp://" + srv.Listener.Addr().String()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = docker.Close() })
	return docker
}

func TestHasContext(t *testing.T) {
	for _, c := range []struct {
		name, config, env string
		has               bool
	}{
		{"no file", "", "", false},
		{"a login only", `{"auths": {}}`, "", false},
		{"the default one", `{"currentContext": "default"}`, "", false},
		{"another one", `{"currentContext": "rootless"}`, "", true},
		{"by environment", "", "remote", true},
		{"the default by environment", `{"currentContext": "rootless"}`, "default", false},
		{"not readable", `{`, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := t.TempDir()
			t.Setenv("DOCKER_CONFIG", folder)
			t.Setenv("DOCKER_CONTEXT", c.env)
			if c.config != "" {
				require.NoError(t, os.WriteFile(filepath.Join(folder, "config.json"), []byte(c.config), 0o600))
			}
			assert.Equal(t, c.has, hasContext())
		})
	}
}

func TestLook(t *testing.T) {
	docker := engine(t, map[string]string{
		"/_ping": "OK", "/version": `{"Version": "29.1.0", "ApiVersion": "1.52", "Arch": "arm64"}`,
		"/info": `{"NCPU": 3, "MemTotal": 4294967296, "CgroupVersion": "2", "OperatingSystem": "Docker Desktop", "SecurityOptions": ["name=seccomp", "name=rootless"], "DockerRootDir": "/"}`,
	})
	f := Look(t.Context(), docker, 0)
	require.NoError(t, f.DockerErr)
	assert.Equal(t, []any{"29.1.0", "1.52", 3, int64(4294967296), "2", true, true, "", int64(-1), "", 0},
		[]any{f.Engine, f.API, f.CPUs, f.Memory, f.Cgroup, f.Desktop, f.Rootless, f.Remote, f.DiskFree, f.DiskPath, f.SiteFree})

	docker = engine(t, map[string]string{"/_ping": "OK", "/version": `{}`, "/info": `{"DockerRootDir": "/"}`})
	assert.Equal(t, "/", Look(t.Context(), docker, 0).DiskPath)

	f = Look(t.Context(), nil, 0)
	require.Error(t, f.DockerErr)
	gone, err := client.New(client.WithHost("unix://" + t.TempDir() + "/none.sock"))
	require.NoError(t, err)
	f = Look(t.Context(), gone, 40000)
	require.ErrorIs(t, f.DockerErr, ErrDocker)
	assert.Equal(t, 40000, f.SitePort)
}

func TestAttach(t *testing.T) {
	const version = `{"Version": "29.1.0", "ApiVersion": "1.52", "Arch": "arm64"}`
	registry := func(label string) string {
		return `{"Config": {"Labels": {` + label + `}}, "State": {"Running": true}, "HostConfig": {"PortBindings": {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5003"}]}}}`
	}
	for _, c := range []struct {
		name    string
		answers map[string]string
		want    string
	}{
		{"ours", map[string]string{"/_ping": "OK", "/version": version, "/kindlab-registry/json": registry(`"kindlab.part": "registry"`)}, "localhost:5003"},
		{"somebody's", map[string]string{"/_ping": "OK", "/version": version, "/kindlab-registry/json": registry("")}, ""},
		{"none", map[string]string{"/_ping": "OK", "/version": version}, ""},
	} {
		e := &Environment{Docker: engine(t, c.answers), Report: Quiet{}}
		require.NoError(t, e.Attach(t.Context()), c.name)
		assert.Equal(t, c.want, e.Registry, c.name)
		arch, err := e.engineArch(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "arm64", arch)
	}

	gone, err := client.New(client.WithHost("unix://" + t.TempDir() + "/none.sock"))
	require.NoError(t, err)
	e := &Environment{Docker: gone, Report: Quiet{}}
	err = e.Attach(t.Context())
	require.ErrorIs(t, err, ErrDocker)
	var h *Hinted
	require.ErrorAs(t, err, &h)
	assert.Equal(t, Running{Docker: "does not answer: run `kindlab doctor`", Cluster: "unknown", Registry: "unknown", Mesh: "unknown", Metrics: "unknown"}, e.Running(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, e.Attach(ctx), context.Canceled)
}

func TestRunning(t *testing.T) {
	node := func(network, state string) string {
		return `[{"Id": "0123456789abcdef", "Names": ["/kindlab-control-plane"], "Image": "kindest/node:v1", "State": "` + state + `",
			"Labels": {"io.x-k8s.kind.cluster": "kindlab", "io.x-k8s.kind.role": "control-plane"}, "HostConfig": {"NetworkMode": "` + network + `"}}]`
	}
	for _, c := range []struct{ name, list, want string }{
		{"none", `[]`, "not there: run `kindlab up`"},
		{"somebody's", node("kind", "running"), "kindlab, not made by kindlab"},
		{"half-made", node("kindlab", "running"), "kindlab is half-made: run `kindlab up`"},
	} {
		e := &Environment{Cluster: "kindlab", Report: Quiet{}, Docker: engine(t, map[string]string{
			"/_ping": "OK", "/version": `{"Version": "29.1.0", "ApiVersion": "1.52"}`, "/containers/json": c.list})}
		assert.Equal(t, Running{Docker: "version 29.1.0", Cluster: c.want, Registry: "not there: run `kindlab up`", Mesh: "none", Metrics: "none"}, e.Running(t.Context()), c.name)
	}
}
