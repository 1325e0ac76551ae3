package checker

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func decodeMesh(t *testing.T, text string) (*meshCheck, error) {
	var doc yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(text), &doc))
	k, err := decode(&labs.Check{ID: "it", That: "it is so", Kind: "mesh", Spec: doc.Content[0]})
	if err != nil {
		return nil, err
	}
	return k.(*meshCheck), nil
}

func TestMeshCheckRefusesWhatProvesNothing(t *testing.T) {
	for text, wants := range map[string]string{
		`calls: [{url: "http://api/"}]`:                                                                                    "that is missing",
		`calls: [{that: x, url: "http://api/", from: cluster, unanswered: true}]`:                                          "no other call to api expects an answer",
		`calls: [{that: x, url: "http://api/", from: cluster, status: 403}]`:                                               "no other call to api expects an answer",
		`calls: [{that: x, url: "http://api/", from: cluster, status: 403}, {that: y, url: "http://web/", from: cluster}]`: "no other call to api expects an answer",
		`calls: [{that: x, url: "http://api/", from: cluster, shares: {v1: 50, v2: 50}}]`:                                  "by and shares go together",
		`calls: [{that: x, url: "http://api/", from: cluster, by: json.version, times: 5, shares: {v1: 50, v2: 50}}]`:      "shares goes without times",
		`calls: [{that: x, url: "http://api/", from: cluster, by: json.version, shares: {v1: 50, v2: 40}}]`:                "together they are 90",
		`calls: [{that: x, url: "http://api/", from: cluster, atOnce: 21}]`:                                                "use 1 to 20",
		`calls: [{that: x, url: "http://api/", from: cluster, unanswered: true, expect: [{that: y, true: "true"}]}]`:       "no answer to look at",
		`calls: [{that: x, url: "http://api.example/"}]`:                                                                   "from the host only this machine is asked",
		`calls: [{that: x, url: "http://api/", from: cluster, counts: {pods: {app: api}}}]`:                                "true is missing",
		`calls: [{that: x, url: "http://api/", from: cluster, counts: {pods: {app: api}, true: grown >}}]`:                 "counts",
		`calls: [{that: x, url: "tcp://api:9000", from: cluster, status: 200}]`:                                            "without method, headers and status",
		`calls: [{that: x, url: "http://api/", from: cluster, status: 200, statuses: [503]}]`:                              "no status beside them",
	} {
		_, err := decodeMesh(t, text)
		assert.ErrorContains(t, err, wants, text)
	}
	for _, text := range []string{
		`{}`,
		`calls: [{that: x, url: "tcp://api:9000", from: cluster, by: body, shares: {a: 50, b: 50}}, {that: y, url: "tcp://api:9000", from: {pod: stranger}, unanswered: true}]`,
		`calls: [{that: x, url: "http://api/", from: cluster}, {that: y, url: "http://api/secret", from: {pod: stranger}, status: 403}]`,
		`calls: [{that: x, url: "http://localhost:8580/", headers: {Host: web.example}}, {that: y, url: "http://localhost:8580/other", headers: {Host: web.example}, status: 404}]`,
		`calls: [{that: x, url: "http://api/", from: cluster, times: 10, atOnce: 5, statuses: [200, 503], expect: [{that: some overflow, true: "answers.exists(a, a.status == 503)"}]}]`,
	} {
		_, err := decodeMesh(t, text)
		assert.NoError(t, err, text)
	}
}

func TestOneShareMayBeTheRest(t *testing.T) {
	call := func(of string) string {
		return `calls: [{that: x, url: "http://api/", from: cluster, by: json.version, shares: {` + of + `}}]`
	}
	c, err := decodeMesh(t, call(`v1: rest, v2: 30, v3: 2.5`))
	require.NoError(t, err)
	assert.Equal(t, shares{"v1": 67.5, "v2": 30, "v3": 2.5}, c.Calls[0].Shares)
	for of, wants := range map[string]string{
		`v1: rest, v2: rest`:       "v1 and v2 are both rest",
		`v1: rest, v2: 60, v3: 60`: "v1: -20 is no share",
		`v1: most, v2: 60`:         "most",
		`v1: [rest], v2: 60`:       "cannot unmarshal",
	} {
		_, err := decodeMesh(t, call(of))
		assert.ErrorContains(t, err, wants, of)
	}
}

func TestProxyThatIsBehindIsNamed(t *testing.T) {
	var all []proxyStatus
	require.NoError(t, json.Unmarshal([]byte(`[
		{"proxy": "web-1.shop", "resources": {"type.googleapis.com/envoy.config.cluster.v3.Cluster": {"sent": "a1", "acked": "a1"},
			"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment": {"sent": "a2", "acked": "a2"}}},
		{"proxy": "web-2.shop", "resources": {"type.googleapis.com/envoy.config.route.v3.RouteConfiguration": {"sent": "b2", "acked": "b1"}}},
		{"proxy": "web-3.shop", "resources": {"type.googleapis.com/envoy.config.listener.v3.Listener": {"sent": "c2", "acked": "c1", "lastError": "Duplicate listener 0.0.0.0_80"}}},
		{"proxy": "web-4.shop", "resources": {"type.googleapis.com/envoy.config.listener.v3.Listener": {"sent": "d1", "acked": "d1", "lastError": "an old one"}}}
	]`), &all))
	assert.Empty(t, all[0].refusal("web-1").Because)
	assert.Equal(t, "the proxy of pod web-2 has not confirmed its newest routes", all[1].refusal("web-2").Because)
	assert.Equal(t, "the proxy of pod web-3 refuses its listeners: Duplicate listener 0.0.0.0_80", all[2].refusal("web-3").Because)
	assert.Empty(t, all[3].refusal("web-4").Because, "it has taken what came after")
}

