package provision

import (
	"bytes"
	"context"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	chartcommon "helm.sh/helm/v4/pkg/chart/common"
	chartutil "helm.sh/helm/v4/pkg/chart/common/util"
	helmengine "helm.sh/helm/v4/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	metafake "k8s.io/client-go/metadata/fake"
	"sigs.k8s.io/gateway-api/pkg/consts"
	"sigs.k8s.io/yaml"
)

func TestMeshMode(t *testing.T) {
	for _, c := range []struct{ mode, err, hint string }{
		{"", "", ""}, {"sidecar", "", ""},
		{"ambient", "a mesh of mode ambient: not yet", "the labs are about sidecars: leave the mode out"},
		{"linkerd", `there is no mesh of mode "linkerd"`, "the mode is sidecar"},
	} {
		err := Mesh{Mode: c.mode}.Validate()
		if c.err == "" {
			require.NoError(t, err, c.mode)
			continue
		}
		require.EqualError(t, err, c.err)
		var h *Hinted
		require.ErrorAs(t, err, &h)
		assert.Equal(t, c.hint, h.Hint)
		assert.EqualError(t, (&Environment{Mesh: Mesh{Mode: c.mode}}).Up(t.Context(), nil, nil), c.err, "before anything is made")
	}
	assert.Equal(t, "istio", Mesh{}.hub())
	assert.Equal(t, IstioVersion, Mesh{}.tag())
	assert.Equal(t, "localhost:5001/istio:1", Mesh{Hub: "localhost:5001/istio"}.hub()+":"+Mesh{Tag: "1"}.tag())
}

// rendered are the objects of a release, by kind and name, as Helm's engine makes them.
func rendered(t *testing.T, r helmRelease) map[string]*unstructured.Unstructured {
	t.Helper()
	values, err := chartutil.ToRenderValues(r.chart, r.values,
		chartcommon.ReleaseOptions{Name: r.name, Namespace: r.namespace, Revision: 1, IsInstall: true}, chartcommon.DefaultCapabilities)
	require.NoError(t, err)
	files, err := helmengine.Render(r.chart, values)
	require.NoError(t, err)
	all := map[string]*unstructured.Unstructured{}
	for name, text := range files {
		if strings.HasSuffix(name, ".txt") {
			continue
		}
		for doc := range strings.SplitSeq("\n"+text, "\n---") {
			u := &unstructured.Unstructured{}
			require.NoError(t, yaml.Unmarshal([]byte(doc), &u.Object), name)
			if len(u.Object) > 0 {
				all[u.GetKind()+"/"+u.GetName()] = u
			}
		}
	}
	return all
}

func as[T any](t *testing.T, u *unstructured.Unstructured) T {
	t.Helper()
	var out T
	require.NotNil(t, u)
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &out))
	return out
}

