package class

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
)

// A place is one of the hub's addresses, with the request that its owner makes.
type place struct {
	target string
	form   []string // of a POST
	status int      // what its owner is answered
	has    string   // and with what
	did    string   // what it does to ada, as the world or the store notes it
	stream bool     // it goes on until the browser leaves
	board  bool     // of the instructor
	public bool
}

// places has an entry for each route: of the hub, and of an attendee's Site. In
// those of attendees, ada is the owner.
func places(token string) map[string]place {
	return map[string]place{
		"GET /in":            {target: "/in", status: 200, has: "Code of the class", public: true},
		"POST /in":           {target: "/in", form: []string{"code", "wrong", "name", "x"}, status: 403, has: "not the code", public: true},
		"GET /in/{token}":    {target: "/in/" + token, status: 303, public: true},
		"POST /out":          {target: "/out", form: []string{"x", "y"}, status: 303, public: true},
		"GET /assets/{name}": {target: "/assets/nothing.css", status: 404, public: true},
		"/machine/":          {target: "/machine/events", status: 404, public: true}, // for machines, which have no session: see package join
		"GET /{$}":           {target: "/", status: 200, has: "Ada Lovelace"},

		"GET /me/name":             {target: "/me/name", status: 200, has: "What is your name?"},
		"POST /me/name":            {target: "/me/name", form: []string{"name", "Eve"}, status: 303}, // she has one
		"GET /me/kubeconfig/{lab}": {target: "/me/kubeconfig/scale-it", status: 200, has: replicas("ada")},
		"/":                        {target: "/nowhere/", status: 404, has: "Ada Lovelace"},

		"site GET /{$}":                             {target: "/", status: 200, has: "Ada Lovelace"},
		"site GET /notices":                         {target: "/notices", status: 200, has: "event: notices", stream: true},
		"site GET /{course}/{$}":                    {target: "/demo/", status: 200, has: "Ada Lovelace"},
		"site GET /{course}/{lab}/{$}":              {target: "/demo/scale-it/", status: 200, has: replicas("ada")},
		"site GET /{course}/{lab}/events":           {target: "/demo/scale-it/events", status: 200, has: replicas("ada"), stream: true},
		"site POST /{course}/{lab}/hints/{check}":   {target: "/demo/scale-it/hints/scaled", form: []string{"x", "y"}, status: 204, did: "ada:hint"},
		"site POST /{course}/{lab}/answers/{check}": {target: "/demo/scale-it/answers/scaled", form: []string{"answer", "y"}, status: 303, did: "ada:answer"},
		"site POST /{course}/{lab}/reset":           {target: "/demo/scale-it/reset", form: []string{"x", "y"}, status: 200, has: "resetting for ada", did: "ada:reset"},
		"site GET /api/{course}/status":             {target: "/api/demo/status", status: 200, has: `"solved": 1`},
		"site GET /assets/{name}":                   {target: "/assets/nothing.css", status: 404, public: true},

		"GET /board/{$}":                            {target: "/board/", status: 200, has: "Ada Lovelace", board: true},
		"GET /board/events":                         {target: "/board/events", status: 200, has: `"id":"ada"`, board: true, stream: true},
		"GET /board/attendees/{id}/{$}":             {target: "/board/attendees/ada/", status: 200, has: "Ada Lovelace", board: true},
		"GET /board/attendees/{id}/pages/{rest...}": {target: "/board/attendees/ada/pages/demo/scale-it/", status: 200, has: replicas("ada"), board: true},
		"POST /board/message":                       {target: "/board/message", form: []string{"text", "hello"}, status: 303, did: "told", board: true},
		"POST /board/countdown":                     {target: "/board/countdown", form: []string{"minutes", "3"}, status: 303, did: "told", board: true},
		"POST /board/solution":                      {target: "/board/solution", form: []string{"task", "scale-it/run-more-copies", "to", "ada"}, status: 303, did: "told", board: true},
		"POST /board/revoke":                        {target: "/board/revoke", form: []string{"who", "ada"}, status: 303, did: "generation", board: true},
		"POST /board/renew":                         {target: "/board/renew", form: []string{"who", "ada"}, status: 200, has: "/in/", did: "generation", board: true},
		"GET /board/export.csv":                     {target: "/board/export.csv", status: 200, has: "Ada Lovelace", board: true},
		"GET /board/export.json":                    {target: "/board/export.json", status: 200, has: "Ada Lovelace", board: true},
		"/board/":                                   {target: "/board/nothing", status: 404, has: "There is no such page", board: true},
	}
}

