package checker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// rolloutCheck: while a Deployment went from one template to the next, requests to it
// were answered. It sends requests at a steady pace for as long as it is watched,
// which is while the page is open, and judges the last change that began and was
// completed in that time. A request is lost when it gets no answer, or one from 500
// on. Use it with holds: once.
type rolloutCheck struct {
	Deployment string   `yaml:"deployment" doc:"The Deployment whose change is judged." required:"true"`
	URL        string   `yaml:"url" doc:"Where the requests go, as of the kind http." required:"true"`
	From       origin   `yaml:"from" doc:"Who asks: host, cluster (when it is not given), or a pod."`
	Rate       int      `yaml:"rate" doc:"Requests a second: 10 when it is not given, at most 50."`
	Lost       int      `yaml:"lost" doc:"How many requests may be lost; none when it is not given."`
	By         string   `yaml:"by" doc:"CEL that makes of an answer its version, such as json.version; its variables are those of the kind http."`
	Versions   []string `yaml:"versions" doc:"The versions in the order in which they must first answer. It goes with by."`

	mu      sync.Mutex
	samples []sample  // since the pace began, of the last window
	running bool      // requests are being sent
	stable  string    // the revision before the change; "" when not yet known
	began   time.Time // of the change that is going on; zero when none is
	ended   time.Time // of the last change; zero when it is going on
}

// A sample is what came of one request.
type sample struct {
	sent, done time.Time
	answer     httpAnswer
	version    string
}

func (s sample) lost() bool { return s.answer.Error != "" || s.answer.Status >= 500 }

const (
	rolloutRate = 10
	// rolloutMargin is how long before and after a change requests count: the change is
	// seen a moment after it began, and a late request may be lost after it ended.
	rolloutMargin  = 2 * time.Second
	maxSamples     = 20_000
	rolloutTimeout = 5 * time.Second
)

func (c *rolloutCheck) http() *httpCheck {
	h := &httpCheck{URL: c.URL, From: c.From}
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
	if err := c.http().validate(); err != nil {
		return err
	}
	switch {
	case c.http().isTCP():
		return errors.New("url: only requests are counted here, so use http")
	case c.Deployment == "":
		return errors.New("deployment is missing: whose change is judged")
	case c.rate() < 1 || c.rate() > 50:
		return fmt.Errorf("rate %d: use 1 to 50 requests a second", c.Rate)
	case c.Lost < 0:
		return errors.New("lost: use 0 or more")
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

// unannounced says that no event tells when a request is lost.
func (c *rolloutCheck) unannounced() bool { return true }

// run sends requests at the check's pace until ctx ends.
func (c *rolloutCheck) run(ctx context.Context, t *Target, changed func()) {
	asks := c.http()
	u, err := asks.parse()
	if err != nil {
		return
	}
	var by *expression
	if c.By != "" {
		by, _, _ = compile(c.By, answerVariables())
	}
	c.mu.Lock()
	c.running = true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.running, c.samples, c.stable, c.began, c.ended = false, nil, "", time.Time{}, time.Time{}
	}()
	pace := time.NewTicker(time.Second / time.Duration(c.rate()))
	defer pace.Stop()
	var all sync.WaitGroup
	defer all.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, rolloutTimeout)
			defer cancel()
			s := sample{sent: time.Now()}
			send, _, fs, err := asks.sender(ctx, t)
			if err != nil || len(fs) > 0 {
				return // nobody can ask: that is no request
			}
			answers, err := send(ctx, t, u)
			if err != nil || len(answers) == 0 {
				return // the probe is gone, not the learner's program
			}
			s.done, s.answer = time.Now(), answers[0]
			if by != nil && s.answer.Error == "" {
				vars := s.answer.variables()
				vars["answers"] = []any{s.answer.variables()}
				if v, err := by.eval(ctx, vars); err == nil {
					s.version = celText(v)
				}
			}
			c.keep(s)
			if s.lost() {
				changed()
			}
		})
	}
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
	return c.judge(ctx, d, time.Now()), nil
}

