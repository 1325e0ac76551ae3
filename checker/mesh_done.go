package checker

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	api "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"
	meshnet "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// Headers by which a proxy says how long the answer took that it passes on (one that it
// makes itself has none), and that it passed nothing on since that was too much.
const (
	upstreamTime = "X-Envoy-Upstream-Service-Time"
	overloadedBy = "X-Envoy-Overloaded"
)

// A meshAsk is a request that came out otherwise than wanted. Some answers say by
// themselves, with what the objects say, why they are what they are. Then it does not
// matter what else is wrong.
type meshAsk struct {
	*meshReading
	from   *corev1.Pod // nil: the probe
	call   *meshCall
	host   string   // whom it means
	at     *url.URL // and where it went
	answer httpAnswer
}

// A meshWhy is what is known of why a call came out otherwise.
type meshWhy struct {
	sure   labs.Finding // that the answer proves
	said   labs.Finding // what the objects say of such a request, when nothing is wrong with them
	answer httpAnswer   // that came; empty where many were counted
}

// What a fault can do to a request, by its rule: keep it out, let it in that was to be
// kept out, or neither, since a policy does nothing else.
func keepsOut() []string {
	return []string{"no-proxy", "deny-all", "principal", "identity", "policy-port", "http-on-tcp", "token-unread", "selector", "target"}
}

func letsIn() []string {
	return []string{"no-proxy", "principal", "policy-port", "http-on-tcp", "token-unasked", "selector", "target"}
}

func onlyPolicy() []string {
	return []string{"deny-all", "principal", "identity", "policy-port", "token-unread", "token-unasked", "target"}
}

// possible are the faults that can be the cause of what came.
func (c *meshCall) possible(faults []meshFault, a httpAnswer) []meshFault {
	refusal := func(status int) bool { return status == http.StatusForbidden || status == http.StatusUnauthorized }
	not := func(meshFault) bool { return false }
	of := func(f meshFault, rules []string) bool { return slices.Contains(rules, f.rule) }
	switch wanted := slices.ContainsFunc(append([]int{c.status()}, c.Statuses...), refusal); {
	case a.Status == 0:
	case wanted && !refusal(a.Status) && a.Status < http.StatusInternalServerError:
		not = func(f meshFault) bool { return !of(f, letsIn()) }
	case !wanted && deniedByProxy(a):
		not = func(f meshFault) bool { return !of(f, keepsOut()) }
	case !wanted && !refusal(a.Status):
		not = func(f meshFault) bool { return of(f, onlyPolicy()) }
	}
	return slices.DeleteFunc(slices.Clone(faults), not)
}

// deniedByProxy reports whether a policy has refused a request, and not the program.
func deniedByProxy(a httpAnswer) bool {
	return a.Status == http.StatusForbidden && strings.HasPrefix(a.Body, "RBAC: access denied")
}

// sure is the cause that the answer proves; empty when it proves none. meshOnly tells
// whether the mesh's own configuration is REGISTRY_ONLY, and is asked when it matters.
func (a *meshAsk) sure(meshOnly func() bool) labs.Finding {
	for _, cause := range []func() labs.Finding{
		a.aborted, a.unrouted, a.tokenRefused, a.overloaded, a.plainText, func() labs.Finding { return a.notListed(meshOnly) },
	} {
		if f := cause(); f.Because != "" {
			return f
		}
	}
	return labs.Finding{}
}

// caller names who asks in a sentence.
func (a *meshAsk) caller() string {
	if a.from == nil {
		return "the probe"
	}
	return "pod " + a.inNamespace(a.from.Name, a.from.Namespace)
}

// proxied reports whether a proxy stands between the caller and the network.
func (a *meshAsk) proxied() bool { return a.from != nil && hasProxy(a.from) }

// home is the namespace by which the caller's short names are completed.
func (a *meshAsk) home() string {
	if a.from != nil {
		return a.from.Namespace
	}
	return a.namespace
}

// fullHost is the host that is meant, as the mesh reads it.
func (a *meshAsk) fullHost() string {
	if n, is := parseService(a.host, a.home()); is {
		if s := a.service(fullHost(n.service, n.namespace)); s != nil {
			return serviceHost(s)
		}
	}
	return a.host
}

