package checker

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestNamespacesOfOthers has namespaces of a class change: who has listed them is
// woken by their own and by those that are nobody's.
func TestNamespacesOfOthers(t *testing.T) {
	namespaces := corev1.SchemeGroupVersion.WithResource("namespaces")
	ready := make(chan struct{})
	close(ready)
	c := &clusterWatch{users: 1, index: map[source]*readers{}, streams: map[schema.GroupVersionResource]*stream{namespaces: {ready: ready, up: true}}}
	woken := map[string]int{}
	for _, name := range []string{"ada", "alan", ""} {
		l := &listener{wake: func() { woken[name]++ }, owner: name, cluster: c}
		l.reads(t.Context(), source{resource: namespaces})
		if name == "alan" {
			l.reads(t.Context(), source{resource: namespaces, name: "ada-scale"})
		}
	}
	changed := func(name, owner string) {
		o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{attendeeLabel: owner, "other": "x"}}}
		if owner == "" {
			o.Labels = nil
		}
		short, err := namesOnly(o)
		require.NoError(t, err)
		clear(woken)
		c.announce(namespaces, nil, short)
	}
	changed("ada-image", "ada")
	assert.Equal(t, map[string]int{"ada": 1, "": 1}, woken)
	changed("ada-scale", "ada")
	assert.Equal(t, map[string]int{"ada": 1, "alan": 1, "": 1}, woken, "alan has read this one")
	changed("default", "")
	assert.Equal(t, map[string]int{"ada": 1, "alan": 1, "": 1}, woken)
}
