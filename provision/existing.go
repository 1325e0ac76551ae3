package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
)

// Existing is a cluster that somebody else has made. kindlab needs there what ClassRole
// grants, and [Environment.LeaveCluster] leaves nothing behind. Neither Docker nor kind is
// asked for it, and it gets no mesh: labs that need one are not offered.
type Existing struct {
	Kubeconfig string // path; its current context counts
	Registry   string // from where its nodes pull images, and where we may push: HOST[:PORT][/PATH]. On loopback, without TLS
}

// Validate says what is wrong with x. It may be nil.
func (x *Existing) Validate() error {
	if x == nil {
		return nil
	}
	var wrong []error
	if x.Kubeconfig == "" {
		wrong = append(wrong, hint(errors.New("kubeconfig is missing"), "name the file that leads to the cluster"))
	}
	if _, err := name.NewTag(x.Registry + "/hello:v1"); err != nil || !registryNamed(x.Registry) {
		wrong = append(wrong, hint(fmt.Errorf("registry: %q names no registry", x.Registry), "it is HOST[:PORT][/PATH], from where the cluster's nodes pull images, such as registry.example.org/class"))
	}
	return errors.Join(wrong...)
}

// registryNamed reports whether the first part is a host: without one, Docker's own
// registry would be meant. No part is empty.
func registryNamed(registry string) bool {
	parts := strings.Split(registry, "/")
	return (parts[0] == "localhost" || strings.ContainsAny(parts[0], ".:")) && !slices.Contains(parts, "")
}

// identifyCluster asks the nodes of an existing cluster for their architecture.
func (e *Environment) identifyCluster(ctx context.Context) error {
	kube, err := e.clientset()
	if err != nil {
		return err
	}
	nodes, err := kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return hint(fmt.Errorf("looking at the cluster's nodes: %w", err), "check %s with kubectl; kindlab needs the ClusterRole that `kindlab class role` prints", e.Existing.Kubeconfig)
	}
	var archs []string
	for _, n := range nodes.Items {
		if i := n.Status.NodeInfo; i.OperatingSystem == "linux" && !slices.Contains(archs, i.Architecture) {
			archs = append(archs, i.Architecture)
		}
	}
	switch len(archs) {
	case 0:
		return errors.New("the cluster has no Linux nodes")
	case 1:
		e.nodeArch = archs[0]
		return nil
	}
	slices.Sort(archs)
	return fmt.Errorf("the cluster's nodes are of several architectures (%s), and the labs' images are of one", strings.Join(archs, ", "))
}

// LeaveCluster takes everything of the class away from the cluster: the namespaces of all
// attendees and their accounts, and when no other class of kindlab is there, the roles, the
// probe and the policies. Nothing else is touched, and images stay in the registry. It may be
// run again after it was cut off.
func (e *Environment) LeaveCluster(ctx context.Context) error {
	return step(e.Report, "leaving the cluster", func() (string, error) { return "", e.leaveCluster(ctx) })
}

func (e *Environment) leaveCluster(ctx context.Context) error {
	config, err := e.Rest()
	if err != nil {
		return err
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	// The accounts first, so that nothing new is made; the policies last, so that nothing is
	// without a fence while it is there.
	class := ClassLabel + "=" + e.Cluster
	if err := removeAccounts(ctx, kube, class); err != nil {
		return err
	}
	if err := e.removeNamespaces(ctx, kube, class); err != nil {
		return err
	}
	others, err := kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: AttendeeLabel + "," + managedLabel + "=" + managedBy})
	if err != nil {
		return fmt.Errorf("looking for other classes: %w", err)
	}
	if len(others.Items) > 0 {
		e.Report.Note("the roles and the probe stay for namespace " + others.Items[0].Name + ", of another class")
		return nil
	}
	for _, selector := range []string{"kubernetes.io/metadata.name=" + ClassNamespace, "kubernetes.io/metadata.name=" + SystemNamespace} {
		if err := e.removeNamespaces(ctx, kube, selector); err != nil {
			return err
		}
	}
	rbac := schema.GroupVersion{Group: "rbac.authorization.k8s.io", Version: "v1"}
	admission := schema.GroupVersion{Group: "admissionregistration.k8s.io", Version: "v1"}
	roles := []string{attendeeCluster, attendeeRole, attendeeMesh}
	for _, kind := range []struct {
		schema.GroupVersionResource
		names []string
	}{
		{rbac.WithResource("clusterrolebindings"), roles}, {rbac.WithResource("clusterroles"), roles},
		{admission.WithResource("validatingadmissionpolicybindings"), policyNames()}, {admission.WithResource("validatingadmissionpolicies"), policyNames()},
	} {
		for _, name := range kind.names {
			r := meta.Resource(kind.GroupVersionResource)
			found, err := r.Get(ctx, name, metav1.GetOptions{})
			if err == nil && found.Labels[managedLabel] == managedBy {
				err = r.Delete(ctx, name, metav1.DeleteOptions{})
			}
			if err != nil && !isGone(err) {
				return fmt.Errorf("removing %s %s: %w", kind.Resource, name, err)
			}
		}
	}
	return nil
}

// runningExisting is Running for an existing cluster.
func (e *Environment) runningExisting(ctx context.Context) Running {
	r := Running{Docker: "not asked", Cluster: "does not answer: " + e.Existing.Kubeconfig, Registry: e.Existing.Registry, Mesh: noMesh, Metrics: noMesh}
	kube, err := e.clientset()
	if err != nil {
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	// The client's own question has no context.
	if data, err := kube.Discovery().RESTClient().Get().AbsPath("/version").DoRaw(ctx); err == nil {
		var v version.Info
		if json.Unmarshal(data, &v) == nil {
			r.Cluster = "Kubernetes " + v.GitVersion
		}
	}
	return r
}
