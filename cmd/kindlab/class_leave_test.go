//go:build e2e && unix

package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dockerOfTwo: two attendees do an exercise with Docker on one engine, and each has
// what is their own.
func (r *room) dockerOfTwo(t *testing.T) {
	iris, ports := r.enter(t, "e2e-iris"), map[string]string{}
	for _, id := range []string{"e2e-ada", "e2e-ben", "e2e-eve", "e2e-seat-1", "e2e-seat-2"} {
		_, body := iris.get(t, "/board/attendees/"+id+"/pages/room/run/")
		port := regexp.MustCompile(`on port (\d+)`).FindStringSubmatch(body)
		require.Len(t, port, 2, body)
		assert.Empty(t, ports[port[1]], "%s and %s have drawn port %s", id, ports[port[1]], port[1])
		ports[port[1]] = id
	}
	adas, bens := r.enter(t, "e2e-ada").stream(t, "/room/run/events"), r.enter(t, "e2e-ben").stream(t, "/room/run/events")
	bens.shows(t, "built", "failing")
	solve := func(id string) {
		out, err := r.shell(t, id, "run", "kindlab solve run/build-and-run-it")
		require.NoError(t, err, out)
	}
	solve("e2e-ada")
	adas.shows(t, "running", "passed")
	assert.Equal(t, []string{"failing"}, bens.states(t, "built"), "what Ada has done is not Ben's")
	events := bens.all()
	assert.NotContains(t, events[len(events)-1], "room-e2e-ada", "nor named to him")

	// A container that says it is Ben's is Ben's; one with Ben's name is not Ada's.
	solve("e2e-ben")
	bens.shows(t, "running", "passed")
	r.run(t, exitSolved, "class", "reset", "e2e-ada", "run")
	adas.shows(t, "built", "failing")
	assert.False(t, exists(t, "container", "room-e2e-ada"))
	assert.False(t, exists(t, "image", "room-e2e-ada:1"))
	assert.True(t, exists(t, "container", "room-e2e-ben"))
	assert.True(t, exists(t, "image", "room-e2e-ben:1"))
	states := bens.states(t, "running")
	assert.Equal(t, "passed", states[len(states)-1])
}

// addResetRemove: each changes one attendee and nobody else.
func (r *room) addResetRemove(t *testing.T) {
	admin := r.admin(r.cluster)
	iris, ada, ben := r.enter(t, "e2e-iris"), r.enter(t, "e2e-ada"), r.enter(t, "e2e-ben")
	board, page, bens := iris.stream(t, "/board/events"), ada.stream(t, "/room/web/events"), ben.stream(t, "/room/web/events")
	before, tokens := r.uids(t, admin), r.links(t).Tokens

	r.run(t, exitSolved, "class", "add", "Cleo E2E", "Cleo E2E")
	for _, id := range []string{"cleo-e2e", "cleo-e2e-2"} {
		assert.True(t, r.status(t)[id].Ready, id)
		r.enter(t, id).stream(t, "/room/web/events").shows(t, "made", "failing")
	}
	r.same(t, before, tokens, "")

	config := r.kubeconfig(t, ada, "ada")
	_, _ = r.kubectl(config, "", "create", "configmap", "other", "--from-literal=word="+r.word(t, ada)) // if it is not there
	page.shows(t, "other", "passed")
	r.run(t, exitSolved, "class", "reset", "e2e-ada", "web")
	page.shows(t, "other", "failing")
	out, err := r.kubectl(config, "", "get", "configmap", "other")
	require.Error(t, err, out)
	assert.Contains(t, out, "not found", "the rights are there as before")
	assert.Equal(t, "kindlab", r.must(t, config, "get", "configmap", "start", "-o", "jsonpath={.data.by}"))
	assert.Zero(t, r.status(t)["e2e-ada"].Solved)
	assert.Equal(t, 1, r.status(t)["e2e-ben"].Solved, "the container of the lab run")

	before = r.uids(t, admin)
	config = r.kubeconfig(t, ben, "ben")
	r.run(t, exitSolved, "class", "remove", "e2e-ben")
	r.same(t, before, tokens, "e2e-ben")
	require.Eventually(t, func() bool { _, _, refused := bens.counts(); return refused != 0 }, patience, 20*time.Millisecond, "Ben's page ends")
	status, _ := ben.get(t, "/in/"+tokens["e2e-ben"])
	assert.Equal(t, http.StatusForbidden, status)
	require.Eventually(t, func() bool {
		out, err := r.kubectl(config, "", "get", "configmaps")
		return err != nil && strings.Contains(out, "Unauthorized")
	}, patience, time.Second, "Ben's kubeconfig is dead")
	assert.False(t, exists(t, "container", "room-e2e-ben"))
	assert.False(t, exists(t, "image", "room-e2e-ben:1"))
	assert.True(t, exists(t, "container", "room-e2e-eve"))
	status, _ = ada.get(t, "/room/web/")
	assert.Equal(t, http.StatusOK, status, "Ada's session holds")
	_, ended, _ := page.counts()
	assert.Zero(t, ended, "and her page is open")
	_, ended, _ = board.counts()
	assert.Zero(t, ended)

	r.run(t, exitSolved, "class", "remove", "e2e-ben") // as after one that was cut off
	r.run(t, exitSolved, "class", "up")
	assert.NotContains(t, r.status(t), "e2e-ben", "who was removed stays out")
	r.same(t, before, tokens, "e2e-ben")
}

