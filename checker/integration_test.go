//go:build e2e

package checker

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// A cluster is a real cluster with a probe pod and an image registry.
type cluster struct {
	k        *kube
	target   Target // without a lab and a namespace
	tools    string // an image with a shell
	hello    string // the sample app's image
	registry string
	prefix   string
}

// newCluster needs KINDLAB_TEST_KUBECONFIG; the nodes must have the images
// KINDLAB_TEST_TOOLS (with sh) and KINDLAB_TEST_HELLO (the sample app).
func newCluster(t *testing.T) *cluster {
	file := os.Getenv("KINDLAB_TEST_KUBECONFIG")
	if file == "" {
		t.Skip("KINDLAB_TEST_KUBECONFIG names no cluster")
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	require.NoError(t, err)
	k, err := newKube(config)
	require.NoError(t, err)
	w := &cluster{k: k, prefix: fmt.Sprintf("chk-%d", time.Now().UnixMilli()%1_000_000),
		tools: cmp.Or(os.Getenv("KINDLAB_TEST_TOOLS"), "busybox:1.37"),
		hello: cmp.Or(os.Getenv("KINDLAB_TEST_HELLO"), "localhost:5001/hello:v1")}

	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	w.registry = strings.TrimPrefix(server.URL, "http://")
	for _, tag := range []string{"v1", "v2"} {
		require.NoError(t, crane.Push(empty.Image, w.registry+"/hello:"+tag))
	}
	w.namespace(t, w.prefix+"-probe", nil)
	w.apply(t, w.prefix+"-probe", `
apiVersion: v1
kind: Pod
metadata: {name: probe}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: probe, image: HELLO, args: [client]}]`)
	w.target = Target{Cluster: config, Registry: w.registry, Attendee: w.prefix,
		Probe: Probe{Namespace: w.prefix + "-probe", Pod: "probe", Container: "probe"}}
	require.Eventually(t, func() bool {
		p, err := k.typed.CoreV1().Pods(w.target.Probe.Namespace).Get(t.Context(), "probe", metav1.GetOptions{})
		return err == nil && isReady(p)
	}, time.Minute, 200*time.Millisecond)
	return w
}

func (w *cluster) namespace(t *testing.T, name string, labels map[string]string) {
	_, err := w.k.typed.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		now := int64(0)
		_ = w.k.typed.CoreV1().Namespaces().Delete(context.Background(), name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	})
	require.Eventually(t, func() bool {
		_, err := w.k.typed.CoreV1().ServiceAccounts(name).Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil
	}, time.Minute, 50*time.Millisecond)
}

func (w *cluster) apply(t *testing.T, namespace, manifests string) {
	manifests = strings.NewReplacer("TOOLS", w.tools, "HELLO", w.hello, "REGISTRY", w.registry).Replace(manifests)
	for _, doc := range strings.Split(manifests, "\n---") {
		var o unstructured.Unstructured
		require.NoError(t, yaml.Unmarshal([]byte(doc), &o.Object), doc)
		of, err := w.k.resource(t.Context(), o.GetAPIVersion(), o.GetKind(), namespace)
		require.NoError(t, err)
		_, err = of.Create(t.Context(), &o, metav1.CreateOptions{})
		require.NoError(t, err, doc)
	}
}

// deployment is a manifest; more is indented as fields of its only container,
// pod as fields of the pod.
func deployment(image, more, pod string) string {
	return `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  progressDeadlineSeconds: 600
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      ` + pod + `
      containers:
      - name: web
        image: ` + image + `
        ` + more + "\n"
}

func service(selector, port, target string) string {
	return `
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: ` + selector + `
  ports: [{port: ` + port + `, targetPort: ` + target + `}]`
}

