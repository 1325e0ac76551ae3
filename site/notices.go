package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
)

// Notices are what an instructor tells an attendee.
type Notices struct {
	Message   string
	Until     time.Time         // when a countdown ends; zero when there is none
	For       string            // what the countdown is for
	Solutions map[string]string // what was handed out, by [labs.Key] of lab and task
}

// TimeLeft is what a browser without scripts is told of the countdown.
func (n Notices) TimeLeft() string { return "until " + n.Until.Local().Format("15:04") }

// UntilMilli is when the countdown ends, as scripts want it.
func (n Notices) UntilMilli() int64 { return n.Until.UnixMilli() }

// Counts reports whether there is a countdown.
func (n Notices) Counts() bool { return !n.Until.IsZero() }

// noticeState is what changes of the notices on a page.
type noticeState struct {
	HTML      string            `json:"html"`
	Solutions map[string]string `json:"solutions"` // by task, of the page's lab
}

// notices are those that a page shows now; lab may be nil.
func (s *Site) notices(lab *labs.Lab) (noticeState, error) {
	out := noticeState{Solutions: map[string]string{}}
	if s.cfg.Notices == nil {
		return out, nil
	}
	n := s.cfg.Notices()
	var err error
	if out.HTML, err = s.part("notices", n); err != nil || lab == nil {
		return out, err
	}
	for _, t := range lab.Tasks {
		text := n.Solutions[labs.Key(lab.ID, t.ID)]
		if text == "" {
			continue
		}
		if out.Solutions[t.ID], err = s.part("solution", text); err != nil {
			return out, err
		}
	}
	return out, nil
}

// part renders one of the templates that all pages have.
func (s *Site) part(name string, data any) (string, error) {
	var b strings.Builder
	if err := s.pages["lab"].ExecuteTemplate(&b, name, data); err != nil {
		return "", fmt.Errorf("rendering %s: %w", name, err)
	}
	return strings.TrimSpace(b.String()), nil
}

// tell fills the notices into a page.
func (s *Site) tell(p *page) error {
	if s.cfg.Notices == nil {
		return nil
	}
	n, err := s.notices(p.Lab)
	p.Told, p.Notices = true, template.HTML(n.HTML)
	for i, t := range p.Tasks {
		p.Tasks[i].Solution = template.HTML(n.Solutions[t.ID])
	}
	return err
}

// Tell has all open pages look at Config.Notices again.
func (s *Site) Tell() { s.hub.wakeAll() }

// told streams the notices to a page that is not a lab's.
func (s *Site) told(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Notices == nil {
		s.notFound(w, r)
		return
	}
	wake, leave := s.hub.listen()
	defer leave()
	var notices said
	s.stream(w, r, wake, func(bool) []byte {
		now, err := s.notices(nil)
		return notices.event(s, r, "notices", now, err)
	})
}

// said is what a stream said last of something.
type said struct{ last string }

// event is the message that says v, or nothing when the last one said the same.
func (d *said) event(s *Site, r *http.Request, name string, v any, err error) []byte {
	data, jsonErr := json.Marshal(v)
	if err := errors.Join(err, jsonErr); err != nil {
		s.log.WarnContext(r.Context(), "sending news", "path", r.URL.Path, "err", err)
		return []byte(": no news\n\n")
	}
	if string(data) == d.last {
		return nil
	}
	d.last = string(data)
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, data)
}
