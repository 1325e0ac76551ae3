package checker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

// istiodPort is where istiod tells, to those in its own network, what it has sent:
// the address /debug/syncz, which istioctl proxy-status reads too.
const istiodPort = 15014

// A proxyStatus is one proxy as istiod knows it. The nonce that was acknowledged last
// differs from the one sent while a proxy is behind, or has refused what it got.
type proxyStatus struct {
	Proxy     string `json:"proxy"` // pod.namespace
	Resources map[string]struct {
		Sent      string `json:"sent"`
		Acked     string `json:"acked"`
		LastError string `json:"lastError"`
	} `json:"resources"`
}

// proxiesBehind asks istiod which proxies of the lab's namespace and of the gateways
// have not taken the newest configuration, and why.
func proxiesBehind(ctx context.Context, k *kube, t *Target) (proxies int, behind []labs.Finding, err error) {
	gateways, err := gatewayPods(ctx, k, t.Namespace)
	if err != nil {
		return 0, nil, err
	}
	known, err := proxyStatuses(ctx, k, t, gateways)
	if err != nil {
		return 0, nil, err
	}
	pods, err := podsWith(ctx, k, t.Namespace, nil)
	if err != nil {
		return 0, nil, err
	}
	// Of the namespace's own there is one already.
	gateways = slices.DeleteFunc(gateways, func(p corev1.Pod) bool { return p.Namespace == t.Namespace })
	for _, p := range append(pods, gateways...) {
		if !hasProxy(&p) || over(p) || p.DeletionTimestamp != nil {
			continue
		}
		proxies++
		look := command(t, "kubectl logs "+p.Name+" -c "+meshProxy, p.Namespace, "--tail=20")
		s, there := known[p.Name+"."+p.Namespace]
		if !there {
			behind = append(behind, labs.Finding{Expected: "every proxy to have the newest configuration", Got: "a proxy that is not connected",
				Because: fmt.Sprintf("the proxy of pod %s is not connected to istiod", p.Name), Look: look})
			continue
		}
		if f := s.refusal(p.Name); f.Because != "" {
			f.Look = look
			if f.Got == refusesIt {
				f = because(f, cmp.Or(patched(t, f, filtersFor(ctx, k, &p)), f))
			}
			behind = append(behind, f)
		}
	}
	slices.SortStableFunc(behind, func(a, b labs.Finding) int { return strings.Compare(a.Because, b.Because) })
	return proxies, behind, nil
}

// refusesIt is what there is of a proxy that has said no.
const refusesIt = "a proxy that refuses it"

// filtersFor are the EnvoyFilters that change what istiod makes for a pod's proxy, each
// as namespace/name.
func filtersFor(ctx context.Context, k *kube, p *corev1.Pod) []string {
	var out []string
	for _, namespace := range slices.Compact([]string{p.Namespace, meshRoot}) {
		of, err := k.resource(ctx, "networking.istio.io/v1alpha3", "EnvoyFilter", namespace)
		if err != nil {
			return nil
		}
		list, err := of.List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil
		}
		for _, o := range list.Items {
			wanted, _, _ := unstructured.NestedStringMap(o.Object, "spec", "workloadSelector", "labels")
			if labels.SelectorFromSet(wanted).Matches(labels.Set(p.Labels)) {
				out = append(out, namespace+"/"+o.GetName())
			}
		}
	}
	return out
}

// patched adds to a refusal who has changed what is refused: what istiod makes by itself
// is hardly ever refused.
func patched(t *Target, f labs.Finding, filters []string) labs.Finding {
	if len(filters) == 0 {
		return labs.Finding{}
	}
	namespace, name, _ := strings.Cut(filters[0], "/")
	if len(filters) == 1 {
		f.Nearest, f.Look = "EnvoyFilter "+name+" changes what it gets", command(t, "kubectl get envoyfilter "+name, namespace, "-o yaml")
		return f
	}
	f.Nearest, f.Look = "EnvoyFilters change what it gets: "+listed(filters), command(t, "kubectl get envoyfilters", "", "-A")
	return f
}

