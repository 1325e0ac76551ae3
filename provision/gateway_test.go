package provision

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

func TestClusterConfig(t *testing.T) {
	c := (&Environment{Cluster: "kindlab", Address: "192.0.2.1"}).clusterConfig(8581)
	assert.Equal(t, "kindlab", c.Name)
	assert.Equal(t, "192.0.2.1", c.Networking.APIServerAddress)
	require.Len(t, c.Nodes, 1)
	assert.Equal(t, map[string]string{PartLabel: "node"}, c.Nodes[0].Labels)
	assert.Equal(t, []v1alpha4.PortMapping{{ContainerPort: 30085, HostPort: 8581, ListenAddress: "127.0.0.1", Protocol: "TCP"}}, c.Nodes[0].ExtraPortMappings,
		"others on the network do not reach what an attendee deploys")
	require.Len(t, c.KubeadmConfigPatches, 1)
	assert.Contains(t, c.KubeadmConfigPatches[0], "failCgroupV1: false")
	assert.Empty(t, (&Environment{Cluster: "kindlab"}).clusterConfig(0).Nodes[0].ExtraPortMappings)

	shared := (&Environment{Cluster: "class", Tenant: &Tenant{}}).clusterConfig(0)
	assert.Contains(t, shared.KubeadmConfigPatches, c.KubeadmConfigPatches[0])
	all := strings.Join(shared.KubeadmConfigPatches, "")
	assert.Contains(t, all, "maxPods: 2000", "the pods of many attendees fit on its node")
	require.Len(t, shared.KubeadmConfigPatchesJSON6902, 2)
	for _, p := range shared.KubeadmConfigPatchesJSON6902 {
		assert.Contains(t, p.Patch, "node-cidr-mask-size", "and each gets an address")
	}
	assert.Empty(t, c.KubeadmConfigPatchesJSON6902)
}

func TestFreeGatewayPort(t *testing.T) {
	all := func(int) bool { return true }
	none := func(int) bool { return false }
	for _, c := range []struct {
		name     string
		from     int
		reserved map[int]bool
		free     func(int) bool
		want     int
	}{
		{"the usual", gatewayHost, nil, all, gatewayHost},
		{"a stopped cluster's", gatewayHost, map[int]bool{gatewayHost: true}, all, gatewayHost + 1},
		{"another program's", gatewayHost, map[int]bool{gatewayHost: true}, func(p int) bool { return p != gatewayHost+1 }, gatewayHost + 2},
		{"lost to somebody in between", gatewayHost + 3, nil, all, gatewayHost + 3},
		{"all taken", gatewayHost, nil, none, 0},
		{"the last ones taken", gatewayHost + portTries - 1, map[int]bool{gatewayHost + portTries - 1: true}, all, 0},
		{"beyond", gatewayHost + portTries, nil, all, 0},
	} {
		assert.Equal(t, c.want, freeGatewayPort(c.from, c.reserved, c.free), c.name)
	}
}

// nodeOn is what Docker says about a node that leads a port of the host to the gateway.
func nodeOn(port string) map[string]string {
	bindings := `{}`
	if port != "" {
		bindings = `{"6443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "40123"}], "30085/tcp": [{"HostIp": "127.0.0.1", "HostPort": "` + port + `"}]}`
	}
	node := `{"Id": "0123456789abcdef", "Config": {"Labels": {}}, "HostConfig": {"PortBindings": ` + bindings + `}}`
	return map[string]string{
		"/_ping": "OK", "/version": `{"Version": "29.1.0", "ApiVersion": "1.52", "Arch": "arm64"}`,
		"/containers/json": `[{"Id": "0123456789abcdef", "Names": ["/kindlab-control-plane"], "Image": "kindest/node:v1", "State": "exited",
			"Labels": {"io.x-k8s.kind.cluster": "kindlab", "io.x-k8s.kind.role": "control-plane"}, "HostConfig": {"NetworkMode": "kindlab"}}]`,
		"/0123456789abcdef/json": node, "/kindlab-control-plane/json": node,
	}
}

func TestGatewayOfCluster(t *testing.T) {
	for port, want := range map[string]string{"8583": "localhost:8583", "": ""} {
		e := &Environment{Cluster: "kindlab", Report: Quiet{}, Docker: engine(t, nodeOn(port))}
		require.NoError(t, e.Attach(t.Context()))
		assert.Equal(t, want, e.Gateway, "of a stopped cluster too: its port does not change")
		reserved, err := e.reservedPorts(t.Context())
		require.NoError(t, err)
		assert.Equal(t, port != "", reserved[8583])
	}
}

func TestMeshWithoutGateway(t *testing.T) {
	_, err := (&Environment{Cluster: "old"}).ensureMesh(t.Context())
	require.EqualError(t, err, "cluster old was made without a port for the mesh's gateway, and a port cannot be added to it")
	var h *Hinted
	require.ErrorAs(t, err, &h)
	assert.Contains(t, h.Hint, "`kindlab down` and `kindlab up` begin anew")
}

func TestHostPort(t *testing.T) {
	ports := network.PortMap{
		network.MustParsePort("30085/tcp"): {{HostPort: "8580"}},
		network.MustParsePort("5000/tcp"):  nil,
	}
	assert.Equal(t, 8580, hostPort(ports, 30085))
	assert.Zero(t, hostPort(ports, 5000))
	assert.Zero(t, hostPort(nil, 80))
}

func TestPortTaken(t *testing.T) {
	assert.True(t, portTaken(errors.New("driver failed: Bind for 127.0.0.1:8580 failed: port is already allocated")))
	assert.True(t, portTaken(fmt.Errorf("x: %w", errors.New("listen tcp4 127.0.0.1:8580: bind: address already in use"))))
	assert.False(t, portTaken(errors.New("no such image")))
}
