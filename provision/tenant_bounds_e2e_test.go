//go:build e2e

package provision

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// fromYAML reads a pod.
func somePod(t *testing.T, image, spec string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "some-"}}
	require.NoError(t, yaml.UnmarshalStrict([]byte(strings.ReplaceAll(spec, "IMAGE", image)), &p.Spec))
	return p
}

// TestTenantBounds: an attendee does not lift the own bounds, not through an own account either.
func TestTenantBounds(t *testing.T) {
	r := newRoom(t)
	ctx := t.Context()
	eve := r.guest(t, "eve", "scale")
	image := eve.Registry + "/hello:v1"

	// With all rights that an attendee can give, in the name of an account of the own namespace.
	_, err := eve.kube.CoreV1().ServiceAccounts(eve.ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = eve.kube.RbacV1().RoleBindings(eve.ns).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "robot"},
		RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: attendeeRole}, Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "robot", Namespace: eve.ns}}}, metav1.CreateOptions{})
	require.NoError(t, err)
	token, err := eve.kube.CoreV1().ServiceAccounts(eve.ns).CreateToken(ctx, "robot", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	config := rest.AnonymousClientConfig(eve.config)
	config.BearerToken = token.Status.Token
	robot, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	_, err = robot.CoreV1().Pods(eve.ns).List(ctx, metav1.ListOptions{})
	require.NoError(t, err, "the robot may do something")

	merge := func(text string) []byte { return []byte(text) }
	ours := map[string]string{managedLabel: managedBy}
	for who, k := range map[string]*kubernetes.Clientset{"the attendee": eve.kube, "an own account": robot} {
		policies, bindings, spaces := k.NetworkingV1().NetworkPolicies(eve.ns), k.RbacV1().RoleBindings(eve.ns), k.CoreV1().Namespaces()
		// A policy is in force a moment after it was made.
		require.Eventually(t, func() bool {
			err := policies.Delete(ctx, tenancyName, metav1.DeleteOptions{DryRun: []string{"All"}})
			return apierrors.IsForbidden(err)
		}, 30*time.Second, 200*time.Millisecond, "%s: the policies are in force", who)
		relabel := func(label string) error {
			_, err := spaces.Patch(ctx, eve.ns, types.MergePatchType, merge(`{"metadata": {"labels": {`+label+`}}}`), metav1.PatchOptions{})
			return err
		}
		for name, do := range map[string]func() error{
			"delete the fence": func() error { return policies.Delete(ctx, tenancyName, metav1.DeleteOptions{}) },
			"delete all fences": func() error {
				return policies.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
			},
			"open the fence": func() error {
				_, err := policies.Patch(ctx, tenancyName, types.MergePatchType, merge(`{"spec": {"ingress": [{}]}}`), metav1.PatchOptions{})
				return err
			},
			"take our label off the fence": func() error {
				_, err := policies.Patch(ctx, tenancyName, types.MergePatchType, merge(`{"metadata": {"labels": null}}`), metav1.PatchOptions{})
				return err
			},
			"make a fence that looks like ours": func() error {
				_, err := policies.Create(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "mine", Labels: ours}}, metav1.CreateOptions{})
				return err
			},
			"a way out": func() error {
				_, err := policies.Create(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "out"}, Spec: networkingv1.NetworkPolicySpec{
					PolicyTypes: []networkingv1.PolicyType{"Egress"}, Egress: []networkingv1.NetworkPolicyEgressRule{{}}}}, metav1.CreateOptions{})
				return err
			},
			"delete the binding": func() error { return bindings.Delete(ctx, tenancyName, metav1.DeleteOptions{}) },
			"delete the quota": func() error {
				return k.CoreV1().ResourceQuotas(eve.ns).Delete(ctx, tenancyName, metav1.DeleteOptions{})
			},
			"delete the limits":    func() error { return k.CoreV1().LimitRanges(eve.ns).Delete(ctx, tenancyName, metav1.DeleteOptions{}) },
			"delete the namespace": func() error { return spaces.Delete(ctx, eve.ns, metav1.DeleteOptions{}) },
			"raise the quota": func() error {
				_, err := k.CoreV1().ResourceQuotas(eve.ns).Patch(ctx, tenancyName, types.MergePatchType, merge(`{"spec": {"hard": {"pods": "999"}}}`), metav1.PatchOptions{})
				return err
			},
			"pods may be privileged": func() error { return relabel(`"pod-security.kubernetes.io/enforce": "privileged"`) },
			"pods are not looked at": func() error { return relabel(`"pod-security.kubernetes.io/enforce": null`) },
			"be another attendee":    func() error { return relabel(`"kindlab.attendee": "ben"`) },
			"be no attendee":         func() error { return relabel(`"kindlab.attendee": null`) },
			"be no attendee by replace": func() error {
				ns, err := spaces.Get(ctx, eve.ns, metav1.GetOptions{})
				require.NoError(t, err)
				ns.Labels = map[string]string{"kubernetes.io/metadata.name": eve.ns}
				_, err = spaces.Update(ctx, ns, metav1.UpdateOptions{})
				return err
			},
			"begin the lab again": func() error {
				_, err := spaces.Patch(ctx, eve.ns, types.MergePatchType, merge(`{"metadata": {"annotations": {"kindlab.started": null}}}`), metav1.PatchOptions{})
				return err
			},
			"hold the namespace": func() error {
				_, err := spaces.Patch(ctx, eve.ns, types.MergePatchType, merge(`{"metadata": {"finalizers": ["example.com/mine"]}}`), metav1.PatchOptions{})
				return err
			},
			"take another's requests": func() error {
				_, err := k.CoreV1().Services(eve.ns).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "dns"}, Spec: corev1.ServiceSpec{
					ExternalIPs: []string{"10.96.0.10"}, Ports: []corev1.ServicePort{{Port: 53}}}}, metav1.CreateOptions{})
				return err
			},
			"a load balancer": func() error {
				_, err := k.CoreV1().Services(eve.ns).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "balanced"}, Spec: corev1.ServiceSpec{
					Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
				return err
			},
			"give more than one has": func() error {
				_, err := k.RbacV1().Roles(eve.ns).Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "more"},
					Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"resourcequotas"}, Verbs: []string{"delete"}}}}, metav1.CreateOptions{})
				return err
			},
			"give all rights": func() error {
				_, err := bindings.Create(ctx, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "all"}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "cluster-admin"},
					Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "robot", Namespace: eve.ns}}}, metav1.CreateOptions{})
				return err
			},
			"write endpoints": func() error {
				_, err := k.CoreV1().Endpoints(eve.ns).Create(ctx, &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: "door"}}, metav1.CreateOptions{}) //nolint:staticcheck // still served
				return err
			},
		} {
			err := do()
			assert.True(t, refused(err), "%s: %s: %v", who, name, err)
		}
		// What labs are about is allowed.
		name := "own-" + strings.Fields(who)[0]
		_, err := policies.Create(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		require.NoError(t, err, who)
		require.NoError(t, policies.Delete(ctx, name, metav1.DeleteOptions{}), who)
		_, err = k.RbacV1().Roles(eve.ns).Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name},
			Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}}}}, metav1.CreateOptions{})
		require.NoError(t, err, who)
		require.NoError(t, relabel(`"istio-injection": "enabled"`), who)
		require.NoError(t, relabel(`"istio-injection": null`), who)
	}
	space, err := r.admin.CoreV1().Namespaces().Get(ctx, eve.ns, metav1.GetOptions{})
	require.NoError(t, err)
	for label, value := range eve.namespaceLabels(r.course.ID, eve.own(t, r.course, "scale")) {
		assert.Equal(t, value, space.Labels[label], label)
	}

	spaces := map[string]string{"without a mesh": eve.ns}
	if r.mesh {
		mesh := course(t, "service-mesh")
		require.NoError(t, eve.StartLab(ctx, mesh.ID, eve.own(t, mesh, "start")))
		require.NoError(t, eve.WaitStart(ctx, eve.own(t, mesh, "start")))
		spaces["with a mesh"] = eve.Namespace("start")
	}
	for name, ns := range spaces {
		pods := eve.kube.CoreV1().Pods(ns)
		for spec, allowed := range map[string]bool{
			"containers: [{name: a, image: IMAGE}]": true,
			"containers: [{name: a, image: IMAGE, securityContext: {capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}}]":        true,
			"containers: [{name: a, image: IMAGE, ports: [{containerPort: 80}]}]\nvolumes: [{name: a, emptyDir: {}}]":               true,
			"containers: [{name: a, image: IMAGE, readinessProbe: {httpGet: {path: /, port: 80}}}]":                                 true,
			"containers: [{name: a, image: IMAGE, securityContext: {privileged: true}}]":                                            false,
			"containers: [{name: a, image: IMAGE, securityContext: {capabilities: {add: [SYS_ADMIN]}}}]":                            false,
			"containers: [{name: a, image: IMAGE, securityContext: {capabilities: {add: [NET_ADMIN]}}}]":                            false,
			"containers: [{name: a, image: IMAGE, securityContext: {seccompProfile: {type: Unconfined}}}]":                          false,
			"containers: [{name: a, image: IMAGE, securityContext: {seLinuxOptions: {type: spc_t}}}]":                               false,
			"containers: [{name: a, image: IMAGE, ports: [{containerPort: 80, hostPort: 80}]}]":                                     false,
			"containers: [{name: a, image: IMAGE, readinessProbe: {httpGet: {path: /, port: 80, host: 10.96.0.1}}}]":                false,
			"containers: [{name: a, image: IMAGE, lifecycle: {postStart: {httpGet: {path: /, port: 80, host: 10.96.0.1}}}}]":        false,
			"containers: [{name: a, image: IMAGE}]\ninitContainers: [{name: b, image: IMAGE, securityContext: {privileged: true}}]": false,
			"containers: [{name: a, image: IMAGE}]\nvolumes: [{name: a, hostPath: {path: /}}]":                                      false,
			"containers: [{name: a, image: IMAGE}]\nhostPID: true":                                                                  false,
			"containers: [{name: a, image: IMAGE}]\nhostNetwork: true":                                                              false,
			"containers: [{name: a, image: IMAGE}]\nhostIPC: true":                                                                  false,
			"containers: [{name: a, image: IMAGE}]\nsecurityContext: {sysctls: [{name: kernel.msgmax, value: '1'}]}":                false,
			"containers: [{name: a, image: IMAGE}]\nsecurityContext: {seccompProfile: {type: Unconfined}}":                          false,
			"containers: [{name: a, image: IMAGE}]\npriorityClassName: system-node-critical":                                        false,
		} {
			_, err := pods.Create(ctx, somePod(t, image, spec), metav1.CreateOptions{DryRun: []string{"All"}})
			if allowed {
				assert.NoError(t, err, "%s: %s", name, spec)
			} else {
				assert.True(t, refused(err), "%s: %s: %v", name, spec, err)
			}
		}
		debug := merge(`{"spec": {"ephemeralContainers": [{"name": "d", "image": "` + image + `", "securityContext": {"privileged": true}}]}}`)
		all, err := pods.List(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		require.NotEmpty(t, all.Items)
		_, err = pods.Patch(ctx, all.Items[0].Name, types.StrategicMergePatchType, debug, metav1.PatchOptions{}, "ephemeralcontainers")
		assert.True(t, refused(err), "%s: a privileged container to debug: %v", name, err)
		fine := merge(strings.Replace(string(debug), "true", "false", 1))
		_, err = pods.Patch(ctx, all.Items[0].Name, types.StrategicMergePatchType, fine, metav1.PatchOptions{DryRun: []string{"All"}}, "ephemeralcontainers")
		assert.NoError(t, err, "%s: a container to debug", name)
	}
}

