package checker

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHTTPFromHost(t *testing.T) {
	mux := http.NewServeMux()
	count := 0
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		count++
		w.Header().Set("X-App-Version", "v2")
		fmt.Fprintf(w, `{"colour":"teal","n":%d}`, count)
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no backend", http.StatusBadGateway) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://example.com/", http.StatusFound)
	})
	mux.HandleFunc("/here", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) })
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, strings.Repeat("x", 3*maxBody)) })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	server := httptest.NewServer(mux)
	defer server.Close()
	for _, c := range []struct {
		name, spec string
		lines      []string
	}{
		{"fine", `{url: "URL/", times: 3, expect: [{that: teal, true: 'json.colour == "teal" && status == 200 && headers["x-app-version"] == "v2"'}, {that: three, true: 'answers.map(a, a.json.n).size() == 3'}]}`, nil},
		{"same host", `{url: "URL/here"}`, nil},
		{"other host", `{url: "URL/away"}`, []string{"expected HTTP 200 from URL/away, got HTTP 302 Found"}},
		{"other host is an answer", `{url: "URL/away", status: 302}`, nil},
		{"status", `{url: "URL/broken"}`, []string{"expected HTTP 200 from URL/broken, got HTTP 502 Bad Gateway", "because the answer says: no backend"}},
		{"expectation", `{url: "URL/", expect: [{that: version v3, true: 'headers["x-app-version"] == "v3"', got: 'headers["x-app-version"]'}]}`,
			[]string{"expected version v3, got v2", "look at `curl URL/`"}},
		{"missing field", `{url: "URL/", expect: [{that: a size, true: json.size > 1, got: string(json.size)}]}`,
			[]string{"expected a size, got no field size", "look at `curl URL/`"}},
		{"cap", `{url: "URL/big", expect: [{that: capped, true: size(body) == 1048576}]}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, err := decodedCheck(t, "http", strings.ReplaceAll(c.spec, "URL", server.URL))
			require.NoError(t, err)
			findings, err := k.look(t.Context(), &Target{})
			require.NoError(t, err)
			var lines []string
			for _, f := range findings {
				lines = append(lines, f.Lines()...)
			}
			assert.Equal(t, strings.ReplaceAll(strings.Join(c.lines, "\n"), "URL", server.URL), strings.Join(lines, "\n"))
		})
	}
}

func TestHTTPFromHostRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	l.Close()
	k, err := decodedCheck(t, "http", `{url: "http://`+address+`/", times: 50}`)
	require.NoError(t, err)
	findings, err := k.look(t.Context(), &Target{})
	require.NoError(t, err, "a port that refuses is an answer")
	require.Len(t, findings, 1)
	assert.Equal(t, "connection refused", findings[0].Got)
}

func TestHTTPFromHostStaysOnThisMachine(t *testing.T) {
	// Whatever a name resolves to, the connection itself is refused.
	c := &httpCheck{URL: "http://192.0.2.1/"}
	u, _ := url.Parse(c.URL)
	answers, err := c.askHost(t.Context(), &Target{}, u)
	require.NoError(t, err)
	assert.Contains(t, answers[0].Error, "is not this machine")
}

func TestHTTPCommand(t *testing.T) {
	c := &httpCheck{URL: "http://web:8080/a?b=c", Times: 5, Method: "POST", Headers: map[string]string{"X-B": "2", "X-A": "1"}}
	u, err := c.parse()
	require.NoError(t, err)
	assert.Equal(t, []string{"get", "-o", "json", "-timeout", "3s", "-n", "5", "-X", "POST", "-H", "X-A: 1", "-H", "X-B: 2", "http://web.lab-ns:8080/a?b=c"},
		c.command(u, "lab-ns"))
}

func TestTCPInPlaceOfHTTP(t *testing.T) {
	for spec, wants := range map[string]string{
		`{url: "tcp://echo:9000"}`:                                        "tcp goes from the cluster or a pod",
		`{url: "tcp://localhost:9000", from: host}`:                       "tcp goes from the cluster or a pod",
		`{url: "tcp://echo", from: cluster}`:                              "not one such as tcp://echo:9000",
		`{url: "tcp://echo:9000/", from: cluster}`:                        "not one such as tcp://echo:9000",
		`{url: "tcp://me@echo:9000", from: cluster}`:                      "not one such as tcp://echo:9000",
		`{url: "TCP://echo:9000", from: cluster}`:                         "not one such as tcp://echo:9000",
		`{url: "tcp://echo:9000", from: cluster, method: POST}`:           "without method, headers and status",
		`{url: "tcp://echo:9000", from: cluster, headers: {a: b}}`:        "without method, headers and status",
		`{url: "tcp://echo:9000", from: cluster, statuses: [200]}`:        "without method, headers and status",
		`{url: "udp://echo:9000", from: cluster}`:                         "not one such as http://",
		`{url: "tcp://echo:9000", from: cluster, times: 5, expect: [{}]}`: "that is missing",
	} {
		_, err := decodedCheck(t, "http", spec)
		assert.ErrorContains(t, err, wants, spec)
	}
	_, err := decodedCheck(t, "rollout", `{deployment: echo, url: "tcp://echo:9000"}`)
	assert.ErrorContains(t, err, "only requests are counted")
	_, err = decodedCheck(t, "traffic", `{url: "tcp://echo:9000", from: cluster, by: 'body.split(" ")[0]', shares: {v1: 80, v2: 20}}`)
	assert.NoError(t, err)

	c := &httpCheck{URL: "tcp://echo:9000", From: origin{Where: fromCluster}, Times: 3}
	require.NoError(t, c.validate())
	u, err := c.parse()
	require.NoError(t, err)
	assert.Equal(t, []string{"get", "-o", "json", "-timeout", "3s", "-n", "3", "tcp://echo.lab-ns:9000"}, c.command(u, "lab-ns"))
	line := httpAnswer{Body: "v1 hello\n"}
	assert.Equal(t, -1, c.firstUnlike([]httpAnswer{line}))
	assert.Equal(t, "the line v1 hello", line.String())
	ctx, target := serveCluster{}.start(t)
	f := c.unlike(ctx, target, u, nil, []httpAnswer{line, {Error: "EOF", Kind: kindReset}})
	assert.Equal(t, "a line from tcp://echo:9000", f.Expected)
	assert.Equal(t, "a connection that was closed before the answer for request 2 of 3", f.Got)
}

func TestParseService(t *testing.T) {
	for host, want := range map[string]serviceName{
		"web":                          {"web", "mine"},
		"web.other":                    {"web", "other"},
		"web.other.svc":                {"web", "other"},
		"web.other.svc.cluster.local":  {"web", "other"},
		"web.other.svc.cluster.local.": {"web", "other"},
		"a-0.web.other.svc":            {"web", "other"},
		"a-0.web.mine":                 {"web", "mine"},
		"a-0.web.other":                {},
		"10.0.0.1":                     {},
		"www.example.com":              {},
		"":                             {},
	} {
		got, ok := parseService(host, "mine")
		assert.Equal(t, want, got, host)
		assert.Equal(t, want != serviceName{}, ok, host)
	}
}

func TestPodNamed(t *testing.T) {
	for host, want := range map[string]string{"a-0.web.mine": "a-0", "a-0.web.mine.svc.cluster.local": "a-0", "web.mine": "", "web": "", "x.a-0.web.mine.svc": ""} {
		assert.Equal(t, want, podNamed(host, serviceName{"web", "mine"}), host)
	}
}

func TestNearLabels(t *testing.T) {
	have := []map[string]string{{"app": "web", "hash": "1"}, {"app": "web", "hash": "2"}, {"app": "db"}}
	assert.Equal(t, "2 ready pods have app=web", nearLabels("ready pod", map[string]string{"app": "wbe"}, have))
	assert.Equal(t, "2 ready pods have app=web", nearLabels("ready pod", map[string]string{"name": "web"}, have))
	assert.Equal(t, "1 pod has app=db", nearLabels("pod", map[string]string{"app": "db", "tier": "x"}, have))
	assert.Equal(t, "", nearLabels("pod", map[string]string{"tier": "x"}, have))
}

func TestEvaluateIsCutOff(t *testing.T) {
	list := make([]any, 2000)
	for i := range list {
		list[i] = i
	}
	vars := map[string]any{"list": list}
	slow, _, err := compile("list.all(a, list.all(b, list.all(c, a + b + c >= 0)))", []string{"list"})
	require.NoError(t, err)
	_, _, err = evaluate(t.Context(), slow, nil, vars)
	assert.ErrorContains(t, err, "costs too much")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = evaluate(ctx, slow, nil, vars)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestEvaluateMissingFieldIsAFinding(t *testing.T) {
	for text, got := range map[string]string{
		`object.status.readyReplicas == 2`:     "no field readyReplicas",
		`object.list[3] == 1`:                  "a list that is too short",
		`object.spec.replicas == 2`:            "false",
		`object.name + 1 == 2`:                 "no such overload",
		`object.?status.?ready.orValue(0) > 0`: "false",
	} {
		isTrue, _, err := compilePair(text, "", []string{"object"})
		require.NoError(t, err, text)
		f, holds, err := evaluate(t.Context(), isTrue, nil, map[string]any{"object": map[string]any{
			"status": map[string]any{}, "spec": map[string]any{"replicas": int64(1)}, "list": []any{int64(1)}, "name": "a"}})
		require.NoError(t, err, text)
		assert.False(t, holds, text)
		assert.Equal(t, labs.Finding{Expected: text, Got: got}, f)
	}
}
