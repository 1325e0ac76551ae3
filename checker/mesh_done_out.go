package checker

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	api "istio.io/api/networking/v1alpha3"
	meshnet "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// sidecarOf is the Sidecar that is for a pod; nil when there is none. One with a selector
// comes before one for all, and that of the namespace before the mesh's.
func (r *meshReading) sidecarOf(p *corev1.Pod) *meshnet.Sidecar {
	var found *meshnet.Sidecar
	level := 0
	for _, s := range r.sidecars {
		is := 0
		switch selects := s.Spec.WorkloadSelector.GetLabels(); {
		case s.Spec.WorkloadSelector != nil && s.Namespace == p.Namespace && len(withLabels([]*corev1.Pod{p}, selects)) == 1:
			is = 3
		case s.Spec.WorkloadSelector == nil && s.Namespace == p.Namespace:
			is = 2
		case s.Spec.WorkloadSelector == nil && s.Namespace == meshRoot:
			is = 1
		}
		if is > level || is == level && is > 0 && older(s, found) {
			found, level = s, is
		}
	}
	return found
}

// notListed finds a host that the caller's proxy does not know, where it passes on only
// what it knows: to a port of HTTP it answers 502 then, and cuts everything else.
func (a *meshAsk) notListed(meshOnly func() bool) labs.Finding {
	byProxy := a.answer.Status == http.StatusBadGateway && a.answer.Headers[upstreamTime] == "" && strings.TrimSpace(a.answer.Body) == ""
	if !a.proxied() || !byProxy && a.answer.Kind != kindReset {
		return labs.Finding{}
	}
	s := a.sidecarOf(a.from)
	only := "the mesh's configuration lets requests go only to known hosts (outboundTrafficPolicy REGISTRY_ONLY)"
	switch {
	case s != nil && s.Spec.OutboundTrafficPolicy != nil:
		if s.Spec.OutboundTrafficPolicy.Mode != api.OutboundTrafficPolicy_REGISTRY_ONLY {
			return labs.Finding{}
		}
		only = a.called("Sidecar", s) + " lets requests go only to known hosts (REGISTRY_ONLY)"
	case !meshOnly():
		return labs.Finding{}
	}
	f := a.whyUnknown(s)
	if f.Because != "" {
		f.Because += ", and " + only
	}
	return f
}

// whyUnknown says why the caller's proxy does not know the host; empty when it does.
func (a *meshAsk) whyUnknown(s *meshnet.Sidecar) labs.Finding {
	port, namespace := uint32(portOf(a.at)), a.from.Namespace
	if n, is := parseService(a.host, namespace); is {
		if to := a.service(fullHost(n.service, n.namespace)); to != nil {
			return a.whyServiceUnknown(s, to)
		}
	}
	var near []string
	byHost := map[string]*meshnet.ServiceEntry{}
	var other labs.Finding
	for _, e := range a.serviceEntries {
		has := slices.ContainsFunc(e.Spec.Hosts, func(h string) bool { return hostCovers(h, a.host) })
		var ports []string
		for _, p := range e.Spec.Ports {
			ports = append(ports, fmt.Sprint(p.GetNumber()))
		}
		called, look := a.called("ServiceEntry", e), a.yaml("ServiceEntry", e)
		switch {
		case !has && shown(e.Spec.ExportTo, e.Namespace, namespace):
			for _, h := range e.Spec.Hosts {
				near, byHost[h] = append(near, h), e
			}
		case !has:
		case !shown(e.Spec.ExportTo, e.Namespace, namespace):
			other = labs.Finding{Because: fmt.Sprintf("exportTo of %s keeps host %s from namespace %s", called, a.host, namespace), Look: look}
		case !slices.Contains(ports, fmt.Sprint(port)):
			other = labs.Finding{Because: fmt.Sprintf("%s does not have port %d of host %s", called, port, a.host), Look: look}
			if len(ports) > 0 {
				other.Nearest = "it has port " + listed(ports)
			}
		case s != nil && !listsHost(s, namespace, e.Namespace, a.host):
			return a.unlistedBy(s, e.Namespace, a.host)
		default:
			return labs.Finding{} // it is known
		}
	}
	if other.Because != "" {
		return other
	}
	f := labs.Finding{Because: "no ServiceEntry has host " + a.host, Look: a.look("get serviceentries.networking.istio.io", namespace, "")}
	if h := nearFit(a.host, near); h != "" {
		f.Nearest, f.Look = fmt.Sprintf("%s has %s", a.called("ServiceEntry", byHost[h]), h), a.yaml("ServiceEntry", byHost[h])
	}
	return f
}

