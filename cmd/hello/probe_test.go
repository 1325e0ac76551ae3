package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestProbe(t *testing.T) {
	release := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "quick") })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) { <-release })
	server := httptest.NewServer(mux)
	defer server.Close()
	defer close(release)

	in, lines := io.Pipe()
	answered, out := io.Pipe()
	ended := make(chan int)
	go func() { ended <- probe(t.Context(), process{stdin: in, stdout: out, stderr: io.Discard}, nil) }()
	fmt.Fprintf(lines, `{"id":1,"args":["get","-o","json","-timeout","60s","%s/slow"]}`+"\n", server.URL)
	fmt.Fprintf(lines, `{"id":2,"args":["get","-o","json","%s"]}`+"\n", server.URL)
	fmt.Fprintln(lines, `{"id":3,"args":["serve"]}`)
	fmt.Fprintln(lines, `{"id":4,"args":["get","http://a"],"pod":"../../etc"}`)
	go fmt.Fprintln(lines, `no JSON`)
	all := map[int]probed{}
	for reader := json.NewDecoder(answered); len(all) < 4; {
		var a probed
		require.NoError(t, reader.Decode(&a))
		all[a.ID] = a
	}
	assert.Contains(t, all[2].Output, `"body":"quick"`)
	assert.Contains(t, all[3].Error, "only get and lookup")
	assert.Contains(t, all[4].Error, "is not the uid of a pod")
	assert.Contains(t, all[0].Error, "not a line of JSON")

	go func() { _, _ = io.Copy(io.Discard, answered) }()
	fmt.Fprintln(lines, `{"id":1,"cancel":true}`)
	lines.Close()
	select {
	case code := <-ended:
		assert.Equal(t, exitOK, code)
	case <-time.After(20 * time.Second):
		t.Fatal("a request that was cancelled is still waited for")
	}
}

func TestProcessOf(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	proc := fstest.MapFS{
		"self/cgroup":  file("0::/pod11111111-2222"),
		"12/cgroup":    file("0::/kubelet/kubepods/besteffort/podaaaaaaaa-bbbb/0123"),
		"13/cgroup":    file("0::/kubepods-podcccccccc_dddd.slice/0123"),
		"14/cgroup":    file("0::/"),
		"14/mountinfo": file("1 2 0:3 /var/lib/kubelet/pods/eeeeeeee-ffff/etc-hosts /etc/hosts rw"),
		"10/mountinfo": file("1 2 0:3 / /var/lib/kubelet/pods/eeeeeeee-ffff/volumes/token rw"),
		"version":      file("x"),
		"15/other":     file("x"),
	}
	for uid, want := range map[string]string{"aaaaaaaa-bbbb": "12", "cccccccc-dddd": "13", "eeeeeeee-ffff": "14"} {
		pid, err := processOf(proc, uid)
		require.NoError(t, err)
		assert.Equal(t, want, pid)
	}
	_, err := processOf(proc, "11111111-2222")
	assert.ErrorContains(t, err, "no process of pod")
	_, err = processOf(proc, "")
	assert.Error(t, err)
}
