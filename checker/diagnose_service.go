package checker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// whyNoAnswer walks from a Service that does not answer to the nearest cause
// that a learner can change. A port of 0 means whichever the Service has. The
// finding is empty when all is well, and when the cause cannot be told.
func whyNoAnswer(ctx context.Context, k *kube, t *Target, namespace, service string, port int) labs.Finding {
	d := diagnosis{ctx, k, t, namespace}
	s, err := k.typed.CoreV1().Services(namespace).Get(ctx, service, metav1.GetOptions{})
	if err != nil {
		return d.gone("v1", "Service", service, err)
	}
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return labs.Finding{Because: fmt.Sprintf("Service %s is only another name for %s", service, s.Spec.ExternalName), Look: d.get("Service", service, "")}
	}
	at, found := servicePort(s, port)
	if !found {
		if slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return int(p.Port) == port && p.Protocol == corev1.ProtocolUDP }) {
			return labs.Finding{Because: fmt.Sprintf("port %d of Service %s is for UDP, and HTTP is TCP", port, service), Look: d.get("Service", service, "-o yaml")}
		}
		return labs.Finding{
			Because: fmt.Sprintf("Service %s has no port %d", service, port),
			Nearest: "it has port " + listed(servicePorts(s)),
			Look:    d.get("Service", service, "")}
	}
	if len(s.Spec.Selector) == 0 {
		if ready, err := readyEndpoints(ctx, k, namespace, service); err != nil || len(ready) > 0 {
			return labs.Finding{}
		}
		return labs.Finding{Because: fmt.Sprintf("Service %s has no selector, so no pods belong to it", service), Look: d.get("Service", service, "-o yaml")}
	}
	pods, err := k.typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return labs.Finding{}
	}
	all := slices.DeleteFunc(pods.Items, over)
	selects := labels.SelectorFromSet(s.Spec.Selector)
	mine := slices.DeleteFunc(slices.Clone(all), func(p corev1.Pod) bool { return !selects.Matches(labels.Set(p.Labels)) })
	if len(mine) == 0 {
		return d.noPods(s, all)
	}
	step(ctx, "Service %s selects %s: %d pods", service, labelText(s.Spec.Selector), len(mine))
	ready := slices.DeleteFunc(slices.Clone(mine), func(p corev1.Pod) bool { return !isReady(&p) })
	if len(ready) == 0 {
		return d.noneReady(s, mine)
	}
	ruledOut(ctx, "%d of these pods are ready", len(ready))
	return d.target(s, at, ready)
}

