package checker

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzMeshSaid reads whatever an attendee may write: there is always an answer, and it
// has words.
func FuzzMeshSaid(f *testing.F) {
	for _, seed := range []string{
		"", meshVersions, meshOthers, meshDoor, meshTokens, meshAsks,
		"kind: VirtualService\nmetadata: {name: a}\nspec: {hosts: ['', '*', '.', 'a.b', 'orders'], gateways: ['/', './a', 'a/b/c', '.', ''], http: [{}, {match: [{}], route: [{}, {destination: {}}], retries: {}, fault: {}, mirror: {}, mirrors: [{}], delegate: {}}], tls: [{route: [{}]}], tcp: [{route: [{}]}]}",
		"kind: DestinationRule\nmetadata: {name: a}\nspec: {host: orders, subsets: [{}, {labels: {a: b}, trafficPolicy: {outlierDetection: {maxEjectionPercent: -1}, portLevelSettings: [{}, {tls: {}}]}}], trafficPolicy: {tls: {}, outlierDetection: {}}}",
		"kind: Gateway\nmetadata: {name: a}\nspec: {selector: {istio: ingress}, servers: [{}, {port: {}, hosts: ['/', '']}]}",
		"kind: Sidecar\nmetadata: {name: a}\nspec: {egress: [{}, {hosts: ['', '/', '*', './*']}]}",
		"kind: ServiceEntry\nmetadata: {name: a}\nspec: {hosts: [''], ports: [{}], endpoints: [{}]}",
		"kind: PeerAuthentication\nmetadata: {name: a}\nspec: {selector: {}, portLevelMtls: {'0': {}}}",
		"kind: RequestAuthentication\nmetadata: {name: a}\nspec: {targetRefs: [{}], jwtRules: [{}]}",
		"kind: AuthorizationPolicy\nmetadata: {name: a}\nspec: {targetRef: {}, rules: [{from: [{}, {source: {principals: ['', '/', 'a/ns/b/sa/c'], serviceAccounts: ['', '/']}}], to: [{}, {operation: {ports: ['', x, '-1', '99999999999999999999']}}], when: [{}]}]}",
		"kind: Service\nmetadata: {name: a, namespace: shop}\nspec: {selector: {app: orders}, ports: [{}, {port: -1, targetPort: x}]}",
		"kind: Pod\nmetadata: {name: a, namespace: shop}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var m meshObjects
		require.NoError(t, meshRead(&m, meshShop))
		if meshRead(&m, text) != nil {
			return
		}
		for _, namespace := range []string{"shop", meshRoot, ""} {
			for _, found := range m.faults(namespace) {
				assert.NotEmpty(t, found.rule)
				assert.NotEmpty(t, found.finding.Because)
			}
		}
	})
}
