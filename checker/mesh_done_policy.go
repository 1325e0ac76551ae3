package checker

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/kindlab/kindlab/labs"
	security "istio.io/api/security/v1beta1"
	meshsec "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
)

// A misfit is one thing of a request that a rule does not fit.
type misfit struct {
	from bool   // who asks, and not what for
	says string // what the rule names, "the method GET"
	is   string // and what there is, "POST"
}

// policiesFor are the policies for the pods that the request went to, with the name of
// their Service; known is false when it is not known where it went.
func (a *meshAsk) policiesFor() (out []*meshsec.AuthorizationPolicy, s *corev1.Service, known bool) {
	s, behind := a.serviceAsked()
	if s == nil || len(behind) == 0 || isGateway(behind[0]) {
		return nil, nil, false
	}
	for _, p := range a.policies {
		if (p.Namespace == s.Namespace || p.Namespace == meshRoot) && len(targetsOf(p)) == 0 && len(withLabels(behind, p.Spec.GetSelector().GetMatchLabels())) > 0 {
			out = append(out, p)
		}
	}
	return out, s, true
}

// refused says which policy is in the way of a request that a proxy refused: the one that
// denies it, or the one that nearly allows it.
func (a *meshAsk) refused() labs.Finding {
	policies, s, known := a.policiesFor()
	if !deniedByProxy(a.answer) || !known || len(policies) == 0 {
		return labs.Finding{}
	}
	var names []string
	var near *meshsec.AuthorizationPolicy
	var by []misfit
	sure := true
	for _, p := range policies {
		names = append(names, fmt.Sprintf("%s (%s)", p.Name, p.Spec.GetAction()))
		for _, rule := range p.Spec.Rules {
			is, told := a.misfits(rule)
			switch deny := p.Spec.GetAction() == security.AuthorizationPolicy_DENY; {
			case deny && told && len(is) == 0:
				return labs.Finding{Because: fmt.Sprintf("%s denies %s", a.called("AuthorizationPolicy", p), a), Look: a.yaml("AuthorizationPolicy", p)}
			case p.Spec.GetAction() == security.AuthorizationPolicy_ALLOW && told && len(is) > 0:
				if near == nil || len(is) < len(by) {
					near, by = p, is
				}
			case !told || !deny:
				sure = false // it may be this one
			}
		}
	}
	f := labs.Finding{Because: "the proxy of the pods behind it refuses it: for them there is the AuthorizationPolicy " + listed(names),
		Look: a.look("get authorizationpolicies.security.istio.io", s.Namespace, "-o yaml")}
	if near == nil || !sure || len(by) > 1 {
		return f
	}
	f.Look = a.yaml("AuthorizationPolicy", near)
	f.Because = fmt.Sprintf("%s allows %s, and this is %s", a.called("AuthorizationPolicy", near), by[0].says, by[0].is)
	if by[0].from {
		f.Because = fmt.Sprintf("%s lets in %s, and %s", a.called("AuthorizationPolicy", near), by[0].says, by[0].is)
	}
	return f
}

// letIn says why a request is answered that was to be refused.
func (a *meshAsk) letIn() labs.Finding {
	policies, s, known := a.policiesFor()
	wanted, _ := a.call.wants(http.StatusForbidden)
	if !wanted || !known || a.answer.Error != "" || a.answer.Status == http.StatusForbidden {
		return labs.Finding{}
	}
	f := labs.Finding{Look: a.look("get authorizationpolicies.security.istio.io", s.Namespace, "-o yaml")}
	if len(policies) == 0 {
		f.Because = "no AuthorizationPolicy is for the pods of Service " + a.inNamespace(s.Name, s.Namespace)
		for _, p := range within(a.policies, s.Namespace) {
			if selects := p.Spec.GetSelector().GetMatchLabels(); len(selects) > 0 {
				f.Nearest = fmt.Sprintf("%s is for the pods with %s", a.called("AuthorizationPolicy", p), labelText(selects))
			}
		}
		return f
	}
	var near *meshsec.AuthorizationPolicy
	var by []misfit
	allows := false
	for _, p := range policies {
		if p.Spec.GetAction() == security.AuthorizationPolicy_ALLOW {
			allows = true
		}
		for i, rule := range p.Spec.Rules {
			is, told := a.misfits(rule)
			switch {
			case !told:
				return labs.Finding{}
			case p.Spec.GetAction() == security.AuthorizationPolicy_ALLOW && len(is) == 0:
				return a.allows(p, i)
			case p.Spec.GetAction() == security.AuthorizationPolicy_DENY && len(is) > 0 && (near == nil || len(is) < len(by)):
				near, by = p, is
			}
		}
	}
	if near == nil || allows || len(by) > 1 {
		return labs.Finding{}
	}
	f.Look = a.yaml("AuthorizationPolicy", near)
	f.Because = fmt.Sprintf("%s denies %s, and this is %s", a.called("AuthorizationPolicy", near), by[0].says, by[0].is)
	if by[0].from {
		f.Because = fmt.Sprintf("%s keeps out %s, and %s", a.called("AuthorizationPolicy", near), by[0].says, by[0].is)
	}
	return f
}

