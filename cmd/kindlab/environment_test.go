//go:build e2e && unix

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEnvironment is the life of one environment: starts that go wrong, the one that
// succeeds, what a learner does in it, what happens to it, and its end. Each stage
// builds on the one before.
func TestEnvironment(t *testing.T) {
	p := newPlace(t, "life")
	hadRegistry := exists(t, "container", "kindlab-registry")
	if !hadRegistry { // then ours must step over the port that another program has
		l, err := net.Listen("tcp", "127.0.0.1:5001")
		require.NoError(t, err, "port 5001 should be free: there is no registry")
		t.Cleanup(func() { _ = l.Close() })
	}
	stage := func(name string, f func(t *testing.T)) {
		t.Helper()
		if !t.Run(name, f) {
			t.FailNow()
		}
	}
	stage("node image that does not exist", p.noImage)
	for _, after := range []time.Duration{500 * time.Millisecond, 5 * time.Second, 12 * time.Second} {
		stage("Ctrl-C after "+after.String(), func(t *testing.T) { p.interrupt(t, after) })
	}
	stage("killed half-way", p.killed)
	stage("begun anew, Ctrl-C while the labs are made", p.interruptLabs)
	stage("up", p.up)
	stage("registry port", func(t *testing.T) { p.registryPort(t, hadRegistry) })
	stage("nothing is solved yet", p.unsolved)
	stage("kubectl and helm", p.tools)
	stage("up again", p.upAgain)
	stage("stopped and started", p.stopped)
	stage("port of the pages is taken", p.portTaken)
	stage("down", p.down)
}

// TestForeignCluster: a kind cluster of the same name that kindlab did not make.
func TestForeignCluster(t *testing.T) {
	p := newPlace(t, "foreign")
	create := []string{"kind", "create", "cluster", "--name", p.cluster, "--kubeconfig", filepath.Join(p.dir, "foreign")}
	if image := os.Getenv("KINDLAB_NODE_IMAGE"); image != "" {
		create = append(create, "--image", image)
	}
	t.Cleanup(func() {
		tool(t, "kind", "delete", "cluster", "--name", p.cluster, "--kubeconfig", filepath.Join(p.dir, "foreign"))
	})
	tool(t, create...)
	before := p.nodes(t)
	require.Len(t, before, 1)

	out := p.run(t, exitCannot, "up", "--no-site", p.course)
	assert.Contains(t, out, "a kind cluster called "+p.cluster+" is there already, and kindlab did not make it")
	assert.Regexp(t, `next: .*kind delete cluster --name `+p.cluster+`.*--cluster NAME`, out)
	assert.Regexp(t, `cluster +`+p.cluster+`, not made by kindlab`, p.run(t, exitSolved, "status"))
	p.run(t, exitCannot, "check")
	assert.Contains(t, p.run(t, exitSolved, "down"), "not ours: left alone")

	assert.Equal(t, before, p.nodes(t), "the foreign cluster is the same as before")
	assert.Equal(t, "true", tool(t, "docker", "inspect", "-f", "{{.State.Running}}", before[0]), "and still runs")
	p.untouched(t)
}

func (p *place) noImage(t *testing.T) {
	out := p.run(t, exitCannot, "up", "--no-site", "--node-image", "localhost:1/no-such-image:1", p.course)
	assert.Contains(t, out, "node image localhost:1/no-such-image:1 is not in Docker and cannot be pulled")
	assert.Regexp(t, `next: .*--node-image`, out)
	assert.Empty(t, p.nodes(t), "no node is left")
	assert.NoFileExists(t, p.kubeconfig())
}

func (p *place) interrupt(t *testing.T, after time.Duration) {
	up := p.start(t, "up", "--no-site", p.course)
	// A program that has not begun yet is ended by the signal itself.
	require.Eventually(t, func() bool { return up.ended() || strings.Contains(up.out.String(), "preflight") }, time.Minute, 10*time.Millisecond)
	select {
	case <-up.done:
	case <-time.After(after):
	}
	out, code, took := up.interrupt(t)
	t.Logf("Ctrl-C took %s", took)
	if code == exitSolved {
		t.Logf("up was done before %s", after)
		return
	}
	require.Equal(t, exitCannot, code, out)
	assert.Contains(t, out, "interrupted; run the same command again")
	assert.Empty(t, p.nodes(t), "no half-made node is left")
	assert.NoFileExists(t, p.kubeconfig())
	assert.Regexp(t, `cluster +not there`, p.run(t, exitSolved, "status"))
	p.untouched(t)
}

