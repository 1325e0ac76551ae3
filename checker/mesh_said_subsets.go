package checker

import (
	"fmt"
	"maps"
	"slices"

	"github.com/kindlab/kindlab/labs"
	api "istio.io/api/networking/v1alpha3"
	meshnet "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func withLabels(pods []*corev1.Pod, wanted map[string]string) []*corev1.Pod {
	selects := labels.SelectorFromSet(wanted)
	return slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool { return !selects.Matches(labels.Set(p.Labels)) })
}

// rulesFor are the DestinationRules for a full host, in any namespace.
func (r *meshReading) rulesFor(host string) []*meshnet.DestinationRule {
	var out []*meshnet.DestinationRule
	for _, d := range r.destinationRules {
		if hostCovers(fullHost(d.Spec.Host, d.Namespace), host) {
			out = append(out, d)
		}
	}
	return out
}

// subsets finds subsets that nobody defines, and those without a pod.
func (r *meshReading) subsets() {
	used := map[*api.Subset]bool{}
	for _, v := range own(r, r.virtualServices) {
		for _, d := range destinations(v) {
			if full := fullHost(d.GetHost(), v.Namespace); d.GetSubset() != "" && r.known(full) {
				r.subset(v, d, full, used)
			}
		}
	}
	for _, d := range own(r, r.destinationRules) {
		for _, sub := range d.Spec.Subsets {
			if !used[sub] {
				r.strangeLabel(d, sub)
			}
		}
	}
}

func (r *meshReading) subset(v *meshnet.VirtualService, d meshDestination, full string, used map[*api.Subset]bool) {
	rules := r.rulesFor(full)
	var defined []string
	hidden := ""
	for _, rule := range rules {
		for _, sub := range rule.Spec.Subsets {
			if sub.GetName() != d.GetSubset() {
				defined = append(defined, sub.GetName())
				continue
			}
			if !shown(rule.Spec.ExportTo, rule.Namespace, v.Namespace) {
				hidden = r.called("DestinationRule", rule)
				continue
			}
			if nearer := r.nearerRule(v, rule, full); nearer != nil {
				r.add("subset", labs.Finding{Because: fmt.Sprintf("%s leads to subset %s of %s, and %s, which is nearer to the callers than %s, does not define it", d.of, d.GetSubset(), d.GetHost(), r.called("DestinationRule", nearer), r.called("DestinationRule", rule)),
					Nearest: "for a caller only one namespace's rules count: its own before the Service's", Look: r.yaml("DestinationRule", nearer)})
			} else if !used[sub] && (d.weight > 0 || d.alone) {
				r.subsetPods(rule, sub, full)
			}
			used[sub] = true
			return
		}
	}
	because := fmt.Sprintf("%s leads to subset %s of %s, and no DestinationRule for this host defines it", d.of, d.GetSubset(), d.GetHost())
	switch near := labs.Nearest(d.GetSubset(), defined); {
	case hidden != "":
		r.add("hidden", labs.Finding{Because: fmt.Sprintf("%s leads to subset %s of %s, and exportTo of %s keeps it from namespace %s", d.of, d.GetSubset(), d.GetHost(), hidden, v.Namespace),
			Look: r.look("get destinationrules", "", "-A")})
	case len(rules) == 0:
		because = fmt.Sprintf("%s leads to subset %s of %s, and there is no DestinationRule for this host", d.of, d.GetSubset(), d.GetHost())
		r.add("subset", labs.Finding{Because: because, Nearest: r.strayRule(d.GetSubset()), Look: r.look("get destinationrules", v.Namespace, "")})
	case near != "":
		r.add("subset", labs.Finding{Because: because, Nearest: fmt.Sprintf("%s has subset %s", r.called("DestinationRule", rules[0]), near), Look: r.yaml("DestinationRule", rules[0])})
	default:
		slices.Sort(defined)
		f := labs.Finding{Because: because, Look: r.yaml("DestinationRule", rules[0])}
		if defined = slices.Compact(defined); len(defined) > 0 {
			f.Nearest = "there is " + listed(defined)
		}
		r.add("subset", f)
	}
}

// nearerRule is a rule in the namespace of a route, and so of its callers, that makes a
// rule of another namespace count for nothing; nil when there is none, and when a
// gateway is among the callers.
func (r *meshReading) nearerRule(v *meshnet.VirtualService, rule *meshnet.DestinationRule, full string) *meshnet.DestinationRule {
	if rule.Namespace == v.Namespace || len(gatewaysOf(v)) > 0 {
		return nil
	}
	for _, o := range within(r.destinationRules, v.Namespace) {
		if fullHost(o.Spec.Host, o.Namespace) == full && o.Spec.WorkloadSelector == nil && !slices.ContainsFunc(r.rulesFor(full), func(other *meshnet.DestinationRule) bool {
			return other.Namespace == v.Namespace && slices.ContainsFunc(other.Spec.Subsets, func(s *api.Subset) bool {
				return slices.ContainsFunc(rule.Spec.Subsets, func(t *api.Subset) bool { return s.GetName() == t.GetName() })
			})
		}) {
			return o
		}
	}
	return nil
}

