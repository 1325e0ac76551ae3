package provision

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"
)

// documents splits YAML into its objects.
func documents(text []byte) [][]byte {
	var out [][]byte
	for _, d := range bytes.Split(append([]byte("\n"), text...), []byte("\n---\n")) {
		if len(bytes.TrimSpace(d)) > 0 {
			out = append(out, d)
		}
	}
	return out
}

// decode reads the one object of a kind, strictly.
func decode[T any](t *testing.T, text []byte, kind, name string) T {
	t.Helper()
	var found T
	n := 0
	for _, d := range documents(text) {
		var head struct {
			Kind     string            `json:"kind"`
			Metadata metav1.ObjectMeta `json:"metadata"`
		}
		require.NoError(t, yaml.Unmarshal(d, &head), "%s", d)
		if head.Kind == kind && head.Metadata.Name == name {
			n++
			require.NoError(t, yaml.UnmarshalStrict(d, &found), "%s", d)
			assert.Equal(t, managedBy, head.Metadata.Labels[managedLabel], "%s %s carries our label", kind, name)
		}
	}
	require.Equal(t, 1, n, "%s %s", kind, name)
	return found
}

func TestTenantBoundsOf(t *testing.T) {
	for _, c := range []struct {
		tenant           Tenant
		cpu, memory, err string
		pods             int64
	}{
		{Tenant{}, "1", "1Gi", "", 30},
		{Tenant{CPU: "500m", Memory: "2Gi", Pods: 12}, "500m", "2Gi", "", 12},
		{Tenant{CPU: "two"}, "", "", `cpu: "two" is no amount such as 1`, 0},
		{Tenant{CPU: "0"}, "", "", `cpu: "0" is no amount such as 1`, 0},
		{Tenant{Memory: "-1Gi"}, "", "", `memory: "-1Gi" is no amount such as 1Gi`, 0},
		{Tenant{Memory: "1 GB", Pods: -1}, "", "", "memory: \"1 GB\" is no amount such as 1Gi\npods: -1 is no number of pods", 0},
	} {
		b, err := c.tenant.bounds()
		if c.err != "" {
			require.EqualError(t, err, c.err)
			require.EqualError(t, c.tenant.Validate(), c.err)
			continue
		}
		require.NoError(t, err)
		require.NoError(t, c.tenant.Validate())
		assert.Equal(t, c.cpu, b.cpu.String())
		assert.Equal(t, c.memory, b.memory.String())
		assert.Equal(t, c.pods, b.pods)
	}
	require.NoError(t, (*Tenant)(nil).Validate(), "there need not be one")
}

