//go:build e2e

package checker

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

const (
	namedWithin = 2 * time.Minute // for a cause to be named: some show only after a few restarts
	aimedShare  = 0.95            // of the states whose cause is named
)

// TestBroken makes the states of the corpus on the real engines and looks whether
// the first finding names the true cause. KINDLAB_TEST_BROKEN=N takes N states of
// each family, all of which must be named; KINDLAB_TEST_FAMILY and
// KINDLAB_TEST_STATE (a regular expression) choose; KINDLAB_TEST_AT_ONCE is how
// many are made at a time.
func TestBroken(t *testing.T) {
	w := newCluster(t)
	docker, err := client.New(client.FromEnv)
	require.NoError(t, err)
	w.target.Docker = docker
	most, _ := strconv.Atoi(os.Getenv("KINDLAB_TEST_BROKEN"))
	atOnce, _ := strconv.Atoi(os.Getenv("KINDLAB_TEST_AT_ONCE"))
	if atOnce < 1 {
		atOnce = 4
	}
	family, state := os.Getenv("KINDLAB_TEST_FAMILY"), regexp.MustCompile(os.Getenv("KINDLAB_TEST_STATE"))
	noMesh := w.noMesh(t)
	if family == meshFamily {
		require.Empty(t, noMesh)
	}
	taken := map[string]int{}
	var all []broken
	for _, b := range readBroken(t) {
		if family != "" && b.family != family || !state.MatchString(b.name) || most > 0 && taken[b.family] == most {
			continue
		}
		if b.family == meshFamily && noMesh != "" {
			continue
		}
		taken[b.family]++
		all = append(all, b)
	}
	var mu sync.Mutex
	named, missed, heard := map[string]int{}, []string{}, []string{}
	if noMesh != "" && family == "" {
		t.Logf("family %s is left out: %s", meshFamily, noMesh)
	}
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, b := range all {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			said, ok := w.named(t, b, i)
			mu.Lock()
			defer mu.Unlock()
			if ok {
				named[b.family]++
				heard = append(heard, fmt.Sprintf("%s/%s: %s\n    %s", b.family, b.name, b.Says, strings.ReplaceAll(said, "\n", "\n    ")))
			} else {
				missed = append(missed, fmt.Sprintf("%s/%s: %s\n    wants %s\n    %s", b.family, b.name, b.Says, b.Cause, strings.ReplaceAll(said, "\n", "\n    ")))
			}
		})
	}
	wg.Wait()
	slices.Sort(missed)
	slices.Sort(heard)
	t.Logf("what is said of each:\n%s", strings.Join(heard, "\n"))
	sum := 0
	var table strings.Builder
	for _, f := range slices.Sorted(maps.Keys(taken)) {
		fmt.Fprintf(&table, "%-12s %3d of %3d\n", f, named[f], taken[f])
		sum += named[f]
	}
	t.Logf("states whose first finding names the cause:\n%s%-12s %3d of %3d, %.1f %%\n\n%s", table.String(), "all", sum, len(all), 100*float64(sum)/float64(max(1, len(all))), strings.Join(missed, "\n"))
	require.NotEmpty(t, all)
	if most > 0 {
		require.Empty(t, missed)
	}
	require.GreaterOrEqual(t, float64(sum), aimedShare*float64(len(all)))
}

// noMesh says why the cluster has no mesh; empty when it has one.
func (w *cluster) noMesh(t *testing.T) string {
	if _, err := w.k.resource(t.Context(), meshNetworking, "VirtualService", metav1.NamespaceAll); meta.IsNoMatchError(err) {
		return "the cluster has no VirtualServices: it has no Istio"
	} else {
		require.NoError(t, err)
	}
	if _, err := w.k.typed.AppsV1().Deployments(meshRoot).Get(t.Context(), "istiod", metav1.GetOptions{}); apierrors.IsNotFound(err) {
		return "the cluster has no Deployment istiod in namespace " + meshRoot
	} else {
		require.NoError(t, err)
	}
	return ""
}

// make makes a state, and an engine that looks at it.
func (w *cluster) make(t *testing.T, b broken, name string) (*Engine, error) {
	namespace := name
	fill := strings.NewReplacer("${HELLO}", w.hello, "${TOOLS}", w.tools, "${REGISTRY}", w.registry, "${NAME}", name, "${NAMESPACE}", namespace)
	target := w.target
	target.Namespace, target.Attendee, target.Lab = namespace, name, b.lab(t, fill)
	target.Lab.ID = "e2e"
	target.Work = t.TempDir()
	if b.family != "docker" {
		l := map[string]string{attendeeLabel: name, labLabel: "e2e"}
		if b.family == meshFamily {
			l[injectLabel] = "enabled"
		}
		w.namespace(t, namespace, l)
	}
	if err := w.create(t.Context(), namespace, fill.Replace(b.Objects)); err != nil {
		return nil, fmt.Errorf("making its objects: %w", err)
	}
	if out, err := w.script(t, &target, fill.Replace(b.Run)); err != nil {
		return nil, fmt.Errorf("its script: %w: %s", err, out)
	}
	if b.family == meshFamily {
		w.settle(t, namespace)
	}
	return NewEngine(&target, func() labs.Progress { return nil })
}

