package checker

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	api "istio.io/api/networking/v1alpha3"
	meshnet "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
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
