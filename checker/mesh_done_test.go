package checker

import (
	"net/url"
	"strings"
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// meshOutsider is a pod of the shop that wants no proxy.
const meshOutsider = `
---
kind: Pod
metadata: {name: outsider, namespace: shop, labels: {app: outsider, sidecar.istio.io/inject: "false"}}
spec: {containers: [{name: app}]}
status: {conditions: [{type: Ready, status: "True"}]}
---
`

// meshAskOf is a request of a pod of the shop, or of the probe with "", for a host.
func meshAskOf(t *testing.T, more, pod, host, at string, answer httpAnswer) *meshAsk {
	t.Helper()
	var m meshObjects
	require.NoError(t, meshRead(&m, meshShop))
	require.NoError(t, meshRead(&m, more))
	u, err := url.Parse(at)
	require.NoError(t, err)
	var from *corev1.Pod
	for i := range m.pods {
		if m.pods[i].Name == pod {
			from = &m.pods[i]
		}
	}
	require.True(t, from != nil || pod == "", "no pod %s", pod)
	call := &meshCall{}
	call.From = origin{Where: fromCluster}
	return &meshAsk{&meshReading{meshObjects: m, namespace: "shop"}, from, call, host, u, answer}
}

func said(f labs.Finding) string {
	return strings.ReplaceAll(strings.Join(f.Lines(), "\n"), "`", "'")
}

func TestMeshCallerWithoutProxyIsCut(t *testing.T) {
	const strict = meshOutsider + `
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}`
	cut := httpAnswer{Error: "reset", Kind: kindReset}
	never := func() bool { return false }
	const says = "because PeerAuthentication default lets the pods of Service orders take only mutual TLS (STRICT), and "
	const look = "\nlook at 'kubectl get peerauthentication default -o yaml'"
	assert.Equal(t, says+"pod outsider, which asks, has no proxy"+look, said(meshAskOf(t, strict, "outsider", "orders", "http://orders/api", cut).sure(never)))
	assert.Equal(t, says+"the probe, which asks, has no proxy"+look, said(meshAskOf(t, strict, "", "orders", "http://orders/api", cut).sure(never)))
	assert.Empty(t, said(meshAskOf(t, strict, "client", "orders", "http://orders/api", cut).sure(never)), "the caller has a proxy")
	assert.Empty(t, said(meshAskOf(t, strict, "outsider", "orders", "http://orders/api", httpAnswer{Error: "timeout", Kind: kindTimeout}).sure(never)), "nobody has cut it")
	assert.Empty(t, said(meshAskOf(t, meshOutsider, "outsider", "orders", "http://orders/api", cut).sure(never)), "both ways are taken")
}

func TestMeshFaultIsTheRoutes(t *testing.T) {
	const fault = `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{match: [{uri: {prefix: /b}}], name: b, fault: {abort: {httpStatus: 418, percentage: {value: 1}}}, route: [{destination: {host: orders}}]}, {route: [{destination: {host: orders}}]}]}`
	never := func() bool { return false }
	assert.Equal(t, "because route b of VirtualService orders answers with 418 itself (fault, abort)\nlook at 'kubectl get virtualservice orders -o yaml'",
		said(meshAskOf(t, fault, "client", "orders", "http://orders/b", httpAnswer{Status: 418, Body: "fault filter abort"}).sure(never)))
	assert.Empty(t, said(meshAskOf(t, fault, "client", "orders", "http://orders/b", httpAnswer{Status: 418, Body: "short and stout"}).sure(never)))
}

func TestMeshRequestIsOneTooMany(t *testing.T) {
	const limits = `
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}, subsets: [{name: v1, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 2}}}}]}`
	never := func() bool { return false }
	full := httpAnswer{Status: 503, Headers: map[string]string{overloadedBy: "true"}}
	assert.Equal(t, "because DestinationRule orders limits what may be under way at the same time (maxConnections 1, http1MaxPendingRequests 2), and this request was one too many\nlook at 'kubectl get destinationrule orders -o yaml'",
		said(meshAskOf(t, limits, "client", "orders", "http://orders/api", full).sure(never)))
	assert.Empty(t, said(meshAskOf(t, limits, "client", "orders", "http://orders/api", httpAnswer{Status: 503}).sure(never)), "not for this reason")
	assert.Empty(t, said(meshAskOf(t, "", "client", "orders", "http://orders/api", full).sure(never)), "nobody limits it here")
}

func TestMeshPlainTextIsTaken(t *testing.T) {
	const says = "lets the pods of Service orders take plain text (PERMISSIVE)\nlook at 'kubectl get peerauthentication "
	for objects, wants := range map[string]string{
		"": "",
		`
kind: PeerAuthentication
metadata: {name: client}
spec: {selector: {matchLabels: {app: client}}, mtls: {mode: STRICT}}`: "because no PeerAuthentication is for the pods of Service orders, so they take plain text too\nlook at 'kubectl get peerauthentications -o yaml'",
		`
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: PERMISSIVE}}`: "because PeerAuthentication default " + says + "default -o yaml'",
		`
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
---
kind: PeerAuthentication
metadata: {name: orders}
spec: {selector: {matchLabels: {app: orders}}, portLevelMtls: {"8080": {mode: PERMISSIVE}}}`: "because PeerAuthentication orders " + says + "orders -o yaml'",
	} {
		a := meshAskOf(t, meshOutsider+objects, "outsider", "orders", "http://orders/api", httpAnswer{Status: 200})
		a.call.Unanswered = true
		assert.Equal(t, wants, said(a.plainTaken()))
	}
}

func TestWhoHasChangedWhatIsRefusedIsNamed(t *testing.T) {
	target, f := &Target{Namespace: "shop"}, labs.Finding{Because: "the proxy of pod web refuses its routes: no"}
	assert.Empty(t, said(patched(target, f, nil)))
	assert.Equal(t, "because the proxy of pod web refuses its routes: no\nnearest: EnvoyFilter teapot changes what it gets\nlook at 'kubectl get envoyfilter teapot -o yaml'", said(patched(target, f, []string{"shop/teapot"})))
	assert.Equal(t, "because the proxy of pod web refuses its routes: no\nnearest: EnvoyFilters change what it gets: shop/teapot and istio-system/all\nlook at 'kubectl get envoyfilters -A'", said(patched(target, f, []string{"shop/teapot", "istio-system/all"})))
}