// over reports whether a pod has ended, or is about to.
func over(p corev1.Pod) bool {
	return p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

func servicePort(s *corev1.Service, port int) (corev1.ServicePort, bool) {
	for _, p := range s.Spec.Ports {
		if (port == 0 || int(p.Port) == port) && p.Protocol != corev1.ProtocolUDP {
			return p, true
		}
	}
	// A headless Service may go without ports, and then anything can be asked of its pods.
	return corev1.ServicePort{Port: int32(port), TargetPort: intstr.FromInt32(int32(port))}, s.Spec.ClusterIP == corev1.ClusterIPNone || port == 0
}

func servicePorts(s *corev1.Service) []string {
	var out []string
	for _, p := range s.Spec.Ports {
		text := strconv.Itoa(int(p.Port))
		if p.Name != "" {
			text += " (" + p.Name + ")"
		}
		out = append(out, text)
	}
	return out
}

// noPods explains a selector that no pod fits.
func (d diagnosis) noPods(s *corev1.Service, all []corev1.Pod) labs.Finding {
	what := "that label"
	if len(s.Spec.Selector) > 1 {
		what = "these labels together"
	}
	f := labs.Finding{
		Because: fmt.Sprintf("Service %s selects %s, and no pod has %s", s.Name, labelText(s.Spec.Selector), what),
		Look:    d.get("Service", s.Name, "-o yaml")}
	// A workload whose pods would fit is nearer than pods that do not.
	if kind, name := d.makes(s.Spec.Selector); name != "" {
		if why := whyNotReady(d.ctx, d.k, d.t, kind, d.namespace, name); why.Because != "" {
			return why
		}
	}
	var ready, other []map[string]string
	for _, p := range all {
		if isReady(&p) {
			ready = append(ready, p.Labels)
		} else {
			other = append(other, p.Labels)
		}
	}
	f.Nearest = cmp.Or(nearLabels("ready pod", s.Spec.Selector, ready), nearLabels("pod", s.Spec.Selector, other))
	if len(all) == 0 {
		f.Because = fmt.Sprintf("Service %s selects %s, and there are no pods in namespace %s", s.Name, labelText(s.Spec.Selector), d.namespace)
		f.Look = command(d.t, "kubectl get pods", d.namespace, "")
	}
	return f
}

// makes finds the workload whose pods have, or would have, the labels.
func (d diagnosis) makes(wanted map[string]string) (kind, name string) {
	selects := labels.SelectorFromSet(wanted)
	apps := d.k.typed.AppsV1()
	if list, err := apps.Deployments(d.namespace).List(d.ctx, metav1.ListOptions{}); err == nil {
		for _, o := range list.Items {
			if selects.Matches(labels.Set(o.Spec.Template.Labels)) {
				return "Deployment", o.Name
			}
		}
	}
	if list, err := apps.StatefulSets(d.namespace).List(d.ctx, metav1.ListOptions{}); err == nil {
		for _, o := range list.Items {
			if selects.Matches(labels.Set(o.Spec.Template.Labels)) {
				return "StatefulSet", o.Name
			}
		}
	}
	return "", ""
}

// nearLabels says how many objects almost have the labels: the same keys with
// other values, or the same values under keys that are almost the same.
func nearLabels(noun string, wanted map[string]string, have []map[string]string) string {
	counts := map[string]int{}
	score := map[string]int{}
	for _, l := range have {
		near, points := map[string]string{}, 0
		for key, value := range wanted {
			switch is, ok := l[key]; {
			case ok && is == value:
				near[key], points = is, points+40
			case ok && nearFit(value, []string{is}) != "":
				near[key], points = is, points+30-labs.Distance(value, is)
			case ok:
				near[key], points = is, points+10
			default:
				for other, is := range l {
					if is == value && wanted[other] == "" {
						near[other], points = is, points+20
					}
				}
			}
		}
		if points > 0 {
			text := labelText(near)
			counts[text]++
			score[text] = points
		}
	}
	best := ""
	for _, text := range slices.Sorted(maps.Keys(counts)) {
		if best == "" || score[text] > score[best] || score[text] == score[best] && counts[text] > counts[best] {
			best = text
		}
	}
	switch {
	case best == "":
		return ""
	case counts[best] == 1:
		return fmt.Sprintf("1 %s has %s", noun, best)
	}
	return fmt.Sprintf("%d %ss have %s", counts[best], noun, best)
}

// noneReady explains a Service that has pods, of which none is ready.
func (d diagnosis) noneReady(s *corev1.Service, mine []corev1.Pod) labs.Finding {
	if kind, name := d.makes(s.Spec.Selector); name != "" {
		if why := whyNotReady(d.ctx, d.k, d.t, kind, d.namespace, name); why.Because != "" {
			return why
		}
	}
	for i := range mine {
		if f, found := d.pod(&mine[i], "pod "+mine[i].Name); found {
			return f
		}
	}
	count := fmt.Sprintf("%d pods, of which none is ready yet", len(mine))
	if len(mine) == 1 {
		count = "1 pod, which is not ready yet"
	}
	return labs.Finding{Because: fmt.Sprintf("Service %s has %s", s.Name, count), Look: command(d.t, "kubectl get pods", d.namespace, "-l "+labelText(s.Spec.Selector))}
}

// target follows the Service's port into its ready pods.
func (d diagnosis) target(s *corev1.Service, at corev1.ServicePort, ready []corev1.Pod) labs.Finding {
	look := d.get("Service", s.Name, "-o yaml")
	pod := ready[0]
	declared := declaredPorts(pod.Spec.Containers)
	leads := fmt.Sprintf("port %d of Service %s leads to", at.Port, s.Name)
	number := int(at.TargetPort.IntVal)
	if at.TargetPort.Type == intstr.String {
		named, found := portNamed(pod, at.TargetPort.StrVal)
		if !found {
			f := labs.Finding{Because: fmt.Sprintf("%s the port named %q, and no container names a port so", leads, at.TargetPort.StrVal), Look: look}
			if len(declared) > 0 {
				f.Nearest = "the pods have " + listed(portsInWords(pod))
			}
			return f
		}
		number = named
	}
	number = cmp.Or(number, int(at.Port))
	if s.Spec.ClusterIP == corev1.ClusterIPNone && int(at.Port) != number {
		return labs.Finding{
			Because: fmt.Sprintf("Service %s is headless, so its name leads to the pods themselves: nothing turns port %d into %d", s.Name, at.Port, number),
			Nearest: fmt.Sprintf("the pods listen on port %d", number), Look: look}
	}
	answer, known := d.connect(pod, number)
	switch {
	case !known && len(declared) > 0 && !slices.Contains(declared, strconv.Itoa(number)):
		return labs.Finding{
			Because: fmt.Sprintf("%s port %d, and the pods declare only port %s", leads, number, listed(numbersOnly(declared))),
			Look:    look}
	case !known:
		return labs.Finding{}
	case answer == kindRefused:
		return d.refused(s, pod, leads, number, look)
	case answer == kindTimeout:
		return d.policy(s, pod)
	}
	return labs.Finding{}
}

// refused explains a ready pod that takes no connections on the port.
func (d diagnosis) refused(s *corev1.Service, pod corev1.Pod, leads string, number int, look string) labs.Finding {
	if inside, known := d.k.listensInside(d.ctx, d.namespace, pod.Name, number); known && inside {
		return labs.Finding{
			Because: fmt.Sprintf("the app in pod %s listens on port %d of 127.0.0.1 only, so nobody outside the pod reaches it", pod.Name, number),
			Look:    command(d.t, "kubectl logs "+pod.Name, d.namespace, "")}
	}
	f := labs.Finding{Because: fmt.Sprintf("%s port %d of its pods, and nothing listens there", leads, number), Look: look}
	for _, p := range numbersOnly(declaredPorts(pod.Spec.Containers)) {
		other, _ := strconv.Atoi(p)
		if answer, known := d.connect(pod, other); other != number && known && answer == "" {
			f.Nearest = "the pods answer on port " + p
			return f
		}
	}
	// With a port that the pods declare, it is the app that is to be changed.
	if slices.Contains(declaredPorts(pod.Spec.Containers), strconv.Itoa(number)) {
		f.Look = command(d.t, "kubectl logs "+pod.Name, d.namespace, "")
	} else if declared := numbersOnly(declaredPorts(pod.Spec.Containers)); len(declared) > 0 {
		f.Nearest = "the pods declare port " + listed(declared)
	}
	return f
}

// policy explains a pod that does not even refuse: a NetworkPolicy that selects it.
func (d diagnosis) policy(s *corev1.Service, pod corev1.Pod) labs.Finding {
	v := policyView{ctx: d.ctx, k: d.k, t: d.t, to: &pod}
	for _, p := range v.policiesOf(&pod, networkingv1.PolicyTypeIngress) {
		return labs.Finding{
			Because: fmt.Sprintf("connections to the pods of Service %s are dropped, and NetworkPolicy %s limits who may talk to them", s.Name, p.Name),
			Look:    command(d.t, "kubectl describe networkpolicy "+p.Name, d.namespace, "")}
	}
	return labs.Finding{}
}

// serviceBackends are a Service, its port and its ready pods; nil when there is none.
func (d diagnosis) serviceBackends(name string, port int) (*corev1.Service, corev1.ServicePort, []corev1.Pod) {
	s, err := d.k.typed.CoreV1().Services(d.namespace).Get(d.ctx, name, metav1.GetOptions{})
	if err != nil || len(s.Spec.Selector) == 0 {
		return nil, corev1.ServicePort{}, nil
	}
	at, _ := servicePort(s, port)
	pods, err := d.k.typed.CoreV1().Pods(d.namespace).List(d.ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(s.Spec.Selector).String()})
	if err != nil {
		return nil, at, nil
	}
	return s, at, slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool { return over(p) || !isReady(&p) })
}

