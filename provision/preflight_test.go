package provision

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fine is a machine about which there is nothing to say.
func fine() Facts {
	return Facts{OS: "linux", DockerCLI: "/usr/bin/docker", Engine: "29.1.0", API: "1.52", Cgroup: "2", CPUs: 4, Memory: 8 * gib,
		DiskFree: 50 * gib, DiskPath: "/var/lib/docker", Instances: 512, Watches: 524288, SitePort: 8080, SiteFree: 8080}
}

func TestJudge(t *testing.T) {
	const upgrade = "upgrade Docker: https://docs.docker.com/engine/install/"
	for _, c := range []struct {
		name string
		with func(f *Facts)
		want Finding
	}{
		{"docker command", func(*Facts) {}, Finding{"docker command", Good, "/usr/bin/docker", "", ""}},
		{"no docker command", func(f *Facts) { f.DockerCLI = "" }, Finding{"docker command", Fail, "there is no docker command on the PATH",
			"kind drives Docker through it, and the labs use it", "install Docker: https://docs.docker.com/engine/install/"}},
		{"engine", func(*Facts) {}, Finding{"Docker Engine", Good, "version 29.1.0 (API 1.52)", "", ""}},
		{"stopped", func(f *Facts) { f.DockerErr = ErrDocker }, Finding{"Docker Engine", Fail, "Docker does not answer",
			"everything runs in it", "start it: sudo systemctl start docker"}},
		{"stopped on a Mac", func(f *Facts) { f.OS, f.DockerErr = "darwin", ErrDocker }, Finding{"Docker Engine", Fail, "Docker does not answer",
			"everything runs in it", "start Docker Desktop and wait until it says that the engine runs"}},
		{"permission denied", func(f *Facts) {
			f.DockerErr = fmt.Errorf("%w: %w", ErrDocker, errors.New("dial unix /var/run/docker.sock: connect: permission denied"))
		}, Finding{"Docker Engine", Fail, "Docker does not answer: dial unix /var/run/docker.sock: connect: permission denied",
			"your user may not use Docker's socket", "sudo usermod -aG docker $USER, then log in again"}},
		{"too old", func(f *Facts) { f.Engine, f.API = "19.03.15", "1.40" }, Finding{"Docker Engine", Fail, "version 19.03.15 (API 1.40)",
			"kindlab needs Docker Engine 20.10 or newer (API 1.41)", upgrade}},
		{"just new enough", func(f *Facts) { f.Engine, f.API = "20.10.0", "1.41" }, Finding{"Docker Engine", Good, "version 20.10.0 (API 1.41)", "", ""}},
		{"elsewhere", func(f *Facts) { f.Remote = "build.example.com" }, Finding{"Docker host", Fail, "the engine runs on build.example.com, not on this machine",
			"containers' published ports would be there, and the pages and checks here could not reach them",
			"use the engine of this machine: unset DOCKER_HOST, or `docker context use default`"}},
		{"snap", func(f *Facts) { f.DockerCLI, f.Snap = "/snap/bin/docker", true }, Finding{"Docker package", Warn, "docker is a snap: /snap/bin/docker",
			"a snap cannot read files outside the home folder, so `docker build` elsewhere fails",
			"install Docker from docs.docker.com, or keep the work folder in your home folder"}},
		{"rootless", func(f *Facts) { f.Rootless = true }, Finding{"rootless Docker", Warn, "Docker runs without root",
			"nodes need the cpu, memory and pids controllers delegated to your user",
			"see https://kind.sigs.k8s.io/docs/user/rootless/ for the one systemd file to add"}},
		{"cgroup v1", func(f *Facts) { f.Cgroup = "1" }, Finding{"cgroups", Warn, "version 1",
			"Kubernetes 1.35 and newer refuse it unless told otherwise; kindlab tells them, but a later version will not listen",
			"boot with cgroup version 2: add systemd.unified_cgroup_hierarchy=1 to the kernel's command line (on WSL: kernelCommandLine = cgroup_no_v1=all in .wslconfig)"}},
		{"cgroup v2", func(*Facts) {}, Finding{"cgroups", Good, "version 2", "", ""}},
		{"one CPU", func(f *Facts) { f.CPUs = 1 }, Finding{"CPUs", Fail, "1", "one Kubernetes node asks for nearly a whole CPU before any lab runs", "give Docker at least 2 CPUs"}},
		{"one CPU of a VM", func(f *Facts) { f.CPUs, f.Desktop = 1, true }, Finding{"CPUs", Fail, "1", "one Kubernetes node asks for nearly a whole CPU before any lab runs",
			"give Docker at least 2 CPUs in Docker Desktop's Settings › Resources"}},
		{"one CPU for a mesh", func(f *Facts) { f.CPUs, f.Mesh = 1, true }, Finding{"CPUs", Fail, "1",
			"one Kubernetes node asks for nearly a whole CPU before any lab runs, and the mesh has a proxy in each pod", "give Docker at least 2 CPUs"}},
		{"two CPUs for a mesh", func(f *Facts) { f.CPUs, f.Mesh = 2, true }, Finding{"CPUs", Good, "2", "", ""}},
		{"too little memory for a mesh", func(f *Facts) { f.Memory, f.Mesh = 3*gib-1, true }, Finding{"memory", Fail, "3.0 GiB",
			"a Kubernetes node needs about 1 GiB and a mesh as much again, and what is missing shows as pods that die", "give Docker at least 3.0 GiB, better 5.0 GiB"}},
		{"just enough memory for a mesh", func(f *Facts) { f.Memory, f.Mesh = 3*gib, true }, Finding{"memory", Warn, "3.0 GiB",
			"enough for one node and small labs, not for more", "give Docker 5.0 GiB if you can"}},
		{"much memory for a mesh", func(f *Facts) { f.Memory, f.Mesh = 5*gib, true }, Finding{"memory", Good, "5.0 GiB", "", ""}},
		{"too small a disk for a mesh", func(f *Facts) { f.DiskFree, f.Mesh = 4*gib-1, true }, Finding{"disk", Fail, "4.0 GiB free in /var/lib/docker",
			"the images and the labs need about 4 GiB, and a full disk breaks the cluster without a clear sign",
			"free some: `docker system df` shows what Docker uses, `docker image prune` and `docker builder prune` remove what nothing uses"}},
		{"two CPUs for metrics", func(f *Facts) { f.CPUs, f.Mesh, f.Metrics = 2, true, true }, Finding{"CPUs", Good, "2", "", ""}},
		{"too little memory for metrics", func(f *Facts) { f.Memory, f.Metrics = 3*gib, true }, Finding{"memory", Fail, "3.0 GiB",
			"a Kubernetes node needs about 1 GiB, a mesh as much again and Prometheus a quarter of it, and what is missing shows as pods that die",
			"give Docker at least 3.2 GiB, better 5.2 GiB"}},
		{"much memory for metrics", func(f *Facts) { f.Memory, f.Mesh, f.Metrics = 5*gib+gib/4, true, true }, Finding{"memory", Good, "5.2 GiB", "", ""}},
		{"too small a disk for metrics", func(f *Facts) { f.DiskFree, f.Mesh, f.Metrics = 4*gib, true, true }, Finding{"disk", Fail, "4.0 GiB free in /var/lib/docker",
			"the images and the labs need about 4.5 GiB, and a full disk breaks the cluster without a clear sign",
			"free some: `docker system df` shows what Docker uses, `docker image prune` and `docker builder prune` remove what nothing uses"}},
		{"two CPUs", func(f *Facts) { f.CPUs = 2 }, Finding{"CPUs", Good, "2", "", ""}},
		{"too little memory", func(f *Facts) { f.Memory = 2*gib - 1 }, Finding{"memory", Fail, "2.0 GiB",
			"a Kubernetes node needs about 1 GiB, and what is missing shows as pods that die", "give Docker at least 2.0 GiB, better 4.0 GiB"}},
		{"little memory", func(f *Facts) { f.Memory, f.Desktop = 3*gib, true }, Finding{"memory", Warn, "3.0 GiB", "enough for one node and small labs, not for more",
			"give Docker 4.0 GiB if you can in Docker Desktop's Settings › Resources"}},
		{"memory", func(f *Facts) { f.Memory = 16 * gib }, Finding{"memory", Good, "16 GiB", "", ""}},
		{"full disk", func(f *Facts) { f.DiskFree = 0 }, Finding{"disk", Fail, "0.0 GiB free in /var/lib/docker",
			"the images and the labs need about 3 GiB, and a full disk breaks the cluster without a clear sign",
			"free some: `docker system df` shows what Docker uses, `docker image prune` and `docker builder prune` remove what nothing uses"}},
		{"filling disk", func(f *Facts) { f.DiskFree = 10*gib - 1 }, Finding{"disk", Warn, "10.0 GiB free in /var/lib/docker", "it will fill up soon",
			"`docker system df` shows what Docker uses, `docker image prune` removes what nothing uses"}},
		{"few instances", func(f *Facts) { f.Instances = 128 }, Finding{"inotify", Warn, "128 instances, 524288 watches",
			"every node shares these with your other programs; when they run out, nodes do not start and logs cannot be followed",
			"sudo sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288  (for good: in /etc/sysctl.d/99-kindlab.conf)"}},
		{"few watches", func(f *Facts) { f.Watches = 8192 }, Finding{"inotify", Warn, "512 instances, 8192 watches",
			"every node shares these with your other programs; when they run out, nodes do not start and logs cannot be followed",
			"sudo sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288  (for good: in /etc/sysctl.d/99-kindlab.conf)"}},
		{"port", func(*Facts) {}, Finding{"site port", Good, "8080", "", ""}},
		{"port taken", func(f *Facts) { f.SiteFree = 8083 }, Finding{"site port", Good, "8080 is taken, 8083 is free", "", ""}},
		{"ports taken", func(f *Facts) { f.SiteFree = 0 }, Finding{"site port", Fail, "port 8080 and the 19 after it are taken",
			"the pages need a port on this machine", "choose another: kindlab up --port 9000"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fine()
			c.with(&f)
			got := Judge(f)
			assert.Contains(t, got, c.want)
			if c.want.Level == Good {
				return
			}
			for _, g := range got {
				if g.Name != c.want.Name {
					assert.Equal(t, Good, g.Level, "one trouble is told once: %v", g)
				}
			}
		})
	}
}

