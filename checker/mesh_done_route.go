package checker

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	api "istio.io/api/networking/v1alpha3"
	meshnet "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
)

// String is a request in a sentence, or a connection.
func (a *meshAsk) String() string {
	if a.isTCP() {
		return "a connection to port " + a.at.Port()
	}
	return a.method() + " " + a.path()
}

func (a *meshAsk) method() string { return cmp.Or(a.call.Method, http.MethodGet) }

// path is what routes and policies look at: the query is not part of it.
func (a *meshAsk) path() string { return cmp.Or(a.at.EscapedPath(), "/") }

func (a *meshAsk) header(name string) (string, bool) { return a.call.header(name) }

// atGateway reports whether the request came in through a gateway, so that no sidecar of
// the caller's has led it anywhere.
func (a *meshAsk) atGateway() bool {
	_, behind := a.serviceAsked()
	return !a.call.From.inCluster() || len(behind) > 0 && isGateway(behind[0])
}

// routes is the VirtualService whose routes the request meets; nil when there is none,
// and when several share it out.
func (a *meshAsk) routes() *meshnet.VirtualService {
	gateway := a.atGateway()
	if !gateway && !a.proxied() {
		return nil
	}
	var found []*meshnet.VirtualService
	for _, v := range a.virtualServices {
		there := inMesh(v) && a.from != nil && shown(v.Spec.ExportTo, v.Namespace, a.from.Namespace)
		if gateway {
			there = len(gatewaysOf(v)) > 0
		}
		if there && len(a.ways(v)) > 0 && isFor(v, a.fullHost()) {
			found = append(found, v)
		}
	}
	if len(found) != 1 {
		return nil
	}
	return found[0]
}

// taker is the place of the first route that takes the request, -1 when none does. It is
// not known where a delegate stands.
func (a *meshAsk) taker(v *meshnet.VirtualService) (at int, known bool) {
	for i, h := range a.ways(v) {
		if len(h.GetMatch()) > 0 && !slices.ContainsFunc(h.GetMatch(), a.fits) {
			continue
		}
		return i, h.GetDelegate() == nil
	}
	return -1, true
}

// fits reports whether a match takes the request.
func (a *meshAsk) fits(m *api.HTTPMatchRequest) bool {
	path, uri := a.path(), m.GetUri()
	if m.GetIgnoreUriCase() && uri.GetRegex() == "" {
		path, uri = strings.ToLower(path), lowered(uri)
	}
	for name, wanted := range m.GetHeaders() {
		if value, has := a.header(name); !has || !matches(wanted, value) {
			return false
		}
	}
	for name, wanted := range m.GetWithoutHeaders() {
		if value, has := a.header(name); has && matches(wanted, value) {
			return false
		}
	}
	for name, wanted := range m.GetQueryParams() {
		if !a.at.Query().Has(name) || !matches(wanted, a.at.Query().Get(name)) {
			return false
		}
	}
	gateways := len(m.GetGateways()) == 0 || slices.Contains(m.GetGateways(), meshName) != a.atGateway()
	caller := a.from == nil || len(m.GetSourceLabels()) == 0 && m.GetSourceNamespace() == "" ||
		len(withLabels([]*corev1.Pod{a.from}, m.GetSourceLabels())) == 1 && (m.GetSourceNamespace() == "" || m.GetSourceNamespace() == a.from.Namespace)
	return gateways && caller && matches(uri, path) && matches(m.GetMethod(), a.method()) && matches(m.GetScheme(), "http") &&
		matches(m.GetAuthority(), a.host) && (m.GetPort() == 0 || m.GetPort() == uint32(portOf(a.at)))
}

func lowered(s *api.StringMatch) *api.StringMatch {
	if s.GetPrefix() != "" {
		return &api.StringMatch{MatchType: &api.StringMatch_Prefix{Prefix: strings.ToLower(s.GetPrefix())}}
	}
	return &api.StringMatch{MatchType: &api.StringMatch_Exact{Exact: strings.ToLower(s.GetExact())}}
}