func TestMeshCharts(t *testing.T) {
	releases, err := meshReleases("hub.example/istio", "9.9.9")
	require.NoError(t, err)
	require.Len(t, releases, 3)
	objects := map[string]map[string]*unstructured.Unstructured{}
	for _, r := range releases {
		objects[r.name] = rendered(t, r)
		assert.Equal(t, IstioVersion, r.chart.Metadata.Version)
		if r.deployment != "" {
			assert.Contains(t, objects[r.name], "Deployment/"+r.deployment, "what is waited for")
		}
		for key, u := range objects[r.name] {
			assert.NotContains(t, []string{"HorizontalPodAutoscaler", "PodDisruptionBudget"}, u.GetKind(), "%s has nothing to scale", key)
			assert.True(t, u.GetNamespace() == "" || u.GetNamespace() == r.namespace, "%s is in %s", key, u.GetNamespace())
		}
	}
	for _, kind := range []string{"virtualservices.networking", "gateways.networking", "peerauthentications.security", "telemetries.telemetry"} {
		assert.Contains(t, objects["istio-base"], "CustomResourceDefinition/"+kind+".istio.io")
	}
	for key, u := range objects["istio-base"] {
		if u.GetKind() == "CustomResourceDefinition" {
			assert.True(t, ofMesh(u.GetName(), u.GetLabels()), "%s would stay", key)
		}
	}

	t.Run("istiod", func(t *testing.T) {
		d := as[appsv1.Deployment](t, objects["istiod"]["Deployment/istiod"])
		c := d.Spec.Template.Spec.Containers[0]
		assert.Equal(t, "hub.example/istio/pilot:9.9.9", c.Image)
		assert.Equal(t, corev1.PullIfNotPresent, c.ImagePullPolicy)
		assert.Equal(t, "50m", c.Resources.Requests.Cpu().String())
		assert.Equal(t, "128Mi", c.Resources.Requests.Memory().String())
	})
	t.Run("injection", func(t *testing.T) {
		config := as[corev1.ConfigMap](t, objects["istiod"]["ConfigMap/istio-sidecar-injector"])
		var templates struct {
			Default   []string          `json:"defaultTemplates"`
			Templates map[string]string `json:"templates"`
		}
		require.NoError(t, yaml.Unmarshal([]byte(config.Data["config"]), &templates))
		for _, want := range []string{"sidecar", "gateway", "grpc-agent", "grpc-simple"} {
			assert.Contains(t, slices.Collect(maps.Keys(templates.Templates)), want)
		}
		assert.Equal(t, []string{"sidecar"}, templates.Default)
		var values struct {
			Global struct {
				Hub, Tag, ImagePullPolicy string
				Proxy                     struct{ Resources corev1.ResourceRequirements }
			}
		}
		require.NoError(t, yaml.Unmarshal([]byte(config.Data["values"]), &values))
		assert.Equal(t, "hub.example/istio/proxyv2:9.9.9", values.Global.Hub+"/proxyv2:"+values.Global.Tag)
		assert.Equal(t, "IfNotPresent", values.Global.ImagePullPolicy)
		assert.Equal(t, "10m", values.Global.Proxy.Resources.Requests.Cpu().String())
		assert.Equal(t, "40Mi", values.Global.Proxy.Resources.Requests.Memory().String())
		hook := objects["istiod"]["MutatingWebhookConfiguration/istio-sidecar-injector"]
		require.NotNil(t, hook)
		text, err := yaml.Marshal(hook.Object)
		require.NoError(t, err)
		assert.Contains(t, string(text), "istio-injection", "a namespace asks for sidecars by this label")
	})
	t.Run("gateway", func(t *testing.T) {
		d := as[appsv1.Deployment](t, objects["istio-ingressgateway"]["Deployment/istio-ingressgateway"])
		c := d.Spec.Template.Spec.Containers[0]
		assert.Equal(t, "ingressgateway", d.Spec.Template.Labels["istio"], "how Istio's examples select it")
		assert.Equal(t, "gateway", d.Spec.Template.Annotations["inject.istio.io/templates"])
		assert.Equal(t, corev1.PullIfNotPresent, c.ImagePullPolicy)
		assert.Equal(t, "10m", c.Resources.Requests.Cpu().String())
		assert.Equal(t, "40Mi", c.Resources.Requests.Memory().String())
		s := as[corev1.Service](t, objects["istio-ingressgateway"]["Service/istio-ingressgateway"])
		assert.Equal(t, corev1.ServiceTypeNodePort, s.Spec.Type)
		ports := map[int32]int32{}
		for _, p := range s.Spec.Ports {
			ports[p.Port] = p.NodePort
		}
		assert.Equal(t, map[int32]int32{80: gatewayNodePort, 443: 0, 15021: 0}, ports)
	})
}

func TestReleaseContent(t *testing.T) {
	content := func(hub, tag string) []string {
		releases, err := meshReleases(hub, tag)
		require.NoError(t, err)
		var all []string
		for _, r := range releases {
			sum, err := r.content()
			require.NoError(t, err)
			assert.Regexp(t, `^[0-9a-f]{32}$`, sum)
			all = append(all, sum)
		}
		return all
	}
	a := content("hub", "1")
	assert.Equal(t, a, content("hub", "1"), "nothing to do the second time")
	b := content("hub", "2")
	assert.Equal(t, []string{a[0], a[2]}, []string{b[0], b[2]})
	assert.NotEqual(t, a[1], b[1], "only istiod knows the images")
}

func TestGatewayAPI(t *testing.T) {
	all, err := gatewayAPI()
	require.NoError(t, err)
	var names []string
	for _, u := range all {
		assert.Equal(t, "CustomResourceDefinition", u.GetKind())
		assert.Equal(t, consts.BundleVersion, u.GetAnnotations()[consts.BundleVersionAnnotation])
		assert.True(t, ofMesh(u.GetName(), u.GetLabels()))
		names = append(names, u.GetName())
	}
	for _, want := range []string{"gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants"} {
		assert.Contains(t, names, want+".gateway.networking.k8s.io")
	}
}

