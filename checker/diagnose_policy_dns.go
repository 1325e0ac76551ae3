package checker

import (
	"fmt"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// noDNS is the finding when policies keep a pod from the cluster's DNS.
func (v policyView) noDNS() labs.Finding {
	policies := v.policiesOf(v.from, networkingv1.PolicyTypeEgress)
	if len(policies) == 0 {
		return labs.Finding{}
	}
	v.to = v.dnsPod()
	name, lacks, closed := policies[0].Name, "", true
	for _, p := range policies {
		for _, r := range rulesOf(p, networkingv1.PolicyTypeEgress) {
			closed = false
			near, allowed := v.letsAskDNS(r)
			if allowed {
				return labs.Finding{}
			}
			if near != "" && lacks == "" {
				name, lacks = p.Name, near
			}
		}
	}
	step(v.ctx, "pod %s cannot look up names", v.from.Name)
	f := labs.Finding{Because: fmt.Sprintf("NetworkPolicy %s limits whom pod %s may ask, and does not allow DNS (port 53 of the pods in kube-system)", name, v.from.Name),
		Look: command(v.t, "kubectl describe networkpolicy "+name, v.from.Namespace, "")}
	switch {
	case closed:
		f.Because = fmt.Sprintf("NetworkPolicy %s selects pod %s and lets nothing out: it has no rule", name, v.from.Name)
	case lacks != "":
		f.Because = fmt.Sprintf("NetworkPolicy %s %s", name, lacks)
	}
	return f
}

// dnsPod is a pod of the cluster's DNS, nil when none can be seen.
func (v policyView) dnsPod() *corev1.Pod {
	list, err := v.k.typed.CoreV1().Pods(metav1.NamespaceSystem).List(v.ctx, metav1.ListOptions{LabelSelector: "k8s-app=kube-dns"})
	if err != nil || len(list.Items) == 0 {
		return nil
	}
	return &list.Items[0]
}

// letsAskDNS reports whether a rule lets a pod ask the DNS; near says what is missing
// for that. A DNS that cannot be seen counts as meant by any rule about its port.
func (v policyView) letsAskDNS(r policyRule) (near string, allowed bool) {
	port, udp := len(r.ports) == 0, len(r.ports) == 0
	for _, p := range r.ports {
		if p.Port == nil || p.Port.IntVal == 53 || p.Port.StrVal == "dns" {
			port, udp = true, udp || p.Protocol != nil && *p.Protocol == corev1.ProtocolUDP
		}
	}
	peer := len(r.peers) == 0 || v.to == nil && len(r.ports) > 0
	for _, p := range r.peers {
		if ok, _ := v.fitsPeer(p, v.to, v.from.Namespace); ok {
			peer = true
		}
	}
	switch {
	case peer && udp:
		return "", true
	case peer && port:
		return "allows port 53 of TCP only, and the DNS is asked by UDP", false
	case port && len(r.ports) > 0:
		return "allows port 53, and not to the pods of the DNS, which are in kube-system", false
	}
	return "", false
}
