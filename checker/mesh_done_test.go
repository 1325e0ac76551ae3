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
	call := &meshCall{}
	call.From = origin{Where: fromCluster}
	return &meshAsk{&meshReading{meshObjects: m, namespace: "shop"}, from, call, host, u, answer}
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
	const all = "because the proxy of the pods behind it refuses it: for them there is the AuthorizationPolicy "
	const look = "\nlook at 'kubectl get authorizationpolicies.security.istio.io -o yaml'"
	const lookWeb = "\nlook at 'kubectl get authorizationpolicy web-reads -o yaml'"
	const lookAll = "\nlook at 'kubectl get authorizationpolicy all -o yaml'"
	web := policy("web-reads", `rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]`)
	const other = "because AuthorizationPolicy web-reads lets in cluster.local/ns/shop/sa/web, and pod client calls as cluster.local/ns/shop/sa/default" + lookWeb
	to := func(action, operation string) string {
		return policy("all", "action: "+action+", rules: [{to: [{operation: {"+operation+"}}]}]")
	}
	for _, c := range []struct{ name, objects, pod, says string }{
		{"no proxy", web + meshOutsider, "outsider", "because AuthorizationPolicy web-reads lets in whom it knows (principals), and pod outsider, which asks, has no proxy, so nobody says who it is" + lookWeb},
		{"another account", web, "client", other},
		{"beside one that allows nothing", web + policy("nothing", "rules: []"), "client", other},
		{"beside one that denies something else", web + policy("no-env", `action: DENY, rules: [{to: [{operation: {paths: [/env]}}]}]`), "client", other},
		{"denied", web + to("DENY", `paths: ["/*"]`), "client", "because AuthorizationPolicy all denies GET /api" + lookAll},
		{"another namespace", policy("all", `rules: [{from: [{source: {namespaces: [front]}}]}]`), "client", "because AuthorizationPolicy all lets in namespace front, and pod client is of namespace shop" + lookAll},
		{"the account fits, the method does not", policy("all", `rules: [{from: [{source: {principals: ["cluster.local/ns/shop/*"]}}], to: [{operation: {methods: [POST, get]}}]}]`), "client", "because AuthorizationPolicy all allows the method POST, get, and this is GET" + lookAll},
		{"another path", to("ALLOW", "methods: [GET], paths: [/orders, /basket/*]"), "client", "because AuthorizationPolicy all allows the path /orders, /basket/*, and this is /api" + lookAll},
		{"another port", to("ALLOW", `ports: ["9090"]`), "client", "because AuthorizationPolicy all allows the port 9090, and this is 8080" + lookAll},
		{"all but this", to("ALLOW", `notPaths: ["/api*"]`), "client", "because AuthorizationPolicy all allows the path unless it is /api*, and this is /api" + lookAll},
		{"the nearer of two operations", policy("all", `rules: [{to: [{operation: {methods: [PUT], paths: [/x]}}, {operation: {methods: [GET], paths: [/y]}}]}]`), "client", "because AuthorizationPolicy all allows the path /y, and this is /api" + lookAll},
		{"two things", to("ALLOW", "methods: [POST], paths: [/orders]"), "client", all + "all (ALLOW)" + look},
		{"what is not known here", policy("all", `rules: [{when: [{key: "request.headers[x]", values: [v1]}]}]`), "client", all + "all (ALLOW)" + look},
		{"it should fit", to("ALLOW", "methods: [GET]"), "client", all + "all (ALLOW)" + look},
		{"no policy here", "", "client", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.says, said(meshAskOf(t, c.objects, c.pod, "orders", "http://orders/api?x=y", refusal).refused()))
		})
	}
	assert.Empty(t, said(meshAskOf(t, web, "client", "orders", "http://orders/api", httpAnswer{Status: 403, Body: "no"}).refused()), "the program itself refuses")
}

