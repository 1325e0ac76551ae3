package checker

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/release/common"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage"
	"helm.sh/helm/v4/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
)

func TestReleaseValidate(t *testing.T) {
	assert.ErrorContains(t, (&releaseCheck{}).validate(), "name is missing")
	assert.ErrorContains(t, (&releaseCheck{Name: "Hello"}).validate(), "not a release's name")
	assert.ErrorContains(t, (&releaseCheck{Name: "a", MinRevision: -1}).validate(), "begin with 1")
	assert.NoError(t, (&releaseCheck{Name: "hello-2", MinRevision: 2, RolledBackTo: 1}).validate())
}

// revision makes a stored revision of release hello.
func revision(n int, status common.Status, says string, config map[string]any) *releasev1.Release {
	return &releasev1.Release{
		Name: "hello", Namespace: "default", Version: n, Config: config, Manifest: manifestWith(config),
		Info: &releasev1.Info{Status: status, Description: says, LastDeployed: time.Now()},
		Chart: &chartv2.Chart{
			Metadata: &chartv2.Metadata{Name: "web", Version: "0.1.0", APIVersion: "v2"},
			Values:   map[string]any{"replicas": 1.0, "image": map[string]any{"tag": "v1", "repository": "hello"}},
		},
	}
}

// manifestWith stands for what a chart renders of a configuration.
func manifestWith(config map[string]any) string { return bare(config) }

func TestReleaseDifferences(t *testing.T) {
	three, four := map[string]any{"replicas": 3.0}, map[string]any{"replicas": 4.0}
	const look = "look at `helm history hello --namespace default`"
	const values = "look at `helm get values hello --all --namespace default`"
	tests := map[string]struct {
		c       releaseCheck
		history []*releasev1.Release
		want    []string
	}{
		"deployed": {releaseCheck{Chart: "web", MinRevision: 1, Values: map[string]any{"replicas": 3, "image": map[string]any{"tag": "v1"}}},
			[]*releasev1.Release{revision(1, common.StatusDeployed, "Install complete", three)}, nil},
		"failed upgrade": {releaseCheck{}, []*releasev1.Release{
			revision(1, common.StatusDeployed, "", three), revision(2, common.StatusFailed, "Upgrade \"hello\" failed: cannot patch", four)},
			[]string{"expected release hello to be deployed, got revision 2 with status failed",
				`because Helm says: Upgrade "hello" failed: cannot patch`, "nearest: revision 1 is still deployed", look}},
		"interrupted": {releaseCheck{}, []*releasev1.Release{revision(1, common.StatusPendingInstall, "Initial install underway", three)},
			[]string{"expected release hello to be deployed, got revision 1 with status pending-install",
				"because Helm began it a moment ago and has not finished: it still works, or was interrupted", look}},
		"uninstalled": {releaseCheck{}, []*releasev1.Release{revision(1, common.StatusUninstalled, "Uninstallation complete", three)},
			[]string{"expected release hello to be deployed, got revision 1 with status uninstalled",
				"because the release was uninstalled and its history kept", look}},
		"other chart": {releaseCheck{Chart: "shop"}, []*releasev1.Release{revision(1, common.StatusDeployed, "", three)},
			[]string{"expected release hello made from chart shop, got chart web", "look at `helm list --namespace default`"}},
		"not upgraded": {releaseCheck{MinRevision: 2}, []*releasev1.Release{revision(1, common.StatusDeployed, "", three)},
			[]string{"expected revision 2 or later, got revision 1", "because the release was installed, and neither upgraded nor rolled back since", look}},
		"not upgraded again": {releaseCheck{MinRevision: 3}, []*releasev1.Release{revision(2, common.StatusDeployed, "", three)},
			[]string{"expected revision 3 or later, got revision 2", "because each `helm upgrade` and `helm rollback` makes one more revision", look}},
		"value by default": {releaseCheck{Values: map[string]any{"replicas": 3}}, []*releasev1.Release{revision(1, common.StatusDeployed, "", nil)},
			[]string{"expected value replicas of 3, got 1", "because that is the chart's default, and the release does not set it", values}},
		"value set otherwise": {releaseCheck{Values: map[string]any{"replicas": 3}}, []*releasev1.Release{revision(1, common.StatusDeployed, "", four)},
			[]string{"expected value replicas of 3, got 4", values}},
		"value misspelt": {releaseCheck{Values: map[string]any{"colour": "teal"}},
			[]*releasev1.Release{revision(1, common.StatusDeployed, "", map[string]any{"color": "teal"})},
			[]string{`expected value colour of "teal", got nothing`, "because neither the release nor the chart's values.yaml sets it",
				`nearest: the release sets color to "teal"`, values}},
		"value below another key": {releaseCheck{Values: map[string]any{"web": map[string]any{"colour": "teal"}}},
			[]*releasev1.Release{revision(1, common.StatusDeployed, "", map[string]any{"colour": "teal"})},
			[]string{`expected value web.colour of "teal", got nothing`, "because the release sets colour, and not web.colour", values}},
		"rolled back": {releaseCheck{RolledBackTo: 1}, []*releasev1.Release{revision(1, common.StatusSuperseded, "", three),
			revision(2, common.StatusSuperseded, "", four), revision(3, common.StatusDeployed, "Rollback to 1", three)}, nil},
		"rolled back, the old one pruned": {releaseCheck{RolledBackTo: 1}, []*releasev1.Release{
			revision(2, common.StatusSuperseded, "", four), revision(3, common.StatusDeployed, "Rollback to 1", three)}, nil},
		"rolled back to another": {releaseCheck{RolledBackTo: 1}, []*releasev1.Release{revision(1, common.StatusSuperseded, "", three),
			revision(2, common.StatusSuperseded, "", four), revision(3, common.StatusDeployed, "Rollback to 2", four)},
			[]string{"expected the last revision to be a rollback to revision 1, got revision 3, a rollback to revision 2", look}},
		"upgraded back": {releaseCheck{RolledBackTo: 1}, []*releasev1.Release{revision(1, common.StatusSuperseded, "", three),
			revision(2, common.StatusSuperseded, "", four), revision(3, common.StatusDeployed, "Upgrade complete", three)},
			[]string{"expected the last revision to be a rollback to revision 1, got revision 3, which is no rollback",
				"nearest: it has the same content as revision 1, by an upgrade", look}},
		"says so only": {releaseCheck{RolledBackTo: 1}, []*releasev1.Release{revision(1, common.StatusSuperseded, "", three),
			revision(2, common.StatusDeployed, "Rollback to 1", four)},
			[]string{"expected the last revision to be a rollback to revision 1, got revision 2, which says so but differs from revision 1", look}},
		"no such revision": {releaseCheck{RolledBackTo: 7}, []*releasev1.Release{revision(1, common.StatusDeployed, "", three)},
			[]string{"expected the last revision to be a rollback to revision 7, got revision 1, which is no rollback", "because the release has no revision 7", look}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			store := driver.NewMemory()
			for _, r := range tt.history {
				require.NoError(t, storage.Init(store).Create(r))
			}
			history, err := revisions(store, "hello")
			require.NoError(t, err)
			tt.c.Name = "hello"
			assert.Equal(t, tt.want, linesOf(tt.c.differences(history)))
		})
	}
}

