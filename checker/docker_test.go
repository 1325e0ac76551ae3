package checker

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/kindlab/kindlab/labs"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func linesOf(found []labs.Finding) []string { return labs.Verdict{Findings: found}.Lines() }

func TestImageValidate(t *testing.T) {
	tests := map[string]struct {
		c    imageCheck
		want string
	}{
		"no name":        {imageCheck{}, "name is missing"},
		"no tag":         {imageCheck{Name: "hello-me"}, `write hello-me:TAG`},
		"registry only":  {imageCheck{Name: "localhost:5001/hello"}, "has no tag"},
		"capitals":       {imageCheck{Name: "Hello:v1"}, "not an image's name"},
		"workdir":        {imageCheck{Name: "a:b", Workdir: "app"}, "begin with /"},
		"port":           {imageCheck{Name: "a:b", Ports: []int{70000}}, "70000 is not a port"},
		"env":            {imageCheck{Name: "a:b", Env: map[string]string{"A=B": ""}}, `"A=B" is not a name`},
		"all is well":    {imageCheck{Name: "localhost:5001/hello:v1", Ports: []int{1, 65535}, Workdir: "/"}, ""},
		"only its being": {imageCheck{Name: "hello-me:teal"}, ""},
	}
	for name, tt := range tests {
		err := tt.c.validate()
		if tt.want == "" {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorContains(t, err, tt.want, name)
		}
	}
}

func TestContainerValidate(t *testing.T) {
	tests := map[string]struct {
		c    containerCheck
		want string
	}{
		"no name":    {containerCheck{}, "name is missing"},
		"bad name":   {containerCheck{Name: "a b"}, "not a container's name"},
		"image":      {containerCheck{Name: "web", Image: "hello"}, "has no tag"},
		"port":       {containerCheck{Name: "web", Ports: map[int]int{3000: 0}}, "0 is not a port"},
		"port twice": {containerCheck{Name: "web", Ports: map[int]int{3000: 80, 4000: 80}}, "host port 80 cannot lead to 3000 and to 4000"},
		"label":      {containerCheck{Name: "web", Labels: map[string]string{"": "x"}}, `"" is not a name`},
		"well":       {containerCheck{Name: "web-1.a_b", Image: "hello:v1", Ports: map[int]int{3000: 3001}}, ""},
	}
	for name, tt := range tests {
		err := tt.c.validate()
		if tt.want == "" {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorContains(t, err, tt.want, name)
		}
	}
}

func TestNearestImage(t *testing.T) {
	have := []string{"hello-me:tael", "hello-me:latest", "kindest/node:v1", "localhost:5001/hello:v1", "web:blue"}
	for name, want := range map[string]string{
		"hello-me:teal":           "hello-me:tael",
		"hello-me:amber":          "hello-me:latest",
		"helo-me:teal":            "hello-me:tael",
		"web:green":               "web:blue",
		"localhost:5001/helo:v1":  "localhost:5001/hello:v1",
		"something-else:entirely": "",
	} {
		assert.Equal(t, want, nearestImage(name, have), name)
	}
}

func TestFamiliar(t *testing.T) {
	for name, want := range map[string]string{
		"docker.io/library/nginx:1": "nginx:1",
		"nginx":                     "nginx:latest",
		"localhost:5001/hello:v1":   "localhost:5001/hello:v1",
		"sha256:ABC":                "sha256:ABC",
	} {
		assert.Equal(t, want, familiar(name))
	}
}

func inspected(cfg ocispec.ImageConfig) *image.InspectResponse {
	return &image.InspectResponse{ID: "sha256:1", Config: &dockerspec.DockerOCIImageConfig{ImageConfig: cfg}}
}