func (p *place) killed(t *testing.T) {
	up := p.start(t, "up", "--no-site", p.course)
	require.Eventually(t, func() bool { return len(p.nodes(t)) > 0 || up.ended() }, time.Minute, 200*time.Millisecond, "no node is made")
	time.Sleep(3 * time.Second) // let it get on: nothing can be watched that says half-way
	require.False(t, up.ended(), "up has ended by itself: %s", up.out)
	require.NoError(t, up.cmd.Process.Kill())
	<-up.done
	assert.Len(t, p.nodes(t), 1, "what was half-made is there")
	assert.Regexp(t, `cluster +`+p.cluster+" is half-made: run `kindlab up`", p.run(t, exitSolved, "status"))
	p.run(t, exitCannot, "check")
}

func (p *place) interruptLabs(t *testing.T) {
	up := p.start(t, "up", "--no-site", p.course)
	up.await(t, `✓ cluster  `)
	out, code, _ := up.interrupt(t)
	assert.Contains(t, out, "an earlier start was cut off half-way")
	assert.Contains(t, []int{exitSolved, exitCannot}, code, out)
	assert.Len(t, p.nodes(t), 1, "the cluster is made, and stays")
}

func (p *place) up(t *testing.T) {
	out := p.run(t, exitSolved, "up", "--no-site", p.course)
	assert.Regexp(t, `✓ cluster .*there already`, out)
	assert.Contains(t, out, "Ready after ")
	assert.FileExists(t, p.file("notes.txt"))
	p.untouched(t)
}

func (p *place) registryPort(t *testing.T, hadRegistry bool) {
	status := p.run(t, exitSolved, "status", "-o", "json")
	var is struct{ Running struct{ Registry string } }
	require.NoError(t, json.Unmarshal([]byte(status), &is))
	published := tool(t, "docker", "inspect", "-f", `{{(index (index .NetworkSettings.Ports "5000/tcp") 0).HostPort}}`, "kindlab-registry")
	assert.Equal(t, "localhost:"+published, is.Running.Registry)
	if !hadRegistry {
		assert.NotEqual(t, "localhost:5001", is.Running.Registry, "port 5001 is taken by this test")
	}
	resp, err := http.Get("http://" + is.Running.Registry + "/v2/hello/tags/list")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, errors.Join(err, resp.Body.Close()))
	assert.Contains(t, string(body), `"v1"`)
}

func (p *place) unsolved(t *testing.T) {
	out := p.run(t, exitNotSolved, "check")
	assert.Contains(t, out, "✗ The ConfigMap mine says ")
	var verdicts []labs.Verdict
	require.NoError(t, json.Unmarshal([]byte(p.run(t, exitNotSolved, "check", "web", "-o", "json")), &verdicts))
	require.Len(t, verdicts, 1)
	assert.Equal(t, labs.Failing, verdicts[0].State)
}

func (p *place) tools(t *testing.T) {
	assert.Equal(t, "configmap/start", p.run(t, 0, "kubectl", "get", "configmap", "start", "-o", "name"))
	assert.Contains(t, p.run(t, 1, "kubectl", "get", "configmap", "none"), "not found")
	p.run(t, 0, "kubectl", "rollout", "status", "-n", "kindlab-system", "daemonset/probe", "--timeout=60s")
	p.run(t, 2, "kubectl", "exec", "-n", "kindlab-system", "daemonset/probe", "--", "/hello", "no-such-mode")
	p.run(t, 0, "helm", "install", "mine", p.file("chart"))
	assert.Equal(t, "mine", p.run(t, 0, "helm", "list", "--short"))
	assert.Contains(t, p.run(t, 0, "kubectl", "get", "configmap", "mine-config", "-o", "yaml"), "by: helm")
	assert.Contains(t, p.run(t, 1, "helm", "status", "none"), "not found")
	p.run(t, 0, "solve", "web/make-your-own")
	p.run(t, 0, "check")
	p.untouched(t)
}