// Helm 4 records the revision, whatever the description says.
func TestRolledBackTo(t *testing.T) {
	r := revision(3, common.StatusDeployed, "back to what worked", nil)
	assert.Zero(t, rolledBackTo(r))
	r.Info.RollbackRevision = 1
	assert.Equal(t, 1, rolledBackTo(r))
}

func TestNoRelease(t *testing.T) {
	store := driver.NewMemory()
	history, err := revisions(store, "hello")
	require.NoError(t, err)
	require.Empty(t, history)
	for i, name := range []string{"helo", "shop", "old"} {
		r := revision(1, common.StatusDeployed, "", nil)
		if r.Name = name; i == 2 {
			r.Info.Status = common.StatusUninstalled
		}
		require.NoError(t, storage.Init(store).Create(r))
	}
	names, err := releaseNames(store)
	require.NoError(t, err)
	c := releaseCheck{Name: "hello"}
	assert.Equal(t, []string{"expected release hello in namespace me-charts, got only helo and shop", "nearest: you have a release helo",
		"look at `helm list --all-namespaces`"}, c.noRelease("me-charts", names, nil).Lines())
	assert.Equal(t, []string{"expected release hello in namespace me-charts, got no release in that namespace",
		"because release hello is in namespace me-scale", "look at `helm list --namespace me-scale`"},
		c.noRelease("me-charts", nil, map[string][]string{"me-scale": {"hello"}}).Lines())
}

