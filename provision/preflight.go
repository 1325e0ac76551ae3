package provision

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/moby/moby/client"
)

// Level is how much a finding of the preflight matters.
type Level string

// The levels of a finding.
const (
	Good Level = "ok"
	Warn Level = "warn" // it will work, with the trouble described
	Fail Level = "fail" // it will not work
)

// A Finding of the preflight: what was found, and for a problem why it matters
// and the exact fix.
type Finding struct {
	Name  string `json:"name"`
	Level Level  `json:"level"`
	Found string `json:"found"`
	Why   string `json:"why,omitempty"`
	Fix   string `json:"fix,omitempty"`
}

// Facts are what the preflight looks at. A zero field means that it could not be
// seen from here, as on a machine where the engine runs in a VM.
type Facts struct {
	OS        string // runtime.GOOS
	DockerCLI string // path of the docker command; "" when there is none
	DockerErr error  // why the engine does not answer
	Engine    string // version
	API       string // the highest API version that the engine speaks
	Desktop   bool   // Docker Desktop
	Remote    string // host of an engine elsewhere
	Snap      bool   // docker installed as a snap
	Rootless  bool
	Cgroup    string // "1" or "2"
	CPUs      int
	Memory    int64 // bytes
	DiskFree  int64 // bytes free where Docker keeps its data; -1 when it cannot be seen
	DiskPath  string
	Instances int  // fs.inotify.max_user_instances
	Watches   int  // fs.inotify.max_user_watches
	Mesh      bool // asked for
	Metrics   bool // asked for
	SitePort  int  // asked for
	SiteFree  int  // the free port at or after it; 0 when there is none
}

const (
	gib       = 1 << 30
	minAPI    = 41 // of 1.41, which Docker Engine 20.10 speaks
	minMemory = 2 * gib
	okMemory  = 4 * gib
	minDisk   = 3 * gib
	okDisk    = 10 * gib
	// CPU in thousandths: what a node's own pods ask for, and some labs.
	nodeCPU = 950
	labsCPU = 500
	// istiod, the gateway, and a sidecar in each of twenty pods. In memory as they
	// grow to, not what they ask for; on the disk the two images, in the registry and
	// in the node.
	meshCPU    = 50 + 10 + 20*10
	meshMemory = 1 * gib
	meshDisk   = 1 * gib
	// Prometheus, in the same way.
	metricsCPU    = 50
	metricsMemory = gib / 4
	metricsDisk   = gib / 2
	// What one node and a few labs want; Linux's default of 128 instances is for a single program.
	okInstances = 256
	okWatches   = 65536
)

// Judge turns facts into findings, the most basic first. It only looks at f.
func Judge(f Facts) []Finding {
	var out []Finding
	add := func(name string, level Level, found, why, fix string) {
		out = append(out, Finding{name, level, found, why, fix})
	}
	if f.DockerCLI == "" {
		add("docker command", Fail, "there is no docker command on the PATH", "kind drives Docker through it, and the labs use it",
			"install Docker: https://docs.docker.com/engine/install/")
	} else {
		add("docker command", Good, f.DockerCLI, "", "")
	}
	if f.DockerErr != nil {
		why, fix := dockerAdvice(f)
		add("Docker Engine", Fail, f.DockerErr.Error(), why, fix)
		return append(out, judgePort(f)...)
	}
	if f.API != "" && !newEnough(f.API) {
		add("Docker Engine", Fail, fmt.Sprintf("version %s (API %s)", f.Engine, f.API), "kindlab needs Docker Engine 20.10 or newer (API 1.41)",
			"upgrade Docker: https://docs.docker.com/engine/install/")
	} else {
		add("Docker Engine", Good, fmt.Sprintf("version %s (API %s)", f.Engine, f.API), "", "")
	}
	if f.Remote != "" {
		add("Docker host", Fail, "the engine runs on "+f.Remote+", not on this machine",
			"containers' published ports would be there, and the pages and checks here could not reach them",
			"use the engine of this machine: unset DOCKER_HOST, or `docker context use default`")
	}
	if f.Snap {
		add("Docker package", Warn, "docker is a snap: "+f.DockerCLI, "a snap cannot read files outside the home folder, so `docker build` elsewhere fails",
			"install Docker from docs.docker.com, or keep the work folder in your home folder")
	}
	if f.Rootless {
		add("rootless Docker", Warn, "Docker runs without root", "nodes need the cpu, memory and pids controllers delegated to your user",
			"see https://kind.sigs.k8s.io/docs/user/rootless/ for the one systemd file to add")
	}
	switch f.Cgroup {
	case "1":
		add("cgroups", Warn, "version 1", "Kubernetes 1.35 and newer refuse it unless told otherwise; kindlab tells them, but a later version will not listen",
			"boot with cgroup version 2: add systemd.unified_cgroup_hierarchy=1 to the kernel's command line (on WSL: kernelCommandLine = cgroup_no_v1=all in .wslconfig)")
	case "":
	default:
		add("cgroups", Good, "version "+f.Cgroup, "", "")
	}
	judgeSizes(f, add)
	return append(out, judgePort(f)...)
}