func TestTenancy(t *testing.T) {
	e := &Environment{Cluster: "monday", Attendee: "true", Tenant: &Tenant{Memory: "512Mi", Pods: 7}} // a name that YAML would read as something else
	plain, mesh := &labs.Lab{ID: "first", Needs: []string{"cluster"}}, &labs.Lab{ID: "second", Needs: []string{"mesh", "cluster"}}

	text, err := e.tenancy(plain)
	require.NoError(t, err)
	quota := decode[corev1.ResourceQuota](t, text, "ResourceQuota", "kindlab")
	assert.Equal(t, int64(7), quota.Spec.Hard.Pods().Value())
	limit := quota.Spec.Hard["limits.memory"]
	assert.Equal(t, "2Gi", limit.String(), "four times what is asked for")
	balancers := quota.Spec.Hard["services.loadbalancers"]
	assert.True(t, balancers.IsZero())
	priority := decode[corev1.ResourceQuota](t, text, "ResourceQuota", "kindlab-priority")
	assert.True(t, priority.Spec.Hard.Pods().IsZero())
	limits := decode[corev1.LimitRange](t, text, "LimitRange", "kindlab")
	require.Len(t, limits.Spec.Limits, 1)
	for _, r := range []corev1.ResourceName{"memory", "ephemeral-storage"} {
		assert.Contains(t, limits.Spec.Limits[0].Default, r)
		assert.Contains(t, limits.Spec.Limits[0].DefaultRequest, r)
	}
	fence := decode[networkingv1.NetworkPolicy](t, text, "NetworkPolicy", "kindlab")
	assert.Equal(t, []networkingv1.PolicyType{"Ingress"}, fence.Spec.PolicyTypes)
	require.Len(t, fence.Spec.Ingress, 1)
	require.Len(t, fence.Spec.Ingress[0].From, 4)
	assert.Equal(t, map[string]string{AttendeeLabel: "true"}, fence.Spec.Ingress[0].From[0].NamespaceSelector.MatchLabels)
	binding := decode[rbacv1.RoleBinding](t, text, "RoleBinding", "kindlab")
	assert.Equal(t, []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "kindlab-class", Name: "true"}}, binding.Subjects)
	assert.Equal(t, "kindlab-attendee", binding.RoleRef.Name)

	registry := decode[networkingv1.NetworkPolicy](t, registryFence(netip.MustParseAddr("172.18.0.3")), "NetworkPolicy", "kindlab-registry")
	assert.Equal(t, []string{"172.18.0.3/32"}, registry.Spec.Egress[0].To[0].IPBlock.Except)
	assert.Equal(t, []networkingv1.PolicyType{"Egress"}, registry.Spec.PolicyTypes)

	text, err = e.tenancy(mesh)
	require.NoError(t, err)
	assert.NotContains(t, decode[corev1.ResourceQuota](t, text, "ResourceQuota", "kindlab").Spec.Hard, corev1.ResourceName("limits.memory"), "each pod's proxy has a limit of its own")

	assert.Equal(t, "baseline", e.namespaceLabels("course", plain)[podSecurity])
	assert.Empty(t, e.namespaceLabels("course", plain)[podsLabel])
	assert.Equal(t, "privileged", e.namespaceLabels("course", mesh)[podSecurity])
	assert.Equal(t, "mesh", e.namespaceLabels("course", mesh)[podsLabel], "and a policy of ours in its place")
	alone := &Environment{Attendee: "me"}
	for _, l := range []*labs.Lab{plain, mesh} {
		assert.Len(t, alone.namespaceLabels("course", l), 4, "an administrator has no bounds")
	}
}

func TestLabelNamespace(t *testing.T) {
	have := map[string]string{AttendeeLabel: "ann", "istio-injection": "enabled"}
	kube := fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ann-first", Labels: have}})
	want := map[string]string{AttendeeLabel: "ann", podSecurity: "baseline"}
	for range 2 {
		require.NoError(t, labelNamespace(t.Context(), kube, "ann-first", have, want))
		ns, err := kube.CoreV1().Namespaces().Get(t.Context(), "ann-first", metav1.GetOptions{})
		require.NoError(t, err)
		have = ns.Labels
		assert.Equal(t, map[string]string{AttendeeLabel: "ann", podSecurity: "baseline", "istio-injection": "enabled"}, have)
	}
	writes := 0
	for _, a := range kube.Actions() {
		if a.GetVerb() == "patch" {
			writes++
		}
	}
	assert.Equal(t, 1, writes, "what is right is left as it is")
}

