package class

import (
	"net/http"
	"strings"
)

// role is who may ask for something.
type role int

const (
	anyone role = iota
	attendee
	instructor
)

// A route says who may ask, and who answers. The person is nil for anyone.
type route struct {
	role   role
	answer func(w http.ResponseWriter, r *http.Request, p *person)
}

// routes are all addresses of the hub. What only has the pattern "/" is for the
// attendee's own Site.
func (h *Hub) routes() map[string]route {
	return map[string]route{
		"GET /in":                  {anyone, h.enterForm},
		"POST /in":                 {anyone, h.enter},
		"GET /in/{token}":          {anyone, h.enterByLink},
		"POST /out":                {anyone, h.leave},
		"GET /assets/{name}":       {anyone, func(w http.ResponseWriter, r *http.Request, _ *person) { h.look.ServeHTTP(w, r) }},
		"GET /{$}":                 {anyone, h.home},
		"GET /me/name":             {attendee, h.nameForm},
		"POST /me/name":            {attendee, h.giveName},
		"GET /me/kubeconfig/{lab}": {attendee, h.kubeconfig},
		"/machine/":                {anyone, h.machines},
		"/":                        {attendee, h.ownPages},

		"GET /board/{$}":                            {instructor, h.board},
		"GET /board/events":                         {instructor, h.boardEvents},
		"GET /board/attendees/{id}/{$}":             {instructor, h.boardAttendee},
		"GET /board/attendees/{id}/pages/{rest...}": {instructor, h.boardPages},
		"POST /board/message":                       {instructor, h.sendMessage},
		"POST /board/countdown":                     {instructor, h.countdown},
		"POST /board/solution":                      {instructor, h.handOut},
		"POST /board/revoke":                        {instructor, h.revoke},
		"POST /board/renew":                         {instructor, h.renew},
		"GET /board/export.csv":                     {instructor, h.exportCSV},
		"GET /board/export.json":                    {instructor, h.exportJSON},
		"/board/":                                   {instructor, h.nothing},
	}
}

func (h *Hub) mux() http.Handler {
	mux := http.NewServeMux()
	for pattern, r := range h.routes() {
		mux.Handle(pattern, h.only(r))
	}
	return mux
}

// only lets those in who may ask, and ends the answer when their session ends.
func (h *Hub) only(to route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to.role == anyone {
			to.answer(w, r, nil)
			return
		}
		p, ctx, end := h.session(r)
		defer end()
		switch {
		case p == nil && r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html"):
			http.Redirect(w, r, "/in", http.StatusSeeOther)
		case p == nil:
			http.Error(w, "Come in first, at /in.", http.StatusUnauthorized)
		case p.instructor != (to.role == instructor):
			h.say(w, r, http.StatusForbidden, "This is not for you", map[role]string{
				attendee: "These are the pages of attendees. Yours is the board.", instructor: "The board is for instructors."}[to.role])
		case !p.requests.take(h.now()):
			w.Header().Set("Retry-After", "1")
			http.Error(w, "Too many requests. Wait a moment.", http.StatusTooManyRequests)
		default:
			to.answer(w, r.WithContext(ctx), p)
		}
	})
}

// home leads everybody to where they belong.
func (h *Hub) home(w http.ResponseWriter, r *http.Request, _ *person) {
	p, ctx, end := h.session(r)
	defer end()
	switch {
	case p == nil:
		http.Redirect(w, r, "/in", http.StatusSeeOther)
	case p.instructor:
		http.Redirect(w, r, "/board/", http.StatusSeeOther)
	default:
		h.ownPages(w, r.WithContext(ctx), p)
	}
}

// nothing answers to what is not there below the board.
func (h *Hub) nothing(w http.ResponseWriter, r *http.Request, _ *person) {
	h.say(w, r, http.StatusNotFound, "There is no such page", "The board has all there is.")
}
