package provision

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/client"
	"k8s.io/client-go/rest"
)

// DefaultNodeImage is the Kubernetes that the labs are taught on. It is one minor
// version behind kind's own default because Istio 1.31, which the mesh labs need, is
// built for no newer one.
const DefaultNodeImage = "kindest/node:v1.36.4@sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed"

// An Environment is where an attendee works: the Docker Engine, the registry, a
// cluster with a namespace for each lab, and the work folders.
type Environment struct {
	Cluster   string // name of the kind cluster
	State     string // folder for kubeconfigs and logs
	Work      string // folder of the work folders: Work/COURSE/LAB
	NodeImage string
	Mesh      Mesh
	Metrics   Metrics
	Attendee  string
	Address   string         // of the host, where the cluster's API server listens; "" for the loopback. Only a new cluster takes it
	Docker    *client.Client // may be nil with an Existing cluster, for labs that need no Docker
	Report    Reporter

	Existing *Existing // nil: the kind cluster is ours
	Tenant   *Tenant   // nil: the attendee has the cluster alone, and is its administrator

	Registry string // address of the local registry on the host; set by Up and Attach
	Gateway  string // address of the mesh's gateway on the host, or "" when the cluster has none; set by Up and Attach

	arch         string // of the engine, as Go names it; kept by Up
	nodeArch     string // of the nodes of an existing cluster
	meshHub      string // where the nodes get Istio's images
	metricsImage string // which image of Prometheus the nodes get
}

// Kubeconfig is the path of the administrator's kubeconfig of the cluster; of an existing
// cluster, the one that kindlab was given.
func (e *Environment) Kubeconfig() string {
	if e.Existing != nil {
		return e.Existing.Kubeconfig
	}
	return filepath.Join(e.State, "kube", e.Cluster+".yaml")
}

// LabKubeconfig is the path of the kubeconfig whose namespace is the lab's, and with a
// Tenant the user the attendee.
func (e *Environment) LabKubeconfig(lab string) string {
	return filepath.Join(e.State, "kube", e.Cluster+"-"+e.Namespace(lab)+".yaml")
}

// Namespace is where the lab's Kubernetes objects are.
func (e *Environment) Namespace(lab string) string { return e.Attendee + "-" + lab }

// LabFolder is the attendee's work folder for a lab.
func (e *Environment) LabFolder(course, lab string) string {
	return filepath.Join(e.Work, course, lab)
}

// Up makes all that the labs need, in parallel where it can, and puts right what
// an earlier Up left half-made. What is there is left as it is. It does not
// wait for the labs' own pods. The labs' values name the registry, whose port is
// known only when it runs: own is called then, and returns the attendee's labs.
func (e *Environment) Up(ctx context.Context, course *labs.Course, own func() ([]*labs.Lab, error)) error {
	if err := errors.Join(e.Mesh.Validate(), e.Metrics.Validate(), e.Existing.Validate(), e.Tenant.Validate()); err != nil {
		return err
	}
	err := e.reach(ctx)
	if err != nil {
		return err
	}
	if e.arch, err = e.engineArch(ctx); err != nil {
		return err
	}
	needs := e.needs(course)
	switch {
	case e.Existing == nil:
		err = e.ensureParts(ctx, needs)
	case needs["registry"] || needs["cluster"]:
		err = step(e.Report, "lab images", func() (string, error) { return e.pushImages(ctx) })
	}
	if err != nil {
		return err
	}
	if e.Tenant != nil && needs["cluster"] {
		if err := step(e.Report, "class", func() (string, error) { return "", e.ensureClass(ctx, needs["mesh"]) }); err != nil {
			return err
		}
	}
	return e.startAll(ctx, course.ID, needs["cluster"], own)
}

// StartLabs makes the attendee's labs in an environment that an Up for others has
// made: where a class shares a cluster. It wants an Attach before.
func (e *Environment) StartLabs(ctx context.Context, course string, own func() ([]*labs.Lab, error)) error {
	return e.startAll(ctx, course, false, own)
}

func (e *Environment) startAll(ctx context.Context, course string, probe bool, own func() ([]*labs.Lab, error)) error {
	return step(e.Report, "labs", func() (string, error) {
		all, err := own()
		if err != nil {
			return "", err
		}
		return e.startLabs(ctx, course, e.offered(all), probe)
	})
}

