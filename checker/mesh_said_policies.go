package checker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	security "istio.io/api/security/v1beta1"
	shared "istio.io/api/type/v1beta1"
	meshsec "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A meshPolicy is what the three kinds of policy have in common: whom they are for.
type meshPolicy struct {
	metav1.Object
	kind     string
	selector map[string]string
	targets  []*shared.PolicyTargetReference
}

func authPolicy(p *meshsec.AuthorizationPolicy) meshPolicy {
	return meshPolicy{p, "AuthorizationPolicy", p.Spec.Selector.GetMatchLabels(), targetsOf(p)}
}

func tokenPolicy(p *meshsec.RequestAuthentication) meshPolicy {
	targets := p.Spec.TargetRefs
	if p.Spec.TargetRef != nil {
		targets = append(slices.Clone(targets), p.Spec.TargetRef)
	}
	return meshPolicy{p, "RequestAuthentication", p.Spec.Selector.GetMatchLabels(), targets}
}

func targetsOf(p *meshsec.AuthorizationPolicy) []*shared.PolicyTargetReference {
	if p.Spec.TargetRef != nil {
		return append(slices.Clone(p.Spec.TargetRefs), p.Spec.TargetRef)
	}
	return p.Spec.TargetRefs
}

// podsUnder are the pods that a policy is for; those of the root namespace may be anywhere.
func (r *meshReading) podsUnder(p meshPolicy) []*corev1.Pod {
	namespace := p.GetNamespace()
	if namespace == meshRoot {
		namespace = ""
	}
	return r.podsOf(namespace, p.selector)
}

// meet reports whether two policies may be for the same pod. Targets are not followed,
// so a policy with some meets every other.
func (r *meshReading) meet(a, b meshPolicy) bool {
	if a.GetNamespace() != b.GetNamespace() && a.GetNamespace() != meshRoot && b.GetNamespace() != meshRoot {
		return false
	}
	if len(a.targets)+len(b.targets) > 0 || len(a.selector) == 0 || len(b.selector) == 0 {
		return true
	}
	pods := r.podsUnder(b)
	return slices.ContainsFunc(r.podsUnder(a), func(p *corev1.Pod) bool { return slices.Contains(pods, p) })
}

// selectors finds policies that are for no pod.
func (r *meshReading) selectors() {
	var all []meshPolicy
	for _, p := range own(r, r.peers) {
		all = append(all, meshPolicy{p, "PeerAuthentication", p.Spec.Selector.GetMatchLabels(), nil})
	}
	for _, p := range own(r, r.requests) {
		all = append(all, tokenPolicy(p))
	}
	for _, p := range own(r, r.policies) {
		all = append(all, authPolicy(p))
	}
	for _, p := range all {
		if len(p.selector) == 0 || len(p.targets) > 0 || len(r.podsUnder(p)) > 0 {
			continue
		}
		f := labs.Finding{Because: fmt.Sprintf("%s is for the pods with %s (selector), and no pod of namespace %s has that", r.called(p.kind, p), labelText(p.selector), p.GetNamespace()),
			Nearest: nearLabels("pod", p.selector, labelsOf(r.podsOf(p.GetNamespace(), nil))), Look: r.look("get pods --show-labels", p.GetNamespace(), "")}
		if elsewhere := r.podsOf("", p.selector); f.Nearest == "" && len(elsewhere) > 0 {
			f.Nearest = counted(len(elsewhere), "pod") + " of namespace " + elsewhere[0].Namespace + " has it"
			if len(elsewhere) > 1 {
				f.Nearest = counted(len(elsewhere), "pod") + " elsewhere have it"
			}
		}
		r.add("selector", f)
	}
}

// targets finds policies for a waypoint where pods have their own proxies: these read
// selectors only.
func (r *meshReading) targets() {
	waypoint := slices.ContainsFunc(r.pods, func(p corev1.Pod) bool { return p.Labels["gateway.networking.k8s.io/gateway-name"] != "" })
	for _, p := range own(r, r.policies) {
		for _, t := range targetsOf(p) {
			s := r.service(fullHost(t.GetName(), p.Namespace))
			behind, known := r.podsBehind(s)
			if waypoint || t.GetKind() != "Service" || !known || len(proxied(behind)) == 0 {
				continue
			}
			r.add("target", labs.Finding{Because: fmt.Sprintf("%s names Service %s (targetRefs), which only a waypoint reads, and there is none", r.called("AuthorizationPolicy", p), s.Name),
				Nearest: "for pods with a proxy of their own: selector with matchLabels " + labelText(s.Spec.Selector), Look: r.yaml("AuthorizationPolicy", p)})
		}
	}
}