func TestFaultAboutTheSameHostComesFirst(t *testing.T) {
	c, err := decodeMesh(t, `calls: [{that: x, url: "http://api/", from: cluster}]`)
	require.NoError(t, err)
	faults := []labs.Finding{{Because: "VirtualService orders names no host"}, {Because: "VirtualService v leads to subset v3 of api, which no DestinationRule names"}}
	assert.Equal(t, faults[1], causeOf(&c.Calls[0], faults, nil))
	assert.Equal(t, faults[0], causeOf(&c.Calls[0], faults[:1], nil))
	late := labs.Finding{Because: "the proxy is late"}
	assert.Equal(t, late, causeOf(&c.Calls[0], nil, []labs.Finding{late}))
	assert.Empty(t, causeOf(&c.Calls[0], nil, nil))
}

func TestFaultsOnTheWay(t *testing.T) {
	var m meshObjects
	require.NoError(t, meshRead(&m, meshShop+`---
kind: Service
metadata: {name: prices, namespace: shop}
---
kind: VirtualService
metadata: {name: door, namespace: shop}
spec: {hosts: [a.example], gateways: [door], http: [{route: [{destination: {host: orders}}]}]}
`))
	orders, prices := meshFault{"tls", labs.Finding{Because: "the pods of Service orders take only TLS"}}, meshFault{"subset", labs.Finding{Because: "no subset v3 of prices"}}
	door, both := meshFault{"gateway-pods", labs.Finding{Because: "Gateway door is for no pods"}}, meshFault{"same", labs.Finding{Because: "prices hides orders"}}
	for _, c := range []struct {
		call   string
		status int
		want   []meshFault
	}{
		{"url: http://orders/, from: {labels: {app: client}}", 200, []meshFault{orders, both}},
		{"url: http://orders.shop/, from: {labels: {app: client}}", 0, []meshFault{orders, both}},
		{"url: http://orders/, from: {labels: {app: client}}", 502, []meshFault{orders, prices, both}},
		{"url: http://prices/, from: cluster", 404, []meshFault{prices, both}},
		{"url: http://localhost/, headers: {Host: a.example}", 404, []meshFault{orders, door, both}},
		{"url: http://localhost/, headers: {Host: b.example}", 404, []meshFault{door}},
		{"url: http://ingress.istio-system/, from: cluster, headers: {Host: b.example}", 404, []meshFault{door}},
	} {
		check, err := decodeMesh(t, "calls: [{that: x, "+c.call+"}]")
		require.NoError(t, err)
		assert.Equal(t, c.want, m.onTheWay("shop", &check.Calls[0], c.status, []meshFault{orders, prices, door, both}), c.call)
	}
}

func TestEachCauseIsSaidOnce(t *testing.T) {
	one := func(got, because string) labs.Finding { return labs.Finding{Got: got, Because: because} }
	assert.Equal(t, []labs.Finding{
		one("503; 2 more come out otherwise, too", "tls"), one("404", ""), one("403; one more comes out otherwise, too", "policy"), one("500", ""), one("502", "host"),
	}, oncePerCause([]labs.Finding{one("503", "tls"), one("404", ""), one("503", "tls"), one("403", "policy"), one("500", ""), one("503", "tls"), one("403", "policy"), one("502", "host")}))
}

func TestCounted(t *testing.T) {
	assert.Equal(t, "0 pods, 1 proxy, 2 proxies", counted(0, "pod")+", "+counted(1, "proxy")+", "+counted(2, "proxy"))
}

func TestCountIsJudged(t *testing.T) {
	c := &meshCount{Pods: map[string]string{"app": "api"}, True: "grown >= 3 * calls"}
	require.NoError(t, c.validate())
	f, err := c.judge(t.Context(), 30, 10)
	require.NoError(t, err)
	assert.Empty(t, f)
	f, err = c.judge(t.Context(), 10, 10)
	require.NoError(t, err)
	require.Len(t, f, 1)
	assert.True(t, strings.HasPrefix(f[0].Got, "10 in the pods with app=api"), f[0].Got)
}

func TestMeshPortions(t *testing.T) {
	for _, c := range []struct {
		times, atOnce int
		unanswered    bool
		want          []int
	}{
		{0, 0, false, []int{1}},
		{10, 0, false, []int{10}},
		{60, 1, false, []int{25, 25, 10}},
		{20, 20, false, []int{20}},
		{100, 5, false, []int{25, 25, 25, 25}},
		{3, 0, true, []int{1, 1, 1}},
	} {
		call := meshCall{AtOnce: c.atOnce, Unanswered: c.unanswered}
		call.Times = c.times
		assert.Equal(t, c.want, call.portions(), "%d at %d", c.times, c.atOnce)
	}
}
