package checker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// refusedCheck: the cluster refuses to create an object, or to evict a pod, and
// says the stated reason. It is tried by a server-side dry run, so that nothing is
// made. What must be accepted is tried too: otherwise a cluster that refuses
// everything would pass.
type refusedCheck struct {
	Create   map[string]any `yaml:"create" doc:"An object that the cluster must refuse. It is only tried."`
	Evict    *podRef        `yaml:"evict" doc:"A pod whose eviction must be refused, by a disruption budget. It is only tried."`
	Because  string         `yaml:"because" doc:"A regular expression that the cluster's reason must hold." required:"true"`
	Accepted map[string]any `yaml:"accepted" doc:"With create: an object that the cluster must take."`
	Leaves   *podRef        `yaml:"leaves" doc:"With evict: a pod whose eviction the cluster must take. It is only tried."`
}

// A podRef means a pod in the lab's namespace, or by labels any ready one.
type podRef struct {
	Name   string            `yaml:"name" doc:"The pod."`
	Labels map[string]string `yaml:"labels" doc:"Any ready pod with these labels."`
}

func (p podRef) validate() error {
	if (p.Name == "") == (len(p.Labels) == 0) {
		return errors.New("say either name or labels")
	}
	return nil
}

func (c *refusedCheck) validate() error {
	if (c.Create == nil) == (c.Evict == nil) {
		return errors.New("say either create or evict: what must be refused")
	}
	if c.Because == "" {
		return errors.New("because is missing: what the cluster's reason must say, such as exceeded quota")
	}
	if _, err := regexp.Compile(c.Because); err != nil {
		return fmt.Errorf("because: %w", err)
	}
	if c.Evict != nil {
		if c.Accepted != nil {
			return errors.New("accepted goes with create")
		}
		if err := c.Evict.validate(); err != nil {
			return fmt.Errorf("evict: %w", err)
		}
		if c.Leaves != nil {
			if err := c.Leaves.validate(); err != nil {
				return fmt.Errorf("leaves: %w", err)
			}
		}
		return nil
	}
	if c.Leaves != nil {
		return errors.New("leaves goes with evict")
	}
	if c.Accepted == nil {
		return errors.New("accepted is missing: an object that the cluster must take, so that one which refuses all does not pass")
	}
	for field, o := range map[string]map[string]any{"create": c.Create, "accepted": c.Accepted} {
		kind, _ := o["kind"].(string)
		version, _ := o["apiVersion"].(string)
		if err := (ref{APIVersion: version, Kind: kind}).validate(); err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
	}
	return nil
}

func (c *refusedCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	k, err := kubeOf(ctx, t)
	if err != nil {
		return nil, err
	}
	dependsOnAdmission(ctx, t.Namespace)
	if c.Evict != nil {
		return c.evicted(ctx, k, t)
	}
	what := objectName(c.Create)
	taken, says, err := dryRun(ctx, k, t, c.Create)
	if err != nil {
		return unknownKind(ctx, k, t, c.Create, err)
	}
	if f := c.unlike(ctx, t, "to refuse "+what, says); f != nil {
		if taken != nil {
			f[0] = because(f[0], whyAccepted(ctx, k, t, taken, c.Because))
		}
		return f, nil
	}
	_, says, err = dryRun(ctx, k, t, c.Accepted)
	if err != nil {
		return unknownKind(ctx, k, t, c.Accepted, err)
	}
	if says == "" {
		return nil, nil
	}
	other := objectName(c.Accepted)
	step(ctx, "%s is refused, as it should be", what)
	step(ctx, "%s is refused too: %s", other, says)
	return []labs.Finding{{Expected: "the cluster to accept " + other, Got: "a refusal",
		Because: "the rule refuses too much: " + clip(says, 200), Look: lookOf(t, says)}}, nil
}

// unknownKind is the finding when err says that the cluster does not know the
// kind of an object that was tried; any other error stays one.
func unknownKind(ctx context.Context, k *kube, t *Target, tried map[string]any, err error) ([]labs.Finding, error) {
	if !meta.IsNoMatchError(err) {
		return nil, err
	}
	o := unstructured.Unstructured{Object: tried}
	return missing(ctx, k, t, ref{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Name: o.GetName()}, err)
}

