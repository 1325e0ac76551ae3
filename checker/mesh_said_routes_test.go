package checker

import "testing"

// A rule with both versions, for the routes below.
const meshVersions = `
---
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
`

// Two more Services: one with several ports, one that speaks TCP only.
const meshOthers = `
---
kind: Service
metadata: {name: stock, namespace: shop}
spec: {selector: {app: orders}, ports: [{name: http, port: 8081, targetPort: 8080}, {name: http-admin, port: 9090, targetPort: 8080}]}
---
kind: Service
metadata: {name: queue, namespace: shop}
spec: {selector: {app: orders}, ports: [{name: tcp, port: 9000, targetPort: 8080}]}
---
kind: Service
metadata: {name: ads, namespace: front}
spec: {ports: [{name: http, port: 80}]}
---
`

const meshDoor = `
---
kind: Gateway
metadata: {name: door}
spec: {selector: {istio: ingress}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}]}
---
`

func TestMeshHosts(t *testing.T) {
	const good = "kind: VirtualService\nmetadata: {name: orders}\nspec: {hosts: [orders], http: [{route: [{destination: {host: orders}}]}]}"
	meshCases(t, []meshCase{{
		name: "host of another namespace",
		broken: meshOthers + `
kind: VirtualService
metadata: {name: ads}
spec: {hosts: [ads], http: [{route: [{destination: {host: ads.front.svc.cluster.local}}]}]}`,
		says: `
host: because VirtualService ads: host ads means ads.shop.svc.cluster.local, and there is no such Service
nearest: there is one in namespace front: ads.front.svc.cluster.local
look at 'kubectl get services'`,
		good: meshOthers + `
kind: VirtualService
metadata: {name: ads}
spec: {hosts: [ads.front.svc.cluster.local], http: [{route: [{destination: {host: ads.front.svc.cluster.local}}]}]}`,
	}, {
		name: "host misspelt",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [order], http: [{route: [{destination: {host: orders}}]}]}`,
		says: `
host: because VirtualService orders: host order means order.shop.svc.cluster.local, and there is no such Service
nearest: there is one called orders
look at 'kubectl get services'`,
		good: good,
	}, {
		name: "host of a ServiceEntry misspelt",
		broken: `
kind: ServiceEntry
metadata: {name: movies}
spec: {hosts: [movies.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
---
kind: VirtualService
metadata: {name: movies}
spec: {hosts: [movie.example.com], http: [{timeout: 1s, route: [{destination: {host: movies.example.com}}]}]}`,
		says: `
host: because VirtualService movies: host movie.example.com is neither a Service nor the host of a ServiceEntry
nearest: a ServiceEntry has movies.example.com
look at 'kubectl get serviceentries'`,
		good: `
kind: ServiceEntry
metadata: {name: movies}
spec: {hosts: [movies.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
---
kind: VirtualService
metadata: {name: movies}
spec: {hosts: [movies.example.com], http: [{timeout: 1s, route: [{destination: {host: movies.example.com}}]}]}`,
	}, {
		name: "destination misspelt",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: ordres}}]}]}`,
		says: `
destination: because the route of VirtualService orders: destination ordres means ordres.shop.svc.cluster.local, and there is no such Service
nearest: there is one called orders
look at 'kubectl get services'`,
		good: good,
	}, {
		name: "destination half a name",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders.shop}}]}]}`,
		says: `
destination: because the route of VirtualService orders: destination orders.shop is not the name of a Service: only a name without a dot is completed
nearest: the whole name is orders.shop.svc.cluster.local
look at 'kubectl get services'`,
		good: good,
	}, {
		name: "destination in a namespace that does not exist",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders.shp.svc.cluster.local}}]}]}`,
		says: `
destination: because the route of VirtualService orders: destination orders.shp.svc.cluster.local: there is no namespace shp
nearest: there is one in namespace shop
look at 'kubectl get namespaces'`,
		good: good,
	}, {
		name: "destination outside without an entry",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: api.example.org}}]}]}`,
		says: `
