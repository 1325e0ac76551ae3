package provision

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

const (
	networkName  = "kindlab"          // nodes and registry; a cluster on it is ours
	registryName = "kindlab-registry" // container, volume, and name on the network
	registryPort = 5000               // inside the container
	registryHost = 5001               // on the host; the next free port when it is taken
	portTries    = 20
	registryTime = 20 * time.Second // for it to answer
)

// making is held while network or registry are made: environments of a class are made side
// by side, and share both.
var making sync.Mutex

// ensureNetwork makes the Docker network of nodes and registry. kind would make
// its own, called kind, which may be the learner's already.
func (e *Environment) ensureNetwork(ctx context.Context) error {
	making.Lock()
	defer making.Unlock()
	found, err := e.Docker.NetworkInspect(ctx, networkName, client.NetworkInspectOptions{})
	if err == nil {
		if found.Network.Labels[PartLabel] == "" {
			return hint(fmt.Errorf("a Docker network called %s is there already, and kindlab did not make it", networkName),
				"look at it with `docker network inspect %s`; rename or remove it, then run `kindlab up` again", networkName)
		}
		return nil
	}
	if !isNotFound(err) {
		return fmt.Errorf("looking for network %s: %w", networkName, err)
	}
	options := map[string]string{"com.docker.network.bridge.enable_ip_masquerade": "true"}
	// A VPN or a cloud network may want smaller packets than Docker's default; nodes must follow.
	if bridge, err := e.Docker.NetworkInspect(ctx, "bridge", client.NetworkInspectOptions{}); err == nil {
		if mtu := bridge.Network.Options["com.docker.network.driver.mtu"]; mtu != "" {
			options["com.docker.network.driver.mtu"] = mtu
		}
	}
	e.Report.Echo("docker network create --label " + PartLabel + "=network " + networkName)
	_, err = e.Docker.NetworkCreate(ctx, networkName, client.NetworkCreateOptions{
		Driver: "bridge", Options: options, Labels: map[string]string{PartLabel: "network"},
	})
	if err != nil {
		return fmt.Errorf("creating network %s: %w", networkName, err)
	}
	return nil
}