// facts are what a second up must not change.
func (p *place) facts(t *testing.T) []string {
	return append(p.nodes(t),
		p.run(t, 0, "kubectl", "get", "namespace", p.me+"-web", "-o", "jsonpath={.metadata.uid}"),
		p.run(t, 0, "kubectl", "get", "configmap", "mine", "-o", "jsonpath={.metadata.uid}"))
}

func (p *place) upAgain(t *testing.T) {
	require.NoError(t, os.WriteFile(p.file("notes.txt"), []byte("my own words"), 0o644))
	p.run(t, 0, "kubectl", "delete", "configmap", "start")
	before := p.facts(t)
	started := time.Now()
	out := p.run(t, exitSolved, "up", "--no-site") // the course is remembered
	took := time.Since(started)
	t.Logf("a second up takes %s", took)
	assert.Less(t, took, 15*time.Second)
	assert.Regexp(t, `✓ cluster .*there already`, out)
	assert.Regexp(t, `✓ labs .*all there already`, out)
	assert.Equal(t, before, p.facts(t))
	notes, err := os.ReadFile(p.file("notes.txt"))
	require.NoError(t, err)
	assert.Equal(t, "my own words", string(notes), "the learner's file is kept")
	p.run(t, 1, "kubectl", "get", "configmap", "start") // and what they removed stays away
}

func (p *place) stopped(t *testing.T) {
	before := p.facts(t)
	tool(t, "docker", "stop", "-t", "5", before[0])
	assert.Regexp(t, `cluster +`+p.cluster+" is stopped: run `kindlab up`", p.run(t, exitSolved, "status"))
	out := p.run(t, exitCannot, "check")
	assert.NotContains(t, out, "✗")
	assert.Contains(t, out, "next: run `kindlab up`")
	assert.Regexp(t, `✓ cluster .*started again`, p.run(t, exitSolved, "up", "--no-site"))
	assert.Equal(t, before, p.facts(t))
	p.run(t, exitSolved, "check")
}

func (p *place) portTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	up := p.start(t, "up", "--port", strconv.Itoa(taken))
	url := up.await(t, `Open (http://localhost:\d+/tiny/)`)
	up.await(t, `Ctrl-C ends the pages`)
	assert.NotContains(t, url, strconv.Itoa(taken))
	assert.Contains(t, up.out.String(), fmt.Sprintf("(port %d is taken, so it is ", taken))
	resp, err := http.Get(url)
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	out, code, _ := up.interrupt(t)
	assert.Equal(t, exitSolved, code, out)
	assert.Contains(t, out, "The pages are closed")
	assert.Len(t, p.nodes(t), 1, "the cluster stays")
}

func (p *place) down(t *testing.T) {
	// Things that look like ours, and one that is.
	theirs := p.cluster + "-theirs"
	importImage(t, theirs+":1")
	importImage(t, p.cluster+"-ours:1", "LABEL kindlab.attendee="+p.me+" kindlab.lab=web")
	tool(t, "docker", "network", "create", theirs)
	tool(t, "docker", "volume", "create", theirs)
	tool(t, "docker", "create", "--name", theirs, "--network", theirs, theirs+":1", "/none")
	tool(t, "docker", "create", "--name", theirs+"-of-another", "--label", "kindlab.attendee=another-"+p.me, theirs+":1", "/none")
	tool(t, "docker", "create", "--name", p.cluster+"-ours", "--label", "kindlab.attendee="+p.me, "--label", "kindlab.lab=web", theirs+":1", "/none")
	t.Cleanup(func() {
		for _, c := range [][]string{{"rm", "-f", theirs, theirs + "-of-another"}, {"network", "rm", theirs}, {"volume", "rm", theirs}, {"rmi", theirs + ":1"}} {
			tool(t, append([]string{"docker"}, c...)...)
		}
	})

	out := p.run(t, exitSolved, "down")
	assert.Contains(t, out, "Your files stay in "+p.work)
	assert.Empty(t, p.nodes(t), "no node is left")
	assert.NoFileExists(t, p.kubeconfig())
	assert.FileExists(t, p.file("notes.txt"), "the learner's files stay")
	assert.False(t, exists(t, "container", p.cluster+"-ours"), "a lab's container goes")
	assert.False(t, exists(t, "image", p.cluster+"-ours:1"), "a lab's image goes")
	for _, thing := range [][2]string{{"container", theirs}, {"container", theirs + "-of-another"}, {"network", theirs}, {"volume", theirs}, {"image", theirs + ":1"}} {
		assert.True(t, exists(t, thing[0], thing[1]), "%s %s is not ours and stays", thing[0], thing[1])
	}
	if strings.Contains(out, "registry and network stay for") {
		t.Log("another cluster of kindlab's is on this engine")
		assert.True(t, exists(t, "container", "kindlab-registry"))
		assert.True(t, exists(t, "network", "kindlab"))
	} else {
		for _, list := range [][]string{{"ps", "-aq"}, {"network", "ls", "-q"}, {"volume", "ls", "-q"}, {"images", "-q"}} {
			assert.Empty(t, tool(t, append(append([]string{"docker"}, list...), "--filter", "label=kindlab.part")...), "docker %s", list[0])
		}
		assert.Empty(t, tool(t, "docker", "ps", "-aq", "--filter", "network=kindlab"))
	}
	assert.Regexp(t, `✓ web +1/1`, p.run(t, exitSolved, "status"), "progress stays")
	assert.Contains(t, p.run(t, exitSolved, "down"), "there was none")
	p.untouched(t)
}

