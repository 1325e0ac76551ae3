package checker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	api "istio.io/api/networking/v1alpha3"
	corev1 "k8s.io/api/core/v1"
)

// unreachable finds routes behind one that takes everything they ask for: the first
// route that fits is used.
func (r *meshReading) unreachable() {
	for _, v := range own(r, r.virtualServices) {
		for _, of := range routeLists(v) {
			for i, h := range of.routes {
				for j, earlier := range of.routes[:i] {
					why, covered := shadows(earlier, h)
					if !covered {
						continue
					}
					if of.tcp {
						why = strings.ReplaceAll(why, "request", "connection")
					}
					r.add("unreachable", labs.Finding{Because: fmt.Sprintf("%s is never used: route %s before it %s", of.name(v, i), routeShort(earlier, j), why),
						Nearest: "the first route that fits is used, so the narrow ones come first", Look: r.yaml("VirtualService", v)})
					break
				}
			}
		}
	}
}

// matchPorts finds routes for a port that none of their Services has: no pod asks for it.
func (r *meshReading) matchPorts() {
	for _, v := range own(r, r.virtualServices) {
		var services []*corev1.Service
		for _, h := range v.Spec.Hosts {
			services = append(services, r.service(fullHost(h, v.Namespace)))
		}
		// What comes in at a gateway comes on the gateway's ports.
		if len(gatewaysOf(v)) > 0 || len(services) == 0 || slices.Contains(services, nil) {
			continue
		}
		has := func(port uint32) bool {
			return slices.ContainsFunc(services, func(s *corev1.Service) bool {
				return slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return uint32(p.Port) == port })
			})
		}
		for _, of := range routeLists(v) {
			for i, h := range of.routes {
				for _, m := range h.GetMatch() {
					if m.GetPort() == 0 || has(m.GetPort()) {
						continue
					}
					r.add("match-port", labs.Finding{Because: fmt.Sprintf("%s is for port %d (match), and Service %s has no such port", of.name(v, i), m.GetPort(), services[0].Name),
						Nearest: "it has port " + listed(servicePorts(services[0])), Look: r.yaml("VirtualService", v)})
				}
			}
		}
	}
}

func routeShort(h *api.HTTPRoute, i int) string {
	if h.GetName() != "" {
		return h.GetName()
	}
	return fmt.Sprint(i + 1)
}

// shadows reports whether every request for a route is taken by an earlier one. What a
// delegate does with a request is another object's, so it takes none here.
func shadows(earlier, later *api.HTTPRoute) (why string, all bool) {
	if earlier.GetDelegate() != nil {
		return "", false
	}
	if len(earlier.GetMatch()) == 0 {
		return "has no match and takes every request", true
	}
	wanted := later.GetMatch()
	if len(wanted) == 0 {
		wanted = []*api.HTTPMatchRequest{{}}
	}
	for _, w := range wanted {
		at := slices.IndexFunc(earlier.GetMatch(), func(m *api.HTTPMatchRequest) bool { return takes(m, w) })
		if at < 0 {
			return "", false
		}
		why = takesWhat(earlier.GetMatch()[at])
	}
	return why, true
}

func takesWhat(m *api.HTTPMatchRequest) string {
	only := len(conditions(m)) == 0
	switch prefix, exact := m.GetUri().GetPrefix(), m.GetUri().GetExact(); {
	case only && (m.GetUri() == nil || prefix == "/"):
		return "takes every request"
	case only && prefix != "":
		return "takes every path that begins with " + prefix
	case only && exact != "":
		return "takes the path " + exact
	}
	return "fits every request that it fits"
}

// takes reports whether one match takes all that another takes: whatever it asks for,
// the other asks for too.
func takes(m, other *api.HTTPMatchRequest) bool {
	if !uriTakes(m, other) {
		return false
	}
	theirs := conditions(other)
	for _, c := range conditions(m) {
		if !slices.Contains(theirs, c) {
			return false
		}
	}
	return len(m.GetGateways()) == 0 || len(other.GetGateways()) > 0 &&
		!slices.ContainsFunc(other.GetGateways(), func(g string) bool { return !slices.Contains(m.GetGateways(), g) })
}

func uriTakes(m, other *api.HTTPMatchRequest) bool {
	mine, theirs := m.GetUri(), other.GetUri()
	if mine.GetMatchType() == nil {
		return true
	}
	if mine.GetPrefix() == "/" {
		return true // every path begins so
	}
	if theirs.GetMatchType() == nil {
		return false
	}
	if other.GetIgnoreUriCase() && !m.GetIgnoreUriCase() {
		return false
	}
	same := func(text string) string {
		if m.GetIgnoreUriCase() {
			return strings.ToLower(text)
		}
		return text
	}
	switch prefix, exact := mine.GetPrefix(), mine.GetExact(); {
	case prefix != "" && theirs.GetPrefix() != "":
		return strings.HasPrefix(same(theirs.GetPrefix()), same(prefix))
	case prefix != "" && theirs.GetExact() != "":
		return strings.HasPrefix(same(theirs.GetExact()), same(prefix))
	case exact != "" && theirs.GetExact() != "":
		return same(exact) == same(theirs.GetExact())
	}
	return mine.GetRegex() != "" && mine.GetRegex() == theirs.GetRegex()
}

// conditions are what a match asks for besides path and gateway, one text for each.
func conditions(m *api.HTTPMatchRequest) []string {
	var out []string
	add := func(what, key string, s *api.StringMatch) {
		out = append(out, fmt.Sprintf("%s %q is %q%q%q", what, strings.ToLower(key), s.GetExact(), s.GetPrefix(), s.GetRegex()))
	}
	for what, s := range map[string]*api.StringMatch{"scheme": m.GetScheme(), "method": m.GetMethod(), "authority": m.GetAuthority()} {
		if s.GetMatchType() != nil {
			add(what+kindOfMatch(s), "", s)
		}
	}
	for key, s := range m.GetHeaders() {
		add("header"+kindOfMatch(s), key, s)
	}
	for key, s := range m.GetWithoutHeaders() {
		add("no header"+kindOfMatch(s), key, s)
	}
	for key, s := range m.GetQueryParams() {
		add("query"+kindOfMatch(s), key, s)
	}
	for key, value := range m.GetSourceLabels() {
		out = append(out, "label "+key+"="+value)
	}
	if m.GetPort() != 0 {
		out = append(out, fmt.Sprint("port ", m.GetPort()))
	}
	if m.GetSourceNamespace() != "" {
		out = append(out, "from "+m.GetSourceNamespace())
	}
	return out
}

func kindOfMatch(s *api.StringMatch) string { return fmt.Sprintf(" %T", s.GetMatchType()) }
