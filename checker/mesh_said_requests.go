package checker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kindlab/kindlab/labs"
	security "istio.io/api/security/v1beta1"
	meshsec "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
)

// asksForToken is the field in which a policy asks for what only a token can say; "" for none.
func asksForToken(p *meshsec.AuthorizationPolicy) string {
	for _, rule := range p.Spec.Rules {
		for _, from := range rule.GetFrom() {
			if len(from.GetSource().GetRequestPrincipals()) > 0 {
				return "requestPrincipals"
			}
			if len(from.GetSource().GetNotRequestPrincipals()) > 0 {
				return "notRequestPrincipals"
			}
		}
		for _, c := range rule.GetWhen() {
			if strings.HasPrefix(c.GetKey(), "request.auth.") {
				return c.GetKey()
			}
		}
	}
	return ""
}

// tokensUnasked finds tokens that are checked when they come, and need not come.
func (r *meshReading) tokensUnasked() {
	for _, q := range own(r, r.requests) {
		if len(q.Spec.JwtRules) == 0 || slices.ContainsFunc(r.policies, func(p *meshsec.AuthorizationPolicy) bool {
			return (asksForToken(p) != "" || p.Spec.Action == security.AuthorizationPolicy_CUSTOM) && r.meet(authPolicy(p), tokenPolicy(q))
		}) {
			continue
		}
		r.add("token-unasked", labs.Finding{Because: r.called("RequestAuthentication", q) + " refuses bad tokens only, and no AuthorizationPolicy for these pods asks for a token: a request without one passes",
			Nearest: "an AuthorizationPolicy with requestPrincipals asks for one", Look: r.look("get authorizationpolicies", q.Namespace, "")})
	}
}

// tokensUnread finds policies that ask for a token where no token is read.
func (r *meshReading) tokensUnread() {
	for _, p := range own(r, r.policies) {
		field := asksForToken(p)
		if field == "" || slices.ContainsFunc(r.requests, func(q *meshsec.RequestAuthentication) bool {
			return len(q.Spec.JwtRules) > 0 && r.meet(authPolicy(p), tokenPolicy(q))
		}) {
			continue
		}
		f := labs.Finding{Because: fmt.Sprintf("%s asks for a token (%s), and no RequestAuthentication for its pods reads one, so no request has one", r.called("AuthorizationPolicy", p), field), Look: r.look("get requestauthentications", p.Namespace, "")}
		for _, q := range r.requests {
			if q.Namespace == p.Namespace && len(q.Spec.Selector.GetMatchLabels()) > 0 {
				f.Nearest = fmt.Sprintf("RequestAuthentication %s is for the pods with %s", q.Name, labelText(q.Spec.Selector.GetMatchLabels()))
			}
		}
		r.add("token-unread", f)
	}
}

// policyPorts finds ports that the pods do not have, and words of HTTP for ports that are TCP.
func (r *meshReading) policyPorts() {
	for _, p := range own(r, r.policies) {
		pods := r.podsUnder(authPolicy(p))
		services := r.servicesOf(pods)
		if len(targetsOf(p)) > 0 || len(services) == 0 || p.Namespace == meshRoot {
			continue
		}
		for _, rule := range p.Spec.Rules {
			var ports []int
			for _, to := range rule.GetTo() {
				for _, text := range to.GetOperation().GetPorts() {
					if number, err := strconv.Atoi(text); err == nil {
						ports = append(ports, number)
					}
				}
			}
			for _, number := range ports {
				r.policyPort(p, number, services, pods)
			}
			r.httpOnTCP(p, rule, ports, services)
		}
	}
}

// servicesOf are the Services that lead to at least one of the pods, with the pods behind them.
func (r *meshReading) servicesOf(pods []*corev1.Pod) map[*corev1.Service][]*corev1.Pod {
	out := map[*corev1.Service][]*corev1.Pod{}
	for i := range r.services {
		behind, known := r.podsBehind(&r.services[i])
		if known && slices.ContainsFunc(behind, func(p *corev1.Pod) bool { return slices.Contains(pods, p) }) {
			out[&r.services[i]] = behind
		}
	}
	return out
}

// policyPort finds the port of a Service where that of the pods is meant: the proxy that
// reads the policy stands before the pod.
func (r *meshReading) policyPort(p *meshsec.AuthorizationPolicy, number int, services map[*corev1.Service][]*corev1.Pod, pods []*corev1.Pod) {
	if slices.ContainsFunc(pods, func(pod *corev1.Pod) bool {
		return slices.Contains(declaredPorts(pod.Spec.Containers), strconv.Itoa(number))
	}) {
		return
	}
	near, by := 0, ""
	for s, behind := range services {
		for _, port := range s.Spec.Ports {
			target := podPort(port, behind)
			if target == number || target == 0 {
				return
			}
			if int(port.Port) == number && (by == "" || s.Name < by) {
				near, by = target, s.Name
			}
		}
	}
	if by != "" {
		r.add("policy-port", labs.Finding{Because: fmt.Sprintf("%s names port %d (ports), which is a port of Service %s: a policy is about the ports of its pods", r.called("AuthorizationPolicy", p), number, by),
			Nearest: fmt.Sprintf("there it is port %d", near), Look: r.look("get service "+by, p.Namespace, "")})
	}
}

// httpWords are the fields of a rule that only HTTP has.
func httpWords(rule *security.Rule) []string {
	var out []string
	add := func(name string, lists ...[]string) {
		if len(slices.Concat(lists...)) > 0 && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, from := range rule.GetFrom() {
		add("requestPrincipals", from.GetSource().GetRequestPrincipals(), from.GetSource().GetNotRequestPrincipals())
	}
	for _, to := range rule.GetTo() {
		o := to.GetOperation()
		add("hosts", o.GetHosts(), o.GetNotHosts())
		add("methods", o.GetMethods(), o.GetNotMethods())
		add("paths", o.GetPaths(), o.GetNotPaths())
	}
	for _, c := range rule.GetWhen() {
		if strings.HasPrefix(c.GetKey(), "request.") {
			add(c.GetKey(), []string{c.GetKey()})
		}
	}
	return out
}

// httpOnTCP finds rules that ask for what a TCP connection cannot say. Without ports in
// the rule, all ports of the pods must be TCP for it to be a mistake.
func (r *meshReading) httpOnTCP(p *meshsec.AuthorizationPolicy, rule *security.Rule, ports []int, services map[*corev1.Service][]*corev1.Pod) {
	words := httpWords(rule)
	if len(words) == 0 {
		return
	}
	var tcp []string
	for s, behind := range services {
		for _, port := range tcpPorts(s) {
			target := podPort(port, behind)
			if len(ports) > 0 && !slices.Contains(ports, target) {
				continue
			}
			if protocolOf(port) != portTCP {
				return
			}
			tcp = append(tcp, fmt.Sprintf("port %d of Service %s", port.Port, s.Name))
		}
	}
	if slices.Sort(tcp); len(tcp) == 0 {
		return
	}
	what := "so the rule allows nothing"
	if p.Spec.Action == security.AuthorizationPolicy_DENY {
		what = "so the rule denies whatever comes there"
	} else if p.Spec.Action != security.AuthorizationPolicy_ALLOW {
		return
	}
	r.add("http-on-tcp", labs.Finding{Because: fmt.Sprintf("%s asks for %s, and %s is TCP, where there is no such thing, %s", r.called("AuthorizationPolicy", p), listed(words), tcp[0], what),
		Nearest: "a port is HTTP when its name begins with http or its appProtocol is http", Look: r.yaml("AuthorizationPolicy", p)})
}