func TestMeshCallerIsLetIn(t *testing.T) {
	policy := func(name, spec string) string {
		return "\n---\nkind: AuthorizationPolicy\nmetadata: {name: " + name + "}\nspec: {" + spec + "}\n---\n"
	}
	const orders, lookReads = "selector: {matchLabels: {app: orders}}, ", "\nlook at 'kubectl get authorizationpolicy reads -o yaml'"
	for _, c := range []struct{ name, objects, says string }{
		{"nobody says anything", "", "because no AuthorizationPolicy is for the pods of Service orders\nlook at 'kubectl get authorizationpolicies.security.istio.io -o yaml'"},
		{"for the pods that call", policy("reads", "selector: {matchLabels: {app: client}}"), "because no AuthorizationPolicy is for the pods of Service orders\nnearest: AuthorizationPolicy reads is for the pods with app=client\nlook at 'kubectl get authorizationpolicies.security.istio.io -o yaml'"},
		{"two rules in place of one", policy("reads", orders+`rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}, {to: [{operation: {methods: [GET]}}]}]`), "because rule 2 of AuthorizationPolicy reads allows GET /api to pod client\nnearest: it has no from, so it is for everybody" + lookReads},
		{"more than is wanted", policy("reads", orders+`rules: [{from: [{source: {namespaces: [shop]}}]}]`), "because the rule of AuthorizationPolicy reads allows GET /api to pod client\nnearest: it has no to, so it allows everything" + lookReads},
		{"everything", policy("reads", "rules: [{}]"), "because the rule of AuthorizationPolicy reads allows GET /api to pod client\nnearest: it has neither from nor to, so it allows everything to everybody" + lookReads},
		{"another path is denied", policy("reads", orders+`action: DENY, rules: [{to: [{operation: {paths: [/apis]}}]}]`), "because AuthorizationPolicy reads denies the path /apis, and this is /api" + lookReads},
		{"somebody else is kept out", policy("reads", orders+`action: DENY, rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]`), "because AuthorizationPolicy reads keeps out cluster.local/ns/shop/sa/web, and pod client calls as cluster.local/ns/shop/sa/default" + lookReads},
		{"what is not known here", policy("reads", orders+`rules: [{when: [{key: "request.headers[x]", values: [v1]}]}]`), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := meshAskOf(t, c.objects, "client", "orders", "http://orders/api", httpAnswer{Status: 200})
			a.call.Status = 403
			assert.Equal(t, c.says, said(a.letIn()))
			a.call.Status = 404
			assert.Empty(t, said(a.letIn()), "no refusal is expected")
		})
	}
}

func TestMeshFaultFitsWhatHappened(t *testing.T) {
	faults := []meshFault{{rule: "port-name"}, {rule: "deny-all"}, {rule: "token-unasked"}, {rule: "selector"}}
	rules := func(a httpAnswer, wanted ...int) (out []string) {
		c := &meshCall{}
		if c.Statuses = wanted; len(wanted) == 1 {
			c.Status, c.Statuses = wanted[0], nil
		}
		for _, f := range c.possible(faults, a) {
			out = append(out, f.rule)
		}
		return out
	}
	denied := httpAnswer{Status: 403, Body: "RBAC: access denied"}
	assert.Equal(t, []string{"token-unasked", "selector"}, rules(httpAnswer{Status: 200}, 403))
	assert.Equal(t, []string{"token-unasked", "selector"}, rules(httpAnswer{Status: 200}, 401, 403))
	assert.Equal(t, []string{"deny-all", "selector"}, rules(denied, 200))
	assert.Equal(t, []string{"port-name", "selector"}, rules(httpAnswer{Status: 503}, 200), "no policy does that")
	assert.Len(t, rules(httpAnswer{Status: 403, Body: "no"}, 200), 4, "it may be the program")
	assert.Len(t, rules(httpAnswer{Status: 503}, 403), 4)
	assert.Len(t, rules(httpAnswer{}, 403), 4, "nothing came")
}

