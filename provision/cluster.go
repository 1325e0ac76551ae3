package provision

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"sigs.k8s.io/kind/pkg/cluster"
	kindexec "sigs.k8s.io/kind/pkg/exec"
	"sigs.k8s.io/kind/pkg/log"
)

const (
	kindClusterLabel = "io.x-k8s.kind.cluster" // kind's own label on its nodes
	kindRoleLabel    = "io.x-k8s.kind.role"
	// completeFile is written into a cluster's control plane when all is done. It
	// can be seen in a stopped node too, and goes with the node.
	completeFile = "/kind/kindlab-complete"
)

// clusterState is what Docker has of a cluster.
type clusterState struct {
	nodes    []container.Summary
	foreign  bool // not on our network: somebody else's
	complete bool // Up had finished it
	running  bool // all nodes run
}

// control is the name of the control-plane node.
func (s clusterState) control() string {
	for _, n := range s.nodes {
		if n.Labels[kindRoleLabel] == "control-plane" && len(n.Names) > 0 {
			return strings.TrimPrefix(n.Names[0], "/")
		}
	}
	return ""
}

// findCluster asks Docker for the cluster's nodes; complete is not looked at.
func (e *Environment) findCluster(ctx context.Context) (clusterState, error) {
	var s clusterState
	found, err := e.Docker.ContainerList(ctx, client.ContainerListOptions{All: true,
		Filters: client.Filters{}.Add("label", kindClusterLabel+"="+e.Cluster)})
	if err != nil {
		return s, fmt.Errorf("looking for cluster %s: %w", e.Cluster, err)
	}
	s.nodes, s.running = found.Items, len(found.Items) > 0
	for _, n := range s.nodes {
		s.foreign = s.foreign || !onOurNetwork(n)
		s.running = s.running && n.State == container.StateRunning
	}
	return s, nil
}

// inspectCluster is findCluster, and whether the cluster is complete.
func (e *Environment) inspectCluster(ctx context.Context) (clusterState, error) {
	s, err := e.findCluster(ctx)
	if err != nil {
		return s, err
	}
	if control := s.control(); control != "" && !s.foreign {
		_, err := e.Docker.ContainerStatPath(ctx, control, client.ContainerStatPathOptions{Path: completeFile})
		s.complete = err == nil
	}
	return s, nil
}

func onOurNetwork(c container.Summary) bool {
	// A node that is only created has no addresses yet, but its network mode is set.
	if c.HostConfig.NetworkMode == networkName {
		return true
	}
	return c.NetworkSettings != nil && c.NetworkSettings.Networks[networkName] != nil
}

