package checker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"

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
	err := errors.Join(
		listInto(ctx, k, meshNetworking, "VirtualService", &m.virtualServices),
		listInto(ctx, k, meshNetworking, "DestinationRule", &m.destinationRules),
		listInto(ctx, k, meshNetworking, "Gateway", &m.gateways),
		listInto(ctx, k, meshNetworking, "ServiceEntry", &m.serviceEntries),
		listInto(ctx, k, meshNetworking, "Sidecar", &m.sidecars),
		listInto(ctx, k, meshSecurity, "PeerAuthentication", &m.peers),
		listInto(ctx, k, meshSecurity, "RequestAuthentication", &m.requests),
		listInto(ctx, k, meshSecurity, "AuthorizationPolicy", &m.policies),
	)
	if meta.IsNoMatchError(err) {
		return m, unreachable("the mesh", errors.New("the cluster has no Istio: a course that needs it says needs: [mesh]"))
	} else if err != nil {
		return m, err
	}
	services, err := k.typed.CoreV1().Services("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return m, kubeError("listing Services", err)
	}
	m.services = services.Items
	namespaces, err := k.typed.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return m, kubeError("listing namespaces", err)
	}
	m.namespaces = namespaces.Items
	accounts, err := k.typed.CoreV1().ServiceAccounts("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return m, kubeError("listing service accounts", err)
	}
	m.accounts = accounts.Items
	if m.pods, err = gatewayPods(ctx, k); err != nil {
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
func listInto[T any](ctx context.Context, k *kube, version, kind string, into *[]*T) error {
	of, err := k.resource(ctx, version, kind, metav1.NamespaceAll)
	if err != nil {
		return err
	}
	list, err := of.List(ctx, metav1.ListOptions{})
	if err != nil {
		return kubeError("listing "+kind, err)
	}
	for i := range list.Items {
		data, err := json.Marshal(list.Items[i].Object)
		if err != nil {
			return fmt.Errorf("reading %s %s: %w", kind, list.Items[i].GetName(), err)
		}
		o := new(T)
		if err := json.Unmarshal(data, o); err != nil {
			continue // a field of a newer Istio: nothing can be said of it
		}
		*into = append(*into, o)
	}
	return nil
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