destination: because the route of VirtualService orders: destination api.example.org is neither a Service nor the host of a ServiceEntry
look at 'kubectl get serviceentries'`,
		good: good,
	}, {
		name: "mirror misspelt",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders}}], mirror: {host: ordres}}]}`,
		says: `
destination: because the route of VirtualService orders (mirror): destination ordres means ordres.shop.svc.cluster.local, and there is no such Service
nearest: there is one called orders
look at 'kubectl get services'`,
		good: good,
	}, {
		name: "delegate misspelt",
		broken: meshDoor + `
kind: VirtualService
metadata: {name: root}
spec: {hosts: [shop.example.com], gateways: [door], http: [{match: [{uri: {prefix: /a}}], delegate: {name: part-b}}]}
---
kind: VirtualService
metadata: {name: part-a}
spec: {http: [{route: [{destination: {host: orders}}]}]}`,
		says: `
delegate: because the route of VirtualService root is handed to VirtualService part-b (delegate), and there is none in namespace shop
nearest: there is one called part-a
look at 'kubectl get virtualservices'`,
		good: meshDoor + `
kind: VirtualService
metadata: {name: root}
spec: {hosts: [shop.example.com], gateways: [door], http: [{match: [{uri: {prefix: /a}}], delegate: {name: part-a}}]}
---
kind: VirtualService
metadata: {name: part-a}
spec: {http: [{route: [{destination: {host: orders}}]}]}`,
	}, {
		name: "rule for nobody",
		broken: `
kind: DestinationRule
metadata: {name: orders}
spec: {host: ordres, trafficPolicy: {loadBalancer: {simple: RANDOM}}}`,
		says: `
rule-host: because DestinationRule orders: host ordres means ordres.shop.svc.cluster.local, and there is no such Service
nearest: there is one called orders
look at 'kubectl get services'`,
		good: `
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, trafficPolicy: {loadBalancer: {simple: RANDOM}}}`,
	}})
}

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

func TestMeshRoutes(t *testing.T) {
	const good = meshVersions + `
kind: VirtualService
metadata: {name: orders}
spec:
  hosts: [orders]
  http:
  - match: [{uri: {prefix: /a/b}}, {headers: {x-user: {exact: beta}}}]
    route: [{destination: {host: orders, subset: v2}}]
  - match: [{uri: {prefix: /a}, method: {exact: GET}}]
    route: [{destination: {host: orders, subset: v2}}]
  - match: [{uri: {prefix: /a}}]
    route: [{destination: {host: orders, subset: v2}}]
  - route: [{destination: {host: orders, subset: v1}, weight: 75}, {destination: {host: orders, subset: v2}, weight: 25}]`
	meshCases(t, []meshCase{{
		name: "weights that add up to 110",
		broken: meshVersions + `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders, subset: v1}, weight: 90}, {destination: {host: orders, subset: v2}, weight: 20}]}]}`,
		says: `
weights: because the weights of the route of VirtualService orders add up to 110, not 100: each is a share of 110
look at 'kubectl get virtualservice orders -o yaml'`,
		good: good,
	}, {
		name: "weights of nothing",
		broken: meshVersions + `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{name: canary, route: [{destination: {host: orders, subset: v1}}, {destination: {host: orders, subset: v2}}]}]}`,
		says: `
weights: because route canary of VirtualService orders has 2 destinations and gives each the weight 0, so nothing is sent
look at 'kubectl get virtualservice orders -o yaml'`,
		good: meshVersions + `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders, subset: v1}, weight: 1}, {destination: {host: orders, subset: v2}, weight: 3}]}]}`,
	}, {
		name: "behind a route for all",
		broken: meshVersions + `
kind: VirtualService
metadata: {name: orders}
spec:
  hosts: [orders]
  http:
  - route: [{destination: {host: orders, subset: v1}}]
  - match: [{headers: {x-user: {exact: beta}}}]
    route: [{destination: {host: orders, subset: v2}}]`,
		says: `
unreachable: because route 2 of VirtualService orders is never used: route 1 before it has no match and takes every request
nearest: the first route that fits is used, so the narrow ones come first
look at 'kubectl get virtualservice orders -o yaml'`,
		good: good,
	}, {
		name: "behind a shorter path",
		broken: meshVersions + `
kind: VirtualService
metadata: {name: orders}
spec:
  hosts: [orders]
  http:
  - name: wide
    match: [{uri: {prefix: /a}}]
    route: [{destination: {host: orders, subset: v1}}]
  - name: narrow
    match: [{uri: {exact: /a/b}}, {uri: {prefix: /ab}, method: {exact: GET}}]
    route: [{destination: {host: orders, subset: v2}}]`,
		says: `
unreachable: because route narrow of VirtualService orders is never used: route wide before it takes every path that begins with /a
nearest: the first route that fits is used, so the narrow ones come first
look at 'kubectl get virtualservice orders -o yaml'`,
		good: good,
	}, {
		name: "behind the same header",
		broken: meshVersions + `
kind: VirtualService
metadata: {name: orders}
spec:
  hosts: [orders]
  http:
  - match: [{headers: {x-user: {exact: beta}}}]
    route: [{destination: {host: orders, subset: v1}}]
  - match: [{uri: {prefix: /}, headers: {x-user: {exact: beta}, x-more: {regex: .+}}}]
    route: [{destination: {host: orders, subset: v2}}]`,
		says: `
unreachable: because route 2 of VirtualService orders is never used: route 1 before it fits every request that it fits
nearest: the first route that fits is used, so the narrow ones come first
look at 'kubectl get virtualservice orders -o yaml'`,
		good: good,
	}, {
		name: "two VirtualServices for pods",
		broken: `
kind: VirtualService
metadata: {name: first, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders}}]}]}
---
kind: VirtualService
metadata: {name: again, creationTimestamp: "2026-01-02T00:00:00Z"}
spec: {hosts: [orders.shop.svc.cluster.local], http: [{timeout: 1s, route: [{destination: {host: orders}}]}]}`,
		says: `
same-host: because VirtualService first and VirtualService again are both for host orders, and for pods only the older, first, counts
look at 'kubectl get virtualservices -o yaml'`,
		good: good,
	}, {
		name: "two VirtualServices at a gateway",
		broken: meshDoor + `
kind: VirtualService
metadata: {name: first, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {hosts: [shop.example.com], gateways: [door], http: [{route: [{destination: {host: orders}}]}]}
---
kind: VirtualService
metadata: {name: again, creationTimestamp: "2026-01-02T00:00:00Z"}
spec: {hosts: [shop.example.com], gateways: [shop/door], http: [{timeout: 1s, route: [{destination: {host: orders}}]}]}`,
		says: `
same-host: because VirtualService first and VirtualService again are both for host shop.example.com at gateway door, and each has a route for every request: one of them is never used
look at 'kubectl get virtualservices -o yaml'`,
		good: meshDoor + `
kind: VirtualService
metadata: {name: first}
spec: {hosts: [shop.example.com], gateways: [door], http: [{match: [{uri: {prefix: /a}}], route: [{destination: {host: orders}}]}]}
---
kind: VirtualService
metadata: {name: again}
spec: {hosts: [shop.example.com], gateways: [shop/door], http: [{route: [{destination: {host: orders}}]}]}`,
	}, {
		name: "fault beside a timeout",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{timeout: 1s, retries: {attempts: 2}, fault: {delay: {fixedDelay: 3s, percentage: {value: 50}}}, route: [{destination: {host: orders}}]}]}`,
		says: `
fault-and-timeout: because the route of VirtualService orders has a fault, and a fault switches off the timeout and the retries of the same route
nearest: the caller's own route may have the timeout, or the app may be slow itself
look at 'kubectl get virtualservice orders -o yaml'`,
		good: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{retries: {attempts: 0}, fault: {abort: {httpStatus: 500, percentage: {value: 50}}}, route: [{destination: {host: orders}}]}]}`,
	}, {
		name: "one try as long as all",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{timeout: 2s, retries: {attempts: 3, perTryTimeout: 2s}, route: [{destination: {host: orders}}]}]}`,
		says: `
