//go:build e2e && bench

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A benchRoom is a class in folders of its own. Its commands are processes of their
// own too, and so is its hub.
type benchRoom struct {
	b         *testing.B
	name, dir string
	url       string
	hub       *exec.Cmd
	in        map[string]*http.Cookie // who came in
}

const benchInstructor = "iris"

// newBenchRoom writes the class's file. rest are its lines after name and instructors.
func newBenchRoom(b *testing.B, name string, rest ...string) *benchRoom {
	r := &benchRoom{b: b, name: name, dir: b.TempDir(), in: map[string]*http.Cookie{}}
	r.write(rest...)
	b.Cleanup(func() {
		r.close()
		_, err := r.run("class", "down", "--everything")
		assert.NoError(b, err)
	})
	return r
}

// write writes the class's file anew.
func (r *benchRoom) write(rest ...string) {
	lines := append([]string{"name: " + r.name, "instructors: [{id: " + benchInstructor + ", name: Iris}]"}, rest...)
	require.NoError(r.b, os.WriteFile(filepath.Join(r.dir, classFile), []byte(strings.Join(lines, "\n")+"\n"), 0o644))
}

func (r *benchRoom) state() string { return filepath.Join(r.dir, "state", "class", r.name) }

func (r *benchRoom) command(args ...string) *exec.Cmd {
	binary, err := filepath.Abs("../../bin/kindlab")
	require.NoError(r.b, err)
	c := exec.Command(binary, args...)
	c.Dir = r.dir
	c.Env = append(os.Environ(), "KINDLAB_STATE="+filepath.Join(r.dir, "state"), "KINDLAB_WORK="+filepath.Join(r.dir, "work"), "NO_COLOR=1")
	return c
}

func (r *benchRoom) run(args ...string) (string, error) {
	out, err := r.command(args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("kindlab %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// up makes the class's environments and says how long it took.
func (r *benchRoom) up() time.Duration {
	begin := time.Now()
	_, err := r.run("class", "up")
	require.NoError(r.b, err)
	return time.Since(begin)
}

// serve starts the hub.
func (r *benchRoom) serve() {
	r.hub = r.command("class", "serve", "--port", "18480")
	said, err := r.hub.StderrPipe()
	require.NoError(r.b, err)
	require.NoError(r.b, r.hub.Start())
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if _, url, found := strings.Cut(lines.Text(), "The class is at "); found {
			r.url = url
			break
		}
	}
	require.NotEmpty(r.b, r.url, "the hub ended before it said where it is")
	go func() {
		for lines.Scan() {
			r.b.Log("hub: " + lines.Text())
		}
	}()
}

// close ends the hub.
func (r *benchRoom) close() {
	if r.hub != nil {
		_ = r.hub.Process.Signal(syscall.SIGTERM)
		_ = r.hub.Wait()
		r.hub = nil
	}
}

// enter has people come in by their links.
func (r *benchRoom) enter(people ...labs.Person) {
	data, err := os.ReadFile(filepath.Join(r.state(), "links.json"))
	require.NoError(r.b, err)
	var l links
	require.NoError(r.b, json.Unmarshal(data, &l))
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, p := range append(people, labs.Person{ID: benchInstructor}) {
		res, err := client.Get(r.url + "/in/" + l.Tokens[p.ID])
		require.NoError(r.b, err)
		require.NoError(r.b, res.Body.Close())
		require.Len(r.b, res.Cookies(), 1, "%s: %s", p.ID, res.Status)
		r.in[p.ID] = res.Cookies()[0]
	}
}

// request is one that somebody who came in sends.
func (r *benchRoom) request(who, method, path, form string) *http.Request {
	q, err := http.NewRequest(method, r.url+path, strings.NewReader(form))
	if err != nil {
		panic(err) // a path of ours
	}
	q.AddCookie(r.in[who])
	q.Header.Set("Accept", "text/html")
	if form != "" {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		q.Header.Set("Accept", "text/plain")
	}
	return q
}
