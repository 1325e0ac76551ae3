package checker

import (
	"testing"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
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
	d := deploymentAt("1", true)
	d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
	assert.Contains(t, whyLost(d, nil).Because, "Recreate")
	d.Spec.Template.Spec.Containers[0].ReadinessProbe = nil
	assert.Contains(t, whyLost(d, nil).Because, "has no readiness probe")
}
