package checker

import (
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// decodedCheck decodes and validates a check of the kind.
func decodedCheck(t *testing.T, kind, text string) (kindOf kind, err error) {
	t.Helper()
	var doc yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(text), &doc))
	return decode(&labs.Check{Kind: kind, Spec: doc.Content[0]})
}

func TestValidate(t *testing.T) {
	for _, c := range []struct{ kind, spec, wrong string }{
		{"object", `{apiVersion: v1, kind: Pod}`, ""},
		{"object", `{kind: Pod}`, "apiVersion is missing"},
		{"object", `{apiVersion: v1}`, "kind is missing"},
		{"object", `{apiVersion: apps.v1, kind: Pod}`, `apiVersion "apps.v1"`},
		{"object", `{apiVersion: v1, kind: pod}`, `kind "pod"`},
		{"object", `{apiVersion: v1, kind: Pod, metadata: {labels: {n: 1}}}`, "metadata.labels.n must be text"},
		{"object", `{apiVersion: v1, kind: Pod, metadata: [a]}`, "metadata must be a map"},
		{"object", `{apiVersion: v1, kind: Pod, spec: text}`, "spec must be a map"},

		{"cel", `{object: {apiVersion: v1, kind: Pod, name: a}, true: object.spec.x == 1, got: string(object.spec.x)}`, ""},
		{"cel", `{object: {apiVersion: v1, kind: Pod}, with: {pods: {apiVersion: v1, kind: Pod}}, true: size(pods) == 1}`, ""},
		{"cel", `{object: {apiVersion: v1, kind: Pod, name: a}}`, "true is missing"},
		{"cel", `{object: {apiVersion: v1, kind: Pod, name: a}, true: object.spec.x ==}`, "line 1, letter"},
		{"cel", `{object: {apiVersion: v1, kind: Pod, name: a}, true: pods.size() > 0}`, "undeclared reference to 'pods'"},
		{"cel", `{object: {apiVersion: v1, kind: Pod, name: a}, true: "1 + 1"}`, "makes int, not true or false"},
		{"cel", `{object: {apiVersion: v1, kind: Pod, name: a}, true: "true", got: nope()}`, "got: "},
		{"cel", `{object: {apiVersion: v1, kind: Pod, name: a}, with: {object: {apiVersion: v1, kind: Pod}}, true: "true"}`, `the variable "object"`},
		{"cel", `{object: {kind: Pod, name: a}, true: "true"}`, "object: apiVersion is missing"},

		{"http", `{url: "http://localhost:8080/"}`, ""},
		{"http", `{url: "http://[::1]:8080/", from: host, status: 404, times: 100}`, ""},
		{"http", `{url: "http://web.ns.svc/", from: cluster, expect: [{that: teal, true: json.colour == "teal"}]}`, ""},
		{"http", `{}`, "url is missing"},
		{"http", `{url: "file:///etc/passwd"}`, "is not one such as"},
		{"http", `{url: "http://example.com/"}`, "only this machine is asked"},
		{"http", `{url: "http://169.254.169.254/"}`, "only this machine is asked"},
		{"http", `{url: "http://localhost@example.com/"}`, "is not one such as"},
		{"http", `{url: "http://localhost/", from: moon}`, "is none of host, cluster"},
		{"http", "{url: \"http://localhost/\",\n from: {pod: a, pdo: b}}", "line 2: unknown key \"pdo\"; did you mean \"pod\"?"},
		{"http", `{url: "http://localhost/", times: 101}`, "times 101"},
		{"http", `{url: "http://localhost/", status: 42}`, "status 42"},
		{"http", `{url: "http://localhost/", method: get it}`, "method"},
		{"http", `{url: "http://localhost/", headers: {"a b": c}}`, "cannot be sent"},
		{"http", `{url: "http://localhost/", expect: [{true: "true"}]}`, "expect 1: that is missing"},
		{"http", `{url: "http://localhost/", expect: [{that: x, true: nope == 1}]}`, "undeclared reference"},

		{"dns", `{name: web.ns, service: web}`, ""},
		{"dns", `{name: "a b", service: web}`, "is not a DNS name"},
		{"dns", `{name: -o, service: web}`, "is not a DNS name"},
		{"dns", `{name: web}`, "is not the name of a Service"},
	} {
		_, err := decodedCheck(t, c.kind, c.spec)
		if c.wrong == "" {
			assert.NoError(t, err, c.spec)
		} else {
			assert.ErrorContains(t, err, c.wrong, c.spec)
		}
	}
}

func TestObjectCompare(t *testing.T) {
	const want = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, labels: {app: web}}, spec: {replicas: 4}, status: {readyReplicas: 4}}`
	for _, c := range []struct {
		name, got string
		paths     []string
	}{
		{"as wanted", `{metadata: {name: web, labels: {app: web, x: y}, generation: 2}, spec: {replicas: 4}, status: {observedGeneration: 2, readyReplicas: 4}}`, nil},
		{"no generation", `{metadata: {name: web, labels: {app: web}}, spec: {replicas: 4}, status: {readyReplicas: 4}}`, nil},
		{"stale status", `{metadata: {name: web, labels: {app: web}, generation: 3}, spec: {replicas: 4}, status: {observedGeneration: 2, readyReplicas: 4}}`,
			[]string{"status.observedGeneration"}},
		{"spec before status", `{metadata: {name: web, labels: {app: web}}, spec: {replicas: 2}, status: {readyReplicas: 2}}`,
			[]string{"spec.replicas", "status.readyReplicas"}},
		{"being deleted", `{metadata: {name: web, labels: {app: web}, deletionTimestamp: "2026-01-02T03:04:05Z"}, spec: {replicas: 4}, status: {readyReplicas: 4}}`,
			[]string{"metadata.deletionTimestamp"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, err := decodedCheck(t, "object", want)
			require.NoError(t, err)
			var got struct {
				Object map[string]any `yaml:",inline"`
			}
			require.NoError(t, yaml.Unmarshal([]byte(c.got), &got))
			// Numbers of a cluster's answer are int64.
			if m, ok := got.Object["metadata"].(map[string]any); ok && m["generation"] != nil {
				m["generation"] = int64(m["generation"].(int))
			}
			if s, ok := got.Object["status"].(map[string]any); ok && s["observedGeneration"] != nil {
				s["observedGeneration"] = int64(s["observedGeneration"].(int))
			}
			var paths []string
			for _, m := range k.(*objectCheck).compare(got.Object) {
				paths = append(paths, m.Path)
			}
			assert.Equal(t, c.paths, paths)
		})
	}
}
