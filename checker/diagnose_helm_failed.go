package checker

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
	"helm.sh/helm/v4/pkg/release/common"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// What Helm writes of a revision that failed.
var (
	helmObject    = regexp.MustCompile(`object \S*?/?(\S+) \S+, Kind=(\w+): (.*)`)
	helmInvalid   = regexp.MustCompile(`(?s)(\w+)(?:\.[\w.-]+)? "([^"]+)" is invalid: (.*)`)
	helmImmutable = regexp.MustCompile(`(?s)^([\w.\[\]]+): (?:Invalid value|Forbidden): .*(?:field is immutable|is immutable after creation)`)
	helmNoField   = regexp.MustCompile(`\.(\S+): field not declared in schema`)
	helmType      = regexp.MustCompile(`\.(\S+): expected ([^,]+(?:\([^)]*\))?), got (\S+)`)
	helmConflict  = regexp.MustCompile(`Apply failed with \d+ conflicts?: conflicts? with "([^"]+)"(?: with subresource "(\w+)")?[^:]*:(?:\n- )? ?\.(\S+)`)
	helmExists    = regexp.MustCompile(`(\w+) "([^"]+)" in namespace "[^"]+" exists and cannot be imported`)
	helmHook      = regexp.MustCompile(`failed ((?:pre|post)-\w+): |((?:pre|post)-\w+) hooks failed: `)
	helmWaited    = regexp.MustCompile(`resource (\w+)/[^/\s]+/(\S+) not ready`)
	helmTimedOut  = regexp.MustCompile(`not ready|timed out|context deadline exceeded`)
)

// whyRefused reads what the API server has said of an object of a revision that failed; ""
// when it is about something else.
func whyRefused(r *releasev1.Release) string {
	says := r.Info.Description
	kind, name, what := "", "", says
	if m := helmObject.FindStringSubmatch(says); m != nil {
		name, kind, what = m[1], m[2], m[3]
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	if m := helmInvalid.FindStringSubmatch(what); m != nil {
		kind, name, what = m[1], m[2], m[3]
		if m := helmImmutable.FindStringSubmatch(what); m != nil {
			return fmt.Sprintf("%s of %s %s cannot be changed any more once it is made, and revision %d changes it", m[1], kind, name, r.Version)
		}
		return fmt.Sprintf("the API server refuses %s %s: %s", kind, name, clip(what, 200))
	}
	if m := helmExists.FindStringSubmatch(what); m != nil {
		return fmt.Sprintf("%s %s is there already, and was not made by this release", m[1], m[2])
	}
	if kind == "" {
		return ""
	}
	if m := helmNoField.FindStringSubmatch(what); m != nil {
		return fmt.Sprintf("the API server refuses %s %s: it has no field %s", kind, name, m[1])
	}
	if m := helmType.FindStringSubmatch(what); m != nil {
		is := m[3]
		if v, ok := valueAt(manifestObject(r, kind, name), m[1]); ok {
			is = show(v)
		}
		return fmt.Sprintf("the API server refuses %s %s: %s is to be %s, and is %s", kind, name, m[1], m[2], is)
	}
	if m := helmConflict.FindStringSubmatch(what); m != nil {
		return fmt.Sprintf("%s has set %s of %s %s, and Helm does not take over what another has set", managerInWords(m[1], m[2]), m[3], kind, name)
	}
	return ""
}

// manifestObject is an object of a revision's manifest; nil when it has none of the name.
func manifestObject(r *releasev1.Release, kind, name string) map[string]any {
	objects, _ := manifestObjects(r.Manifest)
	for _, o := range objects {
		if u := (unstructured.Unstructured{Object: o}); u.GetKind() == kind && u.GetName() == name {
			return o
		}
	}
	return nil
}

// whyFailed walks on from a revision that failed to the object that it waited for. The
// finding stays as it is when that object is another one by now, or is well.
func whyFailed(ctx context.Context, k *kube, t *Target, r *releasev1.Release, f labs.Finding) labs.Finding {
	says := r.Info.Description
	if r.Info.Status != common.StatusFailed || !helmTimedOut.MatchString(says) {
		return f
	}
	step(ctx, "revision %d of release %s has failed: %s", r.Version, r.Name, says)
	if m := helmHook.FindStringSubmatch(says); m != nil {
		return whyHookFailed(ctx, k, t, r, cmp.Or(m[1], m[2]), f)
	}
	waited := helmWaited.FindStringSubmatch(says)
	objects, err := manifestObjects(r.Manifest)
	if err != nil {
		return f
	}
	for _, want := range objects {
		o := unstructured.Unstructured{Object: want}
		if waited != nil && (o.GetKind() != waited[1] || o.GetName() != waited[2]) {
			continue
		}
		live := liveObject(ctx, k, r, o)
		if live == nil || live.GetAnnotations()[releaseAnnotation] != r.Name || len(driftOf(r, want, live)) > 0 {
			continue
		}
		if waited == nil && available(live) {
			continue
		}
		step(ctx, "Helm waited for %s %s", o.GetKind(), o.GetName())
		ruledOut(ctx, "%s %s was changed since revision %d", o.GetKind(), o.GetName(), r.Version)
		if cause := whyNotReady(ctx, k, t, o.GetKind(), r.Namespace, o.GetName()); cause.Because != "" {
			return because(f, cause)
		}
	}
	return f
}

// releaseAnnotation is what Helm writes on an object to say whose it is.
const releaseAnnotation = "meta.helm.sh/release-name"

// liveObject is the object of a manifest as the cluster has it, or nil.
func liveObject(ctx context.Context, k *kube, r *releasev1.Release, o unstructured.Unstructured) *unstructured.Unstructured {
	at := ref{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Name: o.GetName(), Namespace: o.GetNamespace()}
	if at.Namespace == "" {
		at.Namespace = r.Namespace
	}
	live, err := k.objects(ctx, at)
	if err != nil || len(live) == 0 {
		return nil
	}
	return &live[0]
}

// whyHookFailed walks on to the hook of a revision that has failed. event is such as pre-install.
func whyHookFailed(ctx context.Context, k *kube, t *Target, r *releasev1.Release, event string, f labs.Finding) labs.Finding {
	for _, h := range r.Hooks {
		if h == nil || !slices.Contains(h.Events, releasev1.HookEvent(event)) {
			continue
		}
		m := helmWaited.FindStringSubmatch(r.Info.Description)
		if m != nil && (h.Kind != m[1] || h.Name != m[2]) || m == nil && h.LastRun.Phase != releasev1.HookPhaseFailed {
			continue
		}
		f.Because = fmt.Sprintf("its %s hook, %s %s, failed", event, h.Kind, h.Name)
		step(ctx, "its %s hook is %s %s", event, h.Kind, h.Name)
		var want map[string]any
		if yaml.Unmarshal([]byte(h.Manifest), &want) != nil {
			return f
		}
		live := liveObject(ctx, k, r, unstructured.Unstructured{Object: want})
		if live == nil || live.GetCreationTimestamp().Time.Before(r.Info.LastDeployed.Truncate(time.Second)) {
			step(ctx, "%s %s is not there any more to be asked", h.Kind, h.Name)
			return f
		}
		if cause := whyNotReady(ctx, k, t, h.Kind, r.Namespace, h.Name); cause.Because != "" {
			cause.Because = f.Because + ": " + cause.Because
			return because(f, cause)
		}
		return f
	}
	return f
}
