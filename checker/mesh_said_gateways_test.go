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
		name: "route without its gateway",
		broken: meshDoor + `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [shop.example.com], http: [{route: [{destination: {host: orders}}]}]}`,
		says: `
unbound: because no VirtualService names Gateway door in its gateways, so it leads nowhere
nearest: VirtualService orders is for host shop.example.com and lists no gateways
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
