package provision

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"
)

func TestMetricsImageName(t *testing.T) {
	assert.Equal(t, PrometheusImage, Metrics{}.image())
	for image, ok := range map[string]bool{
		"": true, "prom/prometheus:v3.13.2": true, "localhost:5000/p:1": true, "prom/prometheus@sha256:" + string(bytes.Repeat([]byte("a"), 64)): true,
		"prom/Prometheus:1": false, "a b": false, ":1": false,
	} {
		err := Metrics{Image: image}.Validate()
		if ok {
			require.NoError(t, err, image)
			continue
		}
		require.ErrorContains(t, err, "cannot be an image of Prometheus", image)
		var h *Hinted
		require.ErrorAs(t, err, &h)
		assert.Equal(t, "name one such as "+PrometheusImage, h.Hint)
		assert.ErrorContains(t, (&Environment{Metrics: Metrics{Image: image}}).Up(t.Context(), nil, nil), "cannot be an image", "before anything is made")
	}
}

// objects are those of a file, by kind and name.
func objects(t *testing.T, data []byte) map[string]*unstructured.Unstructured {
	t.Helper()
	all := map[string]*unstructured.Unstructured{}
	for d := kubeyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096); ; {
		u := &unstructured.Unstructured{}
		err := d.Decode(&u.Object)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all[u.GetKind()+"/"+u.GetName()] = u
	}
}

