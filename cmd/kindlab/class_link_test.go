//go:build e2e && unix

package main

import (
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stolenLink: who came in with somebody's link is out the moment that it is revoked,
// and the attendee comes in with a new one.
func (r *room) stolenLink(t *testing.T) {
	iris, thief := r.enter(t, "e2e-iris"), r.enter(t, "e2e-eve")
	stolen := r.links(t).Tokens["e2e-eve"]
	page, notices := thief.stream(t, "/room/web/events"), thief.stream(t, "/notices")
	page.shows(t, "made", "failing")
	require.Eventually(t, func() bool { opened, _, _ := notices.counts(); return opened == 1 }, patience, 20*time.Millisecond)

	status, body := iris.post(t, "/board/revoke", "who", "e2e-eve")
	require.Equal(t, http.StatusSeeOther, status, body)
	for _, s := range []*stream{page, notices} {
		require.Eventually(t, func() bool {
			_, ended, refused := s.counts()
			return ended == 1 && refused != 0
		}, patience, 20*time.Millisecond, "the open page ends, and does not come back")
	}
	for path, want := range map[string]int{"/room/web/": http.StatusSeeOther, "/me/kubeconfig/web": http.StatusSeeOther, "/in/" + stolen: http.StatusForbidden} {
		status, body := thief.get(t, path)
		assert.Equal(t, want, status, "%s: %s", path, body)
		assert.NotContains(t, body, "certificate-authority-data")
	}

	status, body = iris.post(t, "/board/renew", "who", "e2e-eve")
	require.Equal(t, http.StatusOK, status, body)
	link := regexp.MustCompile(`/in/[A-Z2-7]{20,}`).FindString(body)
	require.NotEmpty(t, link, body)
	assert.NotEqual(t, "/in/"+stolen, link)
	eve := r.visitor(t)
	status, body = eve.get(t, link)
	require.Equal(t, http.StatusSeeOther, status, body)
	eve.stream(t, "/room/web/events").shows(t, "made", "failing")
	status, _ = thief.get(t, "/in/"+stolen)
	assert.Equal(t, http.StatusForbidden, status, "the old link stays dead")
	status, _ = thief.get(t, "/room/web/")
	assert.Equal(t, http.StatusSeeOther, status, "and so does the old cookie")
}
