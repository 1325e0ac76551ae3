package checker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kindlab/kindlab/labs"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// objectCheck: a Kubernetes object that holds at least the given fields.
//
// A map matches when each of its keys matches. A list of maps that have a name
// (or another merge key: port, containerPort, mountPath, type, ip, key,
// parentRef.name) matches entry by entry by that key; any other list must be equal. Without metadata.name, one object
// that matches is enough; metadata.labels then select. The namespace is the
// lab's unless metadata.namespace says otherwise. When status is asked for,
// status.observedGeneration, where there is one, must be current.
type objectCheck struct {
	APIVersion string         `yaml:"apiVersion" doc:"Such as v1 or apps/v1." required:"true"`
	Kind       string         `yaml:"kind" doc:"Such as Pod." required:"true"`
	Rest       map[string]any `yaml:",inline"`
}

// maxFindings is how many differences of one object a learner is told at once.
const maxFindings = 4

func (c *objectCheck) validate() error {
	r, err := c.ref("")
	if err != nil {
		return err
	}
	if err := r.validate(); err != nil {
		return err
	}
	usual := []string{"metadata", "spec", "status"}
	for key := range c.Rest {
		if near := nearFit(key, usual); near != "" {
			return fmt.Errorf("unknown key %q; did you mean %q?", key, near)
		}
	}
	for _, key := range usual {
		if v, ok := c.Rest[key]; ok {
			if _, isMap := plain(v).(map[string]any); !isMap {
				return fmt.Errorf("%s must be a map", key)
			}
		}
	}
	return nil
}

// ref is what the check looks for.
func (c *objectCheck) ref(namespace string) (ref, error) {
	r := ref{APIVersion: c.APIVersion, Kind: c.Kind, Namespace: namespace}
	m, isMap := plain(c.Rest["metadata"]).(map[string]any)
	if !isMap && c.Rest["metadata"] != nil {
		return r, errors.New("metadata must be a map")
	}
	for key, into := range map[string]*string{"name": &r.Name, "namespace": &r.Namespace} {
		if v, ok := m[key]; ok {
			text, isText := v.(string)
			if !isText {
				return r, fmt.Errorf("metadata.%s must be text, so put quotes around %v", key, v)
			}
			*into = text
		}
	}
	wanted, isMap := plain(m["labels"]).(map[string]any)
	if !isMap && m["labels"] != nil {
		return r, errors.New("metadata.labels must be a map")
	}
	for key, v := range wanted {
		text, isText := v.(string)
		if !isText {
			return r, fmt.Errorf("metadata.labels.%s must be text, so put quotes around %v", key, v)
		}
		if r.Labels == nil {
			r.Labels = map[string]string{}
		}
		r.Labels[key] = text
	}
	if r.Name != "" {
		r.Labels = nil // they are compared, not searched by
	}
	return r, nil
}

func (c *objectCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	k, err := kubeOf(ctx, t)
	if err != nil {
		return nil, err
	}
	r, err := c.ref(t.Namespace)
	if err != nil {
		return nil, err
	}
	found, err := k.objects(ctx, r)
	if err != nil || len(found) == 0 {
		return missing(ctx, k, t, r, err)
	}
	best, least := unstructured.Unstructured{}, []mismatch(nil)
	for i, o := range found {
		m := c.compare(o.Object)
		if len(m) == 0 {
			return nil, nil
		}
		if i == 0 || len(m) < len(least) {
			best, least = o, m
		}
	}
	return c.explain(ctx, k, t, best, least), nil
}

// compare lists how an object differs. The differences of the status come last,
// since they mostly follow from others.
func (c *objectCheck) compare(object map[string]any) []mismatch {
	var out []mismatch
	for _, key := range slices.Sorted(maps.Keys(c.Rest)) {
		if key != "status" {
			out = append(out, compare(trail{}.key(key), c.Rest[key], object[key])...)
		}
	}
	o := unstructured.Unstructured{Object: object}
	if at := o.GetDeletionTimestamp(); at != nil {
		out = append(out, mismatch{"metadata.deletionTimestamp", nothing, "a time: it is being deleted"})
	}
	want, asks := c.Rest["status"]
	if !asks {
		return out
	}
	seen, tells, _ := unstructured.NestedInt64(object, "status", "observedGeneration")
	if tells && seen < o.GetGeneration() {
		return append(out, mismatch{"status.observedGeneration", fmt.Sprint(o.GetGeneration()), fmt.Sprint(seen)})
	}
	return append(out, compare(trail{}.key("status"), want, object["status"])...)
}

// explain makes findings of what differs, the cause beside the first that a cause explains.
func (c *objectCheck) explain(ctx context.Context, k *kube, t *Target, o unstructured.Unstructured, all []mismatch) []labs.Finding {
	var out []labs.Finding
	look := command(t, "kubectl get "+resourceWord(c.Kind)+" "+o.GetName(), o.GetNamespace(), "-o yaml")
	explained := false
	for _, m := range all {
		if len(out) == maxFindings {
			out[maxFindings-1].Nearest = fmt.Sprintf("%d more things differ", len(all)-maxFindings)
			break
		}
		f := labs.Finding{Expected: m.Path + ": " + m.Want, Got: m.Got, Look: look}
		f = sayStatus(f, m)
		if isStatus := strings.HasPrefix(m.Path, "status."); isStatus && !explained {
			cause := c.cause(ctx, k, t, o, m)
			explained = cause.Because != ""
			f = because(f, cause)
		}
		out = append(out, f)
	}
	return out
}

