package checker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	api "istio.io/api/networking/v1alpha3"
	meshnet "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
)

// serviceExport is the annotation that says which namespaces see a Service.
const serviceExport = "networking.istio.io/exportTo"

// entries finds ServiceEntries that resolve to nothing.
func (r *meshReading) entries() {
	for _, e := range own(r, r.serviceEntries) {
		called, look := r.called("ServiceEntry", e), r.yaml("ServiceEntry", e)
		given := len(e.Spec.Endpoints) > 0 || e.Spec.WorkloadSelector != nil
		wild := slices.ContainsFunc(e.Spec.Hosts, func(h string) bool { return strings.Contains(h, "*") })
		dns := e.Spec.Resolution == api.ServiceEntry_DNS || e.Spec.Resolution == api.ServiceEntry_DNS_ROUND_ROBIN
		switch {
		case len(e.Spec.Ports) == 0 && len(e.Spec.Hosts) > 0:
			r.add("entry", labs.Finding{Because: called + " names no ports, so nothing can be sent to " + listed(e.Spec.Hosts), Look: look})
		case e.Spec.Resolution == api.ServiceEntry_STATIC && !given:
			r.add("entry", labs.Finding{Because: called + " has resolution STATIC and no endpoints, so there is no address to send to", Nearest: "with resolution DNS the host is looked up", Look: look})
		case dns && wild && !given:
			r.add("entry", labs.Finding{Because: fmt.Sprintf("%s has resolution %s for host %s, and a host with * cannot be looked up", called, e.Spec.Resolution, listed(e.Spec.Hosts)),
				Nearest: "with resolution NONE the caller looks it up", Look: look})
		case e.Spec.Resolution == api.ServiceEntry_NONE && len(e.Spec.Endpoints) > 0:
			r.add("entry", labs.Finding{Because: called + " has endpoints and resolution NONE, which does not use them", Nearest: "with resolution STATIC they are used", Look: look})
		}
		for _, p := range e.Spec.Ports {
			if p.GetNumber() == 443 && strings.EqualFold(p.GetProtocol(), "HTTP") && !r.originatesTLS(e) {
				r.add("entry", labs.Finding{Because: fmt.Sprintf("%s says that port 443 of %s is HTTP, and what comes there is TLS", called, listed(e.Spec.Hosts)),
					Nearest: "its protocol is TLS or HTTPS, unless a DestinationRule begins the TLS", Look: look})
			}
		}
		if !shown(e.Spec.ExportTo, e.Namespace, r.namespace) {
			r.add("hidden", labs.Finding{Because: fmt.Sprintf("exportTo of %s keeps it from its own namespace %s", called, e.Namespace), Look: look})
		}
	}
}

// originatesTLS reports whether a rule lets the proxy begin TLS towards a host.
func (r *meshReading) originatesTLS(e *meshnet.ServiceEntry) bool {
	for _, h := range e.Spec.Hosts {
		for _, d := range r.rulesFor(h) {
			if len(modesOf(d)) > 0 {
				return true
			}
		}
	}
	return false
}

// hidden finds what the namespace cannot see: by exportTo, or because its Sidecar does
// not list it.
func (r *meshReading) hidden() {
	for _, v := range own(r, r.virtualServices) {
		if inMesh(v) && !shown(v.Spec.ExportTo, v.Namespace, r.namespace) {
			r.add("hidden", labs.Finding{Because: fmt.Sprintf("exportTo of %s keeps it from its own namespace %s", r.called("VirtualService", v), v.Namespace), Look: r.yaml("VirtualService", v)})
		}
		for _, d := range destinations(v) {
			s := r.service(fullHost(d.GetHost(), v.Namespace))
			if s != nil && inMesh(v) && !shown(exportOf(s), s.Namespace, r.namespace) {
				r.add("hidden", labs.Finding{Because: fmt.Sprintf("%s leads to Service %s, whose annotation %s keeps it from namespace %s", d.of, r.inNamespace(s.Name, s.Namespace), serviceExport, r.namespace),
					Look: r.look("get service "+s.Name, s.Namespace, "-o yaml")})
			}
		}
	}
	for _, d := range own(r, r.destinationRules) {
		if !shown(d.Spec.ExportTo, d.Namespace, r.namespace) {
			r.add("hidden", labs.Finding{Because: fmt.Sprintf("exportTo of %s keeps it from its own namespace %s", r.called("DestinationRule", d), d.Namespace), Look: r.yaml("DestinationRule", d)})
		}
	}
	if s := r.sidecar(); s != nil {
		r.unlisted(s)
	}
}

