package checker

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/kindlab/kindlab/labs"
	api "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"
	meshnet "istio.io/client-go/pkg/apis/networking/v1"
	meshsec "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
)

// peerMode is how a pod takes connections on one of its ports, and the object that says
// so: nil when nobody does, and then it takes both kinds.
func (r *meshReading) peerMode(p *corev1.Pod, port int) (security.PeerAuthentication_MutualTLS_Mode, *meshsec.PeerAuthentication) {
	var levels [3]*meshsec.PeerAuthentication // the pod's, its namespace's, the mesh's
	for _, o := range r.peers {
		level := -1
		switch wanted := o.Spec.Selector.GetMatchLabels(); {
		case len(wanted) > 0 && o.Namespace == p.Namespace && len(withLabels([]*corev1.Pod{p}, wanted)) == 1:
			level = 0
		case len(wanted) == 0 && o.Namespace == p.Namespace:
			level = 1
		case len(wanted) == 0 && o.Namespace == meshRoot:
			level = 2
		}
		if level >= 0 && (levels[level] == nil || older(o, levels[level])) {
			levels[level] = o
		}
	}
	if o := levels[0]; o != nil {
		if mode := o.Spec.PortLevelMtls[uint32(port)].GetMode(); mode != security.PeerAuthentication_MutualTLS_UNSET {
			return mode, o
		}
	}
	for _, o := range levels {
		if o != nil && o.Spec.Mtls.GetMode() != security.PeerAuthentication_MutualTLS_UNSET {
			return o.Spec.Mtls.GetMode(), o
		}
	}
	return security.PeerAuthentication_MutualTLS_PERMISSIVE, nil
}

// A meshTLS is how a DestinationRule lets callers connect.
type meshTLS struct {
	mode  api.ClientTLSSettings_TLSmode
	where string
	port  uint32 // 0 is every port
	sub   *api.Subset
}

func modesOf(d *meshnet.DestinationRule) []meshTLS {
	var out []meshTLS
	add := func(p *api.TrafficPolicy, where string, sub *api.Subset) {
		if p.GetTls() != nil {
			out = append(out, meshTLS{p.GetTls().GetMode(), where, 0, sub})
		}
		for _, port := range p.GetPortLevelSettings() {
			if port.GetTls() != nil {
				out = append(out, meshTLS{port.GetTls().GetMode(), fmt.Sprintf("%s port %d", where, port.GetPort().GetNumber()), port.GetPort().GetNumber(), sub})
			}
		}
	}
	add(d.Spec.GetTrafficPolicy(), "", nil)
	for _, sub := range d.Spec.Subsets {
		add(sub.GetTrafficPolicy(), " subset "+sub.GetName(), sub)
	}
	return out
}

// tlsAgainst finds callers that connect in a way which the pods do not take.
func (r *meshReading) tlsAgainst() {
	for _, d := range own(r, r.destinationRules) {
		s := r.service(fullHost(d.Spec.Host, d.Namespace))
		behind, known := r.podsBehind(s)
		if !known {
			continue
		}
		all := modesOf(d)
		for _, t := range all {
			pods := behind
			if t.sub != nil {
				pods = withLabels(behind, t.sub.GetLabels())
			}
			ports := slices.DeleteFunc(tcpPorts(s), func(p corev1.ServicePort) bool {
				hasOwn := func(o meshTLS) bool { return o.sub == t.sub && o.port == uint32(p.Port) }
				return t.port != 0 && uint32(p.Port) != t.port || t.port == 0 && slices.ContainsFunc(all, hasOwn)
			})
			r.tlsOn(d, s, t, pods, ports)
		}
	}
}

