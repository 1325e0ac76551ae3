package provision

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/client"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"
)

const (
	// ClassNamespace holds the attendees' accounts. Attendees cannot look into it.
	ClassNamespace = "kindlab-class"

	tenancyName  = "kindlab" // of the quota, the limits, the fence and the binding in an attendee's namespace
	managedLabel = "app.kubernetes.io/managed-by"
	managedBy    = "kindlab"
	podsLabel    = "kindlab.pods" // on a namespace: which policy of ours looks at its pods
	podsMesh     = "mesh"
	podSecurity  = "pod-security.kubernetes.io/enforce"
	tenancyWait  = time.Minute
	memoryTimes  = 4 // what its pods ask for, they may take in a namespace
)

// A Tenant is an attendee who shares the cluster with others, and is no administrator of
// it. Each of the attendee's labs has a namespace, and each namespace has the same bounds:
// what is not said here has a default that every lab of the built-in courses fits into.
type Tenant struct {
	CPU    string // what the pods of a namespace may ask for, as Kubernetes writes it; "" is 1
	Memory string // in the same way; "" is 1Gi. They may take four times as much
	Pods   int    // that run in a namespace at a time; 0 is 30
}

const (
	tenantCPU    = "1"
	tenantMemory = "1Gi"
	tenantPods   = 30
)

// bounds are a Tenant's with the defaults filled in.
type bounds struct {
	cpu, memory resource.Quantity
	pods        int64
}

// bounds reads what t says; the error says what is wrong with it.
func (t *Tenant) bounds() (b bounds, err error) {
	read := func(field, text, otherwise string) resource.Quantity {
		if text == "" {
			text = otherwise
		}
		q, parseErr := resource.ParseQuantity(text)
		if parseErr != nil || q.Sign() <= 0 {
			err = errors.Join(err, fmt.Errorf("%s: %q is no amount such as %s", field, text, otherwise))
		}
		return q
	}
	b = bounds{cpu: read("cpu", t.CPU, tenantCPU), memory: read("memory", t.Memory, tenantMemory), pods: int64(t.Pods)}
	if t.Pods == 0 {
		b.pods = tenantPods
	}
	if t.Pods < 0 {
		err = errors.Join(err, fmt.Errorf("pods: %d is no number of pods", t.Pods))
	}
	return b, err
}

// Validate says what is wrong with t. It may be nil.
func (t *Tenant) Validate() error {
	if t == nil {
		return nil
	}
	_, err := t.bounds()
	return err
}

// quota are the bounds of a namespace. Those on the number of objects are there so that
// nobody fills the cluster's store. With a mesh what pods may take is not bounded: each
// has a proxy with a limit of its own.
func (b bounds) quota(mesh bool) map[string]any {
	hard := map[string]any{
		"pods": b.pods, "count/pods": 4 * b.pods, // the second with those that have ended
		"requests.cpu": b.cpu.String(), "requests.memory": b.memory.String(),
		"requests.storage": "10Gi", "persistentvolumeclaims": 10,
		"services": 50, "services.nodeports": 10, "services.loadbalancers": 0,
		"configmaps": 100, "secrets": 100, "count/serviceaccounts": 50,
		"count/deployments.apps": 50, "count/statefulsets.apps": 20, "count/daemonsets.apps": 10, "count/replicasets.apps": 200,
		"count/jobs.batch": 50, "count/cronjobs.batch": 20, "count/networkpolicies.networking.k8s.io": 50,
		"replicationcontrollers": 20, "count/ingresses.networking.k8s.io": 50, "count/leases.coordination.k8s.io": 50,
		"count/horizontalpodautoscalers.autoscaling": 50, "count/poddisruptionbudgets.policy": 50,
		"count/roles.rbac.authorization.k8s.io": 50, "count/rolebindings.rbac.authorization.k8s.io": 50,
	}
	if !mesh {
		most := b.memory.DeepCopy()
		most.Mul(memoryTimes)
		hard["limits.memory"] = most.String()
	}
	return hard
}

