package checker

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
)

// pod is the cause for which a pod is not ready. found is false when it is
// ready, and when it is just starting.
func (d diagnosis) pod(p *corev1.Pod, called string) (f labs.Finding, found bool) {
	if isReady(p) || p.Status.Phase == corev1.PodSucceeded {
		return labs.Finding{}, false
	}
	describe := d.describe("Pod", p.Name)
	step(d.ctx, "pod %s is %s and not ready", p.Name, strings.ToLower(string(p.Status.Phase)))
	if p.DeletionTimestamp != nil {
		return labs.Finding{Because: called + " is being deleted"}, true
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return d.unschedulable(p, called, c.Message), true
		}
	}
	if p.Spec.NodeName == "" && p.Spec.SchedulerName != corev1.DefaultSchedulerName && p.Spec.SchedulerName != "" {
		return labs.Finding{Because: fmt.Sprintf("%s waits for the scheduler %s, and nothing has scheduled it", called, p.Spec.SchedulerName), Look: describe}, true
	}
	if p.Status.Reason == "Evicted" {
		return labs.Finding{Because: called + " was evicted: " + clip(p.Status.Message, 160), Look: describe}, true
	}
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if f, found := d.container(p, s); found {
			return f, true
		}
	}
	if f, found := d.initHangs(p); found {
		return f, true
	}
	if says := d.lastEvent(p.UID, "FailedMount"); says != "" && p.Status.Phase == corev1.PodPending {
		if f, found := d.missingConfig(called, says); found {
			return f, true
		}
		return labs.Finding{Because: "a volume of " + called + " cannot be mounted: " + clip(says, 200), Look: describe}, true
	}
	for _, s := range p.Status.ContainerStatuses {
		if f, found := d.probed(p, s); found {
			return f, true
		}
	}
	return labs.Finding{}, false
}

// unschedulable puts the scheduler's sentence into the words of what to change.
func (d diagnosis) unschedulable(p *corev1.Pod, called, says string) labs.Finding {
	f := labs.Finding{Look: d.describe("Pod", p.Name)}
	lacks := regexp.MustCompile(`Insufficient ([\w./-]*\w)`).FindStringSubmatch(says)
	claim := regexp.MustCompile(`persistentvolumeclaim "([^"]+)" not found`).FindStringSubmatch(says)
	taint := regexp.MustCompile(`untolerated taint(?:\(s\)| \{([^}]*)\})`).FindStringSubmatch(says)
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
		f.Because = "no node has the labels that " + called + " asks for"
		if len(p.Spec.NodeSelector) > 0 {
			f.Because = fmt.Sprintf("%s wants a node with %s, and no free node has that", called, labelText(p.Spec.NodeSelector))
			f.Nearest = d.nearNode(p.Spec.NodeSelector)
		}
		if wants := affinityText(p); wants != "" {
			f.Because = fmt.Sprintf("the node affinity of %s wants %s, and no node has that", called, wants)
		}
		f.Look = "`kubectl get nodes --show-labels`"
	case strings.Contains(says, "didn't have free ports"):
		f.Because = called + " wants a hostPort that is taken on every node"
	case strings.Contains(says, "anti-affinity"):
		f.Because = "the anti-affinity of " + called + " leaves no node for it"
	case strings.Contains(says, "pod affinity"):
		f.Because = "no node runs the pods that " + called + " wants beside it"
	case strings.Contains(says, "were unschedulable"):
		f.Because = "the nodes that could run " + called + " are cordoned"
		f.Look = "`kubectl get nodes`"
	case taint != nil:
		f.Because = "every node has a taint that " + called + " does not tolerate"
		if taint[1] != "" {
			f.Because += ": " + strings.TrimSuffix(strings.ReplaceAll(taint[1], ": ", "="), "=")
		}
	default:
		f.Because = called + " cannot be scheduled: " + clip(says, 200)
	}
	return f
}

// affinityText is the first thing that a pod's node affinity requires, or "".
func affinityText(p *corev1.Pod) string {
	a := p.Spec.Affinity
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

// initPatience is how long an init container may take before it is the cause.
const initPatience = 10 * time.Second

// initHangs is the init container that is still running while the others wait for
// it. One that restarts always is a sidecar, and is to run.
func (d diagnosis) initHangs(p *corev1.Pod) (labs.Finding, bool) {
	for _, s := range p.Status.InitContainerStatuses {
		spec := containerOf(p, s.Name)
		if s.State.Running == nil || spec.RestartPolicy != nil || time.Since(s.State.Running.StartedAt.Time) < initPatience {
			continue
		}
		return labs.Finding{Because: fmt.Sprintf("init container %s is still running, and the others of pod %s wait for its end", s.Name, p.Name),
			Look: command(d.t, "kubectl logs "+p.Name+" -c "+s.Name, d.namespace, "")}, true
	}
	return labs.Finding{}, false
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

// events are those of one object, the newest first.
func (d diagnosis) events(of types.UID) []corev1.Event {
	list, err := d.k.typed.CoreV1().Events(d.namespace).List(d.ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("involvedObject.uid", string(of)).String()})
	if err != nil {
		return nil
	}
	when := func(e corev1.Event) time.Time {
		if e.Series != nil {
			return e.Series.LastObservedTime.Time
		}
		if !e.LastTimestamp.IsZero() {
			return e.LastTimestamp.Time
		}
		return e.EventTime.Time
	}
	slices.SortStableFunc(list.Items, func(a, b corev1.Event) int { return when(b).Compare(when(a)) })
	return list.Items
}

// lastEvent is the newest message of a reason, or "".
func (d diagnosis) lastEvent(of types.UID, reason string) string {
	for _, e := range d.events(of) {
		if e.Reason == reason {
			return e.Message
		}
	}
	return ""
}
