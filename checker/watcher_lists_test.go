package checker

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestSharedList(t *testing.T) {
	services := corev1.SchemeGroupVersion.WithResource("services")
	ready := make(chan struct{})
	close(ready)
	st := &stream{ready: ready, up: true}
	c := &clusterWatch{users: 1, index: map[source]*readers{}, streams: map[schema.GroupVersionResource]*stream{services: st}}
	woken := map[string]int{}
	of := func(name string) *listener {
		return &listener{wake: func() { woken[name]++ }, cluster: c}
	}
	ada, alan := of("ada"), of("alan")
	listed := 0
	read := func(l *listener, namespace string) []string {
		items, err := sharedList(withListener(t.Context(), l), services, "", []source{{namespace: namespace}}, func(ctx context.Context) ([]string, error) {
			listed++
			assert.Nil(t, listenerOf(ctx), "the list of all must not wake for all")
			return []string{"web", "db"}, nil
		})
		require.NoError(t, err)
		return items
	}
	changed := func(namespace, version string) {
		o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web", ResourceVersion: version}}
		c.announce(services, nil, o)
	}

	assert.Equal(t, []string{"web", "db"}, read(ada, "ada"))
	read(ada, "ada")[0] = "mine" // a copy
	assert.Equal(t, []string{"web", "db"}, read(alan, "alan"))
	assert.Equal(t, 1, listed, "nothing has changed")

	changed("ada", "2")
	assert.Equal(t, map[string]int{"ada": 1}, woken, "only who it belongs to")
	read(alan, "alan")
	read(ada, "ada")
	assert.Equal(t, 2, listed, "a change makes it be listed once")

	st.set(false)
	read(ada, "ada")
	read(ada, "ada")
	assert.Equal(t, 4, listed, "what is not watched is listed each time")
	st.set(true)
	c.announceAll(services)
	read(ada, "ada")
	assert.Equal(t, 5, listed)

	changed("ada", "3")
	_, err := sharedList(withListener(t.Context(), ada), services, "", nil, func(context.Context) ([]string, error) { return nil, errors.New("no") })
	require.EqualError(t, err, "no")
	read(ada, "ada")
	assert.Equal(t, 6, listed, "an error is not kept")

	items, err := sharedList(t.Context(), services, "", nil, func(context.Context) ([]string, error) { return []string{"new"}, nil })
	require.NoError(t, err)
	assert.Equal(t, []string{"new"}, items, "a look by itself asks anew")
}
