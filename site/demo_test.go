package site

import (
	"context"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
)

// A world is the outside of a site: a fake environment whose verdicts a test sets.
type world struct {
	course *labs.Course

	mu       sync.Mutex
	verdicts map[string][]labs.Verdict // by lab
	sends    map[int]chan string       // a running watcher is told which lab changed
	started  int
	progress labs.Progress
	hints    []string
	reset    func(ctx context.Context, step func(string)) error
}

// demo is the course under testdata and nothing done yet.
func demo(t testing.TB) *world {
	t.Helper()
	c, err := labs.Load(os.DirFS("testdata/demo"), "demo")
	require.NoError(t, err)
	return &world{course: c, verdicts: map[string][]labs.Verdict{}, sends: map[int]chan string{}, progress: labs.Progress{}}
}

func (w *world) config() Config {
	return Config{
		Courses: []*labs.Course{w.course},
		Current: "demo",
		Lab: func(_, lab string) (*labs.Lab, error) {
			return w.course.Lab(lab).For(w.course.Lab(lab).Values.With(labs.Values{"replicas": "4", "colour": "plum"}))
		},
		Watch: w.watch,
		Progress: func(string) (labs.Progress, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return with(w.progress, "", nil), nil
		},
		Reset: func(ctx context.Context, _, _ string, step func(string)) error {
			return w.reset(ctx, step)
		},
		Hint: func(_, lab, check string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.hints = append(w.hints, labs.Key(lab, check))
		},
		Place: func(_, lab string) Place {
			return Place{Work: "/home/ada/kindlab/" + lab, Kubeconfig: "/home/ada/.kindlab/kubeconfig", Namespace: "me-" + lab}
		},
		Version: "v0.1.0",
	}
}

func (w *world) watch(ctx context.Context, _, lab string, send func([]labs.Verdict)) {
	w.mu.Lock()
	w.started++
	id, changed := w.started, make(chan string, 100)
	w.sends[id] = changed
	now := w.verdicts[lab]
	w.mu.Unlock()
	defer func() { w.mu.Lock(); delete(w.sends, id); w.mu.Unlock() }()
	if now != nil {
		send(now)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case which := <-changed:
			if which == lab {
				w.mu.Lock()
				now := w.verdicts[lab]
				w.mu.Unlock()
				send(now)
			}
		}
	}
}

// say makes vs the verdicts of a lab; running watchers send them.
func (w *world) say(lab string, vs ...labs.Verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.verdicts[lab] = vs
	for _, v := range vs {
		if k := labs.Key(lab, v.Check); v.State == labs.Passed && w.progress[k].IsZero() {
			w.progress[k] = time.Now()
		}
	}
	for _, c := range w.sends {
		c <- lab
	}
}

// watchers is how many run now, and how many ever began.
func (w *world) watchers() (now, ever int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sends), w.started
}

// serve is a site of the world on a free port.
func serve(t testing.TB, cfg Config) (*Site, *httptest.Server) {
	t.Helper()
	s, err := New(cfg)
	require.NoError(t, err)
	server := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); server.Close() })
	return s, server
}

// verdict is a verdict of now; because is what its finding says.
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

// unready is a Service that selects nothing, as the checker would say it.
func unready() labs.Verdict {
	v := verdict("answers", labs.Failing, "")
	v.Findings = []labs.Finding{{
		Expected: "HTTP 200", Got: "no ready endpoint",
		Because: "Service hello selects app=helo, and no pod has that label",
		Nearest: "3 ready pods have app=hello",
		Look:    "spec.selector in `kubectl get service hello -o yaml`",
	}}
	return v
}