func TestJudgeOrder(t *testing.T) {
	names := func(f Facts) (out []string) {
		for _, g := range Judge(f) {
			out = append(out, g.Name)
			if g.Level != Good {
				assert.NotEmpty(t, g.Why, g.Name)
				assert.NotEmpty(t, g.Fix, g.Name)
			}
		}
		return out
	}
	assert.Equal(t, []string{"docker command", "Docker Engine", "cgroups", "CPUs", "memory", "disk", "inotify", "site port"}, names(fine()))

	f := fine()
	f.DockerCLI, f.DockerErr = "", ErrDocker
	assert.Equal(t, []string{"docker command", "Docker Engine", "site port"}, names(f), "nothing is known of an engine that does not answer")

	all := Facts{Remote: "x", Snap: true, Rootless: true, Cgroup: "1", CPUs: 1, Memory: 1, DiskPath: "/", Instances: 1, Watches: 1, SitePort: 80, API: "1.9"}
	assert.Equal(t, []string{"docker command", "Docker Engine", "Docker host", "Docker package", "rootless Docker", "cgroups", "CPUs", "memory", "disk",
		"inotify", "site port"}, names(all))

	assert.Equal(t, []string{"docker command", "Docker Engine"}, names(Facts{OS: "darwin", DockerCLI: "docker", Engine: "29", API: "1.52", DiskFree: -1}),
		"what cannot be seen is not judged")
}