// matches reports whether a text is as wanted; one that wants nothing takes all.
func matches(wanted *api.StringMatch, text string) bool {
	switch {
	case wanted.GetMatchType() == nil:
		return true
	case wanted.GetPrefix() != "":
		return strings.HasPrefix(text, wanted.GetPrefix())
	case wanted.GetRegex() != "":
		re, err := regexp.Compile(`^(?:` + wanted.GetRegex() + `)$`)
		return err == nil && re.MatchString(text)
	}
	return text == wanted.GetExact()
}

// unrouted finds a request that none of the routes for its host takes: the proxy itself
// answers with 404 then.
func (a *meshAsk) unrouted() labs.Finding {
	v := a.routes()
	if v == nil || a.answer.Status != http.StatusNotFound || a.answer.Headers[upstreamTime] != "" {
		return labs.Finding{}
	}
	if at, known := a.taker(v); at >= 0 || !known {
		return labs.Finding{}
	}
	f := labs.Finding{Because: fmt.Sprintf("no route of VirtualService %s fits %s", a.inNamespace(v.Name, v.Namespace), a), Look: a.yaml("VirtualService", v)}
	for i, h := range v.Spec.Http {
		if words := matchWords(h.GetMatch()[0]); words != "" && len(v.Spec.Http) == 1 && len(h.GetMatch()) == 1 {
			f.Nearest = fmt.Sprintf("%s is for %s", routeName(v, i), words)
		}
	}
	return f
}

// matchWords is what a match asks for, in words.
func matchWords(m *api.HTTPMatchRequest) string {
	var out []string
	words := func(what string, s *api.StringMatch) {
		switch {
		case s.GetMatchType() == nil:
		case s.GetPrefix() != "":
			out = append(out, what+" that begins with "+s.GetPrefix())
		case s.GetRegex() != "":
			out = append(out, what+" like "+s.GetRegex())
		default:
			out = append(out, what+" "+s.GetExact())
		}
	}
	words("the method", m.GetMethod())
	words("a path", m.GetUri())
	for _, name := range slices.Sorted(maps.Keys(m.GetHeaders())) {
		words("a header "+name, m.GetHeaders()[name])
	}
	for _, name := range slices.Sorted(maps.Keys(m.GetQueryParams())) {
		words("a parameter "+name, m.GetQueryParams()[name])
	}
	if m.GetPort() != 0 {
		out = append(out, fmt.Sprint("port ", m.GetPort()))
	}
	if len(m.GetSourceLabels()) > 0 {
		out = append(out, "callers with "+labelText(m.GetSourceLabels()))
	}
	return strings.Join(out, ", ")
}

// routed says which route takes the request, where it does more than lead somewhere or,
// if leads is true, where there is more than one way to go. Without routes it says what
// the DestinationRule does.
func (a *meshAsk) routed(leads bool) labs.Finding {
	if f := a.notRouted(); f.Because != "" {
		return f
	}
	v := a.routes()
	if v == nil {
		return a.treated()
	}
	at, known := a.taker(v)
	if at < 0 || !known {
		return labs.Finding{}
	}
	h, several := a.ways(v)[at], len(a.ways(v)) > 1
	var to []string
	for _, d := range h.GetRoute() {
		text := d.GetDestination().GetHost()
		if d.GetDestination().GetSubset() != "" {
			several = true
			text += " (subset " + d.GetDestination().GetSubset() + ")"
		}
		to = append(to, text)
	}
	does := routeDoes(h)
	if len(to) > 0 {
		does = append([]string{"leads to " + listed(to)}, does...)
	}
	if len(does) == 0 || len(does) == 1 && len(to) > 0 && !(several && leads) {
		return labs.Finding{}
	}
	return labs.Finding{Because: fmt.Sprintf("%s takes %s, and %s", a.wayName(v, at), a, listed(does)), Look: a.yaml("VirtualService", v)}
}

// treated says what a DestinationRule does with the request.
func (a *meshAsk) treated() labs.Finding {
	s, _ := a.serviceAsked()
	if s == nil || !a.proxied() {
		return labs.Finding{}
	}
	for _, d := range a.rulesFor(serviceHost(s)) {
		if does := policyDoes(d.Spec.GetTrafficPolicy()); len(does) > 0 {
			return labs.Finding{Because: a.called("DestinationRule", d) + " " + listed(does), Look: a.yaml("DestinationRule", d)}
		}
	}
	return labs.Finding{}
}
