package class

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

// formSize bounds every form that is sent to the hub.
const formSize = 8 << 10

// form reads a form; when it cannot be read it answers the request itself.
func (h *Hub) form(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, formSize)
	if err := r.ParseForm(); err != nil {
		if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
			h.say(w, r, http.StatusRequestEntityTooLarge, "That is too long", "Nobody types that much into this form.")
			return false
		}
		h.say(w, r, http.StatusBadRequest, "This form cannot be read", "Go back and try again.")
		return false
	}
	return true
}

// An entrance is what the form to come in shows.
type entrance struct {
	Class, Course string
	Code, Name    string
	Problem       string
}

func (h *Hub) entrance() entrance {
	return entrance{Class: h.cfg.Class.Name, Course: h.cfg.Course.Title}
}

func (h *Hub) enterForm(w http.ResponseWriter, r *http.Request, _ *person) {
	e := h.entrance()
	if code := r.URL.Query().Get("code"); len(code) < 40 { // the printed code's address brings it
		e.Code = code
	}
	if _, err := r.Cookie(h.seal.name); err == nil {
		if p, _, end := h.session(r); p != nil {
			end()
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
		e.Problem = "Your session has ended, or your link was renewed. Use your newest link, or ask your instructor for one."
		h.seal.take(w, r)
	}
	h.show(w, r, http.StatusOK, "enter", "Come in", e)
}

// enter lets in by code and name.
func (h *Hub) enter(w http.ResponseWriter, r *http.Request, _ *person) {
	if !h.form(w, r) {
		return
	}
	e := h.entrance()
	e.Code, e.Name = r.PostForm.Get("code"), r.PostForm.Get("name")
	refuse := func(status int, problem string) {
		e.Code, e.Name, e.Problem = short(e.Code), short(e.Name), problem
		h.show(w, r, status, "enter", "Come in", e)
	}
	name, err := labs.PersonName(e.Name)
	if err != nil {
		refuse(http.StatusBadRequest, "Type your name: "+err.Error()+".")
		return
	}
	var failed error
	looked, right := h.guesses.guess(r, h.now(), func() bool {
		is, err := h.isCode(r.Context(), e.Code)
		failed = err
		return is
	})
	switch {
	case failed != nil:
		h.fail(w, r, failed)
		return
	case !looked:
		w.Header().Set("Retry-After", "5")
		refuse(http.StatusTooManyRequests, "There were too many wrong codes. Wait a few seconds.")
		return
	case !right:
		refuse(http.StatusForbidden, "This is not the code of the class.")
		return
	}
	p, err := h.takePlace(r.Context(), name)
	no := new(refusal)
	switch {
	case errors.As(err, &no):
		if no.name != "" {
			e.Name = no.name
		}
		refuse(http.StatusConflict, no.why)
	case err != nil:
		h.fail(w, r, err)
	default:
		h.letIn(w, r, p)
	}
}

// short is what a form is shown again of what was typed.
func short(s string) string {
	s = strings.ToValidUTF8(s, "")
	if r := []rune(s); len(r) > 80 {
		return string(r[:80])
	}
	return s
}

// A refusal says why somebody has no place, and what name to try.
type refusal struct{ why, name string }

func (r *refusal) Error() string { return r.why }

// errTaken says that another process was quicker.
var errTaken = errors.New("taken")

// takePlace gives a place to somebody who knows the code and says a name.
func (h *Hub) takePlace(ctx context.Context, name string) (pass, error) {
	h.entering.Lock()
	defer h.entering.Unlock()
	if err := h.readPeople(); err != nil {
		return pass{}, err
	}
	listed, free, err := h.placeOf(name)
	if err != nil {
		return pass{}, err
	}
	id := free
	switch {
	case listed != "":
		id = listed
	case id == "" && h.cfg.Class.Isolation == labs.OwnMachine:
		id = labs.PersonID(name, h.isTaken)
		if h.crowded() {
			return pass{}, &refusal{why: "The class is full: ask your instructor."}
		}
	case id == "" && h.hasSeats():
		return pass{}, &refusal{why: "All seats are taken: ask your instructor."}
	case id == "":
		return pass{}, &refusal{why: "Your name is not on the list of this class. Type it as it is there, or ask your instructor."}
	}
	var in pass
	err = h.change(ctx, id, func(m *progress.Member) error {
		if m.Removed || m.Instructor || !m.Entered.IsZero() || m.Name != "" && m.Name != name && id != listed {
			return errTaken
		}
		if m.Name == "" {
			// A seat has a card with a link: whoever is given it is somebody else.
			m.Name, m.Token = name, nil
			m.Generation++
		}
		in = pass{m.ID, false, m.Generation, h.now()}
		m.Entered = h.now()
		return nil
	})
	if errors.Is(err, errTaken) {
		return pass{}, &refusal{why: "Somebody was quicker. Try again."}
	} else if err != nil {
		return pass{}, err
	}
	return in, nil
}

// placeOf looks for the place of somebody who says a name: the one that is listed
// under it, or a free seat. It refuses a name that somebody has come in with.
func (h *Hub) placeOf(name string) (listed, free string, err error) {
	other := h.freeName(name)
	h.mu.Lock()
	defer h.mu.Unlock()
	var same *person
	for _, id := range slices.Backward(h.order) { // cards are handed out from the first on
		p := h.people[id]
		switch {
		case p.member.Name == "" && p.member.Entered.IsZero() && free == "":
			free = id
		case strings.EqualFold(p.member.Name, name):
			same = p
		}
	}
	switch {
	case same == nil:
		return "", free, nil
	case same.member.Entered.IsZero():
		return same.id, "", nil
	case free == "" && h.cfg.Class.Isolation != labs.OwnMachine:
		return "", "", &refusal{why: fmt.Sprintf("%s is in already. If that is you, use your personal link, or ask your instructor for a new one.", same.member.Name)}
	}
	return "", "", &refusal{name: other, why: fmt.Sprintf("%s is in already. If that is you, use your personal link, or ask your instructor for a new one. "+
		"If you are another, come in as %s.", same.member.Name, other)}
}

// isTaken reports whether somebody has or had an id.
func (h *Hub) isTaken(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.people[id] != nil
}

// crowded reports whether the class has as many attendees as it can.
func (h *Hub) crowded() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.order) >= labs.MaxAttendees
}

