package checker

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestRefused(t *testing.T) {
	const spec = `refused:
  create: {apiVersion: v1, kind: Pod, spec: {size: large}}
  because: exceeded quota
  accepted: {apiVersion: v1, kind: Pod, spec: {size: small}}`
	quotas := map[string]any{"apiVersion": "v1", "kind": "ResourceQuotaList", "items": []any{thing("v1", "ResourceQuota", "few", nil, map[string]any{
		"spec": map[string]any{"hard": map[string]any{"pods": "3", "services": "9"}}, "status": map[string]any{"used": map[string]any{"pods": "1"}}})}}
	for name, c := range map[string]struct {
		large, small string // what the cluster says to each; "" when it takes it
		because      string // "" when the check passes
	}{
		"for the reason":      {"exceeded quota: few", "", ""},
		"taken":               {"", "", "ResourceQuota few has room: 1 of 3 pods are used, and a Pod asks for 1"},
		"for another reason":  {"violates PodSecurity", "", "it is refused for this: violates PodSecurity"},
		"everything, as well": {"exceeded quota: few", "exceeded quota: none", "the rule refuses too much: exceeded quota: none"},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := checkOf(t, spec)
			require.NoError(t, err)
			ctx, target := serveCluster{objects: map[string]any{"/api/v1/namespaces/lab/resourcequotas": quotas}, create: func(r *http.Request, body string) (int, string) {
				assert.Equal(t, "All", r.URL.Query().Get("dryRun"), "nothing is made")
				assert.Contains(t, body, "kindlab-try-", "it has no name of its own")
				says := c.small
				if strings.Contains(body, "large") {
					says = c.large
				}
				if says == "" {
					return http.StatusCreated, ""
				}
				return http.StatusForbidden, says
			}}.start(t)
			for range 2 { // a look leaves the check as it was
				found, err := k.look(ctx, target)
				require.NoError(t, err)
				if c.because == "" {
					assert.Empty(t, found)
					continue
				}
				require.Len(t, found, 1)
				assert.Equal(t, c.because, found[0].Because)
			}
			assert.NotContains(t, k.(*refusedCheck).Create, "metadata")
		})
	}
}

func TestWhyAccepted(t *testing.T) {
	list := func(kind string, items ...any) map[string]any {
		return map[string]any{"apiVersion": "v1", "kind": kind + "List", "items": items}
	}
	quota := func(name string, hard map[string]any) map[string]any {
		return thing("v1", "ResourceQuota", name, nil, map[string]any{"spec": map[string]any{"hard": hard}})
	}
	limits := func(max map[string]any) map[string]any {
		return thing("v1", "LimitRange", "sizes", nil, map[string]any{"spec": map[string]any{"limits": []any{map[string]any{"type": "Container", "max": max}}}})
	}
	pod := thing("v1", "Pod", "greedy", nil, map[string]any{"spec": map[string]any{"containers": []any{
		map[string]any{"name": "a", "resources": map[string]any{"requests": map[string]any{"memory": "1Gi"}, "limits": map[string]any{"memory": "1Gi"}}},
		map[string]any{"name": "b", "resources": map[string]any{"requests": map[string]any{"memory": "512Mi"}}}}}})
	const most = "maximum memory usage per Container"
	for name, c := range map[string]struct {
		quotas, limits  []any
		namespace       map[string]any
		reason, because string
	}{
		"no quota": {nil, nil, nil, "exceeded quota", "namespace lab has no ResourceQuota"},
		"room":     {[]any{quota("few", map[string]any{"requests.memory": "8Gi"})}, nil, nil, "exceeded quota", "ResourceQuota few has room: 0 of 8Gi requests.memory are used, and Pod greedy asks for 1536Mi"},
		"the one that is named": {[]any{quota("few", map[string]any{"limits.memory": "8Gi", "pods": "2"})}, nil, nil, "exceeded quota: .* pods=",
			"ResourceQuota few has room: 0 of 2 pods are used, and Pod greedy asks for 1"},
		"of something else":   {[]any{quota("few", map[string]any{"limits.cpu": "1"})}, nil, nil, "exceeded quota", "ResourceQuota few limits limits.cpu, of which Pod greedy asks nothing"},
		"no limits":           {nil, nil, nil, most, "namespace lab has no LimitRange"},
		"wide limits":         {nil, []any{limits(map[string]any{"memory": "2Gi"})}, nil, most, "LimitRange sizes allows it: the maximum of memory for a container is 2Gi, and container a of Pod greedy has 1Gi"},
		"limits of CPU":       {nil, []any{limits(map[string]any{"cpu": "1"})}, nil, most, "LimitRange sizes sets no maximum for containers"},
		"nothing enforced":    {nil, nil, map[string]any{podSecurity + "warn": "restricted"}, "violates PodSecurity", "namespace lab enforces no Pod Security: it has no label pod-security.kubernetes.io/enforce"},
		"a level that is low": {nil, nil, map[string]any{podSecurity + "enforce": "baseline"}, "violates PodSecurity", "namespace lab enforces Pod Security baseline, which allows it"},
		"another sort":        {nil, nil, nil, "denied by policy", "no rule of namespace lab forbids it (expected: denied by policy)"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, target := serveCluster{objects: map[string]any{
				"/api/v1/namespaces/lab/resourcequotas": list("ResourceQuota", c.quotas...),
				"/api/v1/namespaces/lab/limitranges":    list("LimitRange", c.limits...),
				"/api/v1/namespaces/lab":                thing("v1", "Namespace", "lab", map[string]any{"labels": c.namespace}, nil),
			}}.start(t)
			k, err := kubeOf(ctx, target)
			require.NoError(t, err)
			assert.Equal(t, c.because, whyAccepted(ctx, k, target, &unstructured.Unstructured{Object: pod}, c.reason).Because)
		})
	}
}

func TestRefusedOfAKindThatTheClusterDoesNotKnow(t *testing.T) {
	k, err := checkOf(t, `refused: {create: {apiVersion: example.com/v1, kind: Widget}, because: size, accepted: {apiVersion: example.com/v1, kind: Widget}}`)
	require.NoError(t, err)
	ctx, target := serveCluster{}.start(t)
	found, err := k.look(ctx, target)
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.Equal(t, "the cluster has no kind Widget in example.com/v1", found[0].Because)
}
