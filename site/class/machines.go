package class

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/join"
)

// openDesk lets attendees' own machines join, if the class is one of those.
func (h *Hub) openDesk() (err error) {
	if h.cfg.Machines == nil {
		return nil
	}
	h.desk, err = join.NewDesk(h.ctx, join.DeskConfig{
		Class: h.cfg.Class.Name, Course: h.cfg.Course, Files: h.cfg.Files, Members: members{h}, Store: h.cfg.Machines,
		News: h.News, Notices: h.noticesOfMachine, Now: h.now, Log: h.log,
	})
	if h.cfg.Ready == nil {
		h.cfg.Ready = h.desk.Ready
	}
	return err
}

// machines answers attendees' own machines.
func (h *Hub) machines(w http.ResponseWriter, r *http.Request, _ *person) {
	if h.desk == nil {
		http.Error(w, "No machines join this class.", http.StatusNotFound)
		return
	}
	h.desk.ServeHTTP(w, r)
}

// noticesOfMachine are what the pages on an attendee's own machine show.
func (h *Hub) noticesOfMachine(id string) join.Notices {
	p := h.attendee(id)
	if p == nil {
		return join.Notices{}
	}
	n := h.notices(p)
	return join.Notices{Message: n.Message, Until: n.Until, For: n.For, Solutions: n.Solutions}
}

// askedAgain is what came of asking an attendee's machine for verdicts once more, in words.
func (h *Hub) askedAgain(ctx context.Context, id string) map[string]string {
	out := map[string]string{}
	if h.cfg.Machines == nil {
		return out
	}
	all, err := h.cfg.Machines.Confirmations(ctx, id, h.cfg.Course.ID)
	if err != nil {
		h.log.WarnContext(ctx, "reading what was asked again", "attendee", id, "err", err)
	}
	for key, c := range all {
		at := c.At.Local().Format("15:04")
		if out[key] = "Confirmed by a second look at " + at; !c.Confirmed {
			out[key] = "Not confirmed by a second look at " + at + ": " + c.Why
		}
	}
	return out
}

// members are the attendees of a hub, for those who join with a machine.
type members struct{ h *Hub }

// slow is how long somebody waits after too many wrong guesses.
const slow = 5 * time.Second

// Enter implements [join.Members].
func (m members) Enter(r *http.Request, code, typed, already string) (join.Member, error) {
	h := m.h
	name, err := labs.PersonName(typed)
	if err != nil {
		return join.Member{}, &join.Refusal{Status: http.StatusBadRequest, Reason: join.ReasonName, Text: err.Error()}
	}
	var failed error
	looked, right := h.guesses.guess(r, h.now(), func() bool {
		is, err := h.isCode(r.Context(), code)
		failed = err
		return is
	})
	switch {
	case failed != nil:
		return join.Member{}, failed
	case !looked:
		return join.Member{}, &join.Refusal{Status: http.StatusTooManyRequests, Reason: join.ReasonSlow, Text: "there were too many wrong codes", After: slow}
	case !right:
		return join.Member{}, &join.Refusal{Status: http.StatusForbidden, Reason: join.ReasonCode, Text: fmt.Sprintf("%q is not the code of the class", code)}
	}
	if before, ok := m.Member(already); ok && strings.EqualFold(before.Name, name) {
		return before, nil
	}
	in, err := h.takePlace(r.Context(), name)
	if no := new(refusal); errors.As(err, &no) {
		reason := join.ReasonPlace
		if no.name != "" {
			reason = join.ReasonTaken
		}
		return join.Member{}, &join.Refusal{Status: http.StatusConflict, Reason: reason, Text: strings.TrimSuffix(no.why, "."), Try: no.name}
	}
	return m.of(in, err)
}

// Link implements [join.Members].
func (m members) Link(r *http.Request, token string) (join.Member, error) {
	in, err := m.h.byLink(r, token)
	switch {
	case errors.Is(err, errGuesses):
		return join.Member{}, &join.Refusal{Status: http.StatusTooManyRequests, Reason: join.ReasonSlow, Text: "there were too many wrong links", After: slow}
	case errors.Is(err, errTaken):
		return join.Member{}, &join.Refusal{Status: http.StatusForbidden, Reason: join.ReasonLink, Text: "this link is not valid: it was mistyped, or there is a newer one"}
	case err == nil && in.instructor:
		return join.Member{}, &join.Refusal{Status: http.StatusForbidden, Reason: join.ReasonLink, Text: "this is the link of an instructor, not of an attendee"}
	}
	return m.of(in, err)
}

// of is who has a pass.
func (m members) of(in pass, err error) (join.Member, error) {
	if err != nil {
		return join.Member{}, err
	}
	who, ok := m.Member(in.id)
	if !ok || who.Generation != in.generation {
		return join.Member{}, &join.Refusal{Status: http.StatusConflict, Reason: join.ReasonPlace, Text: "your place in the class was changed just now: try again"}
	}
	return who, nil
}

// Member implements [join.Members].
func (m members) Member(id string) (join.Member, bool) {
	p := m.h.attendee(id)
	if p == nil {
		return join.Member{}, false
	}
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	return join.Member{Person: labs.Person{ID: id, Name: p.member.Name}, Generation: p.member.Generation}, true
}
