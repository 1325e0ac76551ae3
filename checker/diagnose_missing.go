package checker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

// whyMissing says that an object is not there, and what is near: one of almost
// that name, or one of that name in another namespace of the attendee.
func whyMissing(ctx context.Context, k *kube, t *Target, r ref) labs.Finding {
	d := diagnosis{ctx, k, t, r.Namespace}
	f := labs.Finding{Because: fmt.Sprintf("namespace %s has no %s", r.Namespace, strings.TrimPrefix(r.String(), "a "))}
	if r.Namespace == "" {
		f.Because = "the cluster has no " + strings.TrimPrefix(r.String(), "a ")
	}
	f.Look = command(t, "kubectl get "+plural(r.Kind), r.Namespace, "")
	if near := d.nearName(r); near != "" {
		f.Nearest = near
		return f
	}
	if ns, err := k.typed.CoreV1().Namespaces().Get(ctx, r.Namespace, metav1.GetOptions{}); apierrors.IsNotFound(err) {
		f.Because = "there is no namespace " + r.Namespace
		f.Look = "`kubectl get namespaces`"
		return f
	} else if err == nil && ns.DeletionTimestamp != nil {
		f.Because = "namespace " + r.Namespace + " is being deleted"
		return f
	}
	other, lab := d.elsewhere(r)
	if other == "" {
		return f
	}
	f.Nearest = fmt.Sprintf("there is one in namespace %s", other)
	f.Look = command(t, "kubectl get "+resourceWord(r.Kind)+" "+r.Name, other, "")
	if t.Lab != nil && lab != t.Lab.ID {
		if lab != "" {
			f.Nearest += ", which is that of lab " + lab
		}
		f.Look = "`kindlab shell " + t.Lab.ID + "`"
	}
	return f
}

// nearName is an object of the kind that almost has the name, or "".
func (d diagnosis) nearName(r ref) string {
	r.Namespace = d.namespace
	name, wanted := r.Name, r.Labels
	r.Name, r.Labels = "", nil
	all, err := d.k.objects(d.ctx, r)
	if err != nil {
		return ""
	}
	if name == "" {
		var have []map[string]string
		for _, o := range all {
			have = append(have, o.GetLabels())
		}
		return nearLabels(r.Kind, wanted, have)
	}
	var names []string
	for _, o := range all {
		names = append(names, o.GetName())
	}
	if near := nearFit(name, names); near != "" {
		return "there is a " + r.Kind + " " + near
	}
	return ""
}

// alone is the attendee who has a cluster to themselves.
const alone = "me"

// elsewhere is another namespace of the attendee that has the object, and the lab it belongs to.
func (d diagnosis) elsewhere(r ref) (namespace, lab string) {
	if r.Name == "" || d.t.Attendee == "" {
		return "", ""
	}
	list, err := d.k.typed.CoreV1().Namespaces().List(d.ctx, metav1.ListOptions{
		LabelSelector: labels.SelectorFromSet(labels.Set{attendeeLabel: d.t.Attendee}).String()})
	if err != nil {
		return "", ""
	}
	candidates := list.Items
	if d.t.Attendee == alone {
		// On one's own cluster, forgetting the namespace leads to default.
		candidates = append(candidates, corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceDefault}})
	}
	for _, ns := range candidates {
		r.Namespace = ns.Name
		if ns.Name == d.namespace || ns.DeletionTimestamp != nil {
			continue
		}
		found, err := d.k.objects(d.ctx, r)
		// What another lab begins with is there anyway and says nothing about a wrong namespace.
		if err == nil && len(found) > 0 && !startState(found[0]) {
			return ns.Name, ns.Labels[labLabel]
		}
	}
	return "", ""
}

// startState reports whether kindlab made the object, as a part of a lab's start state.
func startState(o unstructured.Unstructured) bool {
	return slices.ContainsFunc(o.GetManagedFields(), func(m metav1.ManagedFieldsEntry) bool {
		return m.Manager == "kindlab" && m.Operation == metav1.ManagedFieldsOperationApply
	})
}
