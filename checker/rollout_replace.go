package checker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/kindlab/kindlab/labs"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const (
	maxReplaces = 5
	// leastSent is the part of the requests, in percent, that must have been sent for
	// them to say anything.
	leastSent = 90
)

// A replacement is what was seen while pods were replaced.
type replacement struct {
	of      string // what was judged: see judged
	d       *appsv1.Deployment
	samples []sample
	evicted int           // pods
	short   *labs.Finding // why it was not carried through; nil when it was
	kept    bool          // the cluster did not let a pod go
}

// replacing has pods of a Deployment replaced and says what it cost. What was seen counts
// until somebody changes what it depends on: pods are not evicted again and again.
func (c *rolloutCheck) replacing(ctx context.Context, k *kube, t *Target, d *appsv1.Deployment) ([]labs.Finding, error) {
	c.mu.Lock()
	m := c.replaced
	c.mu.Unlock()
	if m != nil {
		of, err := c.judged(ctx, k, t, d, m.kept)
		if err != nil {
			return nil, err
		}
		if m.of == of {
			return c.costOf(ctx, m), nil
		}
	}
	m, f, err := c.measure(ctx, k, t, d)
	if err != nil || len(f) > 0 {
		return f, err
	}
	if m.evicted > 0 {
		if m.of, err = c.judged(ctx, k, t, d, m.kept); err != nil {
			return nil, err
		}
		c.mu.Lock()
		c.replaced = m
		c.mu.Unlock()
	}
	return c.costOf(ctx, m), nil
}

// costOf says what a replacement cost those who asked.
func (c *rolloutCheck) costOf(ctx context.Context, m *replacement) []labs.Finding {
	n := tallyOf(slices.Clone(m.samples))
	fact(ctx, "%d pods were evicted", m.evicted)
	out := c.unlike(ctx, c.expected(m.d), n, true, func() labs.Finding { return whyLostOne(m.d, n.kinds) })
	if m.short != nil {
		short := *m.short
		short.Expected = c.expected(m.d)
		out = append(out, short)
	}
	return out
}

// judged names what a replacement depends on, as it is written now: the Deployment, the
// Service of the address, and when a pod was kept the budgets.
func (c *rolloutCheck) judged(ctx context.Context, k *kube, t *Target, d *appsv1.Deployment, kept bool) (string, error) {
	of := fmt.Sprintf("%s/%d", d.UID, d.Generation)
	s, err := c.service(ctx, k, t)
	if err != nil {
		return "", err
	}
	if s != nil {
		spec, err := json.Marshal(s.Spec)
		if err != nil {
			return "", err
		}
		of += fmt.Sprintf(" %s/%s", s.UID, spec)
	}
	if !kept {
		return of, nil
	}
	budgets, err := budgetsOf(ctx, k, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Labels: d.Spec.Template.Labels}})
	for _, b := range budgets {
		of += fmt.Sprintf(" %s/%d", b.UID, b.Generation)
	}
	return of, err
}

// service is the Service that the address means; nil when it means none that there is.
func (c *rolloutCheck) service(ctx context.Context, k *kube, t *Target) (*corev1.Service, error) {
	u, err := c.http().parse()
	if err != nil {
		return nil, err
	}
	n, isService := parseService(u.Hostname(), t.Namespace)
	if !isService || !c.http().From.inCluster() {
		return nil, nil
	}
	s, err := k.typed.CoreV1().Services(n.namespace).Get(ctx, n.service, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return s, kubeError("reading Service "+n.service, err)
}

// measure has pods evicted while requests are sent. A finding says why there was nothing
// to measure: then no pod was touched, or somebody else changed the Deployment meanwhile.
func (c *rolloutCheck) measure(ctx context.Context, k *kube, t *Target, d *appsv1.Deployment) (m *replacement, f []labs.Finding, err error) {
	if !complete(d) || or1(d.Spec.Replicas) == 0 {
		f := labs.Finding{Expected: c.expected(d), Got: "a Deployment that is not complete yet", Look: "`kubectl rollout status deployment " + d.Name + "`"}
		return nil, []labs.Finding{because(f, whyNotReady(ctx, k, t, "Deployment", d.Namespace, d.Name))}, nil
	}
	s, f, err := c.request(ctx, t, nil)
	if err != nil || len(f) > 0 {
		return nil, f, err
	}
	if s.lost() {
		return nil, c.whySilent(ctx, t, s), nil
	}
	if f, err := c.elsewhere(ctx, k, t, d); err != nil || len(f) > 0 {
		return nil, f, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stop, ended := make(chan struct{}), make(chan struct{})
	defer func() { cancel(); <-ended }()
	var mu sync.Mutex // guards what follows
	m, unsent := &replacement{d: d}, 0
	go func() {
		defer close(ended)
		c.send(ctx, t, stop, func(s sample, ok bool) {
			mu.Lock()
			defer mu.Unlock()
			if ok {
				m.samples = append(m.samples, s)
			} else {
				unsent++
			}
		})
	}()
	pause(ctx, cmp.Or(c.rest, restTime))
	mu.Lock()
	i := slices.IndexFunc(m.samples, sample.lost)
	if i >= 0 {
		s = m.samples[i]
	}
	mu.Unlock()
	if i >= 0 {
		return nil, c.whySilent(ctx, t, s), nil
	}
	if f, err := c.evictAll(ctx, k, t, m); err != nil || len(f) > 0 {
		return nil, f, err
	}
	close(stop)
	<-ended
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	if all := len(m.samples) + unsent; len(m.samples)*100 < all*leastSent {
		return nil, nil, unreachable("the probe", fmt.Errorf("%d of %d requests could not be sent", unsent, all))
	}
	return m, nil, nil
}

// whySilent is the finding for a request that is lost though nothing is replaced.
func (c *rolloutCheck) whySilent(ctx context.Context, t *Target, s sample) []labs.Finding {
	asks := c.http()
	u, err := asks.parse()
	if err != nil {
		return nil
	}
	var from *corev1.Pod
	if _, pod, f, err := asks.sender(ctx, t); err == nil && len(f) == 0 {
		from = pod
	}
	f := asks.unlike(ctx, t, u, from, []httpAnswer{s.answer})
	f.Expected = fmt.Sprintf("answers from %s before anything is replaced", c.URL)
	return []labs.Finding{f}
}

// elsewhere is the finding for an address that leads past the Deployment.
func (c *rolloutCheck) elsewhere(ctx context.Context, k *kube, t *Target, d *appsv1.Deployment) ([]labs.Finding, error) {
	s, err := c.service(ctx, k, t)
	if err != nil || s == nil || len(s.Spec.Selector) == 0 || labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(d.Spec.Template.Labels)) {
		return nil, err
	}
	return []labs.Finding{{Expected: "answers from the pods of Deployment " + d.Name, Got: "answers from others",
		Because: fmt.Sprintf("Service %s selects %s, and the pods of Deployment %s have %s", s.Name, labelText(s.Spec.Selector), d.Name, labelText(d.Spec.Template.Labels)),
		Look:    command(t, "kubectl get service "+s.Name, s.Namespace, "-o yaml")}}, nil
}
