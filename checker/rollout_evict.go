package checker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kindlab/kindlab/labs"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
)

const (
	// replaceTime is how long a pod may take to leave and another one to take its place.
	replaceTime = 90 * time.Second
	// restTime is how long nothing is done before a pod is evicted and after another one has
	// its place: requests are sent to a ready pod, and to an old one no more, a moment later.
	restTime = 5 * time.Second
	// refusedFor is how long an eviction is tried again: a budget counts a new pod a
	// moment after the Deployment does.
	refusedFor = 10 * time.Second
	leaveTime  = replaceTime - refusedFor - restTime // for the rest of it
)

// errChanged says that somebody changed the Deployment.
var errChanged = errors.New("it was changed")

// evictAll evicts as many pods as the check says, each when the Deployment is complete and
// the one before is gone. The finding says that somebody changed the Deployment meanwhile.
func (c *rolloutCheck) evictAll(ctx context.Context, k *kube, t *Target, m *replacement) ([]labs.Finding, error) {
	news := k.stirs(ctx, t.Namespace, corev1.SchemeGroupVersion.WithResource("pods"),
		appsv1.SchemeGroupVersion.WithResource("deployments"), policyv1.SchemeGroupVersion.WithResource("poddisruptionbudgets"))
	for range c.Replaces {
		short, err := c.evictOne(ctx, k, t, m, news)
		switch {
		case errors.Is(err, errChanged):
			return []labs.Finding{{Expected: c.expected(m.d), Got: fmt.Sprintf("Deployment %s was changed while its pods were replaced: it begins anew", m.d.Name)}}, nil
		case err != nil:
			return nil, err
		case short.Because != "":
			short.Got = fmt.Sprintf("%d of %d pods replaced", m.evicted, c.Replaces)
			m.short = &short
			return nil, nil
		}
	}
	return nil, nil
}

// evictOne evicts a pod and waits until another one has its place. short is why not.
func (c *rolloutCheck) evictOne(ctx context.Context, k *kube, t *Target, m *replacement, news <-chan struct{}) (short labs.Finding, err error) {
	var pod *corev1.Pod
	says := ""
	err = until(ctx, news, refusedFor, func() (bool, error) {
		var err error
		if pod, err = oldest(ctx, k, m.d); err != nil || pod == nil {
			return false, err
		}
		says, err = evict(ctx, k, pod, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
		return says == "", err
	})
	switch {
	case err != nil:
		return short, err
	case pod == nil:
		return notWhole(ctx, k, t, m.d), nil
	}
	if says != "" {
		m.kept = true
		return whyKept(ctx, k, t, pod, says)
	}
	step(ctx, "pod %s was evicted", pod.Name)
	m.evicted++
	gone, again := false, false
	err = until(ctx, news, leaveTime, func() (bool, error) {
		gone, again, err = handedOver(ctx, k, m.d, pod)
		return gone && again, err
	})
	switch {
	case err != nil:
		return short, err
	case gone && again:
		pause(ctx, cmp.Or(c.rest, restTime))
		return short, ctx.Err()
	case !gone:
		return labs.Finding{Because: fmt.Sprintf("pod %s has not ended %s after its eviction", pod.Name, seconds(leaveTime)), Look: "`kubectl get pods`"}, nil
	}
	return notWhole(ctx, k, t, m.d), nil
}

// notWhole is the finding for a Deployment that does not get complete again.
func notWhole(ctx context.Context, k *kube, t *Target, d *appsv1.Deployment) labs.Finding {
	f := whyNotReady(ctx, k, t, "Deployment", d.Namespace, d.Name)
	f.Because = cmp.Or(f.Because, fmt.Sprintf("Deployment %s does not get complete again", d.Name))
	return f
}

// oldest is the ready pod of a Deployment that was made first; nil when none is ready.
func oldest(ctx context.Context, k *kube, d *appsv1.Deployment) (*corev1.Pod, error) {
	pods, err := k.selected(ctx, d.Namespace, d.Spec.Selector)
	pods = slices.DeleteFunc(pods, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil || !isReady(&p) })
	if err != nil || len(pods) == 0 {
		return nil, err
	}
	first := slices.MinFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return &first, nil
}

// handedOver reports whether an evicted pod is gone, and whether the Deployment is complete
// without it.
func handedOver(ctx context.Context, k *kube, d *appsv1.Deployment, evicted *corev1.Pod) (gone, again bool, err error) {
	now, err := k.typed.AppsV1().Deployments(d.Namespace).Get(ctx, d.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return false, false, errChanged
	case err != nil:
		return false, false, kubeError("reading Deployment "+d.Name, err)
	case now.UID != d.UID || now.Generation != d.Generation:
		return false, false, errChanged
	}
	pods, err := k.selected(ctx, d.Namespace, d.Spec.Selector)
	gone, ready := true, int32(0)
	for _, p := range pods {
		gone = gone && p.UID != evicted.UID
		if p.DeletionTimestamp == nil && isReady(&p) {
			ready++
		}
	}
	return gone, complete(now) && ready >= or1(d.Spec.Replicas), err
}

// whyKept is the finding for a pod that the cluster does not let go.
func whyKept(ctx context.Context, k *kube, t *Target, pod *corev1.Pod, says string) (labs.Finding, error) {
	budgets, err := budgetsOf(ctx, k, pod)
	for _, b := range budgets {
		if b.Status.DisruptionsAllowed == 0 {
			return labs.Finding{
				Because: fmt.Sprintf("PodDisruptionBudget %s lets no pod go: %d are healthy, and %d must stay", b.Name, b.Status.CurrentHealthy, b.Status.DesiredHealthy),
				Look:    command(t, "kubectl get poddisruptionbudget "+b.Name, b.Namespace, "")}, err
		}
	}
	return labs.Finding{Because: "the cluster refuses the eviction of pod " + pod.Name + ": " + clip(says, 200), Look: lookOf(t, says)}, err
}

// stirs tells of changes of a namespace's objects until ctx ends.
func (k *kube) stirs(ctx context.Context, namespace string, of ...schema.GroupVersionResource) <-chan struct{} {
	news := make(chan struct{}, 1)
	for _, gvr := range of {
		go func() {
			w, err := k.watcher.Resource(gvr).Namespace(namespace).Watch(klog.NewContext(ctx, klog.Logger{}), metav1.ListOptions{})
			if err != nil {
				return // who waits looks now and then anyway
			}
			defer w.Stop()
			for range w.ResultChan() {
				select {
				case news <- struct{}{}:
				default:
				}
			}
		}()
	}
	return news
}

// until asks whether something is so whenever there is news, and now and then, until it is
// or the time is over.
func until(ctx context.Context, news <-chan struct{}, most time.Duration, is func() (bool, error)) error {
	limit := time.NewTimer(most)
	defer limit.Stop()
	for over := false; ; {
		if so, err := is(); so || err != nil || over {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			over = true
		case <-news:
		case <-time.After(tick):
		}
	}
}
