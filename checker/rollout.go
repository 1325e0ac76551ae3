package checker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// rolloutCheck: while the pods of a Deployment were replaced, requests to it were
// answered. There are three ways to know. With url it sends requests at a steady pace
// for as long as it is watched, which is while the page is open, and judges the last
// update that began and was completed in that time. With replaces it has pods replaced
// itself, while it looks. With report a program that asks all the time has counted. A
// request is lost when it gets no answer, or one from 500 on.
type rolloutCheck struct {
	Deployment string   `yaml:"deployment" doc:"The Deployment whose change is judged." required:"true"`
	URL        string   `yaml:"url" doc:"Where the requests go, as of the kind http."`
	Report     string   `yaml:"report" doc:"Instead of url: where a program that asks all the time tells what it has counted, in JSON, as the sample app does in its mode load: sent, ok, lost, versions, byVersion, errors and longestGapMs. It need not be watched."`
	From       origin   `yaml:"from" doc:"Who asks: host, cluster (when it is not given), or a pod."`
	Rate       int      `yaml:"rate" doc:"With url: requests a second, 10 when it is not given, at most 50."`
	Replaces   int      `yaml:"replaces" doc:"With url: how many of the Deployment's pods are evicted while the requests are sent, one after the other, each when the Deployment is complete again; at most 5. It need not be watched, and may take 90 s a pod."`
	Lost       int      `yaml:"lost" doc:"How many requests may be lost; none when it is not given."`
	By         string   `yaml:"by" doc:"With url: CEL that makes of an answer its version, such as json.version; its variables are those of the kind http."`
	Versions   []string `yaml:"versions" doc:"The versions in the order in which they must first answer. It goes with by or report."`
	Answers    int      `yaml:"answers" doc:"With report: how many answers there must be at least; 1 when it is not given."`
	Share      int      `yaml:"share" doc:"With report: how many percent of the answers must come from the last of versions at least. Others than versions may have answered too."`

	mu       sync.Mutex
	samples  []sample     // since the pace began, of the last window
	running  bool         // requests are being sent
	stable   string       // the revision before the change; "" when not yet known
	began    time.Time    // of the change that is going on; zero when none is
	ended    time.Time    // of the last change; zero when it is going on
	replaced *replacement // the last that was measured; nil when none was

	rest time.Duration // restTime when it is 0
}

const (
	rolloutRate = 10
	// rolloutMargin is how long before and after a change requests count: the change is
	// seen a moment after it began, and a late request may be lost after it ended.
	rolloutMargin  = 2 * time.Second
	maxSamples     = 20_000
	rolloutTimeout = 5 * time.Second
)

// http is what is asked: the Deployment, or the program that counts.
func (c *rolloutCheck) http() *httpCheck {
	h := &httpCheck{URL: c.URL, From: c.From}
	if c.Report != "" {
		h.URL = c.Report
	}
	if c.From.Where == "" && !c.From.isPod() {
		h.From.Where = fromCluster
	}
	return h
}

func (c *rolloutCheck) rate() int {
	if c.Rate == 0 {
		return rolloutRate
	}
	return c.Rate
}

func (c *rolloutCheck) validate() error {
	if (c.URL == "") == (c.Report == "") {
		return errors.New("say either url or report: whether requests are sent here, or a program has counted")
	}
	if err := c.http().validate(); err != nil {
		return err
	}
	if c.http().isTCP() {
		return errors.New("url: only requests are counted here, so use http")
	}
	switch {
	case c.Deployment == "":
		return errors.New("deployment is missing: whose change is judged")
	case c.Lost < 0:
		return errors.New("lost: use 0 or more")
	}
	if c.Report != "" {
		return c.validateReport()
	}
	switch {
	case c.rate() < 1 || c.rate() > 50:
		return fmt.Errorf("rate %d: use 1 to 50 requests a second", c.Rate)
	case c.Replaces < 0 || c.Replaces > maxReplaces:
		return fmt.Errorf("replaces %d: use 1 to %d pods", c.Replaces, maxReplaces)
	case c.Replaces > 0 && (c.By != "" || len(c.Versions) > 0):
		return errors.New("by and versions go without replaces: the new pods are of the same version")
	case c.Answers != 0 || c.Share != 0:
		return errors.New("answers and share go with report")
	case len(c.Versions) > 0 && c.By == "":
		return errors.New("versions goes with by")
	}
	if c.By != "" {
		if _, _, err := compile(c.By, answerVariables()); err != nil {
			return fmt.Errorf("by: %w", err)
		}
	}
	return nil
}

// validateReport says what does not go with report.
func (c *rolloutCheck) validateReport() error {
	switch {
	case c.Rate != 0 || c.By != "" || c.Replaces != 0:
		return errors.New("rate, by and replaces go with url: a program that counts has its own pace and knows the versions")
	case len(c.Versions) == 0:
		return errors.New("versions is missing: without them a report tells of no update")
	case c.Answers < 0:
		return errors.New("answers: use 1 or more")
	case c.Share < 0 || c.Share > 100:
		return fmt.Errorf("share %d: use 1 to 100 percent", c.Share)
	}
	return nil
}

// unannounced says that no event tells when a request is lost.
func (c *rolloutCheck) unannounced() bool { return true }

// pace is how often to look again. Where pods are replaced, a look mostly finds that
// nothing has changed since the last time.
func (c *rolloutCheck) pace() (failing, passed time.Duration) {
	if c.Replaces > 0 {
		return slowTick, time.Minute
	}
	return tick, slowTick
}

// patience is how long one look may take: pods that are replaced take their time.
func (c *rolloutCheck) patience() time.Duration {
	return lookTime + time.Duration(c.Replaces)*replaceTime
}

func (c *rolloutCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	k, err := kubeOf(ctx, t)
	if err != nil {
		return nil, err
	}
	d, err := k.typed.AppsV1().Deployments(t.Namespace).Get(ctx, c.Deployment, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		f := labs.Finding{Expected: "Deployment " + c.Deployment, Got: nothing}
		return []labs.Finding{because(f, whyMissing(ctx, k, t, ref{APIVersion: "apps/v1", Kind: "Deployment", Name: c.Deployment, Namespace: t.Namespace}))}, nil
	} else if err != nil {
		return nil, kubeError("reading Deployment "+c.Deployment, err)
	}
	switch {
	case c.Report != "":
		return c.reported(ctx, k, t, d)
	case c.Replaces > 0:
		return c.replacing(ctx, k, t, d)
	}
	return c.judge(ctx, d, time.Now()), nil
}

// complete reports whether a Deployment's pods are all of its present template.
func complete(d *appsv1.Deployment) bool {
	s, want := d.Status, or1(d.Spec.Replicas)
	return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == want && s.Replicas == want && s.AvailableReplicas == want
}