// dependsOnAdmission names what decides whether an object is taken.
func dependsOnAdmission(ctx context.Context, namespace string) {
	core := schema.GroupVersion{Version: "v1"}
	depends(ctx, namespace, core.WithResource("resourcequotas"), core.WithResource("limitranges"), core.WithResource("pods"),
		schema.GroupVersionResource{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"})
	admission := schema.GroupVersion{Group: "admissionregistration.k8s.io", Version: "v1"}
	depends(ctx, "", core.WithResource("namespaces"), admission.WithResource("validatingadmissionpolicies"),
		admission.WithResource("validatingadmissionpolicybindings"), admission.WithResource("validatingwebhookconfigurations"))
}

// unlike is the finding when a try was accepted, or refused for another reason.
func (c *refusedCheck) unlike(ctx context.Context, t *Target, expected, says string) []labs.Finding {
	expected = "the cluster " + expected
	switch {
	case says == "":
		step(ctx, "a dry run is accepted")
		return []labs.Finding{{Expected: expected, Got: "it is accepted"}}
	case !regexp.MustCompile(c.Because).MatchString(says):
		step(ctx, "a dry run is refused, for another reason")
		return []labs.Finding{{Expected: fmt.Sprintf("%s, saying %s", expected, c.Because), Got: "another reason",
			Because: "it is refused for this: " + clip(says, 200), Look: lookOf(t, says)}}
	}
	fact(ctx, "the cluster says: %s", says)
	return nil
}

// lookOf is where the rule is that a reason is about.
func lookOf(t *Target, reason string) string {
	for _, l := range []struct{ word, command string }{
		{"quota", "kubectl describe quota"}, {"PodSecurity", "kubectl get namespace " + t.Namespace + " --show-labels"},
		{"disruption", "kubectl get poddisruptionbudgets"}, {"ValidatingAdmissionPolicy", "kubectl get validatingadmissionpolicies,validatingadmissionpolicybindings"},
		{"maximum", "kubectl describe limitrange"}, {"minimum", "kubectl describe limitrange"}, {"max", "kubectl describe limitrange"},
	} {
		if strings.Contains(reason, l.word) {
			return "`" + l.command + "`"
		}
	}
	return ""
}

// dryRun tries to create an object. says is the cluster's reason for refusing it, or "";
// taken is then the object as the cluster would have it.
func dryRun(ctx context.Context, k *kube, t *Target, object map[string]any) (taken *unstructured.Unstructured, says string, err error) {
	o := &unstructured.Unstructured{Object: jsonable(object).(map[string]any)} // a copy, which may be changed
	if o.GetName() == "" && o.GetGenerateName() == "" {
		o.SetGenerateName("kindlab-try-")
	}
	namespace := o.GetNamespace()
	if namespace == "" {
		namespace = t.Namespace
	}
	to, err := k.resource(ctx, o.GetAPIVersion(), o.GetKind(), namespace)
	if err != nil {
		return nil, "", err
	}
	made, err := to.Create(ctx, o, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	says, err = refusal("trying to create "+objectName(object), err)
	if err != nil || says != "" {
		return nil, says, err
	}
	if made == nil {
		made = o // it is there already
	}
	return made, "", nil
}

// refusal is what the cluster said when it refused a try. Any other error stays one.
func refusal(doing string, err error) (says string, _ error) {
	var status apierrors.APIStatus
	switch {
	case err == nil, apierrors.IsAlreadyExists(err):
		return "", nil // what is there already was not refused
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsNotFound(err),
		apierrors.IsTooManyRequests(err) && strings.Contains(err.Error(), "disruption budget"),
		apierrors.IsInternalError(err) && strings.Contains(err.Error(), moreThanOne):
		if errors.As(err, &status) {
			says = status.Status().Message
			for _, cause := range causesOf(status) {
				if !strings.Contains(says, cause) {
					says += "; " + cause
				}
			}
			return says, nil
		}
	}
	return "", kubeError(doing, err)
}

// causesOf are the details that the message of a refusal may leave out.
func causesOf(s apierrors.APIStatus) []string {
	var out []string
	if d := s.Status().Details; d != nil {
		for _, c := range d.Causes {
			out = append(out, c.Message)
		}
	}
	return out
}

// podsOf are the ready pods that a podRef means; when there is none, f says why.
func podsOf(ctx context.Context, k *kube, t *Target, p podRef, namespace string) (ready []corev1.Pod, f []labs.Finding, err error) {
	var all []corev1.Pod
	if p.Name != "" {
		pod, err := k.typed.CoreV1().Pods(namespace).Get(ctx, p.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil, []labs.Finding{because(labs.Finding{Got: nothing}, whyMissing(ctx, k, t, ref{APIVersion: "v1", Kind: "Pod", Name: p.Name, Namespace: namespace}))}, nil
		} else if err != nil {
			return nil, nil, kubeError("reading pod "+p.Name, err)
		}
		all = append(all, *pod)
	} else {
		list, err := k.typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(p.Labels).String()})
		if err != nil {
			return nil, nil, kubeError("listing pods", err)
		}
		all = list.Items
	}
	for _, pod := range all {
		if pod.DeletionTimestamp == nil && isReady(&pod) {
			ready = append(ready, pod)
		}
	}
	if len(ready) > 0 {
		return ready, nil, nil
	}
	if len(all) == 0 {
		return nil, []labs.Finding{because(labs.Finding{Got: nothing}, whyMissing(ctx, k, t, ref{APIVersion: "v1", Kind: "Pod", Labels: p.Labels, Namespace: namespace}))}, nil
	}
	why := whyNotReady(ctx, k, t, "Pod", namespace, all[0].Name)
	if why.Because == "" {
		why.Because = "pod " + all[0].Name + " is not ready"
	}
	return nil, []labs.Finding{because(labs.Finding{Got: "no ready pod"}, why)}, nil
}

func withExpected(fs []labs.Finding, expected string) []labs.Finding {
	for i := range fs {
		fs[i].Expected = expected
	}
	return fs
}

// objectName names an object in a sentence.
func objectName(o map[string]any) string {
	kind, _ := o["kind"].(string)
	m, _ := plain(o["metadata"]).(map[string]any)
	if name, _ := m["name"].(string); name != "" {
		return kind + " " + name
	}
	return "a " + kind
}

func withoutArticle(s string) string { return strings.TrimPrefix(s, "a ") }
