package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testApp is an application with these variables, asked without a network.
type testApp struct {
	*app
	http.Handler
	log *console
}

func newTestApp(t *testing.T, environ map[string]string) testApp {
	t.Helper()
	cfg, err := read(environ)
	require.NoError(t, err)
	pairs := []string{"PATH=/bin"}
	for name, value := range environ {
		pairs = append(pairs, name+"="+value)
	}
	out := new(console)
	a := newApp(cfg, pairs, log.New(out, "", 0))
	return testApp{a, a.handlerWithAdmin(), out}
}

func (a testApp) do(method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

func (a testApp) get(target string, header ...string) *httptest.ResponseRecorder {
	return a.do(http.MethodGet, target, header...)
}

func decode[T any](t *testing.T, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v), w.Body.String())
	return v
}

func TestEveryAnswerIsMarked(t *testing.T) {
	a := newTestApp(t, map[string]string{"APP_VERSION": "v2", "POD_NAME": "hello-abc"})
	for _, target := range []string{
		"/", "/api", "/chain", "/env", "/headers", "/healthz", "/readyz", "/startupz", "/metrics", "/status/503", "/delay/1",
		"/sleepy/0", "/flaky", "/no-such-page",
	} {
		h := a.get(target).Header()
		assert.Equal(t, "v2", h.Get("X-App-Version"), target)
		assert.Equal(t, "hello-abc", h.Get("X-Pod"), target)
		assert.Equal(t, "no-store", h.Get("Cache-Control"), target)
		assert.Empty(t, h.Get("Connection"), target)
	}
	a.draining.Store(true)
	assert.Equal(t, "close", a.get("/").Header().Get("Connection"), "come back on a new connection")
	assert.Contains(t, a.log.String(), "GET /status/503 503 0ms v2 hello-abc\n")
}

func TestStatusOfEndpoints(t *testing.T) {
	a := newTestApp(t, nil)
	for _, c := range []struct {
		method, target string
		status         int
		body           string
	}{
		{"GET", "/", 200, "<h1>hello <span>v1</span></h1>"},
		{"HEAD", "/", 200, ""},
		{"GET", "/api", 200, `"app": "hello"`},
		{"POST", "/api", 405, ""},
		{"GET", "/chain", 200, `"app": "hello"`},
		{"GET", "/nope", 404, ""},
		{"GET", "/healthz", 200, "healthy"},
		{"GET", "/readyz", 200, "ready"},
		{"GET", "/startupz", 200, "started"},
		{"GET", "/status/204", 204, ""},
		{"GET", "/status/304", 304, ""},
		{"GET", "/status/418", 418, "418 I'm a teapot"},
		{"POST", "/status/201", 201, "201 Created"},
		{"GET", "/status/100", 400, "not a status"},
		{"GET", "/status/600", 400, "not a status"},
		{"GET", "/status/x", 400, "not a status"},
		{"GET", "/delay/5", 200, "answered after 5ms"},
		{"GET", "/delay/-1", 400, "not a number"},
		{"GET", "/sleepy/x", 400, "not a number"},
		{"GET", "/flaky?fail=3&of=2", 400, "not possible"},
		{"GET", "/flaky?of=x", 400, "of=x: not a number"},
		{"GET", "/flaky?status=200", 400, "status=200: not a number from 400"},
		{"GET", "/flaky?key=" + strings.Repeat("k", 101), 400, "longer than"},
		{"GET", "/admin/health", 405, ""},
		{"POST", "/admin/health?ok=maybe", 400, "ok=maybe: not true or false"},
		{"POST", "/admin/fail", 400, "no rate"},
		{"POST", "/admin/fail?rate=x", 400, "rate=x: not a rate"},
		{"POST", "/admin/fail?rate=1/2&status=200", 400, "status=200"},
		{"GET", "/crash", 405, ""},
		{"POST", "/crash?code=256", 400, "code=256"},
	} {
		w := a.do(c.method, c.target)
		assert.Equal(t, c.status, w.Code, c.target)
		assert.Contains(t, w.Body.String(), c.body, c.target)
	}
}