func TestEnsureGatewayAPI(t *testing.T) {
	all, err := gatewayAPI()
	require.NoError(t, err)
	var there []runtime.Object
	for i, u := range all {
		m := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"},
			ObjectMeta: metav1.ObjectMeta{Name: u.GetName(), Labels: u.GetLabels(), Annotations: u.GetAnnotations()}}
		switch i {
		case 0: // of another version
			m.Annotations = map[string]string{consts.BundleVersionAnnotation: "v1.0.0"}
		case 1: // not there
			continue
		}
		there = append(there, m)
	}
	scheme := metafake.NewTestScheme()
	require.NoError(t, metav1.AddMetaToScheme(scheme))
	a, got := recordingApplier(t)
	a.mapper.(mapper).Add(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}, meta.RESTScopeRoot)
	changed, err := ensureGatewayAPI(t.Context(), a, metafake.NewSimpleMetadataClient(scheme, there...))
	require.NoError(t, err)
	assert.True(t, changed)
	var want []string
	for _, u := range all[:2] {
		want = append(want, "PATCH /apis/apiextensions.k8s.io/v1/customresourcedefinitions/"+u.GetName()+" by kindlab")
	}
	assert.Equal(t, want, *got)
}

func TestRemoveCRDs(t *testing.T) {
	crd := func(name string, labels map[string]string) *metav1.PartialObjectMetadata {
		return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"},
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	}
	scheme := metafake.NewTestScheme()
	require.NoError(t, metav1.AddMetaToScheme(scheme))
	c := metafake.NewSimpleMetadataClient(scheme, crd("gateways.networking.istio.io", nil), crd("widgets.example.com", nil),
		crd("httproutes.gateway.networking.k8s.io", map[string]string{PartLabel: "mesh"}))
	e := &Environment{Report: Quiet{}}
	for _, want := range []bool{true, false} {
		found, err := e.removeCRDs(t.Context(), c)
		require.NoError(t, err)
		assert.Equal(t, want, found, "the second time there is none")
	}
	left, err := c.Resource(crds()).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, left.Items, 1)
	assert.Equal(t, "widgets.example.com", left.Items[0].Name, "the learner's")
}

func TestOfMesh(t *testing.T) {
	assert.True(t, ofMesh("gateways.networking.istio.io", nil))
	assert.True(t, ofMesh("gateways.gateway.networking.k8s.io", map[string]string{PartLabel: "mesh"}))
	assert.False(t, ofMesh("gateways.gateway.networking.k8s.io", nil), "somebody else has put it there")
	assert.False(t, ofMesh("notistio.io", nil))
}

func TestAvailable(t *testing.T) {
	two := int32(2)
	for _, c := range []struct {
		name string
		d    appsv1.Deployment
		want bool
	}{
		{"new", appsv1.Deployment{}, false},
		{"one", appsv1.Deployment{Status: appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1}}, true},
		{"one of two", appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &two}, Status: appsv1.DeploymentStatus{Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 1}}, false},
		{"an old pod is left", appsv1.Deployment{Status: appsv1.DeploymentStatus{Replicas: 2, UpdatedReplicas: 1, AvailableReplicas: 2}}, false},
		{"not looked at yet", appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Generation: 2}, Status: appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1}}, false},
	} {
		assert.Equal(t, c.want, available(&c.d), c.name)
	}
}

func TestWaitDeployment(t *testing.T) {
	kube := fake.NewClientset()
	go func() {
		for len(kube.Actions()) == 0 { // until it is watched
			time.Sleep(time.Millisecond)
		}
		_, _ = kube.AppsV1().Deployments("ns").Create(t.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "d"},
			Status: appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1}}, metav1.CreateOptions{})
	}()
	require.NoError(t, waitDeployment(t.Context(), kube, "ns", "d", time.Minute, ""))

	err := waitDeployment(t.Context(), fake.NewClientset(), "ns", "d", 10*time.Millisecond, "")
	assert.EqualError(t, err, "waiting for ns: Deployment d is not available after 10ms")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, waitDeployment(ctx, fake.NewClientset(), "ns", "d", time.Minute, ""), context.Canceled)
}

func TestCrashing(t *testing.T) {
	pod := func(reason string, restarts int32) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns"}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{RestartCount: restarts, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}}}
	}
	assert.Equal(t, "p", crashing(t.Context(), fake.NewClientset(pod("CrashLoopBackOff", 3)), "ns", ""))
	assert.Empty(t, crashing(t.Context(), fake.NewClientset(pod("CrashLoopBackOff", 1)), "ns", ""), "it may come yet")
	assert.Empty(t, crashing(t.Context(), fake.NewClientset(pod("ContainerCreating", 0)), "ns", ""))
	assert.Empty(t, crashing(t.Context(), fake.NewClientset(), "ns", ""))
}

