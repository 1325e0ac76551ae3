package provision

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// ensureProbe makes the probe run the registry's sample app on every node. It is in
// a namespace of its own, so that nothing of it counts into an attendee's quota.
//
// A check may ask what a pod of the attendee reaches. The probe then enters the
// pod's network on its node, for which it has to see the node's processes
// (hostPID) and may enter their namespaces (SYS_ADMIN, SYS_PTRACE); the pod itself
// needs no program for it and is left as it is.
func (e *Environment) ensureProbe(ctx context.Context) error {
	kube, err := e.clientset()
	if err != nil {
		return err
	}
	config, err := e.Rest()
	if err != nil {
		return err
	}
	a, err := newApplier(config)
	if err != nil {
		return err
	}
	if err := a.apply(ctx, "", "probe", []byte(`{apiVersion: v1, kind: Namespace, metadata: {name: `+SystemNamespace+`, labels: {app.kubernetes.io/managed-by: kindlab, `+podSecurity+`: privileged}}}`)); err != nil {
		return err
	}
	if err := e.waitAccount(ctx, kube, SystemNamespace); err != nil {
		return err
	}
	// By its digest: the pod may do much on its node, and whoever can write to the registry
	// can give the tag to another image.
	arch, err := e.clusterArch(ctx)
	if err != nil {
		return err
	}
	images, err := helloImages(arch)
	if err != nil {
		return err
	}
	digest, err := images["v1"].Digest()
	if err != nil {
		return err
	}
	return a.apply(ctx, SystemNamespace, "probe", fmt.Appendf(nil, `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: %[1]s, labels: {app.kubernetes.io/name: %[1]s, app.kubernetes.io/managed-by: kindlab}}
spec:
  selector: {matchLabels: {app.kubernetes.io/name: %[1]s}}
  template:
    metadata:
      labels: {app.kubernetes.io/name: %[1]s, app.kubernetes.io/managed-by: kindlab}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      hostPID: true
      terminationGracePeriodSeconds: 1
      tolerations: [{operator: Exists}]
      containers:
      - name: %[1]s
        image: %[2]s
        imagePullPolicy: IfNotPresent
        args: [client]
        resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 256Mi}}
        securityContext:
          runAsUser: 0
          runAsNonRoot: false
          readOnlyRootFilesystem: true
          capabilities: {drop: [ALL], add: [SYS_ADMIN, SYS_PTRACE]}
`, ProbeName, e.Registry+"/hello:v1@"+digest.String()))
}

// probeReady reports whether the probe runs on every node.
func probeReady(ctx context.Context, kube kubernetes.Interface) bool {
	d, err := kube.AppsV1().DaemonSets(SystemNamespace).Get(ctx, ProbeName, metav1.GetOptions{})
	if err != nil || d.Status.ObservedGeneration < d.Generation || d.Status.DesiredNumberScheduled == 0 {
		return false
	}
	if d.Status.NumberReady < d.Status.DesiredNumberScheduled || d.Status.UpdatedNumberScheduled < d.Status.DesiredNumberScheduled {
		return false
	}
	// A pod that is still being replaced may answer, as the old program.
	pods, err := kube.CoreV1().Pods(SystemNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + ProbeName})
	return err == nil && allRunning(pods.Items)
}

func allRunning(pods []corev1.Pod) bool {
	for _, p := range pods {
		if p.DeletionTimestamp != nil || p.Status.Phase != corev1.PodRunning {
			return false
		}
	}
	return true
}
