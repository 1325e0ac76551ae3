package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/client"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	// SystemNamespace is where kindlab's own pods are.
	SystemNamespace = "kindlab-system"
	// ProbeName is the DaemonSet that makes the requests that checks send inside the cluster.
	ProbeName = "probe"

	// startedAnnotation on a lab's namespace says that its start state is there: from
	// then on the objects are the learner's.
	startedAnnotation = "kindlab.started"
	parallelLabs      = 4
)

// joinRegistry tells the nodes where the registry is, and whoever asks the cluster
// in the way that local clusters have agreed on (KEP-1755).
func (e *Environment) joinRegistry(ctx context.Context) error {
	s, err := e.inspectCluster(ctx)
	if err != nil {
		return err
	}
	hosts := fmt.Sprintf("server = \"http://%[1]s:%[2]d\"\n\n[host.\"http://%[1]s:%[2]d\"]\n", registryName, registryPort)
	for _, n := range s.nodes {
		if err := e.copyTo(ctx, n.ID, "/etc/containerd/certs.d/"+e.Registry+"/hosts.toml", []byte(hosts)); err != nil {
			return err
		}
	}
	config, err := e.Rest()
	if err != nil {
		return err
	}
	a, err := newApplier(config)
	if err != nil {
		return err
	}
	return a.apply(ctx, "kube-public", "local-registry-hosting", fmt.Appendf(nil, `
apiVersion: v1
kind: ConfigMap
metadata: {name: local-registry-hosting, namespace: kube-public}
data:
  localRegistryHosting.v1: |
    host: "%s"
    hostFromClusterNetwork: "%s:%d"
`, e.Registry, registryName, registryPort))
}

// startLabs gives each lab its namespace, start state and work folder, unless it
// has them. With probe it makes the probe too.
func (e *Environment) startLabs(ctx context.Context, course string, all []*labs.Lab, probe bool) (detail string, err error) {
	var started []string
	var mu sync.Mutex
	var fs []func() error
	for _, lab := range all {
		fs = append(fs, func() error {
			fresh, err := e.startLab(ctx, course, lab)
			if err != nil {
				return fmt.Errorf("lab %s: %w", lab.ID, err)
			}
			if fresh {
				mu.Lock()
				started = append(started, lab.ID)
				mu.Unlock()
			}
			return nil
		})
	}
	both := []func() error{func() error { return Few(ctx, parallelLabs, fs...) }}
	if probe {
		both = append(both, func() error { return e.ensureProbe(ctx) })
	}
	if err := together(ctx, both...); err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "", nil
	}
	if len(started) == 0 {
		return "all there already", nil
	}
	return fmt.Sprintf("%d prepared", len(started)), nil
}

// StartLab makes a lab's namespace, start state and work folder, unless they are there.
func (e *Environment) StartLab(ctx context.Context, course string, lab *labs.Lab) error {
	_, err := e.startLab(ctx, course, lab)
	return err
}

// startLab prepares one lab; fresh is false when it was there already.
func (e *Environment) startLab(ctx context.Context, course string, lab *labs.Lab) (fresh bool, err error) {
	if err := e.startWork(ctx, course, lab); err != nil {
		return false, err
	}
	if !lab.Wants("cluster") {
		return false, nil
	}
	config, err := e.Rest()
	if err != nil {
		return false, err
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return false, err
	}
	a, err := newApplier(config)
	if err != nil {
		return false, err
	}
	ns, err := e.ensureNamespace(ctx, kube, course, lab)
	if err != nil {
		return false, err
	}
	if e.Tenant != nil {
		if err := e.ensureTenancy(ctx, kube, a, lab); err != nil {
			return false, err
		}
	}
	if err := e.writeLabKubeconfig(ctx, lab.ID); err != nil || ns.Annotations[startedAnnotation] != "" {
		return false, err
	}
	files, err := lab.Manifests()
	if err != nil {
		return false, err
	}
	if err := e.waitAccount(ctx, kube, ns.Name); err != nil {
		return false, err
	}
	for _, f := range files {
		e.Report.Echo(fmt.Sprintf("kubectl apply --server-side -n %s -f %s/start/cluster/%s", ns.Name, lab.ID, f.Name))
		if err := a.apply(ctx, ns.Name, f.Name, f.Data); err != nil {
			return false, err
		}
	}
	return true, e.annotateStarted(ctx, kube, ns.Name)
}