// TestTenantHosts: an attendee does not lead the requests of others elsewhere, nor reach
// others through the gateway that all share.
func TestTenantHosts(t *testing.T) {
	r := newRoom(t)
	if !r.mesh {
		t.Skip("the cluster has no mesh")
	}
	mesh := course(t, "service-mesh")
	eve := &guest{Environment: r.place("eve")}
	require.NoError(t, eve.Attach(t.Context()))
	t.Cleanup(func() { assert.NoError(t, eve.RemoveAttendee(context.Background())) })
	require.NoError(t, eve.StartLab(t.Context(), mesh.ID, eve.own(t, mesh, "start")))
	config, err := clientcmd.BuildConfigFromFlags("", eve.LabKubeconfig("start"))
	require.NoError(t, err)
	a, err := newApplier(config)
	require.NoError(t, err)
	ns := eve.Namespace("start")
	istio := func(kind, spec string) string {
		return fmt.Sprintf("{apiVersion: networking.istio.io/v1, kind: %s, metadata: {name: some}, spec: %s}", kind, spec)
	}
	gateway := func(host string) string {
		return istio("Gateway", "{selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['"+host+"']}]}")
	}
	virtual := func(host, to string) string {
		return istio("VirtualService", "{gateways: [some], hosts: ['"+host+"'], http: [{route: [{destination: {host: '"+to+"'}}]}]}")
	}
	for _, c := range []struct {
		object  string
		allowed bool
	}{
		{gateway("shop.eve.example"), true}, {gateway("shop-eve.example"), true}, {gateway("*.eve.example"), true}, {gateway("./shop.eve.example"), true},
		{gateway("*"), false}, {gateway("*.example"), false}, {gateway("shop.ben.example"), false}, {gateway("shop.eve-2.example"), false}, {gateway("shop.steve.example"), false},
		{virtual("shop.eve.example", "web"), true}, {virtual("web", "web."+ns+".svc.cluster.local"), true},
		{virtual("shop.eve.example", "web.ben-start.svc.cluster.local"), false}, {virtual("web.ben-start.svc.cluster.local", "web"), false},
		{virtual("*", "web"), false}, {virtual("web", "web.eve-start-more.svc.cluster.local"), false},
		{istio("VirtualService", "{hosts: [web], http: [{mirror: {host: web.ben-start.svc.cluster.local}, route: [{destination: {host: web}}]}]}"), false},
		{istio("VirtualService", "{hosts: [web], tcp: [{route: [{destination: {host: web.ben-start.svc.cluster.local}}]}]}"), false},
		{istio("VirtualService", "{hosts: [shop.eve.example], gateways: [some], http: [{delegate: {name: door, namespace: ben-start}}]}"), false},
		{istio("ServiceEntry", "{hosts: [weather.example], exportTo: ['.'], ports: [{number: 80, name: http, protocol: HTTP}], resolution: NONE}"), true},
		{istio("ServiceEntry", "{hosts: [weather.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: NONE}"), false},
		{istio("WorkloadEntry", "{address: 10.0.0.1}"), false},
		{"{apiVersion: v1, kind: Service, metadata: {name: some}, spec: {type: ExternalName, externalName: example.org}}", true},
		{"{apiVersion: v1, kind: Service, metadata: {name: some}, spec: {type: ExternalName, externalName: web.ben-start.svc.cluster.local}}", false},
		{"{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: some}, spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}}", true},
		{"{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: some}, spec: {gatewayClassName: istio, addresses: [{type: Hostname, value: istio-ingressgateway.istio-ingress.svc.cluster.local}], listeners: [{name: http, port: 80, protocol: HTTP}]}}", false},
	} {
		err := a.apply(t.Context(), ns, "some", []byte(c.object))
		if c.allowed {
			assert.NoError(t, err, c.object)
		} else {
			assert.True(t, refused(err), "%s: %v", c.object, err)
		}
	}
}

