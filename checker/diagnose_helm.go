package checker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/release/common"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// mostFindings is how many findings of one sort a learner is told at a time.
const mostFindings = 5

// whyNoRelease finds the release under a near name, or in another namespace of
// the same attendee.
func (c *releaseCheck) whyNoRelease(ctx context.Context, k *kube, t *Target) (labs.Finding, error) {
	names, err := releaseNames(releaseStore(ctx, k, t.Namespace))
	if err != nil {
		return labs.Finding{}, kubeError("listing releases", err)
	}
	elsewhere := map[string][]string{}
	if t.Attendee != "" {
		own := metav1.ListOptions{LabelSelector: attendeeLabel + "=" + t.Attendee}
		// Who may not list namespaces still learns the rest.
		if spaces, err := k.typed.CoreV1().Namespaces().List(ctx, own); err == nil {
			for _, ns := range spaces.Items {
				if there, err := releaseNames(releaseStore(ctx, k, ns.Name)); err == nil && ns.Name != t.Namespace {
					elsewhere[ns.Name] = there
				}
			}
		}
	}
	f := c.noRelease(t.Namespace, names, elsewhere)
	if f.Because == "" && f.Nearest == "" {
		c.withoutRelease(ctx, k, t, &f)
	}
	return f, nil
}

// noRelease is whyNoRelease once everything is known: the releases of the lab's
// namespace, and those of the attendee's other namespaces.
func (c *releaseCheck) noRelease(namespace string, names []string, elsewhere map[string][]string) labs.Finding {
	f := labs.Finding{
		Expected: fmt.Sprintf("release %s in namespace %s", c.Name, namespace),
		Got:      "no release in that namespace",
		Look:     "`helm list --all-namespaces`",
	}
	if len(names) > 0 {
		f.Got = "only " + listed(names)
	}
	for _, ns := range slices.Sorted(maps.Keys(elsewhere)) {
		if slices.Contains(elsewhere[ns], c.Name) {
			f.Because = fmt.Sprintf("release %s is in namespace %s", c.Name, ns)
			f.Look = fmt.Sprintf("`helm list --namespace %s`", ns)
			return f
		}
	}
	if near := labs.Nearest(c.Name, names); near != "" {
		f.Nearest = "you have a release " + near
	}
	return f
}

// differences compares what is stored of a release; history is not empty.
func (c *releaseCheck) differences(history []*releasev1.Release) []labs.Finding {
	last := history[len(history)-1]
	seen := fmt.Sprintf("`helm history %s --namespace %s`", c.Name, last.Namespace)
	if last.Info.Status != common.StatusDeployed {
		f := whyNotDeployed(history)
		f.Expected, f.Look = fmt.Sprintf("release %s to be deployed", c.Name), seen
		return []labs.Finding{f}
	}
	var found []labs.Finding
	if got := last.Chart.Metadata.Name; c.Chart != "" && got != c.Chart {
		found = append(found, labs.Finding{
			Expected: fmt.Sprintf("release %s made from chart %s", c.Name, c.Chart),
			Got:      "chart " + clip(got, 80), Look: "`helm list --namespace " + last.Namespace + "`",
		})
	}
	if last.Version < c.MinRevision {
		found = append(found, labs.Finding{
			Expected: fmt.Sprintf("revision %d or later", c.MinRevision),
			Got:      fmt.Sprintf("revision %d", last.Version),
			Because:  whyFewRevisions(last.Version), Look: seen,
		})
	}
	if f := c.whyNoRollback(history); f != nil {
		f.Look = seen
		found = append(found, *f)
	}
	return append(found, c.valueDifferences(last, history[:len(history)-1])...)
}

func whyFewRevisions(has int) string {
	if has == 1 {
		return "the release was installed, and neither upgraded nor rolled back since"
	}
	return "each `helm upgrade` and `helm rollback` makes one more revision"
}

// whyNotDeployed reads the status of the last revision.
func whyNotDeployed(history []*releasev1.Release) labs.Finding {
	last := history[len(history)-1]
	f := labs.Finding{Got: fmt.Sprintf("revision %d with status %s", last.Version, last.Info.Status)}
	says := clip(last.Info.Description, 300)
	switch status := last.Info.Status; {
	case status.IsPending():
		f.Because = fmt.Sprintf("Helm began it %s and has not finished: it still works, or was interrupted", ago(last.Info.LastDeployed))
	case status == common.StatusUninstalled:
		f.Because = "the release was uninstalled and its history kept"
	case status == common.StatusFailed && whyRefused(last) != "":
		f.Because = whyRefused(last)
	case says != "":
		f.Because = "Helm says: " + says
	}
	for _, r := range slices.Backward(history[:len(history)-1]) {
		if r.Info.Status == common.StatusDeployed {
			f.Nearest = fmt.Sprintf("revision %d is still deployed", r.Version)
			break
		}
	}
	return f
}