func TestAPI(t *testing.T) {
	a := newTestApp(t, map[string]string{
		"APP_NAME": "greeter", "APP_VERSION": "v3", "MESSAGE": "Hi", "POD_NAME": "p", "POD_IP": "10.0.0.1",
		"NODE_NAME": "n", "NAMESPACE": "ns", "SERVICE_ACCOUNT": "sa",
	})
	a.get("/")
	a.get("/healthz")
	got := decode[map[string]any](t, a.get("/api", "End-User", "ann", "X-Forwarded-For", "10.0.0.9", "Cookie", "secret"))
	started, err := time.Parse(time.RFC3339, got["started"].(string))
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), started, time.Minute)
	delete(got, "started")
	assert.Equal(t, map[string]any{
		"app": "greeter", "version": "v3", "colour": "amber", "message": "Hi", "pod": "p", "podIP": "10.0.0.1",
		"node": "n", "namespace": "ns", "serviceAccount": "sa", "requests": 2.0,
		"headers": map[string]any{"end-user": "ann", "x-forwarded-for": "10.0.0.9"},
	}, got, "probes do not count, and only some headers are of interest")
}

func TestPageEscapes(t *testing.T) {
	a := newTestApp(t, map[string]string{"MESSAGE": "<script>{facts}", "APP_NAME": "a&b", "APP_COLOR": "plum"})
	page := a.get("/").Body.String()
	assert.Contains(t, page, "&lt;script&gt;{facts}</p>")
	assert.Contains(t, page, "<title>a&amp;b v1</title>")
	assert.Contains(t, page, "border-color: #86408f")
	assert.NotContains(t, page, "<script>")
}

func TestEnvShowsOnlyWhatIsMeantToBeSeen(t *testing.T) {
	a := newTestApp(t, map[string]string{"APP_NAME": "x", "APP_PASSWORD": "hush", "GREETING": "Hi", "DB_HOST": "db"})
	got := decode[struct {
		Names  []string
		Values map[string]string
	}](t, a.get("/env"))
	assert.Equal(t, []string{"APP_NAME", "APP_PASSWORD", "DB_HOST", "GREETING", "PATH"}, got.Names)
	assert.Equal(t, map[string]string{"APP_NAME": "x", "GREETING": "Hi"}, got.Values)
}

func TestHeaders(t *testing.T) {
	a := newTestApp(t, nil)
	got := decode[struct {
		Method, Host string
		Headers      map[string]string
	}](t, a.get("http://hello.example/headers", "X-Forwarded-Client-Cert", "By=x"))
	assert.Equal(t, "GET", got.Method)
	assert.Equal(t, "hello.example", got.Host)
	assert.Equal(t, map[string]string{"X-Forwarded-Client-Cert": "By=x"}, got.Headers)
}

func TestFlakyCountsByKey(t *testing.T) {
	a := newTestApp(t, nil)
	var got []int
	for range 6 {
		got = append(got, a.get("/flaky?fail=2&of=3&key=a&status=503").Code)
	}
	assert.Equal(t, []int{503, 503, 200, 503, 503, 200}, got)
	w := a.get("/flaky?fail=2&of=3&key=b")
	assert.Equal(t, 500, w.Code)
	assert.JSONEq(t, `{"key":"b","request":1,"failed":true}`, w.Body.String())
}

func TestFailRate(t *testing.T) {
	a := newTestApp(t, map[string]string{"FAIL_RATE": "2/5", "FAIL_STATUS": "503"})
	codes := func(n int) (got []int) {
		for range n {
			got = append(got, a.get("/api").Code)
			assert.Equal(t, 200, a.get("/healthz").Code, "probes neither fail nor count")
		}
		return got
	}
	assert.Equal(t, []int{503, 503, 200, 200, 200, 503, 503}, codes(7))

	w := a.do("POST", "/admin/fail?rate=1/2&status=500")
	assert.JSONEq(t, `{"rate":"1/2","status":500}`, w.Body.String())
	assert.Equal(t, []int{500, 200, 500}, codes(3))

	a.do("POST", "/admin/fail?rate=0")
	assert.Equal(t, []int{200, 200}, codes(2))
}

func TestToggles(t *testing.T) {
	a := newTestApp(t, nil)
	for _, c := range []struct{ probe, admin, field string }{
		{"/healthz", "/admin/health", "healthy"},
		{"/readyz", "/admin/ready", "ready"},
	} {
		assert.Equal(t, 200, a.get(c.probe).Code)
		assert.JSONEq(t, `{"`+c.field+`":false}`, a.do("POST", c.admin).Body.String(), "it turns over")
		assert.NotEqual(t, 200, a.get(c.probe).Code)
		a.do("POST", c.admin+"?ok=false")
		assert.NotEqual(t, 200, a.get(c.probe).Code)
		assert.JSONEq(t, `{"`+c.field+`":true}`, a.do("POST", c.admin+"?ok=true").Body.String())
		assert.Equal(t, 200, a.get(c.probe).Code)
	}
	assert.Equal(t, 200, a.get("/api").Code)
	a.do("POST", "/admin/ready?ok=false")
	assert.Equal(t, 200, a.get("/api").Code, "the probe says no, the application still answers")
}

