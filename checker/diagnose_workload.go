package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kindlab/kindlab/labs"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// whyNotReady walks from a workload, a pod, a claim, an autoscaler, a disruption
// budget or a route that is not as its spec says to the nearest cause that a learner can change.
// The finding is empty when all is well, when the kind is another one, and when
// the cause cannot be told.
func whyNotReady(ctx context.Context, k *kube, t *Target, kind, namespace, name string) labs.Finding {
	d := diagnosis{ctx, k, t, namespace}
	if kind == "Pod" {
		pod, err := k.typed.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return d.gone("v1", kind, name, err)
		}
		f, _ := d.pod(pod, "Pod "+name)
		return f
	}
	switch kind {
	case "Job":
		return d.job(name)
	case "CronJob":
		return d.cronJob(name)
	case "PersistentVolumeClaim":
		return d.claim(name, false)
	case "HorizontalPodAutoscaler":
		return d.autoscaler(name)
	case "PodDisruptionBudget":
		return d.budget(name)
	case "Ingress":
		return d.ingress(name)
	case "HTTPRoute":
		return d.httpRoute(name)
	}
	w, err := d.workload(kind, name)
	if err != nil {
		return d.gone("apps/v1", kind, name, err)
	}
	if w == nil {
		return labs.Finding{}
	}
	return d.why(w)
}

// A diagnosis looks for causes in one namespace.
type diagnosis struct {
	ctx       context.Context
	k         *kube
	t         *Target
	namespace string
}

// gone is the finding for an object that could not be read.
func (d diagnosis) gone(apiVersion, kind, name string, err error) labs.Finding {
	if !apierrors.IsNotFound(err) {
		return labs.Finding{}
	}
	return whyMissing(d.ctx, d.k, d.t, ref{APIVersion: apiVersion, Kind: kind, Name: name, Namespace: d.namespace})
}

// A workload is what keeps pods running, whatever its kind.
type workload struct {
	kind, name  string
	uid         types.UID
	seen        bool // the controller knows the last change
	paused      bool
	recreate    bool // new pods are made when the old ones have ended
	want        int32
	updated     int32 // pods made from the present template
	ready       int32
	available   int32
	selector    *metav1.LabelSelector
	refused     string // why pods cannot be created
	stuck       string // why the rollout was given up
	currentHash string // label value of the pods of the present template; may be empty
	owner       types.UID
}

// String is how a finding names the workload.
func (w *workload) String() string { return w.kind + " " + w.name }

// workload reads one; nil when kind is none.
func (d diagnosis) workload(kind, name string) (*workload, error) {
	apps, get := d.k.typed.AppsV1(), metav1.GetOptions{}
	switch kind {
	case "Deployment":
		o, err := apps.Deployments(d.namespace).Get(d.ctx, name, get)
		if err != nil {
			return nil, err
		}
		return d.deployment(o), nil
	case "ReplicaSet":
		o, err := apps.ReplicaSets(d.namespace).Get(d.ctx, name, get)
		if err != nil {
			return nil, err
		}
		w := &workload{kind: kind, name: name, uid: o.UID, seen: o.Status.ObservedGeneration >= o.Generation,
			want: or1(o.Spec.Replicas), updated: o.Status.Replicas, ready: o.Status.ReadyReplicas,
			available: o.Status.AvailableReplicas, selector: o.Spec.Selector, owner: o.UID}
		for _, c := range o.Status.Conditions {
			if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
				w.refused = c.Message
			}
		}
		return w, nil
	case "StatefulSet":
		o, err := apps.StatefulSets(d.namespace).Get(d.ctx, name, get)
		if err != nil {
			return nil, err
		}
		return &workload{kind: kind, name: name, uid: o.UID, seen: o.Status.ObservedGeneration >= o.Generation,
			want: or1(o.Spec.Replicas), updated: o.Status.UpdatedReplicas, ready: o.Status.ReadyReplicas,
			available: o.Status.AvailableReplicas, selector: o.Spec.Selector, owner: o.UID,
			refused: d.lastEvent(o.UID, "FailedCreate")}, nil
	case "DaemonSet":
		o, err := apps.DaemonSets(d.namespace).Get(d.ctx, name, get)
		if err != nil {
			return nil, err
		}
		s := o.Status
		return &workload{kind: kind, name: name, uid: o.UID, seen: s.ObservedGeneration >= o.Generation,
			want: s.DesiredNumberScheduled, updated: s.UpdatedNumberScheduled, ready: s.NumberReady,
			available: s.NumberAvailable, selector: o.Spec.Selector, owner: o.UID,
			refused: d.lastEvent(o.UID, "FailedCreate")}, nil
	}
	return nil, nil
}