// tenancy are the objects of ours in an attendee's namespace, as YAML.
func (e *Environment) tenancy(lab *labs.Lab) ([]byte, error) {
	b, err := e.Tenant.bounds()
	if err != nil {
		return nil, err
	}
	hard, err := yaml.Marshal(b.quota(lab.Wants("mesh")))
	if err != nil {
		return nil, err
	}
	meta := fmt.Sprintf("{name: %s, labels: {%s: %s}}", tenancyName, managedLabel, managedBy)
	return fmt.Appendf(nil, `
apiVersion: v1
kind: ResourceQuota
metadata: %[1]s
spec:
  hard:
    %[2]s
---
# Whose pods are of these classes can have those of the others ended.
apiVersion: v1
kind: ResourceQuota
metadata: {name: %[3]s-priority, labels: {%[4]s: %[5]s}}
spec:
  hard: {pods: 0}
  scopeSelector:
    matchExpressions:
    - {scopeName: PriorityClass, operator: In, values: [system-node-critical, system-cluster-critical]}
---
# What a container that says nothing of this gets, so that it fits the quota.
apiVersion: v1
kind: LimitRange
metadata: %[1]s
spec:
  limits:
  - type: Container
    defaultRequest: {cpu: 10m, memory: 16Mi, ephemeral-storage: 1Mi}
    default: {memory: 256Mi, ephemeral-storage: 512Mi}
    max: {ephemeral-storage: 1Gi}
---
# In come the attendee's own pods of all labs, and three of the class: the probe, the
# mesh's gateway, and Prometheus. Not istiod, which can be made to ask for an address.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: %[1]s
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress:
  - from:
    - namespaceSelector: {matchLabels: {%[6]s: %[7]q}}
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[8]s}}
      podSelector: {matchLabels: {app.kubernetes.io/name: %[13]s}}
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[9]s}}
      podSelector: {matchLabels: {app.kubernetes.io/name: %[14]s}}
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[10]s}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: %[1]s
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %[11]s}
subjects: [{kind: ServiceAccount, namespace: %[12]s, name: %[7]q}]
`, meta, strings.ReplaceAll(strings.TrimSpace(string(hard)), "\n", "\n    "), tenancyName, managedLabel, managedBy,
		AttendeeLabel, e.Attendee, SystemNamespace, istioNamespace, gatewayNamespace, attendeeRole, ClassNamespace, ProbeName, prometheusName), nil
}

// registryFence keeps an attendee's pods from our registry, which asks nobody who they are:
// whoever reaches it can put another image in place of that which the pods of others have.
// The nodes pull for the pods. The fence holds because the policy kindlab-objects lets
// attendees make none about the way out, which would open it.
func registryFence(registry netip.Addr) []byte {
	return fmt.Appendf(nil, `---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: %s-registry, labels: {%s: %s}}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
  - to:
    - ipBlock: {cidr: 0.0.0.0/0, except: ["%s/32"]}
    - ipBlock: {cidr: "::/0"}
`, tenancyName, managedLabel, managedBy, registry)
}

// registryAddress is that of our registry on the network of the nodes; the zero Addr when
// it is not ours or does not run.
func (e *Environment) registryAddress(ctx context.Context) (netip.Addr, error) {
	if e.Existing != nil {
		return netip.Addr{}, nil
	}
	found, err := e.Docker.ContainerInspect(ctx, registryName, client.ContainerInspectOptions{})
	if isNotFound(err) {
		return netip.Addr{}, nil
	} else if err != nil {
		return netip.Addr{}, fmt.Errorf("looking for the registry: %w", err)
	}
	if found.Container.NetworkSettings != nil {
		if n := found.Container.NetworkSettings.Networks[networkName]; n != nil {
			return n.IPAddress, nil
		}
	}
	return netip.Addr{}, nil
}

