package checker

import "testing"

func TestMeshGateways(t *testing.T) {
	const route = `
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [shop.example.com], gateways: [door], http: [{route: [{destination: {host: orders}}]}]}
`
	const good = meshDoor + route
	meshCases(t, []meshCase{{
		name: "gateway misspelt",
		broken: good + `
---
kind: VirtualService
metadata: {name: again}
spec: {hosts: [more.example.com], gateways: [doors], http: [{route: [{destination: {host: orders}}]}]}`,
		says: `
gateway: because VirtualService again names gateway doors, and there is no Gateway doors in namespace shop
nearest: there is one called door
look at 'kubectl get gateways.networking.istio.io'`,
		good: good,
	}, {
		name: "gateway of another namespace",
		broken: `
kind: Gateway
metadata: {name: public, namespace: istio-system}
spec: {selector: {istio: ingress}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [shop.example.com], gateways: [public], http: [{route: [{destination: {host: orders}}]}]}`,
		says: `
gateway: because VirtualService orders names gateway public, and there is no Gateway public in namespace shop
nearest: there is istio-system/public
look at 'kubectl get gateways.networking.istio.io -A'`,
		good: `
kind: Gateway
metadata: {name: public, namespace: istio-system}
spec: {selector: {istio: ingress}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [shop.example.com], gateways: [istio-system/public], http: [{route: [{destination: {host: orders}}]}]}`,
	}, {
		name: "gateway in a match",
		broken: good + `
---
kind: VirtualService
metadata: {name: again}
spec: {hosts: [more.example.com], http: [{match: [{gateways: [other]}], route: [{destination: {host: orders}}]}]}`,
		says: `
gateway: because VirtualService again names gateway other, and there is no Gateway other in namespace shop
look at 'kubectl get gateways.networking.istio.io'`,
		good: good,
	}, {
		name: "host that the gateway does not take",
		broken: meshDoor + `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [shop.example.org], gateways: [door], http: [{route: [{destination: {host: orders}}]}]}`,
		says: `
gateway-host: because VirtualService orders is for host shop.example.org, and no server of Gateway door has that host
nearest: it has shop.example.com
look at 'kubectl get gateways.networking.istio.io door -o yaml'`,
		good: good,
	}, {
		name: "gateway for another namespace's routes",
		broken: `
kind: Gateway
metadata: {name: public, namespace: istio-system}
spec: {selector: {istio: ingress}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["front/*.example.com"]}]}
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [shop.example.com], gateways: [istio-system/public], http: [{route: [{destination: {host: orders}}]}]}`,
		says: `
gateway-host: because Gateway public in namespace istio-system takes host shop.example.com, but from no VirtualService in namespace shop
nearest: it has front/*.example.com
look at 'kubectl get gateways.networking.istio.io public -n istio-system -o yaml'`,
		good: `
kind: Gateway
metadata: {name: public, namespace: istio-system}
spec: {selector: {istio: ingress}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["shop/*.example.com"]}]}
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [shop.example.com], gateways: [istio-system/public], http: [{route: [{destination: {host: orders}}]}]}`,
	}, {
		name: "selector of no pod",
		broken: `
kind: Gateway
metadata: {name: door}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}]}` + route,
		says: `
gateway-pods: because Gateway door is for the pods with istio=ingressgateway (selector), and no pod has that
nearest: 1 gateway pod has istio=ingress
look at 'kubectl get pods -A --show-labels'`,
		good: good,
	}, {
		name: "port that the gateway does not have",
		broken: `
kind: Gateway
metadata: {name: door}
spec: {selector: {istio: ingress}, servers: [{port: {number: 8000, name: http, protocol: HTTP}, hosts: [shop.example.com]}]}` + route,
		says: `
gateway-port: because Gateway door has a server on port 8000, and Service ingress in namespace istio-system of its pods has no such port
nearest: it has port 80 (http2) and 443 (https)
look at 'kubectl get service ingress -n istio-system'`,
		good: `
kind: Gateway
metadata: {name: door}
spec: {selector: {istio: ingress}, servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: [shop.example.com]}]}` + route,
	}, {
		name:   "no route at all",
		broken: meshDoor,
		says: `
unbound: because no VirtualService names Gateway door in its gateways, so it leads nowhere
look at 'kubectl get virtualservices'`,
		good: good,
	}, {
		name: "route that the gateway cannot see",
		broken: meshDoor + `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [shop.example.com], gateways: [door], exportTo: [.], http: [{route: [{destination: {host: orders}}]}]}`,
		says: `
hidden: because exportTo of VirtualService orders keeps it from namespace istio-system, where the pods of Gateway door are
look at 'kubectl get virtualservice orders -o yaml'`,
		good: meshDoor + `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [shop.example.com], gateways: [door], exportTo: [., istio-system], http: [{route: [{destination: {host: orders}}]}]}`,
	}, {
		name: "gateways without mesh",
		broken: `
kind: Gateway
metadata: {name: door}
spec: {selector: {istio: ingress}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [shop.example.com, orders], gateways: [door], http: [{route: [{destination: {host: orders}}]}]}`,
		says: `
without-mesh: because VirtualService orders is for Service orders and lists gateways without mesh, so requests from pods do not follow it
nearest: with mesh in the list it is for pods too
look at 'kubectl get virtualservice orders -o yaml'`,
		good: `
kind: Gateway
metadata: {name: door}
spec: {selector: {istio: ingress}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [shop.example.com, orders], gateways: [door, mesh], http: [{route: [{destination: {host: orders}}]}]}`,
	}})
}

