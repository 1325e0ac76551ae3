//go:build e2e && bench

package checker

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Nothing here passes or fails by its time: the figures are for people to read.

func benchCluster(b *testing.B) (*rest.Config, kubernetes.Interface) {
	file := os.Getenv("KINDLAB_TEST_KUBECONFIG")
	if file == "" {
		b.Skip("KINDLAB_TEST_KUBECONFIG names no cluster")
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	require.NoError(b, err)
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	require.NoError(b, err)
	return config, client
}

func benchNamespace(b *testing.B, client kubernetes.Interface, name string, labels map[string]string) {
	_, err := client.CoreV1().Namespaces().Create(b.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
	require.NoError(b, err)
	b.Cleanup(func() {
		_ = client.CoreV1().Namespaces().Delete(context.Background(), name, metav1.DeleteOptions{})
	})
}

// assertion is one of the assertions that all programs make, as each of them writes it.
func assertion(i int) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map-%d\ndata:\n  colour: teal\n  number: \"%d\"\n", i, i)
}

// BenchmarkAssertions has kindlab, chainsaw and kuttl make the same 40 assertions on
// objects of one cluster: whole processes, in turn, and the median of the ratios.
// KINDLAB_BENCH_KINDLAB, _CHAINSAW and _KUTTL are the programs; one that is not
// named is left out.
func BenchmarkAssertions(b *testing.B) {
	_, client := benchCluster(b)
	const n, rounds = 40, 9
	prefix := fmt.Sprintf("bench%d", time.Now().UnixMilli()%100_000)
	namespace := prefix + "-assert"
	benchNamespace(b, client, namespace, nil)
	dir := b.TempDir()
	write := func(name, text string) {
		file := filepath.Join(dir, name)
		require.NoError(b, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(b, os.WriteFile(file, []byte(text), 0o644))
	}
	page := &strings.Builder{}
	page.WriteString("---\ntitle: Assert\ngoal: G\nminutes: 1\nneeds: [cluster]\n---\n# Assert\n")
	asserts := &strings.Builder{}
	for i := range n {
		_, err := client.CoreV1().ConfigMaps(namespace).Create(b.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("map-%d", i)},
			Data: map[string]string{"colour": "teal", "number": fmt.Sprint(i)}}, metav1.CreateOptions{})
		require.NoError(b, err)
		fmt.Fprintf(page, "\n## Task %d\n```check\nid: c%d\nthat: it is so %d\nhint: look\nobject:\n  %s```\n", i, i, i, strings.ReplaceAll(assertion(i), "\n", "\n  "))
		asserts.WriteString("---\n" + assertion(i))
	}
	write("course/course.yaml", "title: T\ngoal: G\nlabs: [assert]\n")
	write("course/assert/lab.md", strings.ReplaceAll(page.String(), "\n  ```", "\n```"))
	write("chainsaw/asserts/asserts.yaml", asserts.String())
	write("chainsaw/asserts/chainsaw-test.yaml", "apiVersion: chainsaw.kyverno.io/v1alpha1\nkind: Test\nmetadata: {name: asserts}\nspec:\n  namespace: "+namespace+"\n  steps:\n  - try:\n    - assert: {file: asserts.yaml}\n")
	write("kuttl/asserts/00-assert.yaml", asserts.String())
	config := os.Getenv("KINDLAB_TEST_KUBECONFIG")
	type program struct {
		name, path string
		args       []string
	}
	programs := []program{
		{"kindlab", os.Getenv("KINDLAB_BENCH_KINDLAB"), []string{"check", "assert", "--course", filepath.Join(dir, "course")}},
		{"chainsaw", os.Getenv("KINDLAB_BENCH_CHAINSAW"), []string{"test", filepath.Join(dir, "chainsaw")}},
		{"kuttl", os.Getenv("KINDLAB_BENCH_KUTTL"), []string{"test", filepath.Join(dir, "kuttl"), "--namespace", namespace, "--skip-delete"}},
	}
	programs = slices.DeleteFunc(programs, func(p program) bool { return p.path == "" })
	took := map[string][]time.Duration{}
	for round := range rounds {
		for _, p := range programs {
			cmd := exec.Command(p.path, p.args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "KUBECONFIG="+config, "KINDLAB_ATTENDEE="+prefix)
			begin := time.Now()
			out, err := cmd.CombinedOutput()
			require.NoError(b, err, "%s: %s", p.name, out)
			if round > 0 { // the first one warms the disk
				took[p.name] = append(took[p.name], time.Since(begin))
			}
		}
	}
	for _, p := range programs {
		var ratios []float64
		for i, d := range took[p.name] {
			ratios = append(ratios, float64(took["kindlab"][i])/float64(d))
		}
		b.Logf("%-9s median %8s, kindlab takes %.3f of it", p.name, middle(took[p.name]).Round(time.Millisecond), middle(ratios))
	}
}

func middle[T time.Duration | float64](of []T) T {
	sorted := slices.Sorted(slices.Values(of))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)/2]
}

