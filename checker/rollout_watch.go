package checker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kindlab/kindlab/labs"
	appsv1 "k8s.io/api/apps/v1"
)

// run sends requests at the check's pace until ctx ends, where nobody else does.
func (c *rolloutCheck) run(ctx context.Context, t *Target, changed func()) {
	if c.Report != "" || c.Replaces > 0 {
		return
	}
	c.mu.Lock()
	c.running = true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.running, c.samples, c.stable, c.began, c.ended = false, nil, "", time.Time{}, time.Time{}
	}()
	c.send(ctx, t, nil, func(s sample, ok bool) {
		if !ok {
			return
		}
		c.keep(s)
		if s.lost() {
			changed()
		}
	})
}

func (c *rolloutCheck) keep(s sample) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.began.IsZero() { // only the margin counts before a change
		c.samples = slices.DeleteFunc(c.samples, func(o sample) bool { return s.sent.Sub(o.sent) > rolloutMargin })
	}
	if len(c.samples) < maxSamples {
		c.samples = append(c.samples, s)
	}
}

// judge follows the Deployment and, when a change is over, says what it cost.
func (c *rolloutCheck) judge(ctx context.Context, d *appsv1.Deployment, now time.Time) []labs.Finding {
	c.mu.Lock()
	defer c.mu.Unlock()
	expected := c.expected(d)
	if !c.running {
		return []labs.Finding{{Expected: expected, Got: "nobody was measuring",
			Because: "requests are sent only while the lab's page is open: update it again, with the page open"}}
	}
	revision := d.Annotations["deployment.kubernetes.io/revision"]
	done := complete(d)
	switch {
	case c.stable == "" && done:
		c.stable = revision
	case c.stable != "" && revision != c.stable && (c.began.IsZero() || !c.ended.IsZero()):
		c.began, c.ended = now, time.Time{}
		c.samples = slices.DeleteFunc(c.samples, func(s sample) bool { return now.Sub(s.sent) > rolloutMargin })
	}
	if !c.began.IsZero() && c.ended.IsZero() && done {
		c.ended, c.stable = now, revision
	}
	cost := func() []labs.Finding {
		n := tallyOf(slices.DeleteFunc(slices.Clone(c.samples), func(s sample) bool {
			return !c.ended.IsZero() && s.sent.Sub(c.ended) > rolloutMargin
		}))
		return c.unlike(ctx, expected, n, !c.ended.IsZero(), func() labs.Finding { return whyLost(d, n.kinds) })
	}
	switch {
	case c.stable == "":
		return []labs.Finding{{Expected: expected, Got: "a Deployment that is not complete yet", Look: "`kubectl rollout status deployment " + d.Name + "`"}}
	case c.began.IsZero():
		return []labs.Finding{{Expected: expected, Got: fmt.Sprintf("none yet; %d requests a second are being sent", c.rate())}}
	case c.ended.IsZero():
		return append(cost(), labs.Finding{Got: goingOn})
	case now.Sub(c.ended) < rolloutMargin:
		return []labs.Finding{{Expected: expected, Got: "an update that is just complete"}}
	}
	return cost()
}

// goingOn is what there is while an update is not over.
const goingOn = "an update that is still going on"
