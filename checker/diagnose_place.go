package checker

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// unschedulable puts the scheduler's sentence into the words of what to change.
func (d diagnosis) unschedulable(p *corev1.Pod, called, says string) labs.Finding {
	f := labs.Finding{Look: d.describe("Pod", p.Name)}
	lacks := regexp.MustCompile(`Insufficient ([\w./-]*\w)`).FindStringSubmatch(says)
	claim := regexp.MustCompile(`persistentvolumeclaim "([^"]+)" not found`).FindStringSubmatch(says)
	switch {
	case claim != nil:
		f.Because = fmt.Sprintf("there is no PersistentVolumeClaim %s, which %s mounts", claim[1], called)
		f.Nearest = d.nearName(ref{APIVersion: "v1", Kind: "PersistentVolumeClaim", Name: claim[1]})
		f.Look = command(d.t, "kubectl get pvc", d.namespace, "")
	case strings.Contains(says, "PersistentVolumeClaims"):
		for _, v := range p.Spec.Volumes {
			if v.PersistentVolumeClaim == nil {
				continue
			}
			if why := d.claim(v.PersistentVolumeClaim.ClaimName, true); why.Because != "" && !strings.Contains(why.Because, "waits for the provisioner") {
				return why
			}
		}
		f.Because = "a PersistentVolumeClaim of " + called + " is not bound to a volume"
		f.Look = command(d.t, "kubectl get pvc", d.namespace, "")
	case lacks != nil:
		f.Because = fmt.Sprintf("no node has enough free %s for %s", lacks[1], called)
		if asks := requested(p, corev1.ResourceName(lacks[1])); asks != "" {
			f.Because += ", which asks for " + asks
		}
	case strings.Contains(says, "didn't match Pod's node affinity/selector"):
		return d.unlabelled(&p.Spec, called, "no free node")
	case strings.Contains(says, "didn't have free ports"):
		f.Because = fmt.Sprintf("%s wants port %s of its node (hostPort), which is taken on every node", called, listed(hostPorts(p)))
	case strings.Contains(says, "existing pods anti-affinity"):
		return d.keptOff(p, called)
	case strings.Contains(says, "anti-affinity"):
		return d.keepsAway(p, called)
	case strings.Contains(says, "pod affinity"):
		return d.beside(p, called)
	case strings.Contains(says, "topology spread constraints"):
		return d.spread(p, called)
	case strings.Contains(says, "were unschedulable"):
		f.Because = "the nodes that could run " + called + " are cordoned"
		f.Look = "`kubectl get nodes`"
	case strings.Contains(says, "untolerated taint"):
		return d.tainted(&p.Spec, called)
	default:
		f.Because = called + " cannot be scheduled: " + clip(says, 200)
	}
	return f
}

// unlabelled explains a pod whose node selector or node affinity fits nowhere: none is
// what has been looked at, such as "no node".
func (d diagnosis) unlabelled(p *corev1.PodSpec, called, none string) labs.Finding {
	f := labs.Finding{Because: "no node has the labels that " + called + " asks for", Look: "`kubectl get nodes --show-labels`"}
	if len(p.NodeSelector) > 0 {
		f.Because = fmt.Sprintf("%s wants a node with %s, and %s has that", called, labelText(p.NodeSelector), none)
		f.Nearest = d.nearNode(p.NodeSelector)
	}
	if wants := affinityText(p); wants != "" {
		f.Because = fmt.Sprintf("the node affinity of %s wants %s, and no node has that", called, wants)
	}
	return f
}

