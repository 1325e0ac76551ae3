package checker

import "testing"

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