func TestClassRole(t *testing.T) {
	text := ClassRole()
	role := decode[rbacv1.ClusterRole](t, text, "ClusterRole", "kindlab-class")
	has := func(group, resource, name, verb string) bool {
		for _, r := range role.Rules {
			in := func(list []string, word string) bool {
				for _, w := range list {
					if w == word || w == "*" {
						return true
					}
				}
				return false
			}
			if in(r.APIGroups, group) && in(r.Resources, resource) && in(r.Verbs, verb) && (len(r.ResourceNames) == 0 || in(r.ResourceNames, name)) {
				return true
			}
		}
		return false
	}
	// Nobody gives what they do not have.
	for _, name := range []string{attendeeRole, attendeeCluster, attendeeMesh} {
		given := decode[rbacv1.ClusterRole](t, attendeeRoles(), "ClusterRole", name)
		require.NotEmpty(t, given.Rules)
		for _, r := range given.Rules {
			for _, g := range r.APIGroups {
				for _, resource := range r.Resources {
					for _, verb := range r.Verbs {
						for _, n := range append([]string{""}, r.ResourceNames...) {
							if n != "" || len(r.ResourceNames) == 0 {
								assert.True(t, has(g, resource, n, verb), "%s %s.%s %s", verb, resource, g, n)
							}
						}
					}
				}
			}
		}
	}
	for _, denied := range [][4]string{
		{"", "nodes", "", "patch"}, {"", "pods/proxy", "", "get"}, {"", "services/proxy", "", "get"}, {"", "persistentvolumes", "", "create"},
		{"rbac.authorization.k8s.io", "clusterroles", "cluster-admin", "update"}, {"rbac.authorization.k8s.io", "clusterroles", "", "escalate"},
		{"rbac.authorization.k8s.io", "clusterroles", "cluster-admin", "bind"}, {"", "users", "", "impersonate"},
		{"admissionregistration.k8s.io", "validatingadmissionpolicies", "somebodys", "delete"}, {"apiextensions.k8s.io", "customresourcedefinitions", "", "create"},
	} {
		assert.False(t, has(denied[0], denied[1], denied[2], denied[3]), "%v", denied)
	}
	before := ""
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "- {") {
			assert.True(t, strings.HasPrefix(before, "# "), "each rule says what it is for: %s", line)
		}
		before = line
	}
	attendee := decode[rbacv1.ClusterRole](t, attendeeRoles(), "ClusterRole", attendeeRole)
	for _, r := range attendee.Rules {
		for _, resource := range r.Resources {
			assert.NotContains(t, []string{"pods/proxy", "services/proxy"}, resource, "it would go around the fence")
			if resource == "endpoints" || resource == "endpointslices" || resource == "resourcequotas" || resource == "limitranges" {
				assert.Equal(t, []string{"get", "list", "watch"}, r.Verbs, resource)
			}
		}
	}
}

func TestClassPolicies(t *testing.T) {
	for _, name := range policyNames() {
		text := classPolicies("system:serviceaccount:tools:kindlab")
		p := decode[admissionv1.ValidatingAdmissionPolicy](t, text, "ValidatingAdmissionPolicy", name)
		b := decode[admissionv1.ValidatingAdmissionPolicyBinding](t, text, "ValidatingAdmissionPolicyBinding", name)
		assert.Equal(t, name, b.Spec.PolicyName)
		assert.Equal(t, []admissionv1.ValidationAction{"Deny"}, b.Spec.ValidationActions)
		assert.Equal(t, admissionv1.Fail, *p.Spec.FailurePolicy)
		assert.NotEmpty(t, p.Spec.Validations)
		var asks []string
		for _, c := range p.Spec.MatchConditions {
			asks = append(asks, c.Expression)
		}
		all := strings.Join(asks, "\n")
		if name == "kindlab-pods" {
			assert.NotContains(t, all, "userInfo", "controllers make pods too")
		} else {
			assert.Contains(t, all, "'system:serviceaccounts' in request.userInfo.groups")
			assert.Contains(t, all, "request.userInfo.username != 'system:serviceaccount:tools:kindlab'", "kindlab itself may")
		}
	}
	assert.NotContains(t, string(classPolicies("")), "userInfo.username")
	assert.Equal(t, "system:serviceaccount:a:b", accountName("system:serviceaccount:a:b"))
	assert.Empty(t, accountName("kubernetes-admin"))
}