// tlsOn compares one way to connect with pods, which must all take it.
func (r *meshReading) tlsOn(d *meshnet.DestinationRule, s *corev1.Service, t meshTLS, pods []*corev1.Pod, ports []corev1.ServicePort) {
	called := r.called("DestinationRule", d)
	with := proxied(pods)
	if mutual := t.mode == api.ClientTLSSettings_ISTIO_MUTUAL; mutual && len(pods) > 0 && len(with) == 0 && !slices.ContainsFunc(pods, r.ambient) {
		r.add("tls", labs.Finding{Because: fmt.Sprintf("%s%s has tls mode ISTIO_MUTUAL, and the pods of Service %s have no proxy to answer it", called, t.where, r.inNamespace(s.Name, s.Namespace)), Look: r.yaml("DestinationRule", d)})
		return
	}
	for _, port := range ports {
		var by *meshsec.PeerAuthentication
		mode, same := security.PeerAuthentication_MutualTLS_UNSET, len(with) > 0 && len(with) == len(pods)
		for _, p := range with {
			is, o := r.peerMode(p, podPort(port, with))
			same = same && o != nil && (by == nil || is == mode)
			mode, by = is, o
		}
		if !same {
			continue
		}
		says := fmt.Sprintf("%s%s has tls mode %s, and %s", called, t.where, t.mode, r.called("PeerAuthentication", by))
		switch mutual := t.mode == api.ClientTLSSettings_ISTIO_MUTUAL; {
		case mode == security.PeerAuthentication_MutualTLS_STRICT && !mutual:
			r.add("tls", labs.Finding{Because: fmt.Sprintf("%s lets the pods of Service %s take only the mesh's own mutual TLS (STRICT)", says, r.inNamespace(s.Name, s.Namespace)),
				Nearest: "that is tls mode ISTIO_MUTUAL, also when no mode is said", Look: r.yaml("DestinationRule", d)})
		case mode == security.PeerAuthentication_MutualTLS_DISABLE && mutual:
			r.add("tls", labs.Finding{Because: fmt.Sprintf("%s lets the pods of Service %s take no mutual TLS (DISABLE)", says, r.inNamespace(s.Name, s.Namespace)), Look: r.yaml("PeerAuthentication", by)})
		default:
			continue
		}
		return
	}
}

func (r *meshReading) ambient(p *corev1.Pod) bool {
	l, _ := r.namespaceLabels(p.Namespace)
	return p.Labels[ambientMode] == "ambient" || l[ambientMode] == "ambient"
}

// strictWithoutProxy finds callers that are locked out by their own namespace: without a
// proxy nobody can call a pod that takes only mutual TLS. Who is behind a Service may
// only answer, so a caller is who is behind none.
func (r *meshReading) strictWithoutProxy() {
	bare := slices.DeleteFunc(r.bare(), func(p *corev1.Pod) bool { return len(r.servicesOf([]*corev1.Pod{p})) > 0 })
	if len(bare) == 0 {
		return
	}
	// Who is behind a Service is more likely to be called than who is behind none.
	pods := proxied(r.podsOf(r.namespace, nil))
	slices.SortStableFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Compare(min(1, len(r.servicesOf([]*corev1.Pod{b}))), min(1, len(r.servicesOf([]*corev1.Pod{a}))))
	})
	for _, p := range pods {
		// A pod may still have a port that is open to all.
		mode, by := r.peerMode(p, 0)
		if mode != security.PeerAuthentication_MutualTLS_STRICT || len(by.Spec.PortLevelMtls) > 0 {
			continue
		}
		r.add("strict", labs.Finding{Because: fmt.Sprintf("%s takes only mutual TLS (STRICT), and pod %s has no proxy, so it cannot call pod %s", r.called("PeerAuthentication", by), bare[0].Name, p.Name),
			Look: r.look("get pods", r.namespace, "")})
		return
	}
}

// identityWithoutTLS finds policies that ask who calls, where nobody says so: only mutual
// TLS carries a name.
func (r *meshReading) identityWithoutTLS() {
	for _, p := range own(r, r.policies) {
		field := asksForIdentity(p)
		pods := proxied(r.podsUnder(authPolicy(p)))
		if field == "" || len(pods) == 0 || len(targetsOf(p)) > 0 || p.Spec.Action != security.AuthorizationPolicy_ALLOW {
			continue
		}
		var by *meshsec.PeerAuthentication
		if slices.ContainsFunc(pods, func(pod *corev1.Pod) bool {
			mode, o := r.peerMode(pod, 0)
			by = o
			return mode != security.PeerAuthentication_MutualTLS_DISABLE || len(o.Spec.PortLevelMtls) > 0
		}) {
			continue
		}
		r.add("identity", labs.Finding{Because: fmt.Sprintf("%s asks who calls (%s), and %s lets its pods take no mutual TLS (DISABLE), without which nobody has a name", r.called("AuthorizationPolicy", p), field, r.called("PeerAuthentication", by)),
			Look: r.yaml("PeerAuthentication", by)})
	}
}

// asksForIdentity is the field in which every rule of a policy needs to know the caller; "" for none.
func asksForIdentity(p *meshsec.AuthorizationPolicy) string {
	field := ""
	for _, rule := range p.Spec.Rules {
		if len(rule.GetFrom()) == 0 {
			return ""
		}
		for _, from := range rule.GetFrom() {
			switch s := from.GetSource(); {
			case len(s.GetPrincipals()) > 0:
				field = "principals"
			case len(s.GetNamespaces()) > 0:
				field = "namespaces"
			case len(s.GetServiceAccounts()) > 0:
				field = "serviceAccounts"
			default:
				return ""
			}
		}
	}
	return field
}
