package checker

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A serviceName is a Service as a host name spells it.
type serviceName struct{ service, namespace string }

// parseService reads service, service.namespace, service.namespace.svc and the
// full name. A pod's name before a headless Service's is left out. It is false
// for addresses and for names outside the cluster.
func parseService(host, namespace string) (serviceName, bool) {
	host = strings.TrimSuffix(host, ".")
	if host == "" || net.ParseIP(host) != nil {
		return serviceName{}, false
	}
	host = strings.TrimSuffix(host, ".cluster.local")
	before, isFull := strings.CutSuffix(host, ".svc")
	parts := strings.Split(before, ".")
	switch {
	case len(parts) == 1 && !isFull:
		return serviceName{parts[0], namespace}, true
	case len(parts) == 2:
		return serviceName{parts[0], parts[1]}, true
	case len(parts) == 3 && isFull:
		return serviceName{parts[1], parts[2]}, true
	}
	return serviceName{}, false
}

// whyNoName is whyNoAnswer for a host name that is not known: its Service or its
// namespace does not exist, or the name is no Service's at all.
func whyNoName(ctx context.Context, k *kube, t *Target, host string) labs.Finding {
	n, ok := parseService(host, t.Namespace)
	if !ok {
		return labs.Finding{Because: host + " is not the name of a Service: that is SERVICE.NAMESPACE.svc.cluster.local"}
	}
	s, err := k.typed.CoreV1().Services(n.namespace).Get(ctx, n.service, metav1.GetOptions{})
	if err == nil && s.Spec.Type == corev1.ServiceTypeExternalName {
		return labs.Finding{Because: fmt.Sprintf("Service %s stands for %s, and there is no such host", n.service, s.Spec.ExternalName),
			Look: command(t, "kubectl get service "+n.service, n.namespace, "")}
	}
	if apierrors.IsNotFound(err) {
		return whyMissing(ctx, k, t, ref{APIVersion: "v1", Kind: "Service", Name: n.service, Namespace: n.namespace})
	}
	return labs.Finding{}
}
