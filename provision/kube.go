package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const fieldManager = "kindlab"

// restConfig reads a kubeconfig file of ours, and nothing from the environment.
func restConfig(path string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, hint(fmt.Errorf("reading the cluster's kubeconfig: %w", err), "run `kindlab up`")
	}
	config.QPS = -1 // the API server limits by itself
	config.UserAgent = "kindlab"
	return config, nil
}

func (e *Environment) clientset() (*kubernetes.Clientset, error) {
	config, err := e.Rest()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

// exportKubeconfig writes the administrator's kubeconfig anew, in case it was lost.
func (e *Environment) exportKubeconfig() error {
	text, err := e.kind().KubeConfig(e.Cluster, false)
	if err != nil {
		return fmt.Errorf("getting the kubeconfig of cluster %s: %w", e.Cluster, err)
	}
	if err := WriteFile(e.Kubeconfig(), []byte(text)); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return nil
}

// writeLabKubeconfig writes the kubeconfig whose namespace is the lab's.
func (e *Environment) writeLabKubeconfig(ctx context.Context, lab string) error {
	if e.Tenant != nil {
		_, err := e.RenewKubeconfig(ctx, lab, tokenLife)
		return err
	}
	config, err := clientcmd.LoadFromFile(e.Kubeconfig())
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	for _, c := range config.Contexts {
		c.Namespace = e.Namespace(lab)
	}
	if err := clientcmdapi.FlattenConfig(config); err != nil { // paths in it are as seen from where it is
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	data, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("writing the lab's kubeconfig: %w", err)
	}
	return WriteFile(e.LabKubeconfig(lab), data)
}

// waitAPI waits until the API server is ready.
func (e *Environment) waitAPI(ctx context.Context, limit time.Duration) error {
	kube, err := e.clientset()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		// There is nothing to watch before the server answers.
		_, err := kube.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return fmt.Errorf("the API server of cluster %s does not answer after %s: %w", e.Cluster, limit, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// waitNode watches until every node is Ready.
func (e *Environment) waitNode(ctx context.Context) error {
	kube, err := e.clientset()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	ready := map[string]bool{}
	note := func(n *corev1.Node) bool {
		ready[n.Name] = false
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
				ready[n.Name] = true
			}
		}
		for _, r := range ready {
			if !r {
				return false
			}
		}
		return true
	}
	w, err := kube.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("watching the nodes: %w", err)
	}
	defer w.Stop()
	for ev := range w.ResultChan() {
		if n, ok := ev.Object.(*corev1.Node); ok && ev.Type != watch.Deleted && note(n) {
			return nil
		}
	}
	if err := context.Cause(ctx); errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("the nodes of cluster %s are not ready after 3 minutes", e.Cluster)
}

// applier applies manifests.
type applier struct {
	dyn    dynamic.Interface
	mapper meta.ResettableRESTMapper
}

func newApplier(config *rest.Config) (*applier, error) {
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &applier{dyn, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(kube.Discovery()))}, nil
}

// apply applies the objects of a YAML file, server-side, in a namespace; only with
// namespace "" may they be of kinds that have none. Names of files are for errors.
func (a *applier) apply(ctx context.Context, namespace, file string, data []byte) error {
	d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		var u unstructured.Unstructured
		if err := d.Decode(&u.Object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if len(u.Object) == 0 {
			continue
		}
		if err := a.applyObject(ctx, namespace, file, &u); err != nil {
			return err
		}
	}
}

// applyObject applies one object, as apply does.
func (a *applier) applyObject(ctx context.Context, namespace, file string, u *unstructured.Unstructured) error {
	m, err := a.mapper.RESTMapping(u.GroupVersionKind().GroupKind(), u.GroupVersionKind().Version)
	if err != nil {
		return fmt.Errorf("%s: %s %s: %w", file, u.GetKind(), u.GetName(), err)
	}
	var r dynamic.ResourceInterface = a.dyn.Resource(m.Resource)
	if m.Scope.Name() == meta.RESTScopeNameNamespace {
		if ns := u.GetNamespace(); ns != "" && ns != namespace {
			return fmt.Errorf("%s: %s %s: a lab's objects live in its own namespace, not in %s", file, u.GetKind(), u.GetName(), ns)
		}
		r = a.dyn.Resource(m.Resource).Namespace(namespace)
	} else if namespace != "" {
		return fmt.Errorf("%s: %s %s: a lab's objects live in its own namespace, and this kind has none", file, u.GetKind(), u.GetName())
	}
	if _, err := r.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: fieldManager, Force: true}); err != nil {
		return fmt.Errorf("%s: applying %s %s: %w", file, u.GetKind(), u.GetName(), err)
	}
	return nil
}

func isGone(err error) bool { return apierrors.IsNotFound(err) }
