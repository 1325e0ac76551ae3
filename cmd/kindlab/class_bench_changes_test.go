//go:build e2e && bench

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// A changer changes the objects of a class's attendees. A third of them work at the
// first task of the lab, which is about a ConfigMap, a third at the second, about a
// Deployment, and a third at the third, about a Service.
type changer struct {
	b      *testing.B
	people []labs.Person
	kube   kubernetes.Interface
	first  int // number of the last change
}

// newChanger makes a changer with a service account of its own, so that the API
// server counts its requests apart from those of the hub, who is an administrator.
func newChanger(r *benchRoom, people []labs.Person) *changer {
	ctx, b := r.b.Context(), r.b
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(r.state(), "kube", r.name+".yaml"))
	require.NoError(b, err)
	admin, err := kubernetes.NewForConfig(config)
	require.NoError(b, err)
	const account, namespace = "bench", "default"
	_, err = admin.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
	require.NoError(b, err)
	_, err = admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: account},
		RoleRef:  rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: account}}}, metav1.CreateOptions{})
	require.NoError(b, err)
	token, err := admin.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, account, &authv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(b, err)
	own := &rest.Config{Host: config.Host, TLSClientConfig: rest.TLSClientConfig{CAData: config.CAData}, BearerToken: token.Status.Token, QPS: -1}
	kube, err := kubernetes.NewForConfig(own)
	require.NoError(b, err)
	return &changer{b: b, people: people, kube: kube}
}

// settle waits until all that the attendees begin with is ready.
func (c *changer) settle() {
	for _, p := range c.people {
		require.EventuallyWithT(c.b, func(t *assert.CollectT) {
			d, err := c.kube.AppsV1().Deployments(c.namespace(p)).Get(c.b.Context(), "web", metav1.GetOptions{})
			require.NoError(t, err)
			assert.EqualValues(t, 1, d.Status.ReadyReplicas, p.ID)
		}, 5*time.Minute, time.Second)
	}
	time.Sleep(20 * time.Second) // what was only needed to start goes out of memory
}

func (c *changer) namespace(p labs.Person) string { return p.ID + "-objects" }

// say makes one of an attendee's three objects say something.
func (c *changer) say(ctx context.Context, p labs.Person, object int, text string) (err error) {
	patch := []byte(fmt.Sprintf(`{"metadata":{"annotations":{"says":%q}}}`, text))
	switch namespace := c.namespace(p); object {
	case 0:
		patch = []byte(fmt.Sprintf(`{"data":{"says":%q}}`, text))
		_, err = c.kube.CoreV1().ConfigMaps(namespace).Patch(ctx, "settings", types.MergePatchType, patch, metav1.PatchOptions{})
	case 1:
		_, err = c.kube.AppsV1().Deployments(namespace).Patch(ctx, "web", types.MergePatchType, patch, metav1.PatchOptions{})
	default:
		_, err = c.kube.CoreV1().Services(namespace).Patch(ctx, "web", types.MergePatchType, patch, metav1.PatchOptions{})
	}
	return err
}

// spread has a third of the attendees solve the first task and a third the second too.
func (c *changer) spread(store *progress.Store) {
	for i, p := range c.people {
		values, err := store.Values(c.b.Context(), p.ID, "crowd", "objects")
		require.NoError(c.b, err)
		for object := range i % 3 {
			require.NoError(c.b, c.say(c.b.Context(), p, object, values["word"]))
		}
	}
}

// change changes an object of one attendee after the other, so many times a second,
// until ctx ends.
func (c *changer) change(ctx context.Context) map[int]change {
	made := map[int]change{}
	tick := time.NewTicker(time.Second / benchChanges)
	defer tick.Stop()
	c.first++
	for n := c.first; ; n++ {
		select {
		case <-ctx.Done():
			c.first = n
			return made
		case <-tick.C:
		}
		i := n % len(c.people)
		if err := c.say(ctx, c.people[i], i%3, mark+strconv.Itoa(n)); err != nil {
			if ctx.Err() == nil {
				c.b.Errorf("changing an object of %s: %v", c.people[i].ID, err)
			}
			c.first = n
			return made
		}
		made[n] = change{c.people[i].ID, time.Now()}
	}
}

// hubRequests is how many requests the API server has had from administrators: those
// are its own flow schema, and the hub is the only one.
func (c *changer) hubRequests() float64 {
	data, err := c.kube.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(c.b.Context())
	require.NoError(c.b, err)
	total := 0.0
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "apiserver_flowcontrol_dispatched_requests_total{") && strings.Contains(line, `flow_schema="global-default"`) {
			n, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
			require.NoError(c.b, err)
			total += n
		}
	}
	return total
}
