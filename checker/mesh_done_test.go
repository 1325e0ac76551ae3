package checker

import (
	"net/url"
	"strings"
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// meshOutsider is a pod of the shop that wants no proxy.
const meshOutsider = `
---
kind: Pod
metadata: {name: outsider, namespace: shop, labels: {app: outsider, sidecar.istio.io/inject: "false"}}
spec: {containers: [{name: app}]}
status: {conditions: [{type: Ready, status: "True"}]}
---
`

// meshAskOf is a request of a pod of the shop, or of the probe with "", for a host.
func meshAskOf(t *testing.T, more, pod, host, at string, answer httpAnswer) *meshAsk {
	t.Helper()
	var m meshObjects
	require.NoError(t, meshRead(&m, meshShop))
	require.NoError(t, meshRead(&m, more))
	u, err := url.Parse(at)
	require.NoError(t, err)
	var from *corev1.Pod
	for i := range m.pods {
		if m.pods[i].Name == pod {
			from = &m.pods[i]
		}
	}
	require.True(t, from != nil || pod == "", "no pod %s", pod)
	return &meshAsk{&meshReading{meshObjects: m, namespace: "shop"}, from, host, u, answer}
}

func said(f labs.Finding) string {
	return strings.ReplaceAll(strings.Join(f.Lines(), "\n"), "`", "'")
}

func TestMeshHostIsNotKnown(t *testing.T) {
	const only = `
---
kind: Sidecar
metadata: {name: default}
spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}
---
`
	const ends = ", and Sidecar default lets requests go only to known hosts (REGISTRY_ONLY)"
	entry := func(name, host, more string) string {
		return "\n---\nkind: ServiceEntry\nmetadata: {name: " + name + "}\nspec: {hosts: [" + host + "], ports: [{number: 80, name: http, protocol: HTTP}]" + more + "}\n---\n"
	}
	refused := httpAnswer{Status: 502}
	for _, c := range []struct {
		name, objects, pod, host, at string
		answer                       httpAnswer
		meshOnly                     bool
		says                         string
	}{
		{"no entry", only, "client", "rates.example.com", "http://rates.shop/api", refused, false,
			"because no ServiceEntry has host rates.example.com" + ends + "\nlook at 'kubectl get serviceentries.networking.istio.io'"},
		{"misspelt entry", only + entry("rates", "rate.example.com", ""), "client", "rates.example.com", "http://rates.shop/api", refused, false,
			"because no ServiceEntry has host rates.example.com" + ends + "\nnearest: ServiceEntry rates has rate.example.com\nlook at 'kubectl get serviceentry rates -o yaml'"},
		{"another port", only + entry("rates", "rates.example.com", ""), "client", "rates.example.com", "http://rates.shop:8080/api", refused, false,
			"because ServiceEntry rates does not have port 8080 of host rates.example.com" + ends + "\nnearest: it has port 80\nlook at 'kubectl get serviceentry rates -o yaml'"},
		{"kept from the namespace", only + entry("rates", "rates.example.com", ", exportTo: [front]"), "client", "rates.example.com", "http://rates.shop/api", refused, false,
			"because exportTo of ServiceEntry rates keeps host rates.example.com from namespace shop" + ends + "\nlook at 'kubectl get serviceentry rates -o yaml'"},
		{"known", only + entry("rates", "rates.example.com", ""), "client", "rates.example.com", "http://rates.shop/api", refused, false, ""},
		{"known by a pattern", only + entry("all", `"*.example.com"`, ""), "client", "rates.example.com", "http://rates.shop/api", refused, false, ""},
		{"cut", only, "client", "rates.example.com", "http://rates.example.com:9999/api", httpAnswer{Error: "reset", Kind: kindReset}, false,
			"because no ServiceEntry has host rates.example.com" + ends + "\nlook at 'kubectl get serviceentries.networking.istio.io'"},
		{"answered by somebody", only, "client", "rates.example.com", "http://rates.shop/api", httpAnswer{Status: 502, Headers: map[string]string{upstreamTime: "3"}}, false, ""},
		{"another answer", only, "client", "rates.example.com", "http://rates.shop/api", httpAnswer{Status: 404}, false, ""},
		{"no proxy", only + meshOutsider, "outsider", "rates.example.com", "http://rates.shop/api", refused, true, ""},
		{"the probe", only, "", "rates.example.com", "http://rates.shop/api", refused, true, ""},
		{"all may be called", "", "client", "rates.example.com", "http://rates.shop/api", refused, false, ""},
		{"the mesh's own rule", "", "client", "rates.example.com", "http://rates.shop/api", refused, true,
			"because no ServiceEntry has host rates.example.com, and the mesh's configuration lets requests go only to known hosts (outboundTrafficPolicy REGISTRY_ONLY)\nlook at 'kubectl get serviceentries.networking.istio.io'"},
		{"a Sidecar opens what the mesh closes", `
kind: Sidecar
metadata: {name: default}
spec: {outboundTrafficPolicy: {mode: ALLOW_ANY}}`, "client", "rates.example.com", "http://rates.shop/api", refused, true, ""},
		{"the Sidecar of these pods counts", only + `
kind: Sidecar
metadata: {name: open}
spec: {workloadSelector: {labels: {app: client}}, outboundTrafficPolicy: {mode: ALLOW_ANY}}`, "client", "rates.example.com", "http://rates.shop/api", refused, false, ""},
		{"the Sidecar of other pods does not", only + `
kind: Sidecar
metadata: {name: open}
spec: {workloadSelector: {labels: {app: orders}}, outboundTrafficPolicy: {mode: ALLOW_ANY}}`, "client", "rates.example.com", "http://rates.shop/api", refused, false,
			"because no ServiceEntry has host rates.example.com" + ends + "\nlook at 'kubectl get serviceentries.networking.istio.io'"},
		{"the mesh's Sidecar", `
kind: Sidecar
metadata: {name: all, namespace: istio-system}
spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}`, "client", "rates.example.com", "http://rates.shop/api", refused, false,
			"because no ServiceEntry has host rates.example.com, and Sidecar all in namespace istio-system lets requests go only to known hosts (REGISTRY_ONLY)\nlook at 'kubectl get serviceentries.networking.istio.io'"},
		{"a namespace that the Sidecar does not list", `
kind: Sidecar
metadata: {name: default}
spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}, egress: [{hosts: [./*]}]}`, "client", "ingress.istio-system", "http://ingress.istio-system/api", refused, false,
			"because no entry of Sidecar default (egress) takes in istio-system/ingress.istio-system.svc.cluster.local" + ends + "\nnearest: it lists ./*\nlook at 'kubectl get sidecar default -o yaml'"},
		{"a namespace that the Sidecar misspells", `
kind: Sidecar
metadata: {name: default}
spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}, egress: [{hosts: [./*, istio-sytem/*]}]}`, "client", "ingress.istio-system", "http://ingress.istio-system/api", refused, false,
			"because no entry of Sidecar default (egress) takes in istio-system/ingress.istio-system.svc.cluster.local" + ends + "\nnearest: it lists istio-sytem/*, and there is no namespace istio-sytem\nlook at 'kubectl get sidecar default -o yaml'"},
		{"a Service that the Sidecar lists", `
kind: Sidecar
metadata: {name: default}
spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}, egress: [{hosts: [./*]}]}`, "client", "orders", "http://orders/api", refused, false, ""},
		{"a Service that keeps itself out", only + `
kind: Service
metadata: {name: far, namespace: shop, annotations: {networking.istio.io/exportTo: "~"}}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}`, "client", "far.shop.svc.cluster.local", "http://far.shop.svc.cluster.local/api", refused, false,
			"because annotation networking.istio.io/exportTo of Service far keeps it from namespace shop" + ends + "\nlook at 'kubectl get service far -o yaml'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := meshAskOf(t, c.objects, c.pod, c.host, c.at, c.answer)
			assert.Equal(t, c.says, said(a.sure(func() bool { return c.meshOnly })))
		})
	}
}

