package checker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	meshnet "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
)

// fullHost is a host as the mesh reads it: only a name without a dot is completed, with
// the namespace of the object that says it.
func fullHost(host, namespace string) string {
	if host == "" || strings.ContainsAny(host, ".*") {
		return host
	}
	return host + "." + namespace + ".svc.cluster.local"
}

func serviceHost(s *corev1.Service) string { return fullHost(s.Name, s.Namespace) }

// hostCovers reports whether a pattern, which may begin with *, takes in a host or another pattern.
func hostCovers(pattern, host string) bool {
	if suffix, wild := strings.CutPrefix(pattern, "*"); wild {
		return strings.HasSuffix(strings.TrimPrefix(host, "*"), suffix)
	}
	return strings.EqualFold(pattern, host)
}

// service is the Service that a full host names; nil when there is none.
func (r *meshReading) service(host string) *corev1.Service {
	for i := range r.services {
		if serviceHost(&r.services[i]) == host {
			return &r.services[i]
		}
	}
	return nil
}

// entry is the ServiceEntry that has a host; nil when there is none.
func (r *meshReading) entry(host string) *meshnet.ServiceEntry {
	for _, e := range r.serviceEntries {
		if slices.ContainsFunc(e.Spec.Hosts, func(h string) bool { return hostCovers(h, host) }) {
			return e
		}
	}
	return nil
}

// known reports whether a host is one that the mesh has, or a pattern.
func (r *meshReading) known(host string) bool {
	return host == "" || strings.Contains(host, "*") || r.service(host) != nil || r.entry(host) != nil
}

// podsBehind are the pods that a Service selects; false when it selects none itself.
func (r *meshReading) podsBehind(s *corev1.Service) ([]*corev1.Pod, bool) {
	if s == nil || len(s.Spec.Selector) == 0 || s.Spec.Type == corev1.ServiceTypeExternalName {
		return nil, false
	}
	return r.podsOf(s.Namespace, s.Spec.Selector), true
}

// unknownHost is the finding for a host that no Service and no ServiceEntry has. what
// begins the sentence: "destination" of whom. With outside, a host that is not the
// cluster's has to be known as well.
func (r *meshReading) unknownHost(what, host, namespace string, outside bool) (labs.Finding, bool) {
	full := fullHost(host, namespace)
	if r.known(full) {
		return labs.Finding{}, false
	}
	name, isService := parseService(host, namespace)
	var inside, everywhere, entries []string
	for i := range r.services {
		if r.services[i].Namespace == name.namespace {
			inside = append(inside, r.services[i].Name)
		}
		if r.services[i].Name == name.service {
			everywhere = append(everywhere, r.services[i].Namespace)
		}
	}
	for _, e := range r.serviceEntries {
		entries = append(entries, e.Spec.Hosts...)
	}
	services := r.look("get services", name.namespace, "")
	_, isNamespace := r.namespaceLabels(name.namespace)
	near := nearFit(host, entries)
	switch exists := r.service(fullHost(name.service, name.namespace)) != nil; {
	case !strings.Contains(host, "."):
		f := labs.Finding{Because: fmt.Sprintf("%s %s means %s, and there is no such Service", what, host, full), Look: services}
		if slices.Sort(everywhere); len(everywhere) > 0 {
			f.Nearest = fmt.Sprintf("there is one in namespace %s: %s", listed(everywhere), fullHost(host, everywhere[0]))
		} else if other := nearFit(host, inside); other != "" {
			f.Nearest = "there is one called " + other
		} else if near != "" {
			f.Nearest = "a ServiceEntry has " + near
		}
		return f, true
	case isService && exists:
		return labs.Finding{Because: fmt.Sprintf("%s %s is not the name of a Service: only a name without a dot is completed", what, host),
			Nearest: "the whole name is " + fullHost(name.service, name.namespace), Look: services}, true
	case isService && (isNamespace || strings.HasSuffix(host, ".svc.cluster.local")):
		f := labs.Finding{Because: fmt.Sprintf("%s %s: there is no Service %s in namespace %s", what, host, name.service, name.namespace), Look: services}
		if !isNamespace {
			f.Because = fmt.Sprintf("%s %s: there is no namespace %s", what, host, name.namespace)
			f.Look = "`kubectl get namespaces`"
		}
		if slices.Sort(everywhere); len(everywhere) > 0 {
			f.Nearest = "there is one in namespace " + listed(everywhere)
		} else if other := nearFit(name.service, inside); other != "" {
			f.Nearest = "there is one called " + other
		}
		return f, true
	case near != "":
		return labs.Finding{Because: fmt.Sprintf("%s %s is neither a Service nor the host of a ServiceEntry", what, host),
			Nearest: "a ServiceEntry has " + near, Look: r.look("get serviceentries", namespace, "")}, true
	case outside:
		return labs.Finding{Because: fmt.Sprintf("%s %s is neither a Service nor the host of a ServiceEntry", what, host),
			Look: r.look("get serviceentries", namespace, "")}, true
	}
	return labs.Finding{}, false
}

// hostsAndDestinations finds hosts of routes that lead nowhere.
func (r *meshReading) hostsAndDestinations() {
	for _, v := range own(r, r.virtualServices) {
		called := r.called("VirtualService", v)
		if inMesh(v) {
			for _, h := range v.Spec.Hosts {
				// A host with dots may be any name that callers ask for, so only what
				// was meant for a Service is a mistake.
				name, isService := parseService(h, v.Namespace)
				if isService && r.service(fullHost(name.service, name.namespace)) != nil {
					continue
				}
				if f, is := r.unknownHost(called+": host", h, v.Namespace, false); is {
					r.add("host", f)
				}
			}
		}
		for _, d := range destinations(v) {
			if f, is := r.unknownHost(d.of+": destination", d.GetHost(), v.Namespace, true); is {
				r.add("destination", f)
			}
		}
	}
}

// delegates finds routes that are handed to a VirtualService which does not exist.
func (r *meshReading) delegates() {
	for _, v := range own(r, r.virtualServices) {
		for i, h := range v.Spec.Http {
			name, namespace := h.GetDelegate().GetName(), cmp.Or(h.GetDelegate().GetNamespace(), v.Namespace)
			there := names(within(r.virtualServices, namespace))
			if h.GetDelegate() == nil || slices.Contains(there, name) {
				continue
			}
			f := labs.Finding{Because: fmt.Sprintf("%s is handed to VirtualService %s (delegate), and there is none in namespace %s", routeName(v, i), name, namespace), Look: r.look("get virtualservices", namespace, "")}
			if near := labs.Nearest(name, there); near != "" {
				f.Nearest = "there is one called " + near
			}
			r.add("delegate", f)
		}
	}
}

// ruleHosts finds DestinationRules for nobody.
func (r *meshReading) ruleHosts() {
	for _, d := range own(r, r.destinationRules) {
		if f, is := r.unknownHost(r.called("DestinationRule", d)+": host", d.Spec.Host, d.Namespace, false); is {
			r.add("rule-host", f)
		}
	}
}
