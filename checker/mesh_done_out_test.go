package checker

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

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