func TestMeshCallerWithoutProxyIsCut(t *testing.T) {
	const strict = meshOutsider + `
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}`
	cut := httpAnswer{Error: "reset", Kind: kindReset}
	never := func() bool { return false }
	const says = "because PeerAuthentication default lets the pods of Service orders take only mutual TLS (STRICT), and "
	const look = "\nlook at 'kubectl get peerauthentication default -o yaml'"
	assert.Equal(t, says+"pod outsider, which asks, has no proxy"+look, said(meshAskOf(t, strict, "outsider", "orders", "http://orders/api", cut).sure(never)))
	assert.Equal(t, says+"the probe, which asks, has no proxy"+look, said(meshAskOf(t, strict, "", "orders", "http://orders/api", cut).sure(never)))
	assert.Empty(t, said(meshAskOf(t, strict, "client", "orders", "http://orders/api", cut).sure(never)), "the caller has a proxy")
	assert.Empty(t, said(meshAskOf(t, strict, "outsider", "orders", "http://orders/api", httpAnswer{Error: "timeout", Kind: kindTimeout}).sure(never)), "nobody has cut it")
	assert.Empty(t, said(meshAskOf(t, meshOutsider, "outsider", "orders", "http://orders/api", cut).sure(never)), "both ways are taken")
}

func TestMeshFaultIsTheRoutes(t *testing.T) {
	const fault = `
kind: VirtualService
metadata: {name: orders}
spec: {hosts: [orders], http: [{match: [{uri: {prefix: /b}}], name: b, fault: {abort: {httpStatus: 418, percentage: {value: 1}}}, route: [{destination: {host: orders}}]}, {route: [{destination: {host: orders}}]}]}`
	never := func() bool { return false }
	assert.Equal(t, "because route b of VirtualService orders answers with 418 itself (fault, abort)\nlook at 'kubectl get virtualservice orders -o yaml'",
		said(meshAskOf(t, fault, "client", "orders", "http://orders/b", httpAnswer{Status: 418, Body: "fault filter abort"}).sure(never)))
	assert.Empty(t, said(meshAskOf(t, fault, "client", "orders", "http://orders/b", httpAnswer{Status: 418, Body: "short and stout"}).sure(never)))
}

