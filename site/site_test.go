package site

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/kindlab/kindlab/labs"
)

// get asks a site for a page.
func get(t *testing.T, h http.Handler, target string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	return do(t, h, "GET", target, edit...)
}

func do(t *testing.T, h http.Handler, method, target string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	r.Host = "localhost:8080"
	for _, e := range edit {
		e(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func newSite(t *testing.T, cfg Config) *Site {
	t.Helper()
	s, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func TestPages(t *testing.T) {
	w := demo(t)
	w.progress["first-container/runs"] = time.Now()
	s := newSite(t, w.config())
	for _, c := range []struct {
		path   string
		status int
		has    []string
	}{
		{"/", 200, []string{"Your course", `href="/demo/"`, "From a container to a mesh", "1 of 5 tasks solved", "55 minutes", "set up now"}},
		{"/demo/", 200, []string{"Go on with “Scale and update a Deployment”", "✓ 1 of 1 tasks solved", "needs cluster, registry", "beside these pages", `href="/demo/first-container/"`}},
		{"/demo/scale-it/", 200, []string{
			"Scale and update a Deployment", "Run several copies", "15 minutes", "kindlab shell scale-it",
			"export KUBECONFIG=/home/ada/.kindlab/kubeconfig", "me-scale-it", "<strong>4</strong> replicas", "hello runs 4 ready replicas",
			`id="give-it-an-address"`, "looking…", "Compare READY", `rel="prev" href="/demo/first-container/"`, `rel="next" href="/demo/reach-it/"`, `aria-current="page"`}},
		{"/demo/first-container/", 200, []string{"passed at", "✓ All tasks of this lab are solved", `data-state="kept"`}},
		{"/nowhere/", 404, []string{"There is no such page"}},
		{"/demo/scale-its/", 404, []string{"Did you mean this lab?", `href="/demo/scale-it/"`}},
		{"/scale-it/", 404, []string{`href="/demo/scale-it/"`}},
		{"/demo/scale-it/nothing", 404, []string{"There is no such page"}},
	} {
		t.Run(c.path, func(t *testing.T) {
			r := get(t, s, c.path)
			assert.Equal(t, c.status, r.Code)
			assert.Equal(t, "no-store", r.Header().Get("Cache-Control"))
			assert.Equal(t, "nosniff", r.Header().Get("X-Content-Type-Options"))
			assert.Equal(t, "no-referrer", r.Header().Get("Referrer-Policy"))
			assert.Contains(t, r.Header().Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self'")
			assert.NotContains(t, r.Header().Get("Content-Security-Policy"), "unsafe")
			for _, want := range c.has {
				assert.Contains(t, r.Body.String(), want)
			}
			for _, never := range []string{"style=", "<style", "onclick", "<script>", "http://", "object: {kind"} {
				assert.NotContains(t, r.Body.String(), never)
			}
		})
	}
	r := get(t, s, "/demo/scale-it")
	assert.Equal(t, "/demo/scale-it/", r.Header().Get("Location"))
}

func TestLastKnownVerdictsWithoutScript(t *testing.T) {
	w := demo(t)
	w.say("scale-it", verdict("scaled", labs.Passed, ""), unready())
	s := newSite(t, w.config())
	assert.Contains(t, get(t, s, "/demo/scale-it/").Body.String(), "Without JavaScript")
	assert.Eventually(t, func() bool {
		page := get(t, s, "/demo/scale-it/").Body.String()
		return strings.Contains(page, "passed since") && strings.Contains(page, "<b>nearest:</b> 3 ready pods have app=hello")
	}, 5*time.Second, 10*time.Millisecond)
}

func TestEverythingIsEscaped(t *testing.T) {
	c := hostile(t)
	const bad = `"><script>alert(1)</script><img src=x onerror=y>`
	said := make(chan struct{})
	s := newSite(t, Config{
		Courses:  []*labs.Course{c},
		Lab:      func(_, lab string) (*labs.Lab, error) { return c.Lab(lab), nil },
		Progress: func(string) (labs.Progress, error) { return nil, nil },
		Place:    func(_, _ string) Place { return Place{bad, bad, bad, bad, bad} },
		Version:  bad,
		Reset:    func(context.Context, string, string, func(string)) error { return nil },
		Watch: func(ctx context.Context, _, _ string, send func([]labs.Verdict)) {
			send([]labs.Verdict{{Check: "it", That: bad, State: labs.Failing, Findings: []labs.Finding{{Expected: bad, Got: bad, Because: bad, Nearest: bad, Look: "`" + bad + "`"}}}})
			close(said)
			<-ctx.Done()
		},
	})
	get(t, s, "/bad/bad/")
	<-said
	for _, path := range []string{"/", "/bad/", "/bad/bad/", "/" + `"><script>`} {
		page := get(t, s, path).Body.String()
		doc, err := html.Parse(strings.NewReader(page))
		require.NoError(t, err)
		for n := range doc.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			if n.Data == "script" {
				require.Len(t, n.Attr, 2, "only the site's own script: %s", page)
			}
			for _, a := range n.Attr {
				assert.False(t, strings.HasPrefix(a.Key, "on"), "%s of %s at %s", a.Key, n.Data, path)
			}
			if n.Data == "img" {
				assert.Contains(t, page, "icon")
				for _, a := range n.Attr {
					assert.NotEqual(t, "x", a.Val)
				}
			}
		}
	}
	state, _, err := s.state(c, c.Lab("bad"))
	require.NoError(t, err)
	inert(t, state.Tasks[0].Checks[0].HTML)
	assert.Contains(t, state.Tasks[0].Checks[0].HTML, "&lt;script&gt;")
}

func TestHosts(t *testing.T) {
	cfg := demo(t).config()
	cfg.Hosts = []string{"hub.example"}
	s := newSite(t, cfg)
	for host, want := range map[string]int{
		"localhost": 200, "localhost:8080": 200, "LOCALHOST.": 200, "127.0.0.1:80": 200, "127.9.9.9": 200, "[::1]:8080": 200, "[::1]": 200,
		"kindlab.localhost": 200, "hub.example:443": 200, "HUB.example": 200,
		"evil.example": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "10.0.0.1": 421, "": 421, "hub.example.evil.example": 421,
	} {
		r := get(t, s, "/", func(r *http.Request) { r.Host = host })
		assert.Equal(t, want, r.Code, host)
	}
}

func TestOtherSitesMayNotPost(t *testing.T) {
	w := demo(t)
	resets := 0
	w.reset = func(context.Context, func(string)) error { resets++; return nil }
	s := newSite(t, w.config())
	for _, c := range []struct {
		name, header, value string
		want                int
	}{
		{"this site", "Sec-Fetch-Site", "same-origin", 200},
		{"another site", "Sec-Fetch-Site", "cross-site", 403},
		{"another port", "Sec-Fetch-Site", "same-site", 403},
		{"another origin, old browser", "Origin", "http://evil.example", 403},
		{"own origin, old browser", "Origin", "http://localhost:8080", 200},
		{"no browser", "X-None", "", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := resets
			r := do(t, s, "POST", "/demo/scale-it/reset", func(r *http.Request) { r.Header.Set(c.header, c.value) })
			assert.Equal(t, c.want, r.Code)
			assert.Equal(t, c.want == 200, resets > before)
		})
	}
	assert.Equal(t, 404, get(t, s, "/demo/scale-it/reset").Code, "nothing changes by a GET")
}

func TestAssets(t *testing.T) {
	s := newSite(t, demo(t).config())
	page := get(t, s, "/").Body.String()
	found := regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`).FindAllStringSubmatch(page, -1)
	require.GreaterOrEqual(t, len(found), 3)
	kinds := map[string]string{".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
	for _, m := range found {
		r := get(t, s, m[1])
		assert.Equal(t, 200, r.Code, m[1])
		assert.Equal(t, "public, max-age=31536000, immutable", r.Header().Get("Cache-Control"))
		assert.Contains(t, r.Header().Get("Content-Type"), kinds[m[1][strings.LastIndex(m[1], "."):]])
	}
	assert.Equal(t, 404, get(t, s, "/assets/site.css").Code)
	assert.Equal(t, 404, get(t, s, "/assets/..%2Fsite.go").Code)
}

func TestHintsAreRecorded(t *testing.T) {
	w := demo(t)
	s := newSite(t, w.config())
	assert.Equal(t, 204, do(t, s, "POST", "/demo/scale-it/hints/scaled").Code)
	assert.Equal(t, 404, do(t, s, "POST", "/demo/scale-it/hints/other").Code)
	assert.Equal(t, []string{"scale-it/scaled"}, w.hints)
}

func TestReset(t *testing.T) {
	w := demo(t)
	hold, entered := make(chan struct{}), make(chan struct{}, 1)
	w.reset = func(_ context.Context, step func(string)) error {
		step("removing\nobjects")
		entered <- struct{}{}
		<-hold
		return nil
	}
	s, server := serve(t, w.config())
	answer := make(chan string)
	go func() {
		r, err := http.Post(server.URL+"/demo/scale-it/reset", "", nil)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		answer <- string(body)
	}()
	<-entered
	assert.Equal(t, 409, do(t, s, "POST", "/demo/scale-it/reset").Code, "one at a time")
	close(hold)
	assert.Equal(t, "removing objects\ndone\n", <-answer)

	w.reset = func(context.Context, func(string)) error { return errors.New("the cluster is gone") }
	assert.Equal(t, "failed: the cluster is gone\n", do(t, s, "POST", "/demo/scale-it/reset").Body.String())
}

func TestFailures(t *testing.T) {
	cfg := demo(t).config()
	cfg.Progress = func(string) (labs.Progress, error) { return nil, errors.New("the disk is full") }
	s := newSite(t, cfg)
	for _, path := range []string{"/", "/demo/", "/demo/scale-it/", "/api/demo/status"} {
		r := get(t, s, path)
		assert.Equal(t, 500, r.Code, path)
		assert.Contains(t, r.Body.String(), "reading the progress: the disk is full", path)
	}
	cfg.Lab = func(_, _ string) (*labs.Lab, error) { return nil, errors.New("no free port") }
	assert.Contains(t, get(t, newSite(t, cfg), "/demo/scale-it/").Body.String(), "preparing lab scale-it: no free port")
	_, err := New(Config{})
	assert.ErrorContains(t, err, "Config needs")
	cfg.Courses = []*labs.Course{{ID: "assets"}}
	_, err = New(cfg)
	assert.ErrorContains(t, err, `cannot be called "assets"`)
}

func TestStatus(t *testing.T) {
	w := demo(t)
	w.progress["first-container/runs"] = time.Now()
	s := newSite(t, w.config())
	var got courseStatus
	r := get(t, s, "/api/demo/status")
	require.NoError(t, json.Unmarshal(r.Body.Bytes(), &got))
	assert.Equal(t, "application/json", r.Header().Get("Content-Type"))
	assert.Equal(t, "demo", got.Course)
	assert.Equal(t, 1, got.Solved)
	assert.Equal(t, 5, got.Total)
	require.Len(t, got.Labs, 3)
	assert.Equal(t, "run-it", got.Labs[0].Tasks[0].ID)
	assert.NotNil(t, got.Labs[0].Tasks[0].SolvedAt)
	assert.Nil(t, got.Labs[1].Tasks[0].SolvedAt)
}

func TestViewCheck(t *testing.T) {
	now := time.Date(2026, 11, 20, 20, 30, 0, 0, time.Local)
	at := func(clock string) time.Time {
		when, err := time.ParseInLocation("15:04", clock, time.Local)
		require.NoError(t, err)
		return time.Date(2026, 11, 20, when.Hour(), when.Minute(), 0, 0, time.Local)
	}
	see := func(state labs.State, since string, first bool) *sighting {
		v := labs.Verdict{State: state, At: at(since), Reason: "the pod", Findings: []labs.Finding{{Because: "of it"}}}
		if state == labs.Failing {
			v.Reason = ""
		}
		return &sighting{Verdict: v, Since: at(since), First: first}
	}
	for _, c := range []struct {
		name   string
		seen   *sighting
		passed string
		want   checkView
	}{
		{"nothing known", nil, "", checkView{State: looking, Mark: "…", Word: "looking…"}},
		{"passes", see(labs.Passed, "20:14", false), "19:00", checkView{State: labs.Passed, Mark: "✓", Word: "passed", When: "since 20:14"}},
		{"passed before the first look", see(labs.Passed, "20:14", true), "19:00", checkView{State: labs.Passed, Mark: "✓", Word: "passed", When: "since 19:00"}},
		{"passed earlier, unseen now", nil, "19:00", checkView{State: kept, Mark: "✓", Word: "passed", When: "at 19:00"}},
		{"passed earlier, not now", see(labs.Failing, "20:00", true), "19:00",
			checkView{State: was, Mark: "✓", Word: "passed", When: "at 19:00; it is not so now", Lines: []string{"because of it"}, Folded: true}},
		{"fails", see(labs.Failing, "20:29", true), "", checkView{State: labs.Failing, Mark: "✗", Word: "not yet", Lines: []string{"because of it"}}},
		{"fails for long", see(labs.Failing, "20:28", true), "", checkView{State: labs.Failing, Mark: "✗", Word: "not yet", Lines: []string{"because of it"}, Stuck: true}},
		{"blocked", see(labs.Blocked, "20:00", true), "", checkView{State: labs.Blocked, Mark: "○", Word: "waiting", Lines: []string{"first: the pod", "because of it"}}},
		{"unknown", see(labs.Unknown, "20:00", true), "", checkView{State: labs.Unknown, Mark: "?", Word: "cannot look",
			Lines: []string{"the pod", "because of it", "this is not your fault: kindlab goes on looking"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s sighting
			if c.seen != nil {
				s = *c.seen
			}
			var passed time.Time
			if c.passed != "" {
				passed = at(c.passed)
			}
			c.want.ID, c.want.That = "up", "it is up"
			assert.Equal(t, c.want, viewCheck(&labs.Check{ID: "up", That: "it is up"}, s, c.seen != nil, passed, now))
		})
	}
	assert.Equal(t, "20:14 on 3 November", clock(time.Date(2026, 11, 3, 20, 14, 0, 0, time.Local), now))
}

func TestTogether(t *testing.T) {
	for _, c := range []struct {
		want   labs.State
		states []labs.State
	}{
		{none, nil},
		{labs.Passed, []labs.State{labs.Passed, kept}},
		{was, []labs.State{labs.Passed, was}},
		{labs.Failing, []labs.State{was, labs.Failing, labs.Blocked}},
		{labs.Blocked, []labs.State{labs.Passed, labs.Blocked}},
		{looking, []labs.State{looking, looking}},
	} {
		var checks []checkView
		for _, s := range c.states {
			checks = append(checks, checkView{State: s})
		}
		assert.Equal(t, c.want, together(checks))
	}
}

func TestLabsThatAreNotOffered(t *testing.T) {
	cfg := demo(t).config()
	cfg.Courses[0] = cfg.Courses[0].Without(func(l *labs.Lab) string {
		if l.ID == "scale-it" {
			return "it needs <a> node"
		}
		return ""
	})
	s := newSite(t, cfg)
	body := get(t, s, "/demo/").Body.String()
	assert.Contains(t, body, "<strong>Scale and update a Deployment</strong>: it needs &lt;a&gt; node.")
	assert.NotContains(t, body, `href="/demo/scale-it/"`)
	assert.Equal(t, 404, get(t, s, "/demo/scale-it/").Code)
}