// cause says why a status is not as wanted.
func (c *objectCheck) cause(ctx context.Context, k *kube, t *Target, o unstructured.Unstructured, m mismatch) labs.Finding {
	if m.Path == "status.observedGeneration" {
		return labs.Finding{Because: "the cluster has not acted on the last change yet"}
	}
	d := diagnosis{ctx, k, t, o.GetNamespace()}
	if most, ok, _ := unstructured.NestedInt64(o.Object, "spec", "maxReplicas"); ok && above(m, most) {
		return labs.Finding{Because: fmt.Sprintf("%s %s scales to %d replicas at most (maxReplicas)", c.Kind, o.GetName(), most)}
	}
	if why := whyNotReady(ctx, k, t, c.Kind, o.GetNamespace(), o.GetName()); why.Because != "" {
		return why
	}
	if asked, ok, _ := unstructured.NestedInt64(o.Object, "spec", "replicas"); ok && strings.HasSuffix(strings.ToLower(m.Path), "replicas") {
		if bare(asked) != m.Want {
			return cmp.Or(d.scaledBy(c.Kind, o.GetName()), labs.Finding{Because: fmt.Sprintf("spec.replicas is %d", asked)})
		}
	}
	if says := conditionSays(o, m.Path); says != "" {
		return labs.Finding{Because: fmt.Sprintf("%s %s says: %s", c.Kind, o.GetName(), says)}
	}
	return labs.Finding{}
}

// above reports whether more replicas are wanted than most.
func above(m mismatch, most int64) bool {
	want, err := strconv.ParseInt(m.Want, 10, 64)
	return err == nil && want > most && strings.HasSuffix(strings.ToLower(m.Path), "replicas")
}

// sayStatus words the counts that every learner meets as people do.
func sayStatus(f labs.Finding, m mismatch) labs.Finding {
	words := map[string]string{
		"status.replicas":               "replicas",
		"status.readyReplicas":          "ready replicas",
		"status.availableReplicas":      "available replicas",
		"status.updatedReplicas":        "updated replicas",
		"status.numberReady":            "ready pods",
		"status.currentReplicas":        "current replicas",
		"status.succeeded":              "successful runs",
		"status.desiredReplicas":        "desired replicas",
		"status.fullyLabeledReplicas":   "replicas with the labels",
		"status.numberAvailable":        "available pods",
		"status.desiredNumberScheduled": "scheduled pods",
	}
	if word := words[m.Path]; word != "" {
		f.Expected = m.Want + " " + word
		if m.Got == nothing {
			f.Got = "0"
		}
	}
	return f
}

// because puts a cause into a finding.
func because(f, cause labs.Finding) labs.Finding {
	f.Because, f.Nearest = cause.Because, cause.Nearest
	if cause.Look != "" {
		f.Look = cause.Look
	}
	return f
}

// conditionSays is the message of the condition that a path such as
// status.conditions[type=Complete].status leads to.
func conditionSays(o unstructured.Unstructured, path string) string {
	rest, found := strings.CutPrefix(path, "status.conditions[type=")
	kind, _, ends := strings.Cut(rest, "]")
	if !found || !ends {
		return ""
	}
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range conditions {
		if m, _ := c.(map[string]any); m["type"] == kind {
			says, _ := m["message"].(string)
			return clip(says, 200)
		}
	}
	return ""
}

// validate says what is wrong with a reference.
func (r ref) validate() error {
	switch {
	case r.APIVersion == "":
		return errors.New("apiVersion is missing")
	case r.Kind == "":
		return errors.New("kind is missing")
	case !regexp.MustCompile(`^([a-z0-9.-]+/)?v[a-z0-9]+$`).MatchString(r.APIVersion):
		return fmt.Errorf("apiVersion %q is not one such as v1 or apps/v1", r.APIVersion)
	case !regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`).MatchString(r.Kind):
		return fmt.Errorf("kind %q is not one such as Pod", r.Kind)
	}
	return nil
}

// in gives the reference a namespace when it says none.
func (r ref) in(namespace string) ref {
	if r.Namespace == "" {
		r.Namespace = namespace
	}
	return r
}

func (r ref) String() string {
	switch {
	case r.Name != "":
		return r.Kind + " " + r.Name
	case len(r.Labels) > 0:
		return "a " + r.Kind + " with " + labelText(r.Labels)
	}
	return "a " + r.Kind
}

// missing says that there is no such object, and what is near. err is why
// looking for it failed, and may be an answer: that the cluster has no such kind.
func missing(ctx context.Context, k *kube, t *Target, r ref, err error) ([]labs.Finding, error) {
	if meta.IsNoMatchError(err) {
		return []labs.Finding{{
			Expected: r.String(), Got: nothing,
			Because: fmt.Sprintf("the cluster has no kind %s in %s", r.Kind, r.APIVersion),
			Look:    "kubectl api-resources",
		}}, nil
	}
	if err != nil {
		return nil, err
	}
	return []labs.Finding{because(labs.Finding{Expected: r.String(), Got: nothing}, whyMissing(ctx, k, t, r))}, nil
}