// hasSeats reports whether the class was made of seats, not of names.
func (h *Hub) hasSeats() bool {
	for _, p := range h.cfg.Class.Attendees {
		if p.Name == "" {
			return true
		}
	}
	return false
}

// enterByLink lets in by a personal link.
func (h *Hub) enterByLink(w http.ResponseWriter, r *http.Request, _ *person) {
	p, err := h.byLink(r, r.PathValue("token"))
	switch {
	case errors.Is(err, errGuesses):
		w.Header().Set("Retry-After", "5")
		h.say(w, r, http.StatusTooManyRequests, "Too many wrong links", "Wait a few seconds, then try again.")
	case errors.Is(err, errTaken):
		h.say(w, r, http.StatusForbidden, "This link is not valid", "It was mistyped, or there is a newer one. Ask your instructor.")
	case err != nil:
		h.fail(w, r, err)
	default:
		h.letIn(w, r, p)
	}
}

// errGuesses says that there were too many wrong guesses to look at this one.
var errGuesses = errors.New("too many wrong guesses")

// byLink is who comes by a personal link; errTaken when it is not valid.
func (h *Hub) byLink(r *http.Request, token string) (pass, error) {
	hash := sha256.Sum256([]byte(token))
	p := h.byToken(hash[:])
	if p == nil { // it may be new: another process makes them
		looked, _ := h.guesses.guess(r, h.now(), func() bool {
			if err := h.readPeople(); err != nil {
				h.log.Warn("reading the people of the class", "err", err)
			}
			p = h.byToken(hash[:])
			return p != nil
		})
		if !looked {
			return pass{}, errGuesses
		}
	}
	if p == nil {
		return pass{}, errTaken
	}
	return h.enterAs(r.Context(), p, hash[:])
}

// enterAs is the pass of a person whose link is valid, and notes that they came in.
// The second time there is nothing to note: a full disk shuts nobody out.
func (h *Hub) enterAs(ctx context.Context, p *person, hash []byte) (in pass, err error) {
	take := func(m *progress.Member) error {
		if m.Removed || !bytes.Equal(m.Token, hash) {
			return errTaken
		}
		in = pass{p.id, p.instructor, m.Generation, h.now()}
		if m.Entered.IsZero() {
			m.Entered = h.now()
		}
		return nil
	}
	if err := h.readPeople(); err != nil { // it may have been revoked a moment ago
		return in, err
	}
	h.mu.Lock()
	known := p.member
	h.mu.Unlock()
	if known.Entered.IsZero() {
		err = h.change(ctx, p.id, take)
	} else {
		err = take(&known)
	}
	return in, err
}

// letIn begins a session.
func (h *Hub) letIn(w http.ResponseWriter, r *http.Request, p pass) {
	h.seal.give(w, r, p)
	to := "/" + h.cfg.Course.ID + "/"
	h.mu.Lock()
	who := h.people[p.id]
	nameless := who != nil && who.member.Name == ""
	h.mu.Unlock()
	switch {
	case p.instructor:
		to = "/board/"
	case nameless:
		to = "/me/name"
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// nameForm asks for the name of whoever came in by the link of a seat.
func (h *Hub) nameForm(w http.ResponseWriter, r *http.Request, _ *person) {
	h.show(w, r, http.StatusOK, "name", "Your name", entrance{Course: h.cfg.Course.Title})
}

// giveName gives a seat the name of whoever sits there.
func (h *Hub) giveName(w http.ResponseWriter, r *http.Request, p *person) {
	if !h.form(w, r) {
		return
	}
	h.entering.Lock()
	defer h.entering.Unlock()
	name, err := labs.PersonName(r.PostForm.Get("name"))
	refuse := func(status int, name, problem string) {
		h.show(w, r, status, "name", "Your name", entrance{Course: h.cfg.Course.Title, Name: short(name), Problem: problem})
	}
	if err != nil {
		refuse(http.StatusBadRequest, r.PostForm.Get("name"), "Type your name: "+err.Error()+".")
		return
	}
	if other := h.freeName(name); other != name {
		refuse(http.StatusConflict, other, fmt.Sprintf("There is a %s already: be %s, or type another name.", name, other))
		return
	}
	err = h.change(r.Context(), p.id, func(m *progress.Member) error {
		if m.Name != "" {
			return errTaken
		}
		m.Name = name
		return nil
	})
	if err != nil && !errors.Is(err, errTaken) {
		h.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/"+h.cfg.Course.ID+"/", http.StatusSeeOther)
}

// freeName is the name, with a number when somebody has it.
func (h *Hub) freeName(name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	taken := func(name string) bool {
		return slices.ContainsFunc(h.order, func(id string) bool { return strings.EqualFold(h.people[id].member.Name, name) })
	}
	try := name
	for n := 2; taken(try); n++ {
		try = fmt.Sprintf("%s (%d)", name, n)
	}
	return try
}

// leave ends a session in this browser.
func (h *Hub) leave(w http.ResponseWriter, r *http.Request, _ *person) {
	h.seal.take(w, r)
	http.Redirect(w, r, "/in", http.StatusSeeOther)
}