// serviceAsked is the Service that the request went to, with the pods behind it.
func (a *meshAsk) serviceAsked() (*corev1.Service, []*corev1.Pod) {
	n, is := parseService(a.at.Hostname(), a.home())
	if !is {
		return nil, nil
	}
	s := a.service(fullHost(n.service, n.namespace))
	behind, _ := a.podsBehind(s)
	return s, behind
}

// aborted finds the route that answers with an error on purpose.
func (a *meshAsk) aborted() labs.Finding {
	if strings.TrimSpace(a.answer.Body) != "fault filter abort" {
		return labs.Finding{}
	}
	for _, v := range own(a.meshReading, a.virtualServices) {
		for i, h := range v.Spec.Http {
			if isFor(v, a.fullHost()) && h.GetFault().GetAbort().GetHttpStatus() == int32(a.answer.Status) {
				return labs.Finding{Because: fmt.Sprintf("%s answers with %d itself (fault, abort)", routeName(v, i), a.answer.Status), Look: a.yaml("VirtualService", v)}
			}
		}
	}
	return labs.Finding{}
}

// overloaded finds the rule whose limit is reached: the proxy says of an answer when it
// has not passed the request on.
func (a *meshAsk) overloaded() labs.Finding {
	s, _ := a.serviceAsked()
	if a.answer.Headers[overloadedBy] == "" || s == nil {
		return labs.Finding{}
	}
	for _, d := range a.rulesFor(serviceHost(s)) {
		if limits := limitsOf(d); len(limits) > 0 {
			return labs.Finding{Because: fmt.Sprintf("%s limits what may be under way at the same time (%s), and this request was one too many", a.called("DestinationRule", d), strings.Join(limits, ", ")), Look: a.yaml("DestinationRule", d)}
		}
	}
	return labs.Finding{}
}

