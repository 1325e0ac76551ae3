//go:build e2e

package checker

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// A room is a namespace of a real cluster, with an engine that watches it.
type room struct {
	*testing.T
	config    *rest.Config // of the engine
	client    kubernetes.Interface
	namespace string
	requests  *atomic.Int64 // that the engine has sent
}

func newRoom(t *testing.T) *room {
	file := os.Getenv("KINDLAB_TEST_KUBECONFIG")
	if file == "" {
		t.Skip("KINDLAB_TEST_KUBECONFIG names no cluster")
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	require.NoError(t, err)
	config.QPS = -1
	r := &room{T: t, config: rest.CopyConfig(config), requests: &atomic.Int64{}}
	r.client, err = kubernetes.NewForConfig(config)
	require.NoError(t, err)
	ns, err := r.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "chk-engine-"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	r.namespace = ns.Name
	t.Cleanup(func() {
		_ = r.client.CoreV1().Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{})
	})
	r.config.Wrap(func(next http.RoundTripper) http.RoundTripper { return counting{next, r.requests} })
	return r
}

type counting struct {
	next http.RoundTripper
	n    *atomic.Int64
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.next.RoundTrip(r)
}

// engine is an engine for checks that are written as in a lab, one a task.
func (r *room) engine(checks ...string) *Engine {
	var page strings.Builder
	page.WriteString("---\ntitle: T\ngoal: G\nminutes: 1\nneeds: [cluster]\n---\n# T\n")
	for i, c := range checks {
		fmt.Fprintf(&page, "\n## Task %d\n```check\nid: c%d\nthat: it is so %d\nhint: look\n%s\n```\n", i, i, i, c)
	}
	e, err := NewEngine(&Target{Lab: loadLab(r.T, page.String()), Namespace: r.namespace, Cluster: r.config}, func() labs.Progress { return nil })
	require.NoError(r, err)
	return e
}

// An audience keeps what a watched engine sent.
type audience struct {
	mu   sync.Mutex
	sent [][]labs.Verdict
}

func (a *audience) last() []labs.Verdict {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.sent) == 0 {
		return nil
	}
	return a.sent[len(a.sent)-1]
}

func (a *audience) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.sent)
}

// saw are the states of the first check, in order, each once.
func (a *audience) saw() []labs.State {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []labs.State
	for _, vs := range a.sent {
		if s := vs[0].State; len(out) == 0 || out[len(out)-1] != s {
			out = append(out, s)
		}
	}
	return out
}

func (r *room) watch(e *Engine) *audience {
	a := &audience{}
	ctx, cancel := context.WithCancel(r.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.Watch(ctx, func(vs []labs.Verdict) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.sent = append(a.sent, vs)
		})
	}()
	r.Cleanup(func() { cancel(); <-ended })
	require.Eventually(r, func() bool { return a.count() > 0 }, 20*time.Second, 10*time.Millisecond)
	return a
}

func (r *room) configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"of": data["of"]}}, Data: data}
}

const colourIsTeal = "object: {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {colour: teal}}"

func TestWatchedClusterIsAskedNothingWhileNothingChanges(t *testing.T) {
	r := newRoom(t)
	a := r.watch(r.engine(colourIsTeal, "object: {apiVersion: apps/v1, kind: Deployment, metadata: {name: hello}, status: {readyReplicas: 1}}"))
	time.Sleep(time.Second) // what the namespace gets of its own at first
	before := r.requests.Load()
	time.Sleep(4 * time.Second)
	assert.Zero(t, r.requests.Load()-before, "requests while nothing changed")

	maps := r.client.CoreV1().ConfigMaps(r.namespace)
	_, err := maps.Create(t.Context(), r.configMap("a", map[string]string{"colour": "plum"}), metav1.CreateOptions{})
	require.NoError(t, err)
	assert.Eventually(t, func() bool { fs := a.last()[0].Findings; return len(fs) > 0 && strings.Contains(fs[0].Got, "plum") }, 5*time.Second, time.Millisecond)
	_, err = maps.Update(t.Context(), r.configMap("a", map[string]string{"colour": "teal"}), metav1.UpdateOptions{})
	require.NoError(t, err)
	assert.Eventually(t, func() bool { return a.last()[0].State == labs.Passed }, 5*time.Second, time.Millisecond)
	require.NoError(t, maps.Delete(t.Context(), "a", metav1.DeleteOptions{}))
	assert.Eventually(t, func() bool { return a.last()[0].State == labs.Failing }, 5*time.Second, time.Millisecond)
}