func TestImageTrouble(t *testing.T) {
	pod := func(reason string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns", Labels: map[string]string{"app": "pilot"}}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Image: "hub/pilot:1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}}}
	}
	for reason, want := range map[string]string{"ImagePullBackOff": "hub/pilot:1", "ErrImagePull": "hub/pilot:1", "ContainerCreating": ""} {
		assert.Equal(t, want, imageTrouble(t.Context(), fake.NewClientset(pod(reason)), "ns", "app=pilot"), reason)
	}
	assert.Empty(t, imageTrouble(t.Context(), fake.NewClientset(), "ns", ""))
	assert.Empty(t, imageTrouble(t.Context(), fake.NewClientset(pod("ErrImagePull")), "ns", "app=other"), "another Deployment's")
}

func TestMeshRunning(t *testing.T) {
	istiod := func(available int32) *appsv1.Deployment {
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "istiod", Namespace: "istio-system", Labels: map[string]string{"app.kubernetes.io/version": "1.31.1"}},
			Spec:   appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "discovery", Image: "localhost:5001/istio/pilot:1.31.0"}}}}},
			Status: appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: available}}
	}
	assert.Equal(t, "none", meshRunning(t.Context(), fake.NewClientset()))
	assert.Equal(t, "Istio 1.31.0", meshRunning(t.Context(), fake.NewClientset(istiod(1))), "the tag that was asked for")
	assert.Equal(t, "Istio, not ready: run `kindlab up`", meshRunning(t.Context(), fake.NewClientset(istiod(0))))
}

func TestMeshImages(t *testing.T) {
	version := map[string]string{"/_ping": "OK", "/version": `{"Version": "29.1.0", "ApiVersion": "1.52"}`}
	e := &Environment{Registry: "localhost:5001", Report: Quiet{}, Docker: engine(t, version)}
	detail, err := e.findMeshImages(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "the nodes pull them from istio", detail)
	assert.Equal(t, "istio", e.meshHub)

	half := maps.Clone(version)
	half["/pilot:"+IstioVersion+"/json"] = `{"Id": "sha256:1"}`
	e = &Environment{Registry: "localhost:5001", Report: Quiet{}, Docker: engine(t, half)}
	_, err = e.findMeshImages(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "istio", e.meshHub, "one alone does not help")
}

// TestPushFromEngine moves an image from an engine into a registry, and only once.
func TestPushFromEngine(t *testing.T) {
	img, err := random.Image(1024, 2)
	require.NoError(t, err)
	t.Setenv("TMPDIR", t.TempDir())
	ref, err := name.NewTag("docker.io/istio/pilot:1.31.1")
	require.NoError(t, err)
	var archive bytes.Buffer
	require.NoError(t, tarball.Write(ref, img, &archive))
	saved := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.52")
		switch {
		case strings.HasSuffix(r.URL.Path, "/images/get"):
			saved++
			assert.Equal(t, "docker.io/istio/pilot:1.31.1", r.URL.Query().Get("names"))
			assert.Contains(t, r.URL.Query().Get("platform"), "arm64", "the engine may have no other part")
			_, _ = w.Write(archive.Bytes())
		case !strings.HasSuffix(r.URL.Path, "/_ping"):
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(srv.Close)
	docker, err := client.New(client.WithHost("tcp://" + srv.Listener.Addr().String()))
	require.NoError(t, err)
	_, err = docker.Ping(t.Context(), client.PingOptions{NegotiateAPIVersion: true})
	require.NoError(t, err)
	reg := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(reg.Close)
	e := &Environment{Docker: docker, Registry: strings.TrimPrefix(reg.URL, "http://"), arch: "arm64", Report: Quiet{}}
	for _, id := range []string{"sha256:a", "sha256:a", "sha256:b"} {
		require.NoError(t, e.pushFromEngine(t.Context(), "docker.io/istio/pilot:1.31.1", id, "istio/pilot:1.31.1"))
	}
	assert.Equal(t, 2, saved, "again only when the engine has another image")
	dst, err := name.NewTag(e.Registry+"/istio/pilot:1.31.1", name.Insecure)
	require.NoError(t, err)
	there, err := remote.Image(dst)
	require.NoError(t, err)
	want, err := img.ConfigName()
	require.NoError(t, err)
	got, err := there.ConfigName()
	require.NoError(t, err)
	assert.Equal(t, want, got)
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "kindlab-image-*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}
