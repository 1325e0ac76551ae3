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
// full name. A pod's name before a headless Service's is left out, also before
// service.namespace when that is the namespace here. It is false for addresses and
// for names outside the cluster.
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
	case len(parts) == 3 && (isFull || parts[2] == namespace):
		return serviceName{parts[1], parts[2]}, true
	}
	return serviceName{}, false
}

// podNamed is the pod's name that parseService leaves out, or "".
func podNamed(host string, n serviceName) string {
	before, _, found := strings.Cut(host, "."+n.service+"."+n.namespace)
	if !found || strings.Contains(before, ".") {
		return ""
	}
	return before
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
	if pod := podNamed(host, n); err == nil && pod != "" {
		return diagnosis{ctx, k, t, n.namespace}.noPodName(pod, n.service)
	}
	return labs.Finding{}
}

// noPodName is the cause for which a pod has no name of its own in a Service.
func (d diagnosis) noPodName(name, service string) labs.Finding {
	p, err := d.k.typed.CoreV1().Pods(d.namespace).Get(d.ctx, name, metav1.GetOptions{})
	if err != nil {
		return d.gone("v1", "Pod", name, err)
	}
	step(d.ctx, "pod %s is there, and is to have a name in Service %s", name, service)
	owner := metav1.GetControllerOf(p)
	switch {
	case p.Spec.Subdomain == service:
		f, _ := d.pod(p, "pod "+name)
		return f
	case owner != nil && owner.Kind == "StatefulSet":
		return labs.Finding{Because: fmt.Sprintf("StatefulSet %s gives its pods their names in Service %s (serviceName), not in %s", owner.Name, p.Spec.Subdomain, service),
			Look: d.get("StatefulSet", owner.Name, "-o yaml")}
	case p.Spec.Subdomain != "":
		return labs.Finding{Because: fmt.Sprintf("pod %s has its name in Service %s (subdomain), not in %s", name, p.Spec.Subdomain, service), Look: d.get("Pod", name, "-o yaml")}
	}
	return labs.Finding{Because: fmt.Sprintf("pod %s has no name of its own in a Service: that is for the pods of a StatefulSet, and those with hostname and subdomain", name), Look: d.get("Pod", name, "-o yaml")}
}
