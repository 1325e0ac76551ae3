package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	relutil "helm.sh/helm/v4/pkg/release/v1/util"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// releaseReady compares a release's manifest with the cluster: every object is
// there, has the fields that the manifest sets, and workloads are available.
func releaseReady(ctx context.Context, k *kube, t *Target, r *releasev1.Release) ([]labs.Finding, error) {
	objects, err := manifestObjects(r.Manifest)
	if err != nil {
		return []labs.Finding{{Expected: "a manifest of objects", Got: clip(err.Error(), 200), Look: "`helm get manifest " + r.Name + "`"}}, nil
	}
	var found []labs.Finding
	for _, want := range objects {
		o := unstructured.Unstructured{Object: want}
		at := ref{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Name: o.GetName(), Namespace: o.GetNamespace()}
		if at.Namespace == "" {
			at.Namespace = r.Namespace
		}
		live, err := k.objects(ctx, at)
		switch {
		case meta.IsNoMatchError(err):
			found = append(found, labs.Finding{Expected: at.Kind + " " + at.Name, Got: "a cluster that knows no " + at.APIVersion + " " + at.Kind})
			continue
		case err != nil:
			return nil, err
		}
		if len(live) == 0 {
			found = append(found, labs.Finding{
				Expected: fmt.Sprintf("%s %s of release %s", at.Kind, at.Name, r.Name), Got: "no such object",
				Because: "it was deleted after Helm had made it: the release's manifest has it",
				Look:    fmt.Sprintf("`helm get manifest %s --namespace %s`", r.Name, r.Namespace),
			})
			continue
		}
		if changed := driftOf(r, want, &live[0]); len(changed) > 0 {
			found = append(found, changed...)
			continue
		}
		if !available(&live[0]) {
			f := whyNotReady(ctx, k, t, at.Kind, at.Namespace, at.Name)
			if f.Expected == "" {
				f.Expected = fmt.Sprintf("%s %s to be available", at.Kind, at.Name)
			}
			if f.Got == "" && f.Because == "" {
				f.Got = "a rollout that is not complete"
				f.Look = fmt.Sprintf("`kubectl get %s %s --namespace %s`", strings.ToLower(at.Kind), at.Name, at.Namespace)
			}
			found = append(found, f)
		}
	}
	return found[:min(len(found), mostFindings)], nil
}

// driftOf finds the fields of an object that differ from what the release's manifest sets.
func driftOf(r *releasev1.Release, want map[string]any, live *unstructured.Unstructured) []labs.Finding {
	var found []labs.Finding
	for _, m := range mismatches(settled(want), live.Object) {
		f := labs.Finding{
			Expected: fmt.Sprintf("%s of %s %s to be %s, as release %s sets it", m.Path, live.GetKind(), live.GetName(), m.Want, r.Name),
			Got:      m.Got,
			Look:     fmt.Sprintf("`kubectl get %s %s --namespace %s -o yaml`", strings.ToLower(live.GetKind()), live.GetName(), live.GetNamespace()),
		}
		if who := changedBy(live, m.Path); who != "" {
			f.Because = who + " changed this field after Helm had set it"
		}
		found = append(found, f)
	}
	return found
}

// settled is a manifest without what the cluster keeps in another form: fields
// that are empty, which it drops, and a Secret's stringData, which becomes data.
func settled(want map[string]any) map[string]any {
	out, _ := dropEmpty(want).(map[string]any)
	if out["kind"] == "Secret" {
		delete(out, "stringData")
	}
	delete(out, "status")
	return out
}

// dropEmpty leaves out null, empty maps and empty lists, however deep.
func dropEmpty(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			if e = dropEmpty(e); e != nil {
				out[k] = e
			}
		}
		if len(out) > 0 {
			return out
		}
		return nil
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			if out[i] = dropEmpty(e); out[i] == nil {
				out[i] = map[string]any{}
			}
		}
		if len(out) > 0 {
			return out
		}
		return nil
	}
	return v
}

