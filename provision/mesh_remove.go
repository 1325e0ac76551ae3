package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
)

// crds is what custom resource definitions are called in the API.
func crds() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
}

// RemoveMesh takes Istio and Prometheus away from a cluster that stays, with all objects
// of Istio's kinds, the attendee's too. Pods keep the sidecars they have until they are made anew.
func (e *Environment) RemoveMesh(ctx context.Context) error {
	return step(e.Report, "mesh", func() (string, error) { return e.removeMesh(ctx) })
}

func (e *Environment) removeMesh(ctx context.Context) (detail string, err error) {
	s, err := e.inspectCluster(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case s.foreign:
		return "cluster " + e.Cluster + " is not ours: left alone", nil
	case len(s.nodes) == 0:
		return "there is no cluster", nil
	case !s.running:
		return "", hint(fmt.Errorf("cluster %s is stopped", e.Cluster), "run `kindlab up`, then this again")
	}
	if err := e.exportKubeconfig(); err != nil {
		return "", err
	}
	config, err := e.Rest()
	if err != nil {
		return "", err
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", err
	}
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return "", err
	}
	releases, err := meshReleases("", "")
	if err != nil {
		return "", err
	}
	found := false
	for i := len(releases) - 1; i >= 0; i-- {
		did, err := e.removeRelease(releases[i].name, releases[i].namespace)
		if err != nil {
			return "", err
		}
		found = found || did
	}
	// Helm keeps Istio's, as its chart says.
	did, err := e.removeCRDs(ctx, meta)
	if err != nil {
		return "", err
	}
	found = found || did
	if did, err = e.removeMetrics(ctx, kube); err != nil {
		return "", err
	}
	found = found || did
	if err := e.removeMeshNamespaces(ctx, kube); err != nil {
		return "", err
	}
	if !found {
		return "there was none", nil
	}
	e.Report.Note("pods that have a sidecar keep it until they are made anew: kubectl rollout restart deployment")
	return "", nil
}

// removeCRDs removes the definitions that came with the mesh, and waits until they
// and the objects of their kinds are gone.
func (e *Environment) removeCRDs(ctx context.Context, meta metadata.Interface) (found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	r := meta.Resource(crds()) // without the schemas, which are megabytes
	told := map[string]bool{}
	for {
		all, err := r.List(ctx, metav1.ListOptions{})
		if err != nil {
			return found, fmt.Errorf("listing the mesh's definitions: %w", err)
		}
		left := ""
		for _, d := range all.Items {
			if !ofMesh(d.GetName(), d.GetLabels()) {
				continue
			}
			left, found = d.GetName(), true
			if told[left] || d.GetDeletionTimestamp() != nil {
				continue
			}
			told[left] = true
			e.Report.Echo("kubectl delete customresourcedefinition " + left)
			if err := r.Delete(ctx, left, metav1.DeleteOptions{}); err != nil && !isGone(err) {
				return found, fmt.Errorf("removing %s: %w", left, err)
			}
		}
		if left == "" {
			return found, nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return found, ctx.Err()
			}
			return found, fmt.Errorf("definition %s does not go away", left)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// ofMesh reports whether a definition came with the mesh: Istio's by its group, the
// Gateway API's by our label.
func ofMesh(name string, labels map[string]string) bool {
	return strings.HasSuffix(name, ".istio.io") || labels[PartLabel] == "mesh"
}

// removeMeshNamespaces removes Istio's namespaces, and what istiod has put into the others.
func (e *Environment) removeMeshNamespaces(ctx context.Context, kube kubernetes.Interface) error {
	for _, name := range []string{gatewayNamespace, istioNamespace} {
		ns, err := kube.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if isGone(err) || err == nil && ns.Labels[PartLabel] == "" {
			continue
		}
		if err == nil {
			e.Report.Echo("kubectl delete namespace " + name)
			err = kube.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{})
		}
		if err != nil && !isGone(err) {
			return fmt.Errorf("removing namespace %s: %w", name, err)
		}
		if err := e.waitNamespaceGone(ctx, kube, name); err != nil {
			return err
		}
	}
	all, err := kube.CoreV1().ConfigMaps("").List(ctx, metav1.ListOptions{LabelSelector: "istio.io/config=true"})
	if err != nil {
		return fmt.Errorf("looking for what istiod has left: %w", err)
	}
	for _, c := range all.Items {
		if err := kube.CoreV1().ConfigMaps(c.Namespace).Delete(ctx, c.Name, metav1.DeleteOptions{}); err != nil && !isGone(err) {
			return fmt.Errorf("removing ConfigMap %s: %w", c.Name, err)
		}
	}
	return nil
}
