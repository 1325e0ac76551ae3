//go:build e2e

package provision

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kindlab/kindlab/content"
	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
)

// A room is a real cluster that attendees share.
type room struct {
	admin  *kubernetes.Clientset
	config *rest.Config
	course *labs.Course
	mesh   bool
	place  func(attendee string) *Environment
}

// newRoom needs KINDLAB_TEST_KUBECONFIG, a file that kindlab up has written.
func newRoom(t *testing.T) *room {
	file := os.Getenv("KINDLAB_TEST_KUBECONFIG")
	if file == "" {
		t.Skip("KINDLAB_TEST_KUBECONFIG names no cluster")
	}
	docker, err := Connect(t.Context())
	require.NoError(t, err)
	r := &room{course: course(t, "docker-to-helm"), place: func(attendee string) *Environment {
		return &Environment{Cluster: strings.TrimSuffix(filepath.Base(file), ".yaml"), State: filepath.Dir(filepath.Dir(file)), Work: t.TempDir(),
			Attendee: attendee, Docker: docker, Report: Quiet{}, Tenant: &Tenant{}}
	}}
	e := r.place("nobody")
	require.NoError(t, e.Attach(t.Context()))
	r.config, err = e.Rest()
	require.NoError(t, err)
	r.admin, err = kubernetes.NewForConfig(r.config)
	require.NoError(t, err)
	r.mesh = meshRunning(t.Context(), r.admin) != noMesh
	require.NoError(t, e.ensureClass(t.Context(), r.mesh))
	require.NoError(t, e.ensureClass(t.Context(), r.mesh), "it converges")
	return r
}

func course(t *testing.T, name string) *labs.Course {
	fsys, err := fs.Sub(content.Courses(), name)
	require.NoError(t, err)
	c, err := labs.Load(fsys, name)
	require.NoError(t, err)
	return c
}

// A guest is an attendee of a room.
type guest struct {
	*Environment
	kube   *kubernetes.Clientset // with the attendee's own rights
	config *rest.Config
	ns     string // of the lab that was started first
}

// guest starts labs for an attendee.
func (r *room) guest(t *testing.T, name string, ids ...string) *guest {
	g := &guest{Environment: r.place(name)}
	require.NoError(t, g.Attach(t.Context()))
	t.Cleanup(func() { assert.NoError(t, g.RemoveAttendee(context.Background())) })
	for _, id := range ids {
		require.NoError(t, g.StartLab(t.Context(), r.course.ID, g.own(t, r.course, id)))
	}
	for _, id := range ids {
		require.NoError(t, g.WaitStart(t.Context(), g.own(t, r.course, id)))
	}
	g.ns = g.Namespace(ids[0])
	var err error
	g.config, err = clientcmd.BuildConfigFromFlags("", g.LabKubeconfig(ids[0]))
	require.NoError(t, err)
	g.config.QPS = -1
	g.kube, err = kubernetes.NewForConfig(g.config)
	require.NoError(t, err)
	return g
}

// own is the attendee's own version of a lab.
func (g *guest) own(t *testing.T, c *labs.Course, id string) *labs.Lab {
	l, err := c.FindLab(id)
	require.NoError(t, err)
	v := labs.Values{"attendee": g.Attendee, "course": c.ID, "lab": id, "ns": g.Namespace(id), "registry": g.Registry, "gateway": g.Gateway, "work": g.LabFolder(c.ID, id)}
	for name, spec := range l.Specs {
		v[name] = spec.Draw(g.Attendee, name, 0)
	}
	own, err := l.For(v)
	require.NoError(t, err)
	return own
}

// exec runs the sample app in a pod.
func execIn(ctx context.Context, config *rest.Config, kube *kubernetes.Clientset, ns, pod string, command ...string) (string, error) {
	req := kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(ns).Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	x, err := remotecommand.NewSPDYExecutor(config, http.MethodPost, req.URL())
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = x.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &out, Stderr: &out})
	return out.String(), err
}

// forward asks the pod for a page through the API server.
func forward(config *rest.Config, kube *kubernetes.Clientset, ns, pod string) error {
	url := kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(ns).Name(pod).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return err
	}
	ready, stop := make(chan struct{}), make(chan struct{})
	f, err := portforward.New(spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, url), []string{"0:3000"}, stop, ready, nil, nil)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- f.ForwardPorts() }()
	select {
	case err := <-ended:
		return err
	case <-ready:
		close(stop)
		return nil
	}
}

// refused reports whether the API server forbade something, in whichever way it says so.
func refused(err error) bool {
	return err != nil && (apierrors.IsForbidden(err) || strings.Contains(strings.ToLower(err.Error()), "forbidden"))
}

func someMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// TestTenants: whatever an attendee can do in the own namespace, is refused in another's.
func TestTenants(t *testing.T) {
	r := newRoom(t)
	ann, ben := r.guest(t, "ann", "services", "scale"), r.guest(t, "ann-b", "services")
	ctx := t.Context()
	pod := func(t *testing.T, ns, app string) *corev1.Pod {
		pods, err := r.admin.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "app=" + app})
		require.NoError(t, err)
		require.NotEmpty(t, pods.Items)
		return &pods.Items[0]
	}
	patch := []byte(`{"metadata": {"annotations": {"by": "ann"}}}`)
	for _, ns := range []string{ann.ns, ben.ns} {
		for _, kind := range []string{"there", "there-too"} {
			_, err := r.admin.CoreV1().ConfigMaps(ns).Create(ctx, someMap(kind), metav1.CreateOptions{})
			require.NoError(t, err)
		}
		_, err := r.admin.CoreV1().Secrets(ns).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "there"}}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	k := ann.kube
	for name, do := range map[string]func(ns string) error{
		"list pods": func(ns string) error { _, err := k.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{}); return err },
		"get a pod": func(ns string) error {
			_, err := k.CoreV1().Pods(ns).Get(ctx, "client", metav1.GetOptions{})
			return err
		},
		"list Secrets": func(ns string) error { _, err := k.CoreV1().Secrets(ns).List(ctx, metav1.ListOptions{}); return err },
		"get a Secret": func(ns string) error {
			_, err := k.CoreV1().Secrets(ns).Get(ctx, "there", metav1.GetOptions{})
			return err
		},
		"get a ConfigMap": func(ns string) error {
			_, err := k.CoreV1().ConfigMaps(ns).Get(ctx, "there", metav1.GetOptions{})
			return err
		},
		"list Services": func(ns string) error { _, err := k.CoreV1().Services(ns).List(ctx, metav1.ListOptions{}); return err },
		"list Deployments": func(ns string) error {
			_, err := k.AppsV1().Deployments(ns).List(ctx, metav1.ListOptions{})
			return err
		},
		"list Events": func(ns string) error { _, err := k.CoreV1().Events(ns).List(ctx, metav1.ListOptions{}); return err },
		"list EndpointSlices": func(ns string) error {
			_, err := k.DiscoveryV1().EndpointSlices(ns).List(ctx, metav1.ListOptions{})
			return err
		},
		"list RoleBindings": func(ns string) error {
			_, err := k.RbacV1().RoleBindings(ns).List(ctx, metav1.ListOptions{})
			return err
		},
		"get the quota": func(ns string) error {
			_, err := k.CoreV1().ResourceQuotas(ns).Get(ctx, tenancyName, metav1.GetOptions{})
			return err
		},
		"get the namespace": func(ns string) error { _, err := k.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{}); return err },
		"read the log": func(ns string) error {
			_, err := k.CoreV1().Pods(ns).GetLogs("client", &corev1.PodLogOptions{}).DoRaw(ctx)
			return err
		},
		"watch pods": func(ns string) error {
			w, err := k.CoreV1().Pods(ns).Watch(ctx, metav1.ListOptions{})
			if err == nil {
				w.Stop()
			}
			return err
		},
		"make a ConfigMap": func(ns string) error {
			_, err := k.CoreV1().ConfigMaps(ns).Create(ctx, someMap("new"), metav1.CreateOptions{})
			return err
		},
		"change a ConfigMap": func(ns string) error {
			_, err := k.CoreV1().ConfigMaps(ns).Patch(ctx, "there", types.MergePatchType, patch, metav1.PatchOptions{})
			return err
		},
		"delete a ConfigMap": func(ns string) error {
			return k.CoreV1().ConfigMaps(ns).Delete(ctx, "there-too", metav1.DeleteOptions{})
		},
		"change a Deployment": func(ns string) error {
			_, err := k.AppsV1().Deployments(ns).Patch(ctx, "web", types.MergePatchType, patch, metav1.PatchOptions{})
			return err
		},
		"scale a Deployment": func(ns string) error {
			_, err := k.AppsV1().Deployments(ns).Patch(ctx, "web", types.MergePatchType, []byte(`{"spec": {"replicas": 2}}`), metav1.PatchOptions{}, "scale")
			return err
		},
		"label the namespace": func(ns string) error {
			_, err := k.CoreV1().Namespaces().Patch(ctx, ns, types.MergePatchType, []byte(`{"metadata": {"labels": {"istio-injection": "disabled"}}}`), metav1.PatchOptions{})
			return err
		},
		"evict a pod": func(ns string) error {
			return k.PolicyV1().Evictions(ns).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: pod(t, ns, "orders").Name}, DeleteOptions: &metav1.DeleteOptions{DryRun: []string{"All"}}})
		},
		"go into a pod": func(ns string) error {
			_, err := execIn(ctx, ann.config, k, ns, "client", "/hello", "once", "here")
			return err
		},
		"forward a port": func(ns string) error { return forward(ann.config, k, ns, pod(t, ns, "web").Name) },
		"make a token": func(ns string) error {
			_, err := k.CoreV1().ServiceAccounts(ns).CreateToken(ctx, "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
			return err
		},
		"make a RoleBinding": func(ns string) error {
			_, err := k.RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "mine"}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: attendeeRole},
				Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "default", Namespace: ann.ns}}}, metav1.CreateOptions{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, do(ann.ns), "in the own namespace")
			err := do(ben.ns)
			require.True(t, refused(err), "in another's: %v", err)
		})
	}
	t.Run("the cluster", func(t *testing.T) {
		_, err := k.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
		require.NoError(t, err, "what there is to choose from can be seen")
		for name, do := range map[string]func() error{
			"namespaces":    func() error { _, err := k.CoreV1().Namespaces().List(ctx, metav1.ListOptions{}); return err },
			"nodes":         func() error { _, err := k.CoreV1().Nodes().List(ctx, metav1.ListOptions{}); return err },
			"all pods":      func() error { _, err := k.CoreV1().Pods("").List(ctx, metav1.ListOptions{}); return err },
			"cluster roles": func() error { _, err := k.RbacV1().ClusterRoles().List(ctx, metav1.ListOptions{}); return err },
			"accounts": func() error {
				_, err := k.CoreV1().ServiceAccounts(ClassNamespace).List(ctx, metav1.ListOptions{})
				return err
			},
			"a new namespace": func() error {
				_, err := k.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ann-more"}}, metav1.CreateOptions{})
				return err
			},
			"another's token": func() error {
				_, err := k.CoreV1().ServiceAccounts(ClassNamespace).CreateToken(ctx, ben.Attendee, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
				return err
			},
			"the probe": func() error {
				pods, err := r.admin.CoreV1().Pods(SystemNamespace).List(ctx, metav1.ListOptions{})
				require.NoError(t, err)
				require.NotEmpty(t, pods.Items)
				_, err = execIn(ctx, ann.config, k, SystemNamespace, pods.Items[0].Name, "/hello", "once", "here")
				return err
			},
			"somebody else": func() error {
				c := rest.CopyConfig(ann.config)
				c.Impersonate.UserName = "system:serviceaccount:" + ClassNamespace + ":" + ben.Attendee
				as, err := kubernetes.NewForConfig(c)
				require.NoError(t, err)
				_, err = as.CoreV1().Pods(ben.ns).List(ctx, metav1.ListOptions{})
				return err
			},
		} {
			assert.True(t, refused(do()), "%s: %v", name, do())
		}
	})
	t.Run("the network", func(t *testing.T) {
		for _, g := range []*guest{ann, ben} {
			_, err := r.admin.CoreV1().Services(g.ns).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "door"}, Spec: corev1.ServiceSpec{
				Type: corev1.ServiceTypeNodePort, Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 3000}}}}, metav1.CreateOptions{})
			require.NoError(t, err)
		}
		nodes, err := r.admin.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		node := nodes.Items[0].Status.Addresses[0].Address
		nodePort := func(ns string) string {
			s, err := r.admin.CoreV1().Services(ns).Get(ctx, "door", metav1.GetOptions{})
			require.NoError(t, err)
			return fmt.Sprintf("http://%s:%d/api", node, s.Spec.Ports[0].NodePort)
		}
		registry, err := ann.registryAddress(ctx)
		require.NoError(t, err)
		ask := []string{"/hello", "get", "-timeout", "3s", fmt.Sprintf("http://%s:%d/v2/", registry, registryPort)}
		probes, err := r.admin.CoreV1().Pods(SystemNamespace).List(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		out, err := execIn(ctx, r.config, r.admin, SystemNamespace, probes.Items[0].Name, ask...)
		require.NoError(t, err, "the registry is there: %s", out)
		out, err = execIn(ctx, ann.config, k, ann.ns, "client", ask...)
		require.Error(t, err, "the registry would take images from anybody: %s", out)
		for name, url := range map[string]func(ns string) string{
			"a Service":   func(ns string) string { return "http://door." + ns + ":3000/api" },
			"a pod":       func(ns string) string { return "http://" + pod(t, ns, "web").Status.PodIP + ":3000/api" },
			"a node port": nodePort,
		} {
			get := func(from *guest, ns string) (string, error) {
				return execIn(ctx, from.config, from.kube, from.ns, "client", "/hello", "get", "-timeout", "3s", url(ns))
			}
			require.Eventually(t, func() bool { _, err := get(ann, ann.ns); return err == nil }, time.Minute, time.Second, "%s of the own namespace", name)
			out, err := get(ben, ben.ns)
			require.NoError(t, err, "%s is there: %s", name, out)
			out, err = get(ann, ben.ns)
			assert.Error(t, err, "%s of another's: %s", name, out)
			other, err := execIn(ctx, ann.config, k, ann.Namespace("scale"), "client", "/hello", "get", "-timeout", "3s", url(ann.ns))
			assert.NoError(t, err, "%s of another lab of the own: %s", name, other)
		}
	})
}
