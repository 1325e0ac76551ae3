package checker

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// What follows is ordinary and correct, so nothing may be said of it.
func TestMeshSaysNothingOfWhatIsRight(t *testing.T) {
	const egress = `
---
kind: Pod
metadata: {name: egress, namespace: istio-system, labels: {istio: egressgateway}}
spec: {containers: [{name: istio-proxy}]}
---
kind: Service
metadata: {name: istio-egressgateway, namespace: istio-system}
spec: {selector: {istio: egressgateway}, ports: [{name: http2, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}]}
---
`
	for name, text := range map[string]string{
		"patterns of hosts": `
kind: DestinationRule
metadata: {name: all}
spec: {host: "*.shop.svc.cluster.local", trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
---
kind: DestinationRule
metadata: {name: mesh}
spec: {host: "*.local", trafficPolicy: {connectionPool: {tcp: {maxConnections: 10}}}}
---
kind: VirtualService
metadata: {name: any}
spec: {hosts: ["*.shop.svc.cluster.local"], http: [{timeout: 3s, route: [{destination: {host: orders}}]}]}`,
		"a gateway for every host": `
kind: Gateway
metadata: {name: door}
spec: {selector: {istio: ingress}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: ["*"], gateways: [door], http: [{match: [{uri: {exact: /orders}}, {uri: {prefix: /static}}], route: [{destination: {host: orders, port: {number: 80}}}]}]}`,
		"a gateway by its old name, its hosts with namespaces, TLS and a redirect": `
kind: Gateway
metadata: {name: door}
spec:
  selector: {istio: ingress}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["./*.example.com"], tls: {httpsRedirect: true}}
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*/*.example.com"], tls: {mode: SIMPLE, credentialName: cert}}
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [shop.example.com], gateways: [door.shop.svc.cluster.local], http: [{route: [{destination: {host: orders.shop.svc.cluster.local}}]}]}`,
		"a gateway that only redirects": `
kind: Gateway
metadata: {name: door}
spec: {selector: {istio: ingress}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"], tls: {httpsRedirect: true}}]}`,
		"TLS passed through": `
kind: Service
metadata: {name: orders, namespace: shop}
spec: {selector: {app: orders}, ports: [{name: https, port: 443, targetPort: 8443}]}
---
kind: Gateway
metadata: {name: door}
spec: {selector: {istio: ingress}, servers: [{port: {number: 443, name: tls, protocol: TLS}, hosts: [shop.example.com], tls: {mode: PASSTHROUGH}}]}
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [shop.example.com], gateways: [door], tls: [{match: [{port: 443, sniHosts: [shop.example.com]}], route: [{destination: {host: orders, port: {number: 443}}}]}]}`,
		"routes handed on": meshDoor + `
kind: VirtualService
metadata: {name: root}
spec: {hosts: [shop.example.com], gateways: [door], http: [{match: [{uri: {prefix: /a}}], delegate: {name: part}}, {match: [{uri: {prefix: /a}}], route: [{destination: {host: orders}}]}]}
---
kind: VirtualService
metadata: {name: part}
spec: {http: [{match: [{uri: {prefix: /a/b}}], route: [{destination: {host: orders}}]}]}`,
		"a redirect, an answer and a copy": meshVersions + `
kind: VirtualService
metadata: {name: orders}
spec:
  hosts: [orders, orders.shop.svc.cluster.local]
  http:
  - match: [{uri: {exact: /old}}]
    redirect: {uri: /new}
  - match: [{uri: {exact: /teapot}}]
    directResponse: {status: 418}
  - route: [{destination: {host: orders, subset: v1}, weight: 100}, {destination: {host: orders, subset: v2}, weight: 0}]
    mirror: {host: orders, subset: v2}
    mirrorPercentage: {value: 100}`,
		"the only destination with any weight": meshVersions + `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders, subset: v1}, weight: 70}]}]}`,
		"headers first, then the rest, fault for some": meshVersions + `
kind: VirtualService
metadata: {name: orders}
spec:
  hosts: [orders]
  http:
  - match: [{headers: {user: {exact: jason}}}]
    fault: {delay: {fixedDelay: 7s, percentage: {value: 100}}}
    route: [{destination: {host: orders, subset: v2}}]
  - match: [{headers: {user-agent: {regex: .*Firefox.*}}}]
    route: [{destination: {host: orders, subset: v2}}]
  - route: [{destination: {host: orders, subset: v1}}]
    timeout: 1s
    retries: {attempts: 3, perTryTimeout: 300ms, retryOn: "5xx,connect-failure"}`,
		"a third each": meshVersions + `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders, subset: v1}, weight: 33}, {destination: {host: orders, subset: v2}, weight: 33}, {destination: {host: orders}, weight: 33}]}]}`,
		"a version that is yet to come": `
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, subsets: [{name: all}, {name: v1, labels: {version: v1}}, {name: v3, labels: {version: v3}}]}
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders, subset: v1}, weight: 100}, {destination: {host: orders, subset: v3}, weight: 0}]}]}`,
		"a headless Service, one without selector, one that is another name": `
kind: Service
metadata: {name: peers, namespace: shop}
spec: {clusterIP: None, selector: {app: orders}}
---
kind: Service
metadata: {name: outside, namespace: shop}
spec: {ports: [{port: 80}]}
---
kind: Service
metadata: {name: alias, namespace: shop}
spec: {type: ExternalName, externalName: example.com}
---
kind: DestinationRule
metadata: {name: outside}
spec: {host: outside, subsets: [{name: v1, labels: {version: v1}}], trafficPolicy: {outlierDetection: {interval: 1s}}}
---
kind: VirtualService
metadata: {name: peers}
spec: {hosts: [peers], http: [{match: [{uri: {prefix: /a}}], route: [{destination: {host: outside, subset: v1}}]}, {match: [{uri: {prefix: /b}}], route: [{destination: {host: alias, port: {number: 80}}}]}, {route: [{destination: {host: peers, port: {number: 8080}}}]}]}`,
		"several ports inside the mesh": meshOthers + `
kind: VirtualService
metadata: {name: stock}
spec: {hosts: [stock], http: [{match: [{port: 9090}], route: [{destination: {host: stock, port: {number: 9090}}}]}, {route: [{destination: {host: stock}}]}]}`,
		"an egress gateway": egress + `
kind: ServiceEntry
metadata: {name: news}
spec: {hosts: [news.example.com], ports: [{number: 80, name: http-port, protocol: HTTP}, {number: 443, name: https, protocol: HTTPS}], resolution: DNS}
---
kind: Gateway
metadata: {name: out}
spec: {selector: {istio: egressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [news.example.com]}]}
---
kind: DestinationRule
metadata: {name: out}
spec: {host: istio-egressgateway.istio-system.svc.cluster.local, subsets: [{name: news}]}
---
kind: VirtualService
metadata: {name: news}
spec:
  hosts: [news.example.com]
  gateways: [out, mesh]
  http:
  - match: [{gateways: [mesh], port: 80}]
    route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local, subset: news, port: {number: 80}}, weight: 100}]
  - match: [{gateways: [out], port: 80}]
    route: [{destination: {host: news.example.com, port: {number: 80}}, weight: 100}]`,
		"entries of every kind": `
kind: ServiceEntry
metadata: {name: wild}
spec: {hosts: ["*.example.com"], ports: [{number: 443, name: tls, protocol: TLS}], location: MESH_EXTERNAL}
---
kind: ServiceEntry
metadata: {name: machines}
spec: {hosts: [machines.shop.local], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, location: MESH_INTERNAL, workloadSelector: {labels: {app: machine}}}
---
kind: ServiceEntry
metadata: {name: db}
spec: {hosts: [db.example.org], addresses: [10.9.9.9/32], ports: [{number: 5432, name: tcp, protocol: TCP}], resolution: DNS, endpoints: [{address: db-1.example.org}], exportTo: [.]}
---
kind: VirtualService
metadata: {name: wild}
spec: {hosts: [api.example.com], tls: [{match: [{sniHosts: [api.example.com], port: 443}], route: [{destination: {host: api.example.com}}]}]}`,
		"two rules that are merged": meshVersions + `
kind: DestinationRule
metadata: {name: policy}
spec: {host: orders, trafficPolicy: {outlierDetection: {maxEjectionPercent: 100}}}`,
		"another namespace's objects, right or wrong": `
kind: VirtualService
metadata: {name: orders, namespace: front}
spec: {hosts: [nobody], gateways: [nowhere], http: [{route: [{destination: {host: nobody, subset: v9}}]}]}
---
kind: DestinationRule
metadata: {name: orders, namespace: front}
spec: {host: orders.shop.svc.cluster.local, subsets: [{name: v1, labels: {ver: v1}}]}
---
kind: AuthorizationPolicy
metadata: {name: orders, namespace: front}
spec: {selector: {matchLabels: {app: nobody}}}`,
		"nothing allowed but what is said": `
kind: AuthorizationPolicy
metadata: {name: allow-nothing}
spec: {}
---
kind: AuthorizationPolicy
metadata: {name: viewer}
spec: {selector: {matchLabels: {app: orders}}, action: ALLOW, rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/client]}}], to: [{operation: {methods: [GET], paths: ["/orders*"]}}], when: [{key: "request.headers[version]", values: [v1]}]}]}`,
		"tokens at the gateway": `
kind: RequestAuthentication
metadata: {name: tokens, namespace: istio-system}
spec: {selector: {matchLabels: {istio: ingress}}, jwtRules: [{issuer: shop, jwks: "{}"}]}
---
kind: AuthorizationPolicy
metadata: {name: tokens, namespace: istio-system}
spec: {selector: {matchLabels: {istio: ingress}}, action: DENY, rules: [{from: [{source: {notRequestPrincipals: ["*"]}}], to: [{operation: {hosts: [shop.example.com], ports: ["8080"]}}]}]}`,
		"tokens of the whole mesh, asked for here": `
kind: RequestAuthentication
metadata: {name: tokens, namespace: istio-system}
spec: {jwtRules: [{issuer: shop, jwks: "{}"}]}` + "\n---" + meshAsks,
		"strict, with one port open": `
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
---
kind: PeerAuthentication
metadata: {name: orders}
spec: {selector: {matchLabels: {app: orders}}, mtls: {mode: UNSET}, portLevelMtls: {"9090": {mode: PERMISSIVE}}}
---
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}}`,
		"pods that need no proxy": `
kind: Pod
metadata: {name: ended, namespace: shop}
spec: {containers: [{name: job}]}
status: {phase: Succeeded}
---
kind: Pod
metadata: {name: node, namespace: shop}
spec: {hostNetwork: true, containers: [{name: agent}]}
---
kind: Pod
metadata: {name: legacy, namespace: shop, annotations: {sidecar.istio.io/inject: "false"}}
spec: {containers: [{name: app}]}
---
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}`,
		"an ambient namespace with a waypoint": `
kind: Namespace
metadata: {name: shop, labels: {istio.io/dataplane-mode: ambient}}
---
kind: Pod
metadata: {name: orders-v1, namespace: shop, labels: {app: orders, version: v1}}
spec: {containers: [{name: app}]}
---
kind: Pod
metadata: {name: waypoint, namespace: shop, labels: {gateway.networking.k8s.io/gateway-name: waypoint}}
spec: {containers: [{name: istio-proxy}]}
---
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {targetRefs: [{kind: Service, group: "", name: orders}], rules: [{to: [{operation: {methods: [GET]}}]}]}`,
		"a Sidecar and what it lists": meshOthers + `
kind: Sidecar
metadata: {name: default}
spec: {egress: [{hosts: [./*, istio-system/*]}], outboundTrafficPolicy: {mode: REGISTRY_ONLY}}
---
kind: VirtualService
metadata: {name: ads}
spec: {hosts: [ads.front.svc.cluster.local], http: [{timeout: 1s, route: [{destination: {host: ads.front.svc.cluster.local}}]}]}
---
kind: DestinationRule
metadata: {name: ads}
spec: {host: ads.front.svc.cluster.local, trafficPolicy: {loadBalancer: {simple: RANDOM}}}`,
		"ports without a name": `
kind: Service
metadata: {name: orders, namespace: shop}
spec: {selector: {app: orders}, ports: [{port: 80, targetPort: 8080}]}
---
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: orders}, ports: [{name: web, port: 80, targetPort: 8080}, {name: http1, port: 9090}, {name: grpc-web, port: 81}, {name: dns, port: 53, protocol: UDP}]}
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders}}]}]}
---
kind: VirtualService
metadata: {name: web}
spec: {hosts: [web], http: [{route: [{destination: {host: web, port: {number: 80}}}]}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			assert.Empty(t, meshFaults(t, text))
		})
	}
}
