package checker

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/moby/moby/client"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// A Watcher tells engines that what they have read may have changed. Engines that
// share one, of whatever labs and attendees, share one watch for each kind of
// object of a cluster and one event stream of a Docker Engine. Only what some
// check has read is watched, and only while an engine watches.
type Watcher struct {
	mu       sync.Mutex
	clusters map[string]*clusterWatch
	engines  map[*client.Client]*dockerWatch
}

// NewWatcher makes a watcher. It connects to nothing yet.
func NewWatcher() *Watcher {
	return &Watcher{clusters: map[string]*clusterWatch{}, engines: map[*client.Client]*dockerWatch{}}
}

// cluster is what is known about a cluster, the same for the same configuration.
func (w *Watcher) cluster(config *rest.Config) (*clusterWatch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := "none"
	if config != nil {
		secrets := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%s", config.CAData, config.CertData, config.BearerToken, config.Username))
		id = fmt.Sprintf("%s %x", config.Host, secrets)
	}
	if c := w.clusters[id]; c != nil {
		return c, nil
	}
	k, err := newKube(config)
	if err != nil {
		return nil, err
	}
	c := &clusterWatch{kube: k, index: map[source]*readers{}, streams: map[schema.GroupVersionResource]*stream{}}
	w.clusters[id] = c
	return c, nil
}

// docker is what watches a Docker Engine.
func (w *Watcher) docker(api *client.Client) *dockerWatch {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.engines[api]
	if d == nil {
		d = &dockerWatch{api: api, listeners: map[*listener]bool{}}
		w.engines[api] = d
	}
	return d
}

// A source is something that can be read: one object, all of a namespace (without
// a name), or all of the cluster (without either).
type source struct {
	resource        schema.GroupVersionResource
	namespace, name string
}

// String is the source as kubectl names it.
func (s source) String() string {
	out := s.resource.GroupResource().String()
	if s.name != "" {
		out += " " + s.name
	}
	if s.namespace != "" {
		out += " of namespace " + s.namespace
	}
	return out
}

// A listener is woken when something changes that it read in its last look.
type listener struct {
	wake    func()
	owner   string        // the attendee; what is labelled as another's wakes nobody
	cluster *clusterWatch // nil when nothing is watched
	docker  *dockerWatch

	fresh bool        // every look reads anew, also what nothing was announced of
	wrote atomic.Bool // this look has changed something, and reads anew what comes of it
	deaf  atomic.Bool // something that was read is not announced

	mu   sync.Mutex
	look int            // counts looks
	read map[source]int // the look that read it last
}

// begin is called before a look, end after it: what only earlier looks have read
// wakes no more.
func (l *listener) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.look++
	l.wrote.Store(false)
	l.deaf.Store(false)
}

func (l *listener) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s, look := range l.read {
		if look < l.look {
			delete(l.read, s)
			l.cluster.forget(l, s)
		}
	}
}

// close ends all waking.
func (l *listener) close() {
	l.begin()
	l.end()
	if l.docker != nil {
		l.docker.leave(l)
	}
}

// reads notes that a source is about to be read. It returns when changes after
// the reading will wake; false says that they will not.
func (l *listener) reads(ctx context.Context, s source) bool {
	if l.cluster == nil {
		return false
	}
	l.mu.Lock()
	if l.read == nil {
		l.read = map[source]int{}
	}
	l.read[s] = l.look
	l.mu.Unlock()
	if !l.cluster.subscribe(ctx, l, s) {
		l.deaf.Store(true)
		return false
	}
	return true
}

// readsDocker notes that the Docker Engine is about to be read.
func (l *listener) readsDocker() {
	if l == nil || l.docker == nil {
		return
	}
	if !l.docker.join(l) {
		l.deaf.Store(true)
	}
}

type listenerKey struct{}

func withListener(ctx context.Context, l *listener) context.Context {
	return context.WithValue(ctx, listenerKey{}, l)
}

func listenerOf(ctx context.Context) *listener {
	l, _ := ctx.Value(listenerKey{}).(*listener)
	return l
}

// depends has the check of this look looked at again when any object of these
// resources changes in the namespace, or in the whole cluster when it is empty. It
// is for answers that come from objects which nobody reads one by one, such as an
// access review. What is read by GET needs no word.
func depends(ctx context.Context, namespace string, resources ...schema.GroupVersionResource) {
	if l := listenerOf(ctx); l != nil {
		for _, r := range resources {
			l.reads(ctx, source{resource: r, namespace: namespace})
		}
	}
}