func TestPrometheusManifests(t *testing.T) {
	cluster, namespaced, content := prometheusManifests("hub.example/prometheus:1")
	_, _, same := prometheusManifests("hub.example/prometheus:1")
	_, _, other := prometheusManifests("hub.example/prometheus:2")
	assert.Equal(t, content, same, "nothing to do the second time")
	assert.NotEqual(t, content, other)
	assert.Regexp(t, `^[0-9a-f]{32}$`, content)

	all := objects(t, cluster)
	assert.Len(t, all, 2)
	role := as[rbacv1.ClusterRole](t, all["ClusterRole/kindlab-prometheus"])
	assert.Equal(t, []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch"}}}, role.Rules, "and no more")
	binding := as[rbacv1.ClusterRoleBinding](t, all["ClusterRoleBinding/kindlab-prometheus"])
	assert.Equal(t, role.Name, binding.RoleRef.Name)
	assert.Equal(t, []rbacv1.Subject{{Kind: "ServiceAccount", Name: "prometheus", Namespace: "istio-system"}}, binding.Subjects)
	maps.Copy(all, objects(t, namespaced))
	require.Len(t, all, 6)
	for key, u := range all {
		assert.Equal(t, "metrics", u.GetLabels()[PartLabel], "%s is ours", key)
		assert.Empty(t, u.GetNamespace(), key)
	}

	d := as[appsv1.Deployment](t, all["Deployment/prometheus"])
	pod := d.Spec.Template
	assert.Equal(t, content, pod.Labels[contentLabel])
	assert.Equal(t, "false", pod.Labels["sidecar.istio.io/inject"])
	for k, v := range d.Spec.Selector.MatchLabels {
		assert.Equal(t, v, pod.Labels[k])
	}
	assert.True(t, *pod.Spec.SecurityContext.RunAsNonRoot)
	assert.NotZero(t, *pod.Spec.SecurityContext.RunAsUser, "a number, since an image may have a name")
	c := pod.Spec.Containers[0]
	assert.Equal(t, "hub.example/prometheus:1", c.Image)
	assert.Equal(t, corev1.PullIfNotPresent, c.ImagePullPolicy)
	assert.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
	assert.Equal(t, "128Mi", c.Resources.Requests.Memory().String())
	assert.Equal(t, int64(metricsCPU), c.Resources.Requests.Cpu().MilliValue())
	for _, v := range pod.Spec.Volumes {
		if v.Name == "data" {
			assert.NotNil(t, v.EmptyDir, "nothing is kept")
		}
	}

	s := as[corev1.Service](t, all["Service/prometheus"])
	assert.Equal(t, int32(9090), s.Spec.Ports[0].Port)
	assert.Equal(t, d.Spec.Selector.MatchLabels, s.Spec.Selector)

	config := as[corev1.ConfigMap](t, all["ConfigMap/prometheus"])
	assert.Equal(t, prometheusConfig, config.Data["prometheus.yml"], "through all quotes")
	var read struct {
		Global map[string]string `json:"global"`
		Scrape []struct {
			Relabel []struct{ Action, Regex, Replacement string } `json:"relabel_configs"`
		} `json:"scrape_configs"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(prometheusConfig), &read))
	assert.Equal(t, "5s", read.Global["scrape_interval"])
	require.Len(t, read.Scrape, 1)
	assert.Equal(t, "true", read.Scrape[0].Relabel[0].Regex)
	assert.Equal(t, "$1:$2", read.Scrape[0].Relabel[3].Replacement)
}

// TestIstioSaysWhereItCounts: the configuration of Prometheus relies on it.
func TestIstioSaysWhereItCounts(t *testing.T) {
	releases, err := meshReleases("hub", "1")
	require.NoError(t, err)
	istiod := as[appsv1.Deployment](t, rendered(t, releases[1])["Deployment/istiod"])
	assert.Equal(t, "true", istiod.Spec.Template.Annotations["prometheus.io/scrape"])
	assert.Equal(t, "15014", istiod.Spec.Template.Annotations["prometheus.io/port"])
	mesh := as[corev1.ConfigMap](t, rendered(t, releases[1])["ConfigMap/istio"])
	assert.NotContains(t, mesh.Data["mesh"], "enablePrometheusMerge: false", "then the injector would not annotate pods")
}

func TestMetricsImage(t *testing.T) {
	version := map[string]string{"/_ping": "OK", "/version": `{"Version": "29.1.0", "ApiVersion": "1.52"}`}
	e := &Environment{Registry: "localhost:5001", Report: Quiet{}, Docker: engine(t, version)}
	detail, err := e.findMetricsImage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "the nodes pull "+PrometheusImage, detail)
	assert.Equal(t, PrometheusImage, e.metricsImage)

	digest := "prom/prometheus@sha256:" + string(bytes.Repeat([]byte("a"), 64))
	e = &Environment{Registry: "localhost:5001", Report: Quiet{}, Docker: engine(t, version), Metrics: Metrics{Image: digest}}
	_, err = e.findMetricsImage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, digest, e.metricsImage)
}

func TestMetricsRunning(t *testing.T) {
	prometheus := func(available int32) *appsv1.Deployment {
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "prometheus", Namespace: "istio-system"},
			Spec:   appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "prometheus", Image: "localhost:5001/prometheus:v3"}}}}},
			Status: appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: available}}
	}
	assert.Equal(t, "none", metricsRunning(t.Context(), fake.NewClientset()))
	assert.Equal(t, "Prometheus v3", metricsRunning(t.Context(), fake.NewClientset(prometheus(1))))
	assert.Equal(t, "Prometheus, not ready: run `kindlab up`", metricsRunning(t.Context(), fake.NewClientset(prometheus(0))))
}

func TestRemoveMetrics(t *testing.T) {
	meta := func(name string, labels map[string]string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, Labels: labels}
	}
	ours := map[string]string{PartLabel: "metrics"}
	kube := fake.NewClientset(
		&rbacv1.ClusterRole{ObjectMeta: meta("kindlab-prometheus", ours)}, &rbacv1.ClusterRoleBinding{ObjectMeta: meta("kindlab-prometheus", ours)},
		&rbacv1.ClusterRole{ObjectMeta: meta("prometheus", nil)}, &rbacv1.ClusterRoleBinding{ObjectMeta: meta("prometheus", nil)})
	e := &Environment{Report: Quiet{}}
	for _, want := range []bool{true, false} {
		found, err := e.removeMetrics(t.Context(), kube)
		require.NoError(t, err)
		assert.Equal(t, want, found, "the second time there is none")
	}
	roles, err := kube.RbacV1().ClusterRoles().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, roles.Items, 1)
	assert.Equal(t, "prometheus", roles.Items[0].Name, "the learner's")
	bindings, err := kube.RbacV1().ClusterRoleBindings().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Len(t, bindings.Items, 1)
}
