package checker

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func decoded(t *testing.T, text string) any {
	t.Helper()
	var v any
	require.NoError(t, yaml.Unmarshal([]byte(text), &v))
	return v
}

func TestMismatches(t *testing.T) {
	for _, c := range []struct {
		name, want, got string
		differ          []mismatch
	}{
		{"more than wanted is fine", `{a: 1}`, `{a: 1, b: 2}`, nil},
		{"missing", `{spec: {replicas: 2}}`, `{}`, []mismatch{{"spec.replicas", "2", "nothing"}}},
		{"every leaf is told", `{a: {b: 1, c: x}}`, `{}`, []mismatch{{"a.b", "1", "nothing"}, {"a.c", `"x"`, "nothing"}}},
		{"other type", `{a: {b: 1}}`, `{a: text}`, []mismatch{{"a", `{"b":1}`, `"text"`}}},
		{"int and float", `{a: 1}`, `{a: 1.0}`, nil},
		{"number and text", `{value: 8080}`, `{value: "8080"}`, nil},
		{"quantities", `{cpu: 0.5, memory: 1Gi}`, `{cpu: 500m, memory: 1024Mi}`, nil},
		{"quantities differ", `{cpu: 500m}`, `{cpu: 250m}`, []mismatch{{"cpu", `"500m"`, `"250m"`}}},
		{"versions are no quantities", `{version: "1.10"}`, `{version: "1.1"}`, []mismatch{{"version", `"1.10"`, `"1.1"`}}},
		{"text is not a truth", `{a: true}`, `{a: "true"}`, []mismatch{{"a", "true", `"true"`}}},
		{"null is not there", `{a: null}`, `{}`, nil},
		{"null is there", `{a: null}`, `{a: 1}`, []mismatch{{"a", "nothing", "1"}}},
		{"an empty map must be there", `{emptyDir: {}}`, `{}`, []mismatch{{"emptyDir", "{}", "nothing"}}},
		{"by name", `{containers: [{name: web, image: x}]}`, `{containers: [{name: log}, {name: web, image: y}]}`,
			[]mismatch{{"containers[name=web].image", `"x"`, `"y"`}}},
		{"by name, missing", `{containers: [{name: web}]}`, `{containers: [{name: log}, {name: side}]}`,
			[]mismatch{{"containers[name=web]", "an entry", "only log and side"}}},
		{"by name, empty", `{containers: [{name: web}]}`, `{}`, []mismatch{{"containers[name=web]", "an entry", "nothing"}}},
		{"by port", `[{port: 80, targetPort: 8080}]`, `[{port: 80, targetPort: 8081}]`, []mismatch{{"[port=80].targetPort", "8080", "8081"}}},
		{"by type", `[{type: Ready, status: "True"}]`, `[{type: Other}, {type: Ready, status: "True"}]`, nil},
		{"by the name of the parent", `{parents: [{parentRef: {name: public}, conditions: [{type: Accepted, status: "True"}]}]}`,
			`{parents: [{parentRef: {name: other}}, {parentRef: {name: public, kind: Gateway}, conditions: [{type: Accepted, status: "False"}]}]}`,
			[]mismatch{{"parents[parentRef.name=public].conditions[type=Accepted].status", `"True"`, `"False"`}}},
		{"by the name of the parent, missing", `{parents: [{parentRef: {name: public}}]}`, `{parents: [{parentRef: {name: other}}]}`,
			[]mismatch{{"parents[parentRef.name=public]", "an entry", "only other"}}},
		{"a list of nothing", `{args: [a]}`, `{args: []}`, []mismatch{{"args", `["a"]`, "nothing"}}},
		{"one name twice", `[{name: data, mountPath: /b}]`, `[{name: data, mountPath: /a}, {name: data, mountPath: /b}]`, nil},
		{"other lists are equal", `{args: [a, b]}`, `{args: [a, b, c]}`, []mismatch{{"args", `["a","b"]`, `["a","b","c"]`}}},
		{"and in order", `{args: [a, b]}`, `{args: [b, a]}`, []mismatch{{"args[0]", `"a"`, `"b"`}, {"args[1]", `"b"`, `"a"`}}},
		{"empty list and none", `{args: []}`, `{}`, nil},
		{"zero in the status", `{status: {readyReplicas: 0}}`, `{status: {}}`, nil},
		{"zero elsewhere", `{spec: {replicas: 0}}`, `{spec: {}}`, []mismatch{{"spec.replicas", "0", "nothing"}}},
		{"keys with dots", `{labels: {app.kubernetes.io/name: a}}`, `{labels: {}}`, []mismatch{{`labels["app.kubernetes.io/name"]`, `"a"`, "nothing"}}},
		{"keys that are numbers", `{8080: http}`, `{8080: tcp}`, []mismatch{{"8080", `"http"`, `"tcp"`}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.differ, mismatches(decoded(t, c.want), decoded(t, c.got)))
		})
	}
}

func TestShownTextIsTame(t *testing.T) {
	m := mismatches("x", "a\x1b[31m\nb"+string(make([]byte, 500)))
	require.Len(t, m, 1)
	assert.Equal(t, `"a[31m b"`, m[0].Got)
}

// FuzzMismatches checks that every value matches itself, and that no two values make it panic.
func FuzzMismatches(f *testing.F) {
	f.Add(`{"a":[{"name":"x","v":1}]}`, `{"a":[{"name":"x"},{"name":"x","v":"1Gi"}]}`)
	f.Add(`[1,"1",1e3,null,true,{}]`, `{"":{"b.c":[[]]}}`)
	f.Add(`{"status":{"n":0}}`, `{"status":0}`)
	f.Fuzz(func(t *testing.T, a, b string) {
		var x, y any
		if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
			t.Skip()
		}
		if m := mismatches(x, x); len(m) > 0 {
			t.Errorf("%s does not match itself: %v", a, m)
		}
		for _, m := range mismatches(x, y) {
			if m.Want == "" || m.Got == "" {
				t.Errorf("%s and %s: nothing is said of %q", a, b, m.Path)
			}
		}
	})
}