func TestImageDifferences(t *testing.T) {
	check := imageCheck{
		Name: "hello-me:teal", Cmd: []string{"/hello", "serve"}, Env: map[string]string{"COLOUR": "teal"},
		Workdir: "/app", Ports: []int{3000}, User: "65532", Labels: map[string]string{"kindlab.lab": "first-image"},
	}
	good := func() ocispec.ImageConfig {
		return ocispec.ImageConfig{
			Cmd: []string{"/hello", "serve"}, Env: []string{"PATH=/bin", "COLOUR=teal"}, WorkingDir: "/app/", User: "65532",
			ExposedPorts: map[string]struct{}{"3000/tcp": {}}, Labels: map[string]string{"kindlab.lab": "first-image"},
		}
	}
	assert.Empty(t, check.differences(inspected(good())))
	tests := map[string]struct {
		change func(*ocispec.ImageConfig)
		want   []string
	}{
		"shell form": {func(c *ocispec.ImageConfig) { c.Cmd = []string{"/bin/sh", "-c", "/hello serve"} }, []string{
			`expected CMD ["/hello", "serve"], got CMD ["/bin/sh", "-c", "/hello serve"]`,
			"because the shell form of CMD makes Docker run /bin/sh -c with the text as it is",
			`nearest: the words are right: write them as a list, CMD ["/hello", "serve"]`}},
		"one pair of quotes": {func(c *ocispec.ImageConfig) { c.Cmd = []string{"/hello serve"} }, []string{
			`expected CMD ["/hello", "serve"], got CMD ["/hello serve"]`,
			"because several words stand in one pair of quotes: each needs its own"}},
		"entrypoint instead": {func(c *ocispec.ImageConfig) { c.Entrypoint, c.Cmd = c.Cmd, nil }, []string{
			`expected CMD ["/hello", "serve"], got no CMD`, "because the image has these words as its ENTRYPOINT"}},
		"other env":      {func(c *ocispec.ImageConfig) { c.Env = []string{"COLOUR=plum"} }, []string{"expected ENV COLOUR=teal, got COLOUR=plum"}},
		"near env":       {func(c *ocispec.ImageConfig) { c.Env = []string{"COLOR=teal"} }, []string{"expected ENV COLOUR=teal, got no COLOUR", "nearest: COLOR=teal"}},
		"no workdir":     {func(c *ocispec.ImageConfig) { c.WorkingDir = "" }, []string{"expected WORKDIR /app, got no WORKDIR"}},
		"no port":        {func(c *ocispec.ImageConfig) { c.ExposedPorts = nil }, []string{"expected EXPOSE 3000, got no EXPOSE"}},
		"UDP port":       {func(c *ocispec.ImageConfig) { c.ExposedPorts = map[string]struct{}{"3000/udp": {}} }, []string{"expected EXPOSE 3000, got EXPOSE 3000/udp"}},
		"no user":        {func(c *ocispec.ImageConfig) { c.User = "" }, []string{"expected USER 65532, got no USER", "because without USER a container runs as root"}},
		"no label":       {func(c *ocispec.ImageConfig) { c.Labels = nil }, []string{"expected LABEL kindlab.lab=first-image, got no kindlab.lab"}},
		"hostile values": {func(c *ocispec.ImageConfig) { c.Env = []string{"COLOUR=\x1b[2Jx"} }, []string{"expected ENV COLOUR=teal, got COLOUR=[2Jx"}},
	}
	for name, tt := range tests {
		cfg := good()
		tt.change(&cfg)
		assert.Equal(t, append(tt.want, "look at `docker image inspect hello-me:teal`"), linesOf(check.differences(inspected(cfg))), name)
	}
	assert.NotEmpty(t, check.differences(&image.InspectResponse{}))
}

// box is a container named hello-me in a state.
func box(state container.State) *container.InspectResponse {
	return &container.InspectResponse{
		ID: "abc", Name: "/hello-me", State: &state, Image: "sha256:1", Created: "2026-01-01T10:00:00Z",
		Config: &container.Config{Image: "hello-me:teal"}, HostConfig: &container.HostConfig{}, NetworkSettings: &container.NetworkSettings{},
	}
}