// unplaced is the cause for which no node takes the pods of a DaemonSet: its controller
// leaves out the nodes that do not fit, and says nothing of them.
func (d diagnosis) unplaced(name string) labs.Finding {
	called := "DaemonSet " + name
	f := labs.Finding{Because: "no node fits " + called, Look: d.describe("DaemonSet", name)}
	o, err := d.k.typed.AppsV1().DaemonSets(d.namespace).Get(d.ctx, name, metav1.GetOptions{})
	if err != nil {
		return f
	}
	nodes, err := d.k.typed.CoreV1().Nodes().List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return f
	}
	step(d.ctx, "%s is for none of the %d nodes", called, len(nodes.Items))
	spec := &o.Spec.Template.Spec
	wants := nodeaffinity.GetRequiredNodeAffinity(&corev1.Pod{Spec: *spec})
	for i := range nodes.Items {
		if fits, err := wants.Match(&nodes.Items[i]); err == nil && fits {
			ruledOut(d.ctx, "node %s has the labels that it wants", nodes.Items[i].Name)
			spec.Tolerations = append(spec.Tolerations, tolerated()...)
			return d.tainted(spec, called)
		}
	}
	return d.unlabelled(spec, called, "no node")
}

// tolerated is what the pods of every DaemonSet tolerate.
func tolerated() []corev1.Toleration {
	var out []corev1.Toleration
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeDiskPressure,
		corev1.TaintNodeMemoryPressure, corev1.TaintNodePIDPressure, corev1.TaintNodeUnschedulable} {
		out = append(out, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists})
	}
	return out
}

// tainted is the taint that keeps a pod from the nodes whose labels it wants.
func (d diagnosis) tainted(p *corev1.PodSpec, called string) labs.Finding {
	f := labs.Finding{Because: "every node that could run " + called + " has a taint that it does not tolerate", Look: "`kubectl describe nodes`"}
	nodes, err := d.k.typed.CoreV1().Nodes().List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return f
	}
	wants := nodeaffinity.GetRequiredNodeAffinity(&corev1.Pod{Spec: *p})
	for _, n := range nodes.Items {
		if fits, err := wants.Match(&n); err != nil || !fits {
			continue
		}
		for _, t := range n.Spec.Taints {
			tolerates := func(o corev1.Toleration) bool { return o.ToleratesTaint(klog.Logger{}, &t, true) }
			if t.Effect == corev1.TaintEffectPreferNoSchedule || slices.ContainsFunc(p.Tolerations, tolerates) {
				continue
			}
			f.Because = fmt.Sprintf("node %s has the taint %s, which %s does not tolerate", n.Name, t.ToString(), called)
			f.Look = "`kubectl describe node " + n.Name + "`"
			f.Nearest = nearToleration(p.Tolerations, t)
			return f
		}
	}
	return f
}

// nearToleration is a pod's toleration of a taint's key that is not for the taint, or "".
func nearToleration(all []corev1.Toleration, t corev1.Taint) string {
	for _, o := range all {
		if o.Key == t.Key || nearFit(t.Key, []string{o.Key}) != "" {
			return "it tolerates " + strings.TrimSuffix((&corev1.Taint{Key: o.Key, Value: o.Value, Effect: o.Effect}).ToString(), ":")
		}
	}
	return ""
}

// keepsAway explains a pod whose own anti-affinity leaves no node for it.
func (d diagnosis) keepsAway(p *corev1.Pod, called string) labs.Finding {
	f := labs.Finding{Because: "the anti-affinity of " + called + " leaves no node for it", Look: d.describe("Pod", p.Name)}
	if p.Spec.Affinity == nil || p.Spec.Affinity.PodAntiAffinity == nil {
		return f
	}
	for _, t := range p.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
		if other := d.placed(t.LabelSelector, p.Name); other != nil {
			f.Because = fmt.Sprintf("the anti-affinity of %s forbids a pod with %s on one %s with it, and that leaves no node", called, metav1.FormatLabelSelector(t.LabelSelector), topology(t.TopologyKey))
			f.Nearest = fmt.Sprintf("pod %s is on node %s", other.Name, other.Spec.NodeName)
			return f
		}
	}
	return f
}

// keptOff explains a pod that the anti-affinity of others leaves no node.
func (d diagnosis) keptOff(p *corev1.Pod, called string) labs.Finding {
	f := labs.Finding{Because: "the anti-affinity of other pods leaves no node for " + called, Look: command(d.t, "kubectl get pods", d.namespace, "-o wide")}
	pods, err := d.k.typed.CoreV1().Pods(d.namespace).List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return f
	}
	for _, o := range pods.Items {
		if o.Spec.NodeName == "" || over(o) || o.Spec.Affinity == nil || o.Spec.Affinity.PodAntiAffinity == nil {
			continue
		}
		for _, t := range o.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
			if fits(t.LabelSelector, p.Labels) {
				f.Because = fmt.Sprintf("the anti-affinity of pod %s forbids a pod with %s on one %s with it, and that leaves no node for %s", o.Name, metav1.FormatLabelSelector(t.LabelSelector), topology(t.TopologyKey), called)
				return f
			}
		}
	}
	return f
}