func TestEnginesShareTheWatches(t *testing.T) {
	r := newRoom(t)
	shared := NewWatcher()
	for range 5 {
		e := r.engine(colourIsTeal)
		e.target.Watcher = shared
		c, err := shared.cluster(r.config)
		require.NoError(t, err)
		e.cluster = c
		r.watch(e)
	}
	c, _ := shared.cluster(r.config)
	c.mu.Lock()
	defer c.mu.Unlock()
	assert.Equal(t, 5, c.users)
	for gvr := range c.streams {
		assert.Contains(t, []string{"configmaps", "namespaces", "events"}, gvr.Resource, "only what some check has read is watched")
	}
	assert.Len(t, c.index[source{schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, r.namespace, "a"}].listeners, 5)
}

// A cut is a way to the API server that can be closed, or held: it stays open then, and
// nothing passes.
type cut struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	closed   bool
	conns    []net.Conn
	held     sync.RWMutex
}

func newCut(t *testing.T, config *rest.Config) *cut {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cut{listener: l, to: strings.TrimPrefix(config.Host, "https://")}
	t.Cleanup(func() { l.Close(); c.set(true) })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(in)
		}
	}()
	config.Host = "https://" + l.Addr().String()
	return c
}

func (c *cut) carry(in net.Conn) {
	out, err := net.Dial("tcp", c.to)
	c.mu.Lock()
	if err != nil || c.closed {
		c.mu.Unlock()
		in.Close()
		return
	}
	c.conns = append(c.conns, in, out)
	c.mu.Unlock()
	go func() { _, _ = io.Copy(holding{out, &c.held}, in); out.Close() }()
	_, _ = io.Copy(holding{in, &c.held}, out)
	in.Close()
}

type holding struct {
	io.Writer
	held *sync.RWMutex
}

func (h holding) Write(p []byte) (int, error) {
	h.held.RLock()
	defer h.held.RUnlock()
	return h.Writer.Write(p)
}

// set closes the way, or opens it again.
func (c *cut) set(closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = closed
	if closed {
		for _, conn := range c.conns {
			conn.Close()
		}
		c.conns = nil
	}
}

func TestLostClusterIsUnknownAndComesBack(t *testing.T) {
	loses(t, 10*time.Second, func(way *cut) { way.set(true) }, func(way *cut) { way.set(false) })
}

func TestClusterThatHangsIsUnknownAndComesBack(t *testing.T) {
	loses(t, time.Minute, func(way *cut) { way.held.Lock() }, func(way *cut) { way.held.Unlock() })
}

// loses shows that a cluster is unknown while the way to it is lost, and that it comes back.
func loses(t *testing.T, within time.Duration, lose, give func(*cut)) {
	t.Helper()
	r := newRoom(t)
	way := newCut(t, r.config)
	maps := r.client.CoreV1().ConfigMaps(r.namespace)
	_, err := maps.Create(t.Context(), r.configMap("a", map[string]string{"colour": "teal"}), metav1.CreateOptions{})
	require.NoError(t, err)
	a := r.watch(r.engine(colourIsTeal))
	require.Equal(t, []labs.State{labs.Passed}, a.saw())

	lose(way)
	unknown := assert.Eventually(t, func() bool { return a.last()[0].State == labs.Unknown }, within, 10*time.Millisecond)
	reason := a.last()[0].Reason
	give(way) // also when the test ends here
	require.True(t, unknown)
	assert.Contains(t, reason, "the cluster cannot be reached")
	require.Eventually(t, func() bool { return a.last()[0].State == labs.Passed }, within, 10*time.Millisecond)
	assert.Equal(t, []labs.State{labs.Passed, labs.Unknown, labs.Passed}, a.saw(), "it never failed")

	// Changes are seen again, whether their watch is back already or not.
	_, err = maps.Update(t.Context(), r.configMap("a", map[string]string{"colour": "plum"}), metav1.UpdateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return a.last()[0].State == labs.Failing }, 10*time.Second, 10*time.Millisecond)
}

// A rough is a metadata client whose watches break off, and whose events come late,
// twice, and in another order.
type rough struct {
	metadata.Interface
	random *rand.Rand
	mu     *sync.Mutex
}

type roughGetter struct {
	metadata.Getter
	of rough
}

type roughResource struct {
	metadata.ResourceInterface
	of rough
}

func (r rough) Resource(gvr schema.GroupVersionResource) metadata.Getter {
	return roughGetter{r.Interface.Resource(gvr), r}
}

func (g roughGetter) Namespace(ns string) metadata.ResourceInterface {
	return roughResource{g.Getter.Namespace(ns), g.of}
}

func (g roughGetter) Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	return g.of.watch(ctx, g.Getter, o)
}

func (g roughResource) Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	return g.of.watch(ctx, g.ResourceInterface, o)
}

func (r rough) upTo(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.random.IntN(n)
}

