package checker

import (
	"strings"
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const meshRoutes = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: shop}
spec:
  hosts: [api]
  http:
  - name: alpha
    match: [{headers: {x-user: {exact: alpha}}}, {headers: {x-user: {regex: "a.*z"}}, uri: {prefix: /api}}]
    route: [{destination: {host: api, subset: v3}}]
  - match: [{queryParams: {trial: {exact: "1"}}, method: {exact: POST}}, {uri: {exact: /old}, withoutHeaders: {x-user: {}}}]
    redirect: {uri: /new}
  - match: [{uri: {prefix: /}}]
    route:
    - {destination: {host: api, subset: v1}, weight: 50}
    - {destination: {host: api, subset: v2}, weight: 50}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: report, namespace: shop}
spec:
  hosts: [report.shop.svc.cluster.local]
  http:
  - match: [{uri: {prefix: /slow}}]
    fault: {delay: {percentage: {value: 12.5}, fixedDelay: 400ms}, abort: {httpStatus: 501}}
    timeout: 1.5s
    retries: {attempts: 2, perTryTimeout: 300ms, retryOn: 5xx}
    rewrite: {uri: /}
    mirror: {host: api, subset: v2}
    route: [{destination: {host: report}}]
  - match: [{uri: {exact: /one}}]
    retries: {attempts: 1}
    route: [{destination: {host: report}}]
  - match: [{uri: {exact: /none}}]
    retries: {attempts: 0}
    route: [{destination: {host: report}}]
  - match: [{uri: {exact: /from}, sourceLabels: {app: client}}]
    route: [{destination: {host: report}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: door, namespace: shop}
spec:
  hosts: ["*.example.com"]
  gateways: [door]
  http: [{match: [{uri: {exact: /api}}], route: [{destination: {host: api}}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: tickets, namespace: shop}
spec:
  host: tickets
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 2, http2MaxRequests: 3}}
    outlierDetection: {consecutive5xxErrors: 3}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: basket, namespace: shop}
spec: {host: basket, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-key}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: plain, namespace: shop}
spec: {host: plain}
`

func TestWhatIsSaidOfACall(t *testing.T) {
	var m meshObjects
	for _, doc := range strings.Split(meshRoutes, "\n---\n") {
		require.NoError(t, meshRead(&m, doc))
	}
	shop := &Target{Namespace: "shop"}
	const pod = "from: {labels: {app: client}}"
	for _, c := range []struct {
		call, want string
		leads      bool
	}{
		{`url: "http://api/", ` + pod, "route 3 of VirtualService api gives v1 50, v2 50", false},
		{`url: "http://api.shop.svc.cluster.local/", headers: {X-User: alpha}, ` + pod, "route alpha of VirtualService api gives v3 100", true},
		{`url: "http://api/api", headers: {x-user: abcz}, ` + pod, "route alpha of VirtualService api gives v3 100", true},
		{`url: "http://api/api", headers: {x-user: abczz1}, ` + pod, "route 3 of VirtualService api gives v1 50, v2 50", false},
		{`url: "http://api/x?trial=1", method: POST, ` + pod, "route 2 of VirtualService api redirects", false},
		{`url: "http://api/x?trial=1", ` + pod, "route 3 of VirtualService api gives v1 50, v2 50", false},
		{`url: "http://api/old", ` + pod, "route 2 of VirtualService api redirects", false},
		{`url: "http://report/slow/3", ` + pod, "route 1 of VirtualService report delays 12.5 % of the requests by 400ms, answers 100 % of the requests itself with 501, gives report 100, makes the path / and 3 more", false},
		{`url: "http://report/one", ` + pod, "route 2 of VirtualService report gives report 100 and repeats once, on Istio's own conditions", false},
		{`url: "http://report/none", ` + pod, "route 3 of VirtualService report gives report 100 and repeats up to 0 times", false},
		{`url: "http://report/from", ` + pod, "", false}, // whose labels the caller has is not looked at
		{`url: "http://localhost:8580/api", headers: {Host: a.example.com}`, "VirtualService door gives api 100", true},
		{`url: "http://localhost:8580/apis", headers: {Host: a.example.com}`, "VirtualService door has no route for GET /apis", false},
		{`url: "http://localhost:8580/api", headers: {Host: api}`, "", false}, // that one is for pods
		{`url: "http://api/", from: cluster`, "", false},                      // asks without a proxy
		{`url: "http://tickets/", ` + pod, "DestinationRule tickets allows 1 connection, lets 2 requests wait for a connection, allows 3 requests at a time and leaves out a pod after 3 errors in a row, and at most 10 % of the pods", false},
		{`url: "http://basket/", ` + pod, "DestinationRule basket keeps requests with the same header x-key on one pod", false},
		{`url: "http://plain/", ` + pod, "", false},
	} {
		check, err := decodeMesh(t, "calls: [{that: x, "+c.call+"}]")
		require.NoError(t, err, c.call)
		f, leads := m.saidOf(shop, &check.Calls[0])
		assert.Equal(t, c.want, f.Because, c.call)
		assert.Equal(t, c.leads, leads, c.call)
		f, _ = m.saidOf(&Target{Namespace: "other"}, &check.Calls[0])
		assert.Empty(t, f.Because, c.call)
	}
}

func TestWhatIsSaidIsTheLastCause(t *testing.T) {
	var m meshObjects
	for _, doc := range strings.Split(meshRoutes, "\n---\n") {
		require.NoError(t, meshRead(&m, doc))
	}
	shop := &Target{Namespace: "shop"}
	call := func(text string) *meshCall {
		check, err := decodeMesh(t, "calls: [{that: x, "+text+", from: {labels: {app: client}}}]")
		require.NoError(t, err)
		return &check.Calls[0]
	}
	some, own := labs.Finding{Because: "the policy is in the way"}, labs.Finding{Because: answerSays + "no"}
	assert.Empty(t, saidInstead(some, call(`url: "http://api/"`), shop, m))
	assert.Contains(t, saidInstead(labs.Finding{}, call(`url: "http://api/"`), shop, m).Because, "v1 50")
	assert.Contains(t, saidInstead(own, call(`url: "http://report/one"`), shop, m).Because, "repeats once")
	assert.Empty(t, saidInstead(own, call(`url: "http://api/api", headers: {x-user: alpha}`), shop, m), "the way there is not why a program fails")
	assert.Contains(t, saidInstead(some, call(`url: "http://api/", by: json.version, shares: {v1: 90, v2: 10}`), shop, m).Because, "v1 50")
}