// ensureNamespace makes the lab's namespace, after an old one is gone.
func (e *Environment) ensureNamespace(ctx context.Context, kube kubernetes.Interface, course string, lab *labs.Lab) (*corev1.Namespace, error) {
	name, want := e.Namespace(lab.ID), e.namespaceLabels(course, lab)
	ns, err := kube.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	if err == nil && ns.DeletionTimestamp != nil {
		if err = e.waitNamespaceGone(ctx, kube, name); err == nil {
			err = apierrors.NewNotFound(corev1.Resource("namespaces"), name)
		}
	}
	switch {
	case isGone(err):
		ns, err = kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: want}}, metav1.CreateOptions{})
		if err != nil {
			return nil, fmt.Errorf("creating namespace %s: %w", name, err)
		}
	case err != nil:
		return nil, fmt.Errorf("looking for namespace %s: %w", name, err)
	case ns.Labels[AttendeeLabel] == "":
		return nil, hint(fmt.Errorf("a namespace called %s is there already, and kindlab did not make it", name), "rename or delete it, then run `kindlab up` again")
	case ns.Labels[AttendeeLabel] != e.Attendee:
		return nil, hint(fmt.Errorf("namespace %s belongs to the attendee %s", name, ns.Labels[AttendeeLabel]),
			"the name of the one with the lab's is that of the other with another lab's: give one of them another name")
	case e.otherClass(ns.Labels) != "":
		return nil, e.errOtherClass("namespace "+name, ns.Labels)
	case ns.Labels[CourseLabel] != course:
		return nil, hint(fmt.Errorf("namespace %s belongs to lab %s of the course %s", name, lab.ID, ns.Labels[CourseLabel]),
			"finish that course with `kindlab down`, then run `kindlab up` again")
	default:
		err = labelNamespace(ctx, kube, name, ns.Labels, want)
	}
	return ns, err
}

// Started are the namespaces of all attendees of the cluster in which a lab's start
// state has been made.
func (e *Environment) Started(ctx context.Context) (map[string]bool, error) {
	kube, err := e.clientset()
	if err != nil {
		return nil, err
	}
	found, err := kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: AttendeeLabel})
	if err != nil {
		return nil, fmt.Errorf("listing the attendees' namespaces: %w", err)
	}
	out := map[string]bool{}
	for _, ns := range found.Items {
		out[ns.Name] = ns.DeletionTimestamp == nil && ns.Annotations[startedAnnotation] != ""
	}
	return out, nil
}

// waitAccount waits until pods can be made in a new namespace.
func (e *Environment) waitAccount(ctx context.Context, kube kubernetes.Interface, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	w, err := kube.CoreV1().ServiceAccounts(namespace).Watch(ctx, metav1.SingleObject(metav1.ObjectMeta{Name: "default"}))
	if err != nil {
		return fmt.Errorf("watching the service account of %s: %w", namespace, err)
	}
	defer w.Stop()
	if _, ok := <-w.ResultChan(); !ok {
		return fmt.Errorf("namespace %s got no service account: %w", namespace, ctx.Err())
	}
	return nil
}

func (e *Environment) annotateStarted(ctx context.Context, kube kubernetes.Interface, name string) error {
	ns, err := kube.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("looking for namespace %s: %w", name, err)
	}
	ns = ns.DeepCopy()
	if ns.Annotations == nil {
		ns.Annotations = map[string]string{}
	}
	ns.Annotations[startedAnnotation] = time.Now().UTC().Format(time.RFC3339)
	if _, err := kube.CoreV1().Namespaces().Update(ctx, ns, metav1.UpdateOptions{FieldManager: fieldManager}); err != nil {
		return fmt.Errorf("marking namespace %s: %w", name, err)
	}
	return nil
}

