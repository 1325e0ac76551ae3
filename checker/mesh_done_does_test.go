package checker

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const meshDoes = `
kind: VirtualService
metadata: {name: orders}
spec:
  hosts: [orders]
  http:
  - match: [{uri: {prefix: /slow}}]
    fault: {delay: {percentage: {value: 12.5}, fixedDelay: 400ms}, abort: {httpStatus: 501}}
    timeout: 1.5s
    route: [{destination: {host: orders}}]
  - match: [{uri: {exact: /again}}]
    retries: {attempts: 2, perTryTimeout: 300ms, retryOn: 5xx}
    rewrite: {uri: /}
    mirror: {host: orders, subset: v2}
    route: [{destination: {host: orders}}]
  - match: [{uri: {exact: /once}}]
    retries: {attempts: 1}
    route: [{destination: {host: orders}}]
  - match: [{uri: {exact: /none}}]
    retries: {attempts: 0}
    route: [{destination: {host: orders}}]
  - match: [{uri: {exact: /old}}]
    redirect: {uri: /new}
  - match: [{uri: {exact: /gone}}]
    directResponse: {status: 410}
  - route: [{destination: {host: orders}}]
`

func TestMeshRouteDoes(t *testing.T) {
	for path, want := range map[string]string{
		"/slow/1": "route 1 of VirtualService orders takes GET /slow/1, and leads to orders, delays 12.5 % of the requests by 400ms, answers 100 % of the requests itself with 501 and waits 1.5s",
		"/again":  "route 2 of VirtualService orders takes GET /again, and leads to orders, makes the path /, repeats up to 2 times after 300ms each on 5xx and copies 100 % of the requests to v2",
		"/once":   "route 3 of VirtualService orders takes GET /once, and leads to orders and repeats once on Istio's own conditions",
		"/none":   "route 4 of VirtualService orders takes GET /none, and leads to orders and repeats nothing",
		"/old":    "route 5 of VirtualService orders takes GET /old, and redirects",
		"/gone":   "route 6 of VirtualService orders takes GET /gone, and answers itself with 410",
		"/":       "", // it leads, and that alone does not make a program fail
	} {
		a := meshAskOf(t, meshDoes, "client", "orders", "http://orders"+path, httpAnswer{Status: 500})
		assert.Equal(t, want, a.routed(false).Because, path)
	}
}

func TestMeshRuleDoes(t *testing.T) {
	for policy, want := range map[string]string{
		"connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 2, http2MaxRequests: 3}}": "allows 1 connection, lets 2 requests wait for a connection and allows 3 requests at a time",
		"outlierDetection: {consecutive5xxErrors: 3, maxEjectionPercent: 100}":                                "leaves out a pod after 3 errors in a row, and at most 100 % of the pods",
		"outlierDetection: {}": "leaves out a pod after 5 errors in a row, and at most 10 % of the pods",
		"loadBalancer: {consistentHash: {httpHeaderName: x-key}}": "keeps requests with the same header x-key on one pod",
		"loadBalancer: {consistentHash: {useSourceIp: true}}":     "keeps requests on one pod by something else than a header",
		"loadBalancer: {simple: ROUND_ROBIN}":                     "shares out by ROUND_ROBIN",
		"tls: {mode: ISTIO_MUTUAL}":                               "",
	} {
		rule := "kind: DestinationRule\nmetadata: {name: orders}\nspec: {host: orders, trafficPolicy: {" + policy + "}}\n"
		f := meshAskOf(t, rule, "client", "orders", "http://orders/", httpAnswer{Status: 200}).routed(true)
		if want != "" {
			want = "DestinationRule orders " + want
			require.Equal(t, "`kubectl get destinationrule orders -o yaml`", f.Look, policy)
		}
		assert.Equal(t, want, f.Because, policy)
		assert.Empty(t, meshAskOf(t, rule, "", "orders", "http://orders/", httpAnswer{Status: 200}).routed(true).Because, "who has no proxy obeys no rule")
	}
}
