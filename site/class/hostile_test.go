package class

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/kindlab/kindlab/labs"
)

const bad = `"><script>alert(1)</script><img src=x onerror=y>`

func TestHostileNames(t *testing.T) {
	w := newWorld(t)
	w.class.Isolation, w.class.Attendees = labs.OwnMachine, nil
	h := w.hub()
	code, err := NewCode(t.Context(), w.store)
	require.NoError(t, err)
	for _, c := range []struct {
		name   string
		status int
	}{
		{strings.Repeat("x", 10<<20), 413},
		{strings.Repeat("x", 7000), 400},
		{strings.Repeat("x", 61), 400},
		{"", 400},
		{" \t\u200b\u202e\x00 ", 400},
		{"\xff\xfe", 400},
		{bad, 303},
		{"\u202eada\u2066", 303},
		{"=cmd|' /C calc'!A0", 303},
		{"a\nb\r\nc", 303},
	} {
		v := &visitor{t: t, h: h}
		r := v.do("POST", "/in", "code", code, "name", c.name)
		assert.Equal(t, c.status, r.Code, "%.40q", c.name)
		assert.Less(t, r.Body.Len(), 20_000)
		assert.Equal(t, c.status == 303, v.cookie != nil)
	}
	v := &visitor{t: t, h: h}
	assert.Equal(t, 413, v.do("POST", "/in", "code", strings.Repeat("x", 10<<20), "name", "y").Code)
	assert.Equal(t, 403, v.do("POST", "/in", "code", strings.Repeat("x", 5000), "name", "y").Code)

	members, err := w.store.Members(t.Context())
	require.NoError(t, err)
	var names []string
	for _, m := range members {
		if !m.Instructor {
			names = append(names, m.Name)
		}
	}
	assert.Equal(t, []string{bad, "ada", "=cmd|' /C calc'!A0", "a b c"}, names, "nothing else was let in")

	h.News("ada", "demo", "scale-it", []labs.Verdict{{Check: "scaled", That: bad, State: labs.Failing, Findings: []labs.Finding{{Expected: bad, Because: bad}}}})
	require.NoError(t, h.tell(t.Context(), func(o *told) { o.Message, o.For, o.Until = bad, bad, time.Now().Add(time.Hour) }))
	grace := w.visit(h, "grace", true)
	for _, path := range []string{"/board/", "/board/attendees/ada/", "/board/attendees/ada/pages/demo/scale-it/", "/board/attendees/script-alert-1-scri/", "/in?code=" + "%22%3E%3Cscript%3E"} {
		page := grace.do("GET", path).Body.String()
		inert(t, page)
		if strings.HasPrefix(path, "/board/a") {
			continue
		}
		assert.NotContains(t, page, "<script>")
	}
	card, err := Handout{Class: bad, Course: bad, Hub: "http://hub", Code: "abcd-efgh", Links: []Link{{Person: labs.Person{ID: "x", Name: bad}, URL: "javascript:alert(1)"}}}.HTML()
	require.NoError(t, err)
	inert(t, string(card))
	assert.NotContains(t, string(card), "javascript:alert(1)\"")
}

// inert asserts that a page holds no script but the site's own, and no handler.
func inert(t *testing.T, page string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "script" {
			require.Len(t, n.Attr, 2, "only the site's own script")
		}
		for _, a := range n.Attr {
			assert.False(t, strings.HasPrefix(a.Key, "on"), "%s of %s", a.Key, n.Data)
			assert.NotEqual(t, "x", a.Val)
		}
	}
}

func TestGuessesAreLimited(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	cfg := w.config()
	cfg.Now = func() time.Time { return now }
	h, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(h.Close)
	code, err := NewCode(t.Context(), w.store)
	require.NoError(t, err)
	token, err := Invite(t.Context(), w.store, labs.Person{ID: "ada"}, false)
	require.NoError(t, err)
	require.NoError(t, h.readPeople())
	v := &visitor{t: t, h: h}
	counts := map[int]int{}
	for i := range 100 {
		counts[v.do("POST", "/in", "code", fmt.Sprint("wrong", i), "name", "Bob").Code]++
	}
	assert.Equal(t, map[int]int{403: guessesFrom, 429: 100 - guessesFrom}, counts)
	assert.Equal(t, 429, v.do("POST", "/in", "code", code, "name", "Bob").Code, "the right one is not looked at")
	assert.Equal(t, 429, v.do("GET", "/in/AAAAAAAAAAAAAAAAAAAAAAAAAA").Code)
	assert.Equal(t, 303, v.do("GET", "/in/"+token).Code, "a link cannot be guessed, so it always opens")
	now = now.Add(4 * time.Second)
	v.cookie = nil
	assert.Equal(t, 303, v.do("POST", "/in", "code", code, "name", "Bob").Code)

	// Many addresses together are slowed down too, and remembered only so far.
	l, many := newLimiter(), 0
	for i := range 2 * knownAddresses {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = fmt.Sprintf("[2001:db8:%x::1]:1", i)
		if looked, _ := l.guess(r, now, func() bool { return false }); looked {
			many++
		}
	}
	assert.Equal(t, guessesAll, many)
	assert.LessOrEqual(t, len(l.from), knownAddresses)
}

func TestAFloodOfRequests(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	cfg := w.config()
	cfg.Now = func() time.Time { return now }
	h, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(h.Close)
	ada, bob := w.visit(h, "ada", false), w.visit(h, "bob", false)
	counts := map[int]int{}
	for range 400 {
		counts[ada.do("GET", "/api/demo/status").Code]++
	}
	assert.Equal(t, map[int]int{200: 300, 429: 100}, counts)
	assert.Equal(t, 200, bob.do("GET", "/api/demo/status").Code, "nobody else is slowed down")
	now = now.Add(time.Second)

	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()
	for range mostPages {
		listen(t, server, "/notices", ada.cookie)
	}
	assert.Equal(t, 429, ada.do("GET", "/notices").Code, "so many pages are open")
}

func FuzzCookie(f *testing.F) {
	s := seal{key: []byte("01234567890123456789012345678901"), name: "kindlab-autumn"}
	good := s.sign(pass{"ada", false, 3, time.Unix(1_800_000_000, 0)})
	for _, seed := range []string{good, "", ".", "1.ada.a.3.1800000000.", good + "x", strings.Repeat(".", 300), strings.Replace(good, ".a.", ".i.", 1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := s.read(text)
		if err == nil && text != good {
			t.Errorf("%q is taken for %+v", text, p)
		}
		if text == good && (err != nil || p != pass{"ada", false, 3, time.Unix(1_800_000_000, 0)}) {
			t.Errorf("%q is not taken: %v", text, err)
		}
	})
}
