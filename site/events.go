package site

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
)

// A pageState is what changes on the page of a lab.
type pageState struct {
	Tasks  []taskState `json:"tasks"`
	Labs   []labState  `json:"labs"` // of the course, for the list beside the text
	Solved int         `json:"solved"`
	Total  int         `json:"total"`
}

type taskState struct {
	ID     string       `json:"id"`
	State  labs.State   `json:"state"`
	Mark   string       `json:"mark"`
	Word   string       `json:"word"`
	Checks []checkState `json:"checks"`
}

type checkState struct {
	ID    string     `json:"id"`
	State labs.State `json:"state"`
	That  string     `json:"that"`
	HTML  string     `json:"html"` // what the check says, as the page has it
	Stuck bool       `json:"stuck,omitempty"`
}

type labState struct {
	ID     string `json:"id"`
	Solved int    `json:"solved"`
	Total  int    `json:"total"`
}

// state is what the page of a lab would show now, and how often the lab was reset.
func (s *Site) state(c *labs.Course, l *labs.Lab) (pageState, int, error) {
	seen, epoch := s.hub.known(key{c.ID, l.ID})
	reached, err := s.cfg.Progress(c.ID)
	if err != nil {
		return pageState{}, epoch, fmt.Errorf("reading the progress: %w", err)
	}
	reached = with(reached, l.ID, seen)
	var out pageState
	for _, t := range viewTasks(l, seen, reached, time.Now()) {
		ts := taskState{ID: t.ID, State: t.State, Mark: t.Mark, Word: t.Word}
		for _, check := range t.Checks {
			var b strings.Builder
			if err := s.pages["lab"].ExecuteTemplate(&b, "said", check); err != nil {
				return out, epoch, fmt.Errorf("rendering check %s: %w", check.ID, err)
			}
			ts.Checks = append(ts.Checks, checkState{check.ID, check.State, check.That, b.String(), check.Stuck})
		}
		out.Tasks = append(out.Tasks, ts)
	}
	for _, v := range s.viewLabs(c, reached, l.ID) {
		out.Labs = append(out.Labs, labState{v.ID, v.Solved, v.Total})
		if v.Here {
			out.Solved, out.Total = v.Solved, v.Total
		}
	}
	return out, epoch, nil
}

// events streams the state of a lab's page: at once, and whenever it changes.
func (s *Site) events(w http.ResponseWriter, r *http.Request) {
	c, l, ok := s.find(w, r)
	if !ok {
		return
	}
	k := key{c.ID, l.ID}
	wake, leave := s.hub.join(k)
	defer leave()
	_, began := s.hub.known(k)
	var state, notices said
	last := -1
	s.stream(w, r, wake, func(beat bool) []byte {
		var message []byte
		// Not when all pages are woken at once for a notice.
		if news := s.hub.news(k); beat || news != last {
			last = news
			now, epoch, err := s.state(c, l)
			if err == nil && epoch != began {
				began = epoch
				return []byte("event: reload\ndata: {}\n\n")
			}
			message = state.event(s, r, "state", now, err)
		}
		if s.cfg.Notices != nil {
			told, err := s.notices(l)
			message = append(message, notices.event(s, r, "notices", told, err)...)
		}
		return message
	})
}

// stream sends what news says, at once and each time somebody wakes it. It asks at
// each beat too, and says so, as some of a page changes without a verdict: a hint is offered
// after a while, another process solves another lab.
func (s *Site) stream(w http.ResponseWriter, r *http.Request, wake <-chan struct{}, news func(beat bool) []byte) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // for a proxy in front of a class
	if r.Method == http.MethodHead {
		return
	}
	out := http.NewResponseController(w)
	beat := time.NewTicker(s.beat)
	defer beat.Stop()
	message := []byte("retry: 2000\n")
	onBeat := false
	for {
		fresh := news(onBeat)
		if len(fresh) == 0 {
			fresh = []byte(": still here\n\n")
		}
		message = append(message, fresh...)
		// A browser that is gone without a word must not hold its watcher for ever.
		_ = out.SetWriteDeadline(time.Now().Add(2 * s.beat))
		if _, err := w.Write(message); err != nil || out.Flush() != nil {
			return
		}
		message = message[:0]
		select {
		case <-wake:
			onBeat = false
		case <-beat.C:
			onBeat = true
		case <-r.Context().Done():
			return
		case <-s.ctx.Done():
			return
		}
	}
}