// TestTenantFlood: a thousand pods are refused, and the pods of the others run on.
func TestTenantFlood(t *testing.T) {
	r := newRoom(t)
	ctx := t.Context()
	mallory := r.guest(t, "mallory", "scale")
	image := mallory.Registry + "/hello:v1"
	var made, refusedPods atomic.Int64
	var all sync.WaitGroup
	slots := make(chan struct{}, 20)
	for i := range 1000 {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			p := somePod(t, image, "containers: [{name: a, image: IMAGE}]\nterminationGracePeriodSeconds: 0")
			p.GenerateName, p.Name = "", fmt.Sprintf("flood-%d", i)
			_, err := mallory.kube.CoreV1().Pods(mallory.ns).Create(ctx, p, metav1.CreateOptions{})
			switch {
			case err == nil:
				made.Add(1)
			case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"):
				refusedPods.Add(1)
			default:
				assert.NoError(t, err)
			}
		})
	}
	all.Wait()
	assert.Equal(t, int64(1000), made.Load()+refusedPods.Load())
	pods, err := r.admin.CoreV1().Pods(mallory.ns).List(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	assert.LessOrEqual(t, len(pods.Items), tenantPods)
	assert.Positive(t, made.Load(), "those that fit are made")
	// More than the quota has, in one pod.
	_, err = mallory.kube.CoreV1().Pods(mallory.ns).Create(ctx, somePod(t, image, "containers: [{name: a, image: IMAGE, resources: {requests: {memory: 100Gi}, limits: {memory: 100Gi}}}]"), metav1.CreateOptions{})
	assert.True(t, refused(err), "%v", err)
}