// ensureRegistry makes the local registry run and sets e.Registry. It is a
// container, not a part of this process, because Docker on macOS and Windows
// cannot reach a port of this process as localhost, and because pods that restart
// pull while no kindlab runs.
func (e *Environment) ensureRegistry(ctx context.Context) (detail string, err error) {
	making.Lock()
	defer making.Unlock()
	// Another kindlab of this host may make it at the same time.
	for limit := time.Now().Add(registryTime); ; {
		if detail, err = e.makeRegistry(ctx); !errdefs.IsConflict(err) || time.Now().After(limit) {
			return detail, err
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func (e *Environment) makeRegistry(ctx context.Context) (detail string, err error) {
	arch, err := e.engineArch(ctx)
	if err != nil {
		return "", err
	}
	img, err := appImage(appRegistry, arch)
	if err != nil {
		return "", err
	}
	id, err := e.loadImage(ctx, img, registryName+":1")
	if err != nil {
		return "", err
	}
	found, err := e.Docker.ContainerInspect(ctx, registryName, client.ContainerInspectOptions{})
	switch {
	case err == nil && found.Container.Config.Labels[PartLabel] == "":
		return "", hint(fmt.Errorf("a container called %s is there already, and kindlab did not make it", registryName),
			"rename it with `docker rename %s NEWNAME`, then run `kindlab up` again", registryName)
	case err == nil && found.Container.Image == id && found.Container.State.Running:
		port := publishedPort(found.Container.NetworkSettings.Ports)
		if port > 0 && e.registryAnswers(ctx, port, 2*time.Second) == nil {
			e.setRegistry(port)
			return e.Registry, nil
		}
	case err != nil && !isNotFound(err):
		return "", fmt.Errorf("looking for the registry: %w", err)
	}
	port := registryHost
	if err == nil {
		// Images in the cluster are named after the old port: keep it if possible.
		if old := configuredPort(found.Container.HostConfig); old > 0 {
			port = old
		}
		if _, err := e.Docker.ContainerRemove(ctx, registryName, client.ContainerRemoveOptions{Force: true}); err != nil && !isNotFound(err) {
			return "", fmt.Errorf("removing the old registry: %w", err)
		}
	}
	if _, err := e.Docker.VolumeCreate(ctx, client.VolumeCreateOptions{
		Name: registryName, Labels: map[string]string{PartLabel: "registry"}}); err != nil {
		return "", fmt.Errorf("creating the registry's volume: %w", err)
	}
	if port, err = e.runRegistry(ctx, port); err != nil {
		return "", err
	}
	if err := e.registryAnswers(ctx, port, registryTime); err != nil {
		return "", hint(err, "see `docker logs %s`", registryName)
	}
	e.setRegistry(port)
	return e.Registry, nil
}

func (e *Environment) setRegistry(port int) { e.Registry = "localhost:" + strconv.Itoa(port) }

// runRegistry starts the container on the first free host port from port on.
func (e *Environment) runRegistry(ctx context.Context, port int) (int, error) {
	inside := network.MustParsePort(fmt.Sprintf("%d/tcp", registryPort))
	var last error
	for p := port; p < port+portTries; p++ {
		if !PortFree(p) {
			last = fmt.Errorf("port %d is taken", p)
			continue
		}
		e.Report.Echo(fmt.Sprintf("docker run -d --name %s --network %s -p 127.0.0.1:%d:%d %s:1", registryName, networkName, p, registryPort, registryName))
		_, err := e.Docker.ContainerCreate(ctx, client.ContainerCreateOptions{
			Name: registryName,
			Config: &container.Config{
				Image: registryName + ":1", Labels: map[string]string{PartLabel: "registry"},
				ExposedPorts: network.PortSet{inside: {}},
			},
			HostConfig: &container.HostConfig{
				NetworkMode:   networkName,
				Binds:         []string{registryName + ":/data"},
				RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyUnlessStopped},
				PortBindings: network.PortMap{inside: []network.PortBinding{{
					HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: strconv.Itoa(p)}}},
			},
		})
		if err != nil {
			return 0, fmt.Errorf("creating the registry's container: %w", err)
		}
		_, err = e.Docker.ContainerStart(ctx, registryName, client.ContainerStartOptions{})
		if err == nil {
			return p, nil
		}
		_, rmErr := e.Docker.ContainerRemove(ctx, registryName, client.ContainerRemoveOptions{Force: true})
		// Another program may have taken the port in between, or hold it where we cannot see it.
		if !portTaken(err) || rmErr != nil {
			return 0, fmt.Errorf("starting the registry: %w", err)
		}
		last = err
	}
	return 0, hint(fmt.Errorf("no free port for the registry from %d to %d: %w", port, port+portTries-1, last),
		"free one of these ports; `ss -ltnp` shows who has them")
}

// registryAnswers waits until the registry answers on the host's port.
func (e *Environment) registryAnswers(ctx context.Context, port int, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	url := fmt.Sprintf("http://127.0.0.1:%d/v2/", port)
	transport := &http.Transport{DisableKeepAlives: true}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := transport.RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("HTTP %d", resp.StatusCode)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the registry does not answer on %s: %w", url, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// PortFree reports whether a program could listen on the TCP port of this machine now.
func PortFree(port int) bool {
	for _, host := range []string{"127.0.0.1", ""} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

// publishedPort is the host port of the registry's port; 0 when it has none.
func publishedPort(ports network.PortMap) int { return hostPort(ports, registryPort) }

func configuredPort(h *container.HostConfig) int {
	if h == nil {
		return 0
	}
	return publishedPort(h.PortBindings)
}

// removeRegistry removes the registry, its volume and its image.
func (e *Environment) removeRegistry(ctx context.Context) error {
	found, err := e.Docker.ContainerInspect(ctx, registryName, client.ContainerInspectOptions{})
	if err == nil && found.Container.Config.Labels[PartLabel] == "registry" {
		_, err = e.Docker.ContainerRemove(ctx, registryName, client.ContainerRemoveOptions{Force: true})
	}
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("removing the registry: %w", err)
	}
	if vol, err := e.Docker.VolumeInspect(ctx, registryName, client.VolumeInspectOptions{}); err == nil && vol.Volume.Labels[PartLabel] == "registry" {
		if _, err := e.Docker.VolumeRemove(ctx, registryName, client.VolumeRemoveOptions{}); err != nil && !isNotFound(err) {
			return fmt.Errorf("removing the registry's volume: %w", err)
		}
	}
	return e.removeImages(ctx, PartLabel+"="+appRegistry)
}

// removeImages removes the images that carry all the given labels (key=value).
func (e *Environment) removeImages(ctx context.Context, labels ...string) error {
	found, err := e.Docker.ImageList(ctx, client.ImageListOptions{All: false, Filters: client.Filters{}.Add("label", labels[0])})
	if err != nil {
		return fmt.Errorf("listing images: %w", err)
	}
	for _, img := range found.Items {
		if hasAll(img.Labels, labels) {
			if _, err := e.Docker.ImageRemove(ctx, img.ID, client.ImageRemoveOptions{Force: true, PruneChildren: true}); err != nil && !isNotFound(err) {
				return fmt.Errorf("removing image %s: %w", img.ID, err)
			}
		}
	}
	return nil
}

// hasAll reports whether labels have each of the pairs key=value.
func hasAll(labels map[string]string, pairs []string) bool {
	return !slices.ContainsFunc(pairs, func(pair string) bool {
		key, value, _ := strings.Cut(pair, "=")
		return labels[key] != value
	})
}
