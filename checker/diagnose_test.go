package checker

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWhyNotReady(t *testing.T) {
	const inLab = "/namespaces/lab/"
	claim := func(name string, spec map[string]any) map[string]any {
		return thing("v1", "PersistentVolumeClaim", name, nil, map[string]any{"spec": spec, "status": map[string]any{"phase": "Pending"}})
	}
	list := func(apiVersion, kind string, items ...any) map[string]any {
		return map[string]any{"apiVersion": apiVersion, "kind": kind, "items": items}
	}
	volume := func(name, size, mode string) map[string]any {
		return thing("v1", "PersistentVolume", name, nil, map[string]any{
			"spec":   map[string]any{"capacity": map[string]any{"storage": size}, "accessModes": []string{mode}},
			"status": map[string]any{"phase": "Available"}})
	}
	byHand := map[string]any{"storageClassName": "", "accessModes": []string{"ReadWriteOnce"},
		"resources": map[string]any{"requests": map[string]any{"storage": "1Gi"}}}
	mounts := func(name, claim string) map[string]any {
		return map[string]any{"name": name, "persistentVolumeClaim": map[string]any{"claimName": claim}}
	}
	pending := thing("v1", "Pod", "web", nil, map[string]any{
		"spec": map[string]any{"volumes": []any{mounts("a", "data"), mounts("b", "logs")}},
		"status": map[string]any{"phase": "Pending", "conditions": []any{map[string]any{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
			"message": "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"}}}})
	classes := list("storage.k8s.io/v1", "StorageClassList", map[string]any{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": map[string]any{"name": "standard"},
		"provisioner": "example.com/disk", "volumeBindingMode": "WaitForFirstConsumer"})
	twoClaims := map[string]any{
		"/api/v1" + inLab + "pods":                        list("v1", "PodList", pending),
		"/api/v1" + inLab + "pods/web":                    pending,
		"/api/v1" + inLab + "persistentvolumeclaims/data": claim("data", map[string]any{"storageClassName": "standard"}),
		"/api/v1" + inLab + "persistentvolumeclaims/logs": claim("logs", map[string]any{"storageClassName": "standart"}),
		"/apis/storage.k8s.io/v1/storageclasses":          classes,
	}
	withVolumes := func(volumes ...any) map[string]any {
		return map[string]any{
			"/api/v1" + inLab + "persistentvolumeclaims/data": claim("data", byHand),
			"/api/v1/persistentvolumes":                       list("v1", "PersistentVolumeList", volumes...),
		}
	}
	metrics := metav1.APIGroupList{Groups: []metav1.APIGroup{{Name: "metrics.k8s.io"}}}
	scaler := "/apis/autoscaling/v2" + inLab + "horizontalpodautoscalers/web"
	node := func(name string, labels map[string]any, taints ...any) map[string]any {
		return thing("v1", "Node", name, map[string]any{"labels": labels}, map[string]any{"spec": map[string]any{"taints": taints}})
	}
	taint := func(key, effect string) map[string]any {
		return map[string]any{"key": key, "value": "yes", "effect": effect}
	}
	onEach := func(spec map[string]any, nodes ...any) map[string]any {
		return map[string]any{
			"/apis/apps/v1" + inLab + "daemonsets/log": thing("apps/v1", "DaemonSet", "log", nil, map[string]any{
				"spec": map[string]any{"selector": map[string]any{}, "template": map[string]any{"spec": spec}}}),
			"/api/v1" + inLab + "events": list("v1", "EventList"),
			"/api/v1/nodes":              list("v1", "NodeList", nodes...),
		}
	}
	disk := map[string]any{"nodeSelector": map[string]any{"disk": "ssd"}}
	unschedulable := func(says string, spec map[string]any) map[string]any {
		return thing("v1", "Pod", "web", map[string]any{"labels": map[string]any{"app": "web"}}, map[string]any{"spec": spec, "status": map[string]any{"phase": "Pending",
			"conditions": []any{map[string]any{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available: 1 node(s) " + says}}}})
	}
	near := func(kind, app string) map[string]any {
		return map[string]any{"affinity": map[string]any{kind: map[string]any{"requiredDuringSchedulingIgnoredDuringExecution": []any{
			map[string]any{"topologyKey": "kubernetes.io/hostname", "labelSelector": map[string]any{"matchLabels": map[string]any{"app": app}}}}}}}
	}
	with := func(pod, other map[string]any, nodes ...any) map[string]any {
		return map[string]any{"/api/v1" + inLab + "pods/web": pod, "/api/v1" + inLab + "pods": list("v1", "PodList", pod, other), "/api/v1/nodes": list("v1", "NodeList", nodes...)}
	}
	guard := near("podAntiAffinity", "web")
	guard["nodeName"] = "one"
	cache := thing("v1", "Pod", "guard", map[string]any{"labels": map[string]any{"app": "cache"}}, map[string]any{"spec": guard})
	for name, c := range map[string]struct {
		objects    map[string]any
		kind, name string
		because    string
	}{
		"a claim that waits for the pod is not why the pod waits": {twoClaims, "Pod", "web",
			"there is no StorageClass standart, which PersistentVolumeClaim logs asks for"},
		"a claim waits for a pod that waits for another claim": {twoClaims, "PersistentVolumeClaim", "data",
			"there is no StorageClass standart, which PersistentVolumeClaim logs asks for"},
		"a volume is too small": {withVolumes(volume("small", "1Mi", "ReadWriteOnce")), "PersistentVolumeClaim", "data",
			"PersistentVolume small has 1Mi, and PersistentVolumeClaim data asks for 1Gi"},
		"a volume has another access mode": {withVolumes(volume("read", "2Gi", "ReadOnlyMany")), "PersistentVolumeClaim", "data",
			"PersistentVolume read gives ReadOnlyMany, and PersistentVolumeClaim data asks for ReadWriteOnce"},
		"a volume that fits is no cause": {withVolumes(volume("small", "1Mi", "ReadWriteOnce"), volume("fits", "1Gi", "ReadWriteOnce")), "PersistentVolumeClaim", "data", ""},
		"a DaemonSet for another label": {onEach(disk, node("one", map[string]any{"disk": "hdd"})), "DaemonSet", "log",
			"DaemonSet log wants a node with disk=ssd, and no node has that"},
		"a DaemonSet and a taint": {onEach(disk, node("one", map[string]any{"disk": "ssd"}, taint("node.kubernetes.io/unschedulable", "NoSchedule"), taint("gpu", "NoSchedule"))), "DaemonSet", "log",
			"node one has the taint gpu=yes:NoSchedule, which DaemonSet log does not tolerate"},
		"the taint of a node that it does not want": {with(unschedulable("had untolerated taint(s)", disk), cache,
			node("one", map[string]any{}, taint("gpu", "NoSchedule")), node("two", map[string]any{"disk": "ssd"}, taint("soft", "PreferNoSchedule"), taint("old", "NoExecute"))), "Pod", "web",
			"node two has the taint old=yes:NoExecute, which Pod web does not tolerate"},
		"it keeps away from another": {with(unschedulable("didn't match pod anti-affinity rules", near("podAntiAffinity", "cache")), cache), "Pod", "web",
			"the anti-affinity of Pod web forbids a pod with app=cache on one node with it, and that leaves no node"},
		"another keeps it away": {with(unschedulable("didn't satisfy existing pods anti-affinity rules", map[string]any{}), cache), "Pod", "web",
			"the anti-affinity of pod guard forbids a pod with app=web on one node with it, and that leaves no node for Pod web"},
		"what it wants beside it": {with(unschedulable("didn't match pod affinity rules", near("podAffinity", "cahce")), cache), "Pod", "web",
			"Pod web wants to be on one node with a pod that has app=cahce (podAffinity), and no node runs such a pod"},
		"what it wants beside it is there": {with(unschedulable("didn't match pod affinity rules", near("podAffinity", "cache")), cache), "Pod", "web",
			"no node runs the pods that Pod web wants beside it"},
		"an autoscaler of itself": {map[string]any{"/apis": metrics, scaler: thing("autoscaling/v2", "HorizontalPodAutoscaler", "web", nil, map[string]any{
			"spec": map[string]any{"scaleTargetRef": map[string]any{"kind": "HorizontalPodAutoscaler", "name": "web"}},
			"status": map[string]any{"conditions": []any{map[string]any{"type": "ScalingActive", "status": "False",
				"message": "cannot scale it"}}}})}, "HorizontalPodAutoscaler", "web",
			"HorizontalPodAutoscaler web says: cannot scale it"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, target := serveCluster{objects: c.objects}.start(t)
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second) // for causes that lead to one another
			defer cancel()
			k, err := kubeOf(ctx, target)
			assert.NoError(t, err)
			assert.Equal(t, c.because, whyNotReady(ctx, k, target, c.kind, "lab", c.name).Because)
			assert.NoError(t, ctx.Err())
		})
	}
}

func TestProbeThatIsLate(t *testing.T) {
	event := func(says string, count int, at string) any {
		return thing("v1", "Event", "e"+at, nil, map[string]any{"reason": "Unhealthy", "message": "Readiness probe failed: " + says, "count": count,
			"lastTimestamp": "2026-01-01T00:00:" + at + "Z"})
	}
	for name, c := range map[string]struct {
		events []any
		says   string
	}{
		"once, by accident":       {[]any{event("statuscode: 404", 20, "01"), event("deadline exceeded", 1, "02")}, "statuscode: 404"},
		"always":                  {[]any{event("connection refused", 2, "01"), event("deadline exceeded", 9, "02")}, "deadline exceeded"},
		"the newest, when not so": {[]any{event("connection refused", 20, "01"), event("statuscode: 404", 1, "02")}, "statuscode: 404"},
		"nothing else":            {[]any{event("deadline exceeded", 1, "02")}, "deadline exceeded"},
	} {
		ctx, target := serveCluster{objects: map[string]any{"/api/v1/namespaces/lab/events": map[string]any{"apiVersion": "v1", "kind": "EventList", "items": c.events}}}.start(t)
		k, err := kubeOf(ctx, target)
		assert.NoError(t, err)
		assert.Equal(t, c.says, diagnosis{ctx, k, target, "lab"}.probeSays(&corev1.Pod{}, "readiness"), name)
	}
}

func TestCrashForMemory(t *testing.T) {
	ctx, target := serveCluster{}.start(t)
	k, err := kubeOf(ctx, target)
	assert.NoError(t, err)
	d := diagnosis{ctx, k, target, "lab"}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
	limited := corev1.Container{Name: "web", Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("24Mi")}}}
	for name, c := range map[string]struct {
		spec    corev1.Container
		end     corev1.ContainerStateTerminated
		because string
	}{
		"the runtime says it":      {limited, corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}, "web was killed: it needs more memory than its limit of 24Mi"},
		"the runtime says Error":   {limited, corev1.ContainerStateTerminated{ExitCode: 137, Reason: "Error"}, "web was killed (exit code 137), probably because it needs more memory than its limit of 24Mi"},
		"killed without a limit":   {corev1.Container{Name: "web"}, corev1.ContainerStateTerminated{ExitCode: 137, Reason: "Error"}, "web ends with exit code 137"},
		"an error below the limit": {limited, corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}, "web ends with exit code 1"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.because, d.crash(pod, c.spec, "web", &c.end, false).Because)
		})
	}
}
