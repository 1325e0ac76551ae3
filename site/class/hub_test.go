package class

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

func TestComeInByLink(t *testing.T) {
	w := newWorld(t)
	h := w.hub()
	ada := w.visit(h, "ada", false)
	r := ada.do("GET", "/demo/scale-it/")
	assert.Equal(t, 200, r.Code)
	assert.Contains(t, r.Body.String(), replicas("ada"))
	assert.Contains(t, r.Body.String(), "Ada Lovelace")
	assert.Contains(t, r.Body.String(), `href="/me/kubeconfig/scale-it"`)
	assert.Contains(t, r.Body.String(), `$HOME/Downloads/kindlab-scale-it.yaml`)
	assert.NotContains(t, r.Body.String(), "kindlab shell")
	r = ada.do("GET", "/me/kubeconfig/scale-it")
	assert.Equal(t, "kubeconfig of "+replicas("ada"), r.Body.String())
	assert.Equal(t, `attachment; filename="kindlab-scale-it.yaml"`, r.Header().Get("Content-Disposition"))
	assert.Equal(t, 404, ada.do("GET", "/me/kubeconfig/first-container").Code, "it needs no cluster")

	grace := w.visit(h, "grace", true)
	assert.Equal(t, "/board/", grace.do("GET", "/").Header().Get("Location"))
	assert.Equal(t, 200, grace.do("GET", "/board/").Code)
	nobody := &visitor{t: t, h: h}
	assert.Equal(t, "/in", nobody.do("GET", "/demo/").Header().Get("Location"))
	assert.Equal(t, 403, nobody.do("GET", "/in/AAAAAAAAAAAAAAAAAAAAAAAAAA").Code)
	assert.Nil(t, nobody.cookie)

	r = ada.do("POST", "/out")
	assert.Equal(t, "/in", r.Header().Get("Location"))
	assert.Nil(t, ada.cookie)
}

func TestCookie(t *testing.T) {
	w := newWorld(t)
	h := w.hub()
	ada := w.visit(h, "ada", false)
	assert.True(t, ada.cookie.HttpOnly)
	assert.Equal(t, http.SameSiteLaxMode, ada.cookie.SameSite)
	assert.False(t, ada.cookie.Secure)
	assert.Equal(t, "/", ada.cookie.Path)
}

func TestComeInByCode(t *testing.T) {
	w := newWorld(t)
	w.class.Attendees = append(w.class.Attendees, labs.Person{ID: "seat-01"})
	h := w.hub()
	code, err := NewCode(t.Context(), w.store)
	require.NoError(t, err)
	in := func(code, name string) (*visitor, int, string) {
		v := &visitor{t: t, h: h}
		r := v.do("POST", "/in", "code", code, "name", name)
		return v, r.Code, r.Body.String()
	}
	_, status, body := in("abcd-efgh", "Ada Lovelace")
	assert.Equal(t, 403, status)
	assert.Contains(t, body, "not the code of the class")

	ada, status, _ := in(code, "  ada   LOVELACE ")
	require.Equal(t, 303, status, "a listed name, however it is typed")
	assert.Contains(t, ada.do("GET", "/demo/scale-it/").Body.String(), replicas("ada"))

	_, status, body = in(code, "Ada Lovelace")
	assert.Equal(t, 409, status)
	assert.Contains(t, body, "Ada Lovelace is in already")
	assert.Contains(t, body, `value="Ada Lovelace (2)"`)
	second, status, _ := in(code, "Ada Lovelace (2)")
	require.Equal(t, 303, status, "an own place, on the free seat")
	assert.Contains(t, second.do("GET", "/demo/scale-it/").Body.String(), replicas("seat-01"))

	_, status, body = in(code, "Ada Lovelace")
	assert.Equal(t, 409, status)
	assert.Contains(t, body, "use your personal link")
	_, status, body = in(code, "Zoe")
	assert.Equal(t, 409, status)
	assert.Contains(t, body, "All seats are taken")

	fresh, err := NewCode(t.Context(), w.store)
	require.NoError(t, err)
	_, status, _ = in(code, "Bob")
	assert.Equal(t, 403, status, "an earlier code is void")
	_, status, _ = in(" "+fresh[:4]+fresh[5:]+" ", "Bob")
	assert.Equal(t, 303, status, "the dash need not be typed")
}

