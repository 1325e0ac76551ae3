//go:build e2e

package provision

import (
	"cmp"
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/kind/pkg/cluster"
)

// A foreign cluster is one that kindlab has not made. Its nodes pull from our registry.
type foreign struct {
	admin *rest.Config
	kube  *kubernetes.Clientset
	robot *rest.Config // with the rights of ClassRole, and no others
}

// newForeign makes a plain kind cluster on our network.
func newForeign(t *testing.T, registry string, docker *Environment) *foreign {
	// Two runs on one machine have each their own.
	name := strings.TrimSuffix(filepath.Base(os.Getenv("KINDLAB_TEST_KUBECONFIG")), ".yaml") + "-plain"
	t.Setenv("KIND_EXPERIMENTAL_DOCKER_NETWORK", networkName)
	file := filepath.Join(t.TempDir(), "admin.yaml")
	p := cluster.NewProvider(cluster.ProviderWithDocker())
	require.NoError(t, p.Delete(name, file))
	t.Cleanup(func() { assert.NoError(t, p.Delete(name, file)) })
	require.NoError(t, p.Create(name, cluster.CreateWithNodeImage(cmp.Or(os.Getenv("KINDLAB_NODE_IMAGE"), DefaultNodeImage)), cluster.CreateWithKubeconfigPath(file),
		cluster.CreateWithWaitForReady(3*time.Minute)))
	require.NoError(t, docker.copyTo(t.Context(), name+"-control-plane", "/etc/containerd/certs.d/"+registry+"/hosts.toml",
		[]byte("[host.\"http://"+registryName+":5000\"]\n")))

	f := &foreign{}
	var err error
	f.admin, err = clientcmd.BuildConfigFromFlags("", file)
	require.NoError(t, err)
	f.kube, err = kubernetes.NewForConfig(f.admin)
	require.NoError(t, err)
	ctx := t.Context()
	a, err := newApplier(f.admin)
	require.NoError(t, err)
	require.NoError(t, a.apply(ctx, "", "role", ClassRole()))
	_, err = f.kube.CoreV1().ServiceAccounts("default").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = f.kube.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "robot"},
		RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: classRole}, Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "robot", Namespace: "default"}}}, metav1.CreateOptions{})
	require.NoError(t, err)
	token, err := f.kube.CoreV1().ServiceAccounts("default").CreateToken(ctx, "robot", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	f.robot = rest.AnonymousClientConfig(f.admin)
	f.robot.BearerToken, f.robot.QPS = token.Status.Token, -1
	_, err = mustClient(t, f.robot).RbacV1().ClusterRoles().List(ctx, metav1.ListOptions{})
	require.True(t, apierrors.IsForbidden(err), "the robot is no administrator")
	return f
}

func mustClient(t *testing.T, c *rest.Config) *kubernetes.Clientset {
	k, err := kubernetes.NewForConfig(c)
	require.NoError(t, err)
	return k
}

// objects are the names of all objects in the cluster but events.
func (f *foreign) objects(t *testing.T) []string {
	lists, err := f.kube.Discovery().ServerPreferredResources()
	require.NoError(t, err)
	meta, err := metadata.NewForConfig(f.admin)
	require.NoError(t, err)
	var out []string
	for _, l := range lists {
		gv, err := schema.ParseGroupVersion(l.GroupVersion)
		require.NoError(t, err)
		for _, r := range l.APIResources {
			if !slices.Contains(r.Verbs, "list") || r.Name == "events" {
				continue
			}
			all, err := meta.Resource(gv.WithResource(r.Name)).List(t.Context(), metav1.ListOptions{})
			if apierrors.IsMethodNotSupported(err) {
				continue
			}
			require.NoError(t, err, r.Name)
			for _, o := range all.Items {
				out = append(out, r.Name+"."+gv.Group+" "+o.Namespace+"/"+o.Name)
			}
		}
	}
	slices.Sort(out)
	return out
}

// A valve leads to a cluster, and after some writes no more.
type valve struct {
	url    string
	left   atomic.Int64 // writes that are still let through
	writes atomic.Int64
}

func newValve(t *testing.T, config *rest.Config) *valve {
	target, err := url.Parse(config.Host)
	require.NoError(t, err)
	transport, err := rest.TransportFor(config)
	require.NoError(t, err)
	v := &valve{}
	proxy := &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			if v.left.Add(-1) < 0 {
				panic(http.ErrAbortHandler)
			}
			v.writes.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = nil
	t.Cleanup(server.Close)
	v.url = server.URL
	return v
}

// file is a kubeconfig that leads through the valve.
func (v *valve) file(t *testing.T) string {
	data, err := tenantConfig(&clientcmdapi.Cluster{Server: v.url}, "robot", "default", "")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "robot.yaml")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	return file
}

