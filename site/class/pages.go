package class

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site"
)

//go:embed assets templates
var files embed.FS

// A page is what every template is given; Data is its own.
type page struct {
	Title      string
	Version    string
	Class      string
	Course     *labs.Course
	Instructor bool
	Data       any
}

func parsePages(look *site.Look) (map[string]*template.Template, error) {
	funcs := look.Funcs()
	funcs["face"] = face
	pages := map[string]*template.Template{}
	for _, name := range []string{"enter", "name", "said", "board", "attendee", "link"} {
		t, err := template.New("layout.html").Funcs(funcs).
			ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/"+name+".html")
		if err != nil {
			return nil, err
		}
		pages[name] = t
	}
	return pages, nil
}

// A look is how a state looks: its mark, and the word that says the same.
type look struct{ Mark, Word string }

func face(s labs.State) look {
	if s == none {
		return look{"·", "not begun"}
	}
	mark, word := site.Face(s)
	return look{mark, word}
}

// length is a duration as one says it.
func length(d time.Duration) string {
	switch m := int(d.Minutes()); {
	case m < 1:
		return "under 1 min"
	case m < 120:
		return fmt.Sprintf("%d min", m)
	case m < 48*60:
		return fmt.Sprintf("%d h %d min", m/60, m%60)
	default:
		return fmt.Sprintf("%d days", m/60/24)
	}
}

// show renders a page whole before it sends the first byte.
func (h *Hub) show(w http.ResponseWriter, r *http.Request, status int, name, title string, data any) {
	pass, err := h.seal.of(r)
	p := page{Title: title, Version: h.cfg.Version, Class: h.cfg.Class.Name, Course: h.cfg.Course,
		Instructor: err == nil && pass.instructor, Data: data}
	var b bytes.Buffer
	if err := h.pages[name].Execute(&b, p); err != nil {
		h.log.ErrorContext(r.Context(), "rendering a page", "page", name, "err", err)
		http.Error(w, "kindlab could not make this page.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}

// say answers with a short text: as a page, or plain for a script.
func (h *Hub) say(w http.ResponseWriter, r *http.Request, status int, heading, text string) {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Error(w, heading+": "+text, status)
		return
	}
	h.show(w, r, status, "said", heading, struct{ Heading, Text string }{heading, text})
}

// fail says that the hub could not do it.
func (h *Hub) fail(w http.ResponseWriter, r *http.Request, err error) {
	h.log.ErrorContext(r.Context(), "answering", "path", r.Pattern, "err", err)
	h.say(w, r, http.StatusInternalServerError, "The server of the class cannot do this now", err.Error()+".")
}
