package site

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
)

func TestLookIsShared(t *testing.T) {
	look, err := NewLook(fstest.MapFS{"assets/more.css": {Data: []byte("p { color: red }")}})
	require.NoError(t, err)
	cfg := demo(t).config()
	cfg.Look = look
	one, other := newSite(t, cfg), newSite(t, cfg)
	get(t, one, "/demo/scale-it/")
	assert.Same(t, one.text, other.text)
	assert.Len(t, other.text.seen, 1)
	url, err := look.assets.URL("more.css")
	require.NoError(t, err)
	assert.Equal(t, "p { color: red }", get(t, other, url).Body.String())
	_, err = NewLook(fstest.MapFS{})
	assert.Error(t, err)
}

func TestReadOnly(t *testing.T) {
	w := demo(t)
	w.say("scale-it", verdict("scaled", labs.Failing, "1 of 4 is ready"))
	cfg := w.config()
	cfg.Attendee = func() string { return "Ada" }
	cfg.Reset = func(context.Context, string, string, func(string)) error { t.Error("reset"); return nil }
	s := newSite(t, cfg)
	defer s.Follow("demo", "scale-it")()
	view := s.ReadOnly("/board/ada", "/board/")
	assert.Eventually(t, func() bool {
		return strings.Contains(get(t, view, "/board/ada/demo/scale-it/").Body.String(), "1 of 4 is ready")
	}, 5*time.Second, 10*time.Millisecond)
	for _, path := range []string{"/", "/demo/", "/demo/scale-it/", "/scale-it/"} {
		page := get(t, view, "/board/ada"+path).Body.String()
		assert.Contains(t, page, `The pages of <strong>Ada</strong>`)
		assert.Contains(t, page, `href="/board/"`)
		for _, never := range []string{`href="/demo/`, `href="/"`, `data-events="/demo`, "Work here", "Begin this lab again", `action="/out"`} {
			assert.NotContains(t, page, never, path)
		}
	}
	assert.Contains(t, get(t, view, "/board/ada/demo/scale-it/").Body.String(), `href="/board/ada/demo/first-container/#run-it"`)
	assert.Equal(t, http.StatusNotFound, get(t, view, "/demo/scale-it/").Code)
	for _, path := range []string{"/demo/scale-it/reset", "/demo/scale-it/hints/scaled", "/demo/scale-it/answers/scaled"} {
		assert.Equal(t, http.StatusMethodNotAllowed, do(t, view, "POST", "/board/ada"+path).Code, path)
	}
	assert.Empty(t, w.hints)
}

func TestNotices(t *testing.T) {
	w := demo(t)
	cfg := w.config()
	notices := make(chan Notices, 1)
	notices <- Notices{}
	cfg.Notices = func() Notices { n := <-notices; notices <- n; return n }
	var reads atomic.Int64 // of what the page of a lab is made from
	progress := cfg.Progress
	cfg.Progress = func(course string) (labs.Progress, error) { reads.Add(1); return progress(course) }
	s := newSite(t, cfg)
	server := httptest.NewServer(s)
	defer server.Close()
	defer s.Close()
	page := get(t, s, "/demo/scale-it/").Body.String()
	assert.Contains(t, page, `aria-live="polite" hidden></section>`)
	l := look(t, server.URL)
	for event := ""; event != "notices"; event, _ = l.next() {
	}
	before := reads.Load()
	<-notices
	notices <- Notices{Message: "<b>Break</b>", Until: time.Now().Add(time.Hour), For: "Lunch",
		Solutions: map[string]string{"scale-it/run-more-copies": "kubectl <scale>", "other/x": "no"}}
	s.Tell()
	event, data := l.next()
	assert.Equal(t, "notices", event)
	assert.Equal(t, before, reads.Load(), "a message to all does not render every page's lab")
	for _, want := range []string{`\u0026lt;b\u0026gt;Break`, "Lunch", `"run-more-copies":`, `kubectl \u0026lt;scale\u0026gt;`} {
		assert.Contains(t, data, want)
	}
	assert.NotContains(t, data, "other")
	page = get(t, s, "/demo/scale-it/").Body.String()
	assert.Contains(t, page, "&lt;b&gt;Break&lt;/b&gt;")
	assert.Contains(t, page, "Your instructor handed out a solution")
	assert.Contains(t, get(t, s, "/demo/").Body.String(), `data-notices="/notices"`)
	assert.Equal(t, 404, get(t, newSite(t, demo(t).config()), "/notices").Code, "nobody teaches")
}

// BenchmarkSites measures the memory of a class's sites, with pages rendered, with
// one look for all and with one each.
func BenchmarkSites(b *testing.B) {
	for _, shared := range []bool{true, false} {
		b.Run(map[bool]string{true: "one look", false: "own looks"}[shared], func(b *testing.B) {
			heap := func() float64 {
				var m runtime.MemStats
				runtime.GC()
				runtime.GC()
				runtime.ReadMemStats(&m)
				return float64(m.HeapAlloc)
			}
			const many = 100
			for b.Loop() {
				before := heap()
				look, err := NewLook()
				require.NoError(b, err)
				sites := make([]*Site, many)
				for i := range sites {
					cfg := demo(b).config()
					if shared {
						cfg.Look = look
					}
					sites[i], err = New(cfg)
					require.NoError(b, err)
					r := httptest.NewRequest("GET", "http://localhost/demo/scale-it/", nil)
					sites[i].ServeHTTP(httptest.NewRecorder(), r)
				}
				b.ReportMetric((heap()-before)/many/1024, "KiB/site")
				for _, s := range sites {
					s.Close()
				}
			}
		})
	}
}