// TestTenantTokens: a kubeconfig ends, is renewed, and dies with its attendee.
func TestTenantTokens(t *testing.T) {
	r := newRoom(t)
	ctx := t.Context()
	tim := r.guest(t, "tim", "scale")
	data, until, err := tim.TenantKubeconfig(ctx, "scale", time.Second)
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(minToken), until, time.Minute, "the shortest time that there is")
	for _, secret := range []string{"client-certificate", "client-key", "exec:"} {
		assert.NotContains(t, string(data), secret, "nothing of the administrator's")
	}
	review := func(token string) authenticationv1.TokenReviewStatus {
		r, err := r.admin.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
		require.NoError(t, err)
		return r.Status
	}
	first := tim.config.BearerToken
	require.NotEmpty(t, first)
	_, err = tim.RenewKubeconfig(ctx, "scale", time.Hour)
	require.NoError(t, err)
	second := ownToken(t, tim.LabKubeconfig("scale"))
	assert.NotEqual(t, first, second, "renewed")
	for _, token := range []string{first, second} {
		assert.Equal(t, "system:serviceaccount:kindlab-class:tim", review(token).User.Username)
	}
	_, err = tim.kube.CoreV1().Pods(tim.ns).List(ctx, metav1.ListOptions{})
	require.NoError(t, err)

	// Of a neighbour whose name begins in the same way, nothing is touched.
	other := r.guest(t, "tim-2", "scale")
	require.NoError(t, tim.RemoveAttendee(ctx))
	require.NoError(t, tim.RemoveAttendee(ctx), "it converges")
	require.Eventually(t, func() bool {
		_, err := tim.kube.CoreV1().Pods(tim.ns).List(ctx, metav1.ListOptions{})
		return apierrors.IsUnauthorized(err)
	}, time.Minute, time.Second, "the token died with its account")
	assert.NoFileExists(t, tim.LabKubeconfig("scale"))
	assert.FileExists(t, other.LabKubeconfig("scale"))
	_, err = other.kube.CoreV1().Pods(other.ns).Get(ctx, "client", metav1.GetOptions{})
	require.NoError(t, err)
	spaces, err := r.admin.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: AttendeeLabel + "=tim"})
	require.NoError(t, err)
	assert.Empty(t, spaces.Items)

	// And whoever comes back begins anew.
	lab := tim.own(t, r.course, "scale")
	require.NoError(t, tim.StartLab(context.WithoutCancel(ctx), r.course.ID, lab))
	require.NoError(t, tim.WaitStart(ctx, lab))
}
