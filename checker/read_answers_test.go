package checker

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// A server is an API server's end of the requests: it counts them.
type server struct {
	asked  atomic.Int32
	status int
	says   string
	err    error
	hangs  bool
}

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	s.asked.Add(1)
	if s.hangs {
		time.Sleep(time.Second)
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if s.err != nil {
		return nil, s.err
	}
	return &http.Response{StatusCode: s.status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(s.says))}, nil
}

// asking is a cluster whose pods are watched, and what reads it for a listener.
func asking(s *server) (c *clusterWatch, st *stream, read func(ctx context.Context, l *listener, path string) (string, error)) {
	c, st, send := sending(s)
	return c, st, func(ctx context.Context, l *listener, path string) (string, error) {
		return send(ctx, l, http.MethodGet, path)
	}
}

func sending(s *server) (c *clusterWatch, st *stream, send func(ctx context.Context, l *listener, method, path string) (string, error)) {
	ready := make(chan struct{})
	close(ready)
	st = &stream{ready: ready, up: true}
	c = &clusterWatch{users: 1, index: map[source]*readers{}, streams: map[schema.GroupVersionResource]*stream{corev1.SchemeGroupVersion.WithResource("pods"): st}}
	r := newReading(s)
	return c, st, func(ctx context.Context, l *listener, method, path string) (string, error) {
		req, err := http.NewRequestWithContext(withListener(ctx, l), method, "http://cluster"+path, nil)
		if err != nil {
			return "", err
		}
		resp, err := r.RoundTrip(req)
		if err != nil {
			return "", err
		}
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
}

const aPod, allPods = "/api/v1/namespaces/n/pods/a", "/api/v1/namespaces/n/pods?labelSelector=app%3Dweb"

func TestAnswersAreGivenAgainUntilSomethingIsAnnounced(t *testing.T) {
	pods := corev1.SchemeGroupVersion.WithResource("pods")
	s := &server{status: http.StatusOK, says: "one"}
	c, st, read := asking(s)
	ada, alan := &listener{wake: func() {}, cluster: c}, &listener{wake: func() {}, cluster: c}
	asks := func(l *listener, path, want string, asked int32) {
		t.Helper()
		got, err := read(t.Context(), l, path)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		assert.Equal(t, asked, s.asked.Load())
	}
	changed := func(namespace, name, version string) {
		c.announce(pods, nil, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: version}})
	}
	asks(ada, aPod, "one", 1)
	asks(ada, aPod, "one", 1)
	asks(alan, aPod, "one", 1)
	asks(ada, allPods, "one", 2)
	s.says = "two"
	changed("n", "b", "1")
	asks(ada, aPod, "one", 2) // another pod changed
	asks(ada, allPods, "two", 3)
	changed("n", "a", "2")
	asks(alan, aPod, "two", 4)
	asks(ada, aPod, "two", 4)
	asks(alan, allPods, "two", 5)
	changed("elsewhere", "a", "3")
	asks(ada, aPod, "two", 5)

	asks(&listener{wake: func() {}, cluster: c, fresh: true}, aPod, "two", 6)
	asks(nil, aPod, "two", 7) // a look by itself

	st.set(false)
	c.announceAll(pods)
	asks(ada, aPod, "two", 8)
	asks(ada, aPod, "two", 9) // nobody would tell of a change
	s.says = "three"
	st.set(true)
	c.announceAll(pods)
	asks(ada, aPod, "three", 10)
	asks(ada, aPod, "three", 10)

	ada.close()
	alan.close()
	asks(alan, allPods, "three", 11) // what nobody reads is forgotten
}

func TestAnswersThatAreNotGivenAgain(t *testing.T) {
	for name, s := range map[string]*server{
		"refused":  {status: http.StatusForbidden, says: "no"},
		"overload": {status: http.StatusTooManyRequests},
		"broken":   {err: errors.New("the way is closed")},
		"large":    {status: http.StatusOK, says: strings.Repeat("x", mostAnswer+1)},
	} {
		c, _, read := asking(s)
		l := &listener{wake: func() {}, cluster: c}
		first, err := read(t.Context(), l, aPod)
		again, errAgain := read(t.Context(), l, aPod)
		assert.Equal(t, int32(2), s.asked.Load(), name)
		assert.Equal(t, err, errAgain, name)
		assert.Equal(t, first, again, name)
	}
	s := &server{status: http.StatusNotFound, says: "none"}
	c, _, read := asking(s)
	for range 2 {
		_, err := read(t.Context(), &listener{wake: func() {}, cluster: c}, aPod)
		require.NoError(t, err)
	}
	assert.Equal(t, int32(1), s.asked.Load(), "that there is none is an answer")
}

func TestWhoHasChangedSomethingReadsAnew(t *testing.T) {
	s := &server{status: http.StatusOK, says: "one"}
	c, _, send := sending(s)
	l := &listener{wake: func() {}, cluster: c}
	do := func(method string) {
		_, err := send(t.Context(), l, method, aPod)
		require.NoError(t, err)
	}
	l.begin()
	do(http.MethodGet)
	do(http.MethodGet)
	assert.Equal(t, int32(1), s.asked.Load())
	do(http.MethodDelete)
	do(http.MethodGet)
	do(http.MethodGet)
	assert.Equal(t, int32(4), s.asked.Load(), "the events of the change may be under way")
	l.end()
	l.begin()
	do(http.MethodGet)
	assert.Equal(t, int32(4), s.asked.Load())
}

func TestAnswerUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{status: http.StatusOK, says: "one", hangs: true}
		c, _, read := asking(s)
		gone, cancel := context.WithCancel(t.Context())
		got := make(chan string, 4)
		ask := func(ctx context.Context) {
			said, err := read(ctx, &listener{wake: func() {}, cluster: c}, aPod)
			if err != nil {
				said = err.Error()
			}
			got <- said
		}
		go ask(gone)
		synctest.Wait()
		for range 2 {
			go ask(t.Context())
		}
		synctest.Wait()
		assert.Equal(t, int32(1), s.asked.Load(), "one asks for all")
		cancel()
		assert.Equal(t, context.Canceled.Error(), <-got)
		assert.Equal(t, []string{"one", "one"}, []string{<-got, <-got}, "who asked was cut off, and the others are answered")
		assert.Equal(t, int32(2), s.asked.Load())

		// A change while the answer is under way: it may be older than the change.
		c.announceAll(corev1.SchemeGroupVersion.WithResource("pods"))
		go ask(t.Context())
		synctest.Wait()
		c.announceAll(corev1.SchemeGroupVersion.WithResource("pods"))
		go ask(t.Context())
		synctest.Wait()
		assert.Equal(t, int32(4), s.asked.Load())
		<-got
		<-got

		late, over := context.WithTimeout(t.Context(), time.Millisecond)
		defer over()
		c.announceAll(corev1.SchemeGroupVersion.WithResource("pods"))
		go ask(late)
		synctest.Wait()
		go ask(t.Context())
		assert.Equal(t, context.DeadlineExceeded.Error(), <-got)
		assert.Equal(t, "one", <-got, "the time of another is not one's own")

		hurried, end := context.WithTimeout(t.Context(), time.Millisecond)
		defer end()
		c.announceAll(corev1.SchemeGroupVersion.WithResource("pods"))
		go ask(t.Context())
		synctest.Wait()
		_, err := read(hurried, &listener{wake: func() {}, cluster: c}, aPod)
		assert.ErrorIs(t, err, context.DeadlineExceeded, "nobody waits longer than they may")
		<-got
	})
}
