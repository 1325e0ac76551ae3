package checker

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
)

// saidOf is what the routes for a call's host say of what it expects, where nothing is
// wrong with them but that: shares, or a time.
func (m meshObjects) saidOf(namespace string, c *meshCall, f labs.Finding) labs.Finding {
	switch {
	case c.Shares != nil:
		return m.saidWeights(namespace, c)
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
