//go:build e2e && unix

package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// flood: an attendee who makes too many pods, asks too often, and has things whose
// verdicts are huge, harms nobody else.
func (r *room) flood(t *testing.T) {
	iris, ada, ben := r.enter(t, "e2e-iris"), r.enter(t, "e2e-ada"), r.enter(t, "e2e-ben")
	board, page := iris.stream(t, "/board/events"), ben.stream(t, "/room/web/events")
	config := r.kubeconfig(t, ben, "ben")

	var pods strings.Builder
	for i := range 50 {
		fmt.Fprintf(&pods, "{apiVersion: v1, kind: Pod, metadata: {name: p%d}, spec: {terminationGracePeriodSeconds: 0, containers: [{name: a, image: %s/hello:v1}]}}\n---\n", i, registryAddress(t))
	}
	out, err := r.kubectl(config, pods.String(), "apply", "-f", "-")
	require.Error(t, err)
	assert.Equal(t, 48, strings.Count(out, "exceeded quota: kindlab"), out)
	assert.Len(t, strings.Fields(r.must(t, config, "get", "pods", "-o", "name")), 2)
	out, err = r.kubectl(config, "", "get", "pods", "-n", "e2e-ada-web")
	require.Error(t, err, out)
	r.must(t, config, "delete", "pods", "--all", "--wait=false")

	huge := "<script>window.ran=1</script>" + strings.Repeat("huge ", 900<<10/5)
	out, err = r.kubectl(config, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine}\ndata: {word: '"+huge+"'}\n", "create", "-f", "-")
	require.NoError(t, err, out)
	page.shows(t, "made", "failing")
	board.sees(t, "e2e-ben", "the verdict is of the huge one", func(row boardRow) bool { return strings.Contains(row.Why, "window.ran") })
	for _, e := range append(board.all(), page.all()...) {
		assert.Less(t, len(e), 64<<10, "an event")
	}
	_, body := iris.get(t, "/board/attendees/e2e-ben/")
	assert.Less(t, len(body), 256<<10)

	// As many strangers at the door, who are turned away at once, are the measure.
	stranger, again := r.visitor(t), 0
	calm, _ := r.others(t, ada, stranger, func(int) {})
	stormy, answered := r.others(t, ada, ben, func(status int) {
		if status == http.StatusTooManyRequests {
			again++
		}
	})
	t.Logf("p99 of others: %s while strangers knock, %s while an attendee floods with %d requests, of which %d were refused", calm, stormy, answered, again)
	assert.Positive(t, again, "the flooder is told to wait")
	assert.Less(t, stormy, 10*calm, "and nobody else waits for it")
	require.Eventually(t, func() bool {
		status, _ := ben.get(t, "/room/web/")
		return status == http.StatusOK
	}, patience, 100*time.Millisecond, "who stops is let in again")
}

// others is the p99 of the answers to somebody while another sends as many requests
// as several connections carry; answered counts those.
func (r *room) others(t *testing.T, somebody, flooder *visitor, told func(status int)) (p99 time.Duration, answered int) {
	t.Helper()
	done := make(chan struct{})
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				status, header, _, err := flooder.do("/room/web/", nil)
				if err != nil || status == http.StatusTooManyRequests && header.Get("Retry-After") == "" {
					status = 0
				}
				mu.Lock()
				told(status)
				answered++
				mu.Unlock()
			}
		})
	}
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return answered > 500 }, patience, 5*time.Millisecond)
	var took []time.Duration
	for range 200 {
		began := time.Now()
		status, _ := somebody.get(t, "/room/web/")
		took = append(took, time.Since(began))
		assert.Equal(t, http.StatusOK, status)
		time.Sleep(10 * time.Millisecond) // not a flood of its own
	}
	close(done)
	all.Wait()
	slices.Sort(took)
	return took[len(took)*99/100], answered
}