// TestExisting: on a cluster that somebody else has made, with the rights of ClassRole, all
// is made, cut off anywhere and made whole again, and taken away so that nothing is left.
func TestExisting(t *testing.T) {
	r := newRoom(t)
	ctx := t.Context()
	ours := r.place("nobody")
	require.NoError(t, ours.Attach(ctx))
	f := newForeign(t, ours.Registry, ours)
	before := f.objects(t)

	v := newValve(t, f.robot)
	const most = 1 << 30
	v.left.Store(most)
	place := func(name, class string) *guest {
		return &guest{Environment: &Environment{Cluster: class, State: t.TempDir(), Work: t.TempDir(), Attendee: name, Report: Quiet{},
			Existing: &Existing{Kubeconfig: v.file(t), Registry: ours.Registry}, Tenant: &Tenant{Pods: 20}}}
	}
	zoe := place("zoe", "room")
	own := func(g *guest) func() ([]*labs.Lab, error) {
		return func() ([]*labs.Lab, error) {
			var all []*labs.Lab
			for _, l := range r.course.Labs {
				all = append(all, g.own(t, r.course, l.ID))
			}
			return all, nil
		}
	}
	cut := 0
	for ; ; cut++ {
		v.left.Store(int64(cut))
		if err := zoe.Up(ctx, r.course, own(zoe)); err == nil {
			break
		}
		require.Less(t, cut, 500, "it is whole at some time")
	}
	v.left.Store(most)
	t.Logf("cut off after each of %d writes", cut)
	assert.Greater(t, cut, 30)
	labsOf := zoe.offered(r.course.Labs)
	require.Len(t, labsOf, len(r.course.Labs)-1, "the lab with Docker is not offered")
	for _, l := range labsOf {
		lab := zoe.own(t, r.course, l.ID)
		require.NoError(t, zoe.WaitStart(ctx, lab))
		q, err := f.kube.CoreV1().ResourceQuotas(zoe.Namespace(l.ID)).Get(ctx, tenancyName, metav1.GetOptions{})
		require.NoError(t, err)
		assert.Equal(t, int64(20), q.Spec.Hard.Pods().Value())
	}
	// Another attendee finds nothing half-made.
	yan := place("yan", "other-room")
	require.NoError(t, yan.Up(ctx, r.course, own(yan)))
	assert.Equal(t, shape(t, f, "zoe"), shape(t, f, "yan"))

	// The lab is done, and begun anew.
	lab := yan.own(t, r.course, "scale")
	require.NoError(t, yan.WaitStart(ctx, lab))
	for _, task := range lab.Tasks {
		yan.do(t, r.course.ID, lab, task)
	}
	_, err := yan.Reset(ctx, r.course.ID, lab)
	require.NoError(t, err)
	require.NoError(t, yan.WaitStart(ctx, lab))

	twin := place("zoe", "other-room")
	require.ErrorContains(t, twin.Up(ctx, r.course, own(twin)), "belongs to the class room")
	require.NoError(t, twin.RemoveAttendee(ctx))
	require.NotEmpty(t, shape(t, f, "zoe"), "of another class nothing is taken")
	for cut = 0; ; cut += 3 {
		v.left.Store(int64(cut))
		if err := zoe.Down(ctx); err == nil {
			break
		}
		require.Less(t, cut, 500)
	}
	t.Logf("cut off on leaving too, up to %d writes", cut)
	v.left.Store(most)
	require.NoError(t, zoe.LeaveCluster(ctx), "it converges")
	assert.Empty(t, shape(t, f, "zoe"))
	assert.NotEmpty(t, shape(t, f, "yan"), "the other class stays")
	_, err = f.kube.AdmissionregistrationV1().ValidatingAdmissionPolicies().Get(ctx, "kindlab-objects", metav1.GetOptions{})
	require.NoError(t, err, "with its fences")
	require.NoError(t, yan.RemoveAttendee(ctx))
	assert.Empty(t, shape(t, f, "yan"))
	require.NoError(t, yan.LeaveCluster(ctx))
	assert.Equal(t, before, f.objects(t), "nothing is left behind, and nothing else is gone")
	assert.FileExists(t, zoe.Existing.Kubeconfig, "the kubeconfig is theirs")
}

// shape is what of ours is in an attendee's namespaces.
func shape(t *testing.T, f *foreign, attendee string) []string {
	ctx := context.WithoutCancel(t.Context())
	var out []string
	spaces, err := f.kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: AttendeeLabel + "=" + attendee})
	require.NoError(t, err)
	add := func(lab, kind string, o metav1.Object) { out = append(out, lab+" "+kind+" "+o.GetName()) }
	for _, ns := range spaces.Items {
		lab := ns.Labels[LabLabel]
		if ns.Annotations[startedAnnotation] != "" {
			out = append(out, lab+" started")
		}
		quotas, err := f.kube.CoreV1().ResourceQuotas(ns.Name).List(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		for _, o := range quotas.Items {
			add(lab, "quota", &o)
		}
		limits, err := f.kube.CoreV1().LimitRanges(ns.Name).List(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		for _, o := range limits.Items {
			add(lab, "limits", &o)
		}
		fences, err := f.kube.NetworkingV1().NetworkPolicies(ns.Name).List(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		for _, o := range fences.Items {
			add(lab, "fence", &o)
		}
		bindings, err := f.kube.RbacV1().RoleBindings(ns.Name).List(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		for _, o := range bindings.Items {
			add(lab, "binding", &o)
		}
		services, err := f.kube.CoreV1().Services(ns.Name).List(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		for _, o := range services.Items {
			add(lab, "service", &o)
		}
	}
	slices.Sort(out)
	return out
}
