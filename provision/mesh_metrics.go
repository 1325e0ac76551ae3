package provision

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/kindlab/kindlab/labs"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// PrometheusImage is a release with long-term support.
const PrometheusImage = "prom/prometheus:v3.13.2"

const (
	// Where Istio's documentation and Kiali look for it.
	prometheusName = "prometheus"
	prometheusPort = 9090

	prometheusRole       = "kindlab-prometheus"
	prometheusRepository = "prometheus" // in the registry
	metricsPart          = "metrics"    // of [PartLabel]
)

// Metrics says which Prometheus a cluster gets beside its mesh. A lab that needs metrics
// has it made; when it is Wanted it is made in any case.
type Metrics struct {
	Wanted bool
	Image  string // "" for [PrometheusImage]
}

func (m Metrics) image() string {
	if m.Image == "" {
		return PrometheusImage
	}
	return m.Image
}

// Validate says what is wrong with m.
func (m Metrics) Validate() error {
	if _, err := name.ParseReference(m.image()); err != nil {
		return hint(fmt.Errorf("%q cannot be an image of Prometheus: %w", m.Image, err), "name one such as %s", PrometheusImage)
	}
	return nil
}

// prometheusConfig collects from each pod that says by its annotations where it counts:
// those with a proxy, to which Istio's injector adds them, the gateway, istiod, and
// Prometheus itself. A lab is short, so it asks often. What proxies and their agents
// count of themselves is most of all, and no lab asks for it; a series takes its memory
// for hours after its pod is gone.
const prometheusConfig = `global:
  scrape_interval: 5s
  scrape_timeout: 4s
scrape_configs:
- job_name: pods
  kubernetes_sd_configs:
  - role: pod
  relabel_configs:
  - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape]
    action: keep
    regex: "true"
  - source_labels: [__meta_kubernetes_pod_phase]
    action: keep
    regex: Running
  - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path]
    regex: (.+)
    target_label: __metrics_path__
  - source_labels: [__meta_kubernetes_pod_ip, __meta_kubernetes_pod_annotation_prometheus_io_port]
    regex: (.+);(\d+)
    target_label: __address__
    replacement: $1:$2
  - source_labels: [__meta_kubernetes_namespace]
    target_label: namespace
  - source_labels: [__meta_kubernetes_pod_name]
    target_label: pod
  metric_relabel_configs:
  - source_labels: [__name__]
    action: drop
    regex: envoy_.*|istio_agent_.*|go_.*
`

// prometheusManifests are the objects of a Prometheus: those that are in no namespace,
// and those in Istio's. The content is a digest of all of them.
//
// They are written here because the chart of the Prometheus community is in no Go
// module, and a lab needs only the server of it.
func prometheusManifests(image string) (cluster, namespaced []byte, content string) {
	label := fmt.Sprintf("{app.kubernetes.io/name: %s, app.kubernetes.io/managed-by: kindlab, %s: %s}", prometheusName, PartLabel, metricsPart)
	// It only has to see which pods there are.
	cluster = fmt.Appendf(nil, `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: %[1]s, labels: %[2]s}
rules:
- {apiGroups: [""], resources: [pods], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %[1]s, labels: %[2]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %[1]s}
subjects: [{kind: ServiceAccount, name: %[3]s, namespace: %[4]s}]
`, prometheusRole, label, prometheusName, istioNamespace)
	// Images differ in what their entrypoint says already, and Prometheus takes no flag
	// twice: so the command is ours as well.
	text := fmt.Sprintf(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: %[1]s, labels: %[2]s}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: %[1]s, labels: %[2]s}