func TestMeshRequestIsOneTooMany(t *testing.T) {
	const limits = `
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}, subsets: [{name: v1, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 2}}}}]}`
	never := func() bool { return false }
	full := httpAnswer{Status: 503, Headers: map[string]string{overloadedBy: "true"}}
	assert.Equal(t, "because DestinationRule orders limits what may be under way at the same time (maxConnections 1, http1MaxPendingRequests 2), and this request was one too many\nlook at 'kubectl get destinationrule orders -o yaml'",
		said(meshAskOf(t, limits, "client", "orders", "http://orders/api", full).sure(never)))
	assert.Empty(t, said(meshAskOf(t, limits, "client", "orders", "http://orders/api", httpAnswer{Status: 503}).sure(never)), "not for this reason")
	assert.Empty(t, said(meshAskOf(t, "", "client", "orders", "http://orders/api", full).sure(never)), "nobody limits it here")
}

func TestMeshRefusedCaller(t *testing.T) {
	refusal := httpAnswer{Status: 403, Body: "RBAC: access denied"}
	policy := func(name, spec string) string {
		return "\n---\nkind: AuthorizationPolicy\nmetadata: {name: " + name + "}\nspec: {selector: {matchLabels: {app: orders}}, " + spec + "}\n---\n"
	}
	const look = "\nlook at 'kubectl get authorizationpolicies.security.istio.io -o yaml'"
	web := policy("web-reads", `rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]`)
	for _, c := range []struct{ name, objects, pod, says string }{
		{"no proxy", web + meshOutsider, "outsider", "because AuthorizationPolicy web-reads lets in whom it knows (principals), and pod outsider, which asks, has no proxy, so nobody says who it is" + look},
		{"another account", web, "client", "because AuthorizationPolicy web-reads lets in cluster.local/ns/shop/sa/web, and pod client calls as cluster.local/ns/shop/sa/default" + look},
		{"beside one that allows nothing", web + policy("nothing", "rules: []"), "client", "because AuthorizationPolicy web-reads lets in cluster.local/ns/shop/sa/web, and pod client calls as cluster.local/ns/shop/sa/default" + look},
		{"beside one that denies", web + policy("no-env", `action: DENY, rules: [{to: [{operation: {paths: [/env]}}]}]`), "client", "because the proxy of the pods behind it refuses it: for them there is the AuthorizationPolicy web-reads (ALLOW) and no-env (DENY)" + look},
		{"the account fits, something else does not", policy("all", `rules: [{from: [{source: {principals: ["cluster.local/ns/shop/*"]}}], to: [{operation: {methods: [POST]}}]}]`), "client", "because the proxy of the pods behind it refuses it: for them there is the AuthorizationPolicy all (ALLOW)" + look},
		{"known in another way", policy("all", `rules: [{from: [{source: {namespaces: [front]}}]}]`), "client", "because the proxy of the pods behind it refuses it: for them there is the AuthorizationPolicy all (ALLOW)" + look},
		{"no policy here", "", "client", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.says, said(meshAskOf(t, c.objects, c.pod, "orders", "http://orders/api", refusal).refused()))
		})
	}
	assert.Empty(t, said(meshAskOf(t, web, "client", "orders", "http://orders/api", httpAnswer{Status: 403, Body: "no"}).refused()), "the program itself refuses")
}

