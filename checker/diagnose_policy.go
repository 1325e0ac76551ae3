package checker

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// A policyView is what network policies look at: two pods, their namespaces'
// labels and the port. See "Network Policies" in the documentation of Kubernetes.
type policyView struct {
	ctx      context.Context
	k        *kube
	t        *Target
	from, to *corev1.Pod // from is nil for the probe
	port     int         // of the pod, not of its Service
	portName string
	service  int // the Service's port; 0 without one
}

// view is what policies decide about a destination; false when there is no pod behind it.
func view(ctx context.Context, k *kube, t *Target, from *corev1.Pod, to destination) (policyView, bool) {
	pods, port, name := podsBehind(ctx, k, t, to)
	if len(pods) == 0 {
		return policyView{}, false
	}
	v := policyView{ctx: ctx, k: k, t: t, from: from, to: &pods[0], port: port, portName: name}
	if to.Service != "" {
		v.service = to.port()
	}
	return v, true
}

// whyBlocked is the policy that keeps somebody from a destination, and how nearly it
// allows it. kind is how the request failed.
func whyBlocked(ctx context.Context, k *kube, t *Target, from *corev1.Pod, to destination, kind string) labs.Finding {
	v, ok := view(ctx, k, t, from, to)
	if from != nil && kind == kindDNS {
		if f := (policyView{ctx: ctx, k: k, t: t, from: from}).noDNS(); f.Because != "" {
			return f
		}
	}
	if !ok {
		return labs.Finding{}
	}
	if from != nil {
		if f := v.side(networkingv1.PolicyTypeEgress); f.Because != "" {
			return f
		}
		ruledOut(ctx, "no policy keeps pod %s from sending there", from.Name)
	}
	if f := v.side(networkingv1.PolicyTypeIngress); f.Because != "" {
		return f
	}
	ruledOut(ctx, "no policy keeps pod %s from receiving it", v.to.Name)
	return labs.Finding{}
}

// policiesOf are those that select a pod for a direction.
func (v policyView) policiesOf(pod *corev1.Pod, direction networkingv1.PolicyType) []networkingv1.NetworkPolicy {
	list, err := v.k.typed.NetworkingV1().NetworkPolicies(pod.Namespace).List(v.ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(list.Items, func(p networkingv1.NetworkPolicy) bool {
		return !fits(&p.Spec.PodSelector, pod.Labels) || !slices.Contains(p.Spec.PolicyTypes, direction)
	})
}

// fits reports whether a selector means an object with these labels.
func fits(s *metav1.LabelSelector, l map[string]string) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(labels.Set(l))
}

// A policyRule is a rule of either direction.
type policyRule struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

func rulesOf(p networkingv1.NetworkPolicy, direction networkingv1.PolicyType) []policyRule {
	var out []policyRule
	if direction == networkingv1.PolicyTypeIngress {
		for _, r := range p.Spec.Ingress {
			out = append(out, policyRule{r.From, r.Ports})
		}
		return out
	}
	for _, r := range p.Spec.Egress {
		out = append(out, policyRule{r.To, r.Ports})
	}
	return out
}

// side is the finding when policies of one direction do not allow it.
func (v policyView) side(direction networkingv1.PolicyType) labs.Finding {
	own, other, what := v.to, v.from, "who may talk to"
	if direction == networkingv1.PolicyTypeEgress {
		own, other, what = v.from, v.to, "whom may be asked by"
	}
	policies := v.policiesOf(own, direction)
	if len(policies) == 0 {
		return labs.Finding{}
	}
	var best labs.Finding
	for _, p := range policies {
		step(v.ctx, "NetworkPolicy %s limits %s pod %s", p.Name, what, own.Name)
		look := command(v.t, "kubectl describe networkpolicy "+p.Name, own.Namespace, "")
		rules := rulesOf(p, direction)
		if len(rules) == 0 && best.Because == "" {
			verb := "lets nobody in"
			if direction == networkingv1.PolicyTypeEgress {
				verb = "lets nothing out"
			}
			best = labs.Finding{Because: fmt.Sprintf("NetworkPolicy %s selects pod %s and %s: it has no rule", p.Name, own.Name, verb), Look: look}
		}
		for _, r := range rules {
			near, allowed := v.rule(r, other, own.Namespace)
			if allowed {
				return labs.Finding{}
			}
			if near != "" {
				best = labs.Finding{Because: fmt.Sprintf("NetworkPolicy %s %s", p.Name, near), Look: look}
			} else if best.Because == "" {
				best = labs.Finding{Because: fmt.Sprintf("NetworkPolicy %s limits %s pod %s, and no rule of it fits", p.Name, what, own.Name), Look: look}
			}
		}
	}
	if f := v.wrongPlace(direction); f.Because != "" {
		return f
	}
	return best
}