// sidecar is the one for all pods of the namespace, which may be the mesh's; nil when
// there is none, or when it lists nothing.
func (r *meshReading) sidecar() *meshnet.Sidecar {
	for _, namespace := range []string{r.namespace, meshRoot} {
		var found *meshnet.Sidecar
		for _, s := range within(r.sidecars, namespace) {
			if s.Spec.WorkloadSelector == nil && (found == nil || older(s, found)) {
				found = s
			}
		}
		if found != nil {
			if len(found.Spec.Egress) == 0 {
				return nil
			}
			return found
		}
	}
	return nil
}

// egressHosts are the hosts that a Sidecar lists, each as namespace/name.
func egressHosts(s *meshnet.Sidecar) []string {
	var out []string
	for _, e := range s.Spec.Egress {
		out = append(out, e.GetHosts()...)
	}
	return out
}

// listsHost reports whether a Sidecar tells the pods of namespace home of a host of
// another. One that lists nothing tells of all.
func listsHost(s *meshnet.Sidecar, home, namespace, host string) bool {
	return len(s.Spec.Egress) == 0 || slices.ContainsFunc(egressHosts(s), func(entry string) bool {
		of, name, _ := strings.Cut(entry, "/")
		if of == "." {
			of = home
		}
		return (of == "*" || of == namespace) && (hostCovers(name, host) || hostCovers(host, name))
	})
}

// exportOf are the namespaces that see a Service; none says all do.
func exportOf(s *corev1.Service) []string {
	if s.Annotations[serviceExport] == "" {
		return nil
	}
	var to []string
	for part := range strings.SplitSeq(s.Annotations[serviceExport], ",") {
		to = append(to, strings.TrimSpace(part))
	}
	return to
}

// unlisted finds what a Sidecar leaves out. A VirtualService that is listed brings its
// destinations along, so only what begins a way is looked for.
func (r *meshReading) unlisted(s *meshnet.Sidecar) {
	called, look := r.called("Sidecar", s), r.yaml("Sidecar", s)
	listedHosts := egressHosts(s)
	lists := func(namespace, host string) bool { return listsHost(s, r.namespace, namespace, host) }
	has := "it lists " + listed(listedHosts)
	for _, entry := range listedHosts {
		of, _, _ := strings.Cut(entry, "/")
		if _, exists := r.namespaceLabels(of); exists || strings.ContainsAny(of, "*.~") || len(r.namespaces) == 0 {
			continue
		}
		var all []string
		for i := range r.namespaces {
			all = append(all, r.namespaces[i].Name)
		}
		f := labs.Finding{Because: fmt.Sprintf("%s lists %s (egress), and there is no namespace %s", called, entry, of), Look: look}
		if near := labs.Nearest(of, all); near != "" {
			f.Nearest = "there is one called " + near
		}
		r.add("sidecar", f)
	}
	for _, v := range own(r, r.virtualServices) {
		if inMesh(v) && len(v.Spec.Hosts) > 0 && !slices.ContainsFunc(v.Spec.Hosts, func(h string) bool { return lists(v.Namespace, fullHost(h, v.Namespace)) }) {
			r.add("sidecar", labs.Finding{Because: fmt.Sprintf("%s hides %s from the pods of its namespace: no entry of its egress takes in %s/%s", called, r.called("VirtualService", v), v.Namespace, fullHost(v.Spec.Hosts[0], v.Namespace)), Nearest: has, Look: look})
		}
	}
	for _, e := range own(r, r.serviceEntries) {
		if len(e.Spec.Hosts) > 0 && !slices.ContainsFunc(e.Spec.Hosts, func(h string) bool { return lists(e.Namespace, h) }) {
			r.add("sidecar", labs.Finding{Because: fmt.Sprintf("%s hides %s from the pods of its namespace: no entry of its egress takes in %s/%s", called, r.called("ServiceEntry", e), e.Namespace, e.Spec.Hosts[0]), Nearest: has, Look: look})
		}
	}
	for _, d := range own(r, r.destinationRules) {
		to := r.service(fullHost(d.Spec.Host, d.Namespace))
		// Who is called from elsewhere may have its rule here for others.
		if to == nil || to.Namespace == r.namespace || lists(to.Namespace, serviceHost(to)) || r.routedTo(serviceHost(to)) {
			continue
		}
		r.add("sidecar", labs.Finding{Because: fmt.Sprintf("%s hides namespace %s, and with it Service %s, for which there is %s", called, to.Namespace, to.Name, r.called("DestinationRule", d)), Nearest: has, Look: look})
	}
}

// routedTo reports whether a route of the namespace leads to a host.
func (r *meshReading) routedTo(host string) bool {
	return slices.ContainsFunc(own(r, r.virtualServices), func(v *meshnet.VirtualService) bool {
		return slices.ContainsFunc(destinations(v), func(d meshDestination) bool { return fullHost(d.GetHost(), v.Namespace) == host })
	})
}
