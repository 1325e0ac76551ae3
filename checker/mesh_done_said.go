package checker

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	api "istio.io/api/networking/v1alpha3"
)

// saidOf is what the objects say of what a call expects, where nothing is wrong with them
// but that: of shares, a time, how often the pods are asked, or of such a request.
func (m meshObjects) saidOf(namespace string, c *meshCall, f, request labs.Finding) labs.Finding {
	switch {
	case c.Shares != nil:
		return m.saidWeights(namespace, c.target())
	case f.Because != "" && !strings.HasPrefix(f.Because, theAnswerSays):
		return labs.Finding{} // something nearer is known
	case c.isAboutTime() || strings.HasPrefix(f.Got, (httpAnswer{Status: http.StatusGatewayTimeout}).String()):
		return m.saidTimeout(namespace, c.target())
	case request.Because == "" && c.Counts != nil:
		return m.saidCopies(namespace, c.target())
	}
	return request
}

// saidCopies says how often the routes for a host ask the pods for one request.
func (m meshObjects) saidCopies(namespace, host string) labs.Finding {
	r := &meshReading{meshObjects: m, namespace: namespace}
	for _, v := range own(r, m.virtualServices) {
		if len(v.Spec.Http) == 0 || !isFor(v, fullHost(host, namespace)) {
			continue
		}
		var said []string
		for i, h := range v.Spec.Http {
			if again := h.GetRetries(); again != nil {
				said = append(said, fmt.Sprintf("%s repeats up to %d times (retries, retryOn %s)", routeName(v, i), again.GetAttempts(), cmp.Or(again.GetRetryOn(), "not said")))
			}
			copies := h.GetMirrors()
			if h.GetMirror() != nil {
				copies = append(slices.Clone(copies), &api.HTTPMirrorPolicy{Destination: h.GetMirror(), Percentage: h.GetMirrorPercentage()})
			}
			for _, c := range copies {
				share := 100.0
				if c.GetPercentage() != nil {
					share = c.GetPercentage().GetValue()
				}
				said = append(said, fmt.Sprintf("%s sends copies of %g percent to %s (mirror)", routeName(v, i), share, destinationText(c.GetDestination())))
			}
		}
		if len(said) == 0 {
			said = append(said, fmt.Sprintf("no route of VirtualService %s has retries or a mirror", v.Name))
		}
		return labs.Finding{Because: strings.Join(said, ", and "), Look: r.yaml("VirtualService", v)}
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
		var said []string
		for i, h := range v.Spec.Http {
			if h.GetTimeout().AsDuration() > 0 {
				said = append(said, fmt.Sprintf("%s after %s", routeName(v, i), h.GetTimeout().AsDuration()))
			}
		}
		if len(said) > 0 {
			f.Because = "a request is given up by " + strings.Join(said, ", by ") + " (timeout)"
		}
		return f
	}
	return labs.Finding{Because: fmt.Sprintf("no VirtualService of namespace %s is for host %s, so there is no timeout", namespace, host), Look: r.look("get virtualservices", namespace, "")}
}

// saidWeights says how the first VirtualService for a host shares its requests out.
func (m meshObjects) saidWeights(namespace, host string) labs.Finding {
	for _, v := range within(m.virtualServices, namespace) {
		if !isFor(v, fullHost(host, namespace)) {
			continue
		}
		for _, r := range v.Spec.Http {
			if len(r.Match) > 0 || len(r.Route) == 0 {
				continue
			}
			var out []string
			for _, d := range r.Route {
				weight := d.Weight
				if len(r.Route) == 1 && weight == 0 {
					weight = 100
				}
				name := d.GetDestination().GetSubset()
				if name == "" {
					name = d.GetDestination().GetHost()
				}
				out = append(out, fmt.Sprintf("%s %d", clip(name, 60), weight))
			}
			return labs.Finding{Because: fmt.Sprintf("VirtualService %s gives %s", v.Name, strings.Join(out, ", ")),
				Look: command(&Target{Namespace: namespace}, "kubectl get virtualservice "+v.Name, namespace, "-o yaml")}
		}
	}
	return labs.Finding{}
}
