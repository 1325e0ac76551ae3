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
	w.target = Target{Cluster: config, Registry: w.registry, Attendee: w.prefix, Probe: Probe{Namespace: "kindlab-system", Name: "probe"}}
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
