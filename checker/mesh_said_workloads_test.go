package checker

import "testing"

func TestMeshProxies(t *testing.T) {
	const bare = `
---
kind: Pod
metadata: {name: orders-v1, namespace: shop, labels: {app: orders, version: v1}}
spec: {containers: [{name: app, ports: [{containerPort: 8080}]}]}
status: {conditions: [{type: Ready, status: "True"}]}
---
`
	const noneHasOne = bare + `
kind: Pod
metadata: {name: orders-v2, namespace: shop, labels: {app: orders, version: v2}}
spec: {containers: [{name: app, ports: [{containerPort: 8080}]}]}
status: {conditions: [{type: Ready, status: "True"}]}
---
kind: Pod
metadata: {name: client, namespace: shop, labels: {app: client}}
spec: {containers: [{name: app}]}
status: {conditions: [{type: Ready, status: "True"}]}
---
`
	const route = `
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders}}]}]}
`
	const strict = "\n---\nkind: PeerAuthentication\nmetadata: {name: default}\nspec: {mtls: {mode: STRICT}}\n"
	meshCases(t, []meshCase{{
		name:   "pod older than the label",
		broken: bare,
		says: `
no-proxy: because pod orders-v1 has no proxy, though namespace shop gives one to new pods (istio-injection=enabled)
nearest: a pod that is older than the label gets its proxy when it is made again: 'kubectl rollout restart deployment'
look at 'kubectl get pods'`,
		good: `
kind: Pod
metadata: {name: orders-v1, namespace: shop, labels: {app: orders, version: v1, sidecar.istio.io/inject: "false"}}
spec: {containers: [{name: app}]}`,
	}, {
		name:   "several pods without",
		broken: noneHasOne,
		says: `
no-proxy: because pods client, orders-v1 and orders-v2 have no proxy, though namespace shop gives one to new pods (istio-injection=enabled)
nearest: a pod that is older than the label gets its proxy when it is made again: 'kubectl rollout restart deployment'
look at 'kubectl get pods'`,
		good: "",
	}, {
		name: "no label",
		broken: noneHasOne + route + `
---
kind: Namespace
metadata: {name: shop, labels: {istio-injecton: enabled}}`,
		says: `
no-proxy: because namespace shop has no label istio-injection=enabled, so its pods have no proxy, and VirtualService orders has no effect on them
nearest: it has istio-injecton=enabled
look at 'kubectl get namespace shop --show-labels'`,
		good: noneHasOne + meshDoor + `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [shop.example.com], gateways: [door], http: [{route: [{destination: {host: orders}}]}]}
---
kind: Namespace
metadata: {name: shop}`,
	}, {
		name: "no label, and a policy",
		broken: noneHasOne + `
kind: Namespace
metadata: {name: shop}
---
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {rules: [{}]}`,
		says: `
no-proxy: because namespace shop has no label istio-injection=enabled, so its pods have no proxy, and AuthorizationPolicy orders has no effect on them
look at 'kubectl get namespace shop --show-labels'`,
		good: noneHasOne + `
kind: Namespace
metadata: {name: shop}`,
	}, {
		name: "revision that pods have not got",
		broken: bare + `
kind: Namespace
metadata: {name: shop, labels: {istio.io/rev: "1-31"}}`,
		says: `
no-proxy: because pod orders-v1 has no proxy, though namespace shop gives one to new pods (istio.io/rev=1-31)
nearest: a pod that is older than the label gets its proxy when it is made again: 'kubectl rollout restart deployment'
look at 'kubectl get pods'`,
		good: `
kind: Namespace
metadata: {name: shop, labels: {istio.io/rev: "1-31"}}`,
	}, {
		name: "label that says no",
		broken: noneHasOne + strict + `
---
kind: Namespace
metadata: {name: shop, labels: {istio-injection: "true"}}`,
		says: `
no-proxy: because namespace shop has the label istio-injection=true, so its pods have no proxy, and PeerAuthentication default has no effect on them
nearest: the value that counts is enabled
look at 'kubectl get namespace shop --show-labels'`,
		good: noneHasOne + strict + `
---
kind: Namespace
metadata: {name: shop, labels: {istio.io/dataplane-mode: ambient}}`,
	}, {
		name: "strict towards a pod without a proxy",
		broken: strict + `
---
kind: Namespace
metadata: {name: shop}
---
kind: Pod
metadata: {name: client, namespace: shop, labels: {app: client}}
spec: {containers: [{name: app}]}`,
		says: `
strict: because PeerAuthentication default takes only mutual TLS (STRICT), and pod client has no proxy, so it cannot call pod orders-v1
look at 'kubectl get pods'`,
		good: strict,
	}, {
		name: "plain text towards strict",
		broken: strict + `
---
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, trafficPolicy: {tls: {mode: DISABLE}}}`,
		says: `
tls: because DestinationRule orders has tls mode DISABLE, and PeerAuthentication default lets the pods of Service orders take only the mesh's own mutual TLS (STRICT)
nearest: that is tls mode ISTIO_MUTUAL, also when no mode is said
look at 'kubectl get destinationrule orders -o yaml'`,
		good: strict + `
---
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}`,
	}, {
		name: "TLS of its own towards the mesh's strict",
		broken: `
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {tls: {mode: SIMPLE}}}]}`,
		says: `
tls: because DestinationRule orders subset v1 has tls mode SIMPLE, and PeerAuthentication default in namespace istio-system lets the pods of Service orders take only the mesh's own mutual TLS (STRICT)
nearest: that is tls mode ISTIO_MUTUAL, also when no mode is said
look at 'kubectl get destinationrule orders -o yaml'`,
		good: `
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
kind: PeerAuthentication
metadata: {name: orders}
spec: {selector: {matchLabels: {app: orders}}, mtls: {mode: STRICT}, portLevelMtls: {"8080": {mode: DISABLE}}}
---
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, trafficPolicy: {tls: {mode: DISABLE}}}`,
	}, {
		name: "mutual TLS towards none",
		broken: `
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: DISABLE}}
---
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: ISTIO_MUTUAL}}]}}`,
		says: `
tls: because DestinationRule orders port 80 has tls mode ISTIO_MUTUAL, and PeerAuthentication default lets the pods of Service orders take no mutual TLS (DISABLE)
look at 'kubectl get peerauthentication default -o yaml'`,
		good: `
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: DISABLE}}`,
	}, {
		name: "callers by name without TLS",
		broken: `
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: DISABLE}}
---
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {selector: {matchLabels: {app: orders}}, rules: [{from: [{source: {namespaces: [shop]}}]}]}`,
		says: `
identity: because AuthorizationPolicy orders asks who calls (namespaces), and PeerAuthentication default lets its pods take no mutual TLS (DISABLE), without which nobody has a name
look at 'kubectl get peerauthentication default -o yaml'`,
		good: `
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: PERMISSIVE}}
---
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {selector: {matchLabels: {app: orders}}, rules: [{from: [{source: {namespaces: [shop]}}]}]}`,
	}, {
		name: "mutual TLS towards pods without a proxy",
		broken: noneHasOne + `
kind: Namespace
metadata: {name: shop}
---
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}`,
		says: `
tls: because DestinationRule orders has tls mode ISTIO_MUTUAL, and the pods of Service orders have no proxy to answer it
look at 'kubectl get destinationrule orders -o yaml'`,
		good: noneHasOne + `
kind: Namespace
metadata: {name: shop}
---
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, trafficPolicy: {tls: {mode: DISABLE}}}`,
	}})
}