// rule reports whether a rule allows it; near says what is missing for that.
func (v policyView) rule(r policyRule, other *corev1.Pod, namespace string) (near string, allowed bool) {
	port, portSays := v.fitsPort(r.ports)
	peer, peerSays := len(r.peers) == 0, ""
	for _, p := range r.peers {
		ok, says := v.fitsPeer(p, other, namespace)
		peer = peer || ok
		if says != "" {
			peerSays = says
		}
	}
	switch {
	case peer && port:
		return "", true
	case peer:
		return portSays, false
	case port:
		return peerSays, false
	}
	return "", false
}

func (v policyView) fitsPort(ports []networkingv1.NetworkPolicyPort) (ok bool, says string) {
	if len(ports) == 0 {
		return true, ""
	}
	var listedPorts []string
	for _, p := range ports {
		if p.Protocol != nil && *p.Protocol != corev1.ProtocolTCP {
			listedPorts = append(listedPorts, string(*p.Protocol))
			continue
		}
		if p.Port == nil {
			return true, ""
		}
		listedPorts = append(listedPorts, p.Port.String())
		number := int(p.Port.IntVal)
		switch {
		case p.Port.Type == intstr.String && p.Port.StrVal == v.portName && v.portName != "",
			p.Port.Type == intstr.Int && (number == v.port || p.EndPort != nil && number <= v.port && v.port <= int(*p.EndPort)):
			return true, ""
		case p.Port.Type == intstr.Int && number == v.service && v.service != v.port:
			return false, fmt.Sprintf("allows port %d, which is the Service's: policies are about the pod's port, %d", number, v.port)
		}
	}
	return false, fmt.Sprintf("allows port %s, and not %d", strings.Join(listedPorts, ", "), v.port)
}

func (v policyView) fitsPeer(p networkingv1.NetworkPolicyPeer, other *corev1.Pod, namespace string) (ok bool, says string) {
	if p.IPBlock != nil {
		return other != nil && inBlock(p.IPBlock, other.Status.PodIP), fmt.Sprintf("allows the addresses %s", p.IPBlock.CIDR)
	}
	if other == nil {
		return false, "" // the probe is nobody of the lab
	}
	podFits := p.PodSelector == nil || fits(p.PodSelector, other.Labels)
	namespaceFits := p.NamespaceSelector == nil && other.Namespace == namespace
	if p.NamespaceSelector != nil {
		ns, err := v.k.typed.CoreV1().Namespaces().Get(v.ctx, other.Namespace, metav1.GetOptions{})
		namespaceFits = err == nil && fits(p.NamespaceSelector, ns.Labels)
	}
	switch {
	case podFits && namespaceFits:
		return true, ""
	case podFits && p.NamespaceSelector == nil:
		return false, fmt.Sprintf("allows such pods of its own namespace only, and pod %s is in %s: a rule without namespaceSelector means no other", other.Name, other.Namespace)
	case podFits:
		return false, fmt.Sprintf("allows pods of namespaces with %s, and %s has not that label", metav1.FormatLabelSelector(p.NamespaceSelector), other.Namespace)
	case namespaceFits && p.PodSelector != nil:
		says = fmt.Sprintf("allows pods with %s, and pod %s has %s", metav1.FormatLabelSelector(p.PodSelector), other.Name, labelText(other.Labels))
	}
	return false, says
}