func TestWhyNotRunning(t *testing.T) {
	const oci = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "
	tests := map[string]struct {
		state container.State
		facts startFacts
		want  labs.Finding
	}{
		"exited with a log": {container.State{Status: "exited", ExitCode: 1}, startFacts{Log: "panic: no port"},
			labs.Finding{Got: "exit code 1", Because: "its log says: panic: no port", Look: "`docker logs hello-me`"}},
		"exited quietly": {container.State{Status: "exited"}, startFacts{},
			labs.Finding{Got: "exit code 0", Because: "its program came to its end, or was stopped, and it logged nothing", Look: "`docker logs hello-me`"}},
		"killed": {container.State{Status: "exited", ExitCode: 137}, startFacts{Log: "listening"},
			labs.Finding{Got: "exit code 137", Because: "signal 9 ended it, which is what `docker stop` and `docker kill` send", Look: "`docker start hello-me`"}},
		"out of memory": {container.State{Status: "exited", ExitCode: 137, OOMKilled: true}, startFacts{},
			labs.Finding{Got: "exit code 137", Because: "it used more memory than it may have", Look: "`docker inspect --format '{{.State.OOMKilled}}' hello-me`"}},
		"only created": {container.State{Status: "created"}, startFacts{},
			labs.Finding{Got: "a container that never started", Because: "`docker create` makes a container and does not start it", Look: "`docker start hello-me`"}},
		"paused": {container.State{Status: "paused", Paused: true}, startFacts{},
			labs.Finding{Got: "a paused container", Because: "`docker pause` holds its processes still", Look: "`docker unpause hello-me`"}},
		"no such program": {container.State{Status: "created", ExitCode: 127, Error: oci + `exec: "helo": executable file not found in $PATH: unknown`}, startFacts{ImageCommand: []string{"helo"}},
			labs.Finding{Got: "a container that never started", Because: "the image has no program helo", Look: "`docker inspect --format '{{.State.Error}}' hello-me`"}},
		"option after the image": {container.State{Status: "created", Error: oci + `exec: "COLOUR=plum": executable file not found in $PATH: unknown`}, startFacts{},
			labs.Finding{Got: "a container that never started", Because: "what comes after the image's name is the command to run: put COLOUR=plum before the image's name",
				Look: "`docker inspect --format '{{.State.Error}}' hello-me`"}},
		"not executable": {container.State{Status: "created", Error: oci + `exec: "/hello": permission denied: unknown`}, startFacts{},
			labs.Finding{Got: "a container that never started", Because: "/hello of the image may not be run: it is a folder, or was copied without `chmod +x`",
				Look: "`docker inspect --format '{{.State.Error}}' hello-me`"}},
		"port of a container": {container.State{Status: "created", Error: "driver failed programming external connectivity on endpoint hello-me (abc123): Bind for 0.0.0.0:3001 failed: port is already allocated"}, startFacts{PortHolder: "other"},
			labs.Finding{Got: "a container that never started", Because: "host port 3001 is taken: container other publishes it",
				Look: "`docker inspect --format '{{.State.Error}}' hello-me`"}},
		"port of a program": {container.State{Status: "created", Error: "driver failed programming external connectivity on endpoint hello-me (abc123): Error starting userland proxy: listen tcp4 0.0.0.0:3001: bind: address already in use"}, startFacts{},
			labs.Finding{Got: "a container that never started", Because: "host port 3001 is taken by a program of this machine",
				Look: "`docker inspect --format '{{.State.Error}}' hello-me`"}},
		"other machine": {container.State{Status: "exited", ExitCode: 1}, startFacts{Log: "exec /hello: exec format error", Image: "linux/arm64", Engine: "linux/amd64"},
			labs.Finding{Got: "exit code 1", Because: "its image is for linux/arm64 and this engine runs linux/amd64", Look: "`docker image inspect --format '{{.Os}}/{{.Architecture}}' hello-me:teal`"}},
		"no program at all": {container.State{Status: "exited", ExitCode: 1}, startFacts{Log: "exec /hello: exec format error", Image: "linux/amd64", Engine: "linux/amd64"},
			labs.Finding{Got: "exit code 1", Because: "its program is for another kind of machine, or is not a program", Look: "`docker image inspect --format '{{.Os}}/{{.Architecture}}' hello-me:teal`"}},
		"no loader": {container.State{Status: "exited", ExitCode: 1}, startFacts{Log: "standard_init_linux.go:228: exec user process caused: no such file or directory"},
			labs.Finding{Got: "exit code 1", Look: "`docker logs hello-me`",
				Because: "its program is there, but not the loader or interpreter that the program needs"}},
		"again and again": {container.State{Status: "restarting", ExitCode: 2}, startFacts{Log: "no"},
			labs.Finding{Got: "one that ends and starts again and again, last with exit code 2", Because: "its log says: no", Look: "`docker logs hello-me`"}},
		"something else": {container.State{Status: "created", Error: "failed to mount"}, startFacts{},
			labs.Finding{Got: "a container that never started", Because: "Docker says: failed to mount", Look: "`docker inspect --format '{{.State.Error}}' hello-me`"}},
	}
	for name, tt := range tests {
		assert.Equal(t, tt.want, whyNotRunning(box(tt.state), tt.facts), name)
	}
}