// denyAll finds what allows nothing where nobody else allows anything, and what denies
// nothing at all. An empty policy beside others is the usual way to begin.
func (r *meshReading) denyAll() {
	for _, p := range own(r, r.policies) {
		if len(p.Spec.Rules) > 0 {
			continue
		}
		look := r.yaml("AuthorizationPolicy", p)
		switch p.Spec.Action {
		case security.AuthorizationPolicy_DENY:
			r.add("deny-all", labs.Finding{Because: r.called("AuthorizationPolicy", p) + " has action DENY and no rules, so it denies nothing", Nearest: "one empty rule, - {}, fits every request", Look: look})
		case security.AuthorizationPolicy_ALLOW:
			if !slices.ContainsFunc(r.policies, func(o *meshsec.AuthorizationPolicy) bool {
				return o.Spec.Action == security.AuthorizationPolicy_ALLOW && len(o.Spec.Rules) > 0 && r.meet(authPolicy(o), authPolicy(p))
			}) {
				r.add("deny-all", labs.Finding{Because: r.called("AuthorizationPolicy", p) + " has action ALLOW and no rules, so it allows nothing, and no other policy allows anything", Nearest: "one empty rule, - {}, fits every request", Look: look})
			}
		}
	}
}

// principals finds callers that cannot exist.
func (r *meshReading) principals() {
	for _, p := range own(r, r.policies) {
		for _, rule := range p.Spec.Rules {
			for _, from := range rule.GetFrom() {
				source := from.GetSource()
				for _, name := range slices.Concat(source.GetPrincipals(), source.GetNotPrincipals()) {
					r.principal(p, name)
				}
				for _, name := range slices.Concat(source.GetNamespaces(), source.GetNotNamespaces()) {
					r.sourceNamespace(p, name)
				}
				for _, name := range slices.Concat(source.GetServiceAccounts(), source.GetNotServiceAccounts()) {
					namespace, account, slash := strings.Cut(name, "/")
					if !slash {
						namespace, account = p.Namespace, name
					}
					r.account(p, name, namespace, account, "serviceAccounts")
				}
			}
		}
	}
}

// principal reads trust-domain/ns/NAMESPACE/sa/ACCOUNT, of which * may replace an end.
func (r *meshReading) principal(p *meshsec.AuthorizationPolicy, name string) {
	parts := strings.Split(name, "/")
	shaped := len(parts) == 5 && parts[1] == "ns" && parts[3] == "sa"
	switch {
	case name == "" || strings.HasPrefix(name, "*") && !shaped || strings.HasSuffix(name, "*"):
	case shaped:
		if parts[0] == "cluster.local" || parts[0] == "*" {
			r.account(p, name, parts[2], parts[4], "principals")
		}
	default:
		f := labs.Finding{Because: fmt.Sprintf("%s names the principal %s, and a principal is written cluster.local/ns/NAMESPACE/sa/ACCOUNT", r.called("AuthorizationPolicy", p), name), Look: r.yaml("AuthorizationPolicy", p)}
		bare := strings.TrimPrefix(name, "spiffe://")
		if bare != name {
			f.Nearest = "without spiffe:// before it: " + bare
		} else if slices.ContainsFunc(r.accounts, func(a corev1.ServiceAccount) bool { return a.Name == name && a.Namespace == p.Namespace }) {
			f.Nearest = "cluster.local/ns/" + p.Namespace + "/sa/" + name
		}
		r.add("principal", f)
	}
}

// account finds a ServiceAccount that does not exist; default is there in every namespace.
func (r *meshReading) account(p *meshsec.AuthorizationPolicy, said, namespace, account, field string) {
	if strings.Contains(namespace+account, "*") || len(r.accounts) == 0 {
		return
	}
	if _, exists := r.namespaceLabels(namespace); !exists && len(r.namespaces) > 0 {
		r.missingNamespace(p, said, namespace, field)
		return
	}
	var here, everywhere []string
	for _, a := range r.accounts {
		if a.Namespace == namespace {
			here = append(here, a.Name)
		}
		if a.Name == account {
			everywhere = append(everywhere, a.Namespace)
		}
	}
	if account == "default" || slices.Contains(here, account) {
		return
	}
	f := labs.Finding{Because: fmt.Sprintf("%s names %s (%s), and there is no ServiceAccount %s in namespace %s", r.called("AuthorizationPolicy", p), said, field, account, namespace),
		Look: r.look("get serviceaccounts", namespace, "")}
	if near := labs.Nearest(account, here); near != "" {
		f.Nearest = "there is one called " + near
	} else if slices.Sort(everywhere); len(everywhere) > 0 {
		f.Nearest = "there is one in namespace " + listed(everywhere)
	}
	r.add("principal", f)
}

func (r *meshReading) sourceNamespace(p *meshsec.AuthorizationPolicy, name string) {
	if _, exists := r.namespaceLabels(name); !exists && name != "" && !strings.Contains(name, "*") && len(r.namespaces) > 0 {
		r.missingNamespace(p, name, name, "namespaces")
	}
}

func (r *meshReading) missingNamespace(p *meshsec.AuthorizationPolicy, said, namespace, field string) {
	var all []string
	for i := range r.namespaces {
		all = append(all, r.namespaces[i].Name)
	}
	f := labs.Finding{Because: fmt.Sprintf("%s names %s (%s), and there is no namespace %s", r.called("AuthorizationPolicy", p), said, field, namespace), Look: "`kubectl get namespaces`"}
	if near := labs.Nearest(namespace, all); near != "" {
		f.Nearest = "there is one called " + near
	}
	r.add("principal", f)
}