func (d diagnosis) deployment(o *appsv1.Deployment) *workload {
	w := &workload{kind: "Deployment", name: o.Name, uid: o.UID, seen: o.Status.ObservedGeneration >= o.Generation,
		paused: o.Spec.Paused, recreate: o.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType, want: or1(o.Spec.Replicas), updated: o.Status.UpdatedReplicas,
		ready: o.Status.ReadyReplicas, available: o.Status.AvailableReplicas, selector: o.Spec.Selector}
	for _, c := range o.Status.Conditions {
		switch {
		case c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue:
			w.refused = c.Message
		case c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse && c.Reason == "ProgressDeadlineExceeded":
			w.stuck = c.Message
		}
	}
	if rs := d.newest(o); rs != nil {
		w.owner, w.currentHash = rs.UID, rs.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
	}
	return w
}

// newest is the ReplicaSet of the highest revision, nil when there is none.
func (d diagnosis) newest(o *appsv1.Deployment) *appsv1.ReplicaSet {
	list, err := d.k.typed.AppsV1().ReplicaSets(d.namespace).List(d.ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(o.Spec.Selector)})
	if err != nil {
		return nil
	}
	var best *appsv1.ReplicaSet
	for i := range list.Items {
		rs := &list.Items[i]
		if metav1.IsControlledBy(rs, o) && (best == nil || rolloutRevision(rs) > rolloutRevision(best)) {
			best = rs
		}
	}
	return best
}

func rolloutRevision(rs *appsv1.ReplicaSet) int {
	n, _ := strconv.Atoi(rs.Annotations["deployment.kubernetes.io/revision"])
	return n
}