// whyNoRollback is nil when the last revision is the rollback that is asked for.
func (c *releaseCheck) whyNoRollback(history []*releasev1.Release) *labs.Finding {
	if c.RolledBackTo == 0 {
		return nil
	}
	last := history[len(history)-1]
	var target *releasev1.Release
	for _, r := range history {
		if r.Version == c.RolledBackTo {
			target = r
		}
	}
	f := &labs.Finding{Expected: fmt.Sprintf("the last revision to be a rollback to revision %d", c.RolledBackTo)}
	to := rolledBackTo(last)
	alike := target != nil && target != last && target.Manifest == last.Manifest && len(mismatches(target.Config, last.Config))+len(mismatches(last.Config, target.Config)) == 0
	switch {
	case to == c.RolledBackTo && (target == nil || alike):
		return nil // an old revision may have been pruned
	case to == c.RolledBackTo:
		f.Got = fmt.Sprintf("revision %d, which says so but differs from revision %d", last.Version, to)
	case to > 0:
		f.Got = fmt.Sprintf("revision %d, a rollback to revision %d", last.Version, to)
	default:
		f.Got = fmt.Sprintf("revision %d, which is no rollback", last.Version)
		if alike {
			f.Nearest = fmt.Sprintf("it has the same content as revision %d, by an upgrade", c.RolledBackTo)
		}
	}
	if target == nil {
		f.Because = fmt.Sprintf("the release has no revision %d", c.RolledBackTo)
	}
	return f
}

// valueDifferences compares the values that the release effectively has: the
// chart's defaults with the attendee's own over them. before are the earlier revisions.
func (c *releaseCheck) valueDifferences(r *releasev1.Release, before []*releasev1.Release) []labs.Finding {
	if len(c.Values) == 0 {
		return nil
	}
	look := fmt.Sprintf("`helm get values %s --all --namespace %s`", c.Name, r.Namespace)
	all, err := util.CoalesceValues(r.Chart, r.Config)
	if err != nil {
		return []labs.Finding{{Expected: "values that can be read", Got: clip(err.Error(), 200), Look: look}}
	}
	var found []labs.Finding
	for _, m := range mismatches(c.Values, map[string]any(all)) {
		f := labs.Finding{Expected: fmt.Sprintf("value %s of %s", m.Path, m.Want), Got: m.Got, Look: look}
		_, own := valueAt(r.Config, m.Path)
		_, byDefault := valueAt(r.Chart.Values, m.Path)
		switch {
		case !own && byDefault:
			f.Because = "that is the chart's default, and the release does not set it"
			if why := whyUnset(r, before, m.Path); why != "" {
				f.Because = why
			}
		case !own && !byDefault:
			f.Because = "neither the release nor the chart's values.yaml sets it"
			f.Nearest = nearValue(r.Config, m.Path)
			if set := sameName(r.Config, m.Path); set != "" && f.Nearest == "" {
				f.Because = fmt.Sprintf("the release sets %s, and not %s", set, m.Path)
			}
		}
		found = append(found, f)
	}
	return found[:min(len(found), mostFindings)]
}

// whyUnset says what became of a value that the attendee meant to set: it has
// another name, it stands below another key, or the last upgrade left it out.
func whyUnset(r *releasev1.Release, before []*releasev1.Release, path string) string {
	if near := nearValue(r.Config, path); near != "" {
		return near + ", and the chart reads " + path
	}
	if set := sameName(r.Config, path); set != "" {
		return fmt.Sprintf("the release sets %s, and the chart reads %s", set, path)
	}
	for _, old := range slices.Backward(before) {
		if v, ok := valueAt(old.Config, path); ok {
			return fmt.Sprintf("revision %d set it to %s, and the upgrade to revision %d did not say it again (--reuse-values keeps what was set)", old.Version, show(v), r.Version)
		}
	}
	return ""
}

// sameName is a value that is set and has the last name of path, below another key, or "".
func sameName(values map[string]any, path string) string {
	name := path[strings.LastIndexByte(path, '.')+1:]
	for _, set := range valuePaths(values, "") {
		if set == name || strings.HasSuffix(set, "."+name) {
			return set
		}
	}
	return ""
}

// valuePaths are the paths of all values that are set.
func valuePaths(values map[string]any, prefix string) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if m, ok := values[key].(map[string]any); ok {
			out = append(out, valuePaths(m, prefix+key+".")...)
		} else {
			out = append(out, prefix+key)
		}
	}
	return out
}

// valueAt finds a value by its path, such as image.tag. Lists are not entered.
func valueAt(values map[string]any, path string) (any, bool) {
	var v any = values
	for _, key := range strings.Split(path, ".") {
		m, _ := v.(map[string]any)
		next, ok := m[key]
		if !ok {
			return nil, false
		}
		v = next
	}
	return v, true
}

// nearValue is the value set beside path whose name is near, or "".
func nearValue(values map[string]any, path string) string {
	prefix, name := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		prefix, name = path[:i], path[i+1:]
		v, _ := valueAt(values, prefix)
		values, _ = v.(map[string]any)
		prefix += "."
	}
	near := labs.Nearest(name, slices.Sorted(maps.Keys(values)))
	if near == "" {
		return ""
	}
	return fmt.Sprintf("the release sets %s%s to %s", prefix, near, show(values[near]))
}