// ensureClass makes what the attendees of a cluster share: the namespace of their accounts,
// their roles, and the policies that keep our objects as they are.
func (e *Environment) ensureClass(ctx context.Context, mesh bool) error {
	config, err := e.Rest()
	if err != nil {
		return err
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	a, err := newApplier(config)
	if err != nil {
		return err
	}
	if err := canFence(kube.Discovery()); err != nil {
		return err
	}
	self, err := whoAmI(ctx, kube)
	if err != nil {
		return err
	}
	for _, o := range [][]byte{
		fmt.Appendf(nil, "{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {%s: %s}}}", ClassNamespace, managedLabel, managedBy),
		attendeeRoles(), classPolicies(self),
	} {
		if err := a.apply(ctx, "", "class", o); err != nil {
			return err
		}
	}
	if !mesh {
		return nil
	}
	for _, namespace := range []string{istioNamespace, gatewayNamespace} {
		if err := a.apply(ctx, namespace, "class", meshBinding()); err != nil {
			return err
		}
	}
	return nil
}

// ensureTenancy gives an attendee's namespace its bounds, and the attendee the rights in it.
// It waits until the bounds are in force: before that, pods are refused.
func (e *Environment) ensureTenancy(ctx context.Context, kube kubernetes.Interface, a *applier, lab *labs.Lab) error {
	there, err := kube.CoreV1().ServiceAccounts(ClassNamespace).Get(ctx, e.Attendee, metav1.GetOptions{})
	if err != nil && !isGone(err) {
		return fmt.Errorf("looking for the account of %s: %w", e.Attendee, err)
	} else if err == nil && e.otherClass(there.Labels) != "" {
		return e.errOtherClass("the account "+e.Attendee, there.Labels)
	}
	account := fmt.Appendf(nil, "{apiVersion: v1, kind: ServiceAccount, metadata: {name: %[1]q, labels: {%[2]s: %[3]s, %[4]s: %[1]q, %[5]s: %[6]q}}, automountServiceAccountToken: false}",
		e.Attendee, managedLabel, managedBy, AttendeeLabel, ClassLabel, e.Cluster)
	if err := a.apply(ctx, ClassNamespace, "account", account); err != nil {
		return err
	}
	objects, err := e.tenancy(lab)
	if err != nil {
		return err
	}
	address, err := e.registryAddress(ctx)
	if err != nil {
		return err
	}
	if address.IsValid() {
		objects = append(objects, registryFence(address)...)
	}
	namespace := e.Namespace(lab.ID)
	if err := a.apply(ctx, namespace, "tenancy", objects); err != nil {
		return err
	}
	return waitQuota(ctx, kube, namespace)
}

// otherClass is the class that something with these labels belongs to, when it is not ours.
func (e *Environment) otherClass(l map[string]string) string {
	if class := l[ClassLabel]; e.Tenant != nil && class != e.Cluster {
		return class
	}
	return ""
}

func (e *Environment) errOtherClass(what string, l map[string]string) error {
	return hint(fmt.Errorf("%s in the cluster belongs to the class %s", what, e.otherClass(l)), "two classes may share a cluster when no attendee of the one is called as one of the other: give this one another name")
}

// mine selects what is the attendee's, of our class.
func (e *Environment) mine() string {
	if e.Tenant == nil {
		return AttendeeLabel + "=" + e.Attendee
	}
	return AttendeeLabel + "=" + e.Attendee + "," + ClassLabel + "=" + e.Cluster
}

// waitQuota waits until Kubernetes has counted what a namespace has against its quota.
func waitQuota(ctx context.Context, kube kubernetes.Interface, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, tenancyWait)
	defer cancel()
	for {
		q, err := kube.CoreV1().ResourceQuotas(namespace).Get(ctx, tenancyName, metav1.GetOptions{})
		if err == nil {
			counted := true
			for name, most := range q.Spec.Hard {
				now, known := q.Status.Hard[name]
				counted = counted && known && now.Cmp(most) == 0
			}
			if counted {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return fmt.Errorf("the quota of namespace %s is not in force after %s: %w", namespace, tenancyWait, errors.Join(err, ctx.Err()))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// namespaceLabels are those of a lab's namespace. An attendee who shares the cluster gets
// no pod that could take over a node. Istio's sidecar wants to set up the pod's network,
// which Kubernetes' own level baseline does not allow, so a policy of ours takes its place.
func (e *Environment) namespaceLabels(course string, lab *labs.Lab) map[string]string {
	l := map[string]string{CourseLabel: course, LabLabel: lab.ID, AttendeeLabel: e.Attendee, managedLabel: managedBy}
	if e.Tenant == nil {
		return l
	}
	l[ClassLabel] = e.Cluster
	switch {
	case lab.Wants("mesh"):
		l[podSecurity], l[podsLabel] = "privileged", podsMesh
	default:
		l[podSecurity] = "baseline"
	}
	return l
}

// labelNamespace puts the labels on a namespace that is there, where they are missing.
func labelNamespace(ctx context.Context, kube kubernetes.Interface, name string, have, want map[string]string) error {
	missing := map[string]string{}
	for k, v := range want {
		if have[k] != v {
			missing[k] = v
		}
	}
	if len(missing) == 0 {
		return nil
	}
	patch, err := yaml.Marshal(map[string]any{"metadata": map[string]any{"labels": missing}})
	if err != nil {
		return err
	}
	if patch, err = yaml.YAMLToJSON(patch); err != nil {
		return err
	}
	if _, err := kube.CoreV1().Namespaces().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager}); err != nil {
		return fmt.Errorf("labelling namespace %s: %w", name, err)
	}
	return nil
}

// RemoveAttendee takes everything of the attendee away and nothing of anybody else: the
// namespaces, the account with all its tokens, the containers and images, the kubeconfigs.
// The work folders stay. It may be run again after it was cut off, and when there is nothing.
func (e *Environment) RemoveAttendee(ctx context.Context) error {
	there := e.Existing != nil
	if !there {
		s, err := e.inspectCluster(ctx)
		if err != nil {
			return err
		}
		there = len(s.nodes) > 0 && !s.foreign
	}
	if there {
		if err := e.removeFromCluster(ctx); err != nil {
			return err
		}
	}
	if err := e.RemoveDockerObjects(ctx); err != nil {
		return err
	}
	return e.removeKubeconfigs()
}

// removeFromCluster takes the attendee's account and namespaces away.
func (e *Environment) removeFromCluster(ctx context.Context) error {
	kube, err := e.clientset()
	if err != nil {
		return err
	}
	// First, so that nothing new is made.
	if err := removeAccounts(ctx, kube, e.mine()); err != nil {
		return err
	}
	return e.removeNamespaces(ctx, kube, e.mine())
}

// removeAccounts removes the attendees' accounts that the selector fits, with their tokens.
func removeAccounts(ctx context.Context, kube kubernetes.Interface, selector string) error {
	all, err := kube.CoreV1().ServiceAccounts(ClassNamespace).List(ctx, metav1.ListOptions{LabelSelector: selector + "," + managedLabel + "=" + managedBy})
	if err != nil {
		return fmt.Errorf("listing the accounts of %s: %w", selector, err)
	}
	for _, a := range all.Items {
		if err := kube.CoreV1().ServiceAccounts(ClassNamespace).Delete(ctx, a.Name, metav1.DeleteOptions{}); err != nil && !isGone(err) {
			return fmt.Errorf("removing the account of %s: %w", a.Name, err)
		}
	}
	return nil
}

// removeNamespaces removes all of ours that the selector fits, side by side.
func (e *Environment) removeNamespaces(ctx context.Context, kube kubernetes.Interface, selector string) error {
	all, err := kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: selector + "," + managedLabel + "=" + managedBy})
	if err != nil {
		return fmt.Errorf("listing the namespaces of %s: %w", selector, err)
	}
	var fs []func() error
	for _, ns := range all.Items {
		fs = append(fs, func() error { return e.deleteNamespace(ctx, kube, ns.Name) })
	}
	return Few(ctx, parallelLabs, fs...)
}

// removeKubeconfigs removes the files that LabKubeconfig names, of this attendee only: the
// names of two attendees may begin in the same way.
func (e *Environment) removeKubeconfigs() error {
	files, err := filepath.Glob(filepath.Join(e.State, "kube", e.Cluster+"-"+e.Namespace("*")+".yaml"))
	if err != nil {
		return fmt.Errorf("looking for the kubeconfigs of %s: %w", e.Attendee, err)
	}
	for _, f := range files {
		if owner := kubeconfigOwner(f); owner != "" && owner != e.Attendee {
			continue
		}
		if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing a kubeconfig: %w", err)
		}
	}
	return nil
}