func TestMeshScope(t *testing.T) {
	const movies = `
---
kind: ServiceEntry
metadata: {name: movies}
spec: {hosts: [movies.example.com], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}
---
`
	const route = `
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders}}]}]}
---
`
	meshCases(t, []meshCase{{
		name: "route for nobody here",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], exportTo: [front], http: [{route: [{destination: {host: orders}}]}]}`,
		says: `
hidden: because exportTo of VirtualService orders keeps it from its own namespace shop
look at 'kubectl get virtualservice orders -o yaml'`,
		good: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], exportTo: [.], http: [{route: [{destination: {host: orders}}]}]}`,
	}, {
		name: "rule for nobody here",
		broken: `
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, exportTo: [front], trafficPolicy: {loadBalancer: {simple: RANDOM}}}`,
		says: `
hidden: because exportTo of DestinationRule orders keeps it from its own namespace shop
look at 'kubectl get destinationrule orders -o yaml'`,
		good: `
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, exportTo: [shop, front], trafficPolicy: {loadBalancer: {simple: RANDOM}}}`,
	}, {
		name: "Service for its own namespace",
		broken: `
kind: Service
metadata: {name: ads, namespace: front, annotations: {networking.istio.io/exportTo: "."}}
spec: {ports: [{name: http, port: 80}]}
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: ads.front.svc.cluster.local}}]}]}`,
		says: `
hidden: because the route of VirtualService orders leads to Service ads in namespace front, whose annotation networking.istio.io/exportTo keeps it from namespace shop
look at 'kubectl get service ads -n front -o yaml'`,
		good: `
kind: Service
metadata: {name: ads, namespace: front, annotations: {networking.istio.io/exportTo: "., shop"}}
spec: {ports: [{name: http, port: 80}]}
---
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{route: [{destination: {host: ads.front.svc.cluster.local}}]}]}`,
	}, {
		name: "entry without an address",
		broken: `
kind: ServiceEntry
metadata: {name: movies}
spec: {hosts: [movies.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC}`,
		says: `
entry: because ServiceEntry movies has resolution STATIC and no endpoints, so there is no address to send to
nearest: with resolution DNS the host is looked up
look at 'kubectl get serviceentry movies -o yaml'`,
		good: `
kind: ServiceEntry
metadata: {name: movies}
spec: {hosts: [movies.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, endpoints: [{address: 10.1.1.1}]}`,
	}, {
		name: "entry that cannot be looked up",
		broken: `
kind: ServiceEntry
metadata: {name: movies}
spec: {hosts: ["*.example.com"], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}`,
		says: `
entry: because ServiceEntry movies has resolution DNS for host *.example.com, and a host with * cannot be looked up
nearest: with resolution NONE the caller looks it up
look at 'kubectl get serviceentry movies -o yaml'`,
		good: `
kind: ServiceEntry
metadata: {name: movies}
spec: {hosts: ["*.example.com"], ports: [{number: 80, name: http, protocol: HTTP}]}`,
	}, {
		name: "entry whose endpoints are not used",
		broken: `
kind: ServiceEntry
metadata: {name: movies}
spec: {hosts: [movies.example.com], ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 10.1.1.1}]}`,
		says: `
entry: because ServiceEntry movies has endpoints and resolution NONE, which does not use them
nearest: with resolution STATIC they are used
look at 'kubectl get serviceentry movies -o yaml'`,
		good: movies,
	}, {
		name: "entry that takes TLS for HTTP",
		broken: `
kind: ServiceEntry
metadata: {name: movies}
spec: {hosts: [movies.example.com], ports: [{number: 443, name: http, protocol: HTTP}], resolution: DNS}`,
		says: `
entry: because ServiceEntry movies says that port 443 of movies.example.com is HTTP, and what comes there is TLS
nearest: its protocol is TLS or HTTPS, unless a DestinationRule begins the TLS
look at 'kubectl get serviceentry movies -o yaml'`,
		good: `
kind: ServiceEntry
metadata: {name: movies}
spec: {hosts: [movies.example.com], ports: [{number: 443, name: http, protocol: HTTP}], resolution: DNS}
---
kind: DestinationRule
metadata: {name: movies}
spec: {host: movies.example.com, trafficPolicy: {tls: {mode: SIMPLE}}}`,
	}, {
		name: "entry without ports",
		broken: `
kind: ServiceEntry
metadata: {name: movies}
spec: {hosts: [movies.example.com], resolution: DNS}`,
		says: `
entry: because ServiceEntry movies names no ports, so nothing can be sent to movies.example.com
look at 'kubectl get serviceentry movies -o yaml'`,
		good: movies,
	}, {
		name: "Sidecar that hides an entry and a route",
		broken: movies + route + `
kind: Sidecar
metadata: {name: default}
spec: {egress: [{hosts: [istio-system/*]}]}`,
		says: `
sidecar: because Sidecar default hides VirtualService orders from the pods of its namespace: no entry of its egress takes in shop/orders.shop.svc.cluster.local
nearest: it lists istio-system/*
look at 'kubectl get sidecar default -o yaml'
sidecar: because Sidecar default hides ServiceEntry movies from the pods of its namespace: no entry of its egress takes in shop/movies.example.com
nearest: it lists istio-system/*
look at 'kubectl get sidecar default -o yaml'`,
		good: movies + route + `
kind: Sidecar
metadata: {name: default}
spec: {egress: [{hosts: [./*, istio-system/*]}]}`,
	}, {
		name: "Sidecar that hides a namespace",
		broken: meshOthers + `
kind: Sidecar
metadata: {name: default}
spec: {egress: [{hosts: [./*]}]}
---
kind: DestinationRule
metadata: {name: ads}
spec: {host: ads.front.svc.cluster.local, trafficPolicy: {loadBalancer: {simple: RANDOM}}}`,
		says: `
sidecar: because Sidecar default hides namespace front, and with it Service ads, for which there is DestinationRule ads
nearest: it lists ./*
look at 'kubectl get sidecar default -o yaml'`,
		good: meshOthers + `
kind: Sidecar
metadata: {name: default}
spec: {egress: [{hosts: [./*, front/ads.front.svc.cluster.local]}]}
---
kind: DestinationRule
metadata: {name: ads}
spec: {host: ads.front.svc.cluster.local, trafficPolicy: {loadBalancer: {simple: RANDOM}}}`,
	}, {
		name: "Sidecar that lists no namespace",
		broken: `
kind: Sidecar
metadata: {name: default}
spec: {egress: [{hosts: [./*, fornt/*]}]}`,
		says: `
sidecar: because Sidecar default lists fornt/* (egress), and there is no namespace fornt
nearest: there is one called front
look at 'kubectl get sidecar default -o yaml'`,
		good: `
kind: Sidecar
metadata: {name: default}
spec: {egress: [{hosts: [./*, front/*, ~/*]}]}`,
	}})
}
