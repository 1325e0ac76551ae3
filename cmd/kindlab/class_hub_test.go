//go:build e2e && unix

package main

import (
	"encoding/csv"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hubKilled: kill -9 in the middle of a class. What passed is kept though it is gone
// when the hub is back, sessions hold, and browsers come back by themselves.
func (r *room) hubKilled(t *testing.T) {
	iris, ada := r.enter(t, "e2e-iris"), r.enter(t, "e2e-ada")
	board, page := iris.stream(t, "/board/events"), ada.stream(t, "/room/web/events")
	window := r.atBoard(t)
	window.see(t, boardCell("e2e-ada", 0, "not yet"))
	config, word := r.kubeconfig(t, ada, "ada"), "--from-literal=word="+r.word(t, ada)
	page.shows(t, "made", "failing")
	r.must(t, config, "create", "configmap", "mine", word)
	page.shows(t, "made", "passed")
	r.hub.kill() // the moment that the attendee has been told

	r.must(t, config, "delete", "configmap", "mine")
	r.must(t, config, "create", "configmap", "other", word)
	window.see(t, `!document.querySelector('#lost').hidden`)

	r.serve(t)
	for _, v := range []struct {
		*visitor
		path string
	}{{iris, "/board/"}, {ada, "/room/web/"}} {
		status, body := v.get(t, v.path)
		assert.Equal(t, http.StatusOK, status, "the session holds: %s", body)
	}
	page.shows(t, "other", "passed")
	board.sees(t, "e2e-ada", "both tasks are solved", func(row boardRow) bool { return row.States == "pfpn" || row.States == "pnpn" })
	window.see(t, boardCell("e2e-ada", 0, "passed"))
	window.see(t, boardCell("e2e-ada", 2, "passed"))
	window.see(t, `document.querySelector('#lost').hidden`)
	assert.Equal(t, 2, r.status(t)["e2e-ada"].Solved)

	_, body := iris.get(t, "/board/export.csv")
	lines, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	require.NoError(t, err)
	passed := map[string]bool{}
	for _, line := range lines {
		passed[line[0]+"/"+line[7]] = line[8] != ""
	}
	assert.True(t, passed["e2e-ada/made"])
	assert.True(t, passed["e2e-ada/other"])
	assert.False(t, passed["e2e-ben/made"])
}

// boardCell is JavaScript that is true when a task of an attendee has a state on the board.
func boardCell(id string, column int, word string) string {
	return `document.querySelectorAll('tr[data-id=` + id + `] td[data-s]')[` + strconv.Itoa(column) + `].querySelector('b').textContent === '` + word + `'`
}

// fullHub serves from a small file system of its own, and again when it ends, until
// the shell does.
const fullHub = `
mount -t tmpfs -o size=3m tmpfs "$FULL" || exit 9
mkdir -p "$FULL/class/$CLASS/kube"
cp "$KINDLAB_STATE/class/$CLASS"/*.* "$FULL/class/$CLASS/"
cp "$KINDLAB_STATE/class/$CLASS/kube"/*.yaml "$FULL/class/$CLASS/kube/" || exit 9
export KINDLAB_STATE="$FULL"
while :; do "$KINDLAB" class serve --port "$PORT"; done
`

// diskFull: the hub says that its disk is full, goes on, and keeps what it took in
// when there is room again. What it said it has kept is kept.
func (r *room) diskFull(t *testing.T) {
	if r.hub != nil {
		r.hub.kill()
	}
	r.status(t) // and whoever opens the progress file and closes it makes it small
	full := filepath.Join(r.dir, "full")
	require.NoError(t, os.Mkdir(full, 0o755))
	r.hub = r.startShell(r.t, []string{"unshare", "-rm", "sh", "-c", fullHub}, "FULL="+full, "CLASS="+r.cluster, "PORT="+r.port, "KINDLAB="+r.binary)
	r.hub.await(t, `The class is at http://localhost:`+r.port)
	filler := filepath.Join("/proc", strconv.Itoa(r.hub.cmd.Process.Pid), "root", full, "filler")

	iris, ada := r.enter(t, "e2e-iris"), r.enter(t, "e2e-ada")
	board, page := iris.stream(t, "/board/events"), ada.stream(t, "/room/web/events")
	config, word := r.kubeconfig(t, ada, "ada"), r.word(t, ada)
	page.shows(t, "made", "failing")
	acknowledged, refusal := "message 0", ""
	status, body := iris.post(t, "/board/message", "text", acknowledged)
	require.Equal(t, http.StatusSeeOther, status, body)
	fill(t, filler)
	for n := 1; refusal == "" && n < 200; n++ { // a little room may be left inside of the file
		text := "message " + strconv.Itoa(n)
		status, body := iris.post(t, "/board/message", "text", text)
		switch status {
		case http.StatusSeeOther:
			acknowledged = text
		default:
			require.Equal(t, http.StatusInternalServerError, status, body)
			refusal = body
		}
		fill(t, filler)
	}
	assert.Contains(t, refusal, "the disk is full")
	status, body = ada.post(t, "/room/web/answers/said", "answer", word)
	assert.Equal(t, http.StatusInternalServerError, status)
	assert.Contains(t, body, "the disk is full", "the attendee is told that the answer is not kept")
	r.must(t, config, "create", "configmap", "mine", "--from-literal=word="+word)
	page.shows(t, "made", "passed")
	require.Eventually(t, func() bool {
		return strings.Contains(strings.Join(board.all(), ""), "the disk is full")
	}, patience, 50*time.Millisecond, "the board says so")
	assert.Contains(t, r.hub.out.String(), "the disk is full", "and so does the log")
	status, _ = ada.get(t, "/room/web/")
	assert.Equal(t, http.StatusOK, status, "pages are served all the same")

	require.NoError(t, os.Remove(filler))
	require.Eventually(t, func() bool {
		_, body := iris.get(t, "/board/")
		return !strings.Contains(body, "the disk is full")
	}, patience, 100*time.Millisecond, "what could not be kept is kept now")
	status, body = ada.post(t, "/room/web/answers/said", "answer", word)
	assert.Equal(t, http.StatusSeeOther, status, body)
	page.shows(t, "said", "passed")
	r.must(t, config, "delete", "configmap", "mine")
	page.shows(t, "made", "was") // passed, but it is not so now

	opened, _, _ := board.counts()
	children, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(r.hub.cmd.Process.Pid), "task", strconv.Itoa(r.hub.cmd.Process.Pid), "children"))
	require.NoError(t, err)
	child, err := strconv.Atoi(strings.TrimSpace(string(children)))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(child, syscall.SIGKILL))
	require.Eventually(t, func() bool { now, _, _ := board.counts(); return now > opened }, patience, 50*time.Millisecond)
	_, body = iris.get(t, "/board/")
	assert.Contains(t, body, "<q>"+acknowledged+"</q>")
	board.sees(t, "e2e-ada", "made and said are kept", func(row boardRow) bool { return strings.HasPrefix(row.States, "pp") })
	r.hub.kill()
}

// fill writes a file until nothing more fits.
func fill(t *testing.T, file string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(t, err)
	defer f.Close()
	for size := 64 << 10; size > 0; {
		if n, err := f.Write(make([]byte, size)); err != nil && n == 0 {
			size /= 2
		}
	}
}
