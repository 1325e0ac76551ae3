package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// whyAnswered is the cause for which a request in the cluster was answered with a status
// that is not wanted: the Service has no such port, and something else answers for it;
// the route through a Gateway leads elsewhere; it came to another port of the pods.
func (c *httpCheck) whyAnswered(ctx context.Context, t *Target, u *url.URL, status int) labs.Finding {
	if f := whyNoPort(ctx, t, u); f.Because != "" {
		return f
	}
	k, err := kubeOf(ctx, t)
	n, isService := parseService(u.Hostname(), t.Namespace)
	if err != nil || !isService || c.isTCP() {
		return labs.Finding{}
	}
	d := diagnosis{ctx, k, t, n.namespace}
	s, err := k.typed.CoreV1().Services(n.namespace).Get(ctx, n.service, metav1.GetOptions{})
	if err != nil {
		return labs.Finding{}
	}
	if gateway := s.Labels[gatewayNameLabel]; gateway != "" {
		d.namespace = t.Namespace // where the lab's routes are
		return d.routed(c.forRoute(u, t.Namespace), gateway, status)
	}
	return d.otherPort(c, u, n.service, status)
}

// otherPort is the finding when another port of a Service's pods answers as wanted.
func (d diagnosis) otherPort(c *httpCheck, u *url.URL, service string, status int) labs.Finding {
	if c.Method != "" && c.Method != http.MethodGet || status != http.StatusNotFound {
		return labs.Finding{} // it may change something there, or is refused by intent
	}
	s, at, ready := d.serviceBackends(service, portOf(u))
	if s == nil || len(ready) == 0 {
		return labs.Finding{}
	}
	pod := ready[0]
	number := int(at.TargetPort.IntVal)
	if at.TargetPort.Type == intstr.String {
		number, _ = portNamed(pod, at.TargetPort.StrVal)
	}
	for _, container := range pod.Spec.Containers {
		for _, p := range container.Ports {
			if int(p.ContainerPort) == number || p.Protocol == corev1.ProtocolUDP {
				continue
			}
			got, known := d.status(c, "http://"+net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(p.ContainerPort)))+u.RequestURI())
			if right, wanted := c.wants(got); known && right {
				step(d.ctx, "port %d of pod %s answers HTTP %s", p.ContainerPort, pod.Name, wanted)
				return labs.Finding{
					Because: fmt.Sprintf("port %d of Service %s leads to port %s of its pods, which answers HTTP %d, and it is port %d that answers HTTP %s", at.Port, s.Name, at.TargetPort.String(), status, p.ContainerPort, wanted),
					Look:    d.get("Service", s.Name, "-o yaml")}
			}
		}
	}
	return labs.Finding{}
}

// status is what an address answers to the check's request from the probe.
func (d diagnosis) status(c *httpCheck, address string) (status int, known bool) {
	u, err := url.Parse(address)
	if err != nil {
		return 0, false
	}
	once := httpCheck{Method: c.Method, Headers: c.Headers}
	out, err := d.k.inProbe(d.ctx, d.t, nil, once.command(u, d.namespace)...)
	if err != nil {
		return 0, false
	}
	var a httpAnswer
	if json.Unmarshal(out, &a) != nil || a.Error != "" {
		return 0, false
	}
	return a.Status, true
}

// mixed is the finding when answers are not as expected because they come from the pods
// of several workloads: some of them alone are as expected, and others not.
func (c *httpCheck) mixed(ctx context.Context, t *Target, e *expression, answers []any) labs.Finding {
	k, err := kubeOf(ctx, t)
	u, _ := c.parse()
	n, isService := parseService(u.Hostname(), t.Namespace)
	if err != nil || !isService || !c.From.inCluster() {
		return labs.Finding{}
	}
	good, bad := 0, 0
	for _, a := range answers {
		vars := maps.Clone(a.(map[string]any))
		vars["answers"] = []any{a}
		if _, holds, err := evaluate(ctx, e, nil, vars); err != nil {
			return labs.Finding{}
		} else if holds {
			good++
		} else {
			bad++
		}
	}
	d := diagnosis{ctx, k, t, n.namespace}
	s, _, ready := d.serviceBackends(n.service, portOf(u))
	if good == 0 || bad == 0 || s == nil {
		return labs.Finding{}
	}
	var makers []string
	for i := range ready {
		makers = append(makers, d.maker(&ready[i]))
	}
	slices.Sort(makers)
	if makers = slices.Compact(makers); len(makers) < 2 {
		return labs.Finding{}
	}
	step(ctx, "%d of %d answers are as expected", good, good+bad)
	return labs.Finding{
		Because: fmt.Sprintf("Service %s selects %s, which the pods of %s have", s.Name, labelText(s.Spec.Selector), listed(makers)),
		Look:    d.get("Service", s.Name, "-o yaml")}
}

// maker is the workload that a pod is of, or the pod itself.
func (d diagnosis) maker(p *corev1.Pod) string {
	owner := metav1.GetControllerOf(p)
	if owner == nil {
		return "Pod " + p.Name
	}
	if owner.Kind == "ReplicaSet" {
		if rs, err := d.k.typed.AppsV1().ReplicaSets(d.namespace).Get(d.ctx, owner.Name, metav1.GetOptions{}); err == nil && metav1.GetControllerOf(rs) != nil {
			owner = metav1.GetControllerOf(rs)
		}
	}
	return owner.Kind + " " + owner.Name
}
