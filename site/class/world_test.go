package class

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site"
	"github.com/kindlab/kindlab/site/progress"
)

// A world is the outside of a hub: fake environments whose verdicts a test sets, and
// a real store.
type world struct {
	t      testing.TB
	class  *labs.Class
	course *labs.Course
	store  *progress.Store
	path   string

	mu       sync.Mutex
	verdicts map[string][]labs.Verdict // by attendee/lab
	watchers map[int]chan struct{}
	watching map[string]int // by attendee/lab
	started  int
	did      []string // what attendees changed, as attendee:what
}

func newWorld(t testing.TB) *world {
	t.Helper()
	c, err := labs.Load(os.DirFS("../testdata/demo"), "demo")
	require.NoError(t, err)
	w := &world{t: t, course: c, verdicts: map[string][]labs.Verdict{}, watchers: map[int]chan struct{}{}, watching: map[string]int{},
		path: filepath.Join(t.TempDir(), "progress.db"),
		class: &labs.Class{Name: "autumn", Course: "demo", Isolation: labs.OwnCluster,
			Attendees:   []labs.Person{{ID: "ada", Name: "Ada Lovelace"}, {ID: "bob", Name: "Bob"}},
			Instructors: []labs.Person{{ID: "grace", Name: "Grace"}}}}
	w.store, err = progress.Open(w.path)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, w.store.Close()) })
	return w
}

// replicas is an attendee's own value, which nobody else may see.
func replicas(attendee string) string { return fmt.Sprintf("secret-of-%s", attendee) }

func (w *world) config() Config {
	return Config{
		Class: w.class, Course: w.course, Store: w.store, Version: "v0.1.0",
		Pages: func(p labs.Person) site.Config {
			note := func(what string) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.did = append(w.did, p.ID+":"+what)
			}
			return site.Config{
				Courses: []*labs.Course{w.course}, Current: "demo",
				Lab: func(_, lab string) (*labs.Lab, error) {
					l := w.course.Lab(lab)
					return l.For(l.Values.With(labs.Values{"replicas": replicas(p.ID), "colour": "plum"}))
				},
				Watch: func(ctx context.Context, _, lab string, send func([]labs.Verdict)) { w.watch(ctx, p.ID, lab, send) },
				Progress: func(course string) (labs.Progress, error) {
					return w.store.Progress(context.Background(), p.ID, course)
				},
				Reset: func(ctx context.Context, course, lab string, step func(string)) error {
					note("reset")
					step("resetting for " + p.ID)
					w.mu.Lock()
					delete(w.verdicts, p.ID+"/"+lab)
					w.mu.Unlock()
					return w.store.Reset(ctx, p.ID, course, lab)
				},
				Hint: func(string, string, string) { note("hint") },
				Question: func(_, _ string, c *labs.Check) *site.Question {
					return &site.Question{Text: "Which?", Given: replicas(p.ID), Most: 100}
				},
				Answer: func(context.Context, string, string, string, string) error { note("answer"); return nil },
				Place:  func(_, lab string) site.Place { return site.Place{Namespace: p.ID + "-" + lab} },
			}
		},
		Kubeconfig: func(_ context.Context, attendee, lab string) (string, []byte, error) {
			return "", []byte("kubeconfig of " + replicas(attendee)), nil
		},
		Ready: func(attendee string) (bool, string) { return attendee != "bob", "node v1.36" },
	}
}

// hub is a hub of the world.
func (w *world) hub() *Hub {
	w.t.Helper()
	h, err := New(w.config())
	require.NoError(w.t, err)
	w.t.Cleanup(h.Close)
	return h
}

func (w *world) watch(ctx context.Context, attendee, lab string, send func([]labs.Verdict)) {
	changed, k := make(chan struct{}, 1), attendee+"/"+lab
	w.mu.Lock()
	w.started++
	id := w.started
	w.watchers[id], w.watching[k] = changed, w.watching[k]+1
	w.mu.Unlock()
	defer func() { w.mu.Lock(); defer w.mu.Unlock(); delete(w.watchers, id); w.watching[k]-- }()
	for {
		w.mu.Lock()
		now := w.verdicts[k]
		w.mu.Unlock()
		if now != nil {
			for _, v := range now {
				if v.State == labs.Passed {
					_ = w.store.Pass(ctx, attendee, "demo", lab, v.Check, v.At)
				}
			}
			send(now)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// watched reports whether an attendee's lab is watched now.
func (w *world) watched(attendee, lab string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.watching[attendee+"/"+lab] > 0
}

// say makes vs the verdicts of an attendee's lab; running watchers send them.
func (w *world) say(attendee, lab string, vs ...labs.Verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.verdicts[attendee+"/"+lab] = vs
	for _, c := range w.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (w *world) done() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.did...)
}

func verdict(check string, state labs.State, because string) labs.Verdict {
	v := labs.Verdict{Check: check, State: state, At: time.Now()}
	switch {
	case state == labs.Blocked || state == labs.Unknown:
		v.Reason = because
	case because != "":
		v.Findings = []labs.Finding{{Because: because}}
	}
	return v
}

// A visitor is a browser, with its cookie.
type visitor struct {
	t      testing.TB
	h      http.Handler
	cookie *http.Cookie
}

// visit is somebody who came in by a link that is made for it.
func (w *world) visit(h *Hub, id string, instructor bool) *visitor {
	w.t.Helper()
	token, err := Invite(w.t.Context(), w.store, labs.Person{ID: id}, instructor)
	require.NoError(w.t, err)
	v := &visitor{t: w.t, h: h}
	r := v.do("GET", "/in/"+token)
	require.Equal(w.t, http.StatusSeeOther, r.Code, r.Body.String())
	require.NotNil(w.t, v.cookie)
	return v
}

// do sends a request as a browser does: with a body it is a form. It keeps the cookie.
func (v *visitor) do(method, target string, form ...string) *httptest.ResponseRecorder {
	v.t.Helper()
	return v.doCtx(v.t.Context(), method, target, form...)
}

func (v *visitor) doCtx(ctx context.Context, method, target string, form ...string) *httptest.ResponseRecorder {
	v.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		values.Add(form[i], form[i+1])
	}
	r := httptest.NewRequestWithContext(ctx, method, target, strings.NewReader(values.Encode()))
	r.Host = "localhost:8480"
	r.Header.Set("Accept", "text/html")
	if len(form) > 0 {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if v.cookie != nil {
		r.AddCookie(v.cookie)
	}
	w := httptest.NewRecorder()
	v.h.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		v.cookie = c
		if c.MaxAge < 0 {
			v.cookie = nil
		}
	}
	return w
}
