package provision

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// mapper knows its kinds from the start.
type mapper struct{ *meta.DefaultRESTMapper }

func (mapper) Reset() {}

// recordingApplier applies to a server that only notes method and path.
func recordingApplier(t *testing.T) (*applier, *[]string) {
	t.Helper()
	var got []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Method+" "+r.URL.Path+" by "+r.URL.Query().Get("fieldManager"))
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		if !json.Valid(body) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(srv.Close)
	dyn, err := dynamic.NewForConfig(&rest.Config{Host: srv.URL})
	require.NoError(t, err)
	m := mapper{meta.NewDefaultRESTMapper(nil)}
	m.Add(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, meta.RESTScopeNamespace)
	m.Add(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, meta.RESTScopeNamespace)
	m.Add(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, meta.RESTScopeRoot)
	return &applier{dyn, m}, &got
}

func TestApply(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       []string
		err        string
	}{
		{"nothing", "", nil, ""},
		{"comments alone", "---\n# nothing\n---\n", nil, ""},
		{"several", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b, namespace: me-first}\n", []string{
			"PATCH /api/v1/namespaces/me-first/configmaps/a by kindlab", "PATCH /apis/apps/v1/namespaces/me-first/deployments/b by kindlab"}, ""},
		{"of no namespace", "apiVersion: v1\nkind: Namespace\nmetadata: {name: mine}\n", nil,
			"a.yaml: Namespace mine: a lab's objects live in its own namespace, and this kind has none"},
		{"another namespace", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: kube-system}\n", nil,
			"a.yaml: ConfigMap a: a lab's objects live in its own namespace, not in kube-system"},
		{"another namespace later", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, namespace: you-first}\n", []string{
			"PATCH /api/v1/namespaces/me-first/configmaps/a by kindlab"}, "a.yaml: ConfigMap b: a lab's objects live in its own namespace, not in you-first"},
		{"an unknown kind", "apiVersion: v1\nkind: Secrte\nmetadata: {name: a}\n", nil, `a.yaml: Secrte a: no matches for kind "Secrte" in version "v1"`},
		{"no kind", "a: 1\n", nil, "a.yaml:  : no matches"},
		{"no name", "apiVersion: v1\nkind: ConfigMap\n", nil, "a.yaml: applying ConfigMap : name is required"},
		{"no YAML", "a: [\n", nil, "a.yaml: error converting YAML to JSON"},
		{"a list", "- a\n", nil, "a.yaml: error unmarshaling JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, got := recordingApplier(t)
			err := a.apply(t.Context(), "me-first", "a.yaml", []byte(c.data))
			assert.Equal(t, c.want, *got)
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.err)
			}
		})
	}
}

func TestApplyOutsideNamespaces(t *testing.T) {
	a, got := recordingApplier(t)
	require.NoError(t, a.apply(t.Context(), "", "probe", []byte("{apiVersion: v1, kind: Namespace, metadata: {name: kindlab-system}}")))
	assert.Equal(t, []string{"PATCH /api/v1/namespaces/kindlab-system by kindlab"}, *got)
}

func TestEnsureNamespace(t *testing.T) {
	e := &Environment{Attendee: "me", Report: Quiet{}}
	space := func(labels map[string]string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "me-first", Labels: labels}}
	}
	ours := map[string]string{CourseLabel: "course", LabLabel: "first", AttendeeLabel: "me", "app.kubernetes.io/managed-by": "kindlab"}

	kube := fake.NewClientset()
	for range 2 {
		ns, err := e.ensureNamespace(t.Context(), kube, "course", &labs.Lab{ID: "first"})
		require.NoError(t, err)
		assert.Equal(t, ours, ns.Labels)
	}
	require.NoError(t, e.annotateStarted(t.Context(), kube, "me-first"))
	ns, err := e.ensureNamespace(t.Context(), kube, "course", &labs.Lab{ID: "first"})
	require.NoError(t, err)
	assert.NotEmpty(t, ns.Annotations[startedAnnotation])

	for _, c := range []struct {
		labels map[string]string
		want   string
	}{
		{nil, "a namespace called me-first is there already, and kindlab did not make it"},
		{map[string]string{AttendeeLabel: "me", CourseLabel: "other"}, "namespace me-first belongs to lab first of the course other"},
	} {
		kube := fake.NewClientset(space(c.labels))
		_, err := e.ensureNamespace(t.Context(), kube, "course", &labs.Lab{ID: "first"})
		require.EqualError(t, err, c.want)
		var h *Hinted
		require.ErrorAs(t, err, &h)
		ns, err := kube.CoreV1().Namespaces().Get(t.Context(), "me-first", metav1.GetOptions{})
		require.NoError(t, err)
		assert.Equal(t, c.labels, ns.Labels, "it is left alone")
	}
}

func TestLabKubeconfig(t *testing.T) {
	e := &Environment{Cluster: "kindlab", State: t.TempDir(), Attendee: "me"}
	_, err := e.Rest()
	var h *Hinted
	require.ErrorAs(t, err, &h)
	assert.Equal(t, "run `kindlab up`", h.Hint)
	require.Error(t, e.writeLabKubeconfig(t.Context(), "first"))

	admin := api.NewConfig()
	admin.Clusters["c"] = &api.Cluster{Server: "https://127.0.0.1:6443"}
	admin.Contexts["c"] = &api.Context{Cluster: "c", Namespace: "default"}
	admin.CurrentContext = "c"
	data, err := clientcmd.Write(*admin)
	require.NoError(t, err)
	require.NoError(t, WriteFile(e.Kubeconfig(), data))
	require.NoError(t, e.writeLabKubeconfig(t.Context(), "first"))

	own, err := clientcmd.LoadFromFile(e.LabKubeconfig("first"))
	require.NoError(t, err)
	assert.Equal(t, "me-first", own.Contexts["c"].Namespace)
	info, err := os.Stat(e.LabKubeconfig("first"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	assert.Equal(t, string(data), read(t, e.Kubeconfig()), "the administrator's stays")

	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	config, err := e.Rest()
	require.NoError(t, err)
	assert.Equal(t, "https://127.0.0.1:6443", config.Host)
}

func TestNotStarted(t *testing.T) {
	e := &Environment{Attendee: "me", Report: Quiet{}}
	two := int32(2)
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "me-first", Generation: 2}, Spec: appsv1.DeploymentSpec{Replicas: &two}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "client", Namespace: "me-first"}, Status: corev1.PodStatus{Phase: corev1.PodPending}}
	check := func(want string) {
		t.Helper()
		got, err := e.notStarted(t.Context(), fake.NewClientset(deployment, pod), "me-first")
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	check("Deployment web")
	deployment.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, AvailableReplicas: 2}
	check("Deployment web")
	deployment.Status.ObservedGeneration = 2
	check("Pod client")
	pod.Status.Phase = corev1.PodRunning
	check("Pod client")
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	check("")
	pod.Status = corev1.PodStatus{Phase: corev1.PodSucceeded}
	check("")
}
