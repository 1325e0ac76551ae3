package checker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kindlab/kindlab/labs"
	appsv1 "k8s.io/api/apps/v1"
)

// A loadReport is what a program has counted that asks all the time, as the sample app's
// mode load tells it.
type loadReport struct {
	Started      time.Time      `json:"started"`
	Sent         *int           `json:"sent"`
	OK           *int           `json:"ok"`
	Lost         *int           `json:"lost"`
	Versions     []string       `json:"versions"`
	ByVersion    map[string]int `json:"byVersion"`
	LongestGapMs int64          `json:"longestGapMs"`
	Errors       map[string]struct {
		Count int `json:"count"`
	} `json:"errors"`
}

// readReport reads a report. The error says in a few words what there is instead.
func readReport(body string) (r loadReport, n tally, err error) {
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		return r, n, fmt.Errorf("the answer %s", whenEmptyIs(clip(body, 120), "nothing"))
	}
	if r.Sent == nil || r.OK == nil || r.Lost == nil {
		return r, n, errors.New("JSON without sent, ok and lost")
	}
	n = tally{sent: *r.Sent, ok: *r.OK, lost: *r.Lost, kinds: map[string]int{}, versions: r.Versions, byVersion: r.ByVersion,
		gap: time.Duration(r.LongestGapMs) * time.Millisecond}
	if n.ok < 0 || n.lost < 0 || n.ok+n.lost > n.sent {
		return r, n, fmt.Errorf("%d sent, %d ok and %d lost, which cannot be", n.sent, n.ok, n.lost)
	}
	for kind, f := range r.Errors {
		n.kinds[kind] = f.Count
	}
	return r, n, nil
}

// reported judges what a program has counted.
func (c *rolloutCheck) reported(ctx context.Context, k *kube, t *Target, d *appsv1.Deployment) ([]labs.Finding, error) {
	answers, f, err := c.http().answered(ctx, t)
	if err != nil || len(f) > 0 {
		return f, err
	}
	r, n, err := readReport(answers[len(answers)-1].Body)
	if err != nil {
		return []labs.Finding{{Expected: "a report of requests from " + c.Report, Got: err.Error()}}, nil
	}
	going, err := stillGoingOn(ctx, k, t, d)
	if err != nil {
		return nil, err
	}
	out := c.unlike(ctx, c.expected(d), n, true, func() labs.Finding { return whyCounted(ctx, k, d, r.Started, n) })
	return append(out, going...), nil
}

// stillGoingOn is the finding for an update that may lose more requests yet.
func stillGoingOn(ctx context.Context, k *kube, t *Target, d *appsv1.Deployment) ([]labs.Finding, error) {
	if !complete(d) {
		return []labs.Finding{because(labs.Finding{Got: goingOn}, whyNotReady(ctx, k, t, "Deployment", d.Namespace, d.Name))}, nil
	}
	pods, err := k.selected(ctx, d.Namespace, d.Spec.Selector)
	if err != nil {
		return nil, err
	}
	for _, p := range pods {
		if p.DeletionTimestamp != nil {
			return []labs.Finding{{Got: goingOn, Because: "pod " + p.Name + " has not ended yet", Look: "`kubectl get pods`"}}, nil
		}
	}
	return nil, nil
}