func or1(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

// why is the cause for which a workload is not what its spec says.
func (d diagnosis) why(w *workload) labs.Finding {
	about := d.get(w.kind, w.name, "")
	describe := d.describe(w.kind, w.name)
	switch {
	case !w.seen:
		return labs.Finding{Because: fmt.Sprintf("the cluster has not acted on the last change of %s yet", w)}
	case w.want == 0 && w.kind == "DaemonSet":
		return d.unplaced(w.name)
	case w.want == 0:
		return labs.Finding{Because: fmt.Sprintf("%s is scaled to 0 replicas", w), Look: about}
	case w.paused && w.updated < w.want:
		return labs.Finding{Because: fmt.Sprintf("%s is paused, so its last change is not rolled out", w),
			Look: command(d.t, "kubectl rollout resume deployment "+w.name, d.namespace, "")}
	case w.updated >= w.want && w.ready >= w.want && w.available >= w.want:
		return labs.Finding{}
	}
	step(d.ctx, "%s: of %d replicas %d are of its present template, %d are ready, %d available", w, w.want, w.updated, w.ready, w.available)
	pods := d.pods(w)
	if w.refused != "" && len(pods) < int(w.want) {
		return d.refusal(w, w.refused)
	}
	ruledOut(d.ctx, "its pods can be created")
	for i := range pods {
		if f, found := d.pod(&pods[i], "pod "+pods[i].Name); found {
			return f
		}
	}
	if f := d.ending(w); f.Because != "" {
		return f
	}
	if w.stuck != "" {
		return labs.Finding{Because: fmt.Sprintf("the rollout of %s is stuck: %s", w, clip(w.stuck, 160)), Look: describe}
	}
	switch {
	case w.ready < w.want:
		return labs.Finding{Because: fmt.Sprintf("%d of %d replicas are ready", w.ready, w.want)}
	case w.updated < w.want:
		return labs.Finding{Because: fmt.Sprintf("%d of %d replicas are updated so far", w.updated, w.want)}
	}
	return labs.Finding{Because: fmt.Sprintf("%d of %d replicas have been ready for long enough (minReadySeconds)", w.available, w.want)}
}

// pods are those of the workload's present template that are not ready, the
// worst first, then those of older templates.
func (d diagnosis) pods(w *workload) []corev1.Pod {
	all, err := d.k.selected(d.ctx, d.namespace, w.selector)
	if err != nil {
		return nil
	}
	mine := slices.DeleteFunc(all, func(p corev1.Pod) bool {
		owner := metav1.GetControllerOf(&p)
		return p.DeletionTimestamp != nil || owner == nil ||
			w.kind != "Deployment" && owner.UID != w.uid || w.kind == "Deployment" && owner.Kind != "ReplicaSet"
	})
	slices.SortStableFunc(mine, func(a, b corev1.Pod) int {
		return cmp.Or(
			cmp.Compare(rank(metav1.IsControlledBy(&b, ownerOf(w))), rank(metav1.IsControlledBy(&a, ownerOf(w)))),
			cmp.Compare(rank(isReady(&a)), rank(isReady(&b))),
			cmp.Compare(a.Name, b.Name))
	})
	return mine
}

// ending is an old pod that new ones wait for, because it has not ended yet.
func (d diagnosis) ending(w *workload) labs.Finding {
	if !w.recreate && w.kind != "StatefulSet" || w.updated >= w.want {
		return labs.Finding{}
	}
	all, err := d.k.selected(d.ctx, d.namespace, w.selector)
	if err != nil {
		return labs.Finding{}
	}
	for _, p := range all {
		if p.DeletionTimestamp == nil {
			continue
		}
		f := labs.Finding{Because: fmt.Sprintf("%s makes a new pod only when the old one has ended, and pod %s is still ending", w, p.Name), Look: d.describe("Pod", p.Name)}
		for _, c := range p.Spec.Containers {
			if c.Lifecycle != nil && c.Lifecycle.PreStop != nil {
				f.Because += fmt.Sprintf(": container %s has a preStop hook", c.Name)
			}
		}
		if grace := p.DeletionGracePeriodSeconds; grace != nil {
			f.Because += fmt.Sprintf(", and it may take %d s (terminationGracePeriodSeconds)", *grace)
		}
		return f
	}
	return labs.Finding{}
}

func ownerOf(w *workload) metav1.Object { return &metav1.ObjectMeta{UID: w.owner} }

func rank(b bool) int {
	if b {
		return 1
	}
	return 0
}

func isReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (d diagnosis) get(kind, name, more string) string {
	return command(d.t, "kubectl get "+resourceWord(kind)+" "+name, d.namespace, more)
}

func (d diagnosis) describe(kind, name string) string {
	return command(d.t, "kubectl describe "+resourceWord(kind)+" "+name, d.namespace, "")
}

// command is a command to look with, in the lab's namespace unless another is meant.
func command(t *Target, words, namespace, more string) string {
	if namespace != "" && namespace != t.Namespace {
		words += " -n " + namespace
	}
	if more != "" {
		words += " " + more
	}
	return "`" + words + "`"
}

// resourceWord is how kubectl is told of a kind.
func resourceWord(kind string) string { return strings.ToLower(kind) }

// plural is resourceWord for several.
func plural(kind string) string {
	word := resourceWord(kind)
	switch {
	case strings.HasSuffix(word, "y") && !strings.HasSuffix(word, "ay"):
		return strings.TrimSuffix(word, "y") + "ies"
	case strings.HasSuffix(word, "s"):
		return word + "es"
	}
	return word + "s"
}

// labelText is labels as kubectl writes them.
func labelText(l map[string]string) string { return labels.Set(l).String() }
