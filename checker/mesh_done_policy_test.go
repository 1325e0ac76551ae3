package checker

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

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