retries: because the route of VirtualService orders ends after 2s (timeout), and one try may take 2s (perTryTimeout): after a slow try there is no time for another
look at 'kubectl get virtualservice orders -o yaml'`,
		good: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{timeout: 6s, retries: {attempts: 3, perTryTimeout: 2s, retryOn: 5xx}, route: [{destination: {host: orders}}]}]}`,
	}, {
		name: "retries that do not fit",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{timeout: 5s, retries: {attempts: 3, perTryTimeout: 2s}, route: [{destination: {host: orders}}]}]}`,
		says: `
retries: because the route of VirtualService orders ends after 5s (timeout), and its 3 retries of 2s (attempts, perTryTimeout) need longer
look at 'kubectl get virtualservice orders -o yaml'`,
		good: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{timeout: 5s, retries: {attempts: 2, perTryTimeout: 2s}, route: [{destination: {host: orders}}]}]}`,
	}, {
		name: "no attempts with a time for each",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{retries: {attempts: 0, perTryTimeout: 2s}, route: [{destination: {host: orders}}]}]}`,
		says: `
retries: because retries of the route of VirtualService orders has attempts 0, so its perTryTimeout of 2s is never used
look at 'kubectl get virtualservice orders -o yaml'`,
		good: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{retries: {attempts: 0}, route: [{destination: {host: orders}}]}]}`,
	}, {
		name: "ejection of no pod",
		broken: `
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 2, interval: 1s}}}`,
		says: `
ejection: because outlierDetection of DestinationRule orders ejects no pod: one of 2 pods is 50 percent, and at most 10 percent may be out (the default of maxEjectionPercent)
look at 'kubectl get destinationrule orders -o yaml'`,
		good: `
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 2, interval: 1s, maxEjectionPercent: 50}}}`,
	}, {
		name: "ejection of too small a share of a subset",
		broken: `
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {outlierDetection: {maxEjectionPercent: 50}}}]}`,
		says: `
ejection: because outlierDetection of DestinationRule orders (subset v1) ejects no pod: one of 1 pod is 100 percent, and at most 50 percent may be out (maxEjectionPercent)
look at 'kubectl get destinationrule orders -o yaml'`,
		good: `
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {outlierDetection: {maxEjectionPercent: 100}}}]}`,
	}})
}

