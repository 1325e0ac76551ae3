package checker

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// began is when the counts of these tests began.
var began = metav1.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// at is so many seconds after the count began.
func at(seconds int) string {
	return began.Add(time.Duration(seconds) * time.Second).UTC().Format(time.RFC3339)
}

// by is what the cluster knows of somebody who changed a field.
func by(when, subresource, under, field string) map[string]any {
	return map[string]any{"manager": "somebody", "time": when, "subresource": subresource, "operation": "Update", "fieldsType": "FieldsV1",
		"fieldsV1": map[string]any{under: map[string]any{field: map[string]any{}}}}
}

// updatedCluster has the Deployment api of two pods, which was updated since the count began.
// edit may change it, and its ReplicaSets by name.
func updatedCluster(edit func(d map[string]any, sets map[string]map[string]any)) serveCluster {
	set := func(name, revision, made string) map[string]any {
		return thing("apps/v1", "ReplicaSet", name, map[string]any{"creationTimestamp": made,
			"annotations":     map[string]any{"deployment.kubernetes.io/revision": revision},
			"ownerReferences": []any{map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": "d", "controller": true}}}, nil)
	}
	d := thing("apps/v1", "Deployment", "api", map[string]any{"uid": "d", "generation": 3, "creationTimestamp": at(-60), "managedFields": []any{
		by(at(-60), "", "f:spec", "f:strategy"), by(at(10), "", "f:spec", "f:template"),
		by(at(20), "", "f:metadata", "f:annotations"), by(at(30), "status", "f:spec", "f:strategy")}},
		map[string]any{
			"spec": map[string]any{"replicas": 2, "selector": map[string]any{"matchLabels": map[string]any{"app": "api"}},
				"strategy": map[string]any{"type": "Recreate"},
				"template": map[string]any{"metadata": map[string]any{"labels": map[string]any{"app": "api"}},
					"spec": map[string]any{"containers": []any{map[string]any{"name": "app", "readinessProbe": map[string]any{}}}}}},
			"status": map[string]any{"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2},
		})
	sets := map[string]map[string]any{"api-1": set("api-1", "1", at(-60)), "api-2": set("api-2", "2", at(10))}
	if edit != nil {
		edit(d, sets)
	}
	var all []any
	for _, rs := range sets {
		all = append(all, rs)
	}
	return serveCluster{objects: map[string]any{
		"/apis/apps/v1/namespaces/lab/deployments/api": d,
		"/apis/apps/v1/namespaces/lab/replicasets":     map[string]any{"apiVersion": "apps/v1", "kind": "ReplicaSetList", "items": all},
		"/api/v1/namespaces/lab/pods":                  map[string]any{"apiVersion": "v1", "kind": "PodList", "items": []any{}},
	}}
}

func TestRolloutJudgesAReport(t *testing.T) {
	body := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
	defer server.Close()
	report := func(sent, ok, lost int, more string) string {
		return fmt.Sprintf(`{"started":%q,"sent":%d,"ok":%d,"lost":%d,"longestGapMs":1500%s}`, at(0), sent, ok, lost, more)
	}
	both := `,"versions":["v1","v2"],"byVersion":{"v1":80,"v2":20},"errors":{"refused":{"count":3,"example":"no"}}`
	for _, c := range []struct {
		name, more, body string
		lines            string // "" when it passes
	}{
		{"nothing lost", "", report(100, 100, 0, both), ""},
		{"some may be lost", ", lost: 3", report(103, 100, 3, both), ""},
		{"lost", "", report(103, 100, 3, both), "expected an update of Deployment api with at most 0 requests lost, got 3 of 103 requests lost, 1.5 s the longest time without an answer\n" +
			"because the strategy Recreate ends all old pods before it starts new ones\nlook at `kubectl get deployment api -o yaml`"},
		{"enough", ", answers: 100", report(100, 100, 0, both), ""},
		{"too few", ", answers: 101", report(100, 100, 0, both), "expected at least 101 answers, got 100"},
		{"the other order", "", report(9, 9, 0, `,"versions":["v2","v1"]`), "expected answers from v1, then v2, got v2, then v1"},
		{"one more", "", report(9, 9, 0, `,"versions":["v1","v3","v2"]`), "expected answers from v1, then v2, got v1, then v3, then v2"},
		{"none yet", "", report(0, 0, 0, `,"waiting":true,"versions":[]`), "expected answers, got none\nexpected answers from v1, then v2, got none"},
		{"the share", ", share: 20", report(100, 100, 0, both), ""},
		{"too small a share", ", share: 21", report(100, 100, 0, both), "expected at least 21 % of the answers from v2, got 20 of 100"},
		{"others besides, with a share", ", share: 5", report(9, 9, 0, `,"versions":["v0","v1","v2"],"byVersion":{"v2":2}`), ""},
		{"the other order, with a share", ", share: 5", report(9, 9, 0, `,"versions":["v2","v1"],"byVersion":{"v2":2}`), "expected answers from v1, then v2, got v2, then v1"},
		{"no JSON", "", "hello\n", "expected a report of requests from URL, got the answer hello"},
		{"nothing", "", "", "expected a report of requests from URL, got the answer nothing"},
		{"a list", "", "[1]", "expected a report of requests from URL, got the answer [1]"},
		{"other JSON", "", `{"version":"v1"}`, "expected a report of requests from URL, got JSON without sent, ok and lost"},
		{"a number that is none", "", `{"sent":1e99,"ok":1,"lost":0}`, `expected a report of requests from URL, got the answer {"sent":1e99,"ok":1,"lost":0}`},
		{"numbers that do not fit", "", report(10, 20, -5, both), "expected a report of requests from URL, got 10 sent, 20 ok and -5 lost, which cannot be"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, err := decodedCheck(t, "rollout", fmt.Sprintf(`{deployment: api, report: %s/, from: host, versions: [v1, v2]%s}`, server.URL, c.more))
			require.NoError(t, err)
			ctx, target := updatedCluster(nil).start(t)
			body = c.body
			fs, err := k.look(ctx, target)
			require.NoError(t, err)
			assert.Equal(t, strings.ReplaceAll(c.lines, "URL", server.URL+"/"), strings.Join(labs.Verdict{Findings: fs}.Lines(), "\n"))
		})
	}
}

func TestReportThatCannotBeHad(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	k, err := decodedCheck(t, "rollout", fmt.Sprintf(`{deployment: api, report: %s/, from: host, versions: [v1]}`, server.URL))
	require.NoError(t, err)
	ctx, target := updatedCluster(nil).start(t)
	fs, err := k.look(ctx, target)
	require.NoError(t, err)
	assert.Equal(t, "HTTP 404 Not Found", fs[0].Got)
	ctx, target = serveCluster{}.start(t)
	fs, err = k.look(ctx, target)
	require.NoError(t, err)
	assert.Equal(t, "Deployment api", fs[0].Expected)
}

func TestReportWaitsForTheEndOfAnUpdate(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"sent":9,"ok":9,"lost":0,"versions":["v1"]}`)
	}))
	defer server.Close()
	k, err := decodedCheck(t, "rollout", fmt.Sprintf(`{deployment: api, report: %s/, from: host, versions: [v1]}`, server.URL))
	require.NoError(t, err)
	ending := updatedCluster(nil)
	ending.objects["/api/v1/namespaces/lab/pods"] = map[string]any{"apiVersion": "v1", "kind": "PodList", "items": []any{
		thing("v1", "Pod", "api-1-x", map[string]any{"deletionTimestamp": at(20)}, nil)}}
	half := updatedCluster(func(d map[string]any, _ map[string]map[string]any) {
		d["status"].(map[string]any)["updatedReplicas"] = 1
	})
	for because, cluster := range map[string]serveCluster{"pod api-1-x has not ended yet": ending, "1 of 2 replicas are updated so far": half} {
		ctx, target := cluster.start(t)
		fs, err := k.look(ctx, target)
		require.NoError(t, err)
		require.Len(t, fs, 1)
		assert.Equal(t, goingOn, fs[0].Got)
		assert.Equal(t, because, fs[0].Because)
	}
}

// TestWhyCountedInventsNothing has requests lost some time before the look: what the
// Deployment is like now is the cause only when it was like that then.
func TestWhyCountedInventsNothing(t *testing.T) {
	const changed, blunt, ends, younger = "it was changed since", "strategy Recreate", "(preStop)", "was made after the count had begun"
	meta := func(o map[string]any) map[string]any { return o["metadata"].(map[string]any) }
	fields := func(d map[string]any, more ...any) {
		meta(d)["managedFields"] = append(meta(d)["managedFields"].([]any), more...)
	}
	type sets = map[string]map[string]any
	for _, c := range []struct {
		name     string
		recreate string // what is said when the strategy is Recreate now
		rolling  string // and when it is not
		versions []string
		edit     func(d map[string]any, s sets)
	}{
		{"as it was", blunt, ends, []string{"v1", "v2"}, nil},
		{"the strategy was changed before the update", blunt, ends, nil, func(d map[string]any, _ sets) { fields(d, by(at(5), "", "f:spec", "f:strategy")) }},
		{"the strategy was changed after it", changed, changed, nil, func(d map[string]any, _ sets) { fields(d, by(at(11), "", "f:spec", "f:strategy")) }},
		{"scaled after it", changed, changed, nil, func(d map[string]any, _ sets) { fields(d, by(at(11), "", "f:spec", "f:replicas")) }},
		{"something else was changed after it", blunt, changed, nil, func(d map[string]any, _ sets) { fields(d, by(at(11), "", "f:spec", "f:paused")) }},
		{"the cluster does not tell", changed, changed, nil, func(d map[string]any, _ sets) { meta(d)["managedFields"] = []any{} }},
		{"updated before the count", blunt, changed, nil, func(_ map[string]any, s sets) { meta(s["api-2"])["creationTimestamp"] = at(-5) }},
		{"updated twice", blunt, changed, nil, func(_ map[string]any, s sets) { meta(s["api-1"])["creationTimestamp"] = at(5) }},
		{"updated and taken back", blunt, changed, nil, func(_ map[string]any, s sets) {
			meta(s["api-1"])["annotations"] = map[string]any{"deployment.kubernetes.io/revision": "3"}
		}},
		{"taken back and updated", blunt, changed, []string{"v2", "v1", "v3"}, nil},
		{"a ReplicaSet of somebody else", blunt, ends, nil, func(_ map[string]any, s sets) {
			s["other"] = thing("apps/v1", "ReplicaSet", "other", map[string]any{"creationTimestamp": at(20)}, nil)
		}},
		{"made anew", younger, younger, nil, func(d map[string]any, _ sets) { meta(d)["creationTimestamp"] = at(0) }},
	} {
		for strategy, says := range map[string]string{"Recreate": c.recreate, "RollingUpdate": c.rolling} {
			t.Run(c.name+", "+strategy, func(t *testing.T) {
				ctx, target := updatedCluster(func(d map[string]any, s sets) {
					d["spec"].(map[string]any)["strategy"] = map[string]any{"type": strategy}
					if c.edit != nil {
						c.edit(d, s)
					}
				}).start(t)
				k, err := kubeOf(ctx, target)
				require.NoError(t, err)
				d, err := k.typed.AppsV1().Deployments("lab").Get(ctx, "api", metav1.GetOptions{})
				require.NoError(t, err)
				n := tally{lost: 1, versions: c.versions, kinds: map[string]int{kindRefused: 1}}
				assert.Contains(t, whyCounted(ctx, k, d, began.Add(700*time.Millisecond), n).Because, says)
			})
		}
	}
}