func TestOtherImage(t *testing.T) {
	c := box(container.State{Status: "running"})
	assert.Empty(t, otherImage("hello-me:teal", "hello-me", c, &image.InspectResponse{ID: "sha256:1"}))
	rebuilt := &image.InspectResponse{ID: "sha256:2", Created: "2026-01-01T11:00:00Z"}
	assert.Equal(t, []string{"expected hello-me to run what hello-me:teal is now, got the image that had this name before",
		"because hello-me:teal was built again after this container was made", "look at `docker rm -f hello-me`, then run it anew"},
		linesOf(otherImage("hello-me:teal", "hello-me", c, rebuilt)))
	rebuilt.Created = "2025-01-01T11:00:00Z" // a layer from the cache, or `docker tag`
	assert.Contains(t, linesOf(otherImage("hello-me:teal", "hello-me", c, rebuilt))[1], "built or tagged again")
	assert.Equal(t, []string{"expected hello-me to run hello-me:plum, got hello-me:teal", "because it was made from hello-me:teal, and a container keeps the image that it was made from",
		"look at `docker rm -f hello-me`, then run it anew"}, linesOf(otherImage("hello-me:plum", "hello-me", c, rebuilt)))
	assert.Equal(t, []string{"expected hello-me to run hello-me:plum, got no image of that name", "nearest: the container was made from hello-me:teal",
		"look at `docker images`"}, linesOf(otherImage("hello-me:plum", "hello-me", c, nil)))
}

func bindings(pairs ...string) network.PortMap {
	m := network.PortMap{}
	for _, p := range pairs {
		inside, host, _ := strings.Cut(p, ":")
		port := network.MustParsePort(inside)
		m[port] = append(m[port], network.PortBinding{HostPort: host})
	}
	return m
}

func TestPortDifferences(t *testing.T) {
	check := containerCheck{Name: "hello-me", Ports: map[int]int{3000: 3001}}
	tests := map[string]struct {
		ports  network.PortMap
		change func(*container.InspectResponse)
		want   []string
	}{
		"as asked": {ports: bindings("3000:3001", "3000:3001")},
		"on another host port": {ports: bindings("3000:3002"), want: []string{
			"got host port 3002 leading to container port 3000", "because it was started with -p 3002:3000, and a container's ports are set when it is made"}},
		"to another container port": {ports: bindings("8080:3001"), want: []string{
			"got host port 3001 leading to container port 8080", "because it was started with -p 3001:8080, and a container's ports are set when it is made"}},
		"swapped": {ports: bindings("3001:3000"), want: []string{
			"got host port 3000 leading to container port 3001", "because the two ports are swapped: -p is HOST:CONTAINER, here -p 3001:3000"}},
		"UDP": {ports: bindings("3000/udp:3001"), want: []string{
			"got host port 3001 leading to container port 3000/udp", "because it is published for UDP"}},
		"Docker chose": {ports: bindings("3000:49153"), change: func(c *container.InspectResponse) { c.HostConfig.PortBindings = bindings("3000:") }, want: []string{
			"got host port 49153 leading to container port 3000", "because Docker chose the host port: -p 3001:3000 names it"}},
		"not published": {want: []string{"got no published port", "because it was started without -p 3001:3000"}},
		"only exposed": {change: func(c *container.InspectResponse) { c.Config.ExposedPorts = network.PortSet{tcpPort(3000): {}} }, want: []string{
			"got no published port", "because it was started without -p 3001:3000: EXPOSE alone publishes nothing"}},
		"host network": {change: func(c *container.InspectResponse) { c.HostConfig.NetworkMode = "host" }, want: []string{
			"got no published port", "because it uses the host's network (--network host), where -p has no effect"}},
		"others only": {ports: bindings("9000:9001"), want: []string{
			"got host port 9001 leading to container port 9000", "because a container's ports are set when it is made"}},
	}
	for name, tt := range tests {
		c := box(container.State{Status: "running"})
		c.NetworkSettings.Ports, c.HostConfig.PortBindings = tt.ports, tt.ports
		if tt.change != nil {
			tt.change(c)
		}
		if tt.want == nil {
			assert.Empty(t, check.portDifferences(c), name)
			continue
		}
		tt.want[0] = "expected host port 3001 to lead to container port 3000, " + tt.want[0]
		assert.Equal(t, append(tt.want, "look at `docker port hello-me`"), linesOf(check.portDifferences(c)), name)
	}
}

