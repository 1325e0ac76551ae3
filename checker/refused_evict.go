package checker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// moreThanOne is how the cluster refuses to evict a pod that several budgets are for.
const moreThanOne = "more than one PodDisruptionBudget"

// evicted looks at what must be kept, and at what may leave. A budget that keeps a
// pod only because others are down already proves nothing.
func (c *refusedCheck) evicted(ctx context.Context, k *kube, t *Target) ([]labs.Finding, error) {
	pod, says, found, err := tryEviction(ctx, k, t, *c.Evict)
	if err != nil || found != nil {
		return withExpected(found, "an eviction to be refused"), err
	}
	found = c.unlike(ctx, t, "to refuse the eviction of pod "+pod.Name, says)
	if says == "" && len(found) > 0 {
		found[0] = because(found[0], whyNoBudget(ctx, k, t, pod))
	}
	if len(found) > 0 {
		if budgets, err := budgetsOf(ctx, k, pod); err == nil && strings.Contains(says, moreThanOne) {
			var names []string
			for _, b := range budgets {
				names = append(names, b.Name)
			}
			found[0].Because = fmt.Sprintf("the PodDisruptionBudgets %s are all for pod %s, and an eviction takes no more than one", listed(names), pod.Name)
			found[0].Look = "`kubectl get poddisruptionbudgets`"
		}
		return found, nil
	}
	if short, err := shortOfPods(ctx, k, t, pod); err != nil || short.Because != "" {
		return []labs.Finding{because(labs.Finding{Expected: "an eviction to be refused while all pods are well", Got: "too few healthy pods"}, short)}, err
	}
	if c.Leaves == nil {
		return nil, nil
	}
	other, says, found, err := tryEviction(ctx, k, t, *c.Leaves)
	if err != nil || found != nil {
		return withExpected(found, "another eviction to be accepted"), err
	}
	if says == "" {
		return nil, nil
	}
	step(ctx, "the eviction of pod %s is refused, as it should be", pod.Name)
	f := labs.Finding{Expected: "the cluster to accept the eviction of pod " + other.Name, Got: "a refusal",
		Because: "the rule keeps too much: " + clip(says, 200), Look: lookOf(t, says)}
	budgets, err := budgetsOf(ctx, k, other)
	if err != nil {
		return nil, err
	}
	for _, b := range budgets {
		step(ctx, "PodDisruptionBudget %s: %d pods are healthy, %d must stay", b.Name, b.Status.CurrentHealthy, b.Status.DesiredHealthy)
		if fits(b.Spec.Selector, pod.Labels) {
			f.Because = fmt.Sprintf("PodDisruptionBudget %s selects %s, and so it keeps pod %s too", b.Name, selectorText(b.Spec.Selector), other.Name)
		} else if b.Status.DisruptionsAllowed == 0 {
			f.Because = fmt.Sprintf("PodDisruptionBudget %s keeps pod %s: %d pods are healthy, and %d must stay", b.Name, other.Name, b.Status.CurrentHealthy, b.Status.DesiredHealthy)
		}
		f.Look = "`kubectl get poddisruptionbudget " + b.Name + " -o yaml`"
	}
	return []labs.Finding{f}, nil
}

// selectorText is a selector in words.
func selectorText(s *metav1.LabelSelector) string {
	if s != nil && len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		return "every pod of the namespace"
	}
	return metav1.FormatLabelSelector(s)
}

// budgetsOf are the disruption budgets that are for a pod.
func budgetsOf(ctx context.Context, k *kube, pod *corev1.Pod) ([]policyv1.PodDisruptionBudget, error) {
	list, err := k.typed.PolicyV1().PodDisruptionBudgets(pod.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, kubeError("listing disruption budgets", err)
	}
	return slices.DeleteFunc(list.Items, func(b policyv1.PodDisruptionBudget) bool { return !fits(b.Spec.Selector, pod.Labels) }), nil
}

// tryEviction tries to evict a pod that p means. says is the cluster's reason for
// refusing it, or ""; found says why there is no such pod.
func tryEviction(ctx context.Context, k *kube, t *Target, p podRef) (pod *corev1.Pod, says string, found []labs.Finding, err error) {
	pods, found, err := podsOf(ctx, k, t, p, t.Namespace)
	if err != nil || found != nil {
		return nil, "", found, err
	}
	pod = &pods[0]
	says, err = evict(ctx, k, pod, metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
	return pod, says, nil, err
}

// evict evicts a pod. says is the cluster's reason for refusing it, or "".
func evict(ctx context.Context, k *kube, pod *corev1.Pod, how metav1.DeleteOptions) (says string, err error) {
	err = k.typed.PolicyV1().Evictions(pod.Namespace).Evict(ctx, &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace}, DeleteOptions: &how})
	return refusal("evicting pod "+pod.Name, err)
}

// shortOfPods is the finding when a budget of the pod has fewer healthy pods than
// must stay, and so refuses every eviction.
func shortOfPods(ctx context.Context, k *kube, t *Target, pod *corev1.Pod) (labs.Finding, error) {
	budgets, err := budgetsOf(ctx, k, pod)
	if err != nil {
		return labs.Finding{}, err
	}
	for _, b := range budgets {
		if b.Status.CurrentHealthy >= b.Status.DesiredHealthy {
			continue
		}
		return labs.Finding{
			Because: fmt.Sprintf("PodDisruptionBudget %s wants %d healthy pods and has %d of %d, so it would refuse anything", b.Name, b.Status.DesiredHealthy, b.Status.CurrentHealthy, b.Status.ExpectedPods),
			Look:    "`kubectl get poddisruptionbudget " + b.Name + "`"}, nil
	}
	return labs.Finding{}, nil
}

// whyNoBudget says why no disruption budget keeps a pod.
func whyNoBudget(ctx context.Context, k *kube, t *Target, pod *corev1.Pod) labs.Finding {
	list, err := k.typed.PolicyV1().PodDisruptionBudgets(pod.Namespace).List(ctx, metav1.ListOptions{})
	f := labs.Finding{Because: "namespace " + pod.Namespace + " has no PodDisruptionBudget", Look: "`kubectl get poddisruptionbudgets`"}
	if err != nil || len(list.Items) == 0 {
		return f
	}
	for _, b := range list.Items {
		if fits(b.Spec.Selector, pod.Labels) {
			return labs.Finding{
				Because: fmt.Sprintf("PodDisruptionBudget %s allows %d more disruptions: %d pods are healthy, and %d must stay", b.Name, b.Status.DisruptionsAllowed, b.Status.CurrentHealthy, b.Status.DesiredHealthy),
				Look:    "`kubectl get poddisruptionbudget " + b.Name + "`"}
		}
		f = labs.Finding{
			Because: fmt.Sprintf("PodDisruptionBudget %s selects %s, and pod %s has not these labels", b.Name, metav1.FormatLabelSelector(b.Spec.Selector), pod.Name),
			Nearest: "the pod has " + labelText(pod.Labels), Look: "`kubectl get poddisruptionbudget " + b.Name + " -o yaml`"}
	}
	return f
}
