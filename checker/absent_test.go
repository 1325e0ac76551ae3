package checker

import (
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAbsent(t *testing.T) {
	namespace := thing("v1", "Namespace", "lab", nil, nil)
	leaving := map[string]any{"deletionTimestamp": "2026-01-01T00:00:00Z"}
	stuck := map[string]any{"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": []any{"example.com/keep"}}
	green := map[string]any{"spec": map[string]any{"colour": "green"}}
	list := func(items ...any) map[string]any {
		return map[string]any{"apiVersion": "v1", "kind": "PodList", "items": items}
	}
	byName := `absent: {apiVersion: v1, kind: Pod, metadata: {name: old}}`
	for name, c := range map[string]struct {
		spec, because string // because is "" when it passes
		objects       map[string]any
	}{
		"not there":             {byName, "", map[string]any{"/api/v1/namespaces/lab": namespace}},
		"there":                 {byName, "Pod old is still there", map[string]any{"/api/v1/namespaces/lab": namespace, "/api/v1/namespaces/lab/pods/old": thing("v1", "Pod", "old", nil, nil)}},
		"being deleted":         {byName, "it is being deleted", map[string]any{"/api/v1/namespaces/lab": namespace, "/api/v1/namespaces/lab/pods/old": thing("v1", "Pod", "old", leaving, nil)}},
		"waits for a finalizer": {byName, "it is being deleted, and waits for example.com/keep", map[string]any{"/api/v1/namespaces/lab": namespace, "/api/v1/namespaces/lab/pods/old": thing("v1", "Pod", "old", stuck, nil)}},
		"no namespace":          {byName, "there is no namespace lab", nil},
		"namespace goes away": {byName, "namespace lab is being deleted",
			map[string]any{"/api/v1/namespaces/lab": thing("v1", "Namespace", "lab", leaving, nil)}},
		"no such kind": {`absent: {apiVersion: example.com/v1, kind: Widget}`, "the cluster has no kind Widget in example.com/v1",
			map[string]any{"/api/v1/namespaces/lab": namespace}},
		"another one": {`absent: {apiVersion: v1, kind: Pod, spec: {colour: red}}`, "",
			map[string]any{"/api/v1/namespaces/lab": namespace, "/api/v1/namespaces/lab/pods": list(thing("v1", "Pod", "old", nil, green))}},
		"one of several": {`absent: {apiVersion: v1, kind: Pod, spec: {colour: green}}`, "Pod b is still there",
			map[string]any{"/api/v1/namespaces/lab": namespace, "/api/v1/namespaces/lab/pods": list(thing("v1", "Pod", "a", nil, nil), thing("v1", "Pod", "b", nil, green))}},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := checkOf(t, c.spec)
			require.NoError(t, err)
			ctx, target := serveCluster{objects: c.objects}.start(t)
			found, err := k.look(ctx, target)
			require.NoError(t, err)
			if c.because == "" {
				assert.Empty(t, found)
				return
			}
			require.Len(t, found, 1)
			assert.Equal(t, c.because, found[0].Because)
			assert.NotEmpty(t, labs.Verdict{Findings: found}.Lines())
		})
	}
}
