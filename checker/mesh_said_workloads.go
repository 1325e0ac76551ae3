package checker

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	meshnet "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
)

const (
	injectLabel = "istio-injection"
	revLabel    = "istio.io/rev"
	podInject   = "sidecar.istio.io/inject"
	ambientMode = "istio.io/dataplane-mode"
)

// injects reports whether new pods of a namespace get a proxy, and the label that says so.
func injects(l map[string]string) (label string, yes bool) {
	switch {
	case l[injectLabel] == "enabled":
		return injectLabel + "=enabled", true
	case l[injectLabel] != "":
		return injectLabel + "=" + l[injectLabel], false
	case l[revLabel] != "":
		return revLabel + "=" + l[revLabel], true
	}
	return "", false
}

// podSays is what a pod itself says about its proxy: true, false or nothing.
func podSays(p *corev1.Pod) string {
	if says := p.Labels[podInject]; says != "" {
		return says
	}
	return p.Annotations[podInject]
}

// bare are the pods of the namespace that have no proxy and did not ask for none. Pods
// in the network of their node and those in an ambient mesh need none.
func (r *meshReading) bare() []*corev1.Pod {
	l, _ := r.namespaceLabels(r.namespace)
	return slices.DeleteFunc(r.podsOf(r.namespace, nil), func(p *corev1.Pod) bool {
		mode := p.Labels[ambientMode]
		if mode == "" {
			mode = l[ambientMode]
		}
		return hasProxy(p) || podSays(p) == "false" || p.Spec.HostNetwork || mode == "ambient"
	})
}

// withoutProxy finds pods that the mesh does not reach.
func (r *meshReading) withoutProxy() {
	l, _ := r.namespaceLabels(r.namespace)
	label, yes := injects(l)
	bare := r.bare()
	if len(bare) == 0 || r.namespace == meshRoot || strings.HasPrefix(r.namespace, "kube-") {
		return
	}
	var without []string
	for _, p := range bare {
		without = append(without, p.Name)
	}
	slices.Sort(without)
	have := "has"
	noun := "pod"
	if len(without) > 1 {
		have, noun = "have", "pods"
	}
	f := labs.Finding{Because: fmt.Sprintf("%s %s %s no proxy, though namespace %s gives one to new pods (%s)", noun, listed(without), have, r.namespace, label),
		Nearest: "a pod that is older than the label gets its proxy when it is made again: `kubectl rollout restart deployment`", Look: r.look("get pods", r.namespace, "")}
	if yes {
		r.add("no-proxy", f)
		return
	}
	why := r.needsProxy()
	if why == "" || len(proxied(r.podsOf(r.namespace, nil))) > 0 {
		return
	}
	f = labs.Finding{Because: fmt.Sprintf("namespace %s has no label %s=enabled, so its pods have no proxy, and %s has no effect on them", r.namespace, injectLabel, why), Look: "`kubectl get namespace " + r.namespace + " --show-labels`"}
	if label != "" {
		f.Nearest = "the value that counts is enabled"
		f.Because = fmt.Sprintf("namespace %s has the label %s, so its pods have no proxy, and %s has no effect on them", r.namespace, label, why)
	}
	for _, key := range slices.Sorted(maps.Keys(l)) {
		if near := labs.Nearest(key, []string{injectLabel}); near != "" {
			f.Nearest = fmt.Sprintf("it has %s=%s", key, l[key])
		}
	}
	r.add("no-proxy", f)
}

// needsProxy names an object of the namespace that does nothing to pods without a proxy;
// "" when there is none. What a gateway uses needs none.
func (r *meshReading) needsProxy() string {
	for _, p := range own(r, r.peers) {
		return r.called("PeerAuthentication", p)
	}
	for _, p := range own(r, r.policies) {
		if len(targetsOf(p)) == 0 {
			return r.called("AuthorizationPolicy", p)
		}
	}
	for _, v := range own(r, r.virtualServices) {
		if inMesh(v) && slices.ContainsFunc(v.Spec.Hosts, func(h string) bool {
			s := r.service(fullHost(h, v.Namespace))
			return s != nil && s.Namespace == r.namespace
		}) && !r.calledFromOutside(v) {
			return r.called("VirtualService", v)
		}
	}
	return ""
}

// calledFromOutside reports whether a pod of another namespace may follow a route.
func (r *meshReading) calledFromOutside(v *meshnet.VirtualService) bool {
	return slices.ContainsFunc(proxied(r.podsOf("", nil)), func(p *corev1.Pod) bool {
		return p.Namespace != r.namespace && shown(v.Spec.ExportTo, v.Namespace, p.Namespace) && !isGateway(p)
	})
}