// allows is the finding for a rule that lets in what was to be refused.
func (a *meshAsk) allows(p *meshsec.AuthorizationPolicy, i int) labs.Finding {
	of, rule := "the rule of ", p.Spec.Rules[i]
	if len(p.Spec.Rules) > 1 {
		of = fmt.Sprintf("rule %d of ", i+1)
	}
	f := labs.Finding{Because: fmt.Sprintf("%s%s allows %s to %s", of, a.called("AuthorizationPolicy", p), a, a.caller()), Look: a.yaml("AuthorizationPolicy", p)}
	switch {
	case len(rule.GetFrom()) == 0 && len(rule.GetTo()) == 0:
		f.Nearest = "it has neither from nor to, so it allows everything to everybody"
	case len(rule.GetFrom()) == 0:
		f.Nearest = "it has no from, so it is for everybody"
	case len(rule.GetTo()) == 0:
		f.Nearest = "it has no to, so it allows everything"
	}
	return f
}

// misfits are what of the request a rule does not fit: nothing when it fits. told is false
// when the rule asks for what is not known here.
func (a *meshAsk) misfits(rule *security.Rule) (out []misfit, told bool) {
	if len(rule.GetWhen()) > 0 {
		return nil, false
	}
	who, told := a.whoMisfits(rule)
	if !told {
		return nil, false
	}
	var nearest []misfit
	for i, to := range rule.GetTo() {
		is, told := a.operation(to.GetOperation())
		if !told {
			return nil, false
		}
		if i == 0 || len(is) < len(nearest) {
			nearest = is
		}
	}
	return append(who, nearest...), true
}

// whoMisfits is whom a rule's from names, when that is not the caller.
func (a *meshAsk) whoMisfits(rule *security.Rule) (out []misfit, told bool) {
	if len(rule.GetFrom()) == 0 {
		return nil, true
	}
	me, mine := "", ""
	if a.proxied() {
		me, mine = "cluster.local/ns/"+a.from.Namespace+"/sa/"+accountOf(a.from), a.from.Namespace
	}
	var named []string
	field, is := "", a.caller()+" calls as "+me
	for _, from := range rule.GetFrom() {
		s := from.GetSource()
		if len(s.GetIpBlocks())+len(s.GetNotIpBlocks())+len(s.GetRemoteIpBlocks())+len(s.GetNotRemoteIpBlocks())+
			len(s.GetRequestPrincipals())+len(s.GetNotRequestPrincipals())+len(s.GetServiceAccounts())+len(s.GetNotServiceAccounts())+len(s.GetTrustDomains())+len(s.GetNotTrustDomains()) > 0 {
			return nil, false
		}
		is := func(listed, not []string, name string) bool {
			fit := func(pattern string) bool { return name != "" && patternFits(pattern, name) }
			return (len(listed) == 0 || slices.ContainsFunc(listed, fit)) && !slices.ContainsFunc(not, fit)
		}
		if is(s.GetPrincipals(), s.GetNotPrincipals(), me) && is(s.GetNamespaces(), s.GetNotNamespaces(), mine) {
			return nil, true
		}
		switch {
		case len(s.GetPrincipals()) > 0:
			field, named = "principals", append(named, s.GetPrincipals()...)
		case len(s.GetNamespaces()) > 0:
			field, named = "namespaces", append(named, s.GetNamespaces()...)
		default:
			return nil, false // it is named among those that are left out
		}
	}
	says := listed(named)
	switch {
	case me == "":
		says, is = fmt.Sprintf("whom it knows (%s)", field), a.caller()+", which asks, has no proxy, so nobody says who it is"
	case field == "namespaces":
		says, is = "namespace "+says, a.caller()+" is of namespace "+mine
	}
	return []misfit{{true, says, is}}, true
}

func accountOf(p *corev1.Pod) string {
	if p.Spec.ServiceAccountName == "" {
		return "default"
	}
	return p.Spec.ServiceAccountName
}

// operation is what of the request an operation does not fit.
func (a *meshAsk) operation(o *security.Operation) (out []misfit, told bool) {
	if slices.ContainsFunc(slices.Concat(o.GetPaths(), o.GetNotPaths()), func(p string) bool { return strings.Contains(p, "{") }) {
		return nil, false // a template
	}
	port := ""
	if s, behind := a.serviceAsked(); s != nil {
		if at, found := servicePort(s, portOf(a.at)); found {
			port = strconv.Itoa(podPort(at, behind))
		}
	}
	check := func(what string, listed, not []string, is string) {
		fit := func(pattern string) bool { return patternFits(pattern, is) }
		switch {
		case len(listed) > 0 && !slices.ContainsFunc(listed, fit):
			out = append(out, misfit{says: what + " " + strings.Join(listed, ", "), is: is})
		case slices.ContainsFunc(not, fit):
			out = append(out, misfit{says: what + " unless it is " + strings.Join(not, ", "), is: is})
		}
	}
	check("the method", o.GetMethods(), o.GetNotMethods(), a.method())
	check("the path", o.GetPaths(), o.GetNotPaths(), a.path())
	check("the port", o.GetPorts(), o.GetNotPorts(), port)
	check("the host", o.GetHosts(), o.GetNotHosts(), a.host)
	return out, true
}

// patternFits reports whether a word of a policy, of which * may replace an end, is a name.
func patternFits(pattern, name string) bool {
	if before, wild := strings.CutSuffix(pattern, "*"); wild {
		return strings.HasPrefix(name, before)
	}
	if after, wild := strings.CutPrefix(pattern, "*"); wild {
		return strings.HasSuffix(name, after)
	}
	return pattern == name
}