// changedBy names the kubectl that set a field to what it is now, as the cluster
// records it; "" when it was not kubectl.
func changedBy(live *unstructured.Unstructured, path string) string {
	for _, e := range live.GetManagedFields() {
		if !strings.HasPrefix(e.Manager, "kubectl") || e.FieldsV1 == nil {
			continue
		}
		var owned map[string]any
		if json.Unmarshal(e.FieldsV1.Raw, &owned) == nil && owns(owned, path) {
			return managerInWords(e.Manager, e.Subresource)
		}
	}
	return ""
}

// owns reports whether recorded fields hold that of a path, such as
// spec.containers[name=web].image.
func owns(fields map[string]any, path string) bool {
	for path != "" {
		key, rest := path, ""
		if i := strings.IndexAny(path, ".["); i >= 0 {
			key, rest = path[:i], strings.TrimPrefix(path[i:], ".")
		}
		if entry, found := strings.CutPrefix(path, "["); found {
			key, rest, _ = strings.Cut(entry, "]")
			rest = strings.TrimPrefix(rest, ".")
			fields = ownedEntry(fields, key)
		} else {
			fields, _ = fields["f:"+key].(map[string]any)
		}
		if fields == nil {
			return false
		}
		path = rest
	}
	return true
}

// ownedEntry is what is recorded of a list's entry, such as name=web.
func ownedEntry(fields map[string]any, entry string) map[string]any {
	name, value, _ := strings.Cut(entry, "=")
	for recorded, below := range fields {
		text, isKey := strings.CutPrefix(recorded, "k:")
		var keys map[string]any
		if isKey && json.Unmarshal([]byte(text), &keys) == nil && keys[name] != nil && bare(keys[name]) == value {
			fields, _ := below.(map[string]any)
			return fields
		}
	}
	return nil
}

// managerInWords is the command by which a field was set, from the name that kubectl leaves.
func managerInWords(manager, subresource string) string {
	switch manager = clip(manager, 40); {
	case manager == "kubectl-client-side-apply", manager == "kubectl-last-applied":
		return "`kubectl apply`"
	case manager == "kubectl" && subresource == "scale":
		return "`kubectl scale`"
	case strings.HasPrefix(manager, "kubectl-"):
		return "`" + strings.Replace(manager, "-", " ", 1) + "`"
	}
	return manager
}

// available reports whether a workload has rolled out and all of it can be used.
// Other kinds of object are available when they exist.
func available(o *unstructured.Unstructured) bool {
	num := func(fields ...string) int64 {
		n, _, _ := unstructured.NestedInt64(o.Object, fields...)
		return n
	}
	want, set, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
	if !set {
		want = 1
	}
	current := num("status", "observedGeneration") >= o.GetGeneration()
	switch o.GetAPIVersion() + " " + o.GetKind() {
	case "apps/v1 Deployment":
		return current && num("status", "updatedReplicas") == want && num("status", "availableReplicas") == want && num("status", "replicas") == want
	case "apps/v1 StatefulSet":
		return current && num("status", "readyReplicas") == want && num("status", "replicas") == want
	case "apps/v1 DaemonSet":
		want = num("status", "desiredNumberScheduled")
		return current && num("status", "updatedNumberScheduled") == want && num("status", "numberAvailable") == want
	}
	return true
}

// manifestObjects are the objects of a release's manifest, in order.
func manifestObjects(manifest string) ([]map[string]any, error) {
	docs := relutil.SplitManifests(manifest)
	keys := slices.Collect(maps.Keys(docs))
	slices.SortFunc(keys, func(a, b string) int {
		if (relutil.BySplitManifestsOrder{a, b}).Less(0, 1) {
			return -1
		}
		return 1
	})
	var out []map[string]any
	for _, key := range keys {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(docs[key]), &o); err != nil {
			return nil, err
		}
		if len(o) > 0 {
			out = append(out, o)
		}
	}
	return out, nil
}
