package class

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site"
)

// told is what the instructors told the room, as it is kept.
type told struct {
	Message string    `json:"message,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	For     string    `json:"for,omitempty"`
	Handed  []handed  `json:"handed,omitempty"`
}

// handed is a solution that was handed out.
type handed struct {
	Lab  string `json:"lab"`
	Task string `json:"task"`
	To   string `json:"to,omitempty"` // an attendee; empty for all
}

const (
	toldSetting = "class-told"
	mostMessage = 500 // characters
	mostMinutes = 600 // of a countdown
	keptUp      = time.Hour
)

// recall reads what was told before the hub started.
func (h *Hub) recall() error {
	kept, err := h.cfg.Store.Setting(h.ctx, toldSetting)
	if err != nil || kept == "" {
		return err
	}
	return json.Unmarshal([]byte(kept), &h.told)
}

// tell changes what the room is told, keeps it, and shows it on all open pages.
func (h *Hub) tell(ctx context.Context, change func(*told)) error {
	h.mu.Lock()
	next := h.told
	next.Handed = slices.Clone(next.Handed)
	change(&next)
	data, err := json.Marshal(next)
	h.mu.Unlock()
	if err != nil {
		return err
	}
	if err := h.cfg.Store.SetSetting(ctx, toldSetting, string(data)); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = next
	for _, p := range h.people {
		if p.site != nil {
			p.site.Tell()
		}
	}
	h.room.version++
	h.wake()
	return nil
}

// notices are what an attendee is told now.
func (h *Hub) notices(p *person) site.Notices {
	h.mu.Lock()
	n := site.Notices{Message: h.told.Message, Solutions: map[string]string{}}
	if h.told.Until.After(h.now().Add(-keptUp)) {
		n.Until, n.For = h.told.Until, h.told.For
	}
	var missing []handed
	for _, s := range h.told.Handed {
		if s.To != "" && s.To != p.id {
			continue
		}
		k := labs.Key(s.Lab, s.Task)
		if text, ok := p.solutions[k]; ok {
			n.Solutions[k] = text
		} else {
			missing = append(missing, s)
		}
	}
	h.mu.Unlock()
	for _, s := range missing {
		l, err := p.lab(h.cfg.Course.ID, s.Lab)
		if err != nil {
			h.log.Warn("handing out a solution", "attendee", p.id, "lab", s.Lab, "err", err)
			continue
		}
		k := labs.Key(s.Lab, s.Task)
		n.Solutions[k] = l.Shown(s.Task)
		h.mu.Lock()
		p.solutions[k] = n.Solutions[k] // it has the attendee's own values, which stay
		h.mu.Unlock()
	}
	return n
}

// plainText is what somebody typed, without what cannot be seen or turns the text
// around. It keeps line ends.
func plainText(s string, most int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		if unicode.IsSpace(r) {
			return ' '
		}
		if unicode.Is(unicode.Cf, r) || !unicode.IsGraphic(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > most {
		s = string(r[:most])
	}
	return strings.TrimSpace(s)
}

// sendMessage tells the room a message, or nothing any more.
func (h *Hub) sendMessage(w http.ResponseWriter, r *http.Request, _ *person) {
	if !h.form(w, r) {
		return
	}
	text := plainText(r.PostForm.Get("text"), mostMessage)
	h.done(w, r, h.tell(r.Context(), func(t *told) { t.Message = text }))
}

// countdown begins a countdown, or ends it with 0 minutes.
func (h *Hub) countdown(w http.ResponseWriter, r *http.Request, _ *person) {
	if !h.form(w, r) {
		return
	}
	minutes, err := strconv.Atoi(strings.TrimSpace(r.PostForm.Get("minutes")))
	if err != nil || minutes < 0 || minutes > mostMinutes {
		h.say(w, r, http.StatusBadRequest, "How many minutes?", fmt.Sprintf("Give a whole number from 0 to %d. 0 ends the countdown.", mostMinutes))
		return
	}
	what := plainText(strings.ReplaceAll(r.PostForm.Get("for"), "\n", " "), 80)
	h.done(w, r, h.tell(r.Context(), func(t *told) {
		t.Until, t.For = time.Time{}, ""
		if minutes > 0 {
			t.Until, t.For = h.now().Add(time.Duration(minutes)*time.Minute).Truncate(time.Second), what
		}
	}))
}

// handOut hands out the solution of a task to one attendee or to all, or takes it back.
func (h *Hub) handOut(w http.ResponseWriter, r *http.Request, _ *person) {
	if !h.form(w, r) {
		return
	}
	lab, task, _ := strings.Cut(r.PostForm.Get("task"), "/")
	to, back := r.PostForm.Get("to"), r.PostForm.Has("back")
	l := h.cfg.Course.Lab(lab)
	switch {
	case l == nil || l.Task(task) == nil:
		h.say(w, r, http.StatusBadRequest, "Which task?", "There is no such task in this course.")
		return
	case to != "" && h.attendee(to) == nil:
		h.say(w, r, http.StatusBadRequest, "To whom?", "There is no such attendee.")
		return
	case l.Shown(task) == "":
		h.say(w, r, http.StatusConflict, "Nothing to hand out", "The author of this task wrote no solution.")
		return
	}
	it := handed{lab, task, to}
	h.done(w, r, h.tell(r.Context(), func(t *told) {
		t.Handed = slices.DeleteFunc(t.Handed, func(o handed) bool {
			return o == it || to == "" && o.Lab == lab && o.Task == task // to all is to each
		})
		if !back {
			t.Handed = append(t.Handed, it)
		}
	}))
}

// done answers a form: the script is told that it is done, others go back to the board.
func (h *Hub) done(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case err != nil:
		h.fail(w, r, err)
	case r.Header.Get("Accept") == "text/plain":
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Redirect(w, r, "/board/", http.StatusSeeOther)
	}
}
