package checker

import (
	"context"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// A keptList is all objects of a kind, as one look has read them.
type keptList struct {
	mu      sync.Mutex // held while somebody lists, so that the others wait for that
	changes int64      // of the stream, before it was listed
	items   any
}

// sharedList is all objects of a kind in the whole cluster that list gives. Looks
// that are watched share what one of them has listed until an object of that kind
// changes; variant tells apart several lists of one kind. The check is to be looked
// at again when one of own changes: what others write in their namespaces would
// otherwise wake everybody. The objects are shared and must not be changed.
func sharedList[T any](ctx context.Context, gvr schema.GroupVersionResource, variant string, own []source, list func(context.Context) ([]T, error)) ([]T, error) {
	l := listenerOf(ctx)
	if l == nil || l.cluster == nil {
		return list(ctx)
	}
	for _, s := range own {
		s.resource = gvr
		l.reads(ctx, s)
	}
	st := l.cluster.stream(gvr)
	if st == nil {
		return list(ctx)
	}
	kept := st.keptList(variant)
	kept.mu.Lock()
	defer kept.mu.Unlock()
	up, changes := st.seen()
	if items, ok := kept.items.([]T); ok && up && kept.changes == changes {
		return slices.Clone(items), nil
	}
	items, err := list(withListener(ctx, nil))
	if err != nil {
		return nil, err
	}
	kept.changes, kept.items = changes, items
	return slices.Clone(items), nil
}

// stream is the watch of a kind of object; nil while nobody has asked for it.
func (c *clusterWatch) stream(gvr schema.GroupVersionResource) *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams[gvr]
}

func (st *stream) keptList(variant string) *keptList {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.lists == nil {
		st.lists = map[string]*keptList{}
	}
	if st.lists[variant] == nil {
		st.lists[variant] = &keptList{}
	}
	return st.lists[variant]
}

// seen reports whether changes are announced, and how many were.
func (st *stream) seen() (up bool, changes int64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.up, st.changes
}

// changed makes the kept lists count as old.
func (st *stream) changed() {
	if st == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.changes++
}