// judge follows the Deployment and, when a change is over, says what it cost.
func (c *rolloutCheck) judge(ctx context.Context, d *appsv1.Deployment, now time.Time) []labs.Finding {
	c.mu.Lock()
	defer c.mu.Unlock()
	expected := fmt.Sprintf("an update of Deployment %s with at most %d requests lost", d.Name, c.Lost)
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
	switch {
	case c.stable == "":
		return []labs.Finding{{Expected: expected, Got: "a Deployment that is not complete yet", Look: "`kubectl rollout status deployment " + d.Name + "`"}}
	case c.began.IsZero():
		return []labs.Finding{{Expected: expected, Got: fmt.Sprintf("none yet; %d requests a second are being sent", c.rate())}}
	case c.ended.IsZero():
		return append(c.cost(ctx, d, expected), labs.Finding{Got: "an update that is still going on"})
	case now.Sub(c.ended) < rolloutMargin:
		return []labs.Finding{{Expected: expected, Got: "an update that is just complete"}}
	}
	return c.cost(ctx, d, expected)
}

// complete reports whether a Deployment's pods are all of its present template.
func complete(d *appsv1.Deployment) bool {
	s, want := d.Status, or1(d.Spec.Replicas)
	return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == want && s.Replicas == want && s.AvailableReplicas == want
}

// cost is what an update did to those who asked.
func (c *rolloutCheck) cost(ctx context.Context, d *appsv1.Deployment, expected string) []labs.Finding {
	lost, kinds, versions := 0, map[string]int{}, []string{}
	var gap time.Duration
	last := time.Time{}
	slices.SortFunc(c.samples, func(a, b sample) int { return a.done.Compare(b.done) })
	for _, s := range c.samples {
		if !c.ended.IsZero() && s.sent.Sub(c.ended) > rolloutMargin {
			continue
		}
		if s.lost() {
			lost++
			kinds[s.answer.String()]++
			continue
		}
		if !last.IsZero() {
			gap = max(gap, s.done.Sub(last))
		}
		last = s.done
		if s.version != "" && !slices.Contains(versions, s.version) {
			versions = append(versions, s.version)
		}
	}
	sum := fmt.Sprintf("%d of %d requests lost, %.1f s the longest time without an answer", lost, len(c.samples), gap.Seconds())
	fact(ctx, "%s; versions %s", sum, strings.Join(versions, ", "))
	var out []labs.Finding
	if lost > c.Lost {
		f := labs.Finding{Expected: expected, Got: sum}
		out = append(out, because(f, whyLost(d, kinds)))
	}
	if len(c.Versions) > 0 && !c.ended.IsZero() && !slices.Equal(versions, c.Versions) {
		out = append(out, labs.Finding{Expected: "answers from " + strings.Join(c.Versions, ", then "), Got: whenEmptyIs(strings.Join(versions, ", then "), "none")})
	}
	return out
}

// whyLost is what in a Deployment makes updates lose requests.
func whyLost(d *appsv1.Deployment, kinds map[string]int) labs.Finding {
	look := "`kubectl get deployment " + d.Name + " -o yaml`"
	for _, c := range d.Spec.Template.Spec.Containers {
		if c.ReadinessProbe == nil {
			return labs.Finding{Because: fmt.Sprintf("container %s has no readiness probe, so its pods get requests before they can answer", c.Name), Look: look}
		}
	}
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return labs.Finding{Because: "the strategy Recreate ends all old pods before it starts new ones", Look: look}
	}
	if r := d.Spec.Strategy.RollingUpdate; r != nil && r.MaxUnavailable != nil && (r.MaxUnavailable.StrVal == "100%" || r.MaxUnavailable.IntVal >= or1(d.Spec.Replicas)) {
		return labs.Finding{Because: fmt.Sprintf("maxUnavailable %s lets all old pods go before new ones are ready", r.MaxUnavailable.String()), Look: look}
	}
	for said := range kinds {
		if strings.Contains(said, "refused") || strings.Contains(said, "closed before") {
			return labs.Finding{Because: "old pods end while requests are still sent to them: they must go on answering for a moment after they are told to stop (preStop)", Look: look}
		}
	}
	return labs.Finding{}
}