// A place is where one test's learner works.
type place struct {
	binary, course         string
	cluster, me            string
	dir, state, work, home string
	theirs                 string // the learner's own kubeconfig
	theirsText, e2eLogs    string
}

// newPlace makes a place and its end: what is left of it when the test ends, goes.
func newPlace(t *testing.T, name string) *place {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	dir := t.TempDir()
	p := &place{
		binary: filepath.Join(root, "bin", "kindlab"), course: filepath.Join(root, "cmd", "kindlab", "testdata", "tiny"),
		cluster: "kindlab-e2e-" + name, me: "e2e-" + name,
		dir: dir, state: filepath.Join(dir, "state"), work: filepath.Join(dir, "work"), home: filepath.Join(dir, "home"),
		theirs: filepath.Join(dir, "theirs"), e2eLogs: filepath.Join(root, "e2e-logs", name),
		theirsText: "apiVersion: v1\nkind: Config\ncurrent-context: theirs\nclusters:\n- {name: theirs, cluster: {server: 'https://192.0.2.1:6443'}}\n" +
			"contexts:\n- {name: theirs, context: {cluster: theirs, user: theirs}}\nusers:\n- {name: theirs, user: {token: none}}\n",
	}
	require.FileExists(t, p.binary, "build it first: make build")
	for _, needed := range []string{"docker", "kind"} {
		_, err := exec.LookPath(needed)
		require.NoError(t, err, "these tests need the command %s on the PATH", needed)
	}
	if out, err := exec.Command("docker", "version").CombinedOutput(); err != nil {
		t.Fatalf("these tests need a Docker Engine that answers:\n%s", out)
	}
	require.NoError(t, os.Mkdir(p.home, 0o755))
	require.NoError(t, os.WriteFile(p.theirs, []byte(p.theirsText), 0o600))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs of the nodes: %s\n%s", p.e2eLogs, tool(t, "sh", "-c", `kind export logs --name "$1" "$2" 2>&1 || true`, "sh", p.cluster, p.e2eLogs))
		}
		p.run(t, exitSolved, "down")
	})
	return p
}

// command is kindlab as this place's learner has it.
func (p *place) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, p.binary, args...)
	c.Dir = p.dir
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "KINDLAB_") || strings.HasPrefix(pair, "KINDLAB_NODE_IMAGE=") {
			c.Env = append(c.Env, pair)
		}
	}
	c.Env = append(c.Env, "HOME="+p.home, "KUBECONFIG="+p.theirs, "KINDLAB_CLUSTER="+p.cluster, "KINDLAB_ATTENDEE="+p.me,
		"KINDLAB_STATE="+p.state, "KINDLAB_WORK="+p.work, "NO_COLOR=1")
	ownGroup(c)
	return c
}