// A Demand is what a machine must have: CPUs, and bytes at least and better.
type demand struct {
	cpus              int
	memory, okMemory  int64
	disk, okDisk      int64
	cpuWhy, memoryWhy string
}

func demandOf(mesh, metrics bool) demand {
	d := demand{memory: minMemory, okMemory: okMemory, disk: minDisk, okDisk: okDisk,
		cpuWhy:    "one Kubernetes node asks for nearly a whole CPU before any lab runs",
		memoryWhy: "a Kubernetes node needs about 1 GiB, and what is missing shows as pods that die"}
	cpu := nodeCPU + labsCPU
	if mesh {
		cpu += meshCPU
		d.memory, d.okMemory, d.disk, d.okDisk = d.memory+meshMemory, d.okMemory+meshMemory, d.disk+meshDisk, d.okDisk+meshDisk
		d.cpuWhy = "one Kubernetes node asks for nearly a whole CPU before any lab runs, and the mesh has a proxy in each pod"
		d.memoryWhy = "a Kubernetes node needs about 1 GiB and a mesh as much again, and what is missing shows as pods that die"
	}
	if metrics {
		cpu += metricsCPU
		d.memory, d.okMemory, d.disk, d.okDisk = d.memory+metricsMemory, d.okMemory+metricsMemory, d.disk+metricsDisk, d.okDisk+metricsDisk
		d.memoryWhy = "a Kubernetes node needs about 1 GiB, a mesh as much again and Prometheus a quarter of it, and what is missing shows as pods that die"
	}
	d.cpus = (cpu + 999) / 1000
	return d
}

func judgeSizes(f Facts, add func(name string, level Level, found, why, fix string)) {
	need := demandOf(f.Mesh || f.Metrics, f.Metrics)
	where := ""
	if f.Desktop {
		where = " in Docker Desktop's Settings › Resources"
	}
	if f.CPUs > 0 {
		level, why, fix := Good, "", ""
		if f.CPUs < need.cpus {
			level, why, fix = Fail, need.cpuWhy, fmt.Sprintf("give Docker at least %d CPUs%s", need.cpus, where)
		}
		add("CPUs", level, strconv.Itoa(f.CPUs), why, fix)
	}
	if f.Memory > 0 {
		level, why, fix := Good, "", ""
		if f.Memory < need.memory {
			level, why, fix = Fail, need.memoryWhy, fmt.Sprintf("give Docker at least %s, better %s%s", size(need.memory), size(need.okMemory), where)
		} else if f.Memory < need.okMemory {
			level, why, fix = Warn, "enough for one node and small labs, not for more", fmt.Sprintf("give Docker %s if you can%s", size(need.okMemory), where)
		}
		add("memory", level, size(f.Memory), why, fix)
	}
	if f.DiskFree >= 0 && f.DiskPath != "" {
		level, why, fix := Good, "", ""
		if f.DiskFree < need.disk {
			level, why, fix = Fail, fmt.Sprintf("the images and the labs need about %s, and", about(need.disk))+" a full disk breaks the cluster without a clear sign", "free some: `docker system df` shows what Docker uses, `docker image prune` and `docker builder prune` remove what nothing uses"
		} else if f.DiskFree < need.okDisk {
			level, why, fix = Warn, "it will fill up soon", "`docker system df` shows what Docker uses, `docker image prune` removes what nothing uses"
		}
		add("disk", level, fmt.Sprintf("%s free in %s", size(f.DiskFree), f.DiskPath), why, fix)
	}
	if f.Instances > 0 && f.Watches > 0 {
		found := fmt.Sprintf("%d instances, %d watches", f.Instances, f.Watches)
		if f.Instances < okInstances || f.Watches < okWatches {
			add("inotify", Warn, found, "every node shares these with your other programs; when they run out, nodes do not start and logs cannot be followed",
				"sudo sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288  (for good: in /etc/sysctl.d/99-kindlab.conf)")
		} else {
			add("inotify", Good, found, "", "")
		}
	}
}

