package checker

import "testing"

// A reader of tokens, and a policy that asks for one.
const meshTokens = `
---
kind: RequestAuthentication
metadata: {name: tokens}
spec: {selector: {matchLabels: {app: orders}}, jwtRules: [{issuer: shop, jwks: "{}"}]}
---
`

const meshAsks = `
---
kind: AuthorizationPolicy
metadata: {name: asks}
spec: {selector: {matchLabels: {app: orders}}, rules: [{from: [{source: {requestPrincipals: ["*"]}}]}]}
---
`

func TestMeshPolicies(t *testing.T) {
	const good = `
kind: AuthorizationPolicy
metadata: {name: orders}
spec:
  selector: {matchLabels: {app: orders}}
  rules:
  - from: [{source: {principals: [cluster.local/ns/shop/sa/client, cluster.local/ns/front/sa/default, "*/ns/shop/sa/client", "*"], namespaces: [front, "sh*"]}}]
    to: [{operation: {methods: [GET], ports: ["8080"]}}]`
	meshCases(t, []meshCase{{
		name: "selector of an AuthorizationPolicy",
		broken: `
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {selector: {matchLabels: {app: order}}, rules: [{}]}`,
		says: `
selector: because AuthorizationPolicy orders is for the pods with app=order (selector), and no pod of namespace shop has that
nearest: 2 pods have app=orders
look at 'kubectl get pods --show-labels'`,
		good: good,
	}, {
		name: "selector of a PeerAuthentication",
		broken: `
kind: PeerAuthentication
metadata: {name: orders}
spec: {selector: {matchLabels: {name: orders}}, mtls: {mode: PERMISSIVE}}`,
		says: `
selector: because PeerAuthentication orders is for the pods with name=orders (selector), and no pod of namespace shop has that
nearest: 2 pods have app=orders
look at 'kubectl get pods --show-labels'`,
		good: `
kind: PeerAuthentication
metadata: {name: orders}
spec: {selector: {matchLabels: {app: orders}}, mtls: {mode: PERMISSIVE}}`,
	}, {
		name: "selector of a gateway's pods",
		broken: `
kind: RequestAuthentication
metadata: {name: tokens}
spec: {selector: {matchLabels: {istio: ingress}}}`,
		says: `
selector: because RequestAuthentication tokens is for the pods with istio=ingress (selector), and no pod of namespace shop has that
nearest: 1 pod of namespace istio-system has it
look at 'kubectl get pods --show-labels'`,
		good: meshTokens + meshAsks,
	}, {
		name: "allows nothing",
		broken: `
kind: AuthorizationPolicy
metadata: {name: nothing}
spec: {selector: {matchLabels: {app: orders}}}`,
		says: `
deny-all: because AuthorizationPolicy nothing has action ALLOW and no rules, so it allows nothing, and no other policy allows anything
nearest: one empty rule, - {}, fits every request
look at 'kubectl get authorizationpolicy nothing -o yaml'`,
		good: good + `
---
kind: AuthorizationPolicy
metadata: {name: nothing}
spec: {}`,
	}, {
		name: "denies nothing",
		broken: `
kind: AuthorizationPolicy
metadata: {name: nothing}
spec: {action: DENY}`,
		says: `
deny-all: because AuthorizationPolicy nothing has action DENY and no rules, so it denies nothing
nearest: one empty rule, - {}, fits every request
look at 'kubectl get authorizationpolicy nothing -o yaml'`,
		good: `
kind: AuthorizationPolicy
metadata: {name: nothing}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}`,
	}, {
		name: "principal without its shape",
		broken: `
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {rules: [{from: [{source: {principals: [client]}}]}]}`,
		says: `
principal: because AuthorizationPolicy orders names the principal client, and a principal is written cluster.local/ns/NAMESPACE/sa/ACCOUNT
nearest: cluster.local/ns/shop/sa/client
look at 'kubectl get authorizationpolicy orders -o yaml'`,
		good: good,
	}, {
		name: "principal as a certificate has it",
		broken: `
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {rules: [{from: [{source: {principals: ["spiffe://cluster.local/ns/shop/sa/client"]}}]}]}`,
		says: `
principal: because AuthorizationPolicy orders names the principal spiffe://cluster.local/ns/shop/sa/client, and a principal is written cluster.local/ns/NAMESPACE/sa/ACCOUNT
nearest: without spiffe:// before it: cluster.local/ns/shop/sa/client
look at 'kubectl get authorizationpolicy orders -o yaml'`,
		good: good,
	}, {
		name: "principal that does not exist",
		broken: `
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {action: DENY, rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/cleint]}}]}]}`,
		says: `
principal: because AuthorizationPolicy orders names cluster.local/ns/shop/sa/cleint (principals), and there is no ServiceAccount cleint in namespace shop
nearest: there is one called client
look at 'kubectl get serviceaccounts'`,
		good: good,
	}, {
		name: "account that does not exist",
		broken: `
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {rules: [{from: [{source: {serviceAccounts: [front/client]}}]}]}`,
		says: `
principal: because AuthorizationPolicy orders names front/client (serviceAccounts), and there is no ServiceAccount client in namespace front
nearest: there is one in namespace shop
look at 'kubectl get serviceaccounts -n front'`,
		good: `
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {rules: [{from: [{source: {serviceAccounts: [client, shop/client]}}]}]}`,
	}, {
		name: "namespace that does not exist",
		broken: `
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {rules: [{from: [{source: {namespaces: [fornt]}}]}]}`,
		says: `
principal: because AuthorizationPolicy orders names fornt (namespaces), and there is no namespace fornt
nearest: there is one called front
look at 'kubectl get namespaces'`,
		good: good,
	}, {
		name:   "token that need not come",
		broken: meshTokens,
		says: `
token-unasked: because RequestAuthentication tokens refuses bad tokens only, and no AuthorizationPolicy for these pods asks for a token: a request without one passes
nearest: an AuthorizationPolicy with requestPrincipals asks for one
look at 'kubectl get authorizationpolicies'`,
		good: meshTokens + meshAsks,
	}, {
		name: "token that is not asked for by these pods' policy",
		broken: meshTokens + `
kind: AuthorizationPolicy
metadata: {name: client}
spec: {selector: {matchLabels: {app: client}}, rules: [{from: [{source: {namespaces: [shop]}}]}]}`,
		says: `
token-unasked: because RequestAuthentication tokens refuses bad tokens only, and no AuthorizationPolicy for these pods asks for a token: a request without one passes
nearest: an AuthorizationPolicy with requestPrincipals asks for one
look at 'kubectl get authorizationpolicies'`,
		good: meshTokens + `
kind: AuthorizationPolicy
metadata: {name: asks}
spec: {action: DENY, rules: [{from: [{source: {notRequestPrincipals: ["*"]}}]}]}`,
	}, {
		name:   "token that nobody reads",
		broken: meshAsks,
		says: `
token-unread: because AuthorizationPolicy asks asks for a token (requestPrincipals), and no RequestAuthentication for its pods reads one, so no request has one
look at 'kubectl get requestauthentications'`,
		good: meshTokens + meshAsks,
	}, {
		name: "claim of a token that others read",
		broken: meshTokens + meshAsks + `
kind: AuthorizationPolicy
metadata: {name: client}
spec: {selector: {matchLabels: {app: client}}, rules: [{when: [{key: "request.auth.claims[groups]", values: [staff]}]}]}`,
		says: `
token-unread: because AuthorizationPolicy client asks for a token (request.auth.claims[groups]), and no RequestAuthentication for its pods reads one, so no request has one
nearest: RequestAuthentication tokens is for the pods with app=orders
look at 'kubectl get requestauthentications'`,
		good: meshTokens + `
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {selector: {matchLabels: {app: orders}}, rules: [{when: [{key: "request.auth.claims[groups]", values: [staff]}]}]}`,
	}, {
		name: "account of a namespace that does not exist",
		broken: `
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {rules: [{from: [{source: {principals: [cluster.local/ns/fornt/sa/client]}}]}]}`,
		says: `
principal: because AuthorizationPolicy orders names cluster.local/ns/fornt/sa/client (principals), and there is no namespace fornt
nearest: there is one called front
look at 'kubectl get namespaces'`,
		good: good,
	}, {
		name: "port of the Service behind a named one",
		broken: `
kind: Pod
metadata: {name: orders-v2, namespace: shop, labels: {app: orders, version: v2}}
spec: {containers: [{name: app, ports: [{name: web, containerPort: 8080}]}, {name: istio-proxy}]}
status: {conditions: [{type: Ready, status: "True"}]}
---
kind: Service
metadata: {name: orders, namespace: shop}
spec: {selector: {app: orders}, ports: [{name: http, port: 80, targetPort: web}]}
---
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {selector: {matchLabels: {app: orders}}, rules: [{to: [{operation: {ports: ["80"]}}]}]}`,
		says: `
policy-port: because AuthorizationPolicy orders names port 80 (ports), which is a port of Service orders: a policy is about the ports of its pods
nearest: there it is port 8080
look at 'kubectl get service orders'`,
		good: good,
	}, {
		name: "port of the Service",
		broken: `
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {selector: {matchLabels: {app: orders}}, rules: [{to: [{operation: {ports: ["80"]}}]}]}`,
		says: `
policy-port: because AuthorizationPolicy orders names port 80 (ports), which is a port of Service orders: a policy is about the ports of its pods
nearest: there it is port 8080
look at 'kubectl get service orders'`,
		good: good,
	}, {
		name: "methods on a TCP port",
		broken: `
kind: Service
metadata: {name: orders, namespace: shop}
spec: {selector: {app: orders}, ports: [{name: tcp-orders, port: 80, targetPort: 8080}]}
---
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {selector: {matchLabels: {app: orders}}, rules: [{to: [{operation: {methods: [GET]}}]}]}`,
		says: `
http-on-tcp: because AuthorizationPolicy orders asks for methods, and port 80 of Service orders is TCP, where there is no such thing, so the rule allows nothing
nearest: a port is HTTP when its name begins with http or its appProtocol is http
look at 'kubectl get authorizationpolicy orders -o yaml'`,
		good: good,
	}, {
		name: "paths denied on a TCP port",
		broken: `
kind: Service
metadata: {name: orders, namespace: shop}
spec: {selector: {app: orders}, ports: [{name: tcp-orders, port: 80, targetPort: 8080}, {name: http, port: 81, targetPort: 8081}]}
---
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {action: DENY, selector: {matchLabels: {app: orders}}, rules: [{to: [{operation: {paths: [/admin], ports: ["8080"]}}]}]}`,
		says: `
http-on-tcp: because AuthorizationPolicy orders asks for paths, and port 80 of Service orders is TCP, where there is no such thing, so the rule denies whatever comes there
nearest: a port is HTTP when its name begins with http or its appProtocol is http
look at 'kubectl get authorizationpolicy orders -o yaml'`,
		good: good,
	}, {
		name: "target that only a waypoint reads",
		broken: `
kind: AuthorizationPolicy
metadata: {name: orders}
spec: {targetRefs: [{kind: Service, group: "", name: orders}], rules: [{to: [{operation: {methods: [GET]}}]}]}`,
		says: `
target: because AuthorizationPolicy orders names Service orders (targetRefs), which only a waypoint reads, and there is none
nearest: for pods with a proxy of their own: selector with matchLabels app=orders
look at 'kubectl get authorizationpolicy orders -o yaml'`,
		good: good,
	}})
}