// same shows that all namespaces, accounts and links are those of before, but for
// those of one who is gone.
func (r *room) same(t *testing.T, before, tokens map[string]string, gone string) {
	t.Helper()
	now := r.uids(t, r.admin(r.cluster))
	for name, uid := range before {
		if gone != "" && strings.Contains(name, gone) {
			assert.Empty(t, now[name], name)
			continue
		}
		assert.Equal(t, uid, now[name], name)
	}
	links := r.links(t).Tokens
	for id, token := range tokens {
		if strings.HasPrefix(id, "e2e-seat") {
			continue // the card of a seat is void when somebody came in by code: a new one is made
		}
		if id == gone {
			assert.Empty(t, links[id], id)
			continue
		}
		assert.Equal(t, token, links[id], id)
	}
}

// classDown: nothing of the class is left but what everybody reached.
func (r *room) classDown(t *testing.T) {
	r.run(t, exitSolved, "class", "down")
	r.nothingLeft(t, "e2e-ada", "e2e-ben", "e2e-eve", "e2e-seat-1", "cleo-e2e")
	assert.FileExists(t, r.own("progress.db"), "what they reached stays")
	assert.DirExists(t, r.work)
	for _, file := range []string{"links.json", "handout.html", "kube/" + r.cluster + ".yaml", "kube/" + r.cluster + "-e2e-ada-web.yaml"} {
		assert.NoFileExists(t, r.own(file))
	}
	r.run(t, exitSolved, "class", "down", "--everything")
	assert.NoDirExists(t, r.own())
	assert.NoDirExists(t, r.work+"/class/"+r.cluster)
	r.untouched(t)
}

// nothingLeft shows that Docker has nothing of the class's.
func (r *room) nothingLeft(t *testing.T, attendees ...string) {
	t.Helper()
	for _, id := range attendees {
		assert.Empty(t, tool(t, "docker", "ps", "-aq", "--filter", "label=kindlab.attendee="+id), "containers of %s", id)
		assert.Empty(t, tool(t, "docker", "images", "-aq", "--filter", "label=kindlab.attendee="+id), "images of %s", id)
	}
	for line := range strings.Lines(tool(t, "docker", "ps", "-a", "--format", `{{.Names}} {{.Label "io.x-k8s.kind.cluster"}}`)) {
		assert.NotContains(t, line, r.cluster, "nodes")
	}
	if tool(t, "docker", "ps", "-aq", "--filter", "network=kindlab", "--filter", "label=io.x-k8s.kind.cluster") != "" {
		t.Log("another cluster of kindlab's is on this engine: registry and network stay for it")
		return
	}
	for _, list := range [][]string{{"ps", "-aq"}, {"network", "ls", "-q"}, {"volume", "ls", "-q"}} {
		assert.Empty(t, tool(t, append(append([]string{"docker"}, list...), "--filter", "label=kindlab.part")...), "docker %s", list[0])
	}
}
