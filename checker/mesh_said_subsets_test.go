package checker

import "testing"

func TestMeshSubsets(t *testing.T) {
	const good = meshVersions + `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders, subset: v1}, weight: 90}, {destination: {host: orders, subset: v2}, weight: 10}]}]}`
	meshCases(t, []meshCase{{
		name: "subset that nobody defines",
		broken: meshVersions + `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders, subset: v3}}]}]}`,
		says: `
subset: because the route of VirtualService orders leads to subset v3 of orders, and no DestinationRule for this host defines it
nearest: DestinationRule orders has subset v1
look at 'kubectl get destinationrule orders -o yaml'`,
		good: good,
	}, {
		name: "subset with no rule at all",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders, subset: v1}}]}]}`,
		says: `
subset: because the route of VirtualService orders leads to subset v1 of orders, and there is no DestinationRule for this host
look at 'kubectl get destinationrules'`,
		good: good,
	}, {
		name: "subset for another host",
		broken: meshOthers + `
kind: DestinationRule
metadata: {name: stock}
spec: {host: stock, subsets: [{name: v1, labels: {version: v1}}]}
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders, subset: v1}}]}]}`,
		says: `
subset: because the route of VirtualService orders leads to subset v1 of orders, and there is no DestinationRule for this host
nearest: DestinationRule stock defines it for host stock
look at 'kubectl get destinationrules'`,
		good: good,
	}, {
		name: "subset by a label that the mesh adds under another name",
		broken: `
kind: Pod
metadata: {name: orders-v1, namespace: shop, labels: {app: orders, version: v1, service.istio.io/canonical-revision: v1}}
spec: {containers: [{name: app}, {name: istio-proxy}]}
---
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, subsets: [{name: v1, labels: {release: v1}}]}`,
		says: `
subset-pods: because subset v1 of DestinationRule orders is the pods with release=v1, and no pod of Service orders has a label release
nearest: 1 pod has version=v1
look at 'kubectl get pods -l app=orders --show-labels'`,
		good: good,
	}, {
		name: "subset in use without pods",
		broken: `
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: "2"}}]}
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders, subset: v1}, weight: 90}, {destination: {host: orders, subset: v2}, weight: 10}]}]}`,
		says: `
subset-pods: because subset v2 of DestinationRule orders is the pods with version=2, and no ready pod of Service orders has that
nearest: 1 ready pod has version=v2
look at 'kubectl get pods -l app=orders --show-labels'`,
		good: good,
	}, {
		name: "subset whose pods are not ready",
		broken: good + `
---
kind: Pod
metadata: {name: orders-v2, namespace: shop, labels: {app: orders, version: v2}}
spec: {containers: [{name: app}, {name: istio-proxy}]}`,
		says: `
subset-pods: because subset v2 of DestinationRule orders is the pods with version=v2, and no ready pod of Service orders has that
nearest: 1 pod with that label, not ready yet
look at 'kubectl get pods -l app=orders --show-labels'`,
		good: good,
	}, {
		name: "subset by a label that nobody has",
		broken: `
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, subsets: [{name: v1, labels: {ver: v1}}]}`,
		says: `
subset-pods: because subset v1 of DestinationRule orders is the pods with ver=v1, and no pod of Service orders has a label ver
nearest: 1 pod has version=v1
look at 'kubectl get pods -l app=orders --show-labels'`,
		good: meshVersions,
	}, {
		name: "rule hidden from the route's namespace",
		broken: meshOthers + `
kind: DestinationRule
metadata: {name: ads, namespace: front}
spec: {host: ads, exportTo: [.], subsets: [{name: v1, labels: {version: v1}}]}
---
kind: VirtualService
metadata: {name: ads}
spec: {hosts: [ads.front.svc.cluster.local], http: [{route: [{destination: {host: ads.front.svc.cluster.local, subset: v1}}]}]}`,
		says: `