// run is kindlab to its end, which must have the exit code. It returns what was printed.
func (p *place) run(t *testing.T, want int, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	started := time.Now()
	out, err := p.command(ctx, args...).CombinedOutput()
	got := exitCode(err)
	t.Logf("$ kindlab %s\n%s(exit code %d after %s)", strings.Join(args, " "), out, got, took(time.Since(started)))
	if got != want {
		t.Fatalf("kindlab %s: exit code %d, want %d:\n%s", strings.Join(args, " "), got, want, out)
	}
	return strings.TrimSpace(string(out))
}

// A started is a kindlab that runs.
type started struct {
	cmd  *exec.Cmd
	out  *output
	err  error
	done chan struct{}
}

func (p *place) start(t *testing.T, args ...string) *started {
	t.Helper()
	return start(t, p.command(context.Background(), args...))
}

func start(t *testing.T, c *exec.Cmd) *started {
	t.Helper()
	s := &started{cmd: c, out: &output{}, done: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	s.cmd.WaitDelay = 5 * time.Second // what it started may hold the output open
	require.NoError(t, s.cmd.Start())
	go func() {
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() {
		killGroup(s.cmd)
		<-s.done
		t.Logf("$ %s\n%s", strings.Join(c.Args, " "), s.out)
	})
	return s
}

func (s *started) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// await waits until a line that matches is printed, and returns the first group, or the whole match.
func (s *started) await(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for until := time.Now().Add(4 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if m := re.FindStringSubmatch(s.out.String()); m != nil {
			return m[len(m)-1]
		}
		if s.ended() || time.Now().After(until) {
			t.Fatalf("%s is not printed:\n%s", pattern, s.out)
		}
	}
}

// interrupt is Ctrl-C: a terminal sends it to the program and to what that started.
func (s *started) interrupt(t *testing.T) (out string, code int, took time.Duration) {
	t.Helper()
	began := time.Now()
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGINT)
	select {
	case <-s.done:
	case <-time.After(time.Minute):
		t.Fatalf("Ctrl-C does not end it:\n%s", s.out)
	}
	return s.out.String(), exitCode(s.err), time.Since(began)
}

// An output is a buffer that can be read while it is written.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

func (p *place) kubeconfig() string { return filepath.Join(p.state, "kube", p.cluster+".yaml") }

func (p *place) file(name string) string { return filepath.Join(p.work, "tiny", "web", name) }

// nodes are the ids of the containers of the cluster, whoever made it.
func (p *place) nodes(t *testing.T) []string {
	return strings.Fields(tool(t, "docker", "ps", "-aq", "--no-trunc", "--filter", "label=io.x-k8s.kind.cluster="+p.cluster))
}

// untouched shows that nothing of the learner's was changed.
func (p *place) untouched(t *testing.T) {
	t.Helper()
	now, err := os.ReadFile(p.theirs)
	require.NoError(t, err)
	assert.Equal(t, p.theirsText, string(now), "the learner's kubeconfig")
	assert.Empty(t, filesBelow(p.home), "the learner's home folder")
	assert.NoFileExists(t, p.theirs+".lock")
}

// tool runs a command that must succeed, and returns what it printed.
func tool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Errorf("$ %s\n%s%v", strings.Join(args, " "), out, err)
	}
	return strings.TrimSpace(string(out))
}

// exists reports whether Docker has a thing of a kind (container, image, network, volume).
func exists(t *testing.T, kind, name string) bool {
	t.Helper()
	out, err := exec.Command("docker", kind, "inspect", name).CombinedOutput()
	if err != nil && !regexp.MustCompile(`(?i)no such|not found`).Match(out) {
		t.Errorf("looking for %s %s: %s", kind, name, out)
	}
	return err == nil
}

// importImage makes an image that holds one empty file.
func importImage(t *testing.T, name string, changes ...string) {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "none", Mode: 0o755}))
	require.NoError(t, w.Close())
	args := []string{"import"}
	for _, change := range changes {
		args = append(args, "--change", change)
	}
	c := exec.Command("docker", append(args, "-", name)...)
	c.Stdin = &archive
	out, err := c.CombinedOutput()
	require.NoError(t, err, "docker import: %s", out)
}
