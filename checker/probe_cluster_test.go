//go:build e2e

package checker

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// space is a namespace with the Service web, two ready pods behind it, and a target for it.
func (w *cluster) space(t *testing.T, name string) *Target {
	ns := w.prefix + "-" + name
	w.namespace(t, ns, map[string]string{attendeeLabel: w.prefix, labLabel: "e2e"})
	w.apply(t, ns, deployment("HELLO", `ports: [{containerPort: 3000}]
        readinessProbe: {httpGet: {path: /readyz, port: 3000}, periodSeconds: 1}`, "")+service("{app: web}", "80", "3000"))
	require.Eventually(t, func() bool {
		d, err := w.k.typed.AppsV1().Deployments(ns).Get(t.Context(), "web", metav1.GetOptions{})
		return err == nil && d.Status.ReadyReplicas == 2
	}, time.Minute, 200*time.Millisecond)
	target := w.target
	target.Namespace, target.Lab = ns, &labs.Lab{ID: "e2e", Needs: []string{"cluster"}}
	return &target
}

func TestProbeStreamCarriesManyAndComesBack(t *testing.T) {
	w := newCluster(t)
	target := w.space(t, "probe")
	ask := func() error {
		_, err := w.k.inProbe(t.Context(), target, nil, "get", "-o", "json", "http://web."+target.Namespace+"/")
		return err
	}
	require.NoError(t, ask())
	errs := make(chan error, 40)
	for range 40 {
		go func() { errs <- ask() }()
	}
	for range 40 {
		assert.NoError(t, <-errs)
	}
	require.Len(t, w.k.probes.streams, 1, "one stream for all")

	for _, s := range w.k.probes.streams {
		s.stop()
	}
	require.Eventually(t, func() bool { return ask() == nil }, 20*time.Second, 100*time.Millisecond, "it comes back by itself")

	given, up := context.WithCancel(t.Context())
	up()
	_, err := w.k.inProbe(given, target, nil, "get", "-o", "json", "http://web."+target.Namespace+"/")
	assert.ErrorIs(t, err, errUnreachable)
	assert.NoError(t, ask(), "one that is given up holds up no other")
}

func TestTrafficOnACluster(t *testing.T) {
	w := newCluster(t)
	target := w.space(t, "traffic")
	w.apply(t, target.Namespace, strings.NewReplacer("name: web", "name: other", "image: HELLO", "image: HELLO\n        env: [{name: APP_VERSION, value: v9}]").
		Replace(deployment("HELLO", `ports: [{containerPort: 3000}]
        readinessProbe: {httpGet: {path: /readyz, port: 3000}, periodSeconds: 1}`, "")))
	require.Eventually(t, func() bool {
		d, err := w.k.typed.AppsV1().Deployments(target.Namespace).Get(t.Context(), "other", metav1.GetOptions{})
		return err == nil && d.Status.ReadyReplicas == 2
	}, time.Minute, 200*time.Millisecond)
	half := &trafficCheck{URL: "http://web/", From: origin{Where: fromCluster}, By: "json.version", Shares: map[string]float64{"v1": 50, "v9": 50}}
	half.URL = "http://web/api"
	require.NoError(t, half.validate())
	require.Eventually(t, func() bool { // the Service takes a moment to know the new pods
		fs, err := half.look(t.Context(), target)
		return err == nil && len(fs) == 0
	}, 30*time.Second, time.Second)
	half.Shares = map[string]float64{"v1": 90, "v9": 10}
	fs, err := half.look(t.Context(), target)
	require.NoError(t, err)
	require.NotEmpty(t, fs)
	assert.Regexp(t, `v1 \d+ % .* of \d+ requests`, fs[0].Got)
	assert.Contains(t, fs[0].Because, "shares requests out among its ready pods: 4 with")
}

func TestRolloutOnACluster(t *testing.T) {
	w := newCluster(t)
	target := w.space(t, "rollout")
	target.Lab = loadLab(t, "---\ntitle: T\ngoal: G\nminutes: 1\nneeds: [cluster]\n---\n# T\n\n## Do\n```check\nid: it\nthat: it is so\nhint: look\nholds: once\nrollout: {deployment: web, url: \"http://web/\"}\n```\n")
	e, err := NewEngine(target, func() labs.Progress { return nil })
	require.NoError(t, err)
	assert.Equal(t, "nobody was measuring", e.Check(t.Context())[0].Findings[0].Got)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last []labs.Verdict
	sent := make(chan []labs.Verdict, 100)
	go e.Watch(ctx, func(vs []labs.Verdict) { sent <- vs })
	until := func(what string, is func(labs.Verdict) bool) {
		t.Helper()
		for limit := time.After(time.Minute); ; {
			select {
			case last = <-sent:
				if is(last[0]) {
					return
				}
			case <-limit:
				t.Fatalf("%s: not in time: %v", what, last)
			}
		}
	}
	until("measuring", func(v labs.Verdict) bool {
		return len(v.Findings) > 0 && strings.HasPrefix(v.Findings[0].Got, "none yet")
	})
	patch := func(p string) {
		_, err := w.k.typed.AppsV1().Deployments(target.Namespace).Patch(t.Context(), "web", "application/merge-patch+json", []byte(p), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	patch(`{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null},"template":{"metadata":{"annotations":{"n":"1"}}}}}`)
	until("lost some", func(v labs.Verdict) bool {
		return v.State == labs.Failing && len(v.Findings) > 0 && strings.Contains(v.Findings[0].Because, "Recreate")
	})
	patch(`{"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":0,"maxSurge":1}},"template":{"spec":{"terminationGracePeriodSeconds":20,"containers":[{"name":"web","image":"` + w.hello + `","env":[{"name":"SHUTDOWN_DELAY","value":"2s"}],"ports":[{"containerPort":3000}],"readinessProbe":{"httpGet":{"path":"/readyz","port":3000},"periodSeconds":1}}]}}}}`)
	until("lost some more, of pods that ended at once", func(v labs.Verdict) bool {
		return v.State == labs.Failing && len(v.Findings) == 1 && strings.Contains(v.Findings[0].Because, "preStop")
	})
	require.Eventually(t, func() bool {
		d, err := w.k.typed.AppsV1().Deployments(target.Namespace).Get(t.Context(), "web", metav1.GetOptions{})
		return err == nil && complete(d)
	}, time.Minute, 200*time.Millisecond)
	time.Sleep(2 * rolloutMargin)
	patch(`{"spec":{"template":{"metadata":{"annotations":{"n":"3"}}}}}`)
	until("nothing lost", func(v labs.Verdict) bool { return v.State == labs.Passed })
}
