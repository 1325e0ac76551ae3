package checker

import (
	"testing"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// deploymentAt is a Deployment of two replicas at a revision, complete or not.
func deploymentAt(revision string, done bool) *appsv1.Deployment {
	two := int32(2)
	d := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &two}}
	d.Name, d.Annotations = "api", map[string]string{"deployment.kubernetes.io/revision": revision}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "app", ReadinessProbe: &corev1.Probe{}}}
	d.Status.Replicas, d.Status.UpdatedReplicas, d.Status.AvailableReplicas = 2, 2, 2
	if !done {
		d.Status.UpdatedReplicas = 1
	}
	return d
}

func TestRolloutJudgesTheChangeAlone(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	answer := func(c *rolloutCheck, after time.Duration, version string, a httpAnswer) {
		c.keep(sample{sent: at.Add(after), done: at.Add(after), answer: a, version: version})
	}
	fine, gone := httpAnswer{Status: 200}, httpAnswer{Error: "refused", Kind: kindRefused}
	first := func(fs []labs.Finding) labs.Finding { require.NotEmpty(t, fs); return fs[0] }

	c := &rolloutCheck{Deployment: "api", Versions: []string{"v1", "v2"}}
	assert.Equal(t, "nobody was measuring", first(c.judge(t.Context(), deploymentAt("1", true), at)).Got)

	c.running = true
	assert.Contains(t, first(c.judge(t.Context(), deploymentAt("1", false), at)).Got, "not complete yet")
	answer(c, 0, "", gone) // before the change, and long ago
	assert.Contains(t, first(c.judge(t.Context(), deploymentAt("1", true), at.Add(time.Second))).Got, "none yet")
	answer(c, 9*time.Second, "v1", fine)
	assert.Contains(t, c.judge(t.Context(), deploymentAt("2", false), at.Add(10*time.Second))[0].Got, "still going on")
	answer(c, 11*time.Second, "v1", fine)
	answer(c, 12*time.Second, "v2", fine)
	assert.Contains(t, first(c.judge(t.Context(), deploymentAt("2", true), at.Add(13*time.Second))).Got, "just complete")
	assert.Empty(t, c.judge(t.Context(), deploymentAt("2", true), at.Add(16*time.Second)))

	// The next change begins anew, and loses one.
	c.judge(t.Context(), deploymentAt("3", false), at.Add(20*time.Second))
	answer(c, 21*time.Second, "v2", fine)
	answer(c, 22*time.Second, "", gone)
	c.judge(t.Context(), deploymentAt("3", true), at.Add(23*time.Second))
	fs := c.judge(t.Context(), deploymentAt("3", true), at.Add(26*time.Second))
	assert.Contains(t, fs[0].Got, "1 of 2 requests lost")
	assert.Contains(t, fs[0].Because, "preStop")
	assert.Equal(t, "v2", fs[1].Got, "the order of the versions")
}

func TestWhyRequestsAreLost(t *testing.T) {
	grace, one, all := int64(0), int32(1), intstr.FromString("100%")
	unready := func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].ReadinessProbe = nil }
	recreate := func(d *appsv1.Deployment) { d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType }
	stays := func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{}}
	}
	refused, cutOff, late := map[string]int{kindRefused: 3}, map[string]int{kindReset: 1}, map[string]int{kindTimeout: 2, kindStatus: 1}
	for _, c := range []struct {
		name        string
		is          []func(*appsv1.Deployment)
		kinds       map[string]int
		update, one string // what is said of each, "" when nothing
	}{
		{"refused", nil, refused, "(preStop)", "(preStop)"},
		{"cut off", nil, cutOff, "(preStop)", "(preStop)"},
		{"late, and errors", nil, late, "", ""},
		{"no probe", []func(*appsv1.Deployment){unready, recreate}, refused, "app has no readiness probe", "app has no readiness probe"},
		{"Recreate, which is about updates", []func(*appsv1.Deployment){recreate}, late, "strategy Recreate", ""},
		{"maxUnavailable, too", []func(*appsv1.Deployment){func(d *appsv1.Deployment) {
			d.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxUnavailable: &all}
		}}, late, "maxUnavailable 100%", ""},
		{"one replica", []func(*appsv1.Deployment){unready, func(d *appsv1.Deployment) { d.Spec.Replicas = &one }}, late, "no readiness probe", "only one replica"},
		{"killed", []func(*appsv1.Deployment){stays, func(d *appsv1.Deployment) { d.Spec.Template.Spec.TerminationGracePeriodSeconds = &grace }},
			refused, "(preStop)", "terminationGracePeriodSeconds is 0"},
		{"a short preStop", []func(*appsv1.Deployment){stays}, refused, "(preStop)", "container app has a preStop: it is over too soon"},
		{"an app that does not finish", []func(*appsv1.Deployment){stays}, cutOff, "(preStop)", "in the middle of an answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := deploymentAt("1", true)
			for _, change := range c.is {
				change(d)
			}
			for what, f := range map[string]labs.Finding{c.update: whyLost(d, c.kinds), c.one: whyLostOne(d, c.kinds)} {
				assert.Contains(t, f.Because, what)
				assert.Equal(t, what == "", f == labs.Finding{}, "%v", f)
			}
		})
	}
}

func TestTallyOfSamples(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	took := func(ms int, version string, a httpAnswer) sample {
		return sample{sent: at, done: at.Add(time.Duration(ms) * time.Millisecond), answer: a, version: version}
	}
	fine := httpAnswer{Status: 200}
	n := tallyOf([]sample{
		took(300, "v1", fine), took(100, "v1", httpAnswer{Status: 404}), took(200, "", httpAnswer{Error: "no", Kind: kindTimeout}),
		took(1300, "v2", fine), took(400, "", httpAnswer{Status: 503}), took(1400, "v1", fine),
	})
	assert.Equal(t, tally{sent: 6, ok: 4, lost: 2, kinds: map[string]int{kindTimeout: 1, kindStatus: 1}, gap: time.Second,
		versions: []string{"v1", "v2"}, byVersion: map[string]int{"v1": 3, "v2": 1}}, n)
	assert.Equal(t, "2 of 6 requests lost, 1.0 s the longest time without an answer", n.String())
	assert.Zero(t, tallyOf(nil).ok)
}
