package checker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/klog/v2"
)

// requestTime is how long one question to the cluster may take.
const requestTime = 10 * time.Second

// A server that hangs says as little as one of which nothing changes. Its connections
// are asked by pings of HTTP/2, which are no requests to the API server: after as many
// seconds of silence as the first setting says, and an answer may take as many as the second.
// The library reads both whenever it makes a connection's settings, and shares those
// in the process, so they are set before anything else.
func init() {
	for _, setting := range []string{"HTTP2_READ_IDLE_TIMEOUT_SECONDS", "HTTP2_PING_TIMEOUT_SECONDS"} {
		if os.Getenv(setting) == "" {
			_ = os.Setenv(setting, "5")
		}
	}
}

// A kube is a cluster to look at. It is safe for use by several goroutines.
type kube struct {
	typed   kubernetes.Interface
	dynamic dynamic.Interface
	watcher metadata.Interface // without a time limit
	mapper  *restmapper.DeferredDiscoveryRESTMapper
	config  *rest.Config // without a time limit, for streams
	probes  probes
}

// newKube makes the clients. It does not connect.
func newKube(config *rest.Config) (*kube, error) {
	if config == nil {
		return nil, unreachable("the cluster", errors.New("no cluster is set up"))
	}
	streams := rest.CopyConfig(config)
	// The server is fair to all; the client's own limit of 5 a second would only make a class wait.
	streams.QPS = -1
	streams.UserAgent = "kindlab"
	streams.WarningHandler = rest.NoWarnings{}
	streams.WarningHandlerWithContext = nil
	streams.Timeout = 0
	asks := rest.CopyConfig(streams)
	asks.Timeout = requestTime
	asks.Wrap(newReading)
	watches := rest.CopyConfig(streams)
	watches.Wrap(failAtOnce)

	k := &kube{config: streams}
	var errs [4]error
	k.typed, errs[0] = kubernetes.NewForConfig(asks)
	k.dynamic, errs[1] = dynamic.NewForConfig(asks)
	k.watcher, errs[2] = metadata.NewForConfig(watches)
	known, err := discovery.NewDiscoveryClientForConfig(asks)
	errs[3] = err
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("making a client of the cluster: %w", err)
	}
	k.mapper = restmapper.NewDeferredDiscoveryRESTMapperWithContext(memory.NewMemCacheClientWithContext(known))
	return k, nil
}

type kubeKey struct{}

// withKube makes kubeOf find k, so that one lab's checks share its connections
// and what it has learned about the cluster's kinds.
func withKube(ctx context.Context, k *kube) context.Context {
	return context.WithValue(ctx, kubeKey{}, k)
}

// kubeOf is the target's cluster.
func kubeOf(ctx context.Context, t *Target) (*kube, error) {
	if k, ok := ctx.Value(kubeKey{}).(*kube); ok {
		return k, nil
	}
	return newKube(t.Cluster)
}

// kubeError sorts what came back: an answer that a thing does not exist stays as
// it is (see [apierrors.IsNotFound] and [meta.IsNoMatchError]); whatever means
// that nothing is known is marked as unreachable. doing is what was tried.
func kubeError(doing string, err error) error {
	var status apierrors.APIStatus
	switch {
	case err == nil, apierrors.IsNotFound(err), meta.IsNoMatchError(err), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded), !errors.As(err, &status),
		apierrors.IsServiceUnavailable(err), apierrors.IsTooManyRequests(err), apierrors.IsInternalError(err),
		apierrors.IsServerTimeout(err), apierrors.IsTimeout(err):
		return unreachable("the cluster", plainly(err))
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s: the cluster does not allow it: %w", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// plainly says a failed connection in few words.
func plainly(err error) error {
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, &op) && op.Addr != nil && op.Op == "dial":
		return fmt.Errorf("nothing answers at %s", op.Addr)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("it does not answer in time")
	}
	return err
}

// resource finds what serves objects of the kind: in one namespace, or in none
// when the kind has no namespaces.
func (k *kube) resource(ctx context.Context, apiVersion, kind, namespace string) (dynamic.ResourceInterface, error) {
	of, _, err := k.resourceOf(ctx, apiVersion, kind, namespace)
	return of, err
}

// resourceOf is resource, and what the cluster calls the kind.
func (k *kube) resourceOf(ctx context.Context, apiVersion, kind, namespace string) (of dynamic.ResourceInterface, gvr schema.GroupVersionResource, err error) {
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return nil, gvr, fmt.Errorf("apiVersion %q: %w", apiVersion, err)
	}
	// The library would log to stderr what is returned as an error anyway.
	m, err := k.mapper.RESTMappingWithContext(klog.NewContext(ctx, klog.Logger{}), schema.GroupKind{Group: gv.Group, Kind: kind}, gv.Version)
	if meta.IsNoMatchError(err) {
		// It may become known.
		depends(ctx, "", schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	}
	if err != nil {
		return nil, gvr, kubeError("asking what the cluster knows of "+kind, err)
	}
	if m.Scope.Name() == meta.RESTScopeNameRoot {
		return k.dynamic.Resource(m.Resource), m.Resource, nil
	}
	return k.dynamic.Resource(m.Resource).Namespace(namespace), m.Resource, nil
}

// objects reads those that r means, by name: at most one, and none is no error.
// [meta.IsNoMatchError] of the error says that the cluster has no such kind.
func (k *kube) objects(ctx context.Context, r ref) ([]unstructured.Unstructured, error) {
	of, err := k.resource(ctx, r.APIVersion, r.Kind, r.Namespace)
	if err != nil {
		return nil, err
	}
	if r.Name != "" {
		o, err := of.Get(ctx, r.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil, nil
		} else if err != nil {
			return nil, kubeError("reading "+r.Kind+" "+r.Name, err)
		}
		return []unstructured.Unstructured{*o}, nil
	}
	list, err := of.List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(r.Labels).String()})
	if err != nil {
		return nil, kubeError("listing "+r.Kind, err)
	}
	return list.Items, nil
}

// selected are the pods of a namespace that a selector means.
func (k *kube) selected(ctx context.Context, namespace string, s *metav1.LabelSelector) ([]corev1.Pod, error) {
	list, err := k.typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(s)})
	if err != nil {
		return nil, kubeError("listing pods", err)
	}
	return list.Items, nil
}

// listensInside reports whether something listens on a pod's port for those
// inside the pod. Together with a pod address that refuses, it tells an app that
// listens on 127.0.0.1 only. known is false when it could not be found out.
func (k *kube) listensInside(ctx context.Context, namespace, pod string, port int) (listens, known bool) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	transport, upgrader, err := spdy.RoundTripperFor(k.config)
	if err != nil {
		return false, false
	}
	url := k.typed.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url.String(), nil)
	if err != nil {
		return false, false
	}
	conn, _, err := spdy.Negotiate(upgrader, &http.Client{Transport: transport}, req, "portforward.k8s.io")
	if err != nil {
		return false, false
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	trouble, err := conn.CreateStream(headers)
	if err != nil {
		return false, false
	}
	trouble.Close() // nothing is written to it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := conn.CreateStream(headers)
	if err != nil {
		return false, false
	}
	if _, err := io.WriteString(data, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return false, false
	}
	if n, _ := data.Read(make([]byte, 1)); n > 0 {
		return true, true
	}
	data.Reset()
	said, _ := io.ReadAll(io.LimitReader(trouble, 4<<10))
	refused := strings.Contains(string(said), "refused")
	return false, refused
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
