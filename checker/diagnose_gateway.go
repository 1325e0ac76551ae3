package checker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// httpRoute is the cause for which a route of the Gateway API leads nowhere.
func (d diagnosis) httpRoute(name string) labs.Finding {
	of, err := d.k.resource(d.ctx, "gateway.networking.k8s.io/v1", "HTTPRoute", d.namespace)
	if meta.IsNoMatchError(err) {
		return labs.Finding{Because: "the cluster does not know the Gateway API: its definitions are not installed", Look: "`kubectl api-resources`"}
	} else if err != nil {
		return labs.Finding{}
	}
	o, err := of.Get(d.ctx, name, metav1.GetOptions{})
	if err != nil {
		return d.gone("gateway.networking.k8s.io/v1", "HTTPRoute", name, err)
	}
	called, look := "HTTPRoute "+name, d.get("HTTPRoute", name, "-o yaml")
	parents, _, _ := unstructured.NestedSlice(o.Object, "spec", "parentRefs")
	if len(parents) == 0 {
		return labs.Finding{Because: called + " belongs to no Gateway: it has no parentRefs", Look: look}
	}
	var nobody labs.Finding
	for _, p := range parents {
		f, none := d.parent(o, called, asMap(p))
		if f.Because != "" {
			return f
		}
		if nobody.Because == "" {
			nobody = none
		}
	}
	rules, _, _ := unstructured.NestedSlice(o.Object, "spec", "rules")
	for _, r := range rules {
		backends, _, _ := unstructured.NestedSlice(asMap(r), "backendRefs")
		for _, b := range backends {
			if f := d.routeBackend(called, look, asMap(b)); f.Because != "" {
				return f
			}
		}
	}
	if nobody.Because != "" {
		return nobody
	}
	return conditionFinding(o, called, look)
}

// routeBackend is the cause for which what a route leads to does not answer.
func (d diagnosis) routeBackend(called, look string, b map[string]any) labs.Finding {
	service, _ := b["name"].(string)
	if kind, _ := b["kind"].(string); kind != "" && kind != "Service" {
		return labs.Finding{}
	}
	port, has := b["port"].(int64)
	if !has {
		return labs.Finding{Because: fmt.Sprintf("%s names no port of Service %s", called, service), Look: look}
	}
	there := d
	if namespace, _ := b["namespace"].(string); namespace != "" && namespace != d.namespace {
		there.namespace = namespace
		if f := d.granted(called, namespace, service); f.Because != "" {
			return f
		}
	}
	step(d.ctx, "%s leads to port %d of Service %s", called, port, service)
	f := there.backend(service, int(port), "")
	if f.Because == "" {
		ruledOut(d.ctx, "Service %s has ready pods behind port %d", service, port)
	}
	return f
}

// granted is the cause for which a route may not lead to a Service of another
// namespace: that one must grant it.
func (d diagnosis) granted(called, namespace, service string) labs.Finding {
	of, err := d.k.resource(d.ctx, "gateway.networking.k8s.io/v1", "ReferenceGrant", namespace)
	if err != nil { // of older definitions
		if of, err = d.k.resource(d.ctx, "gateway.networking.k8s.io/v1beta1", "ReferenceGrant", namespace); err != nil {
			return labs.Finding{}
		}
	}
	grants, err := of.List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return labs.Finding{}
	}
	for _, g := range grants.Items {
		from, _, _ := unstructured.NestedSlice(g.Object, "spec", "from")
		to, _, _ := unstructured.NestedSlice(g.Object, "spec", "to")
		ofUs := slices.ContainsFunc(from, func(v any) bool { return asMap(v)["kind"] == "HTTPRoute" && asMap(v)["namespace"] == d.namespace })
		toIt := slices.ContainsFunc(to, func(v any) bool {
			name, _ := asMap(v)["name"].(string)
			return asMap(v)["kind"] == "Service" && (name == "" || name == service)
		})
		if ofUs && toIt {
			ruledOut(d.ctx, "ReferenceGrant %s allows it", g.GetName())
			return labs.Finding{}
		}
	}
	return labs.Finding{Because: fmt.Sprintf("%s leads to Service %s of another namespace, and namespace %s has no ReferenceGrant that allows it", called, service, namespace),
		Look: command(d.t, "kubectl get referencegrants", namespace, "")}
}

