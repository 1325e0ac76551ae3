package provision

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorder is a Reporter that remembers.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) say(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

func (r *recorder) Begin(what string) func(string, error) {
	r.say("begin " + what)
	return func(detail string, err error) {
		if err != nil {
			detail = err.Error()
		}
		r.say("end " + what + ": " + detail)
	}
}
func (r *recorder) Note(text string)    { r.say("note " + text) }
func (r *recorder) Echo(command string) { r.say("$ " + command) }

func TestPaths(t *testing.T) {
	e := &Environment{Cluster: "kindlab", State: "state", Work: "work", Attendee: "me"}
	assert.Equal(t, filepath.Join("state", "kube", "kindlab.yaml"), e.Kubeconfig())
	assert.Equal(t, filepath.Join("state", "kube", "kindlab-me-first.yaml"), e.LabKubeconfig("first"))
	assert.Equal(t, "me-first", e.Namespace("first"))
	assert.Equal(t, filepath.Join("work", "course", "first"), e.LabFolder("course", "first"))
}

func TestNeeds(t *testing.T) {
	docker, cluster, mesh := &labs.Lab{Needs: []string{"docker"}}, &labs.Lab{Needs: []string{"docker", "cluster"}}, &labs.Lab{Needs: []string{"mesh"}}
	metrics := &labs.Lab{Needs: []string{"metrics"}}
	for _, c := range []struct {
		name    string
		mode    string
		metrics bool
		labs    []*labs.Lab
		needs   map[string]bool
	}{
		{"nothing", "", false, nil, map[string]bool{}},
		{"what the labs need", "", false, []*labs.Lab{docker, {}, cluster}, map[string]bool{"docker": true, "cluster": true}},
		{"a mesh wants a cluster", "", false, []*labs.Lab{docker, mesh}, map[string]bool{"docker": true, "cluster": true, "mesh": true}},
		{"a mesh that no lab needs", "sidecar", false, []*labs.Lab{docker}, map[string]bool{"docker": true, "cluster": true, "mesh": true}},
		{"metrics want a mesh", "", false, []*labs.Lab{metrics}, map[string]bool{"cluster": true, "mesh": true, "metrics": true}},
		{"metrics that no lab needs", "", true, []*labs.Lab{cluster}, map[string]bool{"docker": true, "cluster": true, "mesh": true, "metrics": true}},
	} {
		e := &Environment{Mesh: Mesh{Mode: c.mode}, Metrics: Metrics{Wanted: c.metrics}}
		course := &labs.Course{Labs: c.labs}
		assert.Equal(t, c.needs, e.needs(course), c.name)
		assert.Equal(t, c.needs["mesh"], e.WantsMesh(course), c.name)
		assert.Equal(t, c.needs["metrics"], e.WantsMetrics(course), c.name)
	}
}

func TestTogether(t *testing.T) {
	a, b := errors.New("a"), errors.New("b")
	fail := func(err error) func() error { return func() error { return err } }
	require.NoError(t, together(t.Context()))
	require.NoError(t, together(t.Context(), fail(nil), fail(nil)))
	err := together(t.Context(), fail(a), fail(nil), fail(b))
	require.ErrorIs(t, err, a)
	require.ErrorIs(t, err, b)
	assert.EqualError(t, err, "a\nb")

	met := make(chan bool)
	require.NoError(t, together(t.Context(), func() error { met <- true; return nil }, func() error { <-met; return nil }), "they run side by side")

	ctx, cancel := context.WithCancel(t.Context())
	done := false
	err = together(ctx, func() error { cancel(); return a }, func() error { <-ctx.Done(); done = true; return b })
	assert.Equal(t, context.Canceled, err, "what an interruption breaks is no error of its own")
	assert.True(t, done, "it waits for all")
}

func TestStep(t *testing.T) {
	r, cause := &recorder{}, errors.New("no")
	require.NoError(t, step(r, "one", func() (string, error) { return "fine", nil }))
	assert.Equal(t, cause, step(r, "two", func() (string, error) { return "", cause }))
	assert.Equal(t, []string{"begin one", "end one: fine", "begin two", "end two: no"}, r.lines)
	require.NoError(t, step(Quiet{}, "three", func() (string, error) { return "", nil }))
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "kube", "a.yaml")
	require.NoError(t, WriteFile(path, []byte("one, and longer")))
	require.NoError(t, os.Chmod(path, 0o644))
	require.NoError(t, WriteFile(path, []byte("two")))
	assert.Equal(t, "two", read(t, path))
	for name, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		require.NoError(t, err)
		assert.Equal(t, want, info.Mode().Perm(), name)
	}

	outside := filepath.Join(t.TempDir(), "theirs")
	write(t, "theirs", outside)
	link := filepath.Join(dir, "kube", "link")
	require.NoError(t, os.Symlink(outside, link))
	require.NoError(t, WriteFile(link, []byte("ours")))
	assert.Equal(t, "theirs", read(t, outside), "a link is replaced, not followed")

	write(t, "x", dir, "kube", "folder", "x")
	require.Error(t, WriteFile(filepath.Join(dir, "kube", "folder"), []byte("x")))
	require.Error(t, WriteFile(filepath.Join(path, "below"), []byte("x")))
	assert.Equal(t, []string{"kube/a.yaml", "kube/folder/x", "kube/link"}, tree(t, dir), "nothing is left behind")
}