func (r rough) watch(ctx context.Context, from interface {
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
}, o metav1.ListOptions) (watch.Interface, error) {
	in, err := from.Watch(ctx, o)
	if err != nil {
		return nil, err
	}
	out := make(chan watch.Event)
	proxy := watch.NewProxyWatcher(out)
	go func() {
		defer close(out)
		defer in.Stop()
		var held []watch.Event
		flush := time.NewTicker(3 * time.Millisecond)
		defer flush.Stop()
		left := 40 + r.upTo(200) // events until it breaks
		for {
			select {
			case <-proxy.StopChan():
				return
			case e, open := <-in.ResultChan():
				if !open {
					return
				}
				if held = append(held, e); e.Type != watch.Bookmark && r.upTo(8) == 0 {
					held = append(held, e)
				}
				if left--; left < 0 && o.SendInitialEvents == nil {
					return
				}
				continue
			case <-flush.C:
			}
			if o.SendInitialEvents == nil { // a first list has an order and an end
				r.mu.Lock()
				r.random.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
				r.mu.Unlock()
			}
			for _, e := range held {
				select {
				case out <- e:
				case <-proxy.StopChan():
					return
				}
			}
			held = nil
		}
	}()
	return proxy, nil
}

// TestIncrementalVerdictsEqualFreshOnes changes objects at random and compares what
// the watching engine says with what a new one says, step by step.
func TestIncrementalVerdictsEqualFreshOnes(t *testing.T) {
	r := newRoom(t)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	steps := 300
	if n := os.Getenv("KINDLAB_TEST_STEPS"); n != "" {
		_, err := fmt.Sscan(n, &steps)
		require.NoError(t, err)
	}
	checks := []string{
		colourIsTeal,
		"object: {apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {colour: plum}}",
		"object: {apiVersion: v1, kind: ConfigMap, metadata: {labels: {of: x}}, data: {colour: teal}}",
		"object: {apiVersion: v1, kind: ConfigMap, metadata: {labels: {of: y}}, data: {colour: amber}}",
		"object: {apiVersion: v1, kind: Secret, metadata: {name: a}}",
		"object: {apiVersion: v1, kind: ServiceAccount, metadata: {name: b}}",
		"needs: [c0]\nobject: {apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {colour: amber}}",
		"cel:\n  object: {apiVersion: v1, kind: ConfigMap, name: a}\n  with: {maps: {apiVersion: v1, kind: ConfigMap, labels: {of: x}}, secrets: {apiVersion: v1, kind: Secret}}\n" +
			"  true: maps.exists(m, m.data.colour == object.data.colour) && secrets.exists(s, s.metadata.name == object.metadata.name)\n" +
			"  got: string(maps.size()) + \" maps, \" + string(secrets.size()) + \" secrets\"",
		"absent: {apiVersion: v1, kind: ConfigMap, metadata: {labels: {of: z}}}",
	}
	e := r.engine(checks...)
	e.cluster.kube.watcher = rough{e.cluster.kube.watcher, rand.New(rand.NewPCG(seed, 2)), &sync.Mutex{}}
	r.watch(e)
	fresh := r.engine(checks...)
	core := r.client.CoreV1()
	names, colours, owners := []string{"a", "b", "c", "d"}, []string{"teal", "plum", "amber"}, []string{"x", "y", "z"}
	pick := func(of []string) string { return of[random.IntN(len(of))] }
	changes := map[string]int{}
	for i := range steps {
		for range 1 + random.IntN(4) {
			name := pick(names)
			switch random.IntN(8) {
			case 0, 1:
				_, err := core.ConfigMaps(r.namespace).Create(t.Context(), r.configMap(name, map[string]string{"colour": pick(colours), "of": pick(owners)}), metav1.CreateOptions{})
				changes[fmt.Sprint("create ", err == nil)]++
			case 2, 3, 4:
				_, err := core.ConfigMaps(r.namespace).Update(t.Context(), r.configMap(name, map[string]string{"colour": pick(colours), "of": pick(owners)}), metav1.UpdateOptions{})
				changes[fmt.Sprint("change ", err == nil)]++
			case 5:
				err := core.ConfigMaps(r.namespace).Delete(t.Context(), name, metav1.DeleteOptions{})
				changes[fmt.Sprint("delete ", err == nil)]++
			case 6:
				_, err := core.Secrets(r.namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
				if err != nil {
					_ = core.Secrets(r.namespace).Delete(t.Context(), name, metav1.DeleteOptions{})
				}
			case 7:
				_, err := core.ServiceAccounts(r.namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
				if err != nil {
					_ = core.ServiceAccounts(r.namespace).Delete(t.Context(), name, metav1.DeleteOptions{})
				}
			}
		}
		want := fresh.Check(t.Context())
		var got []labs.Verdict
		same := func() bool {
			got = e.known()
			for i := range want {
				if !sameVerdict(got[i], want[i]) {
					return false
				}
			}
			return true
		}
		require.Eventually(t, same, 3*time.Second, 2*time.Millisecond, "seed %d, step %d:\n%v\nand not\n%v", seed, i, got, want)
	}
	t.Logf("seed %d: %d steps, changes %v", seed, steps, changes)
	assert.NotZero(t, changes["delete true"])
}
