package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kindlab/kindlab/labs"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// endsTooSoon is why requests are refused that are sent to pods which are on their way out.
const endsTooSoon = "old pods end while requests are still sent to them: they must go on answering for a moment after they are told to stop (preStop)"

// whyLost is what in a Deployment makes updates lose requests; kinds says why they were lost.
func whyLost(d *appsv1.Deployment, kinds map[string]int) labs.Finding {
	if f := whyUnready(d); f.Because != "" {
		return f
	}
	if f := whyNoneLeft(d); f.Because != "" {
		return f
	}
	if kinds[kindRefused]+kinds[kindReset] > 0 {
		return labs.Finding{Because: endsTooSoon, Look: lookAtDeployment(d)}
	}
	return labs.Finding{}
}

// whyNoneLeft is the finding for a strategy that lets all old pods go before there are new ones.
func whyNoneLeft(d *appsv1.Deployment) labs.Finding {
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return labs.Finding{Because: "the strategy Recreate ends all old pods before it starts new ones", Look: lookAtDeployment(d)}
	}
	if r := d.Spec.Strategy.RollingUpdate; r != nil && r.MaxUnavailable != nil && (r.MaxUnavailable.StrVal == "100%" || r.MaxUnavailable.IntVal >= or1(d.Spec.Replicas)) {
		return labs.Finding{Because: fmt.Sprintf("maxUnavailable %s lets all old pods go before new ones are ready", r.MaxUnavailable.String()), Look: lookAtDeployment(d)}
	}
	return labs.Finding{}
}

// whyUnready is the finding for pods that get requests before they can answer.
func whyUnready(d *appsv1.Deployment) labs.Finding {
	for _, c := range d.Spec.Template.Spec.Containers {
		if c.ReadinessProbe == nil {
			return labs.Finding{Because: fmt.Sprintf("container %s has no readiness probe, so its pods get requests before they can answer", c.Name), Look: lookAtDeployment(d)}
		}
	}
	return labs.Finding{}
}

func lookAtDeployment(d *appsv1.Deployment) string {
	return "`kubectl get deployment " + d.Name + " -o yaml`"
}

// whyLostOne is what makes a Deployment lose requests when one of its pods is replaced,
// the old one by another of the same template.
func whyLostOne(d *appsv1.Deployment, kinds map[string]int) labs.Finding {
	if or1(d.Spec.Replicas) == 1 {
		return labs.Finding{Because: fmt.Sprintf("Deployment %s has only one replica: while its pod is replaced, there is no other that answers", d.Name), Look: lookAtDeployment(d)}
	}
	f := whyUnready(d)
	if f.Because != "" {
		return f
	}
	f.Look = lookAtDeployment(d)
	pod := d.Spec.Template.Spec
	refused, cutOff := kinds[kindRefused] > 0, kinds[kindReset] > 0
	switch stays := staysOn(pod); {
	case !refused && !cutOff:
		return labs.Finding{}
	case pod.TerminationGracePeriodSeconds != nil && *pod.TerminationGracePeriodSeconds == 0:
		f.Because = "terminationGracePeriodSeconds is 0, which leaves old pods no time to finish the requests they still get"
	case stays == "":
		f.Because = endsTooSoon
	case refused:
		f.Because = fmt.Sprintf("old pods end while requests are still sent to them, although container %s has a preStop: it is over too soon", stays)
	default:
		f.Because = "old pods end in the middle of an answer: they must finish the requests that they have before they end"
	}
	return f
}

// staysOn is the first container that has a preStop, or "".
func staysOn(p corev1.PodSpec) string {
	for _, c := range p.Containers {
		if c.Lifecycle != nil && c.Lifecycle.PreStop != nil {
			return c.Name
		}
	}
	return ""
}

// whyCounted is whyLost for requests that were lost some time since a count began. What the
// Deployment is like now is the cause only when it was so then: a strategy (and a number of
// replicas) older than the count, and the rest when there was one update and no change since.
func whyCounted(ctx context.Context, k *kube, d *appsv1.Deployment, since time.Time, n tally) labs.Finding {
	since = since.Truncate(time.Second) // finer the cluster does not tell
	if !d.CreationTimestamp.Time.Before(since) {
		return labs.Finding{Because: fmt.Sprintf("Deployment %s was made after the count had begun: an update keeps the old pods until there are new ones", d.Name),
			Look: "`kubectl get deployment " + d.Name + "`"}
	}
	changed, known := changedAt(d, "spec.strategy")
	scaled, _ := changedAt(d, "spec.replicas")
	if f := whyNoneLeft(d); f.Because != "" && known && changed.Before(since) && scaled.Before(since) {
		return f
	}
	list, err := k.typed.AppsV1().ReplicaSets(d.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(d.Spec.Selector)})
	if err != nil {
		return labs.Finding{}
	}
	if !oneUpdate(d, list.Items, since) || len(n.versions) > 2 {
		step(ctx, "Deployment %s was changed more than once since the count began", d.Name)
		return labs.Finding{Because: fmt.Sprintf("it cannot be told from Deployment %s any more: it was changed since", d.Name),
			Look: "`kubectl rollout history deployment " + d.Name + "`"}
	}
	return whyLost(d, n.kinds)
}

// oneUpdate reports whether a Deployment was updated once since then, and its fields were
// not changed after that.
func oneUpdate(d *appsv1.Deployment, sets []appsv1.ReplicaSet, since time.Time) bool {
	var newest, made *appsv1.ReplicaSet
	updates := 0
	for i := range sets {
		rs := &sets[i]
		if !metav1.IsControlledBy(rs, d) {
			continue
		}
		if newest == nil || rolloutRevision(rs) > rolloutRevision(newest) {
			newest = rs
		}
		if !rs.CreationTimestamp.Time.Before(since) {
			made, updates = rs, updates+1
		}
	}
	last, known := changedAt(d, "spec")
	return known && updates == 1 && made == newest && !last.After(made.CreationTimestamp.Time)
}

// changedAt is when somebody last changed a field of a Deployment, such as spec.strategy;
// known is false when the cluster does not tell.
func changedAt(d *appsv1.Deployment, path string) (last time.Time, known bool) {
	for _, by := range d.ManagedFields {
		var owned map[string]any
		if by.Subresource != "" || by.Time == nil || by.FieldsV1 == nil || json.Unmarshal(by.FieldsV1.Raw, &owned) != nil || !owns(owned, path) {
			continue
		}
		if known = true; by.Time.After(last) {
			last = by.Time.Time
		}
	}
	return last, known
}