func TestHasAll(t *testing.T) {
	have := map[string]string{"a": "1", "b": "2", "empty": ""}
	for _, c := range []struct {
		pairs []string
		want  bool
	}{
		{nil, true}, {[]string{"a=1"}, true}, {[]string{"a=1", "b=2"}, true}, {[]string{"a=1", "b=3"}, false}, {[]string{"a=2"}, false},
		{[]string{"c=1"}, false}, {[]string{"empty="}, true}, {[]string{"a=1=1"}, false},
	} {
		assert.Equal(t, c.want, hasAll(have, c.pairs), "%v", c.pairs)
	}
	assert.False(t, hasAll(nil, []string{"a=1"}))
}

func TestPublishedPort(t *testing.T) {
	ports := func(inside, outside string) network.PortMap {
		return network.PortMap{network.MustParsePort(inside): {{HostPort: outside}}}
	}
	assert.Equal(t, 5003, publishedPort(ports("5000/tcp", "5003")))
	assert.Zero(t, publishedPort(ports("5001/tcp", "5003")))
	assert.Zero(t, publishedPort(ports("5000/tcp", "")))
	assert.Zero(t, publishedPort(network.PortMap{network.MustParsePort("5000/tcp"): nil}))
	assert.Zero(t, publishedPort(nil))
	assert.Zero(t, configuredPort(nil))
	assert.Equal(t, 5003, configuredPort(&container.HostConfig{PortBindings: ports("5000/tcp", "5003")}))
}

func TestOurs(t *testing.T) {
	on := func(mode string, networks ...string) container.Summary {
		c := container.Summary{NetworkSettings: &container.NetworkSettingsSummary{Networks: map[string]*network.EndpointSettings{}}}
		c.HostConfig.NetworkMode = mode
		for _, n := range networks {
			c.NetworkSettings.Networks[n] = &network.EndpointSettings{}
		}
		return c
	}
	assert.True(t, onOurNetwork(on("kindlab")))
	assert.True(t, onOurNetwork(on("bridge", "bridge", "kindlab")))
	assert.False(t, onOurNetwork(on("kind", "kind")))
	assert.False(t, onOurNetwork(container.Summary{}))
}

func TestKindLog(t *testing.T) {
	r := &recorder{}
	l := kindLog{r}
	l.Warn("one")
	l.Warnf("two %d%%", 2)
	l.Error(" three\n")
	l.Errorf("four %s", "4")
	l.Info("")
	l.Info("  \n")
	l.V(0).Info("five")
	l.V(0).Infof("six %d", 6)
	l.V(1).Info("seven")
	l.V(3).Infof("eight %d", 8)
	assert.Equal(t, []string{"$ # kind: one", "$ # kind: two 2%", "$ # kind: three", "$ # kind: four 4", "$ # kind: five", "$ # kind: six 6"}, r.lines)
	assert.True(t, l.V(0).Enabled())
	assert.False(t, l.V(1).Enabled())
}