func TestEnvDifferences(t *testing.T) {
	check := containerCheck{Name: "hello-me", Env: map[string]string{"COLOUR": "teal", "MESSAGE": "hi"}}
	c := box(container.State{Status: "running"})
	c.Config.Env = []string{"COLOUR=plum", "MESAGE=hi", "PATH=/bin"}
	assert.Equal(t, []string{
		"expected env COLOUR=teal, got COLOUR=plum", "because that is what the image sets: `docker run -e COLOUR=…` would replace it",
		"look at `docker inspect --format '{{.Config.Env}}' hello-me`",
		"expected env MESSAGE=hi, got no MESSAGE", "nearest: MESAGE=hi",
		"look at `docker inspect --format '{{.Config.Env}}' hello-me`",
	}, linesOf(check.envDifferences(c, map[string]string{"COLOUR": "plum"})))
	c.Config.Env = []string{"COLOUR=teal", "MESSAGE=hi"}
	assert.Empty(t, check.envDifferences(c, nil))
}

func TestWhySilent(t *testing.T) {
	at := func(texts ...string) (out []netip.AddrPort) {
		for _, s := range texts {
			out = append(out, netip.MustParseAddrPort(s))
		}
		return out
	}
	leads := "host port 3001 leads to port 3000 of container hello-me"
	tests := map[string]struct {
		heard  []netip.AddrPort
		seen   bool
		change func(*container.InspectResponse)
		want   labs.Finding
	}{
		"loopback only": {heard: at("127.0.0.1:3000"), seen: true, want: labs.Finding{
			Because: leads + ", where its program listens on 127.0.0.1 only: inside a container that reaches nobody else"}},
		"another port": {heard: at("[::]:8080"), seen: true, want: labs.Finding{
			Because: leads + ", where nothing listens", Nearest: "its program listens on port 8080"}},
		"no port": {seen: true, want: labs.Finding{Because: leads + ", where nothing listens: its program listens on no port"}},
		"the right port": {heard: at("0.0.0.0:3000"), seen: true, want: labs.Finding{
			Because: leads + ", where its program listens: it took the connection and closed it"}},
		"PORT, unseen": {change: func(c *container.InspectResponse) { c.Config.Env = []string{"PORT=8080"} }, want: labs.Finding{
			Because: leads + ", and that container has PORT=8080"}},
		"exposed, unseen": {change: func(c *container.InspectResponse) { c.Config.ExposedPorts = network.PortSet{tcpPort(8080): {}} }, want: labs.Finding{
			Because: leads + ", and its image exposes 8080/tcp"}},
		"unseen": {want: labs.Finding{
			Because: leads + ", which runs; whether its program listens there, and not only on 127.0.0.1, cannot be seen from outside"}},
		"paused": {change: func(c *container.InspectResponse) { c.State.Paused = true }, want: labs.Finding{
			Because: leads + ", which is paused", Look: "`docker unpause hello-me`"}},
	}
	for name, tt := range tests {
		c := box(container.State{Status: "running"})
		c.NetworkSettings.Ports = bindings("3000:3001")
		if tt.change != nil {
			tt.change(c)
		}
		if tt.want.Look == "" {
			tt.want.Look = "`docker logs hello-me`"
		}
		assert.Equal(t, tt.want, whySilent(c, 3001, tt.heard, tt.seen), name)
	}
}

