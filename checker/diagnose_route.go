package checker

import (
	"fmt"
	"slices"

	"github.com/kindlab/kindlab/labs"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