func TestMeshTimeoutIsSaid(t *testing.T) {
	route := func(http string) string {
		return "\n---\nkind: VirtualService\nmetadata: {name: orders}\nspec: {hosts: [orders], http: [" + http + "]}"
	}
	const to = "route: [{destination: {host: orders}}]"
	for _, c := range []struct{ name, objects, call, got, says string }{
		{"none on the only route", route("{" + to + "}"), "status: 504", "HTTP 200 OK", "the route of VirtualService orders has no timeout"},
		{"none on any", route("{match: [{uri: {prefix: /a}}], " + to + "}, {" + to + "}"), "status: 504", "HTTP 200 OK", "no route of VirtualService orders has a timeout"},
		{"another", route("{match: [{uri: {prefix: /a}}], timeout: 1s, " + to + "}, {name: rest, timeout: 500ms, " + to + "}"), `expect: [{that: soon, true: "answers.all(a, a.ms < 300)"}]`, "after 1000 ms", "a request is given up by route 1 of VirtualService orders after 1s, by route rest of VirtualService orders after 500ms (timeout)"},
		{"too short", route("{timeout: 1s, " + to + "}"), "times: 1", "HTTP 504 Gateway Timeout for request 1 of 2", "a request is given up by the route of VirtualService orders after 1s (timeout)"},
		{"no route", "", "status: 504", "HTTP 200 OK", "no VirtualService of namespace shop is for host orders, so there is no timeout"},
		{"not about time", route("{" + to + "}"), "times: 1", "HTTP 500 Internal Server Error", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m meshObjects
			require.NoError(t, meshRead(&m, meshShop+c.objects))
			check, err := decodeMesh(t, `calls: [{that: x, url: "http://orders/", from: cluster, `+c.call+`}, {that: y, url: "http://orders/", from: cluster}]`)
			require.NoError(t, err)
			assert.Equal(t, c.says, m.saidOf("shop", &check.Calls[0], labs.Finding{Got: c.got}).Because)
			assert.Empty(t, m.saidOf("shop", &check.Calls[0], labs.Finding{Got: c.got, Because: "Service orders has no ready pod"}).Because, "something nearer is known")
		})
	}
}

func TestWhoHasChangedWhatIsRefusedIsNamed(t *testing.T) {
	target, f := &Target{Namespace: "shop"}, labs.Finding{Because: "the proxy of pod web refuses its routes: no"}
	assert.Empty(t, said(patched(target, f, nil)))
	assert.Equal(t, "because the proxy of pod web refuses its routes: no\nnearest: EnvoyFilter teapot changes what it gets\nlook at 'kubectl get envoyfilter teapot -o yaml'", said(patched(target, f, []string{"shop/teapot"})))
	assert.Equal(t, "because the proxy of pod web refuses its routes: no\nnearest: EnvoyFilters change what it gets: shop/teapot and istio-system/all\nlook at 'kubectl get envoyfilters -A'", said(patched(target, f, []string{"shop/teapot", "istio-system/all"})))
}
