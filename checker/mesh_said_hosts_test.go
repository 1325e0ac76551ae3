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
		name: "whole name misspelt",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: ordres.shop.svc.cluster.local}}]}]}`,
		says: `
destination: because the route of VirtualService orders: destination ordres.shop.svc.cluster.local: there is no Service ordres in namespace shop
nearest: there is one called orders
look at 'kubectl get services'`,
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
