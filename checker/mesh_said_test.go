package checker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	meshnet "istio.io/client-go/pkg/apis/networking/v1"
	meshsec "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// A small shop that is as it should be: two versions of orders, a client, a gateway.
const meshShop = `
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
kind: Namespace
metadata: {name: front, labels: {istio-injection: enabled}}
---
kind: Namespace
metadata: {name: istio-system}
---
kind: ServiceAccount
metadata: {name: client, namespace: shop}
---
kind: Pod
metadata: {name: orders-v1, namespace: shop, labels: {app: orders, version: v1}}
spec:
  containers: [{name: app, ports: [{containerPort: 8080}]}]
  initContainers: [{name: istio-proxy, restartPolicy: Always}]
status: {conditions: [{type: Ready, status: "True"}]}
---
kind: Pod
metadata: {name: orders-v2, namespace: shop, labels: {app: orders, version: v2}}
spec: {containers: [{name: app, ports: [{containerPort: 8080}]}, {name: istio-proxy}]}
status: {conditions: [{type: Ready, status: "True"}]}
---
kind: Pod
metadata: {name: client, namespace: shop, labels: {app: client}}
spec: {containers: [{name: app}, {name: istio-proxy}]}
status: {conditions: [{type: Ready, status: "True"}]}
---
kind: Pod
metadata: {name: ingress, namespace: istio-system, labels: {istio: ingress}}
spec: {containers: [{name: istio-proxy}]}
status: {conditions: [{type: Ready, status: "True"}]}
---
kind: Service
metadata: {name: orders, namespace: shop}
spec: {clusterIP: 10.0.0.1, selector: {app: orders}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
kind: Service
metadata: {name: ingress, namespace: istio-system}
spec: {selector: {istio: ingress}, ports: [{name: http2, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}]}
`

// meshRead adds documents to a snapshot; one with the name of another replaces it.
func meshRead(m *meshObjects, text string) error {
	for doc := range strings.SplitSeq(text, "\n---") {
		var meta metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(doc), &meta); err != nil {
			return err
		}
		var err error
		switch meta.Kind {
		case "Namespace":
			m.namespaces, err = meshPut(m.namespaces, doc, func(o *corev1.Namespace) metav1.Object { return o })
		case "Service":
			m.services, err = meshPut(m.services, doc, func(o *corev1.Service) metav1.Object { return o })
		case "Pod":
			m.pods, err = meshPut(m.pods, doc, func(o *corev1.Pod) metav1.Object { return o })
		case "ServiceAccount":
			m.accounts, err = meshPut(m.accounts, doc, func(o *corev1.ServiceAccount) metav1.Object { return o })
		case "VirtualService":
			m.virtualServices, err = meshAdd(m.virtualServices, doc, &meshnet.VirtualService{})
		case "DestinationRule":
			m.destinationRules, err = meshAdd(m.destinationRules, doc, &meshnet.DestinationRule{})
		case "Gateway":
			m.gateways, err = meshAdd(m.gateways, doc, &meshnet.Gateway{})
		case "ServiceEntry":
			m.serviceEntries, err = meshAdd(m.serviceEntries, doc, &meshnet.ServiceEntry{})
		case "Sidecar":
			m.sidecars, err = meshAdd(m.sidecars, doc, &meshnet.Sidecar{})
		case "PeerAuthentication":
			m.peers, err = meshAdd(m.peers, doc, &meshsec.PeerAuthentication{})
		case "RequestAuthentication":
			m.requests, err = meshAdd(m.requests, doc, &meshsec.RequestAuthentication{})
		case "AuthorizationPolicy":
			m.policies, err = meshAdd(m.policies, doc, &meshsec.AuthorizationPolicy{})
		default:
			if strings.Trim(doc, "- \n") != "" {
				err = fmt.Errorf("no kind here: %s", doc)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func meshPut[T any](all []T, doc string, object func(*T) metav1.Object) ([]T, error) {
	var one T
	if err := yaml.Unmarshal([]byte(doc), &one); err != nil {
		return nil, err
	}
	for i := range all {
		if a, b := object(&all[i]), object(&one); a.GetName() == b.GetName() && a.GetNamespace() == b.GetNamespace() {
			all[i] = one
			return all, nil
		}
	}
	return append(all, one), nil
}

// meshAdd puts what says no namespace into shop.
func meshAdd[T metav1.Object](all []T, doc string, one T) ([]T, error) {
	if err := yaml.Unmarshal([]byte(doc), one); err != nil {
		return nil, err
	}
	if one.GetNamespace() == "" {
		one.SetNamespace("shop")
	}
	return append(all, one), nil
}

// meshFaults are the faults of namespace shop with more in it, a line for each thought and
// a command between ' instead of backticks.
func meshFaults(t *testing.T, more string) []string {
	t.Helper()
	var m meshObjects
	require.NoError(t, meshRead(&m, meshShop))
	require.NoError(t, meshRead(&m, more))
	var out []string
	for _, f := range m.faults("shop") {
		out = append(out, f.rule+": "+strings.ReplaceAll(strings.Join(f.finding.Lines(), "\n"), "`", "'"))
	}
	return out
}

// A meshCase is a mistake, what is said of it, and the same without the mistake.
type meshCase struct{ name, broken, says, good string }

func meshCases(t *testing.T, cases []meshCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, strings.TrimSpace(c.says), strings.Join(meshFaults(t, c.broken), "\n"))
			assert.Empty(t, meshFaults(t, c.good), "the good state beside it")
		})
	}
}

func TestMeshShopIsInOrder(t *testing.T) {
	assert.Empty(t, meshFaults(t, ""))
}

func TestMeshNearestCauseComesFirst(t *testing.T) {
	var rules []string
	for _, line := range meshFaults(t, meshDoor+meshTokens+`
kind: VirtualService
metadata: {name: orders}
spec:
  hosts: [orders]
  gateways: [mesh, doors]
  http:
  - route: [{destination: {host: ordres}, weight: 90}, {destination: {host: orders, subset: v1}, weight: 20}]
---
kind: PeerAuthentication
metadata: {name: orders}
spec: {selector: {matchLabels: {app: nobody}}}
---
kind: Pod
metadata: {name: client, namespace: shop, labels: {app: client}}
spec: {containers: [{name: app}]}`) {
		rule, _, _ := strings.Cut(line, ":")
		rules = append(rules, rule)
	}
	assert.Equal(t, []string{"no-proxy", "destination", "gateway", "subset", "weights", "selector", "token-unasked", "unbound"}, rules)
}

func TestMeshWordsOfAnAttendeeAreClipped(t *testing.T) {
	var m meshObjects
	require.NoError(t, meshRead(&m, meshShop+`
---
kind: VirtualService
metadata: {name: "`+strings.Repeat("long", 1000)+`"}
spec: {hosts: ["a\nb"], http: [{route: [{destination: {host: "x\ty"}}]}]}`))
	found := m.faults("shop")
	require.NotEmpty(t, found)
	for _, f := range found {
		for _, line := range f.finding.Lines() {
			assert.Less(t, len(line), 500)
			assert.NotContains(t, line, "\n")
			assert.NotContains(t, line, "\t")
		}
	}
}