func TestDriftOf(t *testing.T) {
	r := revision(1, common.StatusDeployed, "", nil)
	objects, err := manifestObjects("---\n# Source: web/templates/x.yaml\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: hello, annotations: {}}\nspec: {replicas: 3, template: {spec: {nodeSelector: {}, containers: [{name: hello, resources: {limits: {cpu: 1000m}}, env: null}]}}}\n---\n\n---\nkind: Secret\nstringData: {a: b}\n")
	require.NoError(t, err)
	require.Len(t, objects, 2)
	live := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "hello", "namespace": "default", "managedFields": []any{
			map[string]any{"manager": "helm", "operation": "Apply", "time": "2026-01-01T10:00:00Z"},
			map[string]any{"manager": "kubectl", "operation": "Update", "subresource": "scale", "fieldsType": "FieldsV1",
				"fieldsV1": map[string]any{"f:spec": map[string]any{"f:replicas": map[string]any{}}}}}},
		"spec": map[string]any{"replicas": int64(3), "template": map[string]any{"spec": map[string]any{"containers": []any{
			map[string]any{"name": "hello", "image": "x", "resources": map[string]any{"limits": map[string]any{"cpu": "1"}}}}}}},
	}}
	assert.Empty(t, driftOf(r, objects[0], live), "what the cluster adds and drops is no change")
	require.NoError(t, unstructured.SetNestedField(live.Object, int64(5), "spec", "replicas"))
	assert.Equal(t, []string{"expected spec.replicas of Deployment hello to be 3, as release hello sets it, got 5",
		"because `kubectl scale` changed this field after Helm had set it", "look at `kubectl get deployment hello --namespace default -o yaml`"}, linesOf(driftOf(r, objects[0], live)))
	assert.Empty(t, driftOf(r, objects[1], &unstructured.Unstructured{Object: map[string]any{"kind": "Secret"}}))
}

func TestAvailable(t *testing.T) {
	o := func(kind string, generation int64, status map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": kind,
			"metadata": map[string]any{"generation": generation}, "spec": map[string]any{"replicas": int64(2)}, "status": status}}
	}
	full := map[string]any{"observedGeneration": int64(1), "updatedReplicas": int64(2), "availableReplicas": int64(2), "replicas": int64(2), "readyReplicas": int64(2)}
	assert.True(t, available(o("Deployment", 1, full)))
	assert.False(t, available(o("Deployment", 2, full)), "the controller has not seen the change")
	assert.False(t, available(o("Deployment", 1, map[string]any{"observedGeneration": int64(1)})))
	assert.True(t, available(o("StatefulSet", 1, full)))
	assert.False(t, available(o("StatefulSet", 1, nil)))
	assert.False(t, available(o("DaemonSet", 1, map[string]any{"desiredNumberScheduled": int64(1)})))
	assert.True(t, available(o("Job", 1, nil)))
}

// With a cluster: where a release is looked for, and whether what it made is still there.
func TestReleaseOnCluster(t *testing.T) {
	file := os.Getenv("KINDLAB_TEST_KUBECONFIG")
	if file == "" {
		t.Skip("KINDLAB_TEST_KUBECONFIG is not set")
	}
	ctx := context.Background()
	config, err := clientcmd.BuildConfigFromFlags("", file)
	require.NoError(t, err)
	k, err := newKube(config)
	require.NoError(t, err)
	spaces := k.typed.CoreV1().Namespaces()
	name := "helm-check-" + time.Now().Format("150405")
	for _, ns := range []string{name, name + "-other"} {
		_, err := spaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns, Labels: map[string]string{attendeeLabel: name}}}, metav1.CreateOptions{})
		require.NoError(t, err)
		t.Cleanup(func() { _ = spaces.Delete(ctx, ns, metav1.DeleteOptions{}) })
	}
	target := &Target{Cluster: config, Namespace: name, Attendee: name}
	look := func(c *releaseCheck) []string {
		t.Helper()
		found, err := c.look(ctx, target)
		require.NoError(t, err)
		return linesOf(found)
	}
	r := revision(1, common.StatusDeployed, "Install complete", nil)
	r.Namespace = name + "-other"
	r.Manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hello}\ndata: {colour: teal}\n"
	require.NoError(t, storage.Init(driver.NewSecrets(k.typed.CoreV1().Secrets(r.Namespace))).Create(r))
	assert.Contains(t, look(&releaseCheck{Name: "hello"}), "because release hello is in namespace "+r.Namespace)

	r.Namespace = name
	require.NoError(t, storage.Init(driver.NewSecrets(k.typed.CoreV1().Secrets(name))).Create(r))
	assert.Empty(t, look(&releaseCheck{Name: "hello", Chart: "web"}))
	assert.Equal(t, []string{"expected ConfigMap hello of release hello, got no such object",
		"because it was deleted after Helm had made it: the release's manifest has it", "look at `helm get manifest hello --namespace " + name + "`"},
		look(&releaseCheck{Name: "hello", Ready: true}))
	maps := k.typed.CoreV1().ConfigMaps(name)
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "hello"}, Data: map[string]string{"colour": "teal"}}
	m, err = maps.Create(ctx, m, metav1.CreateOptions{FieldManager: "helm"})
	require.NoError(t, err)
	assert.Empty(t, look(&releaseCheck{Name: "hello", Ready: true}))
	m.Data["colour"] = "plum"
	_, err = maps.Update(ctx, m, metav1.UpdateOptions{FieldManager: "kubectl-edit"})
	require.NoError(t, err)
	assert.Equal(t, []string{`expected data.colour of ConfigMap hello to be "teal", as release hello sets it, got "plum"`,
		"because `kubectl edit` changed this field after Helm had set it", "look at `kubectl get configmap hello --namespace " + name + " -o yaml`"},
		look(&releaseCheck{Name: "hello", Ready: true}))

	down, cancel := context.WithCancel(ctx)
	cancel()
	_, err = (&releaseCheck{Name: "hello"}).look(down, target)
	assert.Error(t, err)
}

