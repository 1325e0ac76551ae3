//go:build e2e && unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long anything of a class may take that is waited for.
const patience = 2 * time.Minute

// A room is where a test's class is, with a state of its own.
type room struct {
	*place
	t       *testing.T // the whole test
	cluster string     // as the class is called, not as the learner's own cluster
	file    string     // class.yaml
	port    string     // of the hub, the same after each start
	hub     *started   // as the stages leave it to one another
	window  *window    // the instructor's
}

// newRoom makes a room whose class has the isolation and the rest of its class.yaml.
func newRoom(t *testing.T, name, rest string) *room {
	t.Helper()
	r := &room{place: newPlace(t, name), t: t}
	r.cluster = r.place.cluster
	r.place.cluster += "-own"
	r.course = filepath.Join(filepath.Dir(r.course), "room")
	r.file = filepath.Join(r.dir, "class.yaml")
	r.write(t, rest)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r.port = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	require.NoError(t, l.Close())
	t.Cleanup(func() { r.run(t, exitSolved, "class", "down", "--everything") })
	return r
}

// write writes the class.yaml.
func (r *room) write(t *testing.T, rest string) {
	t.Helper()
	require.NoError(t, os.WriteFile(r.file, fmt.Appendf(nil, "name: %s\ncourse: %s\n%s\n", r.cluster, r.course, rest), 0o644))
}

// own is a path in the class's state folder.
func (r *room) own(path ...string) string {
	return filepath.Join(append([]string{r.state, "class", r.cluster}, path...)...)
}

