//go:build e2e && unix

package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sameName: two people with one name get two places, or are told why not; and names
// of 10 MB harm nobody.
func (r *room) sameName(t *testing.T) {
	r.serve(t)
	code := r.links(t).Code
	come := func(name string) (status int, body string) {
		return r.visitor(t).post(t, "/in", "code", code, "name", name)
	}
	for _, step := range []struct {
		name   string
		status int
		told   string
	}{
		{"Zoë", http.StatusSeeOther, ""},
		{" zoë ", http.StatusConflict, "come in as zoë (2)"},
		{"Ada", http.StatusConflict, "come in as Ada (2)"},
		{`<svg onload="window.ran=1">`, http.StatusSeeOther, ""},
		{"zoë", http.StatusConflict, "Zoë is in already"},
		{"Ada", http.StatusConflict, "Ada is in already. If that is you, use your personal link"},
		{"Zoë (2)", http.StatusConflict, "All seats are taken"},
		{strings.Repeat("Zoë", 50<<10), http.StatusRequestEntityTooLarge, "That is too long"},
		{strings.Repeat("Z", 61), http.StatusBadRequest, "a name has at most 60 characters"},
		{"\u202e\u200b", http.StatusBadRequest, "a name needs at least one letter"},
	} {
		status, body := come(step.name)
		assert.Equal(t, step.status, status, "%.40q: %.300s", step.name, body)
		assert.Contains(t, body, step.told, "%.40q", step.name)
		assert.Less(t, len(body), 20<<10, "%.40q", step.name)
	}
	st := r.status(t)
	assert.ElementsMatch(t, []string{"Zoë", `<svg onload="window.ran=1">`}, []string{st["e2e-seat-1"].Name, st["e2e-seat-2"].Name})

	long := strings.Repeat("z", 10<<20)
	for _, path := range []string{"/in/" + long, "/in?code=" + long, "/" + long + "/"} {
		status, _, _, err := r.visitor(t).do(path, nil) // or the server ends the connection
		assert.True(t, err != nil || status == http.StatusRequestHeaderFieldsTooLarge, "%.20s: %d", path, status)
	}
	for path, v := range map[string]*visitor{"/in": r.visitor(t), "/room/web/answers/said": r.enter(t, "e2e-ben"), "/board/message": r.enter(t, "e2e-iris")} {
		status, _, body, err := v.do(path, url.Values{"code": {code}, "name": {long}, "answer": {long}, "text": {long}})
		assert.True(t, err != nil || status == http.StatusRequestEntityTooLarge, "%s: %d %.300s", path, status, body)
	}
	out := r.run(t, exitCannot, "class", "add", long[:100<<10])
	assert.Less(t, len(out), 1000, "the name is not repeated whole")
	file := filepath.Join(r.dir, "long.yaml")
	require.NoError(t, os.WriteFile(file, []byte("name: "+long+"\ncourse: room\nisolation: own\nattendees: ["+long+"]\n"), 0o644))
	out = r.run(t, exitCannot, "class", "up", "-f", file)
	assert.Contains(t, out, "long.yaml:4: attendees: a name has at most 60 characters")
	assert.Less(t, len(out), 2000, "nor is it here")
	assert.False(t, r.hub.ended(), "the hub goes on")
}

// scripts: what attendees can fill is text wherever it is shown.
func (r *room) scripts(t *testing.T) {
	iris, eve := r.enter(t, "e2e-iris"), r.enter(t, "e2e-eve")
	board, web := iris.stream(t, "/board/events"), eve.stream(t, "/room/web/events")
	const image = `<img src=x onerror="window.ran=1">`
	config := r.kubeconfig(t, eve, "eve")
	r.must(t, config, "create", "configmap", "mine", "--from-literal=word="+image)
	for _, name := range []string{image, "a/b", strings.Repeat("a", 300)} {
		_, err := r.kubectl(config, "", "create", "configmap", name)
		assert.Error(t, err, "Kubernetes refuses such a name: %.40s", name)
	}
	status, body := eve.post(t, "/room/web/answers/said", "answer", "<script>window.ran=1</script>")
	assert.Equal(t, http.StatusSeeOther, status, body)
	web.shows(t, "said", "failing")
	board.sees(t, "e2e-eve", "the markup is what the ConfigMap says", func(row boardRow) bool { return strings.Contains(row.Why, "<img") })
	window := r.atBoard(t)
	window.see(t, `document.querySelector('tr[data-id=e2e-eve] .in-way').textContent.includes('<img src=x')`)
	window.see(t, `document.querySelector('.causes').textContent.includes('<img src=x')`)
	window.see(t, `document.querySelector('tr[data-id=e2e-eve] .name').textContent.includes('<script>')`)
	window.quiet(t, "the board")

	out, err := r.shell(t, "e2e-eve", "run", `docker build -q -t room-e2e-eve:1 - <<'END'
FROM scratch
LABEL kindlab.attendee="e2e-eve" kindlab.lab="run" note="<script>window.ran=1</script>"
ENTRYPOINT ["<script>window.ran=1</script>"]
END
docker create --name room-e2e-eve --env 'MESSAGE=`+image+`' --hostname '<b>' room-e2e-eve:1`)
	require.NoError(t, err, out)
	_, err = r.shell(t, "e2e-eve", "run", `docker create --name '<script>' --label kindlab.attendee=e2e-eve room-e2e-eve:1`)
	require.Error(t, err, "Docker refuses such a name")
	run := eve.stream(t, "/room/run/events")
	run.shows(t, "built", "failing")
	run.shows(t, "running", "blocked")
	for text, path := range map[string]string{
		"<script>window.ran=1</script>": "/board/message", image: "/board/countdown",
	} {
		status, body = iris.post(t, path, "text", text, "for", text, "minutes", "5")
		assert.Equal(t, http.StatusSeeOther, status, body)
	}
	board.sees(t, "e2e-eve", "the container is looked at", func(row boardRow) bool { return row.States[3] == 'f' })
	window.see(t, `document.querySelector('.toldnow').textContent.includes('<script>')`)
	window.quiet(t, "the board")
	for _, path := range []string{"/board/attendees/e2e-eve/", "/board/attendees/e2e-eve/pages/room/web/", "/board/attendees/e2e-eve/pages/room/run/"} {
		window.open(t, iris.base+path)
		window.see(t, `document.body.textContent.includes('window.ran=1')`)
		window.quiet(t, path)
	}
	window.open(t, "file://"+r.own("handout.html"))
	window.see(t, `document.body.textContent.includes('<script>window.ran=1')`)
	window.quiet(t, "the hand-out")
	window.open(t, iris.base+"/board/")
	window.see(t, `document.querySelectorAll('tr[data-id]').length >= 5`)
	iris.post(t, "/board/message", "text", "")
}