func TestWhyRefused(t *testing.T) {
	const apply = "server-side apply failed for object default/web apps/v1, Kind=Deployment: "
	tests := map[string]struct{ says, want string }{
		"immutable": {apply + `Deployment.apps "web" is invalid: spec.selector: Invalid value: {"matchLabels":{"app":"shop"}}: field is immutable`,
			"spec.selector of Deployment web cannot be changed any more once it is made, and revision 2 changes it"},
		"immutable, as Helm 3 says it": {`cannot patch "web" with kind Deployment: Deployment.apps "web" is invalid: spec.selector: Invalid value: v1.LabelSelector{}: field is immutable`,
			"spec.selector of Deployment web cannot be changed any more once it is made, and revision 2 changes it"},
		"a claim": {`cannot patch "data" with kind PersistentVolumeClaim: PersistentVolumeClaim "data" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests`,
			"spec of PersistentVolumeClaim data cannot be changed any more once it is made, and revision 2 changes it"},
		"invalid": {apply + "Deployment.apps \"web\" is invalid: spec.template.metadata.labels: Invalid value: {\"app\":\"other\"}: `selector` does not match template `labels`",
			"the API server refuses Deployment web: spec.template.metadata.labels: Invalid value: {\"app\":\"other\"}: `selector` does not match template `labels`"},
		"no such field": {apply + "failed to create typed patch object (default/web; apps/v1, Kind=Deployment): .spec.replica: field not declared in schema",
			"the API server refuses Deployment web: it has no field spec.replica"},
		"another type": {apply + "failed to create typed patch object (default/web; apps/v1, Kind=Deployment): .spec.replicas: expected numeric (int or float), got string",
			`the API server refuses Deployment web: spec.replicas is to be numeric (int or float), and is "two"`},
		"a conflict": {`conflict occurred while applying object default/web apps/v1, Kind=Deployment: Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas`,
			"`kubectl scale` has set spec.replicas of Deployment web, and Helm does not take over what another has set"},
		"there already": {`Unable to continue with update: Service "web" in namespace "default" exists and cannot be imported into the current release: invalid ownership metadata`,
			"Service web is there already, and was not made by this release"},
		"something else": {"no space left", ""},
	}
	for name, tt := range tests {
		r := revision(2, common.StatusFailed, `Upgrade "web" failed: `+tt.says, nil)
		r.Manifest = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: two}\n"
		assert.Equal(t, tt.want, whyRefused(r), name)
	}
}

func TestChangedBy(t *testing.T) {
	live := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"managedFields": []any{
		map[string]any{"manager": "helm", "operation": "Apply", "time": "2026-01-01T10:00:00Z"},
		map[string]any{"manager": "kubectl-set", "operation": "Update", "time": "2026-01-01T10:00:01Z", "fieldsType": "FieldsV1",
			"fieldsV1": map[string]any{"f:spec": map[string]any{"f:containers": map[string]any{`k:{"name":"web"}`: map[string]any{"f:image": map[string]any{},
				"f:ports": map[string]any{`k:{"containerPort":80,"protocol":"TCP"}`: map[string]any{"f:name": map[string]any{}}}}}}}}}}}}
	assert.Equal(t, "`kubectl set`", changedBy(live, "spec.containers[name=web].image"))
	assert.Equal(t, "`kubectl set`", changedBy(live, "spec.containers[name=web].ports[containerPort=80].name"))
	assert.Empty(t, changedBy(live, "spec.containers[name=other].image"))
	assert.Empty(t, changedBy(live, "spec.containers[0].image"))
	assert.Empty(t, madeBy(live), "Helm made it")
	live.SetManagedFields(live.GetManagedFields()[1:])
	assert.Equal(t, "`kubectl set`", madeBy(live))
	assert.Empty(t, madeBy(&unstructured.Unstructured{Object: map[string]any{}}))
	assert.Equal(t, "`kubectl apply`", managerInWords("kubectl-client-side-apply", ""))
	assert.Equal(t, "argocd", managerInWords("argocd", ""))
}
