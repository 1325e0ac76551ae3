package checker

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	api "istio.io/api/networking/v1alpha3"
	meshnet "istio.io/client-go/pkg/apis/networking/v1"
)

// saidOf is what the objects of a lab say of a call's requests: what the route that
// takes them does or, without a VirtualService, what the DestinationRule does. It is
// empty when nothing is said, or when it depends on what cannot be judged from here.
// leads means that the route does nothing but lead somewhere.
func (m meshObjects) saidOf(t *Target, c *meshCall) (f labs.Finding, leads bool) {
	u, err := c.parse()
	if err != nil || c.From.Where == fromCluster || c.From.Namespace != "" && c.From.Namespace != t.Namespace {
		return f, false // asked without a proxy, or under the rules of another namespace
	}
	host := fullHost(c.target(), t.Namespace)
	for _, v := range within(m.virtualServices, t.Namespace) {
		asked := inMesh(v)
		if !c.From.isPod() {
			asked = len(gatewaysOf(v)) > 0
		}
		if !asked || !slices.ContainsFunc(v.Spec.Hosts, func(h string) bool { return hostCovers(fullHost(h, t.Namespace), host) }) {
			continue
		}
		i, known := routeFor(v, c, u)
		if !known {
			return f, false
		}
		f.Look = command(t, "kubectl get virtualservice "+v.Name, t.Namespace, "-o yaml")
		if i < 0 {
			f.Because = fmt.Sprintf("VirtualService %s has no route for %s %s", v.Name, cmp.Or(c.Method, "GET"), clip(u.RequestURI(), 80))
			return f, false
		}
		does := routeDoes(v.Spec.Http[i])
		f.Because = saidRoute(v, i, does)
		return f, len(does) == 1 && len(v.Spec.Http[i].GetRoute()) == 1
	}
	for _, d := range within(m.destinationRules, t.Namespace) {
		if does := policyDoes(d.Spec.GetTrafficPolicy()); hostCovers(fullHost(d.Spec.Host, t.Namespace), host) && len(does) > 0 {
			return labs.Finding{Because: fmt.Sprintf("DestinationRule %s %s", d.Name, listed(does)),
				Look: command(t, "kubectl get destinationrule "+d.Name, t.Namespace, "-o yaml")}, false
		}
	}
	return f, false
}

// routeFor is the place of the first route that takes a call's requests, below 0 when
// none does. It is not known when that depends on more than path, method, headers and query.
func routeFor(v *meshnet.VirtualService, c *meshCall, u *url.URL) (i int, known bool) {
	for i, h := range v.Spec.Http {
		if len(h.GetMatch()) == 0 {
			return i, true
		}
		for _, m := range h.GetMatch() {
			switch fits, known := matches(m, c, u); {
			case !known:
				return 0, false
			case fits:
				return i, true
			}
		}
	}
	return -1, true
}

// matches reports whether a match takes a call's requests.
func matches(m *api.HTTPMatchRequest, c *meshCall, u *url.URL) (fits, known bool) {
	if m.GetScheme() != nil || m.GetAuthority() != nil || m.GetPort() != 0 || m.GetSourceNamespace() != "" || len(m.GetSourceLabels()) > 0 || m.GetIgnoreUriCase() {
		return false, false
	}
	header := func(name string) (string, bool) {
		for key, value := range c.Headers {
			if strings.EqualFold(key, name) {
				return value, true
			}
		}
		return "", false
	}
	fits = textFits(m.GetUri(), cmp.Or(u.Path, "/")) && textFits(m.GetMethod(), cmp.Or(c.Method, "GET"))
	for name, s := range m.GetHeaders() {
		value, there := header(name)
		fits = fits && there && textFits(s, value)
	}
	for name, s := range m.GetWithoutHeaders() {
		value, there := header(name)
		fits = fits && !(there && textFits(s, value))
	}
	for name, s := range m.GetQueryParams() {
		fits = fits && u.Query().Has(name) && textFits(s, u.Query().Get(name))
	}
	return fits, true
}

// textFits reports whether a text is as wanted; everything is as nothing wants.
func textFits(s *api.StringMatch, text string) bool {
	switch want := s.GetMatchType().(type) {
	case *api.StringMatch_Exact:
		return text == want.Exact
	case *api.StringMatch_Prefix:
		return strings.HasPrefix(text, want.Prefix)
	case *api.StringMatch_Regex:
		// Both sides use RE2, and the whole value has to fit.
		e, err := regexp.Compile(`^(?:` + want.Regex + `)$`)
		return err == nil && e.MatchString(text)
	}
	return true
}

