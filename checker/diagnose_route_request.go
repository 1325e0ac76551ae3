package checker

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// gatewayNameLabel is on the Service that a controller makes for a Gateway.
const gatewayNameLabel = "gateway.networking.k8s.io/gateway-name"

// A routeRequest is what a Gateway looks at to lead a request on.
type routeRequest struct {
	check              *httpCheck
	host, path, method string
}

// forRoute is a check's request as it arrives.
func (c *httpCheck) forRoute(u *url.URL, namespace string) routeRequest {
	host, given := c.header("Host")
	if !given {
		host = u.Hostname()
		if !strings.Contains(host, ".") {
			host += "." + namespace // as the request is sent
		}
	}
	return routeRequest{c, host, cmp.Or(u.Path, "/"), cmp.Or(c.Method, http.MethodGet)}
}

// routed is the cause for which a Gateway answered a request as it did: no route is for
// its host or its path, or the one that is leads to what does not answer.
func (d diagnosis) routed(r routeRequest, gateway string, status int) labs.Finding {
	of, err := d.k.resource(d.ctx, "gateway.networking.k8s.io/v1", "HTTPRoute", d.namespace)
	if err != nil {
		return labs.Finding{}
	}
	list, err := of.List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return labs.Finding{}
	}
	step(d.ctx, "Gateway %s is asked for %s of host %s", gateway, r.path, r.host)
	var near labs.Finding // of the route that comes nearest
	for i := range list.Items {
		o := &list.Items[i]
		called, look := "HTTPRoute "+o.GetName(), d.get("HTTPRoute", o.GetName(), "-o yaml")
		parents, _, _ := unstructured.NestedSlice(o.Object, "spec", "parentRefs")
		if !slices.ContainsFunc(parents, func(p any) bool { return asMap(p)["name"] == gateway }) {
			continue
		}
		hosts, _, _ := unstructured.NestedStringSlice(o.Object, "spec", "hostnames")
		if len(hosts) > 0 && !slices.ContainsFunc(hosts, func(h string) bool { return hostFits(h, r.host) }) {
			if near.Because == "" {
				near = labs.Finding{Because: fmt.Sprintf("%s is for the host %s, and the request is for %s", called, listed(hosts), r.host), Look: look}
			}
			continue
		}
		ruledOut(d.ctx, "%s is for the host %s", called, r.host)
		rule, lacks := r.rule(o)
		if rule == nil {
			near = labs.Finding{Because: called + " " + lacks, Look: look}
			continue
		}
		if f := d.httpRoute(o.GetName()); f.Because != "" {
			return f
		}
		return d.asItIs(r, rule, called, look, status)
	}
	if near.Because == "" && len(list.Items) > 0 {
		return d.httpRoute(list.Items[0].GetName())
	}
	if near.Because == "" {
		near = labs.Finding{Because: fmt.Sprintf("no HTTPRoute of namespace %s belongs to Gateway %s", d.namespace, gateway), Look: command(d.t, "kubectl get httproutes", d.namespace, "")}
	}
	return near
}

// rule is a route's rule for a request; lacks says why none is, as the rest of a sentence.
func (r routeRequest) rule(route *unstructured.Unstructured) (rule map[string]any, lacks string) {
	rules, _, _ := unstructured.NestedSlice(route.Object, "spec", "rules")
	var paths []string
	for _, v := range rules {
		matches, _, _ := unstructured.NestedSlice(asMap(v), "matches")
		if len(matches) == 0 {
			return asMap(v), ""
		}
		for _, m := range matches {
			kind, value := cmp.Or(textOf(m, "path", "type"), "PathPrefix"), cmp.Or(textOf(m, "path", "value"), "/")
			if !pathFits(kind, value, r.path) {
				paths = append(paths, value)
				continue
			}
			switch header := r.otherHeader(asMap(m)); {
			case textOf(m, "method") != "" && textOf(m, "method") != r.method:
				lacks = fmt.Sprintf("takes %s by the method %s, and the request is a %s", value, textOf(m, "method"), r.method)
			case header != "":
				lacks = fmt.Sprintf("takes %s with the header %s, which the request does not have", value, header)
			default:
				return asMap(v), ""
			}
		}
	}
	return nil, cmp.Or(lacks, fmt.Sprintf("has no rule for the path %s, only for %s", r.path, listed(paths)))
}

// otherHeader is a header that a match wants and the request does not have, or "".
func (r routeRequest) otherHeader(match map[string]any) string {
	headers, _, _ := unstructured.NestedSlice(match, "headers")
	for _, h := range headers {
		name, value := textOf(h, "name"), textOf(h, "value")
		got, has := r.check.header(name)
		if !has || textOf(h, "type") != "RegularExpression" && got != value {
			return name + ": " + value
		}
	}
	return ""
}

// pathFits reports whether a match of the Gateway API is for a path. A prefix is one of
// whole elements: /app is for /app/x, and not for /apple.
func pathFits(kind, value, path string) bool {
	switch kind {
	case "Exact":
		return path == value
	case "PathPrefix":
		prefix := strings.TrimSuffix(value, "/")
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	}
	return true // an expression: what it means is the controller's
}

// asItIs is the finding when what a rule leads to answers for the path as the Gateway does.
func (d diagnosis) asItIs(r routeRequest, rule map[string]any, called, look string, status int) labs.Finding {
	filters, _, _ := unstructured.NestedSlice(rule, "filters")
	backends, _, _ := unstructured.NestedSlice(rule, "backendRefs")
	if len(filters) > 0 || len(backends) != 1 {
		return labs.Finding{}
	}
	service := textOf(backends[0], "name")
	got, known := d.status(r.check, fmt.Sprintf("http://%s.%s:%v%s", service, d.namespace, asMap(backends[0])["port"], r.path))
	if !known || got != status {
		return labs.Finding{}
	}
	return labs.Finding{Because: fmt.Sprintf("%s leads to Service %s with the path %s as it is, and that answers HTTP %d for it", called, service, r.path, status), Look: look}
}

// textOf is a text in a map of maps, or "".
func textOf(v any, path ...string) string {
	text, _, _ := unstructured.NestedString(asMap(v), path...)
	return text
}