func TestBrokenStates(t *testing.T) {
	w := newCluster(t)
	ready := `ports: [{containerPort: 3000, name: http}]
        readinessProbe: {httpGet: {path: /readyz, port: 3000}, periodSeconds: 1}`
	fine := deployment("HELLO", ready, "")
	for _, state := range []struct {
		name, manifests string
		service         int // the port of Service web to ask about; 0 for Deployment web
		because         string
		nearest         string
	}{
		{"all-is-well", fine, 0, "", ""},
		{"near-name", strings.Replace(fine, "name: web}", "name: wbe}", 1), 0, "has no Deployment web", "there is a Deployment wbe"},
		{"scaled-to-0", strings.Replace(fine, "replicas: 2", "replicas: 0", 1), 0, "Deployment web is scaled to 0 replicas", ""},
		{"paused", strings.Replace(fine, "replicas: 2", "replicas: 2\n  paused: true", 1), 0, "is paused, so its last change is not rolled out", ""},
		{"quota", `
apiVersion: v1
kind: ResourceQuota
metadata: {name: few}
spec: {hard: {pods: "1"}}
---` + fine, 0, "ResourceQuota few allows pods=1, and pods=1 is used already", ""},
		{"quota-needs-limits", `
apiVersion: v1
kind: ResourceQuota
metadata: {name: cpu}
spec: {hard: {limits.cpu: "1"}}
---` + fine, 0, "ResourceQuota cpu asks every container to say limits.cpu", ""},
		{"limit-range", `
apiVersion: v1
kind: LimitRange
metadata: {name: small}
spec: {limits: [{type: Container, max: {memory: 64Mi}}]}
---` + deployment("HELLO", "resources: {limits: {memory: 1Gi}}", ""), 0, "a LimitRange refuses the pods: maximum memory usage per Container is 64Mi", ""},
		{"service-account", deployment("HELLO", "", "serviceAccountName: defualt"), 0, "there is no ServiceAccount defualt", "there is a ServiceAccount default"},
		{"cpu", deployment("HELLO", "resources: {requests: {cpu: 64}}", ""), 0, ", which asks for 64", ""},
		{"node-selector", deployment("HELLO", "", "nodeSelector: {kubernetes.io/os: linx}"), 0, "wants a node with kubernetes.io/os=linx", "kubernetes.io/os=linux"},
		{"image-tag", deployment("REGISTRY/hello:v3", "", ""), 0, "has no hello:v3", "it has hello:v1 and v2"},
		{"image-name", deployment("REGISTRY/helo:v1", "", ""), 0, "has no image helo", "it has hello"},
		{"image-without-registry", deployment("hello:v2", "imagePullPolicy: Always", ""), 0, "has no registry in it, so the cluster looks on Docker Hub", "has hello:v1 and v2"},
		{"image-invalid", deployment("Hello:v1", "", ""), 0, `"Hello:v1" is not the name of an image`, ""},
		{"no-config-map", `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: teal}
---` + deployment("HELLO", "envFrom: [{configMapRef: {name: setings}}]", ""), 0, "there is no ConfigMap setings", "there is a ConfigMap settings"},
		{"no-key", `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: teal}
---` + deployment("HELLO", "env: [{name: C, valueFrom: {configMapKeyRef: {name: settings, key: color}}}]", ""), 0, "ConfigMap settings has no key color", "it has colour"},
		{"no-mounted-secret", deployment("HELLO", "volumeMounts: [{name: s, mountPath: /s}]", "volumes: [{name: s, secret: {secretName: token}}]"), 0, "there is no Secret token", ""},
		{"crash", deployment("TOOLS", `command: [sh, -c, "echo BACKEND_URL is missing >&2; exit 3"]`, ""), 0, `exit code 3; its last words: "BACKEND_URL is missing"`, ""},
		{"ends", deployment("TOOLS", `command: ["true"]`, ""), 0, "ends with exit code 0: its command is done", ""},
		{"no-command", deployment("TOOLS", `command: [serv]`, ""), 0, "there is no command serv in its image", ""},
		{"oom", deployment("TOOLS", `command: [sh, -c, "sleep 1; tail /dev/zero"]
        resources: {limits: {memory: 24Mi}}`, ""), 0, "needs more memory than its limit of 24Mi", ""},
		{"init-crash", deployment("HELLO", "", `initContainers: [{name: wait, image: TOOLS, command: [sh, -c, "echo no database; exit 1"]}]`), 0, `init container wait ends with exit code 1; its last words: "no database"`, ""},
		{"probe-port", deployment("HELLO", strings.Replace(ready, "port: 3000}, p", "port: 8081}, p", 1), ""), 0, "its readiness probe asks for /readyz on port 8081 and gets connection refused", "the container declares port 3000"},
		{"probe-path", deployment("HELLO", strings.Replace(ready, "/readyz", "/redyz", 1), ""), 0, "its readiness probe asks for /redyz on port 3000 and gets HTTP 404", ""},
		{"liveness", deployment("TOOLS", `command: [sh, -c, "sleep 600"]
        livenessProbe: {exec: {command: [cat, /alive]}, periodSeconds: 1, failureThreshold: 1}`, ""), 0, `its liveness probe runs "cat /alive", which fails`, ""},
		{"stuck", strings.Replace(strings.Replace(fine, "/readyz", "/redyz", 1), "600", "3", 1), 0, "its readiness probe asks for /redyz", ""},

		{"service-fine", fine + service("{app: web}", "80", "3000"), 80, "", ""},
		{"service-missing", fine + strings.Replace(service("{app: web}", "80", "3000"), "name: web", "name: wep", 1), 80, "has no Service web", "there is a Service wep"},
		{"service-port", fine + service("{app: web}", "3000", "3000"), 80, "Service web has no port 80", "it has port 3000"},
		{"service-selector", fine + service("{app: wbe}", "80", "3000"), 80, "Service web selects app=wbe, and no pod has that label", "2 ready pods have app=web"},
		{"service-selector-key", fine + service("{name: web}", "80", "3000"), 80, "Service web selects name=web, and no pod has that label", "2 ready pods have app=web"},
		{"service-not-ready", strings.Replace(fine, "/readyz", "/redyz", 1) + service("{app: web}", "80", "3000"), 80, "its readiness probe asks for /redyz", ""},
		{"service-no-replicas", strings.Replace(fine, "replicas: 2", "replicas: 0", 1) + service("{app: web}", "80", "3000"), 80, "Deployment web is scaled to 0 replicas", ""},
		{"service-target-name", fine + service("{app: web}", "80", "htp"), 80, `leads to the port named "htp", and no container names a port so`, `port 3000 named "http"`},
		{"service-target-number", fine + service("{app: web}", "80", "80"), 80, "port 80 of Service web leads to port 80 of its pods, and nothing listens there", "the pods answer on port 3000"},
		{"service-loopback", deployment("HELLO", "env: [{name: LISTEN_HOST, value: 127.0.0.1}]\n        ports: [{containerPort: 3000}]", "") + service("{app: web}", "80", "3000"), 80, "listens on port 3000 of 127.0.0.1 only", ""},
		{"service-undeclared-loopback", deployment("TOOLS", "command: [httpd, -f, -p, \"127.0.0.1:3000\"]", "") + service("{app: web}", "80", "3000"), 80, "listens on port 3000 of 127.0.0.1 only", ""},
		{"policy", fine + service("{app: web}", "80", "3000") + `
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}`, 80, "NetworkPolicy closed limits who may talk to them", ""},
	} {
		t.Run(state.name, func(t *testing.T) {
			t.Parallel()
			ns := w.prefix + "-" + state.name
			w.namespace(t, ns, map[string]string{attendeeLabel: w.prefix, labLabel: "one"})
			target := w.target
			target.Namespace, target.Lab = ns, &labs.Lab{ID: "one"}
			w.apply(t, ns, state.manifests)

			var f labs.Finding
			assert.EventuallyWithT(t, func(c *assert.CollectT) {
				if state.service != 0 {
					f = whyNoAnswer(t.Context(), w.k, &target, ns, "web", state.service)
				} else {
					f = whyNotReady(t.Context(), w.k, &target, "Deployment", ns, "web")
				}
				assert.Contains(c, f.Because, state.because)
				assert.Contains(c, f.Nearest, state.nearest)
				if state.because == "" {
					assert.Equal(c, labs.Finding{}, f)
				}
			}, 2*time.Minute, 500*time.Millisecond)
			t.Logf("%s:\n\t%s", state.name, strings.Join(f.Lines(), "\n\t"))
		})
	}
}