// links are the code of the class and everybody's token, as up noted them.
func (r *room) links(t *testing.T) links {
	t.Helper()
	var l links
	data, err := os.ReadFile(r.own("links.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &l))
	return l
}

// status is what `class status` says of each attendee.
func (r *room) status(t *testing.T) map[string]attendeeStatus {
	t.Helper()
	var st classStatus
	require.NoError(t, json.Unmarshal([]byte(r.run(t, exitSolved, "class", "status", "-o", "json")), &st))
	out := map[string]attendeeStatus{}
	for _, a := range st.Attendees {
		out[a.ID] = a
	}
	return out
}

// admin is the administrator's kubeconfig of a cluster of the class.
func (r *room) admin(cluster string) string { return r.own("kube", cluster+".yaml") }

// kubectl is the tool with a kubeconfig: what it says, and whether it could.
func (r *room) kubectl(config, in string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, r.binary, args...)
	c.Args[0] = toolKubectl
	c.Env = append(os.Environ(), "KUBECONFIG="+config, "KUBECACHEDIR="+filepath.Join(r.dir, "cache"))
	c.Stdin = strings.NewReader(in)
	out, err := c.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// must is kubectl that must succeed.
func (r *room) must(t *testing.T, config string, args ...string) string {
	t.Helper()
	out, err := r.kubectl(config, "", args...)
	require.NoError(t, err, "kubectl %s: %s", strings.Join(args, " "), out)
	return out
}

// shell types commands into an attendee's shell.
func (r *room) shell(t *testing.T, id, lab, script string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := r.command(ctx, "class", "shell", id, lab)
	c.Env = append(c.Env, "SHELL=/bin/sh")
	c.Stdin = strings.NewReader("set -eu\n" + script + "\n")
	out, err := c.CombinedOutput()
	t.Logf("%s$ %s\n%s", id, script, out)
	return string(out), err
}

// serve has the hub run, always on the same port. It may serve beyond the stage t.
func (r *room) serve(t *testing.T) {
	t.Helper()
	if r.hub == nil || r.hub.ended() {
		r.hub = r.start(r.t, "class", "serve", "--port", r.port)
		r.hub.await(t, `The class is at http://localhost:`+r.port)
	}
}

// atBoard is the instructor's browser, with the board open.
func (r *room) atBoard(t *testing.T) *window {
	t.Helper()
	if r.window == nil {
		r.window = newWindow(r.t)
		r.window.open(t, "http://localhost:"+r.port+"/in/"+r.links(t).Tokens["e2e-iris"])
	}
	r.window.open(t, "http://localhost:"+r.port+"/board/")
	return r.window
}

// startShell runs a program as the room's commands are, with more in its environment.
func (r *room) startShell(t *testing.T, argv []string, env ...string) *started {
	t.Helper()
	c := exec.CommandContext(context.Background(), argv[0], argv[1:]...)
	as := r.command(context.Background())
	c.Dir, c.Env = as.Dir, append(as.Env, env...)
	ownGroup(c)
	return start(t, c)
}

// kill is kill -9 for a program and for what it started.
func (s *started) kill() {
	killGroup(s.cmd)
	<-s.done
}

// A visitor is a browser of one person, with its cookies and without a screen.
type visitor struct {
	base   string
	client *http.Client
}

func (r *room) visitor(t *testing.T) *visitor {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	v := &visitor{base: "http://localhost:" + r.port, client: &http.Client{Jar: jar, Timeout: patience, Transport: &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	t.Cleanup(v.client.CloseIdleConnections)
	return v
}

// enter is somebody who comes in by their personal link.
func (r *room) enter(t *testing.T, id string) *visitor {
	t.Helper()
	r.serve(t)
	v := r.visitor(t)
	status, body := v.get(t, "/in/"+r.links(t).Tokens[id])
	require.Equal(t, http.StatusSeeOther, status, body)
	return v
}

// do sends a request; with a form it is a POST.
func (v *visitor) do(path string, form url.Values) (status int, header http.Header, body string, err error) {
	method, in := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, in = http.MethodPost, strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, v.base+path, in)
	if err != nil {
		return 0, nil, "", err
	}
	req.Header.Set("Accept", "text/html")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(data), err
}

func (v *visitor) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	status, _, body, err := v.do(path, nil)
	require.NoError(t, err)
	return status, body
}

func (v *visitor) post(t *testing.T, path string, pairs ...string) (status int, body string) {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	status, _, body, err := v.do(path, form)
	require.NoError(t, err)
	return status, body
}

// kubeconfig downloads the attendee's own, into a file.
func (r *room) kubeconfig(t *testing.T, v *visitor, id string) string {
	t.Helper()
	status, body := v.get(t, "/me/kubeconfig/web")
	require.Equal(t, http.StatusOK, status, body)
	file := filepath.Join(r.dir, id+".yaml")
	require.NoError(t, os.WriteFile(file, []byte(body), 0o600))
	return file
}

// A stream is an open page as the hub sees it: it reads events, and begins again
// when the connection is lost, as browsers do.
type stream struct {
	mu     sync.Mutex
	events []string // their data
	opened int
	status int // of the last answer that was none
	ended  int
	stop   context.CancelFunc
	done   chan struct{}
}

func (v *visitor) stream(t *testing.T, path string) *stream {
	ctx, stop := context.WithCancel(context.Background())
	s := &stream{stop: stop, done: make(chan struct{})}
	client := *v.client
	client.Timeout = 0
	go func() {
		defer close(s.done)
		for ctx.Err() == nil && s.read(ctx, &client, v.base+path) {
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(s.close)
	return s
}

func (s *stream) close() { s.stop(); <-s.done }

// read reads one connection to its end. A browser does not come back after an
// answer that is no stream.
func (s *stream) read(ctx context.Context, client *http.Client, address string) (again bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return true
	}
	defer resp.Body.Close()
	s.mu.Lock()
	if resp.StatusCode != http.StatusOK {
		s.status = resp.StatusCode
	} else {
		s.opened++
	}
	s.mu.Unlock()
	if resp.StatusCode != http.StatusOK {
		return false
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 64<<20)
	kind := ""
	for lines.Scan() {
		switch field, value, _ := strings.Cut(lines.Text(), ": "); field {
		case "event":
			kind = value
		case "data":
			if kind == "board" || kind == "state" {
				s.mu.Lock()
				s.events = append(s.events, value)
				s.mu.Unlock()
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended++
	return true
}

// all are the events until now.
func (s *stream) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.events...)
}

func (s *stream) counts() (opened, ended, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened, s.ended, s.status
}

// A boardRow is an attendee as the board's events have them.
type boardRow struct {
	ID, States, State, Why, Ready string
	Solved                        int
}

// rows are the rows of an attendee, the newest last.
func (s *stream) rows(t *testing.T, id string) (out []boardRow) {
	t.Helper()
	for _, e := range s.all() {
		var news struct{ Rows []boardRow }
		require.NoError(t, json.Unmarshal([]byte(e), &news))
		for _, row := range news.Rows {
			if row.ID == id {
				out = append(out, row)
			}
		}
	}
	return out
}

// states are those that a check had on an attendee's page, the newest last.
func (s *stream) states(t *testing.T, check string) (out []string) {
	t.Helper()
	for _, e := range s.all() {
		var page struct {
			Tasks []struct{ Checks []struct{ ID, State string } }
		}
		require.NoError(t, json.Unmarshal([]byte(e), &page))
		for _, task := range page.Tasks {
			for _, c := range task.Checks {
				if c.ID == check && c.State != "looking" && (len(out) == 0 || out[len(out)-1] != c.State) {
					out = append(out, c.State)
				}
			}
		}
	}
	return out
}

// sees waits until an attendee's row is as ok wants it.
func (s *stream) sees(t *testing.T, id, what string, ok func(boardRow) bool) {
	t.Helper()
	last := func() *boardRow {
		if rows := s.rows(t, id); len(rows) > 0 {
			return &rows[len(rows)-1]
		}
		return nil
	}
	if !assert.Eventually(t, func() bool { row := last(); return row != nil && ok(*row) }, patience, 50*time.Millisecond, "%s: %s", id, what) {
		t.Fatalf("the board has %+v", last())
	}
}

// shows waits until a check's last state on a page is state.
func (s *stream) shows(t *testing.T, check, state string) {
	t.Helper()
	if !assert.Eventually(t, func() bool {
		states := s.states(t, check)
		return len(states) > 0 && states[len(states)-1] == state
	}, patience, 50*time.Millisecond, "%s is %s", check, state) {
		t.Fatalf("the page said %v", s.states(t, check))
	}
}

// word is the attendee's own word in a lab, as the page has it.
func (r *room) word(t *testing.T, v *visitor) string {
	t.Helper()
	_, body := v.get(t, "/room/web/")
	word := regexp.MustCompile(`mine says (teal|plum|amber|olive)`).FindStringSubmatch(body)
	require.Len(t, word, 2, body)
	return word[1]
}