// strayRule is a rule of the namespace that has the subset, for another host.
func (r *meshReading) strayRule(subset string) string {
	for _, d := range own(r, r.destinationRules) {
		for _, sub := range d.Spec.Subsets {
			if sub.GetName() == subset {
				return fmt.Sprintf("DestinationRule %s defines it for host %s", d.Name, d.Spec.Host)
			}
		}
	}
	return ""
}

// subsetPods finds a subset in use that has no ready pod, where its Service has some.
func (r *meshReading) subsetPods(rule *meshnet.DestinationRule, sub *api.Subset, full string) {
	s := r.service(full)
	behind, known := r.podsBehind(s)
	if !known || len(sub.GetLabels()) == 0 {
		return
	}
	ready := readyOnly(behind)
	if len(ready) == 0 || len(withLabels(ready, sub.GetLabels())) > 0 {
		return
	}
	f := labs.Finding{Because: fmt.Sprintf("subset %s of %s is the pods with %s, and no ready pod of Service %s has that", sub.GetName(), r.called("DestinationRule", rule), labelText(sub.GetLabels()), s.Name),
		Nearest: nearLabels("ready pod", sub.GetLabels(), labelsOf(ready)),
		Look:    r.look("get pods -l "+labelText(s.Spec.Selector), s.Namespace, "--show-labels")}
	if waiting := withLabels(behind, sub.GetLabels()); len(waiting) > 0 {
		f.Nearest = counted(len(waiting), "pod") + " with that label, not ready yet"
	}
	r.add("subset-pods", f)
}

// strangeLabel finds a subset by a label that no pod of the Service has at all. A
// version that is yet to come is no mistake, a key that nobody has is one.
func (r *meshReading) strangeLabel(d *meshnet.DestinationRule, sub *api.Subset) {
	s := r.service(fullHost(d.Spec.Host, d.Namespace))
	behind, known := r.podsBehind(s)
	if !known || len(behind) == 0 {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(sub.GetLabels())) {
		if slices.ContainsFunc(behind, func(p *corev1.Pod) bool { _, has := p.Labels[key]; return has }) {
			continue
		}
		r.add("subset-pods", labs.Finding{Because: fmt.Sprintf("subset %s of %s is the pods with %s, and no pod of Service %s has a label %s", sub.GetName(), r.called("DestinationRule", d), labelText(sub.GetLabels()), s.Name, key),
			Nearest: nearLabels("pod", sub.GetLabels(), labelsOf(behind)),
			Look:    r.look("get pods -l "+labelText(s.Spec.Selector), s.Namespace, "--show-labels")})
		return
	}
}

// sameRule finds DestinationRules that are merged into one, where only one can say a thing.
func (r *meshReading) sameRule() {
	rules := own(r, r.destinationRules)
	for i, a := range rules {
		for _, b := range rules[i+1:] {
			first, second := a, b
			if older(b, a) {
				first, second = b, a
			}
			if fullHost(a.Spec.Host, a.Namespace) != fullHost(b.Spec.Host, b.Namespace) || a.Spec.WorkloadSelector != nil || b.Spec.WorkloadSelector != nil ||
				!slices.Equal(a.Spec.ExportTo, b.Spec.ExportTo) {
				continue
			}
			both := fmt.Sprintf("DestinationRules %s and %s are both for host %s", first.Name, second.Name, first.Spec.Host)
			look := r.look("get destinationrules", first.Namespace, "-o yaml")
			for _, sub := range second.Spec.Subsets {
				if slices.ContainsFunc(first.Spec.Subsets, func(o *api.Subset) bool { return o.GetName() == sub.GetName() }) {
					r.add("same-rule", labs.Finding{Because: fmt.Sprintf("%s and both define subset %s: that of %s, counts", both, sub.GetName(), theOne(first, second)), Look: look})
				}
			}
			if first.Spec.TrafficPolicy != nil && second.Spec.TrafficPolicy != nil {
				r.add("same-rule", labs.Finding{Because: fmt.Sprintf("%s and both have a trafficPolicy: that of %s, counts", both, theOne(first, second)), Look: look})
			}
		}
	}
}
