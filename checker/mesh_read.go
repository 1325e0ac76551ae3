package checker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/kindlab/kindlab/labs"
	api "istio.io/api/networking/v1alpha3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	meshNetworking = "networking.istio.io/v1"
	meshSecurity   = "security.istio.io/v1"
)

// readMesh reads what the faults of a namespace are judged by: the mesh's objects and
// the Services of all namespaces, since any may be referred to, and the pods of those
// that are.
func readMesh(ctx context.Context, k *kube, namespace string) (meshObjects, error) {
	var m meshObjects
	in := []source{{namespace: namespace}, {namespace: meshRoot}}
	err := errors.Join(
		listInto(ctx, k, in, meshNetworking, "VirtualService", &m.virtualServices),
		listInto(ctx, k, in, meshNetworking, "DestinationRule", &m.destinationRules),
		listInto(ctx, k, in, meshNetworking, "Gateway", &m.gateways),
		listInto(ctx, k, in, meshNetworking, "ServiceEntry", &m.serviceEntries),
		listInto(ctx, k, in, meshNetworking, "Sidecar", &m.sidecars),
		listInto(ctx, k, in, meshSecurity, "PeerAuthentication", &m.peers),
		listInto(ctx, k, in, meshSecurity, "RequestAuthentication", &m.requests),
		listInto(ctx, k, in, meshSecurity, "AuthorizationPolicy", &m.policies),
	)
	if meta.IsNoMatchError(err) {
		return m, unreachable("the mesh", errors.New("the cluster has no Istio: a course that needs it says needs: [mesh]"))
	} else if err != nil {
		return m, err
	}
	services, err := sharedList(ctx, corev1.SchemeGroupVersion.WithResource("services"), "", in, func(ctx context.Context) ([]corev1.Service, error) {
		list, err := k.typed.CoreV1().Services("").List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, kubeError("listing Services", err)
		}
		return list.Items, nil
	})
	if err != nil {
		return m, err
	}
	spaces, err := namespaces(ctx, k, namespace)
	if err != nil {
		return m, err
	}
	accounts, err := sharedList(ctx, corev1.SchemeGroupVersion.WithResource("serviceaccounts"), "", in, func(ctx context.Context) ([]corev1.ServiceAccount, error) {
		list, err := k.typed.CoreV1().ServiceAccounts("").List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, kubeError("listing service accounts", err)
		}
		return list.Items, nil
	})
	if err != nil {
		return m, err
	}
	m.services, m.namespaces, m.accounts = services, spaces, accounts
	if m.pods, err = gatewayPods(ctx, k, namespace); err != nil {
		return m, err
	}
	for _, n := range m.mentioned(namespace) {
		pods, err := podsWith(ctx, k, n, nil)
		if err != nil {
			return m, err
		}
		for _, p := range pods {
			if !isGateway(&p) {
				m.pods = append(m.pods, p)
			}
		}
	}
	return m, nil
}

// listInto decodes all objects of a kind. Istio's types read their own JSON, which a
// converter of Kubernetes does not know.
func listInto[T any](ctx context.Context, k *kube, in []source, version, kind string, into *[]*T) error {
	of, gvr, err := k.resourceOf(ctx, version, kind, metav1.NamespaceAll)
	if err != nil {
		return err
	}
	*into, err = sharedList(ctx, gvr, "", in, func(ctx context.Context) ([]*T, error) {
		list, err := of.List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, kubeError("listing "+kind, err)
		}
		var out []*T
		for i := range list.Items {
			data, err := json.Marshal(list.Items[i].Object)
			if err != nil {
				return nil, fmt.Errorf("reading %s %s: %w", kind, list.Items[i].GetName(), err)
			}
			o := new(T)
			if err := json.Unmarshal(data, o); err != nil {
				continue // a field of a newer Istio: nothing can be said of it
			}
			out = append(out, o)
		}
		return out, nil
	})
	return err
}

// mentioned are the namespaces whose pods matter to what one namespace says.
func (m meshObjects) mentioned(namespace string) []string {
	out := []string{namespace}
	add := func(o any) {
		text, err := json.Marshal(o)
		if err != nil {
			return
		}
		for _, n := range m.namespaces {
			if n.Name != namespace && !slices.Contains(out, n.Name) &&
				regexp.MustCompile(`[./"]`+regexp.QuoteMeta(n.Name)+`(\.svc|/|"|\.)`).Match(text) {
				out = append(out, n.Name)
			}
		}
	}
	for _, o := range within(m.virtualServices, namespace) {
		add(&o.Spec)
	}
	for _, o := range within(m.destinationRules, namespace) {
		add(&o.Spec)
	}
	for _, o := range within(m.policies, namespace) {
		add(&o.Spec)
	}
	return out
}

// rules are how many objects of the mesh a namespace has.
func (m meshObjects) rules(namespace string) int {
	return count(m.virtualServices, namespace) + count(m.destinationRules, namespace) + count(m.gateways, namespace) + count(m.serviceEntries, namespace) +
		count(m.sidecars, namespace) + count(m.peers, namespace) + count(m.requests, namespace) + count(m.policies, namespace)
}

func count[T metav1.Object](all []T, namespace string) int { return len(within(all, namespace)) }

// saidWeights says how the first VirtualService for a call's host shares its requests out.
func (m meshObjects) saidWeights(namespace string, c *meshCall) labs.Finding {
	for _, v := range within(m.virtualServices, namespace) {
		if !isFor(v, fullHost(c.target(), namespace)) {
			continue
		}
		anyone := &api.HTTPMatchRequest{Port: uint32(c.port())}
		for _, r := range routesFor(v, c.isTCP()) {
			if len(r.Match) > 0 && !slices.ContainsFunc(r.Match, func(m *api.HTTPMatchRequest) bool { return takes(m, anyone) }) || len(r.Route) == 0 {
				continue
			}
			return labs.Finding{Because: fmt.Sprintf("VirtualService %s gives %s", v.Name, shareText(r.Route)),
				Look: command(&Target{Namespace: namespace}, "kubectl get virtualservice "+v.Name, namespace, "-o yaml")}
		}
	}
	return labs.Finding{}
}