// saidRoute says in one line what a route does.
func saidRoute(v *meshnet.VirtualService, i int, does []string) string {
	name := "VirtualService " + v.Name
	if len(v.Spec.Http) > 1 {
		name = routeName(v, i)
	}
	if len(does) == 0 {
		return name + " says nothing of them"
	}
	return name + " " + listed(does)
}

// routeDoes is what a route does, one text for each thing.
func routeDoes(h *api.HTTPRoute) []string {
	var does []string
	if f := h.GetFault().GetDelay(); f != nil {
		does = append(does, fmt.Sprintf("delays %s of the requests by %s", percent(f.GetPercentage()), f.GetFixedDelay().AsDuration()))
	}
	if f := h.GetFault().GetAbort(); f != nil {
		does = append(does, fmt.Sprintf("answers %s of the requests itself with %d", percent(f.GetPercentage()), f.GetHttpStatus()))
	}
	if r := h.GetRedirect(); r != nil {
		does = append(does, "redirects")
	}
	if r := h.GetDirectResponse(); r != nil {
		does = append(does, fmt.Sprintf("answers itself with %d", r.GetStatus()))
	}
	if to := shareText(h.GetRoute()); to != "" {
		does = append(does, "gives "+to)
	}
	if r := h.GetRewrite().GetUri(); r != "" {
		does = append(does, "makes the path "+clip(r, 60))
	}
	if t := h.GetTimeout().AsDuration(); t > 0 {
		does = append(does, fmt.Sprintf("waits %s", t))
	}
	if r := h.GetRetries(); r != nil {
		again := fmt.Sprintf("repeats up to %d times", r.GetAttempts())
		if r.GetAttempts() == 1 {
			again = "repeats once"
		}
		if each := r.GetPerTryTimeout().AsDuration(); each > 0 {
			again += fmt.Sprintf(", %s for each try", each)
		}
		if r.GetAttempts() > 0 {
			again += ", on " + cmp.Or(clip(r.GetRetryOn(), 80), "Istio's own conditions")
		}
		does = append(does, again)
	}
	if mirror := h.GetMirror(); mirror != nil || len(h.GetMirrors()) > 0 {
		does = append(does, "copies to "+cmp.Or(mirror.GetSubset(), mirror.GetHost(), "others"))
	}
	return does
}

// shareText is where a route leads, with the weights.
func shareText(route []*api.HTTPRouteDestination) string {
	var out []string
	for _, d := range route {
		weight := d.GetWeight()
		if len(route) == 1 && weight == 0 {
			weight = 100
		}
		out = append(out, fmt.Sprintf("%s %d", clip(cmp.Or(d.GetDestination().GetSubset(), d.GetDestination().GetHost()), 60), weight))
	}
	return strings.Join(out, ", ")
}

// percent is how many of the requests a fault hits; all, when nothing is said.
func percent(p *api.Percent) string {
	if p == nil {
		return "100 %"
	}
	return fmt.Sprintf("%g %%", p.GetValue())
}

// policyDoes is what a DestinationRule does with requests, one text for each thing.
func policyDoes(p *api.TrafficPolicy) []string {
	var does []string
	tcp, http := p.GetConnectionPool().GetTcp(), p.GetConnectionPool().GetHttp()
	if n := tcp.GetMaxConnections(); n > 0 {
		does = append(does, fmt.Sprintf("allows %s", counted(int(n), "connection")))
	}
	if n := http.GetHttp1MaxPendingRequests(); n > 0 {
		does = append(does, fmt.Sprintf("lets %s wait for a connection", counted(int(n), "request")))
	}
	if n := http.GetHttp2MaxRequests(); n > 0 {
		does = append(does, fmt.Sprintf("allows %s at a time", counted(int(n), "request")))
	}
	if o := p.GetOutlierDetection(); o != nil {
		n, most := uint32(5), int32(10) // Envoy's and Istio's defaults
		if o.GetConsecutive_5XxErrors() != nil {
			n = o.GetConsecutive_5XxErrors().GetValue()
		}
		if o.GetMaxEjectionPercent() > 0 {
			most = o.GetMaxEjectionPercent()
		}
		does = append(does, fmt.Sprintf("leaves out a pod after %s in a row, and at most %d %% of the pods", counted(int(n), "error"), most))
	}
	switch l := p.GetLoadBalancer(); {
	case l.GetConsistentHash().GetHttpHeaderName() != "":
		does = append(does, "keeps requests with the same header "+clip(l.GetConsistentHash().GetHttpHeaderName(), 60)+" on one pod")
	case l.GetConsistentHash() != nil:
		does = append(does, "keeps requests on one pod by something else than a header")
	case l.GetSimple() != api.LoadBalancerSettings_UNSPECIFIED:
		does = append(does, "shares out by "+l.GetSimple().String())
	}
	return does
}
