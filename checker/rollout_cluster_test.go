//go:build e2e

package checker

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// shop is a namespace with the Service api before two pods that end as they should.
func (w *cluster) shop(t *testing.T, name string) *Target {
	ns := w.prefix + "-" + name
	w.namespace(t, ns, map[string]string{attendeeLabel: w.prefix, labLabel: "e2e"})
	api := strings.NewReplacer("web", "api", "terminationGracePeriodSeconds: 0", "terminationGracePeriodSeconds: 20").Replace
	w.apply(t, ns, api(deployment("HELLO", `ports: [{containerPort: 3000}]
        readinessProbe: {httpGet: {path: /readyz, port: 3000}, periodSeconds: 1}`, "")+service("{app: web}", "80", "3000")))
	target := w.target
	target.Namespace, target.Lab = ns, &labs.Lab{ID: "e2e", Needs: []string{"cluster"}}
	w.whole(t, ns)
	return &target
}

// whole waits until Deployment api is complete.
func (w *cluster) whole(t *testing.T, namespace string) (d *appsv1.Deployment) {
	require.Eventually(t, func() bool {
		var err error
		d, err = w.k.typed.AppsV1().Deployments(namespace).Get(t.Context(), "api", metav1.GetOptions{})
		return err == nil && complete(d)
	}, time.Minute, 200*time.Millisecond)
	return d
}

// pods are the names of the pods that a Deployment has and that are to stay.
func (w *cluster) pods(t *testing.T, d *appsv1.Deployment) (names []string) {
	pods, err := w.k.selected(t.Context(), d.Namespace, d.Spec.Selector)
	require.NoError(t, err)
	for _, p := range pods {
		if p.DeletionTimestamp == nil {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

// lab gives a target the lab with one check.
func (w *cluster) lab(t *testing.T, target *Target, check string) *Engine {
	target.Lab = loadLab(t, "---\ntitle: T\ngoal: G\nminutes: 1\nneeds: [cluster]\n---\n# T\n\n## Do\n```check\nid: it\nthat: it is so\nhint: look\nrollout: "+check+"\n```\n")
	e, err := NewEngine(target, func() labs.Progress { return nil })
	require.NoError(t, err)
	return e
}

func TestReplacesOnACluster(t *testing.T) {
	w := newCluster(t)
	target := w.shop(t, "replaces")
	before := w.whole(t, target.Namespace)
	first := w.pods(t, before)
	e := w.lab(t, target, `{deployment: api, url: "http://api/", rate: 20, replaces: 2}`)

	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Second, cancel)
	e.Check(ctx)
	assert.Equal(t, first, w.pods(t, before), "it was cut off before the first eviction")

	var v labs.Verdict
	began := time.Now()
	require.Eventually(t, func() bool { // the Service takes a moment to know the pods
		v = e.Check(t.Context())[0]
		return v.State == labs.Passed
	}, 2*time.Minute, time.Second)
	t.Logf("after %s: %s", time.Since(began).Round(time.Second), strings.Join(v.Facts, "\n"))
	after := w.whole(t, target.Namespace)
	second := w.pods(t, after)
	for _, name := range first {
		assert.NotContains(t, second, name, "each was replaced")
	}
	assert.Equal(t, before.Generation, after.Generation)
	assert.Equal(t, before.Annotations, after.Annotations)
	assert.Equal(t, before.Labels, after.Labels)
	began = time.Now()
	require.Equal(t, labs.Passed, e.Check(t.Context())[0].State)
	assert.Less(t, time.Since(began), 3*time.Second)
	assert.Equal(t, second, w.pods(t, after), "what was seen counts")

	// A budget that keeps them all is named, and nothing is evicted; without it the rest follows.
	w.apply(t, target.Namespace, `
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: keep}
spec: {minAvailable: 2, selector: {matchLabels: {app: api}}}`)
	e = w.lab(t, target, `{deployment: api, url: "http://api/", replaces: 1}`)
	v = e.Check(t.Context())[0]
	require.Equal(t, labs.Failing, v.State)
	assert.Contains(t, v.Findings[0].Because, "PodDisruptionBudget keep lets no pod go")
	assert.Equal(t, second, w.pods(t, after))
	require.NoError(t, w.k.typed.PolicyV1().PodDisruptionBudgets(target.Namespace).Delete(t.Context(), "keep", metav1.DeleteOptions{}))
	v = e.Check(t.Context())[0]
	require.Equal(t, labs.Passed, v.State, "%v", v.Lines())
}

// TestReplacesWhileWatched has a page open and the command looking at the same time.
func TestReplacesWhileWatched(t *testing.T) {
	w := newCluster(t)
	target := w.shop(t, "both")
	d := w.whole(t, target.Namespace)
	first := w.pods(t, d)
	e := w.lab(t, target, `{deployment: api, url: "http://api/", replaces: 1}`)
	ctx, cancel := context.WithCancel(t.Context())
	ended, passed := make(chan struct{}), make(chan struct{}, 100)
	go func() {
		defer close(ended)
		e.Watch(ctx, func(vs []labs.Verdict) {
			if vs[0].State == labs.Passed {
				passed <- struct{}{}
			}
		})
	}()
	require.Eventually(t, func() bool { return e.Check(t.Context())[0].State == labs.Passed }, time.Minute, time.Second)
	select {
	case <-passed:
	case <-time.After(time.Minute):
		t.Fatal("the page does not hear of it")
	}
	time.Sleep(2 * tick)
	kept := slices.DeleteFunc(w.pods(t, d), func(name string) bool { return !slices.Contains(first, name) })
	assert.Len(t, kept, 1, "one pod was replaced, once")
	cancel()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("Watch does not end")
	}
}

func TestReportOnACluster(t *testing.T) {
	w := newCluster(t)
	target := w.shop(t, "report")
	w.apply(t, target.Namespace, `
apiVersion: v1
kind: Pod
metadata: {name: watcher, labels: {app: watcher}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: hello
    image: HELLO
    args: [load, -listen, ":3000", -rate, 20/s, -once-ready, "http://api/"]
    readinessProbe: {httpGet: {path: /healthz, port: 3000}, periodSeconds: 1}`+
		strings.ReplaceAll(service("{app: watcher}", "80", "3000"), "name: web", "name: watcher"))
	e := w.lab(t, target, `{deployment: api, report: "http://watcher/report", answers: 50, versions: [v1, v2]}`)
	require.Eventually(t, func() bool {
		v := e.Check(t.Context())[0]
		return v.State == labs.Failing && len(v.Findings) == 1 && v.Findings[0].Expected == "answers from v1, then v2" && v.Findings[0].Got == "v1"
	}, time.Minute, time.Second, "all is well, and no update is there")
	_, err := w.k.typed.AppsV1().Deployments(target.Namespace).Patch(t.Context(), "api", "application/strategic-merge-patch+json",
		[]byte(`{"spec":{"template":{"spec":{"containers":[{"name":"api","env":[{"name":"APP_VERSION","value":"v2"}]}]}}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	var v labs.Verdict
	require.Eventually(t, func() bool {
		v = e.Check(t.Context())[0]
		t.Log(v.State, v.Lines())
		return v.State == labs.Passed
	}, time.Minute, time.Second)
	assert.Contains(t, strings.Join(v.Facts, "\n"), "versions v1, v2")
}
