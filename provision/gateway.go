package provision

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

const (
	// gatewayNodePort is where the mesh's gateway is on the nodes: the last port that
	// Kubernetes does not give to a Service by itself.
	gatewayNodePort = 30085
	gatewayHost     = 8580 // on the host; the next free port when it is taken
	sharedPods      = 2000 // on the node of a cluster that attendees share; Kubernetes' default is 110
)

// errNoGateway is the error of a cluster that no port of the host leads into.
func (e *Environment) errNoGateway() error {
	return hint(fmt.Errorf("cluster %s was made without a port for the mesh's gateway, and a port cannot be added to it", e.Cluster),
		"the cluster holds your work, so kindlab does not remove it. `kindlab down` and `kindlab up` begin anew; your files stay")
}

// clusterConfig is what kind is told about a cluster. With a port, 127.0.0.1:port
// leads to the mesh's gateway, whether a mesh is there yet or not: Docker cannot add
// a port to a node later. A cluster that is shared has room for the pods of many.
func (e *Environment) clusterConfig(port int) *v1alpha4.Cluster {
	node := v1alpha4.Node{Role: v1alpha4.ControlPlaneRole, Labels: map[string]string{PartLabel: "node"}}
	if port > 0 {
		node.ExtraPortMappings = []v1alpha4.PortMapping{{
			ContainerPort: gatewayNodePort, HostPort: int32(port), ListenAddress: "127.0.0.1", Protocol: v1alpha4.PortMappingProtocolTCP}}
	}
	patches := []string{
		// Kubernetes refuses cgroup v1 since 1.35 unless told so; on v2 this changes nothing.
		"kind: KubeletConfiguration\napiVersion: kubelet.config.k8s.io/v1beta1\nfailCgroupV1: false\n",
	}
	var versioned []v1alpha4.PatchJSON6902
	if e.Tenant != nil {
		patches = append(patches, fmt.Sprintf("kind: KubeletConfiguration\napiVersion: kubelet.config.k8s.io/v1beta1\nmaxPods: %d\n", sharedPods))
		// Each pod has an address of its node's: 2 to the power of 12 of them. Kubernetes
		// before 1.36 gets the older configuration from kind.
		for version, op := range map[string]string{
			"v1beta3": `{"op": "add", "path": "/controllerManager/extraArgs/node-cidr-mask-size", "value": "20"}`,
			"v1beta4": `{"op": "add", "path": "/controllerManager/extraArgs/-", "value": {"name": "node-cidr-mask-size", "value": "20"}}`,
		} {
			versioned = append(versioned, v1alpha4.PatchJSON6902{Group: "kubeadm.k8s.io", Version: version, Kind: "ClusterConfiguration", Patch: "[" + op + "]"})
		}
	}
	return &v1alpha4.Cluster{
		TypeMeta:             v1alpha4.TypeMeta{Kind: "Cluster", APIVersion: "kind.x-k8s.io/v1alpha4"},
		Name:                 e.Cluster,
		Nodes:                []v1alpha4.Node{node},
		Networking:           v1alpha4.Networking{APIServerAddress: e.Address}, // kind takes the loopback when there is none
		KubeadmConfigPatches: patches, KubeadmConfigPatchesJSON6902: versioned,
	}
}

// createWithGateway creates the cluster with the first free host port for the gateway.
func (e *Environment) createWithGateway(ctx context.Context) error {
	reserved, err := e.reservedPorts(ctx)
	if err != nil {
		return err
	}
	for port := gatewayHost; ; port++ {
		port = freeGatewayPort(port, reserved, PortFree)
		if port == 0 {
			e.Report.Note(fmt.Sprintf("ports %d to %d are taken, so this cluster cannot have a mesh", gatewayHost, gatewayHost+portTries-1))
		}
		err := e.createCluster(ctx, port)
		// Another program may have taken the port in between.
		if err != nil && port > 0 && ctx.Err() == nil && portTaken(err) {
			continue
		}
		if err == nil && port > 0 {
			e.setGateway(port)
		}
		return err
	}
}

// freeGatewayPort is the first port from port on that is free and that no stopped
// cluster will want back; 0 when there is none.
func freeGatewayPort(port int, reserved map[int]bool, free func(int) bool) int {
	for ; port < gatewayHost+portTries; port++ {
		if !reserved[port] && free(port) {
			return port
		}
	}
	return 0
}

// reservedPorts are the gateway ports of all our clusters, running or not.
func (e *Environment) reservedPorts(ctx context.Context) (map[int]bool, error) {
	found, err := e.Docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", kindClusterLabel)})
	if err != nil {
		return nil, fmt.Errorf("listing clusters: %w", err)
	}
	reserved := map[int]bool{}
	for _, c := range found.Items {
		if port, err := e.gatewayPort(ctx, c.ID); err == nil && onOurNetwork(c) && port > 0 {
			reserved[port] = true
		}
	}
	return reserved, nil
}

// gatewayPort is the host port that leads to a node's gateway port, as the node was
// made; 0 when it was made without.
func (e *Environment) gatewayPort(ctx context.Context, node string) (int, error) {
	found, err := e.Docker.ContainerInspect(ctx, node, client.ContainerInspectOptions{})
	if err != nil {
		return 0, fmt.Errorf("looking for the gateway's port of %s: %w", node, err)
	}
	if found.Container.HostConfig == nil {
		return 0, nil
	}
	return hostPort(found.Container.HostConfig.PortBindings, gatewayNodePort), nil
}

// findGateway sets e.Gateway to what the cluster was made with.
func (e *Environment) findGateway(ctx context.Context, s clusterState) error {
	control := s.control()
	if control == "" || s.foreign {
		return nil
	}
	port, err := e.gatewayPort(ctx, control)
	if err == nil && port > 0 {
		e.setGateway(port)
	}
	return err
}

func (e *Environment) setGateway(port int) { e.Gateway = "localhost:" + strconv.Itoa(port) }

// hostPort is the host port of a container's port; 0 when it has none.
func hostPort(ports network.PortMap, inside int) int {
	for p, bindings := range ports {
		if int(p.Num()) == inside && len(bindings) > 0 {
			n, _ := strconv.Atoi(bindings[0].HostPort)
			return n
		}
	}
	return 0
}

// portTaken reports whether Docker could not start a container because of a port.
func portTaken(err error) bool {
	text := err.Error()
	return strings.Contains(text, "port is already allocated") || strings.Contains(text, "address already in use")
}
