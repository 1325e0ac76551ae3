package class

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
)

// A stream is a browser that listens to events.
type stream struct {
	lines chan string
	ended chan struct{}
}

// listen opens a stream and waits for its first line.
func listen(t *testing.T, server *httptest.Server, path string, cookie *http.Cookie) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+path, nil)
	require.NoError(t, err)
	r.AddCookie(cookie)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.Equal(t, 200, answer.StatusCode)
	s := &stream{make(chan string, 1000), make(chan struct{})}
	go func() {
		defer close(s.ended)
		defer answer.Body.Close()
		lines := bufio.NewScanner(answer.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			s.lines <- lines.Text()
		}
	}()
	s.until(t, "")
	return s
}

// until reads lines until one holds text.
func (s *stream) until(t *testing.T, text string) string {
	t.Helper()
	for {
		select {
		case line := <-s.lines:
			if strings.Contains(line, text) {
				return line
			}
		case <-s.ended:
			t.Fatal("the stream ended before ", text)
		case <-time.After(10 * time.Second):
			t.Fatal("nothing says ", text)
		}
	}
}

func (s *stream) ends(t *testing.T) {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the stream goes on")
	}
}

func (s *stream) goesOn() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

func TestAStolenLinkIsRevoked(t *testing.T) {
	w := newWorld(t)
	h := w.hub()
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()
	token, err := Invite(t.Context(), w.store, labs.Person{ID: "ada"}, false)
	require.NoError(t, err)
	ada, thief := &visitor{t: t, h: h}, &visitor{t: t, h: h}
	require.Equal(t, 303, ada.do("GET", "/in/"+token).Code)
	require.Equal(t, 303, thief.do("GET", "/in/"+token).Code, "whoever has the link is let in")
	grace, bob := w.visit(h, "grace", true), w.visit(h, "bob", false)
	stolen := listen(t, server, "/demo/scale-it/events", thief.cookie)
	notices := listen(t, server, "/notices", thief.cookie)
	others := listen(t, server, "/demo/scale-it/events", bob.cookie)
	looks := listen(t, server, "/board/attendees/ada/pages/demo/scale-it/events", grace.cookie)

	require.Equal(t, 303, grace.do("POST", "/board/revoke", "who", "ada").Code)
	stolen.ends(t)
	notices.ends(t)
	assert.True(t, others.goesOn())
	assert.True(t, looks.goesOn(), "the instructor still looks")
	assert.Equal(t, "/in", thief.do("GET", "/demo/").Header().Get("Location"))
	assert.Contains(t, thief.do("GET", "/in").Body.String(), "Your session has ended")
	assert.Equal(t, 403, thief.do("GET", "/in/"+token).Code)

	r := grace.do("POST", "/board/renew", "who", "ada")
	require.Equal(t, 200, r.Code)
	_, rest, ok := strings.Cut(r.Body.String(), "http://localhost:8480/in/")
	require.True(t, ok, r.Body.String())
	fresh, _, _ := strings.Cut(rest, "<")
	assert.Equal(t, 303, ada.do("GET", "/in/"+fresh).Code)
	assert.Equal(t, 200, ada.do("GET", "/demo/").Code)
	assert.Equal(t, 403, thief.do("GET", "/in/"+token).Code)

	// A command of another process revokes too, and the hub soon sees it.
	again := listen(t, server, "/notices", ada.cookie)
	require.NoError(t, Remove(t.Context(), w.store, "ada"))
	again.ends(t)
	assert.Equal(t, 303, ada.do("GET", "/demo/").Code)
	h.mu.Lock()
	assert.NotContains(t, h.order, "ada")
	h.mu.Unlock()
	assert.Equal(t, 404, grace.do("GET", "/board/attendees/ada/").Code)

	back, err := Invite(t.Context(), w.store, labs.Person{ID: "ada"}, false)
	require.NoError(t, err)
	assert.Equal(t, 303, ada.do("GET", "/in/"+back).Code, "who was removed may come back")
	assert.Contains(t, ada.do("GET", "/demo/scale-it/").Body.String(), replicas("ada"))
}

func TestCloseEndsStreams(t *testing.T) {
	w := newWorld(t)
	h := w.hub()
	server := httptest.NewServer(h)
	defer server.Close()
	streams := []*stream{listen(t, server, "/notices", w.visit(h, "ada", false).cookie), listen(t, server, "/board/events", w.visit(h, "grace", true).cookie)}
	h.Close()
	for _, s := range streams {
		s.ends(t)
	}
}

func TestPagesHearTheInstructor(t *testing.T) {
	w := newWorld(t)
	h := w.hub()
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()
	ada, bob, grace := w.visit(h, "ada", false), w.visit(h, "bob", false), w.visit(h, "grace", true)
	lab, course := listen(t, server, "/demo/scale-it/events", ada.cookie), listen(t, server, "/notices", bob.cookie)
	board := listen(t, server, "/board/events", grace.cookie)
	require.Equal(t, 303, grace.do("POST", "/board/message", "text", "\u202e<b>Break</b>\x00 at ten").Code)
	for _, s := range []*stream{lab, course, board} {
		s.until(t, `\u0026lt;b\u0026gt;Break\u0026lt;/b\u0026gt; at ten`)
	}
	require.Equal(t, 303, grace.do("POST", "/board/solution", "task", "scale-it/give-it-an-address", "to", "ada").Code)
	lab.until(t, `kubectl apply --filename service.yaml`)
	assert.NotContains(t, bob.do("GET", "/demo/scale-it/").Body.String(), "handed out a solution", "it was for ada")
	require.Equal(t, 303, grace.do("POST", "/board/solution", "task", "scale-it/give-it-an-address", "to", "ada", "back", "yes").Code)
	lab.until(t, `"solutions":{}`)
	require.Equal(t, 303, grace.do("POST", "/board/message", "text", " ").Code)
	course.until(t, `"html":""`)

	for _, bad := range [][]string{{"/board/countdown", "minutes", "-1"}, {"/board/countdown", "minutes", "1e3"}, {"/board/solution", "task", "scale-it/nothing", "to", ""},
		{"/board/solution", "task", "", "to", ""}, {"/board/solution", "task", "scale-it/run-more-copies", "to", "eve"}, {"/board/revoke", "who", "grace"}} {
		assert.Equal(t, 400, grace.do("POST", bad[0], bad[1:]...).Code, bad)
	}
	assert.Equal(t, 409, grace.do("POST", "/board/solution", "task", "scale-it/what-you-know-now", "to", "").Code)
}

// TestBoardStream has the board send what changed, and only that.
func TestBoardStream(t *testing.T) {
	w := newWorld(t)
	h := w.hub()
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()
	w.visit(h, "ada", false)
	w.visit(h, "bob", false)
	board := listen(t, server, "/board/events", w.visit(h, "grace", true).cookie)
	line := board.until(t, `data: `)
	assert.Contains(t, line, `"id":"ada"`)
	assert.Contains(t, line, `"id":"bob"`)
	board.until(t, `"ready":"no","detail":"node v1.36"`)
	w.say("ada", "first-container", verdict("runs", labs.Failing, "there is no container"))
	line = board.until(t, "there is no container")
	assert.NotContains(t, line, `"id":"bob"`)
	assert.Contains(t, line, `1 of 2\u003c/strong\u003e`)
	w.say("ada", "first-container", verdict("runs", labs.Passed, ""))
	line = board.until(t, `"states":"pnnnn"`)
	assert.NotContains(t, line, "there is no container")
}