func TestAdminPort(t *testing.T) {
	a := newTestApp(t, nil)
	a.Handler = a.handler()
	assert.Equal(t, 404, a.do("POST", "/admin/ready").Code)
	assert.Equal(t, 200, a.get("/api").Code)
	a.Handler = a.adminHandler()
	assert.Equal(t, 200, a.do("POST", "/admin/ready").Code)
	assert.Equal(t, 404, a.get("/api").Code)
}

func TestReadyAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTestApp(t, map[string]string{"READY_AFTER": "10s"})
		time.Sleep(10*time.Second - time.Nanosecond)
		assert.Equal(t, 503, a.get("/readyz").Code)
		assert.Equal(t, 503, a.get("/api").Code)
		assert.Equal(t, 503, a.get("/").Code)
		assert.Equal(t, 200, a.get("/healthz").Code)
		assert.Equal(t, 200, a.get("/startupz").Code)
		time.Sleep(time.Nanosecond)
		assert.Equal(t, 200, a.get("/readyz").Code)
		assert.Equal(t, 200, a.get("/api").Code)
		a.draining.Store(true)
		assert.Equal(t, 503, a.get("/readyz").Code)
		assert.Equal(t, 200, a.get("/api").Code, "it still serves when it is about to end")
	})
}

func TestReadyBeforeItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTestApp(t, map[string]string{"READY_AFTER": "10s"})
		a.do("POST", "/admin/ready?ok=true")
		assert.Equal(t, 200, a.get("/readyz").Code)
		assert.Equal(t, 200, a.get("/api").Code)
	})
}

func TestHealthyFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTestApp(t, map[string]string{"HEALTHY_FOR": "10s"})
		assert.Equal(t, 200, a.get("/healthz").Code)
		time.Sleep(10 * time.Second)
		assert.Equal(t, 500, a.get("/healthz").Code)
		assert.Equal(t, 200, a.get("/readyz").Code)
	})
}

func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTestApp(t, map[string]string{"DELAY": "2s"})
		for target, want := range map[string]time.Duration{
			"/api":            2 * time.Second,
			"/delay/1500":     3500 * time.Millisecond,
			"/delay/99999999": 2*time.Second + maxDelay,
			"/sleepy/8":       10 * time.Second,
			"/sleepy/9999999": 2*time.Second + maxSleepy,
			"/healthz":        0,
		} {
			begin := time.Now()
			assert.Equal(t, 200, a.get(target).Code, target)
			assert.Equal(t, want, time.Since(begin), target)
		}
	})
}

func TestMetrics(t *testing.T) {
	a := newTestApp(t, map[string]string{"APP_VERSION": `v"1`})
	a.get("/")
	a.get("/status/503")
	a.get("/status/500")
	a.get("/status/503?x")
	a.get("/no/such/page")
	a.get("/metrics")
	body := a.get("/metrics").Body.String()
	_, lines, found := strings.Cut(body, "# TYPE hello_requests_total counter\n")
	require.True(t, found)
	assert.Equal(t, `hello_requests_total{version="v\"1",path="/",status="200"} 1
hello_requests_total{version="v\"1",path="/metrics",status="200"} 1
hello_requests_total{version="v\"1",path="/status/{code}",status="500"} 1
hello_requests_total{version="v\"1",path="/status/{code}",status="503"} 2
hello_requests_total{version="v\"1",path="unknown",status="404"} 1
`, lines)
}

func TestCrashAnswersFirst(t *testing.T) {
	a := newTestApp(t, nil)
	w := a.do("POST", "/crash?code=42")
	assert.Equal(t, 200, w.Code)
	assert.JSONEq(t, `{"code":42}`, w.Body.String())
	assert.True(t, w.Flushed)
	a.do("POST", "/crash")
	assert.Equal(t, 42, <-a.crash)
}

