package checker

import (
	"cmp"
	"fmt"
	"strings"

	api "istio.io/api/networking/v1alpha3"
)

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
	if r := h.GetRewrite().GetUri(); r != "" {
		does = append(does, "makes the path "+clip(r, 60))
	}
	if t := h.GetTimeout().AsDuration(); t > 0 {
		does = append(does, fmt.Sprintf("waits %s", t))
	}
	if text := repeats(h); text != "" {
		does = append(does, text)
	}
	if m := h.GetMirror(); m != nil {
		does = append(does, copies(m, h.GetMirrorPercentage()))
	}
	for _, m := range h.GetMirrors() {
		does = append(does, copies(m.GetDestination(), m.GetPercentage()))
	}
	return does
}

// copies says of how many requests a route sends a copy, and where to.
func copies(to *api.Destination, p *api.Percent) string {
	return fmt.Sprintf("copies %s of the requests to %s", percent(p), cmp.Or(to.GetSubset(), to.GetHost()))
}

// repeats says how often a route has a request sent again; empty when it does not say.
func repeats(h *api.HTTPRoute) string {
	r := h.GetRetries()
	if r == nil {
		return ""
	}
	switch r.GetAttempts() {
	case 0:
		return "repeats nothing"
	case 1:
		return "repeats once" + eachTry(r)
	}
	return fmt.Sprintf("repeats up to %d times", r.GetAttempts()) + eachTry(r)
}

func eachTry(r *api.HTTPRetry) string {
	text := ""
	if each := r.GetPerTryTimeout().AsDuration(); each > 0 {
		text = fmt.Sprintf(" after %s each", each)
	}
	return text + " on " + cmp.Or(clip(r.GetRetryOn(), 80), "Istio's own conditions")
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
