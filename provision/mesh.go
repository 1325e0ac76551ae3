package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/kindlab/kindlab/labs"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
)

const (
	modeSidecar = "sidecar"
	modeAmbient = "ambient"

	meshWait  = 5 * time.Minute
	pullGrace = time.Minute // a registry may be slow to answer
	crashes   = 3           // so often a program may end before what it needs is there
)

// A Mesh says which Istio a cluster gets. A lab that needs a mesh has it made; with
// a Mode it is made in any case.
type Mesh struct {
	Mode string // "sidecar", or "" for: when a lab needs it
	Hub  string // where the images are; "" for [IstioHub]
	Tag  string // "" for [IstioVersion]
}

func (m Mesh) hub() string {
	if m.Hub == "" {
		return IstioHub
	}
	return m.Hub
}

func (m Mesh) tag() string {
	if m.Tag == "" {
		return IstioVersion
	}
	return m.Tag
}

// Validate says what is wrong with m.
func (m Mesh) Validate() error {
	switch m.Mode {
	case "", modeSidecar:
		return nil
	case modeAmbient:
		return hint(errors.New("a mesh of mode ambient: not yet"), "the labs are about sidecars: leave the mode out")
	}
	return hint(fmt.Errorf("there is no mesh of mode %q", m.Mode), "the mode is %s", modeSidecar)
}

// WantsMesh reports whether Up makes a mesh for a course.
func (e *Environment) WantsMesh(course *labs.Course) bool { return e.needs(course)["mesh"] }

// ensureMesh installs Istio: its CRDs and those of the Gateway API, istiod, and a
// gateway that the host reaches.
func (e *Environment) ensureMesh(ctx context.Context) (detail string, err error) {
	if e.Gateway == "" {
		return "", e.errNoGateway()
	}
	config, err := e.Rest()
	if err != nil {
		return "", err
	}
	kube, err := e.clientset()
	if err != nil {
		return "", err
	}
	a, err := newApplier(config)
	if err != nil {
		return "", err
	}
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return "", err
	}
	releases, err := meshReleases(e.meshHub, e.Mesh.tag())
	if err != nil {
		return "", err
	}
	changed, err := ensureGatewayAPI(ctx, a, meta)
	if err != nil {
		return "", err
	}
	for _, r := range releases {
		// With our label, so that RemoveMesh knows them. Helm could make them, but without.
		if err := a.apply(ctx, "", "mesh", fmt.Appendf(nil, `{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {app.kubernetes.io/managed-by: kindlab, %s: mesh}}}`, r.namespace, PartLabel)); err != nil {
			return "", err
		}
		did, err := e.ensureRelease(ctx, r)
		if err != nil {
			return "", err
		}
		changed = changed || did
		if r.deployment != "" {
			// The gateway's image is filled in by istiod, so one after the other.
			if err := waitDeployment(ctx, kube, r.namespace, r.deployment, meshWait, meshImagesHint); err != nil {
				return "", err
			}
		}
	}
	detail = fmt.Sprintf("Istio %s, gateway at http://%s", e.Mesh.tag(), e.Gateway)
	if !changed {
		detail += ", there already"
	}
	return detail, nil
}

const meshImagesHint = "get Istio's images into Docker (`docker pull`, `docker load`), from where kindlab takes them, or name another place with --istio-hub and --istio-tag; then run `kindlab up` again"