// beside explains a pod that wants another beside it which is not there.
func (d diagnosis) beside(p *corev1.Pod, called string) labs.Finding {
	f := labs.Finding{Because: "no node runs the pods that " + called + " wants beside it", Look: d.describe("Pod", p.Name)}
	pods, err := d.k.typed.CoreV1().Pods(d.namespace).List(d.ctx, metav1.ListOptions{})
	if err != nil || p.Spec.Affinity == nil || p.Spec.Affinity.PodAffinity == nil {
		return f
	}
	var have []map[string]string
	for _, o := range pods.Items {
		if !maps.Equal(o.Labels, p.Labels) { // others like it
			have = append(have, o.Labels)
		}
	}
	for _, t := range p.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
		if t.LabelSelector != nil && len(t.Namespaces) == 0 && t.NamespaceSelector == nil && d.placed(t.LabelSelector, p.Name) == nil {
			f.Because = fmt.Sprintf("%s wants to be on one %s with a pod that has %s (podAffinity), and no node runs such a pod", called, topology(t.TopologyKey), metav1.FormatLabelSelector(t.LabelSelector))
			f.Nearest = nearLabels("pod", t.LabelSelector.MatchLabels, have)
			return f
		}
	}
	return f
}

// placed is another pod that a selector means and that has a node, nil when there is none.
func (d diagnosis) placed(s *metav1.LabelSelector, but string) *corev1.Pod {
	pods, err := d.k.typed.CoreV1().Pods(d.namespace).List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(pods.Items, func(o corev1.Pod) bool {
		return o.Name != but && o.Spec.NodeName != "" && !over(o) && fits(s, o.Labels)
	})
	if i < 0 {
		return nil
	}
	return &pods.Items[i]
}

// topology is what a topology key tells apart, in words.
func topology(key string) string {
	switch key {
	case corev1.LabelHostname:
		return "node"
	case corev1.LabelTopologyZone:
		return "zone"
	}
	return key
}

// hostPorts are the ports of its node that a pod wants.
func hostPorts(p *corev1.Pod) []string {
	var out []string
	for _, c := range p.Spec.Containers {
		for _, port := range c.Ports {
			if port.HostPort > 0 {
				out = append(out, strconv.Itoa(int(port.HostPort)))
			}
		}
	}
	return out
}

// affinityText is the first thing that a pod's node affinity requires, or "".
func affinityText(p *corev1.PodSpec) string {
	a := p.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return ""
	}
	for _, t := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for _, e := range t.MatchExpressions {
			return strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Key, strings.ToLower(string(e.Operator)), strings.Join(e.Values, ", ")))
		}
	}
	return ""
}

// requested is how much of a resource a pod's containers ask for together, or "".
func requested(p *corev1.Pod, name corev1.ResourceName) string {
	var sum resource.Quantity
	for _, c := range p.Spec.Containers {
		sum.Add(c.Resources.Requests[name])
	}
	if sum.IsZero() {
		return ""
	}
	return sum.String()
}

// nearNode names a node whose labels are almost those wanted, or "".
func (d diagnosis) nearNode(wanted map[string]string) string {
	nodes, err := d.k.typed.CoreV1().Nodes().List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return ""
	}
	for key := range wanted {
		for _, n := range nodes.Items {
			if v, ok := n.Labels[key]; ok && v != wanted[key] {
				return fmt.Sprintf("node %s has %s=%s", n.Name, key, v)
			}
			for other, v := range n.Labels {
				if v == wanted[key] && nearFit(key, []string{other}) != "" {
					return fmt.Sprintf("node %s has %s=%s", n.Name, other, v)
				}
			}
		}
	}
	return ""
}
