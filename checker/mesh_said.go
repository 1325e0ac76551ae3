package checker

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	meshnet "istio.io/client-go/pkg/apis/networking/v1"
	meshsec "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const (
	meshRoot  = "istio-system" // what is written here is for every namespace
	meshProxy = "istio-proxy"  // the container that makes a pod part of the mesh
	meshName  = "mesh"         // the gateway that means all proxies of pods

	meshGateways = "gateways.networking.istio.io"
)

// meshObjects is what there is at one moment, of all namespaces: a name that is not
// in it counts as one that does not exist. Without any accounts, none is missed.
type meshObjects struct {
	namespaces       []corev1.Namespace
	services         []corev1.Service
	pods             []corev1.Pod
	accounts         []corev1.ServiceAccount
	virtualServices  []*meshnet.VirtualService
	destinationRules []*meshnet.DestinationRule
	gateways         []*meshnet.Gateway
	serviceEntries   []*meshnet.ServiceEntry
	sidecars         []*meshnet.Sidecar
	peers            []*meshsec.PeerAuthentication
	requests         []*meshsec.RequestAuthentication
	policies         []*meshsec.AuthorizationPolicy
}

// A meshFault is one thing that is wrong with what somebody wrote.
type meshFault struct {
	rule    string
	finding labs.Finding
}

// meshReading is a snapshot read for one namespace: only what is in it is judged, and
// the rest is what it refers to.
type meshReading struct {
	meshObjects
	namespace string
	found     []meshFault
}

// faults are what is wrong in a namespace, the nearest cause first: without a proxy no
// rule counts, a name that leads nowhere comes before what happens behind it, and what
// works, but not as it reads, comes last.
func (m meshObjects) faults(namespace string) []meshFault {
	r := &meshReading{meshObjects: m, namespace: namespace}
	for _, rules := range []func(){
		r.withoutProxy,
		r.hostsAndDestinations, r.delegates, r.entries, r.ruleHosts, r.hidden,
		r.gatewayNames, r.gatewayPods, r.gatewayHosts, r.withoutMesh,
		r.subsets, r.ports, r.matchPorts, r.protocols,
		r.sameHost, r.sameRule,
		r.weights, r.unreachable, r.faultAndTimeout, r.retries, r.ejection,
		r.tlsAgainst, r.strictWithoutProxy,
		r.selectors, r.targets, r.denyAll, r.principals, r.identityWithoutTLS, r.policyPorts, r.tokensUnread, r.tokensUnasked,
		r.unboundGateways, r.portNames,
	} {
		rules()
	}
	return r.found
}

// add notes a fault. The words of an attendee's objects may be anything, so they are clipped.
func (r *meshReading) add(rule string, f labs.Finding) {
	f.Because, f.Nearest = clip(f.Because, 400), clip(f.Nearest, 200)
	if !slices.ContainsFunc(r.found, func(other meshFault) bool { return other.rule == rule && other.finding == f }) {
		r.found = append(r.found, meshFault{rule, f})
	}
}

// look is a kubectl command for something of a namespace.
func (r *meshReading) look(words, namespace, more string) string {
	return command(&Target{Namespace: r.namespace}, "kubectl "+words, namespace, more)
}

// yaml is the command that shows an object as it is written. Two API groups have
// gateways, and kubectl is told which.
func (r *meshReading) yaml(kind string, o metav1.Object) string {
	word := resourceWord(kind)
	if kind == "Gateway" {
		word = meshGateways
	}
	return r.look("get "+word+" "+clip(o.GetName(), 80), o.GetNamespace(), "-o yaml")
}

// called is an object in a sentence, with its namespace when that is another.
func (r *meshReading) called(kind string, o metav1.Object) string {
	return kind + " " + r.inNamespace(o.GetName(), o.GetNamespace())
}

func (r *meshReading) inNamespace(name, namespace string) string {
	if namespace == r.namespace {
		return name
	}
	return name + " in namespace " + namespace
}

// own are the objects of the namespace that is read.
func own[T metav1.Object](r *meshReading, all []T) []T { return within(all, r.namespace) }

func within[T metav1.Object](all []T, namespace string) []T {
	var out []T
	for _, o := range all {
		if o.GetNamespace() == namespace {
			out = append(out, o)
		}
	}
	return out
}

func names[T metav1.Object](all []T) []string {
	var out []string
	for _, o := range all {
		out = append(out, o.GetName())
	}
	return out
}

// older reports whether a counts where only one of two objects can: the older, and of
// those that are of the same second, as when one file has both, the first by name.
func older(a, b metav1.Object) bool {
	at, bt := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if !at.Equal(&bt) {
		return at.Before(&bt)
	}
	return cmp.Or(cmp.Compare(a.GetName(), b.GetName()), cmp.Compare(a.GetNamespace(), b.GetNamespace())) < 0
}

// theOne is the object that counts of two, with the reason.
func theOne(first, second metav1.Object) string {
	at, bt := first.GetCreationTimestamp(), second.GetCreationTimestamp()
	if at.Equal(&bt) {
		return "the first by name, " + first.GetName()
	}
	return "the older, " + first.GetName()
}

// shown reports whether what an object of namespace home exports can be seen from another.
func shown(exportTo []string, home, from string) bool {
	return len(exportTo) == 0 || slices.Contains(exportTo, "*") || slices.Contains(exportTo, from) ||
		home == from && slices.Contains(exportTo, ".")
}

// namespaceLabels are those of a namespace; false when there is no such namespace.
func (r *meshReading) namespaceLabels(name string) (map[string]string, bool) {
	for i := range r.namespaces {
		if r.namespaces[i].Name == name {
			return r.namespaces[i].Labels, true
		}
	}
	return nil, false
}

// podsOf are the pods of a namespace, or of all with "", that have labels and have not
// ended. Nobody selects with an empty selector here: it is every pod.
func (r *meshReading) podsOf(namespace string, selector map[string]string) []*corev1.Pod {
	var out []*corev1.Pod
	selects := labels.SelectorFromSet(selector)
	for i := range r.pods {
		p := &r.pods[i]
		if (namespace == "" || p.Namespace == namespace) && !over(*p) && selects.Matches(labels.Set(p.Labels)) {
			out = append(out, p)
		}
	}
	return out
}

func readyOnly(pods []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool { return !isReady(p) })
}

func proxied(pods []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool { return !hasProxy(p) })
}

// labelsOf are the labels that pods were given. Those that the mesh adds, mostly the same
// words once more, are nobody's.
func labelsOf(pods []*corev1.Pod) []map[string]string {
	var out []map[string]string
	for _, p := range pods {
		given := maps.Clone(p.Labels)
		maps.DeleteFunc(given, func(key, _ string) bool {
			domain, _, slash := strings.Cut(key, "/")
			return slash && strings.HasSuffix(domain, "istio.io")
		})
		out = append(out, given)
	}
	return out
}

// hasProxy looks among the init containers too: there a proxy that starts first is kept.
func hasProxy(p *corev1.Pod) bool {
	is := func(c corev1.Container) bool { return c.Name == meshProxy }
	return slices.ContainsFunc(p.Spec.Containers, is) || slices.ContainsFunc(p.Spec.InitContainers, is)
}

// isGateway reports whether a pod is nothing but a proxy.
func isGateway(p *corev1.Pod) bool {
	return len(p.Spec.Containers) == 1 && p.Spec.Containers[0].Name == meshProxy
}

// counted is a number with its noun: 1 pod, 2 pods, 3 proxies.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
