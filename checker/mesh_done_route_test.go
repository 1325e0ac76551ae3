package checker

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMeshRouteThatTakesARequest(t *testing.T) {
	const routes = meshVersions + `
kind: VirtualService
metadata: {name: orders}
spec:
  hosts: [orders]
  http:
  - {name: testers, match: [{headers: {x-tester: {exact: "yes"}}}, {uri: {prefix: /TEST}, ignoreUriCase: true}], route: [{destination: {host: orders, subset: v2}}]}
  - {match: [{uri: {regex: "/a.*"}, queryParams: {q: {exact: "1"}}, method: {exact: POST}}], route: [{destination: {host: orders}}]}
  - {match: [{uri: {exact: /api}}], route: [{destination: {host: orders, subset: v1}}, {destination: {host: orders, subset: v2}}]}
---
kind: VirtualService
metadata: {name: orders, namespace: front}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders}}]}]}
`
	const look = "\nlook at 'kubectl get virtualservice orders -o yaml'"
	for _, c := range []struct{ name, method, header, at, says string }{
		{"a header", "", "yes", "http://orders/api", "because route testers of VirtualService orders takes GET /api, and leads to orders (subset v2)" + look},
		{"another value", "", "Yes", "http://orders/api", "because route 3 of VirtualService orders takes GET /api, and leads to orders (subset v1) and orders (subset v2)" + look},
		{"no regard to case", "", "", "http://orders/test/1", "because route testers of VirtualService orders takes GET /test/1, and leads to orders (subset v2)" + look},
		{"all at once", "POST", "", "http://orders/abc?q=1", "because route 2 of VirtualService orders takes POST /abc, and leads to orders" + look},
		{"but for one", "GET", "", "http://orders/abc?q=1", ""},
		{"and for another", "POST", "", "http://orders/abc?q=2", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := meshAskOf(t, routes, "client", "orders", c.at, httpAnswer{Status: 404})
			a.call.Method = c.method
			if c.header != "" {
				a.call.Headers = map[string]string{"X-Tester": c.header}
			}
			assert.Equal(t, c.says, said(a.routed()))
			if c.says == "" {
				assert.Equal(t, "because no route of VirtualService orders fits "+a.String()+look, said(a.unrouted()))
			} else {
				assert.Empty(t, said(a.unrouted()))
			}
		})
	}
	const one = meshDoor + `
kind: VirtualService
metadata: {name: front}
spec: {hosts: [shop.example.com], gateways: [door], http: [{match: [{uri: {prefix: /order/}}], route: [{destination: {host: orders}}]}]}`
	a := meshAskOf(t, one, "", "shop.example.com", "http://ingress.istio-system/orders/1", httpAnswer{Status: 404})
	assert.Equal(t, "because no route of VirtualService front fits GET /orders/1\nnearest: the route of VirtualService front is for a path that begins with /order/\nlook at 'kubectl get virtualservice front -o yaml'", said(a.unrouted()))
	a.answer.Headers = map[string]string{upstreamTime: "1"}
	assert.Empty(t, said(a.unrouted()), "the program itself has no such page")
}

func TestMeshRewrittenPathIsSaid(t *testing.T) {
	const routes = `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{match: [{uri: {prefix: /shop}}], rewrite: {uri: /}, route: [{destination: {host: orders}}]}, {match: [{uri: {exact: /old}}], rewrite: {uri: /new}, route: [{destination: {host: orders}}]}]}`
	for path, says := range map[string]string{
		"/shop/api": "route 1 of VirtualService orders takes GET /shop/api, and leads to orders as //api",
		"/old":      "route 2 of VirtualService orders takes GET /old, and leads to orders as /new",
	} {
		assert.Equal(t, says, meshAskOf(t, routes, "client", "orders", "http://orders"+path, httpAnswer{Status: 404}).routed().Because)
	}
}