func judgePort(f Facts) []Finding {
	switch {
	case f.SitePort == 0:
		return nil
	case f.SiteFree == 0:
		return []Finding{{"site port", Fail, fmt.Sprintf("port %d and the %d after it are taken", f.SitePort, portTries-1), "the pages need a port on this machine",
			"choose another: kindlab up --port 9000"}}
	case f.SiteFree != f.SitePort:
		return []Finding{{"site port", Good, fmt.Sprintf("%d is taken, %d is free", f.SitePort, f.SiteFree), "", ""}}
	}
	return []Finding{{"site port", Good, strconv.Itoa(f.SitePort), "", ""}}
}

// dockerAdvice explains an engine that does not answer.
func dockerAdvice(f Facts) (why, fix string) {
	text := f.DockerErr.Error()
	switch {
	case strings.Contains(text, "permission denied"):
		return "your user may not use Docker's socket", "sudo usermod -aG docker $USER, then log in again"
	case f.OS == "linux":
		return "everything runs in it", "start it: sudo systemctl start docker"
	default:
		return "everything runs in it", "start Docker Desktop and wait until it says that the engine runs"
	}
}

// newEnough reports whether an API version such as 1.41 is at least the minimum.
func newEnough(api string) bool { return apiAtLeast(api, minAPI) }

func apiAtLeast(api string, least int) bool {
	minor, is1 := strings.CutPrefix(api, "1.")
	n, err := strconv.Atoi(minor)
	return is1 && err == nil && n >= least
}

// size writes bytes for people.
func size(n int64) string {
	if n >= 10*gib {
		return fmt.Sprintf("%d GiB", n/gib)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/gib)
}

// about is size for a number that is no measurement.
func about(n int64) string { return strings.Replace(size(n), ".0", "", 1) }

// Look gathers the facts of this machine and its engine. docker may be nil.
func Look(ctx context.Context, docker *client.Client, sitePort int) Facts {
	f := Facts{OS: runtime.GOOS, DiskFree: -1, SitePort: sitePort}
	f.DockerCLI, _ = exec.LookPath("docker")
	if real, err := filepath.EvalSymlinks(f.DockerCLI); err == nil {
		f.Snap = strings.HasPrefix(real, "/snap/") || strings.Contains(f.DockerCLI, "/snap/")
	}
	if sitePort > 0 {
		f.SiteFree = FreePort(sitePort)
	}
	if docker == nil {
		f.DockerErr = errors.New("no engine to ask")
		return f
	}
	if f.DockerErr = Ping(ctx, docker); f.DockerErr != nil {
		return f
	}
	if v, err := docker.ServerVersion(ctx, client.ServerVersionOptions{}); err == nil {
		f.Engine, f.API = v.Version, v.APIVersion
	}
	f.Remote = remoteEngine(docker.DaemonHost())
	info, err := docker.Info(ctx, client.InfoOptions{})
	if err != nil {
		f.DockerErr = fmt.Errorf("%w: %w", ErrDocker, err)
		return f
	}
	i := info.Info
	f.CPUs, f.Memory, f.Cgroup = i.NCPU, i.MemTotal, i.CgroupVersion
	f.Desktop = strings.Contains(i.OperatingSystem, "Docker Desktop")
	for _, o := range i.SecurityOptions {
		f.Rootless = f.Rootless || strings.Contains(o, "rootless")
	}
	if !f.Desktop && f.Remote == "" {
		f.DiskPath = i.DockerRootDir
		f.DiskFree = diskFree(i.DockerRootDir)
		f.Instances, f.Watches = inotifyLimits()
	}
	return f
}

// FreePort is the first free TCP port of this machine among the twenty from port on;
// 0 when all are taken.
func FreePort(port int) int {
	for p := port; p < port+portTries && p < 65536; p++ {
		if PortFree(p) {
			return p
		}
	}
	return 0
}

// Ping asks the engine whether it is there; the error is [ErrDocker].
func Ping(ctx context.Context, docker *client.Client) error {
	if _, err := docker.Ping(ctx, client.PingOptions{}); err != nil {
		return fmt.Errorf("%w: %w", ErrDocker, err)
	}
	return nil
}