hidden: because the route of VirtualService ads leads to subset v1 of ads.front.svc.cluster.local, and exportTo of DestinationRule ads in namespace front keeps it from namespace shop
look at 'kubectl get destinationrules -A'`,
		good: meshOthers + `
kind: DestinationRule
metadata: {name: ads, namespace: front}
spec: {host: ads, exportTo: ["*"], subsets: [{name: v1, labels: {version: v1}}]}
---
kind: VirtualService
metadata: {name: ads}
spec: {hosts: [ads.front.svc.cluster.local], http: [{route: [{destination: {host: ads.front.svc.cluster.local, subset: v1}}]}]}`,
	}, {
		name: "rule that a nearer one replaces",
		broken: meshOthers + `
kind: DestinationRule
metadata: {name: ads, namespace: front}
spec: {host: ads, subsets: [{name: v1, labels: {version: v1}}]}
---
kind: DestinationRule
metadata: {name: pool}
spec: {host: ads.front.svc.cluster.local, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}}
---
kind: VirtualService
metadata: {name: ads}
spec: {hosts: [ads.front.svc.cluster.local], http: [{route: [{destination: {host: ads.front.svc.cluster.local, subset: v1}}]}]}`,
		says: `
subset: because the route of VirtualService ads leads to subset v1 of ads.front.svc.cluster.local, and DestinationRule pool, which is nearer to the callers than DestinationRule ads in namespace front, does not define it
nearest: for a caller only one namespace's rules count: its own before the Service's
look at 'kubectl get destinationrule pool -o yaml'`,
		good: meshOthers + `
kind: DestinationRule
metadata: {name: ads, namespace: front}
spec: {host: ads, subsets: [{name: v1, labels: {version: v1}}]}
---
kind: DestinationRule
metadata: {name: pool}
spec: {host: ads.front.svc.cluster.local, subsets: [{name: v1, labels: {version: v1}}], trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}}
---
kind: VirtualService
metadata: {name: ads}
spec: {hosts: [ads.front.svc.cluster.local], http: [{route: [{destination: {host: ads.front.svc.cluster.local, subset: v1}}]}]}`,
	}, {
		name: "subset far from any other",
		broken: meshVersions + `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders, subset: canary}}]}]}`,
		says: `
subset: because the route of VirtualService orders leads to subset canary of orders, and no DestinationRule for this host defines it
nearest: there is v1 and v2
look at 'kubectl get destinationrule orders -o yaml'`,
		good: good,
	}, {
		name: "two rules with one subset",
		broken: meshVersions + `
kind: DestinationRule
metadata: {name: more, creationTimestamp: "2026-01-02T00:00:00Z"}
spec: {host: orders.shop.svc.cluster.local, subsets: [{name: v2, labels: {version: v2, app: orders}}]}`,
		says: `
same-rule: because DestinationRules orders and more are both for host orders and both define subset v2: that of the older, orders, counts
look at 'kubectl get destinationrules -o yaml'`,
		good: meshVersions + `
kind: DestinationRule
metadata: {name: more, creationTimestamp: "2026-01-02T00:00:00Z"}
spec: {host: orders, subsets: [{name: all, labels: {app: orders}}]}`,
	}, {
		name: "two rules with a policy",
		broken: `
kind: DestinationRule
metadata: {name: pool, creationTimestamp: "2026-01-02T00:00:00Z"}
spec: {host: orders, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}}
---
kind: DestinationRule
metadata: {name: balance, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {host: orders, trafficPolicy: {loadBalancer: {simple: RANDOM}}}`,
		says: `
same-rule: because DestinationRules balance and pool are both for host orders and both have a trafficPolicy: that of the older, balance, counts
look at 'kubectl get destinationrules -o yaml'`,
		good: `
kind: DestinationRule
metadata: {name: pool}
spec: {host: orders, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}, loadBalancer: {simple: RANDOM}}}`,
	}})
}