func inBlock(b *networkingv1.IPBlock, address string) bool {
	ip := net.ParseIP(address)
	in := func(cidr string) bool {
		_, n, err := net.ParseCIDR(cidr)
		return err == nil && n.Contains(ip)
	}
	return in(b.CIDR) && !slices.ContainsFunc(b.Except, in)
}

// wrongPlace finds a policy that would allow it, were it in the namespace of the
// pod that it is about.
func (v policyView) wrongPlace(direction networkingv1.PolicyType) labs.Finding {
	own, other := v.to, v.from
	if direction == networkingv1.PolicyTypeEgress {
		own, other = v.from, v.to
	}
	if other == nil || other.Namespace == own.Namespace {
		return labs.Finding{}
	}
	list, err := v.k.typed.NetworkingV1().NetworkPolicies(other.Namespace).List(v.ctx, metav1.ListOptions{})
	if err != nil {
		return labs.Finding{}
	}
	for _, p := range list.Items {
		if fits(&p.Spec.PodSelector, own.Labels) && len(rulesOf(p, direction)) > 0 && len(own.Labels) > 0 && len(p.Spec.PodSelector.MatchLabels) > 0 {
			return labs.Finding{Because: fmt.Sprintf("NetworkPolicy %s is in namespace %s, and the pods that it is to open are in %s", p.Name, p.Namespace, own.Namespace),
				Look: command(v.t, "kubectl get networkpolicies", p.Namespace, "")}
		}
	}
	return labs.Finding{}
}

// whyLetIn says why somebody who must be blocked is not.
func whyLetIn(ctx context.Context, k *kube, t *Target, from *corev1.Pod, to destination) labs.Finding {
	v, ok := view(ctx, k, t, from, to)
	if !ok {
		return labs.Finding{}
	}
	look := command(t, "kubectl get networkpolicies", v.to.Namespace, "")
	policies := v.policiesOf(v.to, networkingv1.PolicyTypeIngress)
	if len(policies) == 0 {
		f := labs.Finding{Because: fmt.Sprintf("no NetworkPolicy limits who may talk to pod %s", v.to.Name), Look: look}
		list, err := k.typed.NetworkingV1().NetworkPolicies(v.to.Namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return f
		}
		for _, p := range list.Items {
			switch {
			case !fits(&p.Spec.PodSelector, v.to.Labels):
				f.Because = fmt.Sprintf("NetworkPolicy %s selects %s, and pod %s has %s", p.Name, metav1.FormatLabelSelector(&p.Spec.PodSelector), v.to.Name, labelText(v.to.Labels))
				f.Look = command(t, "kubectl describe networkpolicy "+p.Name, p.Namespace, "")
			case !slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress):
				f.Because = fmt.Sprintf("NetworkPolicy %s selects pod %s, and its policyTypes say only %s", p.Name, v.to.Name, p.Spec.PolicyTypes[0])
				f.Look = command(t, "kubectl describe networkpolicy "+p.Name, p.Namespace, "")
				return f
			}
		}
		return f
	}
	for _, p := range policies {
		for _, r := range rulesOf(p, networkingv1.PolicyTypeIngress) {
			if _, allowed := v.rule(r, from, v.to.Namespace); !allowed {
				continue
			}
			f := labs.Finding{Because: fmt.Sprintf("a rule of NetworkPolicy %s allows it", p.Name), Look: command(t, "kubectl describe networkpolicy "+p.Name, p.Namespace, "")}
			switch {
			case len(r.peers) == 0:
				f.Because += ": it has no from, so it is for everybody"
			case slices.ContainsFunc(r.peers, func(p networkingv1.NetworkPolicyPeer) bool {
				return p.PodSelector == nil && p.NamespaceSelector != nil
			}):
				f.Because += ": it is for all pods of a namespace"
			}
			step(ctx, "%s", f.Because)
			return f
		}
	}
	return labs.Finding{Because: "by its policies it should not be: they may not be in force yet, or this cluster's network does not enforce them", Look: look}
}
