package checker

import (
	"fmt"

	"github.com/kindlab/kindlab/labs"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// autoscaler is the cause for which a HorizontalPodAutoscaler does not scale.
func (d diagnosis) autoscaler(name string) labs.Finding {
	h, err := d.k.typed.AutoscalingV2().HorizontalPodAutoscalers(d.namespace).Get(d.ctx, name, metav1.GetOptions{})
	if err != nil {
		return d.gone("autoscaling/v2", "HorizontalPodAutoscaler", name, err)
	}
	called := "HorizontalPodAutoscaler " + name
	target := h.Spec.ScaleTargetRef
	pods := []corev1.PodSpec{}
	switch target.Kind {
	case "Deployment":
		o, err := d.k.typed.AppsV1().Deployments(d.namespace).Get(d.ctx, target.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			f := d.gone("apps/v1", "Deployment", target.Name, err)
			f.Because = fmt.Sprintf("%s means Deployment %s, which does not exist", called, target.Name)
			step(d.ctx, "%s", f.Because)
			return f
		} else if err == nil {
			pods = append(pods, o.Spec.Template.Spec)
		}
	case "StatefulSet":
		if o, err := d.k.typed.AppsV1().StatefulSets(d.namespace).Get(d.ctx, target.Name, metav1.GetOptions{}); err == nil {
			pods = append(pods, o.Spec.Template.Spec)
		}
	}
	for _, m := range h.Spec.Metrics {
		if m.Type != autoscalingv2.ResourceMetricSourceType || m.Resource.Target.Type != autoscalingv2.UtilizationMetricType {
			continue
		}
		for _, p := range pods {
			for _, c := range p.Containers {
				if _, asks := c.Resources.Requests[m.Resource.Name]; !asks {
					step(d.ctx, "container %s of %s %s requests no %s", c.Name, target.Kind, target.Name, m.Resource.Name)
					return labs.Finding{
						Because: fmt.Sprintf("container %s of %s %s requests no %s, and a share of nothing cannot be told", c.Name, target.Kind, target.Name, m.Resource.Name),
						Look:    d.get(target.Kind, target.Name, "-o yaml")}
				}
			}
		}
		ruledOut(d.ctx, "every container requests %s", m.Resource.Name)
	}
	groups, err := d.k.typed.Discovery().ServerGroups()
	if err == nil {
		known := false
		for _, g := range groups.Groups {
			known = known || g.Name == "metrics.k8s.io"
		}
		if !known {
			step(d.ctx, "the cluster serves no metrics.k8s.io")
			return labs.Finding{Because: fmt.Sprintf("the cluster has no metrics server, so %s cannot know how much the pods use", called), Look: "`kubectl top pods`"}
		}
	}
	// A workload alone: an autoscaler may name an autoscaler, even itself.
	if w, err := d.workload(target.Kind, target.Name); err != nil {
		return d.gone("apps/v1", target.Kind, target.Name, err)
	} else if w != nil {
		if f := d.why(w); f.Because != "" {
			return f
		}
	}
	for _, c := range h.Status.Conditions {
		if c.Status == corev1.ConditionFalse && c.Type == autoscalingv2.ScalingActive {
			return labs.Finding{Because: called + " says: " + clip(c.Message, 160), Look: d.describe("hpa", name)}
		}
	}
	return labs.Finding{}
}

// scaledBy is the finding when an autoscaler, and not the learner, says how many
// replicas a workload has.
func (d diagnosis) scaledBy(kind, name string) labs.Finding {
	list, err := d.k.typed.AutoscalingV2().HorizontalPodAutoscalers(d.namespace).List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return labs.Finding{}
	}
	for _, h := range list.Items {
		if t := h.Spec.ScaleTargetRef; t.Kind == kind && t.Name == name {
			return labs.Finding{Because: fmt.Sprintf("HorizontalPodAutoscaler %s sets the replicas of %s %s, from %d (minReplicas) to %d (maxReplicas)", h.Name, kind, name, or1(h.Spec.MinReplicas), h.Spec.MaxReplicas),
				Look: d.get("HorizontalPodAutoscaler", h.Name, "")}
		}
	}
	return labs.Finding{}
}

// budget is the cause for which a PodDisruptionBudget allows no disruption.
func (d diagnosis) budget(name string) labs.Finding {
	b, err := d.k.typed.PolicyV1().PodDisruptionBudgets(d.namespace).Get(d.ctx, name, metav1.GetOptions{})
	if err != nil {
		return d.gone("policy/v1", "PodDisruptionBudget", name, err)
	}
	called, look := "PodDisruptionBudget "+name, d.get("PodDisruptionBudget", name, "-o yaml")
	selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	if err != nil {
		return labs.Finding{}
	}
	list, err := d.k.typed.CoreV1().Pods(d.namespace).List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return labs.Finding{}
	}
	var mine []corev1.Pod
	var have []map[string]string
	for _, p := range list.Items {
		if selector.Matches(labels.Set(p.Labels)) {
			mine = append(mine, p)
		}
		have = append(have, p.Labels)
	}
	if len(mine) == 0 {
		f := labs.Finding{Because: fmt.Sprintf("%s selects %s, and no pod has that label", called, metav1.FormatLabelSelector(b.Spec.Selector)), Look: look}
		if b.Spec.Selector != nil {
			f.Nearest = nearLabels("pod", b.Spec.Selector.MatchLabels, have)
		}
		return f
	}
	s := b.Status
	step(d.ctx, "%s: %d of %d pods are healthy, %d must stay", called, s.CurrentHealthy, s.ExpectedPods, s.DesiredHealthy)
	if s.CurrentHealthy < s.DesiredHealthy {
		for i := range mine {
			if f, found := d.pod(&mine[i], "pod "+mine[i].Name); found {
				return f
			}
		}
	}
	if s.DisruptionsAllowed == 0 && s.DesiredHealthy >= s.ExpectedPods {
		f := labs.Finding{Because: fmt.Sprintf("%s allows no disruption: %d of %d pods must stay", called, s.DesiredHealthy, s.ExpectedPods), Look: look}
		switch least, most := b.Spec.MinAvailable, b.Spec.MaxUnavailable; {
		case least != nil && least.Type == intstr.String:
			f.Because += fmt.Sprintf(", for minAvailable %s is rounded up", least)
		case least != nil:
			f.Because += fmt.Sprintf(" (minAvailable: %s)", least)
		case most != nil:
			f.Because += fmt.Sprintf(" (maxUnavailable: %s)", most)
		}
		return f
	}
	return labs.Finding{}
}