// parent is the cause for which a Gateway does not take a route; nobody, which counts
// less, says that no controller serves the Gateway.
func (d diagnosis) parent(route *unstructured.Unstructured, called string, p map[string]any) (f, nobody labs.Finding) {
	name, _ := p["name"].(string)
	namespace, _ := p["namespace"].(string)
	there := diagnosis{d.ctx, d.k, d.t, cmp.Or(namespace, d.namespace)}
	of, err := d.k.resource(d.ctx, "gateway.networking.k8s.io/v1", "Gateway", there.namespace)
	if err != nil {
		return f, nobody
	}
	step(d.ctx, "%s belongs to Gateway %s", called, name)
	g, err := of.Get(d.ctx, name, metav1.GetOptions{})
	if err != nil {
		f = there.gone("gateway.networking.k8s.io/v1", "Gateway", name, err)
		if f.Because != "" {
			f.Because = fmt.Sprintf("there is no Gateway %s in namespace %s, to which %s belongs", name, there.namespace, called)
		}
		return f, nobody
	}
	ruledOut(d.ctx, "Gateway %s exists", name)
	gateway := there.get("Gateway", name, "-o yaml")
	if f = d.listener(route, g, p, gateway); f.Because != "" {
		return f, nobody
	}
	class, _, _ := unstructured.NestedString(g.Object, "spec", "gatewayClassName")
	classes, err := d.k.resource(d.ctx, "gateway.networking.k8s.io/v1", "GatewayClass", "")
	if err != nil {
		return f, nobody
	}
	c, err := classes.Get(d.ctx, class, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		step(d.ctx, "Gateway %s names the class %s", name, class)
		return labs.Finding{Because: fmt.Sprintf("there is no GatewayClass %s, which Gateway %s names", class, name),
			Nearest: there.nearName(ref{APIVersion: "gateway.networking.k8s.io/v1", Kind: "GatewayClass", Name: class}), Look: "`kubectl get gatewayclasses`"}, nobody
	} else if err != nil {
		return f, nobody
	}
	ruledOut(d.ctx, "the GatewayClass %s exists", class)
	if !untaken(g) {
		return conditionFinding(g, "Gateway "+name, gateway), nobody
	}
	controller, _, _ := unstructured.NestedString(c.Object, "spec", "controllerName")
	return f, labs.Finding{Because: fmt.Sprintf("no controller has taken Gateway %s: its class %s is that of %s, which does not seem to run", name, class, controller), Look: "`kubectl get gatewayclasses`"}
}

// listener is the cause for which none of a Gateway's listeners takes a route.
func (d diagnosis) listener(route, g *unstructured.Unstructured, p map[string]any, look string) labs.Finding {
	section, _ := p["sectionName"].(string)
	port, hasPort := p["port"].(int64)
	listeners, _, _ := unstructured.NestedSlice(g.Object, "spec", "listeners")
	hosts, _, _ := unstructured.NestedStringSlice(route.Object, "spec", "hostnames")
	var names, ports, others []string
	named, open, fits := false, false, false
	for _, v := range listeners {
		l := asMap(v)
		name, _ := l["name"].(string)
		names, ports = append(names, name), append(ports, fmt.Sprint(l["port"]))
		if section != "" && section != name || hasPort && l["port"] != port {
			continue
		}
		named = true
		if from, _, _ := unstructured.NestedString(l, "allowedRoutes", "namespaces", "from"); g.GetNamespace() != d.namespace && (from == "" || from == "Same") {
			continue
		}
		open = true
		host, _ := l["hostname"].(string)
		others = append(others, host)
		fits = fits || host == "" || len(hosts) == 0 || slices.ContainsFunc(hosts, func(h string) bool { return hostFits(host, h) || hostFits(h, host) })
	}
	gateway := "Gateway " + g.GetName()
	switch {
	case section != "" && !slices.Contains(names, section):
		return labs.Finding{Because: fmt.Sprintf("%s has no listener %s", gateway, section), Nearest: "it has " + listed(names), Look: look}
	case !named:
		return labs.Finding{Because: fmt.Sprintf("%s has no listener on port %d", gateway, port), Nearest: "it has one on " + listed(ports), Look: look}
	case !open:
		return labs.Finding{Because: fmt.Sprintf("listener %s of %s takes routes of its own namespace only (allowedRoutes)", listed(names), gateway), Look: look}
	case !fits:
		return labs.Finding{Because: fmt.Sprintf("no listener of %s is for the host %s", gateway, strings.Join(hosts, ", ")), Nearest: "there is one for " + listed(others), Look: look}
	}
	ruledOut(d.ctx, "a listener of %s takes routes of this namespace and host", gateway)
	return labs.Finding{}
}

// untaken reports whether no controller has looked at a Gateway: its conditions are
// those that the definition itself puts there.
func untaken(g *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(g.Object, "status", "conditions")
	return !slices.ContainsFunc(conditions, func(c any) bool { return asMap(c)["status"] != "Unknown" })
}

// hostFits reports whether a route's host is one of a listener's, which may begin with *.
func hostFits(listener, host string) bool {
	if suffix, wild := strings.CutPrefix(listener, "*"); wild {
		return strings.HasSuffix(host, suffix)
	}
	return listener == host
}

// conditionFinding is the first condition that is not true, with its message.
func conditionFinding(o *unstructured.Unstructured, called, look string) labs.Finding {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	parents, _, _ := unstructured.NestedSlice(o.Object, "status", "parents")
	for _, p := range parents {
		more, _, _ := unstructured.NestedSlice(asMap(p), "conditions")
		conditions = append(conditions, more...)
	}
	for _, c := range conditions {
		m := asMap(c)
		if m["status"] == "False" || m["status"] == "Unknown" {
			kind, _ := m["type"].(string)
			says, _ := m["message"].(string)
			return labs.Finding{Because: fmt.Sprintf("%s is not %s: %s", called, strings.ToLower(kind), clip(says, 160)), Look: look}
		}
	}
	return labs.Finding{}
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}
