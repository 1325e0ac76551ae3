package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestQuery(t *testing.T) {
	for name, c := range map[string]struct {
		status   int
		body     string
		args     []string
		code     int
		out, err string // out is all of it, err a part
	}{
		"a vector": {200, `{"status":"success","data":{"resultType":"vector","result":[
			{"metric":{"source_workload":"web","code":"200"},"value":[1764468000.1,"5.983333"]},
			{"metric":{"source_workload":"phone","code":"200"},"value":[1764468000.1,"12"]}]}}`, nil, exitOK,
			"{code=\"200\", source_workload=\"phone\"}  12\n{code=\"200\", source_workload=\"web\"}    5.983\n", ""},
		"names": {200, `{"status":"success","data":{"resultType":"vector","result":[
			{"metric":{"__name__":"up","pod":"a"},"value":[1,"1"]},{"metric":{"__name__":"up"},"value":[1,"0"]},{"metric":{},"value":[1,"NaN"]}]}}`, nil, exitOK,
			"up           0\nup{pod=\"a\"}  1\n{}           NaN\n", ""},
		"a range":    {200, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1,"1"],[6,"2"]]}]}}`, nil, exitOK, "{a=\"b\"}  1 2\n", ""},
		"a number":   {200, `{"status":"success","data":{"resultType":"scalar","result":[1,"42"]}}`, nil, exitOK, "{}  42\n", ""},
		"nothing":    {200, `{"status":"success","data":{"resultType":"vector","result":[]}}`, nil, exitOK, "", "no series: nothing has these labels"},
		"json":       {200, `{"status":"success","data":{"resultType":"vector","result":[]}}`, []string{"-o", "json"}, exitOK, `{"status":"success","data":{"resultType":"vector","result":[]}}` + "\n", ""},
		"a mistake":  {400, `{"status":"error","errorType":"bad_data","error":"1:5: parse error: unexpected end of input"}`, nil, exitFailed, "", "1:5: parse error"},
		"its json":   {400, `{"status":"error","error":"no"}`, []string{"-o", "json"}, exitFailed, `{"status":"error","error":"no"}` + "\n", ""},
		"another":    {200, "<html>", nil, exitFailed, "", "HTTP 200 OK, and not what Prometheus says"},
		"other JSON": {404, `{"a": 1}`, nil, exitFailed, "", "HTTP 404 Not Found, and not what Prometheus says"},
		"hostile":    {200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"\u001b[31m"},"value":[1,"\u001b"]}]}}`, nil, exitOK, "{a=\"\\x1b[31m\"}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			asked := ""
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.URL.Path + " " + r.URL.Query().Get("query")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			t.Cleanup(srv.Close)
			p := newProcess("PROMETHEUS_URL=" + srv.URL + "/")
			assert.Equal(t, c.code, p.run(t.Context(), append([]string{"query", `sum(rate(a{b="c d"}[1m])) + 1`}, c.args...)))
			assert.Equal(t, `/api/v1/query sum(rate(a{b="c d"}[1m])) + 1`, asked)
			assert.Equal(t, c.out, p.out.String())
			assert.Contains(t, p.err.String(), c.err)
			if c.err == "" {
				assert.Empty(t, p.err.String())
			}
		})
	}
}

func TestQueryWithoutPrometheus(t *testing.T) {
	p := newProcess()
	assert.Equal(t, exitFailed, p.run(t.Context(), []string{"query", "-server", "127.0.0.1:1", "up"}))
	assert.Contains(t, p.err.String(), "hello query: http://127.0.0.1:1: ")
	assert.Contains(t, p.err.String(), "connection refused")
}
