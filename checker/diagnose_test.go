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
