package checker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ingress is the cause for which an Ingress leads nowhere: its class, its backends,
// its certificate. When all of these are well, nobody serves it.
func (d diagnosis) ingress(name string) labs.Finding {
	in, err := d.k.typed.NetworkingV1().Ingresses(d.namespace).Get(d.ctx, name, metav1.GetOptions{})
	if err != nil {
		return d.gone("networking.k8s.io/v1", "Ingress", name, err)
	}
	called, look := "Ingress "+name, d.get("Ingress", name, "-o yaml")
	class, f := d.ingressClass(in, called, look)
	if f.Because != "" {
		return f
	}
	for _, t := range in.Spec.TLS {
		if t.SecretName == "" {
			continue
		}
		if _, err := d.k.typed.CoreV1().Secrets(d.namespace).Get(d.ctx, t.SecretName, metav1.GetOptions{}); apierrors.IsNotFound(err) {
			step(d.ctx, "%s takes its certificate from Secret %s", called, t.SecretName)
			return labs.Finding{Because: fmt.Sprintf("there is no Secret %s, from which %s takes its certificate", t.SecretName, called),
				Nearest: d.nearName(ref{APIVersion: "v1", Kind: "Secret", Name: t.SecretName}), Look: command(d.t, "kubectl get secrets", d.namespace, "")}
		}
	}
	var backends []networkingv1.IngressBackend
	if in.Spec.DefaultBackend != nil {
		backends = append(backends, *in.Spec.DefaultBackend)
	}
	for _, r := range in.Spec.Rules {
		if r.HTTP == nil {
			continue
		}
		for _, p := range r.HTTP.Paths {
			backends = append(backends, p.Backend)
		}
	}
	for _, b := range backends {
		if b.Service == nil {
			continue
		}
		step(d.ctx, "%s leads to Service %s", called, b.Service.Name)
		if f := d.backend(b.Service.Name, int(b.Service.Port.Number), b.Service.Port.Name); f.Because != "" {
			return f
		}
		ruledOut(d.ctx, "Service %s has ready pods behind that port", b.Service.Name)
	}
	if len(in.Status.LoadBalancer.Ingress) > 0 {
		return labs.Finding{}
	}
	return labs.Finding{Because: fmt.Sprintf("no controller has taken %s: its class %s is that of the controller %s, which does not seem to run", called, class.Name, class.Spec.Controller),
		Look: "`kubectl get ingressclasses`"}
}

// ingressClass is the class of an Ingress; the finding says why it has none.
func (d diagnosis) ingressClass(in *networkingv1.Ingress, called, look string) (class networkingv1.IngressClass, f labs.Finding) {
	list, err := d.k.typed.NetworkingV1().IngressClasses().List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return class, f
	}
	var names []string
	for _, c := range list.Items {
		names = append(names, c.Name)
	}
	if in.Spec.IngressClassName == nil {
		for _, c := range list.Items {
			if c.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" {
				return c, f
			}
		}
		f = labs.Finding{Because: called + " names no class (ingressClassName), and no class is the default", Look: look}
		if len(names) > 0 {
			f.Nearest = "there is the class " + listed(names)
		}
		return class, f
	}
	wanted := *in.Spec.IngressClassName
	if i := slices.Index(names, wanted); i >= 0 {
		ruledOut(d.ctx, "the IngressClass %s exists", wanted)
		return list.Items[i], f
	}
	step(d.ctx, "%s names the class %s", called, wanted)
	f = labs.Finding{Because: fmt.Sprintf("there is no IngressClass %s, which %s names", wanted, called), Look: "`kubectl get ingressclasses`"}
	if near := labs.Nearest(wanted, names); near != "" {
		f.Nearest = "there is one called " + near
	} else if len(names) > 0 {
		f.Nearest = "there is " + listed(names)
	}
	return class, f
}