// whyServiceUnknown says why the caller's proxy does not know a Service.
func (a *meshAsk) whyServiceUnknown(s *meshnet.Sidecar, to *corev1.Service) labs.Finding {
	called := "Service " + a.inNamespace(to.Name, to.Namespace)
	if by := exportOf(to); !shown(by, to.Namespace, a.from.Namespace) {
		return labs.Finding{Because: fmt.Sprintf("annotation %s of %s keeps it from namespace %s", serviceExport, called, a.from.Namespace), Look: a.look("get service "+to.Name, to.Namespace, "-o yaml")}
	}
	if s != nil && !listsHost(s, a.from.Namespace, to.Namespace, serviceHost(to)) {
		return a.unlistedBy(s, to.Namespace, serviceHost(to))
	}
	return labs.Finding{}
}

// unlistedBy is the finding for a host that a Sidecar does not list.
func (a *meshAsk) unlistedBy(s *meshnet.Sidecar, namespace, host string) labs.Finding {
	f := labs.Finding{Because: fmt.Sprintf("no entry of %s (egress) takes in %s/%s", a.called("Sidecar", s), namespace, host), Nearest: "it lists " + listed(egressHosts(s)), Look: a.yaml("Sidecar", s)}
	for _, entry := range egressHosts(s) {
		of, _, _ := strings.Cut(entry, "/")
		if _, exists := a.namespaceLabels(of); !exists && labs.Nearest(of, []string{namespace}) != "" {
			f.Nearest = fmt.Sprintf("it lists %s, and there is no namespace %s", entry, of)
		}
	}
	return f
}

// letOut says why a host is reached that was not to be known to the caller's proxy.
func (a *meshAsk) letOut(meshOnly func() bool) labs.Finding {
	wanted, _ := a.call.wants(http.StatusBadGateway)
	if !a.call.Unanswered && !wanted || !a.proxied() || a.answer.Error != "" {
		return labs.Finding{}
	}
	s := a.sidecarOf(a.from)
	to, _ := a.serviceAsked()
	if a.call.Unanswered && (s == nil || to != nil && to.Namespace == a.from.Namespace) {
		return labs.Finding{} // something else was meant to keep it in
	}
	look := a.look("get sidecars.networking.istio.io", a.from.Namespace, "-o yaml")
	switch {
	case s == nil && !meshOnly():
		return labs.Finding{Because: fmt.Sprintf("no Sidecar is for %s, and the mesh lets requests go to any host", a.caller()), Look: look}
	case s != nil && s.Spec.OutboundTrafficPolicy == nil && !meshOnly():
		return labs.Finding{Because: a.called("Sidecar", s) + " does not say REGISTRY_ONLY, and the mesh lets requests go to any host", Look: a.yaml("Sidecar", s)}
	case s != nil && s.Spec.OutboundTrafficPolicy != nil && s.Spec.OutboundTrafficPolicy.Mode != api.OutboundTrafficPolicy_REGISTRY_ONLY:
		return labs.Finding{Because: fmt.Sprintf("%s lets requests go to any host (%s)", a.called("Sidecar", s), s.Spec.OutboundTrafficPolicy.Mode), Look: a.yaml("Sidecar", s)}
	}
	for _, e := range a.serviceEntries {
		if shown(e.Spec.ExportTo, e.Namespace, a.from.Namespace) && slices.ContainsFunc(e.Spec.Hosts, func(h string) bool { return hostCovers(h, a.host) }) {
			return labs.Finding{Because: fmt.Sprintf("%s makes host %s known", a.called("ServiceEntry", e), a.host), Look: a.yaml("ServiceEntry", e)}
		}
	}
	if s != nil && to != nil && shown(exportOf(to), to.Namespace, a.from.Namespace) && listsHost(s, a.from.Namespace, to.Namespace, serviceHost(to)) {
		f := labs.Finding{Because: fmt.Sprintf("%s lists Service %s", a.called("Sidecar", s), a.inNamespace(to.Name, to.Namespace)), Nearest: "it lists " + listed(egressHosts(s)), Look: a.yaml("Sidecar", s)}
		if len(s.Spec.Egress) == 0 {
			f.Because, f.Nearest = fmt.Sprintf("%s lists no hosts (egress), so it lists all, Service %s among them", a.called("Sidecar", s), a.inNamespace(to.Name, to.Namespace)), ""
		}
		return f
	}
	return labs.Finding{}
}

// meshOnly reports whether the mesh's own configuration lets requests go only to known hosts.
func meshOnly(ctx context.Context, k *kube) bool {
	m, err := k.typed.CoreV1().ConfigMaps(meshRoot).Get(ctx, "istio", metav1.GetOptions{})
	if err != nil {
		return false
	}
	var config struct {
		OutboundTrafficPolicy struct {
			Mode string `json:"mode"`
		} `json:"outboundTrafficPolicy"`
	}
	return yaml.Unmarshal([]byte(m.Data["mesh"]), &config) == nil && config.OutboundTrafficPolicy.Mode == api.OutboundTrafficPolicy_REGISTRY_ONLY.String()
}