// refusal says what of its configuration a proxy has not taken.
func (s proxyStatus) refusal(pod string) labs.Finding {
	f := labs.Finding{Expected: "every proxy to have the newest configuration"}
	var late []string
	for url, r := range s.Resources {
		what := configWord(url)
		if r.LastError != "" && r.Sent != r.Acked {
			f.Got = refusesIt
			f.Because = fmt.Sprintf("the proxy of pod %s refuses its %s: %s", pod, what, clip(r.LastError, 200))
			return f
		}
		if r.Sent != r.Acked {
			late = append(late, what)
		}
	}
	if len(late) == 0 {
		return labs.Finding{}
	}
	slices.Sort(late)
	f.Got = "a proxy that has not answered yet"
	f.Because = fmt.Sprintf("the proxy of pod %s has not confirmed its newest %s", pod, strings.Join(late, ", "))
	return f
}

// configWord is a resource of the protocol as Istio's tools call it.
func configWord(typeURL string) string {
	switch name := path.Ext(typeURL); name {
	case ".Cluster":
		return "clusters"
	case ".Listener":
		return "listeners"
	case ".RouteConfiguration":
		return "routes"
	case ".ClusterLoadAssignment":
		return "endpoints"
	default:
		return strings.TrimPrefix(name, ".")
	}
}

// proxyStatuses are the proxies of the lab's namespace and of those of the gateways, as
// istiod knows them, by pod.namespace.
func proxyStatuses(ctx context.Context, k *kube, t *Target, gateways []corev1.Pod) (map[string]proxyStatus, error) {
	pods, err := podsWith(ctx, k, meshRoot, labels.Set{"app": "istiod"})
	if err != nil {
		return nil, err
	}
	pods = slices.DeleteFunc(pods, func(p corev1.Pod) bool { return !isReady(&p) })
	if len(pods) == 0 {
		return nil, unreachable("the mesh", errors.New("istiod has no ready pod"))
	}
	namespaces := []string{t.Namespace}
	for _, p := range gateways {
		if !slices.Contains(namespaces, p.Namespace) {
			namespaces = append(namespaces, p.Namespace)
		}
	}
	out := map[string]proxyStatus{}
	for i := range pods { // each istiod knows its own proxies only
		for _, namespace := range namespaces {
			a, err := askPod(ctx, k, t, &pods[i], fmt.Sprintf("http://127.0.0.1:%d/debug/syncz?namespace=%s", istiodPort, url.QueryEscape(namespace)))
			if err != nil {
				return nil, err
			}
			if a.Error != "" || a.Status != http.StatusOK {
				return nil, unreachable("the mesh", fmt.Errorf("istiod does not say what it has sent: %s", a))
			}
			var list []proxyStatus
			if err := json.Unmarshal([]byte(a.Body), &list); err != nil {
				return nil, unreachable("the mesh", fmt.Errorf("istiod says %q", clip(a.Body, 120)))
			}
			for _, s := range list {
				out[s.Proxy] = s
			}
		}
	}
	return out, nil
}

// gatewayPods are the proxies that are pods of their own: those of the mesh, and those
// of who owns the namespace. A neighbour's are none of the learner's business.
func gatewayPods(ctx context.Context, k *kube, namespace string) ([]corev1.Pod, error) {
	all, err := sharedList(ctx, corev1.SchemeGroupVersion.WithResource("pods"), "gateways", []source{{namespace: namespace}, {namespace: meshRoot}}, func(ctx context.Context) ([]corev1.Pod, error) {
		list, err := k.typed.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: "istio"})
		if err != nil {
			return nil, kubeError("listing the gateways", err)
		}
		return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return !isGateway(&p) }), nil
	})
	if err != nil {
		return nil, err
	}
	spaces, err := namespaces(ctx, k, namespace)
	if err != nil {
		return nil, err
	}
	owner := map[string]string{}
	for _, n := range spaces {
		owner[n.Name] = n.Labels[attendeeLabel]
	}
	// The list is shared: it is not changed.
	return slices.DeleteFunc(slices.Clone(all), func(p corev1.Pod) bool { return owner[p.Namespace] != "" && owner[p.Namespace] != owner[namespace] }), nil
}

// namespaces are all of the cluster; a change of the one that is named wakes who asked.
func namespaces(ctx context.Context, k *kube, name string) ([]corev1.Namespace, error) {
	return sharedList(ctx, corev1.SchemeGroupVersion.WithResource("namespaces"), "", []source{{name: name}}, func(ctx context.Context) ([]corev1.Namespace, error) {
		list, err := k.typed.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, kubeError("listing namespaces", err)
		}
		return list.Items, nil
	})
}