// backend is the cause for which a route's Service does not answer on a port, by its
// number or its name.
func (d diagnosis) backend(service string, port int, portName string) labs.Finding {
	s, err := d.k.typed.CoreV1().Services(d.namespace).Get(d.ctx, service, metav1.GetOptions{})
	if err != nil {
		return d.gone("v1", "Service", service, err)
	}
	if portName != "" {
		for _, p := range s.Spec.Ports {
			if p.Name == portName {
				return whyNoAnswer(d.ctx, d.k, d.t, d.namespace, service, int(p.Port))
			}
		}
		return labs.Finding{Because: fmt.Sprintf("Service %s has no port named %q", service, portName),
			Nearest: "it has port " + listed(servicePorts(s)), Look: d.get("Service", service, "")}
	}
	return whyNoAnswer(d.ctx, d.k, d.t, d.namespace, service, port)
}

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
	for _, p := range parents {
		if f := d.parent(o, called, look, p); f.Because != "" {
			return f
		}
	}
	rules, _, _ := unstructured.NestedSlice(o.Object, "spec", "rules")
	for _, r := range rules {
		backends, _, _ := unstructured.NestedSlice(asMap(r), "backendRefs")
		for _, b := range backends {
			service, _ := asMap(b)["name"].(string)
			port, _ := asMap(b)["port"].(int64)
			step(d.ctx, "%s leads to port %d of Service %s", called, port, service)
			if f := d.backend(service, int(port), ""); f.Because != "" {
				return f
			}
		}
	}
	return conditionFinding(o, called, look)
}

// parent is the cause for which a Gateway does not take a route.
func (d diagnosis) parent(route *unstructured.Unstructured, called, look string, p any) labs.Finding {
	name, _ := asMap(p)["name"].(string)
	section, _ := asMap(p)["sectionName"].(string)
	namespace, _ := asMap(p)["namespace"].(string)
	if namespace == "" {
		namespace = d.namespace
	}
	there := diagnosis{d.ctx, d.k, d.t, namespace}
	of, err := d.k.resource(d.ctx, "gateway.networking.k8s.io/v1", "Gateway", namespace)
	if err != nil {
		return labs.Finding{}
	}
	g, err := of.Get(d.ctx, name, metav1.GetOptions{})
	if err != nil {
		f := there.gone("gateway.networking.k8s.io/v1", "Gateway", name, err)
		if f.Because != "" {
			f.Because = fmt.Sprintf("there is no Gateway %s in namespace %s, to which %s belongs", name, namespace, called)
		}
		return f
	}
	listeners, _, _ := unstructured.NestedSlice(g.Object, "spec", "listeners")
	var names []string
	hosts, _, _ := unstructured.NestedStringSlice(route.Object, "spec", "hostnames")
	fits := false
	for _, l := range listeners {
		listener, _ := asMap(l)["name"].(string)
		names = append(names, listener)
		if section != "" && section != listener {
			continue
		}
		host, _ := asMap(l)["hostname"].(string)
		from, _, _ := unstructured.NestedString(asMap(l), "allowedRoutes", "namespaces", "from")
		if namespace != d.namespace && (from == "" || from == "Same") {
			return labs.Finding{Because: fmt.Sprintf("listener %s of Gateway %s takes routes of its own namespace only (allowedRoutes)", listener, name), Look: there.get("Gateway", name, "-o yaml")}
		}
		fits = fits || host == "" || len(hosts) == 0 || slices.ContainsFunc(hosts, func(h string) bool { return hostFits(host, h) })
	}
	gateway := there.get("Gateway", name, "-o yaml")
	switch {
	case section != "" && !slices.Contains(names, section):
		return labs.Finding{Because: fmt.Sprintf("Gateway %s has no listener %s", name, section), Nearest: "it has " + listed(names), Look: gateway}
	case !fits:
		return labs.Finding{Because: fmt.Sprintf("no listener of Gateway %s is for the host %s", name, strings.Join(hosts, ", ")), Look: gateway}
	}
	class, _, _ := unstructured.NestedString(g.Object, "spec", "gatewayClassName")
	classes, err := d.k.resource(d.ctx, "gateway.networking.k8s.io/v1", "GatewayClass", "")
	if err != nil {
		return labs.Finding{}
	}
	if _, err := classes.Get(d.ctx, class, metav1.GetOptions{}); apierrors.IsNotFound(err) {
		return labs.Finding{Because: fmt.Sprintf("there is no GatewayClass %s, which Gateway %s names", class, name), Look: "`kubectl get gatewayclasses`"}
	}
	return conditionFinding(g, "Gateway "+name, gateway)
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