// quantile is the value below which a share of the values are.
func quantile(of []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// BenchmarkEventToVerdict changes an object and takes the time from the event, as
// another watch of the API server tells it, to the verdict.
func BenchmarkEventToVerdict(b *testing.B) {
	config, client := benchCluster(b)
	namespace := fmt.Sprintf("bench%d-event", time.Now().UnixMilli()%100_000)
	benchNamespace(b, client, namespace, nil)
	maps := client.CoreV1().ConfigMaps(namespace)
	_, err := maps.Create(b.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Data: map[string]string{"n": "0"}}, metav1.CreateOptions{})
	require.NoError(b, err)
	lab := loadLab(b, "---\ntitle: T\ngoal: G\nminutes: 1\nneeds: [cluster]\n---\n# T\n\n## Do\n```check\nid: it\nthat: it is so\nhint: look\nobject: {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {n: \"-1\"}}\n```\n")
	e, err := NewEngine(&Target{Lab: lab, Namespace: namespace, Cluster: config}, func() labs.Progress { return nil })
	require.NoError(b, err)
	verdicts := make(chan string, 10)
	go e.Watch(b.Context(), func(vs []labs.Verdict) { verdicts <- vs[0].Findings[0].Got })
	<-verdicts
	w, err := maps.Watch(b.Context(), metav1.SingleObject(metav1.ObjectMeta{Name: "a"}))
	require.NoError(b, err)
	defer w.Stop()
	events := make(chan time.Time, 10)
	go func() {
		for range w.ResultChan() {
			events <- time.Now()
		}
	}()
	<-events // what is there already
	var took []time.Duration
	for i := range 300 {
		time.Sleep(gap + 20*time.Millisecond)
		n := fmt.Sprint(i + 1)
		_, err := maps.Update(b.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Data: map[string]string{"n": n}}, metav1.UpdateOptions{})
		require.NoError(b, err)
		at := <-events
		for got := range verdicts {
			if strings.Contains(got, `"`+n+`"`) {
				break
			}
		}
		took = append(took, max(0, time.Since(at)))
	}
	b.Logf("from the event to the verdict, %d changes: p50 %s, p95 %s, p99 %s", len(took), quantile(took, .5), quantile(took, .95), quantile(took, .99))
}

// BenchmarkClass watches 100 namespaces with 20 checks each, idle, and while 10 of
// them change ten times a second altogether.
func BenchmarkClass(b *testing.B) {
	config, client := benchCluster(b)
	const rooms, checks = 100, 20
	requests := &atomic.Int64{}
	counted := rest.CopyConfig(config)
	counted.Wrap(func(next http.RoundTripper) http.RoundTripper { return counting{next, requests} })
	prefix := fmt.Sprintf("bench%d-class", time.Now().UnixMilli()%100_000)
	page := &strings.Builder{}
	page.WriteString("---\ntitle: T\ngoal: G\nminutes: 1\nneeds: [cluster]\n---\n# T\n")
	for i := range checks {
		kind, rest := "v1\n  kind: ConfigMap", "data: {colour: teal}"
		if i%4 == 0 {
			kind, rest = "apps/v1\n  kind: Deployment", "status: {readyReplicas: 1}"
		} else if i%4 == 1 {
			kind, rest = "v1\n  kind: Service", "spec: {ports: [{port: 80}]}"
		}
		fmt.Fprintf(page, "\n## Task %d\n```check\nid: c%d\nthat: it is so %d\nhint: look\nobject:\n  apiVersion: %s\n  metadata: {name: o%d}\n  %s\n```\n", i, i, i, kind, i, rest)
	}
	lab := loadLab(b, page.String())
	shared := NewWatcher()
	var sent atomic.Int64
	ready := make(chan struct{}, rooms)
	var all sync.WaitGroup
	b.Cleanup(all.Wait)
	ctx, cancel := context.WithCancel(b.Context())
	b.Cleanup(cancel)
	before := usage()
	for i := range rooms {
		name := fmt.Sprintf("%s-%d", prefix, i)
		benchNamespace(b, client, name, nil)
		_, err := client.CoreV1().ConfigMaps(name).Create(b.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "o2"}, Data: map[string]string{"colour": "teal"}}, metav1.CreateOptions{})
		require.NoError(b, err)
		e, err := NewEngine(&Target{Lab: lab, Namespace: name, Cluster: counted, Watcher: shared}, func() labs.Progress { return nil })
		require.NoError(b, err)
		all.Go(func() {
			first := true
			e.Watch(ctx, func(vs []labs.Verdict) {
				sent.Add(1)
				if first && len(vs) == checks {
					first = false
					ready <- struct{}{}
				}
			})
		})
	}
	for range rooms {
		<-ready
	}
	time.Sleep(5 * time.Second)
	b.Logf("start: %d requests, %.1f s of CPU", requests.Load(), (usage() - before).Seconds())
	c, err := shared.cluster(counted)
	require.NoError(b, err)
	c.mu.Lock()
	watches := len(c.streams)
	c.mu.Unlock()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	measure := func(what string, d time.Duration) {
		n, s, cpu := requests.Load(), sent.Load(), usage()
		time.Sleep(d)
		b.Logf("%s: %.1f requests/s, %.1f verdict lists/s, %.1f %% of a CPU", what, float64(requests.Load()-n)/d.Seconds(), float64(sent.Load()-s)/d.Seconds(), 100*(usage()-cpu).Seconds()/d.Seconds())
	}
	b.Logf("%d namespaces, %d checks each: %d watches, %d MiB of heap, %d goroutines", rooms, checks, watches, m.HeapInuse>>20, runtime.NumGoroutine())
	measure("idle", 15*time.Second)
	stop := make(chan struct{})
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			colour := []string{"teal", "plum"}[i/10%2]
			_, _ = client.CoreV1().ConfigMaps(fmt.Sprintf("%s-%d", prefix, i%10)).Update(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "o2"}, Data: map[string]string{"colour": colour}}, metav1.UpdateOptions{})
		}
	}()
	measure("10 namespaces change", 15*time.Second)
	close(stop)
}

// usage is the CPU time of this process.
func usage() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