// waitDeployment watches until the Deployment's newest pods are available. The hint is
// for somebody whose nodes cannot pull an image.
func waitDeployment(ctx context.Context, kube kubernetes.Interface, namespace, name string, limit time.Duration, pullHint string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("Deployment %s is not available after %s", name, limit))
	defer cancel()
	w, err := kube.AppsV1().Deployments(namespace).Watch(ctx, metav1.SingleObject(metav1.ObjectMeta{Name: name}))
	if err != nil {
		return fmt.Errorf("watching Deployment %s: %w", name, err)
	}
	defer w.Stop()
	look := time.NewTicker(pullGrace / 4)
	defer look.Stop()
	started := time.Now()
	pods := "" // the selector of the Deployment's own
	for {
		if ctx.Err() != nil { // the watch ends with it too
			return hint(fmt.Errorf("waiting for %s: %w", namespace, context.Cause(ctx)), "look at `kindlab kubectl get pods -n %s`; then run `kindlab up` again", namespace)
		}
		select {
		case <-ctx.Done():
		case ev, open := <-w.ResultChan():
			if d, ok := ev.Object.(*appsv1.Deployment); ok && ev.Type != watch.Deleted {
				if available(d) {
					return nil
				}
				pods = metav1.FormatLabelSelector(d.Spec.Selector)
			}
			if !open && ctx.Err() == nil {
				return fmt.Errorf("waiting for Deployment %s: the watch ended", name)
			}
		case <-look.C:
			// Waiting longer helps nobody whose nodes reach no registry, or whose program ends
			// again and again.
			if pod := crashing(ctx, kube, namespace, pods); pod != "" {
				return hint(fmt.Errorf("waiting for Deployment %s: the program of pod %s ends as soon as it has begun", name, pod),
					"see what it says: `kindlab kubectl logs -n %s %s`; then run `kindlab up` again", namespace, pod)
			}
			if time.Since(started) < pullGrace {
				continue
			}
			if image := imageTrouble(ctx, kube, namespace, pods); image != "" {
				return hint(fmt.Errorf("waiting for Deployment %s: the nodes cannot pull %s", name, image), "%s", pullHint)
			}
		}
	}
}

func available(d *appsv1.Deployment) bool {
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	s := d.Status
	return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas >= want && s.AvailableReplicas >= want && s.Replicas == s.UpdatedReplicas
}

// imageTrouble names an image that a pod waits for in vain, or "". The selector says
// which pods of the namespace are meant.
func imageTrouble(ctx context.Context, kube kubernetes.Interface, namespace, selector string) string {
	pods, err := kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return ""
	}
	for _, p := range pods.Items {
		for _, c := range append(append([]corev1.ContainerStatus{}, p.Status.InitContainerStatuses...), p.Status.ContainerStatuses...) {
			if w := c.State.Waiting; w != nil && (w.Reason == "ImagePullBackOff" || w.Reason == "ErrImagePull") {
				return c.Image
			}
		}
	}
	return ""
}

// crashing names a pod that has failed to begin several times, or "".
func crashing(ctx context.Context, kube kubernetes.Interface, namespace, selector string) string {
	pods, err := kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return ""
	}
	for _, p := range pods.Items {
		for _, c := range p.Status.ContainerStatuses {
			if w := c.State.Waiting; w != nil && w.Reason == "CrashLoopBackOff" && c.RestartCount >= crashes && p.DeletionTimestamp == nil {
				return p.Name
			}
		}
	}
	return ""
}

// meshStatus says in words which mesh a running cluster has, what counts in it, and
// where its gateway is.
func (e *Environment) meshStatus(ctx context.Context, s clusterState) (mesh, metrics, gateway string) {
	kube, err := e.clientset()
	if err != nil {
		return "unknown", "unknown", ""
	}
	mesh, metrics = meshRunning(ctx, kube), metricsRunning(ctx, kube)
	if mesh == noMesh || e.findGateway(ctx, s) != nil {
		return mesh, metrics, ""
	}
	return mesh, metrics, e.Gateway
}

const (
	noMesh     = "none"
	statusTime = 3 * time.Second
)

func meshRunning(ctx context.Context, kube kubernetes.Interface) string {
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	d, err := kube.AppsV1().Deployments(istioNamespace).Get(ctx, istiodName, metav1.GetOptions{})
	switch {
	case isGone(err):
		return noMesh
	case err != nil:
		return "unknown"
	case !available(d):
		return "Istio, not ready: run `kindlab up`"
	}
	// The chart's label keeps its own version, whatever the tag.
	return strings.TrimSpace("Istio " + tagIn(d, "discovery"))
}

// tagIn is the tag of a container's image; empty when the image is named by its digest.
func tagIn(d *appsv1.Deployment, container string) string {
	for _, c := range d.Spec.Template.Spec.Containers {
		if ref, err := name.NewTag(c.Image); c.Name == container && err == nil {
			return ref.TagStr()
		}
	}
	return ""
}
