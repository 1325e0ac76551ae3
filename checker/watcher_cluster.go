package checker

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// syncTime is how long a look waits for the first watch of a kind of object.
const syncTime = 5 * time.Second

// A clusterWatch has at most one watch for each kind of object of a cluster, and
// knows who has read what.
type clusterWatch struct {
	kube *kube

	mu      sync.Mutex
	users   int // engines that watch
	ctx     context.Context
	stop    context.CancelFunc
	index   map[source]*readers
	streams map[schema.GroupVersionResource]*stream
}

// A stream is the watch of one kind of object. It keeps of the objects only their
// names and versions.
type stream struct {
	ready chan struct{} // closed when the first list is in, or cannot be had

	mu      sync.Mutex
	up      bool
	changes int64 // counts what was announced
	lists   map[string]*keptList
	once    sync.Once
}

// Readers are who has read a source in their last look, and what it answered.
type readers struct {
	listeners map[*listener]bool
	answers   map[string]*answer
}

// use keeps the watches going until release is called. While nobody uses them
// there are none.
func (c *clusterWatch) use() (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users == 0 {
		c.ctx, c.stop = context.WithCancel(context.Background())
	}
	c.users++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.users--; c.users == 0 {
			c.stop()
			clear(c.streams)
		}
	})
}

// subscribe has the listener woken by changes of the source. It returns when the
// watch is there; false says that it is not, so that the listener has to look by itself.
func (c *clusterWatch) subscribe(ctx context.Context, l *listener, s source) bool {
	c.mu.Lock()
	if c.users == 0 {
		c.mu.Unlock()
		return false
	}
	if c.index[s] == nil {
		c.index[s] = &readers{listeners: map[*listener]bool{}, answers: map[string]*answer{}}
	}
	c.index[s].listeners[l] = true
	st := c.streams[s.resource]
	if st == nil {
		st = &stream{ready: make(chan struct{})}
		c.streams[s.resource] = st
		go c.run(c.ctx, s.resource, st)
	}
	c.mu.Unlock()
	wait := time.NewTimer(syncTime)
	defer wait.Stop()
	select {
	case <-st.ready:
	case <-wait.C:
	case <-ctx.Done():
	}
	return st.isUp()
}

func (c *clusterWatch) forget(l *listener, s source) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.index[s]
	if r == nil {
		return
	}
	delete(r.listeners, l)
	if len(r.listeners) == 0 {
		delete(c.index, s)
	}
}

// run watches one kind of object until ctx ends.
func (c *clusterWatch) run(ctx context.Context, gvr schema.GroupVersionResource, st *stream) {
	// The library's own log would go to a learner's terminal.
	ctx = klog.NewContext(ctx, klog.Logger{})
	of := c.kube.watcher.Resource(gvr)
	lost := func() {
		st.set(false)
		st.once.Do(func() { close(st.ready) }) // nobody may wait for what cannot be had
		c.announceAll(gvr)
	}
	informer := cache.NewSharedIndexInformerWithOptions(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return of.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			w, err := of.Watch(ctx, o)
			switch {
			case err != nil:
				lost() // the library tries again, and does not tell
			case st.isReady() && !st.isUp():
				// It is back after a break. What changed meanwhile may have been
				// announced to nobody.
				st.set(true)
				c.announceAll(gvr)
			}
			return w, err
		},
	}, c.kube.watcher), &metav1.PartialObjectMetadata{}, cache.SharedIndexInformerOptions{ObjectDescription: gvr.String()})
	_ = informer.SetTransform(namesOnly)
	_ = informer.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) { lost() })
	_, _ = informer.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc:    func(o any, initial bool) { c.announce(gvr, nil, o) },
		UpdateFunc: func(before, o any) { c.announce(gvr, before, o) },
		DeleteFunc: func(o any) { c.announce(gvr, nil, o) },
	})
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			st.set(true)
			st.once.Do(func() { close(st.ready) })
			c.announceAll(gvr)
		}
	}()
	informer.RunWithContext(ctx)
}

// namesOnly leaves of an object what announce needs.
func namesOnly(o any) (any, error) {
	if m, ok := o.(*metav1.PartialObjectMetadata); ok {
		short := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: m.Namespace, Name: m.Name, ResourceVersion: m.ResourceVersion}}
		if owner := m.Labels[attendeeLabel]; owner != "" && m.Namespace == "" {
			short.Labels = map[string]string{attendeeLabel: owner}
		}
		return short, nil
	}
	return o, nil
}

// announce wakes those who have read the object, or a list that it belongs to. A
// namespace of another attendee wakes nobody who has only read the list: when one of a
// class begins again, the others' checks have nothing to look at.
func (c *clusterWatch) announce(gvr schema.GroupVersionResource, before, o any) {
	if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	m, ok := o.(*metav1.PartialObjectMetadata)
	if !ok {
		return
	}
	if was, ok := before.(*metav1.PartialObjectMetadata); ok && was.ResourceVersion == m.ResourceVersion {
		return // only listed again
	}
	woken := map[*listener]bool{}
	c.mu.Lock()
	c.streams[gvr].changed()
	for _, s := range []source{{gvr, m.Namespace, m.Name}, {gvr, m.Namespace, ""}, {gvr, "", ""}} {
		r := c.index[s]
		if r == nil {
			continue
		}
		r.changed()
		for l := range r.listeners {
			if owner := m.Labels[attendeeLabel]; s.name == "" && owner != "" && l.owner != "" && owner != l.owner {
				continue
			}
			woken[l] = true
		}
	}
	c.mu.Unlock()
	for l := range woken {
		l.wake()
	}
}

// announceAll wakes all who have read something of the kind.
func (c *clusterWatch) announceAll(gvr schema.GroupVersionResource) {
	woken := map[*listener]bool{}
	c.mu.Lock()
	c.streams[gvr].changed()
	for s, r := range c.index {
		if s.resource == gvr {
			r.changed()
			for l := range r.listeners {
				woken[l] = true
			}
		}
	}
	c.mu.Unlock()
	for l := range woken {
		l.wake()
	}
}

func (st *stream) set(up bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.up = up
}

func (st *stream) isUp() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.up
}

func (st *stream) isReady() bool {
	select {
	case <-st.ready:
		return true
	default:
		return false
	}
}