func TestOwnMachinesNeedNoList(t *testing.T) {
	w := newWorld(t)
	w.class.Isolation, w.class.Attendees = labs.OwnMachine, nil
	h := w.hub()
	code, err := NewCode(t.Context(), w.store)
	require.NoError(t, err)
	v := &visitor{t: t, h: h}
	require.Equal(t, 303, v.do("POST", "/in", "code", code, "name", "Zoë <script>").Code)
	assert.Contains(t, v.do("GET", "/demo/scale-it/").Body.String(), replicas("zoe-script"))
	other := &visitor{t: t, h: h}
	require.Equal(t, 409, other.do("POST", "/in", "code", code, "name", "zoë <SCRIPT>").Code)
	require.Equal(t, 303, other.do("POST", "/in", "code", code, "name", "zoë <SCRIPT> (2)").Code)
	assert.Contains(t, other.do("GET", "/demo/scale-it/").Body.String(), replicas("zoe-script-2"))
}

func TestTheBoardFollows(t *testing.T) {
	w := newWorld(t)
	h := w.hub()
	assert.False(t, w.watched("ada", "first-container"), "nobody is in yet")
	w.visit(h, "ada", false)
	assert.Eventually(t, func() bool { return w.watched("ada", "first-container") }, 5*time.Second, time.Millisecond, "no page is open")
	w.say("ada", "first-container", verdict("runs", labs.Failing, "there is no container"))
	row := func() rowState {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.people["ada"].row.rowState
	}
	assert.Eventually(t, func() bool { return row().why == "there is no container" }, 5*time.Second, time.Millisecond)
	assert.Equal(t, "fnnnn", row().states)

	w.say("ada", "first-container", verdict("runs", labs.Passed, ""))
	assert.Eventually(t, func() bool { return w.watched("ada", "scale-it") }, 5*time.Second, time.Millisecond, "the next lab")
	assert.Equal(t, "pnnnn", row().states)
	assert.Equal(t, 1, row().now)

	h.News("ada", "demo", "scale-it", []labs.Verdict{verdict("scaled", labs.Blocked, "the cluster is there")})
	assert.Equal(t, "first: the cluster is there", row().why)
	h.News("nobody", "demo", "scale-it", nil)
	h.News("ada", "other", "scale-it", nil)
	h.News("ada", "demo", "nothing", []labs.Verdict{verdict("x", labs.Passed, "")})
}

func TestRestart(t *testing.T) {
	w := newWorld(t)
	h := w.hub()
	ada := w.visit(h, "ada", false)
	grace := w.visit(h, "grace", true)
	require.Equal(t, 303, grace.do("POST", "/board/message", "text", "Break at ten").Code)
	require.Equal(t, 303, grace.do("POST", "/board/countdown", "minutes", "10", "for", "Lunch").Code)
	require.Equal(t, 303, grace.do("POST", "/board/solution", "task", "scale-it/run-more-copies", "to", "").Code)
	h.Close()
	require.NoError(t, w.store.Close())
	var err error
	w.store, err = progress.Open(w.path)
	require.NoError(t, err)
	ada.h = w.hub()
	page := ada.do("GET", "/demo/scale-it/").Body.String()
	assert.Contains(t, page, "Break at ten", "the session holds, and what was told")
	assert.Contains(t, page, "Lunch")
	assert.Contains(t, page, "kubectl scale deployment hello --replicas="+replicas("ada")+"\nkubectl get pods")
}