// ensureParts makes of registry, images, cluster, mesh and metrics those that are needed.
func (e *Environment) ensureParts(ctx context.Context, needs map[string]bool) error {
	if needs["registry"] || needs["cluster"] {
		if err := e.ensureNetwork(ctx); err != nil {
			return err
		}
		registry := func() error {
			if err := step(e.Report, "registry", func() (string, error) { return e.ensureRegistry(ctx) }); err != nil {
				return err
			}
			if err := step(e.Report, "lab images", func() (string, error) { return e.pushImages(ctx) }); err != nil || !needs["mesh"] {
				return err
			}
			if err := step(e.Report, "mesh images", func() (string, error) { return e.findMeshImages(ctx) }); err != nil || !needs["metrics"] {
				return err
			}
			return step(e.Report, "metrics image", func() (string, error) { return e.findMetricsImage(ctx) })
		}
		cluster := func() error {
			if !needs["cluster"] {
				return nil
			}
			return step(e.Report, "cluster", func() (string, error) { return e.ensureCluster(ctx) })
		}
		if err := together(ctx, registry, cluster); err != nil {
			return err
		}
	}
	if needs["cluster"] {
		if err := step(e.Report, "cluster uses the registry", func() (string, error) { return "", e.joinRegistry(ctx) }); err != nil {
			return err
		}
	}
	if needs["mesh"] {
		if err := step(e.Report, "mesh", func() (string, error) { return e.ensureMesh(ctx) }); err != nil {
			return err
		}
	}
	if needs["metrics"] {
		if err := step(e.Report, "metrics", func() (string, error) { return e.ensureMetrics(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// Attach finds out what Up has made, without making anything.
func (e *Environment) Attach(ctx context.Context) error {
	if err := e.reach(ctx); err != nil || e.Existing != nil {
		return err
	}
	found, err := e.Docker.ContainerInspect(ctx, registryName, client.ContainerInspectOptions{})
	if err == nil && found.Container.Config.Labels[PartLabel] != "" {
		if port := configuredPort(found.Container.HostConfig); port > 0 {
			e.setRegistry(port)
		}
	}
	if s, err := e.findCluster(ctx); err == nil {
		return e.findGateway(ctx, s)
	}
	return nil
}

// reach asks the engine whether it is there, and an existing cluster for its nodes.
func (e *Environment) reach(ctx context.Context) error {
	if e.Existing != nil {
		e.Registry = e.Existing.Registry
		if err := e.identifyCluster(ctx); err != nil || e.Docker == nil {
			return err
		}
	}
	if err := Ping(ctx, e.Docker); err != nil {
		return hint(err, "run `kindlab doctor`")
	}
	return nil
}

// engineArch is the architecture of the engine; without one, that of the cluster's
// nodes. Who needs it asks: the engine asks its runtimes in turn, which takes longer
// than all else that most commands want of it.
func (e *Environment) engineArch(ctx context.Context) (string, error) {
	switch {
	case e.arch != "":
		return e.arch, nil
	case e.Docker == nil:
		return e.nodeArch, nil
	}
	v, err := e.Docker.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return "", hint(fmt.Errorf("%w: %w", ErrDocker, err), "run `kindlab doctor`")
	}
	return v.Arch, nil
}

// clusterArch is the architecture of the cluster's nodes.
func (e *Environment) clusterArch(ctx context.Context) (string, error) {
	if e.Existing != nil {
		return e.nodeArch, nil
	}
	return e.engineArch(ctx)
}

// Down removes the cluster, the attendee's Docker objects, and when no other
// cluster of ours is left the registry and the network. Work folders stay. An existing
// cluster is left, as LeaveCluster does it.
func (e *Environment) Down(ctx context.Context) error {
	if e.Existing != nil {
		return errors.Join(e.RemoveAttendee(ctx), e.LeaveCluster(ctx))
	}
	if err := step(e.Report, "cluster", func() (string, error) { return e.deleteCluster(ctx) }); err != nil {
		return err
	}
	if err := step(e.Report, "containers and images of the labs", func() (string, error) {
		return "", e.RemoveDockerObjects(ctx)
	}); err != nil {
		return err
	}
	others, err := e.Clusters(ctx)
	if err != nil {
		return err
	}
	if len(others) > 0 {
		e.Report.Note("registry and network stay for " + fmt.Sprint(others))
		return nil
	}
	return step(e.Report, "registry and network", func() (string, error) {
		if err := e.removeRegistry(ctx); err != nil {
			return "", err
		}
		return "", e.removeNetwork(ctx)
	})
}

func (e *Environment) removeNetwork(ctx context.Context) error {
	found, err := e.Docker.NetworkInspect(ctx, networkName, client.NetworkInspectOptions{})
	if isNotFound(err) || err == nil && found.Network.Labels[PartLabel] == "" {
		return nil
	}
	if err == nil {
		_, err = e.Docker.NetworkRemove(ctx, networkName, client.NetworkRemoveOptions{})
	}
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("removing network %s: %w", networkName, err)
	}
	return nil
}

// RemoveDockerObjects removes the attendee's containers and images, of all labs.
func (e *Environment) RemoveDockerObjects(ctx context.Context) error {
	return e.removeDockerObjects(ctx, AttendeeLabel+"="+e.Attendee)
}

// removeDockerObjects removes the containers and images that carry all the labels (key=value).
func (e *Environment) removeDockerObjects(ctx context.Context, labels ...string) error {
	if e.Docker == nil {
		return nil
	}
	found, err := e.Docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", labels...)})
	if err != nil {
		return fmt.Errorf("listing containers: %w", err)
	}
	for _, c := range found.Items {
		// One filter term with several values matches any of them.
		if !hasAll(c.Labels, labels) {
			continue
		}
		e.Report.Echo("docker rm -f " + c.ID[:12])
		if _, err := e.Docker.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true}); err != nil && !isNotFound(err) {
			return fmt.Errorf("removing container %s: %w", c.ID[:12], err)
		}
	}
	return e.removeImages(ctx, labels...)
}

// Rest is a client configuration for the cluster.
func (e *Environment) Rest() (*rest.Config, error) { return restConfig(e.Kubeconfig()) }

// needs unites what the course's labs that are offered need and what was asked for beside.
func (e *Environment) needs(course *labs.Course) map[string]bool {
	needs := map[string]bool{}
	for _, l := range e.offered(course.Labs) {
		for _, n := range l.Needs {
			needs[n] = true
		}
	}
	if e.Metrics.Wanted {
		needs["metrics"] = true
	}
	if e.Mesh.Mode != "" || needs["metrics"] {
		needs["mesh"] = true
	}
	if needs["mesh"] {
		needs["cluster"] = true
	}
	return needs
}

// together runs functions side by side and joins their errors.
func together(ctx context.Context, fs ...func() error) error {
	errs := make([]error, len(fs))
	var wg sync.WaitGroup
	for i, f := range fs {
		wg.Go(func() { errs[i] = f() })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(errs...)
}

// Few runs functions side by side, at most n at a time, and joins their errors. When ctx
// ends no other is begun, and its error is what is returned.
func Few(ctx context.Context, n int, fs ...func() error) error {
	slots := make(chan struct{}, n)
	in := make([]func() error, len(fs))
	for i, f := range fs {
		in[i] = func() error {
			slots <- struct{}{}
			defer func() { <-slots }()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return f()
		}
	}
	return together(ctx, in...)
}

// WriteFile writes a file that only the user may read, at once or not at all.
func WriteFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

// Ready reports whether the attendee's environment is there for all labs of the
// course, or in a few words what is missing. started is what [Environment.Started]
// says of the attendee's cluster. Whether their work is well is not looked at.
func (e *Environment) Ready(course *labs.Course, started map[string]bool) (ok bool, missing string) {
	for _, l := range course.Labs {
		if _, err := os.Stat(e.LabFolder(course.ID, l.ID)); err != nil {
			return false, "no work folder for " + l.ID
		}
		if l.Wants("cluster") && !started[e.Namespace(l.ID)] {
			return false, "no namespace for " + l.ID
		}
	}
	return true, ""
}

// Running is what of an environment runs, in words for people.
type Running struct {
	Docker   string `json:"docker"`
	Cluster  string `json:"cluster"`
	Registry string `json:"registry"`
	Mesh     string `json:"mesh"`
	Metrics  string `json:"metrics"`
	Gateway  string `json:"gateway"` // address on the host; "" when there is no mesh to reach
}

// Running looks what runs. What cannot be seen says so.
func (e *Environment) Running(ctx context.Context) Running {
	if e.Existing != nil {
		return e.runningExisting(ctx)
	}
	v, err := e.Docker.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return Running{Docker: "does not answer: run `kindlab doctor`", Cluster: "unknown", Registry: "unknown", Mesh: "unknown", Metrics: "unknown"}
	}
	r := Running{Docker: "version " + v.Version, Cluster: "not there: run `kindlab up`", Registry: "not there: run `kindlab up`", Mesh: noMesh, Metrics: noMesh}
	if s, err := e.inspectCluster(ctx); err == nil && len(s.nodes) > 0 {
		switch {
		case s.foreign:
			r.Cluster = e.Cluster + ", not made by kindlab"
		case !s.complete:
			r.Cluster = e.Cluster + " is half-made: run `kindlab up`"
		case !s.running:
			r.Cluster = e.Cluster + " is stopped: run `kindlab up`"
		default:
			r.Cluster = e.Cluster + ", " + s.nodes[0].Image
			r.Mesh, r.Metrics, r.Gateway = e.meshStatus(ctx, s)
		}
	}
	if found, err := e.Docker.ContainerInspect(ctx, registryName, client.ContainerInspectOptions{}); err == nil {
		r.Registry = "stopped: run `kindlab up`"
		if port := configuredPort(found.Container.HostConfig); found.Container.State.Running && port > 0 {
			r.Registry = fmt.Sprintf("localhost:%d", port)
		}
	}
	return r
}
