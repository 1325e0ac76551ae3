package checker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A flock is the pods of Deployment api and the Deployment, as a small cluster has them:
// an evicted pod is gone at once, and another one is there.
type flock struct {
	mu         sync.Mutex
	generation int
	next       int
	pods       []string
	onEvict    func(f *flock) // the flock is locked
}

// A living is what of a flock there is when it is asked for.
type living func() any

func (l living) MarshalJSON() ([]byte, error) { return json.Marshal(l()) }

func (f *flock) evicted() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next - len(f.pods)
}

func (f *flock) start(t *testing.T) (context.Context, *Target) {
	f.generation, f.next, f.pods = 3, 2, []string{"api-0", "api-1"}
	c := updatedCluster(nil)
	deployment := c.objects["/apis/apps/v1/namespaces/lab/deployments/api"].(map[string]any)
	c.objects["/apis/apps/v1/namespaces/lab/deployments/api"] = living(func() any {
		f.mu.Lock()
		defer f.mu.Unlock()
		deployment["metadata"].(map[string]any)["generation"] = f.generation
		deployment["status"].(map[string]any)["observedGeneration"] = f.generation
		data, _ := json.Marshal(deployment)
		return json.RawMessage(data)
	})
	c.objects["/api/v1/namespaces/lab/pods"] = living(func() any {
		f.mu.Lock()
		defer f.mu.Unlock()
		items := []any{}
		for _, name := range f.pods {
			items = append(items, thing("v1", "Pod", name, map[string]any{"uid": name},
				map[string]any{"status": map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}}}))
		}
		return map[string]any{"apiVersion": "v1", "kind": "PodList", "items": items}
	})
	c.create = func(r *http.Request, _ string) (int, string) {
		if !assert.True(t, strings.HasSuffix(r.URL.Path, "/pods/"+f.pods[0]+"/eviction"), "the oldest goes first: %s", r.URL.Path) {
			return http.StatusForbidden, "no"
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.pods = append(f.pods[1:], fmt.Sprintf("api-%d", f.next))
		f.next++
		if f.onEvict != nil {
			f.onEvict(f)
		}
		return http.StatusCreated, ""
	}
	return c.start(t)
}

// replacingCheck replaces pods of Deployment api while it asks a server.
func replacingCheck(t *testing.T, answers http.HandlerFunc) *rolloutCheck {
	server := httptest.NewServer(answers)
	t.Cleanup(server.Close)
	k, err := decodedCheck(t, "rollout", fmt.Sprintf(`{deployment: api, url: %s/, from: host, replaces: 2}`, server.URL))
	require.NoError(t, err)
	c := k.(*rolloutCheck)
	c.rest = 700 * time.Millisecond
	return c
}

func TestReplacesAndRemembers(t *testing.T) {
	t.Parallel()
	c := replacingCheck(t, func(http.ResponseWriter, *http.Request) {})
	f := &flock{}
	ctx, target := f.start(t)
	for range 3 {
		fs, err := c.look(ctx, target)
		require.NoError(t, err)
		assert.Empty(t, fs)
		assert.Equal(t, 2, f.evicted(), "once for all looks")
	}
	f.mu.Lock()
	f.generation++
	f.mu.Unlock()
	fs, err := c.look(ctx, target)
	require.NoError(t, err)
	assert.Empty(t, fs)
	assert.Equal(t, 4, f.evicted(), "the Deployment is another one")
}

func TestReplacesSaysWhatItCost(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	failing := time.Time{}
	c := replacingCheck(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if time.Now().Before(failing) {
			panic(http.ErrAbortHandler)
		}
	})
	f := &flock{onEvict: func(*flock) {
		mu.Lock()
		defer mu.Unlock()
		failing = time.Now().Add(500 * time.Millisecond)
	}}
	ctx, target := f.start(t)
	for range 2 {
		fs, err := c.look(ctx, target)
		require.NoError(t, err)
		require.Len(t, fs, 1)
		assert.Equal(t, "2 pods of Deployment api replaced with at most 0 requests lost", fs[0].Expected)
		assert.Regexp(t, `^\d+ of \d+ requests lost, \d\.\d s the longest`, fs[0].Got)
		assert.Equal(t, endsTooSoon, fs[0].Because)
		assert.Equal(t, 2, f.evicted(), "a failing check does not evict again")
	}
}

func TestReplacesBeginsAnewWhenTheDeploymentIsChanged(t *testing.T) {
	t.Parallel()
	c := replacingCheck(t, func(http.ResponseWriter, *http.Request) {})
	f := &flock{onEvict: func(f *flock) { f.generation++ }}
	ctx, target := f.start(t)
	fs, err := c.look(ctx, target)
	require.NoError(t, err)
	require.Len(t, fs, 1)
	assert.Contains(t, fs[0].Got, "was changed while its pods were replaced")
	assert.Equal(t, 1, f.evicted())
	assert.Nil(t, c.replaced, "that is nothing to remember")
}

func TestReplacesNothingWhereNobodyAnswers(t *testing.T) {
	t.Parallel()
	c := replacingCheck(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no backend", http.StatusBadGateway) })
	f := &flock{}
	ctx, target := f.start(t)
	fs, err := c.look(ctx, target)
	require.NoError(t, err)
	require.Len(t, fs, 1)
	assert.Contains(t, fs[0].Expected, "before anything is replaced")
	assert.Equal(t, "HTTP 502 Bad Gateway", fs[0].Got)
	assert.Equal(t, "the answer says: no backend", fs[0].Because)
	assert.Zero(t, f.evicted())
}

func TestReplacesIsCutOff(t *testing.T) {
	t.Parallel()
	c := replacingCheck(t, func(http.ResponseWriter, *http.Request) {})
	f := &flock{}
	ctx, target := f.start(t)
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := c.look(ctx, target)
	assert.Error(t, err, "nothing is known")
	assert.Less(t, time.Since(began), 2*time.Second)
	assert.Zero(t, f.evicted())
	assert.Nil(t, c.replaced)
}

func TestReplacesMayTakeLong(t *testing.T) {
	for spec, wants := range map[string]time.Duration{
		`{deployment: api, url: "http://api", replaces: 3}`:               lookTime + 3*replaceTime,
		`{deployment: api, url: "http://api"}`:                            lookTime,
		`{deployment: api, report: "http://watcher", versions: [v1, v2]}`: lookTime,
	} {
		k, err := decodedCheck(t, "rollout", spec)
		require.NoError(t, err)
		assert.Equal(t, wants, patience(k), spec)
	}
}

func TestUntil(t *testing.T) {
	t.Parallel()
	news := make(chan struct{}, 1)
	asked := 0
	third := func() (bool, error) { asked++; news <- struct{}{}; return asked == 3, nil }
	require.NoError(t, until(t.Context(), news, time.Minute, third))
	assert.Equal(t, 3, asked, "each time that there is news")

	no := func() (bool, error) { return false, nil }
	require.NoError(t, until(t.Context(), nil, 10*time.Millisecond, no), "the time is over")
	broken := errors.New("broken")
	assert.ErrorIs(t, until(t.Context(), nil, time.Minute, func() (bool, error) { return false, broken }), broken)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, until(ctx, nil, time.Minute, no), context.Canceled)
}
