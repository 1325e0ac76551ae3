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

// TestClassClusters is a class whose attendees have a cluster each.
func TestClassClusters(t *testing.T) {
	const clusters = `isolation: cluster
parallel: 1
attendees: [{id: e2e-ann, name: Ann}, {id: e2e-bob, name: Bob}]
instructors: [{id: e2e-iris, name: Iris}]`
	r := newRoom(t, "many", clusters)
	stage := func(name string, f func(t *testing.T)) {
		t.Helper()
		if !t.Run(name, f) {
			t.FailNow()
		}
	}
	stage("more than the host can carry", func(t *testing.T) {
		r.write(t, "isolation: cluster\nattendees: 400")
		out := r.run(t, exitCannot, "class", "up")
		assert.Regexp(t, `this host can carry \d+ attendees? .*: list no more in class.yaml`, out)
		assert.Empty(t, r.status(t), "nobody is in the roll")
		r.write(t, clusters)
	})
	stage("killed while the second cluster is made", r.killedInSecond)
	stage("one API server down", r.oneDown)
	stage("down", func(t *testing.T) {
		// A node of another class, whose name begins as this one's.
		neighbour := r.cluster + "-2-e2e-ann-control-plane"
		importImage(t, neighbour+":1")
		tool(t, "docker", "create", "--name", neighbour, "--network", "kindlab", "--label", "io.x-k8s.kind.role=control-plane",
			"--label", "io.x-k8s.kind.cluster="+r.cluster+"-2-e2e-ann", neighbour+":1", "/none")
		r.run(t, exitSolved, "class", "down")
		assert.True(t, exists(t, "container", neighbour), "it is not this class's")
		tool(t, "docker", "rm", neighbour)
		tool(t, "docker", "rmi", neighbour+":1")
		r.run(t, exitSolved, "class", "down", "--everything")
		r.nothingLeft(t, "e2e-ann", "e2e-bob")
		assert.NoDirExists(t, r.own())
	})
}

// node is the one node of an attendee's cluster; "" when there is none.
func (r *room) node(t *testing.T, id string) string {
	return tool(t, "docker", "ps", "-aq", "--no-trunc", "--filter", "label=io.x-k8s.kind.cluster="+r.cluster+"-"+id)
}

// killedInSecond: the first attendee's cluster is made at once, the other one's is
// killed half-way and made by another `up`. They are the same then.
func (r *room) killedInSecond(t *testing.T) {
	up := r.start(t, "class", "up")
	first := up.await(t, `✓ (\S+) +ready`)
	second := map[string]string{"e2e-ann": "e2e-bob", "e2e-bob": "e2e-ann"}[first]
	require.Eventually(t, func() bool { return up.ended() || r.node(t, second) != "" }, patience, 50*time.Millisecond)
	require.False(t, up.ended(), up.out.String())
	up.kill()
	made, half := r.node(t, first), r.node(t, second)
	st := r.status(t)
	assert.True(t, st[first].Ready, st[first].Detail)
	assert.False(t, st[second].Ready)

	assert.Contains(t, r.run(t, exitSolved, "class", "up"), "an earlier start was cut off half-way")
	assert.Equal(t, made, r.node(t, first), "the first one stays")
	assert.NotEqual(t, half, r.node(t, second))
	assert.Equal(t, r.ofOne(t, first), r.ofOne(t, second))
	for id, a := range r.status(t) {
		assert.True(t, a.Ready, "%s: %s", id, a.Detail)
	}
	r.untouched(t)
}

// ofOne is the snapshot of an attendee's own cluster, with nothing in it that tells whose it is.
func (r *room) ofOne(t *testing.T, id string) map[string]string {
	out := map[string]string{}
	for key, text := range r.snapshot(t, r.cluster+"-"+id, id) {
		if strings.HasPrefix(key, "file ") || key == "hand-out" || key == "links" || key == "people" {
			continue // of the whole class
		}
		out[strings.ReplaceAll(key, id, "WHO")] = regexp.MustCompile(`-----BEGIN[^-]*-----[^-]*-----END[^-]*-----(\\n)?`).ReplaceAllString(strings.ReplaceAll(text, id, "WHO"), "CERTIFICATE")
	}
	return out
}

// oneDown: an API server that does not answer makes one row unknown, and nothing failing.
func (r *room) oneDown(t *testing.T) {
	iris, ann, bob := r.enter(t, "e2e-iris"), r.enter(t, "e2e-ann"), r.enter(t, "e2e-bob")
	board := iris.stream(t, "/board/events")
	anns, bobs := ann.stream(t, "/room/web/events"), bob.stream(t, "/room/web/events")
	configs := map[string]string{"ann": r.kubeconfig(t, ann, "ann"), "bob": r.kubeconfig(t, bob, "bob")}
	words := map[string]string{"ann": r.word(t, ann), "bob": r.word(t, bob)}
	for who, v := range map[string]*visitor{"ann": ann, "bob": bob} {
		r.must(t, configs[who], "create", "configmap", "mine", "--from-literal=word="+words[who])
		status, body := v.post(t, "/room/web/answers/said", "answer", words[who])
		require.Equal(t, http.StatusSeeOther, status, body)
	}
	for _, id := range []string{"e2e-ann", "e2e-bob"} {
		board.sees(t, id, "works at the third task", func(row boardRow) bool { return row.States == "ppfn" && row.Ready == "yes" })
	}
	seen := len(board.rows(t, "e2e-bob"))

	node := r.node(t, "e2e-ann")
	tool(t, "docker", "pause", node)
	t.Cleanup(func() {
		if tool(t, "docker", "inspect", "-f", "{{.State.Paused}}", node) == "true" {
			tool(t, "docker", "unpause", node)
		}
	})
	board.sees(t, "e2e-ann", "is unknown", func(row boardRow) bool { return row.State == "unknown" && row.States == "ppun" })
	anns.shows(t, "other", "unknown")
	anns.shows(t, "made", "was") // which is looked at only when its watch is lost
	board.sees(t, "e2e-ann", "has no environment", func(row boardRow) bool { return row.Ready == "no" })
	r.must(t, configs["bob"], "create", "configmap", "other", "--from-literal=word="+words["bob"])
	board.sees(t, "e2e-bob", "goes on", func(row boardRow) bool { return row.States[:3] == "ppp" })
	tool(t, "docker", "unpause", node)
	board.sees(t, "e2e-ann", "is back", func(row boardRow) bool { return row.States == "ppfn" && row.Ready == "yes" })
	anns.shows(t, "other", "failing")
	anns.shows(t, "made", "passed")

	assert.Equal(t, []string{"passed", "was", "passed"}, after(anns.states(t, "made"), "passed"))
	pages := strings.Join(anns.all(), "\n")
	assert.Contains(t, pages, "it cannot be seen now")
	assert.NotContains(t, pages, "it is not so now", "never failing")
	assert.Equal(t, []string{"passed"}, after(bobs.states(t, "made"), "passed"))
	for _, row := range board.rows(t, "e2e-bob")[seen:] {
		assert.NotContains(t, row.States, "u", "only Ann's row is unknown")
		assert.Equal(t, "yes", row.Ready)
	}
	r.hub.kill()
}

// after are the states from the first one on.
func after(states []string, first string) []string {
	for i, s := range states {
		if s == first {
			return states[i:]
		}
	}
	return nil
}