func TestSeats(t *testing.T) {
	w := newWorld(t)
	w.class.Attendees = labs.Seats(3)
	h := w.hub()
	code, err := NewCode(t.Context(), w.store)
	require.NoError(t, err)
	tokens := map[string]string{}
	for _, p := range w.class.Attendees {
		tokens[p.ID], err = Invite(t.Context(), w.store, p, false)
		require.NoError(t, err)
	}
	byCode := &visitor{t: t, h: h}
	require.Equal(t, 303, byCode.do("POST", "/in", "code", code, "name", "Ada").Code)
	assert.Contains(t, byCode.do("GET", "/demo/scale-it/").Body.String(), replicas("seat-03"), "the last seat: the first cards are handed out")
	card := &visitor{t: t, h: h}
	assert.Equal(t, 403, card.do("GET", "/in/"+tokens["seat-03"]).Code, "the card of a seat that is taken")

	assert.Equal(t, "/me/name", card.do("GET", "/in/"+tokens["seat-01"]).Header().Get("Location"))
	assert.Contains(t, card.do("GET", "/me/name").Body.String(), "What is your name?")
	assert.Equal(t, 400, card.do("POST", "/me/name", "name", "\u200b").Code)
	r := card.do("POST", "/me/name", "name", "ADA")
	assert.Equal(t, 409, r.Code)
	assert.Contains(t, r.Body.String(), `value="ADA (2)"`)
	require.Equal(t, 303, card.do("POST", "/me/name", "name", "ADA (2)").Code)
	page := card.do("GET", "/demo/scale-it/").Body.String()
	assert.Contains(t, page, replicas("seat-01"))
	assert.Contains(t, page, "ADA (2)")
	assert.Equal(t, "/demo/", card.do("GET", "/in/"+tokens["seat-01"]).Header().Get("Location"))
	require.Equal(t, 303, card.do("POST", "/me/name", "name", "Mallory").Code)
	assert.NotContains(t, card.do("GET", "/demo/").Body.String(), "Mallory", "a name is given once")
}

// A fullStore has no room for anything new.
type fullStore struct{ Store }

var errFull = errors.New("writing the progress file: the disk is full")

func (fullStore) ChangeMember(context.Context, string, func(*progress.Member) error) error {
	return errFull
}
func (fullStore) SetSetting(context.Context, string, string) error { return errFull }

func TestAFullDisk(t *testing.T) {
	w := newWorld(t)
	first := w.hub()
	grace := w.visit(first, "grace", true)
	token, err := Invite(t.Context(), w.store, labs.Person{ID: "ada"}, false)
	require.NoError(t, err)
	later, err := Invite(t.Context(), w.store, labs.Person{ID: "bob"}, false)
	require.NoError(t, err)
	ada := &visitor{t: t, h: first}
	require.Equal(t, 303, ada.do("GET", "/in/"+token).Code)
	first.Close()

	cfg := w.config()
	cfg.Store = fullStore{w.store}
	h, err := New(cfg)
	require.NoError(t, err, "it starts")
	t.Cleanup(h.Close)
	ada.h, grace.h = h, h
	assert.Equal(t, 200, ada.do("GET", "/demo/scale-it/").Code)
	assert.Equal(t, 303, ada.do("GET", "/in/"+token).Code, "who was in may come in")
	bob := &visitor{t: t, h: h}
	r := bob.do("GET", "/in/"+later)
	assert.Equal(t, 500, r.Code)
	assert.Contains(t, r.Body.String(), "the disk is full")
	r = grace.do("POST", "/board/message", "text", "hello")
	assert.Equal(t, 500, r.Code)
	assert.Contains(t, r.Body.String(), "the disk is full")
	assert.NotContains(t, ada.do("GET", "/demo/").Body.String(), "hello", "what is not kept is not said")
}

func TestOtherSitesStayOut(t *testing.T) {
	w := newWorld(t)
	h := w.hub()
	grace := w.visit(h, "grace", true)
	ask := func(edit func(*http.Request)) int {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/board/message", strings.NewReader("text=hello"))
		r.Host = "localhost:8480"
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.AddCookie(grace.cookie)
		edit(r)
		a := httptest.NewRecorder()
		h.ServeHTTP(a, r)
		return a.Code
	}
	assert.Equal(t, 303, ask(func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }))
	assert.Equal(t, 403, ask(func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }))
	assert.Equal(t, 403, ask(func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }))
	assert.Equal(t, 421, ask(func(r *http.Request) { r.Host = "evil.example" }))
	for _, path := range []string{"/in", "/board/", "/board/attendees/ada/", "/board/attendees/ada/pages/demo/scale-it/"} {
		r := grace.do("GET", path)
		assert.Contains(t, r.Header().Get("Content-Security-Policy"), "default-src 'none'", path)
		assert.Equal(t, "no-store", r.Header().Get("Cache-Control"), path)
		for _, never := range []string{"style=", "<style", "onclick", "<script>", "unsafe"} {
			assert.NotContains(t, r.Body.String(), never, path)
		}
	}
}
