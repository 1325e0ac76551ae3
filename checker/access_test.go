package checker

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

func TestAccessAsksTheCluster(t *testing.T) {
	var asked []authorizationv1.SubjectAccessReviewSpec
	empty := map[string]any{}
	cluster := serveCluster{
		objects: map[string]any{
			"/apis/rbac.authorization.k8s.io/v1/roles": empty, "/apis/rbac.authorization.k8s.io/v1/clusterroles": empty,
			"/apis/rbac.authorization.k8s.io/v1/rolebindings": empty, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings": empty,
		},
		may: func(r authorizationv1.SubjectAccessReviewSpec) bool {
			asked = append(asked, r)
			return r.ResourceAttributes.Verb == "get"
		},
	}
	look := func(spec string) []string {
		asked = nil
		k, err := checkOf(t, spec)
		require.NoError(t, err)
		ctx, target := cluster.start(t)
		found, err := k.look(ctx, target)
		require.NoError(t, err)
		var out []string
		for _, f := range found {
			out = append(out, f.Expected+" | "+f.Because+" | "+f.Look)
		}
		return out
	}

	assert.Empty(t, look(`access: {who: {user: anna, groups: [dev]}, allowed: [{verbs: [get], resource: deployments}], denied: [{verbs: [delete], resource: secrets}]}`))
	require.Len(t, asked, 2)
	assert.Equal(t, "apps", asked[0].ResourceAttributes.Group, "its API group, as kubectl finds it")
	assert.Equal(t, "lab", asked[0].ResourceAttributes.Namespace)
	assert.Equal(t, []string{"dev", "system:authenticated"}, asked[0].Groups, "whoever has a name is authenticated")

	none := "no RoleBinding of namespace lab and no ClusterRoleBinding names user anna | `kubectl get rolebindings -o wide`"
	assert.Equal(t, []string{"user anna to be allowed to list pods | " + none}, look(`access: {who: {user: anna}, allowed: [{verbs: [list], resource: pods}]}`))

	got := look(`access: {who: {user: anna}, allowed: [{verbs: [get], resource: pods}], denied: [{verbs: [get], resource: widgets}]}`)
	assert.Equal(t, []string{"a resource widgets | the cluster has no resource widgets | `kubectl api-resources`"}, got,
		"nobody may touch what is not there, and that proves nothing")
	assert.Len(t, asked, 1)

	look(`access: {who: {user: anna}, allowed: [{verbs: [get], resource: nodes}]}`)
	assert.Empty(t, asked[0].ResourceAttributes.Namespace, "a node belongs to none, where a RoleBinding would count")
	look(`access: {who: {user: anna}, allowed: [{verbs: [get], resource: namespaces, name: lab}]}`)
	assert.Equal(t, "lab", asked[0].ResourceAttributes.Namespace, "a namespace itself may be got by a RoleBinding in it")

	look(`access: {who: {user: "system:anonymous"}, allowed: [{verbs: [get], resource: pods, namespace: "*"}]}`)
	assert.False(t, slices.Contains(asked[0].Groups, "system:authenticated"))
	assert.Empty(t, asked[0].ResourceAttributes.Namespace)
}

func TestWideGroup(t *testing.T) {
	group := func(name string) rbacv1.Subject { return rbacv1.Subject{Kind: rbacv1.GroupKind, Name: name} }
	account := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: "reader", Namespace: "lab"}
	reader, anna := subject{ServiceAccount: "reader", Namespace: "lab"}, subject{User: "anna", Groups: []string{"dev"}}
	for name, c := range map[string]struct {
		who      subject
		subjects []rbacv1.Subject
		want     string
	}{
		"itself":                   {reader, []rbacv1.Subject{account}, ""},
		"all accounts":             {reader, []rbacv1.Subject{group("system:serviceaccounts:lab")}, "system:serviceaccounts:lab"},
		"those of another":         {reader, []rbacv1.Subject{group("system:serviceaccounts:other")}, ""},
		"itself and all":           {reader, []rbacv1.Subject{group("system:authenticated"), account}, ""},
		"the group that is meant":  {anna, []rbacv1.Subject{group("dev")}, ""},
		"everybody, and not that":  {anna, []rbacv1.Subject{group("ops"), group("system:authenticated")}, "system:authenticated"},
		"another user's own group": {anna, []rbacv1.Subject{group("ops")}, ""},
	} {
		assert.Equal(t, c.want, accessAsked{who: c.who}.wideGroup(binding{subjects: c.subjects}), name)
	}
}

func TestAccessSaysHowKubectlAsks(t *testing.T) {
	a := accessAsked{t: &Target{Namespace: "lab"}, who: subject{ServiceAccount: "reader", Namespace: "lab"},
		verb: "get", resource: "pods", subresource: "log", name: "web", namespace: "lab"}
	assert.Equal(t, "`kubectl auth can-i get pods/web --subresource=log --as=system:serviceaccount:lab:reader`", a.canI())
	b := accessAsked{t: a.t, who: subject{Groups: []string{"dev"}}, verb: "list", group: "apps", resource: "deployments", namespace: "other"}
	assert.Equal(t, "`kubectl auth can-i list deployments.apps -n other --as=anybody --as-group=dev`", b.canI())
	b.namespace = ""
	assert.Equal(t, "`kubectl auth can-i list deployments.apps --all-namespaces --as=anybody --as-group=dev`", b.canI())
}