// limitsOf are the limits of a rule, each as it is written.
func limitsOf(d *meshnet.DestinationRule) []string {
	var out []string
	add := func(p *api.ConnectionPoolSettings) {
		for _, l := range []struct {
			name string
			is   int32
		}{
			{"maxConnections", p.GetTcp().GetMaxConnections()},
			{"http1MaxPendingRequests", p.GetHttp().GetHttp1MaxPendingRequests()},
			{"http2MaxRequests", p.GetHttp().GetHttp2MaxRequests()},
		} {
			if text := fmt.Sprintf("%s %d", l.name, l.is); l.is > 0 && !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	policy := func(p *api.TrafficPolicy) {
		add(p.GetConnectionPool())
		for _, port := range p.GetPortLevelSettings() {
			add(port.GetConnectionPool())
		}
	}
	policy(d.Spec.TrafficPolicy)
	for _, sub := range d.Spec.Subsets {
		policy(sub.GetTrafficPolicy())
	}
	return out
}

// isFor reports whether a VirtualService is for a full host.
func isFor(v *meshnet.VirtualService, host string) bool {
	return slices.ContainsFunc(v.Spec.Hosts, func(h string) bool { return hostCovers(fullHost(h, v.Namespace), host) })
}

// plainText finds a caller without a proxy before pods that take only mutual TLS: its
// connection is cut.
func (a *meshAsk) plainText() labs.Finding {
	s, behind := a.serviceAsked()
	with := proxied(readyOnly(behind))
	if a.answer.Kind != kindReset && a.answer.Kind != kindOther || a.proxied() || len(with) == 0 {
		return labs.Finding{}
	}
	at, found := servicePort(s, portOf(a.at))
	if !found {
		return labs.Finding{}
	}
	for _, p := range with {
		mode, by := a.peerMode(p, podPort(at, with))
		if mode == security.PeerAuthentication_MutualTLS_STRICT && by != nil {
			return labs.Finding{Because: fmt.Sprintf("%s lets the pods of Service %s take only mutual TLS (STRICT), and %s, which asks, has no proxy", a.called("PeerAuthentication", by), a.inNamespace(s.Name, s.Namespace), a.caller()),
				Look: a.yaml("PeerAuthentication", by)}
		}
	}
	return labs.Finding{}
}

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

// plainTaken says why a caller that was not to be is answered: its plain text is taken, or
// it has a certificate. Where no
// PeerAuthentication is at all, something else was meant to keep it out.
func (a *meshAsk) plainTaken() labs.Finding {
	s, behind := a.serviceAsked()
	with := proxied(readyOnly(behind))
	if !a.call.Unanswered || a.answer.Error != "" || s == nil || len(behind) > 0 && isGateway(behind[0]) {
		return labs.Finding{}
	}
	if len(with) == 0 {
		if a.proxied() || len(readyOnly(behind)) == 0 {
			return labs.Finding{}
		}
		return labs.Finding{Because: fmt.Sprintf("the pods of Service %s have no proxy, and take what comes", a.inNamespace(s.Name, s.Namespace)), Look: a.look("get pods", s.Namespace, "")}
	}
	at, found := servicePort(s, portOf(a.at))
	mode, by := a.peerMode(with[0], podPort(at, with))
	switch {
	case found && mode == security.PeerAuthentication_MutualTLS_STRICT && a.proxied():
		return labs.Finding{Because: fmt.Sprintf("%s has a proxy, and with it a certificate of the mesh: mutual TLS lets it in", a.caller()), Look: a.look("get pods", a.from.Namespace, "")}
	case a.proxied() || !found || mode == security.PeerAuthentication_MutualTLS_STRICT || by == nil && count(a.peers, s.Namespace) == 0:
		return labs.Finding{}
	case by == nil:
		return labs.Finding{Because: fmt.Sprintf("no PeerAuthentication is for the pods of Service %s, so they take plain text too", a.inNamespace(s.Name, s.Namespace)), Look: a.look("get peerauthentications", s.Namespace, "-o yaml")}
	}
	return labs.Finding{Because: fmt.Sprintf("%s lets the pods of Service %s take plain text (%s)", a.called("PeerAuthentication", by), a.inNamespace(s.Name, s.Namespace), mode), Look: a.yaml("PeerAuthentication", by)}
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

// saidOf is what the routes for a call's host say of what it expects, where nothing is
// wrong with them but that: shares, or a time.
func (m meshObjects) saidOf(namespace string, c *meshCall, f labs.Finding) labs.Finding {
	switch {
	case c.Shares != nil:
		return m.saidWeights(namespace, c.target())
	case f.Because != "" && !strings.HasPrefix(f.Because, answerSays):
		return labs.Finding{} // something nearer is known
	case c.isAboutTime() || strings.HasPrefix(f.Got, (httpAnswer{Status: http.StatusGatewayTimeout}).String()):
		return m.saidTimeout(namespace, c.target())
	}
	return labs.Finding{}
}

// isAboutTime reports whether a call expects its requests to be given up, or to end in time.
func (c *meshCall) isAboutTime() bool {
	if wanted, _ := c.wants(http.StatusGatewayTimeout); wanted {
		return true
	}
	return slices.ContainsFunc(c.Expect, func(e expectation) bool { return regexp.MustCompile(`\bms\b`).MatchString(e.True) })
}

// saidTimeout says after what time the routes for a host give a request up.
func (m meshObjects) saidTimeout(namespace, host string) labs.Finding {
	r := &meshReading{meshObjects: m, namespace: namespace}
	for _, v := range own(r, m.virtualServices) {
		if len(v.Spec.Http) == 0 || !isFor(v, fullHost(host, namespace)) {
			continue
		}
		f := labs.Finding{Because: fmt.Sprintf("no route of VirtualService %s has a timeout", v.Name), Look: r.yaml("VirtualService", v)}
		if len(v.Spec.Http) == 1 {
			f.Because = routeName(v, 0) + " has no timeout"
		}
		var said, again []string
		for i, h := range v.Spec.Http {
			if h.GetTimeout().AsDuration() > 0 {
				said = append(said, fmt.Sprintf("%s after %s", routeName(v, i), h.GetTimeout().AsDuration()))
			}
			if text := repeats(h); text != "" {
				again = append(again, text)
			}
		}
		if len(said) > 0 {
			f.Because = "a request is given up by " + strings.Join(said, ", by ") + " (timeout)"
		}
		if len(again) == 1 && len(v.Spec.Http) == 1 {
			f.Because += ", and it " + again[0]
		}
		return f
	}
	return labs.Finding{Because: fmt.Sprintf("no VirtualService of namespace %s is for host %s, so there is no timeout", namespace, host), Look: r.look("get virtualservices", namespace, "")}
}