// Clusters are the names of all clusters on our network.
func (e *Environment) Clusters(ctx context.Context) ([]string, error) {
	found, err := e.Docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", kindClusterLabel)})
	if err != nil {
		return nil, fmt.Errorf("listing clusters: %w", err)
	}
	var names []string
	for _, c := range found.Items {
		if name := c.Labels[kindClusterLabel]; onOurNetwork(c) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// ensureCluster makes the cluster run and its API server answer.
func (e *Environment) ensureCluster(ctx context.Context) (detail string, err error) {
	s, err := e.inspectCluster(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case s.foreign:
		return "", hint(fmt.Errorf("a kind cluster called %s is there already, and kindlab did not make it", e.Cluster),
			"kindlab leaves it alone. Remove it yourself with `kind delete cluster --name %s`, or call kindlab's cluster otherwise: `kindlab --cluster NAME up`", e.Cluster)
	case s.complete:
		return e.resumeCluster(ctx, s)
	case len(s.nodes) > 0:
		e.Report.Note("an earlier start was cut off half-way: making the cluster anew")
		if _, err := e.deleteCluster(ctx); err != nil {
			return "", err
		}
	}
	if err := e.ensureNodeImage(ctx); err != nil {
		return "", err
	}
	if err := e.createWithGateway(ctx); err != nil {
		return "", err
	}
	return strings.SplitN(e.NodeImage, "@", 2)[0], nil
}

// resumeCluster starts the nodes of a finished cluster that do not run, and waits
// for its API server. It never removes anything: the learner's work is in there.
func (e *Environment) resumeCluster(ctx context.Context, s clusterState) (string, error) {
	detail := "there already"
	if !s.running {
		detail = "started again"
		for _, n := range s.nodes {
			e.Report.Echo("docker start " + strings.TrimPrefix(n.Names[0], "/"))
			if _, err := e.Docker.ContainerStart(ctx, n.ID, client.ContainerStartOptions{}); err != nil {
				err = fmt.Errorf("starting node %s: %w", n.Names[0], err)
				if portTaken(err) {
					return "", hint(err, "another program has the cluster's port; end it (`ss -ltnp` shows it), then run `kindlab up` again")
				}
				return "", err
			}
		}
	}
	if err := e.findGateway(ctx, s); err != nil {
		return "", err
	}
	if err := e.exportKubeconfig(); err != nil {
		return "", err
	}
	if err := e.waitAPI(ctx, 90*time.Second); err != nil {
		return "", hint(err, "the cluster holds your work, so kindlab does not remove it. Look with `docker logs %s`; `kindlab down` and `kindlab up` begin anew", s.control())
	}
	return detail, nil
}

// ensureNodeImage gets the node image into Docker. kind would pull it too, but
// could not be interrupted.
func (e *Environment) ensureNodeImage(ctx context.Context) error {
	if _, err := e.Docker.ImageInspect(ctx, e.NodeImage); err == nil {
		return nil
	} else if !isNotFound(err) {
		return fmt.Errorf("looking for the node image: %w", err)
	}
	e.Report.Note("pulling the node image, about 400 MB, once")
	e.Report.Echo("docker pull " + e.NodeImage)
	pulled, err := e.Docker.ImagePull(ctx, e.NodeImage, client.ImagePullOptions{})
	if err == nil {
		err = pulled.Wait(ctx)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return hint(fmt.Errorf("node image %s is not in Docker and cannot be pulled: %w", e.NodeImage, err),
			"check the name and the network; without internet load an image with `docker load` and name it with --node-image or KINDLAB_NODE_IMAGE")
	}
	return nil
}

// createCluster runs kind and marks the cluster complete. With a port, the host
// reaches the mesh's gateway there. When it fails or ctx ends, nothing of the
// cluster stays.
func (e *Environment) createCluster(ctx context.Context, gatewayPort int) error {
	// The only way to tell kind which network to use.
	if err := os.Setenv("KIND_EXPERIMENTAL_DOCKER_NETWORK", networkName); err != nil {
		return err
	}
	e.Report.Echo(fmt.Sprintf("KIND_EXPERIMENTAL_DOCKER_NETWORK=%s kind create cluster --name %s --image %s --kubeconfig %s", networkName, e.Cluster, e.NodeImage, e.Kubeconfig()))
	if err := os.MkdirAll(filepath.Dir(e.Kubeconfig()), 0o700); err != nil {
		return fmt.Errorf("making the state folder: %w", err)
	}
	var createErr error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// No wait: kind's own is a busy loop. We watch the node instead.
		createErr = e.kind().Create(e.Cluster, cluster.CreateWithV1Alpha4Config(e.clusterConfig(gatewayPort)), cluster.CreateWithNodeImage(e.NodeImage),
			cluster.CreateWithKubeconfigPath(e.Kubeconfig()), cluster.CreateWithRetain(true),
			cluster.CreateWithDisplayUsage(false), cluster.CreateWithDisplaySalutation(false))
	}()
	var err error
	select {
	case <-ended:
		if err = createErr; err != nil {
			// Ctrl-C reaches kind's commands too, and they may be quicker than we are.
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil {
		err = e.waitAPI(ctx, 60*time.Second)
	}
	if err == nil {
		err = e.waitNode(ctx)
	}
	if err == nil {
		err = e.markComplete(ctx)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return errors.Join(ctx.Err(), e.abandonCreate(ended))
	}
	err = e.explainCreate(err)
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	_, cleanErr := e.deleteCluster(cleanup)
	return errors.Join(err, cleanErr)
}

// lateNode is how long Docker may still be making a container after the docker
// command that asked for it was cut off.
const lateNode = 5 * time.Second

// abandonCreate removes the nodes of a Create that was cut off, and waits until it
// has ended. kind cannot be told to end: without its nodes it fails at its next step.
func (e *Environment) abandonCreate(ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), 45*time.Second)
	defer cancel()
	removed := false
	var late <-chan time.Time // set when Create has ended
	for {
		detail, err := e.deleteCluster(ctx)
		removed = removed || err == nil && detail == ""
		if late != nil && removed {
			return nil
		}
		select {
		case <-ended:
			ended, late = nil, time.After(lateNode)
		case <-late:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// explainCreate keeps the nodes' logs and shows the command that failed.
func (e *Environment) explainCreate(err error) error {
	logs := filepath.Join(e.State, "logs", time.Now().Format("20060102-150405"))
	if logErr := e.CollectLogs(logs); logErr != nil {
		logs = ""
	}
	var out string
	if run := kindexec.RunErrorForError(err); run != nil {
		lines := strings.Split(strings.TrimSpace(string(run.Output)), "\n")
		out = fmt.Sprintf("\n$ %s\n%s", run.PrettyCommand(), strings.Join(lines[max(0, len(lines)-12):], "\n"))
	}
	text := "run `kindlab doctor`"
	if logs != "" {
		text += "; the nodes' logs are in " + logs
	}
	return hint(fmt.Errorf("creating cluster %s: %w%s", e.Cluster, err, out), "%s", text)
}

// CollectLogs saves the logs of the cluster's nodes in a folder.
func (e *Environment) CollectLogs(dir string) error { return e.kind().CollectLogs(e.Cluster, dir) }

// markComplete writes completeFile into the control plane.
func (e *Environment) markComplete(ctx context.Context) error {
	s, err := e.inspectCluster(ctx)
	if err != nil {
		return err
	}
	return e.copyTo(ctx, s.control(), completeFile, []byte("made by kindlab\n"))
}

// copyTo writes a file into a container. Its folder is made if need be.
func (e *Environment) copyTo(ctx context.Context, container, path string, data []byte) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	dir := ""
	for _, part := range strings.Split(strings.Trim(filepath.ToSlash(filepath.Dir(path)), "/"), "/") {
		dir += part + "/"
		if err := w.WriteHeader(&tar.Header{Name: dir, Mode: 0o755, Typeflag: tar.TypeDir}); err != nil {
			return err
		}
	}
	if err := w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(path, "/"), Mode: 0o644, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if _, err := e.Docker.CopyToContainer(ctx, container, client.CopyToContainerOptions{DestinationPath: "/", Content: &archive}); err != nil {
		return fmt.Errorf("writing %s into %s: %w", path, container, err)
	}
	return nil
}

// deleteCluster removes the cluster's nodes with their volumes, and the kubeconfigs.
func (e *Environment) deleteCluster(ctx context.Context) (detail string, err error) {
	s, err := e.inspectCluster(ctx)
	if err != nil {
		return "", err
	}
	if s.foreign {
		return "not ours: left alone", nil
	}
	for _, n := range s.nodes {
		e.Report.Echo("docker rm -f -v " + strings.TrimPrefix(n.Names[0], "/"))
		if err := e.removeNode(ctx, n.ID); err != nil {
			return "", fmt.Errorf("removing node %s: %w", n.Names[0], err)
		}
	}
	if err := e.removeKubeconfigs(); err != nil {
		return "", err
	}
	for _, f := range []string{e.Kubeconfig(), e.Kubeconfig() + ".lock"} {
		if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("removing a kubeconfig: %w", err)
		}
	}
	if len(s.nodes) == 0 {
		return "there was none", nil
	}
	return "", nil
}

// removeNode removes a container with its volumes. One that Docker is still making
// is listed already but cannot be removed yet, so this waits for it.
func (e *Environment) removeNode(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		_, err := e.Docker.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		if err == nil || !isNotFound(err) {
			return err
		}
		// By its label: Docker does not find it by its id before it is made.
		s, listErr := e.inspectCluster(ctx)
		if listErr != nil || !slices.ContainsFunc(s.nodes, func(n container.Summary) bool { return n.ID == id }) {
			return listErr
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// kind is kind's library, which reports to e.
func (e *Environment) kind() *cluster.Provider {
	return cluster.NewProvider(cluster.ProviderWithDocker(), cluster.ProviderWithLogger(kindLog{e.Report}))
}

// kindLog passes on what kind says it is doing.
type kindLog struct{ r Reporter }

func (l kindLog) Warn(m string) { l.say(m) }
func (l kindLog) Warnf(format string, args ...any) {
	l.say(fmt.Sprintf(format, args...))
}
func (l kindLog) Error(m string)                    { l.say(m) }
func (l kindLog) Errorf(format string, args ...any) { l.say(fmt.Sprintf(format, args...)) }
func (l kindLog) Info(m string)                     { l.say(m) }
func (l kindLog) Infof(format string, args ...any)  { l.say(fmt.Sprintf(format, args...)) }
func (l kindLog) Enabled() bool                     { return true }
func (l kindLog) V(level log.Level) log.InfoLogger {
	if level > 0 {
		return log.NoopInfoLogger{}
	}
	return l
}

// say echoes a line of kind's progress, which matters to those who asked for details.
func (l kindLog) say(m string) {
	if m = strings.TrimSpace(m); m != "" {
		l.r.Echo("# kind: " + m)
	}
}
