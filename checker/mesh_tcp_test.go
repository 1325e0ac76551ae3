package checker

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// meshEcho is a Service that speaks TCP, with the shop's pods behind it.
const meshEcho = meshVersions + `
kind: Service
metadata: {name: echo, namespace: shop}
spec: {clusterIP: 10.0.0.2, selector: {app: orders}, ports: [{name: tcp-echo, port: 9100, targetPort: 9000}, {name: http-echo, port: 9200, targetPort: 9000}]}
---
`

func TestMeshConnectionIsRouted(t *testing.T) {
	const look = "\nlook at 'kubectl get virtualservice echo -o yaml'"
	route := func(spec string) string {
		return meshEcho + "kind: VirtualService\nmetadata: {name: echo}\nspec: {hosts: [echo], " + spec + "}"
	}
	const v2 = "route: [{destination: {host: echo, subset: v2}}]"
	for _, c := range []struct{ name, objects, pod, at, body, says string }{
		{"the other version", route("tcp: [{match: [{port: 9100}], " + v2 + "}]"), "client", "tcp://echo:9100", "v2 hello\n",
			"because tcp route 1 of VirtualService echo takes a connection to port 9100, and leads to echo (subset v2)" + look},
		{"the second route", route("tcp: [{match: [{sourceLabels: {app: tester}}], " + v2 + "}, {route: [{destination: {host: echo, subset: v1}}]}]"), "client", "tcp://echo:9100", "v1 hello\n",
			"because tcp route 2 of VirtualService echo takes a connection to port 9100, and leads to echo (subset v1)" + look},
		{"another port", route("tcp: [{match: [{port: 9000}], " + v2 + "}]"), "client", "tcp://echo:9100", "v1 hello\n",
			"because no tcp route of VirtualService echo fits a connection to port 9100 of pod client, so any pod of Service echo gets it\nnearest: tcp route 1 of VirtualService echo is for port 9000" + look},
		{"another caller", route("tcp: [{match: [{port: 9100, sourceLabels: {app: orders}}], " + v2 + "}]"), "client", "tcp://echo:9100", "v1 hello\n",
			"because no tcp route of VirtualService echo fits a connection to port 9100 of pod client, so any pod of Service echo gets it\nnearest: tcp route 1 of VirtualService echo is for port 9100, callers with app=orders" + look},
		{"only http routes", route("http: [{" + v2 + "}]"), "client", "tcp://echo:9100", "v1 hello\n",
			"because VirtualService echo has only http routes, and port 9100 (tcp-echo) of Service echo is TCP" + look},
		{"addresses are not judged", route("tcp: [{match: [{destinationSubnets: [10.0.0.0/8]}], " + v2 + "}]"), "client", "tcp://echo:9100", "v1 hello\n", ""},
		{"taken for HTTP", meshEcho, "", "tcp://echo:9200", "HTTP/1.1 400 Bad Request\r\n",
			"because port 9200 of Service echo says HTTP (http-echo), and what was sent is none: a proxy has refused it\nnearest: a port is TCP when its name begins with tcp or its appProtocol is tcp\nlook at 'kubectl get service echo -o yaml'"},
		{"HTTP by itself", meshEcho, "client", "tcp://echo:9100", "HTTP/1.1 400 Bad Request\r\n", ""},
		{"no proxy", meshOutsider + route("tcp: [{match: [{port: 9000}], "+v2+"}]"), "outsider", "tcp://echo:9100", "v1 hello\n", ""},
		{"no Service", meshEcho, "client", "tcp://db.example.org:9100", "v1 hello\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := meshAskOf(t, c.objects, c.pod, "", c.at, httpAnswer{Body: c.body})
			a.host = a.at.Hostname()
			assert.Equal(t, c.says, said(a.routed(true)))
		})
	}
}

func TestMeshWeightsOfConnectionsAreSaid(t *testing.T) {
	var m meshObjects
	require.NoError(t, meshRead(&m, meshShop+meshEcho+`
kind: VirtualService
metadata: {name: echo}
spec:
  hosts: [echo]
  http: [{route: [{destination: {host: echo, subset: v1}}]}]
  tcp:
  - {match: [{port: 9100, sourceLabels: {app: tester}}], route: [{destination: {host: echo, subset: v2}}]}
  - {match: [{port: 9300}, {port: 9100}], route: [{destination: {host: echo, subset: v1}, weight: 30}, {destination: {host: echo, subset: v2}, weight: 70}]}`))
	for at, says := range map[string]string{"tcp://echo:9100": "VirtualService echo gives v1 30, v2 70", "http://echo:9200": "VirtualService echo gives v1 100", "tcp://echo:9400": ""} {
		check, err := decodeMesh(t, `calls: [{that: x, url: "`+at+`", from: cluster, by: body, shares: {a: 50, b: 50}}]`)
		require.NoError(t, err)
		assert.Equal(t, says, m.saidWeights("shop", &check.Calls[0]).Because, at)
	}
}