data: {prometheus.yml: %[5]q}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s, labels: %[2]s}
spec:
  selector: {app.kubernetes.io/name: %[1]s, %[6]s: %[7]s}
  ports: [{name: http, port: %[3]d, targetPort: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, labels: %[2]s}
spec:
  replicas: 1
  strategy: {type: Recreate}
  selector: {matchLabels: {app.kubernetes.io/name: %[1]s, %[6]s: %[7]s}}
  template:
    metadata:
      labels: {app.kubernetes.io/name: %[1]s, app.kubernetes.io/managed-by: kindlab, %[6]s: %[7]s, sidecar.istio.io/inject: "false", %[8]s: "CONTENT"}
      annotations: {prometheus.io/scrape: "true", prometheus.io/port: "%[3]d"}
    spec:
      serviceAccountName: %[1]s
      enableServiceLinks: false
      terminationGracePeriodSeconds: 5
      securityContext:
        runAsNonRoot: true
        runAsUser: 65534
        runAsGroup: 65534
        fsGroup: 65534
        seccompProfile: {type: RuntimeDefault}
      containers:
      - name: %[1]s
        image: %[4]q
        imagePullPolicy: IfNotPresent
        command: [prometheus]
        args:
        - --config.file=/etc/prometheus/prometheus.yml
        - --storage.tsdb.path=/prometheus
        - --storage.tsdb.retention.time=2h
        ports: [{name: http, containerPort: %[3]d}]
        readinessProbe: {httpGet: {path: /-/ready, port: http}, periodSeconds: 1}
        resources: {requests: {cpu: 50m, memory: 128Mi}}
        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          capabilities: {drop: [ALL]}
        volumeMounts:
        - {name: config, mountPath: /etc/prometheus, readOnly: true}
        - {name: data, mountPath: /prometheus}
      volumes:
      - {name: config, configMap: {name: %[1]s}}
      - {name: data, emptyDir: {}}
`, prometheusName, label, prometheusPort, image, prometheusConfig, PartLabel, metricsPart, contentLabel)
	sum := sha256.New()
	sum.Write(cluster)
	sum.Write([]byte(text))
	content = fmt.Sprintf("%x", sum.Sum(nil)[:16])
	// In the pods, so that they are made anew when the configuration is another.
	return cluster, []byte(strings.Replace(text, "CONTENT", content, 1)), content
}

// WantsMetrics reports whether Up makes a Prometheus for a course.
func (e *Environment) WantsMetrics(course *labs.Course) bool { return e.needs(course)["metrics"] }

// findMetricsImage finds out where the nodes get the image of Prometheus, as
// findMeshImages does for Istio's.
func (e *Environment) findMetricsImage(ctx context.Context) (detail string, err error) {
	e.metricsImage = e.Metrics.image()
	elsewhere := "the nodes pull " + e.metricsImage
	ref, err := name.NewTag(e.metricsImage)
	if err != nil {
		return elsewhere, nil // a digest, which another registry would not have
	}
	found, err := e.Docker.ImageInspect(ctx, e.metricsImage)
	if isNotFound(err) {
		return elsewhere, nil
	} else if err != nil {
		return "", fmt.Errorf("looking for image %s: %w", e.metricsImage, err)
	}
	as := prometheusRepository + ":" + ref.TagStr()
	if err := e.pushFromEngine(ctx, e.metricsImage, found.ID, as); err != nil {
		return "", err
	}
	e.metricsImage = e.Registry + "/" + as
	return e.metricsImage + ", from Docker's own", nil
}

// ensureMetrics makes Prometheus, in the namespace that the mesh has made.
func (e *Environment) ensureMetrics(ctx context.Context) (detail string, err error) {
	config, err := e.Rest()
	if err != nil {
		return "", err
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", err
	}
	cluster, namespaced, content := prometheusManifests(e.metricsImage)
	d, err := kube.AppsV1().Deployments(istioNamespace).Get(ctx, prometheusName, metav1.GetOptions{})
	switch {
	case err != nil && !isGone(err):
		return "", fmt.Errorf("looking for Prometheus: %w", err)
	case err == nil && d.Labels[PartLabel] == "":
		return fmt.Sprintf("Deployment %s in %s is not ours: left alone", prometheusName, istioNamespace), nil
	}
	there := err == nil && d.Spec.Template.Labels[contentLabel] == content && available(d)
	a, err := newApplier(config)
	if err != nil {
		return "", err
	}
	if err := a.apply(ctx, "", "metrics", cluster); err != nil {
		return "", err
	}
	e.Report.Echo(fmt.Sprintf("kubectl apply --server-side -n %s -f prometheus.yaml", istioNamespace))
	if err := a.apply(ctx, istioNamespace, "metrics", namespaced); err != nil {
		return "", err
	}
	if err := waitDeployment(ctx, kube, istioNamespace, prometheusName, meshWait,
		"get the image into Docker (`docker pull`, `docker load`), from where kindlab takes it, or name another with --prometheus-image; then run `kindlab up` again"); err != nil {
		return "", err
	}
	detail = fmt.Sprintf("Prometheus, in the cluster at http://%s.%s:%d", prometheusName, istioNamespace, prometheusPort)
	if there {
		detail += ", there already"
	}
	return detail, nil
}

// metricsRunning says in words which Prometheus there is.
func metricsRunning(ctx context.Context, kube kubernetes.Interface) string {
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	d, err := kube.AppsV1().Deployments(istioNamespace).Get(ctx, prometheusName, metav1.GetOptions{})
	switch {
	case isGone(err):
		return noMesh
	case err != nil:
		return "unknown"
	case !available(d):
		return "Prometheus, not ready: run `kindlab up`"
	}
	return strings.TrimSpace("Prometheus " + tagIn(d, prometheusName))
}

// removeMetrics removes what of Prometheus is in no namespace. The rest goes with that
// of Istio.
func (e *Environment) removeMetrics(ctx context.Context, kube kubernetes.Interface) (found bool, err error) {
	ours := metav1.ListOptions{LabelSelector: PartLabel + "=" + metricsPart}
	bindings, err := kube.RbacV1().ClusterRoleBindings().List(ctx, ours)
	if err != nil {
		return false, fmt.Errorf("looking for the rights of Prometheus: %w", err)
	}
	for _, b := range bindings.Items {
		e.Report.Echo("kubectl delete clusterrolebinding " + b.Name)
		if err := kube.RbacV1().ClusterRoleBindings().Delete(ctx, b.Name, metav1.DeleteOptions{}); err != nil && !isGone(err) {
			return found, fmt.Errorf("removing ClusterRoleBinding %s: %w", b.Name, err)
		}
		found = true
	}
	roles, err := kube.RbacV1().ClusterRoles().List(ctx, ours)
	if err != nil {
		return found, fmt.Errorf("looking for the rights of Prometheus: %w", err)
	}
	for _, r := range roles.Items {
		e.Report.Echo("kubectl delete clusterrole " + r.Name)
		if err := kube.RbacV1().ClusterRoles().Delete(ctx, r.Name, metav1.DeleteOptions{}); err != nil && !isGone(err) {
			return found, fmt.Errorf("removing ClusterRole %s: %w", r.Name, err)
		}
		found = true
	}
	return found, nil
}