func TestMeshPorts(t *testing.T) {
	const route = "\n---\nkind: VirtualService\nmetadata: {name: orders}\nspec: {hosts: [orders], http: [{route: [{destination: {host: orders}}]}]}"
	meshCases(t, []meshCase{{
		name: "port of the pods",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders, port: {number: 8080}}}]}]}`,
		says: `
port: because the route of VirtualService orders leads to port 8080 of orders, and Service orders has no such port
nearest: its port 80 leads to port 8080 of the pods; a route names the Service's
look at 'kubectl get service orders'`,
		good: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders, port: {number: 80}}}]}]}`,
	}, {
		name: "port that is not there",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders, port: {number: 81}}}]}]}`,
		says: `
port: because the route of VirtualService orders leads to port 81 of orders, and Service orders has no such port
nearest: it has port 80 (http)
look at 'kubectl get service orders'`,
		good: route,
	}, {
		name: "several ports and none named",
		broken: meshDoor + meshOthers + `
kind: VirtualService
metadata: {name: stock}
spec: {hosts: [shop.example.com], gateways: [door], http: [{route: [{destination: {host: stock}}]}]}`,
		says: `
port: because the route of VirtualService stock names no port of stock, and Service stock has 2
nearest: it has port 8081 (http) and 9090 (http-admin)
look at 'kubectl get service stock'`,
		good: meshDoor + meshOthers + `
kind: VirtualService
metadata: {name: stock}
spec: {hosts: [shop.example.com], gateways: [door], http: [{route: [{destination: {host: stock, port: {number: 8081}}}]}]}`,
	}, {
		name: "http routes for a TCP port",
		broken: meshOthers + `
kind: VirtualService
metadata: {name: queue}
spec: {hosts: [queue], http: [{route: [{destination: {host: queue}}]}]}`,
		says: `
protocol: because VirtualService queue has http routes, and Service queue has no port for HTTP: port 9000 (tcp) is TCP
nearest: a port is HTTP when its name begins with http or its appProtocol is http
look at 'kubectl get service queue -o yaml'`,
		good: meshOthers + `
kind: VirtualService
metadata: {name: queue}
spec: {hosts: [queue], tcp: [{route: [{destination: {host: queue}}]}]}`,
	}, {
		name: "tcp routes for an HTTP port",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], tcp: [{route: [{destination: {host: orders}}]}]}`,
		says: `
protocol: because VirtualService orders has only tcp routes, and Service orders has only ports for HTTP: 80 (http)
look at 'kubectl get virtualservice orders -o yaml'`,
		good: route,
	}, {
		name: "http routes at a TCP gateway",
		broken: `
kind: Gateway
metadata: {name: door}
spec: {selector: {istio: ingress}, servers: [{port: {number: 80, name: tcp, protocol: TCP}, hosts: ["*"]}]}
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [shop.example.com], gateways: [door], http: [{route: [{destination: {host: orders}}]}]}`,
		says: `
protocol: because VirtualService orders has only http routes, and Gateway door takes only TCP on port 80
look at 'kubectl get gateways.networking.istio.io door -o yaml'`,
		good: meshDoor + `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [shop.example.com], gateways: [door], http: [{route: [{destination: {host: orders}}]}]}`,
	}, {
		name: "port name misspelt",
		broken: `
kind: Service
metadata: {name: orders, namespace: shop}
spec: {selector: {app: orders}, ports: [{name: htpp-web, port: 80, targetPort: 8080}]}` + route,
		says: `
port-name: because the name of port 80 of Service orders, htpp-web, says no protocol, so the proxy has to guess
nearest: it would with the name http-web
look at 'kubectl get service orders -o yaml'`,
		good: `
kind: Service
metadata: {name: orders, namespace: shop}
spec: {selector: {app: orders}, ports: [{name: http-web, port: 80, targetPort: 8080}]}` + route,
	}, {
		name: "port number that is taken for TCP",
		broken: `
kind: Service
metadata: {name: orders, namespace: shop}
spec: {selector: {app: orders}, ports: [{port: 3306, targetPort: 8080}, {name: http, port: 80, targetPort: 8080}]}` + route,
		says: `
port-name: because port 3306 of Service orders has no name that says HTTP, and this number is taken for TCP
nearest: a name that begins with http, or appProtocol: http
look at 'kubectl get service orders -o yaml'`,
		good: `
kind: Service
metadata: {name: orders, namespace: shop}
spec: {selector: {app: orders}, ports: [{port: 3306, targetPort: 8080, appProtocol: http}, {port: 80, targetPort: 8080}]}` + route,
	}})
}