func TestLogKeepsOneLinePerRequest(t *testing.T) {
	a := newTestApp(t, nil)
	a.get("/a%0ab%1b[31m")
	a.get("/" + strings.Repeat("x", 500))
	lines := strings.Split(strings.TrimSpace(a.log.String()), "\n")
	require.Len(t, lines, 2)
	assert.Contains(t, lines[0], "GET /a%0ab%1b[31m 404")
	assert.Less(t, len(lines[1]), 300)
}

// backend is a next tier that answers as told.
func backend(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestChain(t *testing.T) {
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		status  int // of /chain
		backend upstream
	}{
		"JSON is nested": {
			func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"version":"v2"}`) },
			200, upstream{Status: 200, Body: json.RawMessage(`{"version":"v2"}`)},
		},
		"text is a string": {
			func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `no healthy upstream`) },
			200, upstream{Status: 200, Body: json.RawMessage(`"no healthy upstream"`)},
		},
		"failure": {
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
			502, upstream{Status: 503},
		},
		"refusal": {
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) },
			502, upstream{Status: 403},
		},
		"timeout further on": {
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(504) },
			504, upstream{Status: 504},
		},
		"broken off": {
			func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			502, upstream{Kind: kindReset, Error: "connection closed before the answer was complete: EOF"},
		},
		"timeout": {
			func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			504, upstream{Kind: kindTimeout, Error: "timeout after 300ms waiting for the answer"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			address := backend(t, c.answer)
			a := newTestApp(t, map[string]string{"BACKEND_URL": address, "BACKEND_TIMEOUT": "300ms"})
			w := a.get("/chain")
			assert.Equal(t, c.status, w.Code)
			got := decode[identity](t, w)
			require.NotNil(t, got.Backend)
			if len(c.backend.Body) > 0 {
				assert.JSONEq(t, string(c.backend.Body), string(got.Backend.Body))
			}
			c.backend.URL, c.backend.Ms, c.backend.Body = address, got.Backend.Ms, got.Backend.Body
			assert.Equal(t, c.backend, *got.Backend)

			api := a.get("/api")
			assert.Equal(t, 200, api.Code, "the application itself is well")
			assert.Equal(t, c.backend.Error, decode[identity](t, api).Backend.Error)
			assert.Equal(t, 200, a.get("/").Code)
		})
	}
}

func TestChainForwards(t *testing.T) {
	var seen http.Header
	address := backend(t, func(_ http.ResponseWriter, r *http.Request) { seen = r.Header })
	a := newTestApp(t, map[string]string{"BACKEND_URL": address})
	a.get("/chain", "X-Request-Id", "1", "Traceparent", "2", "B3", "3", "X-B3-Traceid", "4", "End-User", "ann", "X-User", "bob",
		"User-Agent", "browser", "Cookie", "secret", "Authorization", "secret")
	for name, value := range map[string]string{
		"X-Request-Id": "1", "Traceparent": "2", "B3": "3", "X-B3-Traceid": "4", "End-User": "ann", "X-User": "bob",
		"User-Agent": "browser", "Cookie": "", "Authorization": "", "X-Hello-Hops": "1",
	} {
		assert.Equal(t, value, seen.Get(name), name)
	}
}

func TestChainInARingEnds(t *testing.T) {
	var ring testApp
	calls := 0
	address := backend(t, func(w http.ResponseWriter, r *http.Request) { calls++; ring.ServeHTTP(w, r) })
	ring = newTestApp(t, map[string]string{"BACKEND_URL": address + "/chain", "BACKEND_TIMEOUT": "30s"})
	w := ring.get("/chain")
	assert.Equal(t, 502, w.Code)
	assert.Contains(t, w.Body.String(), "more than 10 backends in a row")
	assert.Equal(t, maxHops, calls)
}

func TestPageShowsTheBackend(t *testing.T) {
	back := newTestApp(t, map[string]string{"APP_VERSION": "v2", "MESSAGE": "<b>", "POD_NAME": "back-1"})
	address := backend(t, back.ServeHTTP)
	page := newTestApp(t, map[string]string{"BACKEND_URL": address + "/api"}).get("/").Body.String()
	assert.Contains(t, page, " ms: &lt;b&gt; (v2, back-1)</dd>")

	page = newTestApp(t, map[string]string{"BACKEND_URL": "http://ann:hush@127.0.0.1:1/api"}).get("/").Body.String()
	assert.Contains(t, page, "connection refused")
	assert.NotContains(t, page, "hush")
}