// settle waits until the pods of a namespace are there and the proxies have heard of its
// objects. Before that requests go wrong for other reasons than the state's own.
func (w *cluster) settle(t *testing.T, namespace string) {
	for limit := time.Now().Add(namedWithin); time.Now().Before(limit) && t.Context().Err() == nil; pause(t.Context(), 500*time.Millisecond) {
		list, err := w.k.typed.AppsV1().Deployments(namespace).List(t.Context(), metav1.ListOptions{})
		if err == nil && !slices.ContainsFunc(list.Items, func(d appsv1.Deployment) bool { return d.Status.AvailableReplicas == 0 }) {
			break
		}
	}
	pause(t.Context(), 3*time.Second)
}

// unmake removes what a state has left.
func (w *cluster) unmake(b broken, name string) {
	if b.family == "docker" {
		cleanDocker(name)
		return
	}
	own, err := w.k.typed.CoreV1().Namespaces().List(context.Background(), metav1.ListOptions{LabelSelector: attendeeLabel + "=" + name})
	if err != nil {
		w.drop(name)
		return
	}
	for _, ns := range own.Items {
		w.drop(ns.Name)
	}
}

// named makes a state and looks until the cause is named, two times in a row.
func (w *cluster) named(t *testing.T, b broken, n int) (said string, ok bool) {
	name := fmt.Sprintf("%s-%d", w.prefix, n)
	defer w.unmake(b, name)
	e, err := w.make(t, b, name)
	if err != nil {
		return err.Error(), false
	}
	cause, look := regexp.MustCompile(b.Cause), regexp.MustCompile(b.Look)
	times := 0
	for limit := time.Now().Add(namedWithin); time.Now().Before(limit) && t.Context().Err() == nil; pause(t.Context(), time.Second) {
		v := e.Check(t.Context())[0]
		said = string(v.State) + "\n" + strings.Join(v.Lines(), "\n")
		if len(v.Findings) > 0 && cause.MatchString(saysOf(v.Findings[0])) && look.MatchString(v.Findings[0].Look) {
			times++
		} else {
			times = 0
		}
		if times == 2 {
			return said, true
		}
	}
	return said, false
}

// TestRightMesh makes a state of the mesh in which nothing is wrong: no rule may find
// anything, and every call gets what it wants.
func TestRightMesh(t *testing.T) {
	w := newCluster(t)
	if why := w.noMesh(t); why != "" {
		t.Skip(why)
	}
	b, name := readState(t, os.DirFS("testdata"), "right/mesh/shop.yaml"), w.prefix+"-right"
	defer w.unmake(b, name)
	e, err := w.make(t, b, name)
	require.NoError(t, err)
	for limit := time.Now().Add(namedWithin); ; pause(t.Context(), time.Second) {
		v := e.Check(t.Context())[0]
		if v.State == labs.Passed {
			break
		}
		require.True(t, time.Now().Before(limit), "%s\n%s", v.State, strings.Join(v.Lines(), "\n"))
	}
	objects, err := readMesh(t.Context(), w.k, name)
	require.NoError(t, err)
	require.Empty(t, objects.faults(name))
}

// saysOf is what a finding says of the cause.
func saysOf(f labs.Finding) string {
	if f.Because != "" {
		return f.Because
	}
	return f.Got + "; " + f.Nearest
}

func (w *cluster) create(ctx context.Context, namespace, manifests string) error {
	for _, doc := range regexp.MustCompile(`(?m)^---\n`).Split(manifests, -1) {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		var o map[string]any
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			return fmt.Errorf("%w:\n%s", err, doc)
		}
		version, _ := o["apiVersion"].(string)
		kind, _ := o["kind"].(string)
		of, err := w.k.resource(ctx, version, kind, namespace)
		if err != nil {
			return err
		}
		if _, err := of.Create(ctx, &unstructured.Unstructured{Object: o}, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func (w *cluster) drop(namespace string) {
	now := int64(0)
	_ = w.k.typed.CoreV1().Namespaces().Delete(context.Background(), namespace, metav1.DeleteOptions{GracePeriodSeconds: &now})
	_ = w.k.typed.CoreV1().Pods(namespace).DeleteCollection(context.Background(), metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{})
}

// script runs a state's script in its work folder.
func (w *cluster) script(t *testing.T, target *Target, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	home := t.TempDir()
	file := filepath.Join(home, "config")
	config, err := clientcmd.LoadFromFile(os.Getenv("KINDLAB_TEST_KUBECONFIG"))
	require.NoError(t, err)
	config.Contexts[config.CurrentContext].Namespace = target.Namespace
	require.NoError(t, clientcmd.WriteToFile(*config, file))
	cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", text)
	cmd.Dir = target.Work
	cmd.Env = append(os.Environ(), "KUBECONFIG="+file, "HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home, "DOCKER_BUILDKIT=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// cleanDocker removes what a state has left in the Docker Engine.
func cleanDocker(name string) {
	own := "label=" + attendeeLabel + "=" + name
	sh := func(text string) { _ = exec.Command("sh", "-c", text).Run() }
	sh("docker rm -f $(docker ps -aq --filter " + own + ") " + name + "-web")
	sh("docker rmi -f $(docker images -aq --filter " + own + ")")
	sh("docker network rm " + name + "-net; docker volume rm " + name + "-vol")
}