// connect asks a pod directly, past the Service. answer is "" when something
// took the connection; known is false when the probe could not be asked.
func (d diagnosis) connect(pod corev1.Pod, port int) (answer string, known bool) {
	if pod.Status.PodIP == "" {
		return "", false
	}
	address := "http://" + net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(port)) + "/"
	out, err := d.k.inProbe(d.ctx, d.t, nil, "get", "-o", "json", "-timeout", "2s", address)
	if err != nil {
		return "", false
	}
	var a httpAnswer
	if json.Unmarshal(out, &a) != nil {
		return "", false
	}
	if a.Kind == kindRefused || a.Kind == kindTimeout {
		return a.Kind, true
	}
	return "", true
}

func portNamed(pod corev1.Pod, name string) (int, bool) {
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name == name {
				return int(p.ContainerPort), true
			}
		}
	}
	return 0, false
}

// portsInWords are a pod's declared ports with their names.
func portsInWords(pod corev1.Pod) []string {
	var out []string
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			text := fmt.Sprintf("port %d", p.ContainerPort)
			if p.Name != "" {
				text += fmt.Sprintf(" named %q", p.Name)
			} else {
				text += " without a name"
			}
			out = append(out, text)
		}
	}
	return out
}

// readyEndpoints are the addresses of a Service's ready endpoints, in order.
func readyEndpoints(ctx context.Context, k *kube, namespace, service string) ([]string, error) {
	list, err := k.typed.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{
		LabelSelector: labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service}).String()})
	if err != nil {
		return nil, kubeError("listing the endpoints of Service "+service, err)
	}
	var out []string
	for _, slice := range list.Items {
		if slice.AddressType == discoveryv1.AddressTypeFQDN {
			continue
		}
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				out = append(out, e.Addresses...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