func TestTenantConfig(t *testing.T) {
	admin := clientcmdapi.NewConfig()
	dir := t.TempDir()
	write(t, "the certificate", dir, "ca.pem")
	admin.Clusters["c"] = &clientcmdapi.Cluster{Server: "https://api.example:6443", CertificateAuthority: "ca.pem", TLSServerName: "kubernetes"}
	admin.Clusters["other"] = &clientcmdapi.Cluster{Server: "https://secret.example"}
	admin.AuthInfos["root"] = &clientcmdapi.AuthInfo{Token: "of-the-administrator"}
	admin.Contexts["a"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "root"}
	admin.CurrentContext = "a"
	data, err := clientcmd.Write(*admin)
	require.NoError(t, err)
	file := filepath.Join(dir, "admin.yaml")
	require.NoError(t, os.WriteFile(file, data, 0o600))

	e := &Environment{Existing: &Existing{Kubeconfig: file}, Attendee: "ann"}
	server, err := e.apiServer()
	require.NoError(t, err)
	data, err = tenantConfig(server, "ann", "ann-first", "short-lived")
	require.NoError(t, err)
	own, err := clientcmd.Load(data)
	require.NoError(t, err)
	c := own.Clusters["kindlab"]
	assert.Equal(t, "https://api.example:6443", c.Server)
	assert.Equal(t, "kubernetes", c.TLSServerName)
	assert.Equal(t, "the certificate", string(c.CertificateAuthorityData), "where the file is, is nobody's business")
	assert.Equal(t, "ann-first", own.Contexts[own.CurrentContext].Namespace)
	assert.Equal(t, "short-lived", own.AuthInfos["ann"].Token)
	for _, secret := range []string{"of-the-administrator", "secret.example", dir} {
		assert.NotContains(t, string(data), secret)
	}

	_, _, err = e.TenantKubeconfig(t.Context(), "first", 0)
	require.Error(t, err, "without a Tenant there is no account")
	e.Existing.Kubeconfig = filepath.Join(dir, "none")
	_, err = e.apiServer()
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestRemoveKubeconfigs(t *testing.T) {
	state := t.TempDir()
	of := func(attendee string) *Environment {
		return &Environment{Cluster: "class", State: state, Attendee: attendee, Tenant: &Tenant{}}
	}
	put := func(e *Environment, lab string) {
		data, err := tenantConfig(&clientcmdapi.Cluster{Server: "https://api"}, e.Attendee, e.Namespace(lab), "t")
		require.NoError(t, err)
		require.NoError(t, WriteFile(e.LabKubeconfig(lab), data))
	}
	ada, second := of("ada"), of("ada-2")
	for _, lab := range []string{"scale", "chart"} {
		put(ada, lab)
		put(second, lab)
	}
	write(t, "the administrator's", ada.Kubeconfig())
	require.NoError(t, ada.removeKubeconfigs())
	require.NoError(t, ada.removeKubeconfigs())
	assert.Equal(t, []string{"kube/class-ada-2-chart.yaml", "kube/class-ada-2-scale.yaml", "kube/class.yaml"}, tree(t, state), "a neighbour's stay, though they begin in the same way")
	require.NoError(t, second.removeKubeconfigs())
	assert.Equal(t, []string{"kube/class.yaml"}, tree(t, state))
}

func TestExistingValidate(t *testing.T) {
	for _, c := range []struct{ kubeconfig, registry, err string }{
		{"k", "registry.example.org", ""}, {"k", "registry.example.org/class/one", ""}, {"k", "localhost:5001", ""}, {"k", "localhost", ""}, {"k", "127.0.0.1:5000", ""},
		{"", "localhost:5001", "kubeconfig is missing"},
		{"k", "", `registry: "" names no registry`}, {"k", "class", `registry: "class" names no registry`}, {"k", "https://registry.example.org", `registry: "https://registry.example.org" names no registry`},
		{"k", "registry.example.org/", `registry: "registry.example.org/" names no registry`}, {"k", "registry.example.org/UP", `registry: "registry.example.org/UP" names no registry`},
	} {
		err := (&Existing{c.kubeconfig, c.registry}).Validate()
		if c.err == "" {
			assert.NoError(t, err, c.registry)
		} else {
			assert.EqualError(t, err, c.err)
		}
	}
	require.NoError(t, (*Existing)(nil).Validate())
	e := &Environment{State: "state", Cluster: "class", Existing: &Existing{Kubeconfig: "theirs"}}
	assert.Equal(t, "theirs", e.Kubeconfig())
}

func TestNotOffered(t *testing.T) {
	lab := func(needs ...string) *labs.Lab { return &labs.Lab{ID: needs[0], Needs: needs} }
	docker, cluster, mesh, policies, admin := lab("docker"), lab("cluster"), lab("mesh", "cluster"), lab("policies", "cluster"), lab("admin", "cluster")
	all := []*labs.Lab{docker, cluster, mesh, policies, admin}
	for _, c := range []struct {
		name string
		e    Environment
		want []*labs.Lab
	}{
		{"a laptop", Environment{}, all},
		{"a cluster for each", Environment{Docker: &client.Client{}}, all},
		{"a shared cluster", Environment{Tenant: &Tenant{}}, []*labs.Lab{docker, cluster, mesh}},
		{"an existing one", Environment{Tenant: &Tenant{}, Existing: &Existing{}, Docker: &client.Client{}}, []*labs.Lab{docker, cluster}},
		{"an existing one without Docker", Environment{Tenant: &Tenant{}, Existing: &Existing{}}, []*labs.Lab{cluster}},
	} {
		assert.Equal(t, c.want, c.e.offered(all), c.name)
		course := &labs.Course{Labs: all}
		assert.Equal(t, c.e.NotOffered(mesh) == "", c.e.WantsMesh(course), "%s: what is not offered is not made", c.name)
	}
	assert.NotEqual(t, NotOffered(policies, true), NotOffered(admin, true), "each says why")
}

func TestHasNobodyElses(t *testing.T) {
	e := &Environment{Attendee: "ada", Report: Quiet{}}
	kube := fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ada-2-first", Labels: map[string]string{AttendeeLabel: "ada-2", CourseLabel: "course"}}})
	_, err := e.ensureNamespace(t.Context(), kube, "course", &labs.Lab{ID: "2-first"})
	require.EqualError(t, err, "namespace ada-2-first belongs to the attendee ada-2")
	var h *Hinted
	require.True(t, errors.As(err, &h))
}

func TestOtherClass(t *testing.T) {
	lab := &labs.Lab{ID: "first"}
	theirs := &Environment{Cluster: "monday", Attendee: "ada", Tenant: &Tenant{}, Report: Quiet{}}
	kube := fake.NewClientset()
	_, err := theirs.ensureNamespace(t.Context(), kube, "course", lab)
	require.NoError(t, err)
	ours := &Environment{Cluster: "friday", Attendee: "ada", Tenant: &Tenant{}, Report: Quiet{}}
	_, err = ours.ensureNamespace(t.Context(), kube, "course", lab)
	require.EqualError(t, err, "namespace ada-first in the cluster belongs to the class monday")
	require.NoError(t, ours.removeNamespaces(t.Context(), kube, ours.mine()))
	_, err = kube.CoreV1().Namespaces().Get(t.Context(), "ada-first", metav1.GetOptions{})
	require.NoError(t, err, "another class's stays")

	account := func(name, class string) *corev1.ServiceAccount {
		return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ClassNamespace, Labels: map[string]string{AttendeeLabel: name, ClassLabel: class, managedLabel: managedBy}}}
	}
	kube = fake.NewClientset(account("ada", "monday"), account("bo", "friday"))
	err = ours.ensureTenancy(t.Context(), kube, nil, lab)
	require.EqualError(t, err, "the account ada in the cluster belongs to the class monday")
	require.NoError(t, removeAccounts(t.Context(), kube, ours.mine()))
	require.NoError(t, removeAccounts(t.Context(), kube, ClassLabel+"=friday"))
	left, err := kube.CoreV1().ServiceAccounts(ClassNamespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, left.Items, 1)
	assert.Equal(t, "ada", left.Items[0].Name)
}
