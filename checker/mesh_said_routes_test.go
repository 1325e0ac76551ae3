package checker

import "testing"

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
		name: "connections behind a route for all on the port",
		broken: meshOthers + `
kind: VirtualService
metadata: {name: queue}
spec:
  hosts: [queue]
  tcp:
  - {match: [{port: 9000}], route: [{destination: {host: queue}}]}
  - {match: [{port: 9000, sourceLabels: {app: client}}], route: [{destination: {host: queue}}]}`,
		says: `
unreachable: because tcp route 2 of VirtualService queue is never used: route 1 before it fits every connection that it fits
nearest: the first route that fits is used, so the narrow ones come first
look at 'kubectl get virtualservice queue -o yaml'`,
		good: meshOthers + `
kind: VirtualService
metadata: {name: queue}
spec:
  hosts: [queue]
  tcp:
  - {match: [{port: 9000, sourceLabels: {app: client}}], route: [{destination: {host: queue}}]}
  - {match: [{port: 9000, destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: queue}}]}
  - {match: [{port: 9000}], route: [{destination: {host: queue}}]}`,
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
		name: "two VirtualServices of one second",
		broken: `
kind: VirtualService
metadata: {name: orders-new, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {hosts: [orders], http: [{timeout: 1s, route: [{destination: {host: orders}}]}]}
---
kind: VirtualService
metadata: {name: orders, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders}}]}]}`,
		says: `
same-host: because VirtualService orders and VirtualService orders-new are both for host orders, and for pods only the first by name, orders, counts
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
		name: "fault beside retries",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{retries: {attempts: 2}, fault: {abort: {httpStatus: 503, percentage: {value: 50}}}, route: [{destination: {host: orders}}]}]}`,
		says: `
fault-and-timeout: because the route of VirtualService orders has a fault, and a fault switches off the retries of the same route
nearest: the caller's own route may have the timeout, or the app may be slow itself
look at 'kubectl get virtualservice orders -o yaml'`,
		good: good,
	}, {
		name: "no attempts with a reason",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{retries: {retryOn: 5xx}, route: [{destination: {host: orders}}]}]}`,
		says: `
retries: because retries of the route of VirtualService orders has attempts 0, so its retryOn is never used
look at 'kubectl get virtualservice orders -o yaml'`,
		good: good,
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