func TestNewEnough(t *testing.T) {
	for api, want := range map[string]bool{"1.41": true, "1.52": true, "1.100": true, "1.40": false, "1.9": false, "0.99": false, "": false, "1.": false, "1.x": false, "41": false} {
		assert.Equal(t, want, newEnough(api), api)
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0.0 GiB", gib / 2: "0.5 GiB", 3 * gib: "3.0 GiB", 10 * gib: "10 GiB", 100*gib + 1: "100 GiB"} {
		assert.Equal(t, want, size(n))
	}
}

// listen takes a port of this machine whose neighbour is free too.
func listen(t *testing.T, addr string) int {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Skipf("cannot listen on %s: %v", addr, err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		if port < 65000 && PortFree(port+1) {
			t.Cleanup(func() { _ = l.Close() })
			return port
		}
		_ = l.Close()
	}
	t.Skip("no two free ports beside each other")
	return 0
}

func TestPortFree(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", ":0"} {
		t.Run(addr, func(t *testing.T) {
			port := listen(t, addr)
			assert.False(t, PortFree(port))
			assert.Greater(t, FreePort(port), port)
			assert.Less(t, FreePort(port), port+portTries)
		})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	assert.True(t, PortFree(port), "it does not stay taken by looking")
	assert.True(t, PortFree(port))
	assert.Equal(t, port, FreePort(port))
	assert.False(t, PortFree(65536))
	assert.Zero(t, FreePort(65536))
}

func TestNoFreePort(t *testing.T) {
	for range 20 {
		var taken []net.Listener
		first := listen(t, "127.0.0.1:0")
		for p := first + 1; p < first+portTries; p++ {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
			if err != nil {
				break
			}
			taken = append(taken, l)
		}
		all, got := len(taken) == portTries-1, FreePort(first)
		for _, l := range taken {
			_ = l.Close()
		}
		if all {
			assert.Zero(t, got)
			return
		}
	}
	t.Skip("no twenty free ports beside each other")
}
