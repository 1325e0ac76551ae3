package checker

import "testing"

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
		name: "tcp route for a port that is not there",
		broken: meshOthers + `
kind: VirtualService
metadata: {name: queue}
spec: {hosts: [queue], tcp: [{match: [{port: 9000}], route: [{destination: {host: queue}}]}, {match: [{port: 8080}], route: [{destination: {host: queue}}]}]}`,
		says: `
match-port: because tcp route 2 of VirtualService queue is for port 8080 (match), and Service queue has no such port
nearest: it has port 9000 (tcp)
look at 'kubectl get virtualservice queue -o yaml'`,
		good: meshOthers + `
kind: VirtualService
metadata: {name: queue}
spec: {hosts: [queue, db.example.org], tcp: [{match: [{port: 9000, sourceLabels: {app: client}}, {port: 5432}], route: [{destination: {host: queue}}]}]}
---
kind: ServiceEntry
metadata: {name: db}
spec: {hosts: [db.example.org], addresses: [10.9.9.9/32], ports: [{number: 5432, name: tcp, protocol: TCP}], resolution: DNS}`,
	}, {
		name: "http route for the port of the pods",
		broken: `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{name: shop, match: [{port: 8080}], route: [{destination: {host: orders}}]}]}`,
		says: `
match-port: because route shop of VirtualService orders is for port 8080 (match), and Service orders has no such port
nearest: it has port 80 (http)
look at 'kubectl get virtualservice orders -o yaml'`,
		good: meshDoor + `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders, shop.example.com], gateways: [door, mesh], http: [{match: [{port: 8080}, {port: 80}], route: [{destination: {host: orders}}]}]}`,
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