// TestWrongNamespace has the objects of one lab in the namespace of another.
func TestWrongNamespace(t *testing.T) {
	w := newCluster(t)
	w.namespace(t, w.prefix+"-one", map[string]string{attendeeLabel: w.prefix, labLabel: "one"})
	w.namespace(t, w.prefix+"-two", map[string]string{attendeeLabel: w.prefix, labLabel: "two"})
	w.namespace(t, w.prefix+"-bob", map[string]string{attendeeLabel: "bob", labLabel: "one"})
	w.apply(t, w.prefix+"-two", deployment("HELLO", "", ""))
	w.apply(t, w.prefix+"-bob", service("{app: web}", "80", "3000")[len("\n---"):])
	target := w.target
	target.Namespace, target.Lab = w.prefix+"-one", &labs.Lab{ID: "one"}

	f := whyNotReady(t.Context(), w.k, &target, "Deployment", target.Namespace, "web")
	assert.Equal(t, "there is one in namespace "+w.prefix+"-two, which is that of lab two", f.Nearest)
	assert.Equal(t, "`kindlab shell one`", f.Look)
	f = whyNoAnswer(t.Context(), w.k, &target, target.Namespace, "web", 80)
	assert.Empty(t, f.Nearest, "another attendee's objects are nobody's business")
}