func TestMeshCallerIsLetOut(t *testing.T) {
	sidecar := func(spec string) string {
		return "\n---\nkind: Sidecar\nmetadata: {name: default}\nspec: {" + spec + "}\n---\n"
	}
	const look = "\nlook at 'kubectl get sidecar default -o yaml'"
	for _, c := range []struct {
		name, objects, host, at string
		meshOnly                bool
		says                    string
	}{
		{"nobody says anything", "", "rates.example.com", "http://rates.example.com/", false, "because no Sidecar is for pod client, and the mesh lets requests go to any host\nlook at 'kubectl get sidecars.networking.istio.io -o yaml'"},
		{"the mode is missing", sidecar("egress: [{hosts: [./*]}]"), "rates.example.com", "http://rates.example.com/", false, "because Sidecar default does not say REGISTRY_ONLY, and the mesh lets requests go to any host" + look},
		{"the other mode", sidecar("outboundTrafficPolicy: {mode: ALLOW_ANY}"), "rates.example.com", "http://rates.example.com/", true, "because Sidecar default lets requests go to any host (ALLOW_ANY)" + look},
		{"an entry", sidecar("outboundTrafficPolicy: {mode: REGISTRY_ONLY}") + `
kind: ServiceEntry
metadata: {name: rates}
spec: {hosts: [rates.example.com, news.example.com], ports: [{number: 80, name: http, protocol: HTTP}]}`, "news.example.com", "http://news.example.com/", false, "because ServiceEntry rates makes host news.example.com known\nlook at 'kubectl get serviceentry rates -o yaml'"},
		{"a Service that is listed", sidecar("outboundTrafficPolicy: {mode: REGISTRY_ONLY}, egress: [{hosts: [./*, istio-system/*]}]"), "ingress.istio-system", "http://ingress.istio-system/", false, "because Sidecar default lists Service ingress in namespace istio-system\nnearest: it lists ./* and istio-system/*" + look},
		{"nothing is listed, so all is", sidecar("outboundTrafficPolicy: {mode: REGISTRY_ONLY}"), "ingress.istio-system", "http://ingress.istio-system/", false, "because Sidecar default lists no hosts (egress), so it lists all, Service ingress in namespace istio-system among them" + look},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := meshAskOf(t, c.objects, "client", c.host, c.at, httpAnswer{Status: 200})
			a.call.Unanswered = true
			if c.objects != "" {
				assert.Equal(t, c.says, said(a.letOut(func() bool { return c.meshOnly })))
			} else {
				assert.Empty(t, said(a.letOut(func() bool { return c.meshOnly })), "without a Sidecar something else was meant")
			}
			a.call.Unanswered, a.call.Status = false, 502
			assert.Equal(t, c.says, said(a.letOut(func() bool { return c.meshOnly })))
			a.call.Status = 0
			assert.Empty(t, said(a.letOut(func() bool { return c.meshOnly })), "it was to be reached")
		})
	}
}

func TestMeshPlainTextIsTaken(t *testing.T) {
	const says = "lets the pods of Service orders take plain text (PERMISSIVE)\nlook at 'kubectl get peerauthentication "
	for objects, wants := range map[string]string{
		"": "",
		`
kind: PeerAuthentication
metadata: {name: client}
spec: {selector: {matchLabels: {app: client}}, mtls: {mode: STRICT}}`: "because no PeerAuthentication is for the pods of Service orders, so they take plain text too\nlook at 'kubectl get peerauthentications -o yaml'",
		`
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: PERMISSIVE}}`: "because PeerAuthentication default " + says + "default -o yaml'",
		`
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
---
kind: PeerAuthentication
metadata: {name: orders}
spec: {selector: {matchLabels: {app: orders}}, portLevelMtls: {"8080": {mode: PERMISSIVE}}}`: "because PeerAuthentication orders " + says + "orders -o yaml'",
	} {
		a := meshAskOf(t, meshOutsider+objects, "outsider", "orders", "http://orders/api", httpAnswer{Status: 200})
		a.call.Unanswered = true
		assert.Equal(t, wants, said(a.plainTaken()))
	}
	for mode, wants := range map[string]string{
		"STRICT":     "because pod client has a proxy, and with it a certificate of the mesh: mutual TLS lets it in\nlook at 'kubectl get pods'",
		"PERMISSIVE": "",
	} {
		a := meshAskOf(t, "\nkind: PeerAuthentication\nmetadata: {name: default}\nspec: {mtls: {mode: "+mode+"}}\n", "client", "orders", "http://orders/api", httpAnswer{Status: 200})
		a.call.Unanswered = true
		assert.Equal(t, wants, said(a.plainTaken()), mode)
	}
}

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
			assert.Equal(t, c.says, said(a.routed(true)))
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
