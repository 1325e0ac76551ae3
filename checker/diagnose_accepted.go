package checker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// The labels of a namespace for Pod Security, by what it does with a pod that violates it.
const podSecurity = "pod-security.kubernetes.io/"

// whyAccepted says why the cluster took an object that it must refuse for a reason: the
// rule of that sort is not there, or is there and has room. taken is the object with all
// that the cluster filled in.
func whyAccepted(ctx context.Context, k *kube, t *Target, taken *unstructured.Unstructured, reason string) labs.Finding {
	d := diagnosis{ctx, k, t, t.Namespace}
	var f labs.Finding
	switch {
	case strings.Contains(reason, "quota"):
		f = d.withinQuota(taken, reason)
	case strings.Contains(reason, "PodSecurity"):
		f = d.withinSecurity()
	case lookOf(t, reason) == "`kubectl describe limitrange`":
		f = d.withinLimits(taken, reason)
	}
	if f.Because == "" {
		f.Because = fmt.Sprintf("no rule of namespace %s forbids it (expected: %s)", t.Namespace, reason)
	}
	f.Look = lookOf(t, reason)
	return f
}

// withinQuota says which quota has room for an object. One that the reason names comes first.
func (d diagnosis) withinQuota(taken *unstructured.Unstructured, reason string) labs.Finding {
	list, err := d.k.typed.CoreV1().ResourceQuotas(d.namespace).List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return labs.Finding{}
	}
	if len(list.Items) == 0 {
		return labs.Finding{Because: fmt.Sprintf("namespace %s has no ResourceQuota", d.namespace)}
	}
	uses := usesOf(taken)
	f := labs.Finding{}
	for _, q := range list.Items {
		var limited []string
		for _, name := range slices.Sorted(maps.Keys(q.Spec.Hard)) {
			limited = append(limited, string(name))
			asks, uses := uses[name]
			if !uses {
				continue
			}
			hard, used := q.Spec.Hard[name], q.Status.Used[name]
			step(d.ctx, "ResourceQuota %s: %s of %s of %s are used, and %s asks for %s", q.Name, used.String(), hard.String(), name, taken.GetKind(), asks.String())
			room := labs.Finding{Because: fmt.Sprintf("ResourceQuota %s has room: %s of %s %s are used, and %s asks for %s", q.Name, used.String(), hard.String(), name, objectName(taken.Object), asks.String())}
			if len(q.Spec.Scopes) > 0 || q.Spec.ScopeSelector != nil {
				room.Nearest = "it counts only what is in its scopes"
			}
			if f.Because == "" || strings.Contains(reason, string(name)) {
				f = room
			}
		}
		if f.Because == "" {
			f.Because = fmt.Sprintf("ResourceQuota %s limits %s, of which %s asks nothing", q.Name, listed(limited), objectName(taken.Object))
		}
	}
	return f
}

// usesOf is what an object asks of a quota.
func usesOf(o *unstructured.Unstructured) corev1.ResourceList {
	out := corev1.ResourceList{}
	one := resource.MustParse("1")
	switch o.GetKind() {
	case "Pod":
		out[corev1.ResourcePods], out["count/pods"] = one, one
		for _, c := range podOf(o).Spec.Containers {
			for name, q := range c.Resources.Requests {
				add(out, "requests."+name, q)
				add(out, name, q) // the same, as it is also written
			}
			for name, q := range c.Resources.Limits {
				add(out, "limits."+name, q)
			}
		}
	case "PersistentVolumeClaim":
		out[corev1.ResourcePersistentVolumeClaims], out["count/persistentvolumeclaims"] = one, one
		if text, found, _ := unstructured.NestedString(o.Object, "spec", "resources", "requests", "storage"); found {
			if q, err := resource.ParseQuantity(text); err == nil {
				out[corev1.ResourceRequestsStorage] = q
			}
		}
	default:
		word := corev1.ResourceName(plural(o.GetKind()))
		if group := o.GroupVersionKind().Group; group != "" {
			word += corev1.ResourceName("." + group)
		}
		out[corev1.ResourceName(plural(o.GetKind()))], out["count/"+word] = one, one
	}
	return out
}

func add(to corev1.ResourceList, name corev1.ResourceName, q resource.Quantity) {
	sum := to[name]
	sum.Add(q)
	to[name] = sum
}

// podOf reads a pod; it is empty when the object is none.
func podOf(o *unstructured.Unstructured) *corev1.Pod {
	p := &corev1.Pod{}
	_ = runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, p)
	return p
}

// withinLimits says which LimitRange allows the containers of a pod. The reason says
// whether it is about the most or the least, and of what.
func (d diagnosis) withinLimits(taken *unstructured.Unstructured, reason string) labs.Finding {
	list, err := d.k.typed.CoreV1().LimitRanges(d.namespace).List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return labs.Finding{}
	}
	if len(list.Items) == 0 {
		return labs.Finding{Because: fmt.Sprintf("namespace %s has no LimitRange", d.namespace)}
	}
	what, atMost := "minimum", !strings.Contains(reason, "min")
	if atMost {
		what = "maximum"
	}
	f := labs.Finding{Because: fmt.Sprintf("LimitRange %s sets no %s for containers", list.Items[0].Name, what)}
	for _, r := range list.Items {
		for _, l := range r.Spec.Limits {
			bounds := l.Min
			if atMost {
				bounds = l.Max
			}
			for _, name := range slices.Sorted(maps.Keys(bounds)) {
				bound := bounds[name]
				for _, c := range podOf(taken).Spec.Containers {
					has := c.Resources.Requests[name]
					if atMost {
						has = c.Resources.Limits[name]
					}
					if l.Type == corev1.LimitTypeContainer && (strings.Contains(reason, string(name)) || !strings.Contains(reason, "cpu") && !strings.Contains(reason, "memory")) {
						step(d.ctx, "LimitRange %s: the %s of %s is %s", r.Name, what, name, bound.String())
						f.Because = fmt.Sprintf("LimitRange %s allows it: the %s of %s for a container is %s, and container %s of %s has %s", r.Name, what, name, bound.String(), c.Name, objectName(taken.Object), has.String())
						return f
					}
				}
			}
		}
	}
	return f
}

// withinSecurity says why Pod Security lets a pod through.
func (d diagnosis) withinSecurity() labs.Finding {
	ns, err := d.k.typed.CoreV1().Namespaces().Get(d.ctx, d.namespace, metav1.GetOptions{})
	if err != nil {
		return labs.Finding{}
	}
	if level := ns.Labels[podSecurity+"enforce"]; level != "" {
		return labs.Finding{Because: fmt.Sprintf("namespace %s enforces Pod Security %s, which allows it", d.namespace, level)}
	}
	f := labs.Finding{Because: fmt.Sprintf("namespace %s enforces no Pod Security: it has no label %senforce", d.namespace, podSecurity)}
	for _, only := range []string{"warn", "audit"} {
		if level := ns.Labels[podSecurity+only]; level != "" {
			f.Nearest = fmt.Sprintf("it has %s%s=%s, which refuses nothing", podSecurity, only, level)
			break
		}
	}
	return f
}