// TestNoLeak walks all people × all addresses × all methods. What is ada's is seen
// and changed by her alone, what is the board's by the instructor alone.
func TestNoLeak(t *testing.T) {
	w := newWorld(t)
	h := w.hub()
	require.NoError(t, w.store.Pass(t.Context(), "ada", "demo", "first-container", "runs", time.Now()))
	ada := w.visit(h, "ada", false)
	h.readProgress()

	all := places("x")
	for pattern := range h.routes() {
		assert.Contains(t, all, pattern, "a route without an entry in places")
	}
	for _, pattern := range h.attendee("ada").site.Patterns() {
		assert.Contains(t, all, "site "+pattern, "a route of the site without an entry in places")
	}
	assert.Len(t, all, len(h.routes())+len(h.attendee("ada").site.Patterns()))

	revoked := w.visit(h, "ada", false) // ends ada's first session
	old := *ada
	*ada = *revoked
	*revoked = old
	strangerKey := seal{key: make([]byte, 32), name: h.seal.name}
	bob, grace, outsider := w.visit(h, "bob", false), w.visit(h, "grace", true), &visitor{t: t, h: h}
	forged := &visitor{t: t, h: h, cookie: &http.Cookie{Name: h.seal.name, Value: strangerKey.sign(pass{"ada", false, h.people["ada"].member.Generation, time.Now()})}}
	promoted := &visitor{t: t, h: h, cookie: &http.Cookie{Name: h.seal.name, Value: strings.Replace(ada.cookie.Value, ".a.", ".i.", 1)}}
	lifted := &visitor{t: t, h: h, cookie: &http.Cookie{Name: h.seal.name, Value: h.seal.sign(pass{"ada", true, h.people["ada"].member.Generation, time.Now()})}}
	late := &visitor{t: t, h: h, cookie: &http.Cookie{Name: h.seal.name, Value: h.seal.sign(pass{"ada", false, h.people["ada"].member.Generation, time.Now().Add(-sessionLasts - time.Hour)})}}
	other := &visitor{t: t, h: h, cookie: &http.Cookie{Name: h.seal.name, Value: seal{key: h.seal.key, name: "kindlab-spring"}.sign(pass{"ada", false, h.people["ada"].member.Generation, time.Now()})}}
	strangers := map[string]*visitor{"bob": bob, "grace": grace, "outsider": outsider, "revoked": revoked, "forged": forged, "promoted": promoted,
		"lifted": lifted, "late": late, "of another class": other}

	// changed is everything that a request could have changed of ada or the room.
	changed := func() string {
		members, err := w.store.Members(t.Context())
		require.NoError(t, err)
		told, err := w.store.Setting(t.Context(), toldSetting)
		require.NoError(t, err)
		var out []string
		for _, m := range members {
			if m.ID == "ada" {
				out = append(out, fmt.Sprintf("generation %d %x", m.Generation, m.Token))
			}
		}
		for _, d := range w.done() {
			if strings.HasPrefix(d, "ada:") {
				out = append(out, d)
			}
		}
		return strings.Join(append(out, "told"+told), " ")
	}
	ask := func(v *visitor, method string, p place) *httptest.ResponseRecorder {
		who := *v // a cookie that it gives or takes does not count here
		var form []string
		if method == "POST" {
			form = p.form
		}
		ctx := t.Context()
		if p.stream {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, 60*time.Millisecond)
			defer cancel()
		}
		return who.doCtx(ctx, method, p.target, form...)
	}
	// theirs is what only ada and the instructor may see.
	theirs := []string{replicas("ada"), "Ada Lovelace", `"id":"ada"`, "secret-of-ada"}

	for pattern, p := range all {
		if p.public {
			continue
		}
		for name, v := range strangers {
			if p.board == (name == "grace") && p.board {
				continue // the owner
			}
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"} {
				before := changed()
				r := ask(v, method, p)
				body := r.Body.String()
				for _, secret := range theirs {
					assert.NotContains(t, body, secret, "%s by %s: %s", pattern, name, method)
				}
				assert.Equal(t, before, changed(), "%s by %s: %s", pattern, name, method)
				if name != "bob" && name != "grace" {
					assert.Contains(t, []int{303, 401, 403}, r.Code, "%s by %s: %s", pattern, name, method)
				}
				if p.board && name == "bob" {
					assert.Equal(t, 403, r.Code, "%s by %s: %s", pattern, name, method)
				}
			}
		}
		// What ada may ask, she is answered; what the board has, she is not.
		if p.board {
			for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
				before := changed()
				assert.Equal(t, 403, ask(ada, method, p).Code, "%s by ada: %s", pattern, method)
				assert.Equal(t, before, changed())
			}
		}
	}

	// The positive control: each request does what it says, for its owner. What ends
	// ada's session comes last.
	patterns := []string{}
	for pattern := range all {
		patterns = append(patterns, pattern)
	}
	slices.SortFunc(patterns, func(a, b string) int {
		last := func(p string) int {
			if all[p].did == "generation" {
				return 1
			}
			return 0
		}
		return last(a) - last(b)
	})
	for _, pattern := range patterns {
		p := all[pattern]
		_, rest, _ := strings.Cut(pattern, " ")
		method := "GET"
		if strings.Contains(pattern, "POST ") {
			method = "POST"
		}
		owner := ada
		if p.board {
			owner = grace
		} else if p.public {
			owner = outsider
		}
		before := changed()
		if pattern == "GET /in/{token}" {
			token, err := Invite(t.Context(), w.store, labs.Person{ID: "bob"}, false)
			require.NoError(t, err)
			p.target = "/in/" + token
		}
		r := ask(owner, method, p)
		assert.Equal(t, p.status, r.Code, "%s %s", pattern, rest)
		assert.Contains(t, r.Body.String(), p.has, pattern)
		if p.did != "" {
			assert.NotEqual(t, before, changed(), "%s does something", pattern)
		} else {
			assert.Equal(t, before, changed(), "%s does nothing", pattern)
		}
	}
}