// WaitStart waits until the workloads and pods of the lab's start state are ready.
func (e *Environment) WaitStart(ctx context.Context, lab *labs.Lab) error {
	if !lab.Wants("cluster") {
		return nil
	}
	kube, err := e.clientset()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		waiting, err := e.notStarted(ctx, kube, e.Namespace(lab.ID))
		if err != nil {
			return fmt.Errorf("looking at the start state of lab %s: %w", lab.ID, err)
		}
		if !probeReady(ctx, kube) {
			waiting = "the probe"
		}
		if waiting == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return fmt.Errorf("the start state of lab %s is not there after 2 minutes: %s is not available", lab.ID, waiting)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// notStarted names a workload or pod of a namespace that is not ready yet; "" when all are.
func (e *Environment) notStarted(ctx context.Context, kube kubernetes.Interface, namespace string) (string, error) {
	deployments, err := kube.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	for _, d := range deployments.Items {
		if d.Status.ObservedGeneration < d.Generation || d.Status.AvailableReplicas < *d.Spec.Replicas {
			return "Deployment " + d.Name, nil
		}
	}
	pods, err := kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	for _, p := range pods.Items {
		ready := slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})
		if !ready && p.Status.Phase != corev1.PodSucceeded {
			return "Pod " + p.Name, nil
		}
	}
	return "", nil
}

// Reset brings a lab back to its start: its namespace, the containers and images
// that carry its labels, and its work folder, whose files are kept aside. kept
// is where, or "".
func (e *Environment) Reset(ctx context.Context, course string, lab *labs.Lab) (kept string, err error) {
	if lab.Wants("cluster") {
		if err := step(e.Report, "removing namespace "+e.Namespace(lab.ID), func() (string, error) { return "", e.removeNamespace(ctx, lab.ID) }); err != nil {
			return "", err
		}
	}
	if lab.Wants("docker") {
		if err := step(e.Report, "removing the lab's containers and images", func() (string, error) {
			return "", e.removeDockerObjects(ctx, AttendeeLabel+"="+e.Attendee, LabLabel+"="+lab.ID)
		}); err != nil {
			return "", err
		}
	}
	err = step(e.Report, "start state", func() (string, error) {
		if kept, err = e.putAside(course, lab.ID); err != nil {
			return "", err
		}
		_, err := e.startLab(ctx, course, lab)
		return "", err
	})
	return kept, err
}

// Remove takes a lab away: namespace, Docker objects, kubeconfig. The work folder stays.
func (e *Environment) Remove(ctx context.Context, lab *labs.Lab) error {
	if lab.Wants("cluster") {
		if err := e.removeNamespace(ctx, lab.ID); err != nil {
			return err
		}
	}
	return e.removeDockerObjects(ctx, AttendeeLabel+"="+e.Attendee, LabLabel+"="+lab.ID)
}

func (e *Environment) removeNamespace(ctx context.Context, lab string) error {
	kube, err := e.clientset()
	if err != nil {
		return err
	}
	name := e.Namespace(lab)
	ns, err := kube.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	if isGone(err) {
		return nil
	}
	if err == nil && ns.Labels[AttendeeLabel] != e.Attendee {
		return fmt.Errorf("namespace %s is not ours: left alone", name)
	}
	if err != nil {
		return fmt.Errorf("removing namespace %s: %w", name, err)
	}
	return e.deleteNamespace(ctx, kube, name)
}

// deleteNamespace removes a namespace and waits until it is gone.
func (e *Environment) deleteNamespace(ctx context.Context, kube kubernetes.Interface, name string) error {
	e.Report.Echo("kubectl delete namespace " + name)
	if err := kube.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !isGone(err) {
		return fmt.Errorf("removing namespace %s: %w", name, err)
	}
	// Nobody waits for these pods to finish their requests.
	now := int64(0)
	_ = kube.CoreV1().Pods(name).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{})
	return e.waitNamespaceGone(ctx, kube, name)
}

// waitNamespaceGone waits until a namespace that is being deleted is no more, and
// says what holds it when it stays.
func (e *Environment) waitNamespaceGone(ctx context.Context, kube kubernetes.Interface, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		ns, err := kube.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if isGone(err) {
			return nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			var held []string
			if ns != nil {
				for _, c := range ns.Status.Conditions {
					if c.Status == corev1.ConditionTrue {
						held = append(held, c.Message)
					}
				}
			}
			return fmt.Errorf("namespace %s does not go away: %s", name, strings.Join(held, "; "))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Unlabelled names the running or stopped containers called one of names that do
// not carry the attendee's label, so that Reset leaves them.
func (e *Environment) Unlabelled(ctx context.Context, names []string) ([]string, error) {
	var out []string
	for _, n := range names {
		found, err := e.Docker.ContainerInspect(ctx, n, client.ContainerInspectOptions{})
		if isNotFound(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("looking for container %s: %w", n, err)
		}
		if found.Container.Config.Labels[AttendeeLabel] != e.Attendee {
			out = append(out, n)
		}
	}
	return out, nil
}
