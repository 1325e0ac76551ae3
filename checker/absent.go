package checker

import (
	"context"
	"fmt"

	"github.com/kindlab/kindlab/labs"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// absentCheck: no Kubernetes object is like the given one. The fields are those of
// the kind object, and an object is like it when it holds all of them. It does not
// pass because nothing can be there: the namespace must exist, and the cluster must
// know the kind. What is being deleted is still there.
type absentCheck objectCheck

func (c *absentCheck) validate() error { return (*objectCheck)(c).validate() }

// like reports whether an object holds all the fields, whatever becomes of it.
func (c *absentCheck) like(object map[string]any) bool {
	for key, want := range c.Rest {
		if len(compare(trail{}.key(key), want, object[key])) > 0 {
			return false
		}
	}
	return true
}

func (c *absentCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	k, err := kubeOf(ctx, t)
	if err != nil {
		return nil, err
	}
	object := (*objectCheck)(c)
	r, err := object.ref(t.Namespace)
	if err != nil {
		return nil, err
	}
	expected := "no " + withoutArticle(r.String())
	if r.Namespace != "" {
		ns, err := k.typed.CoreV1().Namespaces().Get(ctx, r.Namespace, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return []labs.Finding{{Expected: expected, Got: "no namespace " + r.Namespace,
				Because: "there is no namespace " + r.Namespace, Look: "`kubectl get namespaces`"}}, nil
		case err != nil:
			return nil, kubeError("reading namespace "+r.Namespace, err)
		case ns.DeletionTimestamp != nil:
			return []labs.Finding{{Expected: expected, Got: "a namespace that is going away",
				Because: "namespace " + r.Namespace + " is being deleted"}}, nil
		}
	}
	found, err := k.objects(ctx, r)
	if err != nil {
		return missing(ctx, k, t, r, err) // the cluster does not know the kind
	}
	for _, o := range found {
		if !c.like(o.Object) {
			fact(ctx, "%s %s is another one", o.GetKind(), o.GetName())
			continue
		}
		f := labs.Finding{Expected: expected, Got: o.GetKind() + " " + o.GetName(),
			Look: command(t, "kubectl get "+resourceWord(o.GetKind())+" "+o.GetName(), o.GetNamespace(), "")}
		switch owner := metav1.GetControllerOf(&o); {
		case o.GetDeletionTimestamp() != nil && len(o.GetFinalizers()) > 0:
			f.Because = fmt.Sprintf("it is being deleted, and waits for %s", o.GetFinalizers()[0])
		case o.GetDeletionTimestamp() != nil && o.GetKind() == "Pod" && o.GetDeletionGracePeriodSeconds() != nil:
			f.Because = fmt.Sprintf("it is being deleted, and its containers may take %d s to end (terminationGracePeriodSeconds)", *o.GetDeletionGracePeriodSeconds())
			f.Look = command(t, "kubectl describe pod "+o.GetName(), o.GetNamespace(), "")
		case o.GetDeletionTimestamp() != nil:
			f.Because = "it is being deleted"
		case owner != nil:
			f.Because = fmt.Sprintf("%s %s makes it again when it is deleted", owner.Kind, owner.Name)
			f.Look = command(t, "kubectl get "+resourceWord(owner.Kind)+" "+owner.Name, o.GetNamespace(), "")
		default:
			f.Because = fmt.Sprintf("%s %s is still there", o.GetKind(), o.GetName())
		}
		step(ctx, "%s %s is there", o.GetKind(), o.GetName())
		step(ctx, "%s", f.Because)
		return []labs.Finding{f}, nil
	}
	return nil, nil
}