func TestListeners(t *testing.T) {
	const head = "  sl  local_address rem_address   st tx_queue rx_queue\n"
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	proc := fstest.MapFS{
		"42/cgroup": file("0::/system.slice/docker-abc.scope\n"),
		"42/net/tcp": file(head + "   0: 0100007F:0BB8 00000000:0000 0A 0\n" + // 127.0.0.1:3000
			"   1: 0B00007F:8D2F 00000000:0000 0A 0\n" + // Docker's DNS
			"   2: 0100007F:0BB9 0100007F:1000 01 0\n"), // connected, not listening
		"42/net/tcp6": file(head + "   0: 00000000000000000000000000000000:1F90 0:0 0A 0\n"),
	}
	heard, seen := listeners(proc, 42, "abc")
	require.True(t, seen)
	assert.Equal(t, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:3000"), netip.MustParseAddrPort("[::]:8080")}, heard)
	_, seen = listeners(proc, 42, "of another container")
	assert.False(t, seen)
	_, seen = listeners(proc, 7, "abc")
	assert.False(t, seen)
}

// engineOf is a target whose Docker Engine answers each path with the given JSON; other
// paths are not found.
func engineOf(t *testing.T, answers map[string]string) *Target {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		text, ok := answers[strings.TrimPrefix(r.URL.Path, "/v1.41")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			text = `{"message": "no such thing"}`
		}
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(srv.Close)
	api, err := client.New(client.WithHost("tcp://"+srv.Listener.Addr().String()), client.WithAPIVersion("1.41"))
	require.NoError(t, err)
	return &Target{Docker: api, Attendee: "me", Lab: &labs.Lab{ID: "first-image", Needs: []string{"docker"}}}
}

func TestDockerUnreachable(t *testing.T) {
	srv := httptest.NewServer(nil)
	host := srv.Listener.Addr().String()
	srv.Close()
	api, err := client.New(client.WithHost("tcp://" + host))
	require.NoError(t, err)
	for _, target := range []*Target{{}, {Docker: api}} {
		_, err = (&imageCheck{Name: "hello-me:teal"}).look(context.Background(), target)
		assert.ErrorIs(t, err, errUnreachable)
		_, err = (&containerCheck{Name: "hello-me"}).look(context.Background(), target)
		assert.ErrorIs(t, err, errUnreachable)
		assert.Contains(t, whyHostPortSilent(context.Background(), target, 3001).Because, "Docker cannot be asked")
	}
}

// What belongs to another attendee, and the nodes of a cluster, are never told.
func TestDockerKeepsToTheAttendee(t *testing.T) {
	target := engineOf(t, map[string]string{
		"/images/json": `[{"Id": "sha256:1", "RepoTags": ["hello-me:tael"], "Labels": {"kindlab.attendee": "ann"}}]`,
		"/containers/json": `[{"Id": "1", "Names": ["/hello-mee"], "Labels": {"kindlab.attendee": "ann"}, "State": "running",
			"Ports": [{"PrivatePort": 3000, "PublicPort": 3002, "Type": "tcp"}]},
			{"Id": "2", "Names": ["/hello-ma"], "Labels": {"io.x-k8s.kind.cluster": "x"}, "State": "running"}]`,
	})
	found, err := (&imageCheck{Name: "hello-me:teal"}).look(context.Background(), target)
	require.NoError(t, err)
	assert.Equal(t, []string{"expected image hello-me:teal, got no image of that name", "look at `docker images`"}, linesOf(found))
	found, err = (&containerCheck{Name: "hello-me"}).look(context.Background(), target)
	require.NoError(t, err)
	assert.Equal(t, []string{"expected container hello-me to run, got no container of that name, running or stopped", "look at `docker ps -a`"}, linesOf(found))
	assert.Equal(t, labs.Finding{Because: "no container publishes host port 3001", Look: "`docker ps`"},
		whyHostPortSilent(context.Background(), target, 3001))
}

// What another check of the lab asks for is where it belongs.
func TestClaimedIsNoNearMiss(t *testing.T) {
	target := engineOf(t, map[string]string{
		"/images/json":     `[{"Id": "sha256:1", "RepoTags": ["hello-me:teal"]}]`,
		"/containers/json": `[{"Id": "1", "Names": ["/hello-me"], "State": "running"}]`,
	})
	check := func(kind, name string) *labs.Check {
		spec := &yaml.Node{}
		require.NoError(t, spec.Encode(map[string]string{"name": name}))
		return &labs.Check{Kind: kind, Spec: spec}
	}
	for _, claims := range []bool{false, true} {
		near := 1
		if claims {
			target.Lab.Tasks = []*labs.Task{{Checks: []*labs.Check{check("image", "hello-me:teal"), check("container", "hello-me")}}}
			near = 0
		}
		var nearest int
		for _, k := range []kind{&imageCheck{Name: "hello-me:plum"}, &containerCheck{Name: "hello-me-2"}} {
			found, err := k.look(context.Background(), target)
			require.NoError(t, err)
			require.Len(t, found, 1)
			if found[0].Nearest != "" {
				nearest++
			}
		}
		assert.Equal(t, 2*near, nearest)
	}
}

// The engine takes the beginning of an id for a name.
func TestContainerByIDIsNoAnswer(t *testing.T) {
	target := engineOf(t, map[string]string{
		"/containers/abc/json": `{"Id": "abcdef", "Name": "/other", "State": {"Status": "running"}, "Config": {}, "HostConfig": {}, "NetworkSettings": {}}`,
		"/containers/json":     `[]`,
	})
	found, err := (&containerCheck{Name: "abc"}).look(context.Background(), target)
	require.NoError(t, err)
	assert.Contains(t, linesOf(found)[0], "no container of that name")
}
