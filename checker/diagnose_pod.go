package checker

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
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
		if f, found := d.missingConfig(p, called, says); found {
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