const kinds = `---
title: Kinds
goal: See each kind
minutes: 5
needs: [cluster]
---
# Kinds

## All
` + "```check" + `
id: scaled
that: web runs 2 ready replicas
hint: Look again.
object:
  apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web}
  spec: {template: {spec: {containers: [{name: web, ports: [{containerPort: 3000}]}]}}}
  status: {readyReplicas: 2}
` + "```\n```check" + `
id: pods
that: both pods are of web
hint: Look again.
cel:
  object: {apiVersion: apps/v1, kind: Deployment, name: web}
  with: {pods: {apiVersion: v1, kind: Pod, labels: {app: web}}}
  true: size(pods) == object.spec.replicas && pods.all(p, p.status.phase == "Running")
  got: string(size(pods)) + " pods"
` + "```\n```check" + `
id: answers
that: web answers
hint: Look again.
http:
  url: http://web/
  from: cluster
  expect:
  - that: an answer that is no error
    true: status == 200 && size(answers) == 1
` + "```\n```check" + `
id: named
that: web has its address
hint: Look again.
dns: {name: web, service: web}
` + "```\n"

// TestWatchReal follows a learner who creates, breaks and mends a Service.
func TestWatchReal(t *testing.T) {
	w := newCluster(t)
	ns := w.prefix + "-watch"
	w.namespace(t, ns, map[string]string{attendeeLabel: w.prefix, labLabel: "kinds"})
	target := w.target
	target.Namespace, target.Lab = ns, loadLab(t, kinds)
	e, err := NewEngine(&target, func() labs.Progress { return nil })
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan []labs.Verdict, 100)
	ended := make(chan struct{})
	go func() { e.Watch(ctx, func(v []labs.Verdict) { sent <- v }); close(ended) }()
	until := func(what string, want map[string]labs.State) {
		t.Helper()
		begin, limit := time.Now(), time.After(time.Minute)
		for {
			select {
			case vs := <-sent:
				as, text := true, &bytes.Buffer{}
				for _, v := range vs {
					as = as && (want[v.Check] == "" || want[v.Check] == v.State)
					fmt.Fprintf(text, "\n  %s %s %s", v.State, v.Check, strings.Join(v.Lines(), " | "))
				}
				t.Logf("%s, after %s:%s", what, time.Since(begin).Round(time.Millisecond), text)
				if as {
					return
				}
			case <-limit:
				t.Fatalf("%s: not in time", what)
			}
		}
	}
	until("nothing there", map[string]labs.State{"scaled": labs.Failing, "pods": labs.Failing, "answers": labs.Failing, "named": labs.Failing})
	w.apply(t, ns, deployment("HELLO", "ports: [{containerPort: 3000}]", "")+service("{app: web}", "80", "3000"))
	until("created", map[string]labs.State{"scaled": labs.Passed, "pods": labs.Passed, "answers": labs.Passed, "named": labs.Passed})
	services := w.k.typed.CoreV1().Services(ns)
	s, err := services.Get(t.Context(), "web", metav1.GetOptions{})
	require.NoError(t, err)
	s.Spec.Selector = map[string]string{"app": "helo"}
	s, err = services.Update(t.Context(), s, metav1.UpdateOptions{})
	require.NoError(t, err)
	until("broken", map[string]labs.State{"answers": labs.Failing, "scaled": labs.Passed})
	s.Spec.Selector = map[string]string{"app": "web"}
	_, err = services.Update(t.Context(), s, metav1.UpdateOptions{})
	require.NoError(t, err)
	until("mended", map[string]labs.State{"answers": labs.Passed})
	cancel()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("Watch does not end")
	}
}
