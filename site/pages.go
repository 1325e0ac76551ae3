package site

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
)

// A page is what the templates are given. Fields that a page has no use for are empty.
type page struct {
	Title   string
	Version string
	Course  *labs.Course
	Labs    []labView // of the course

	Courses []courseView  // the catalogue's
	Intro   template.HTML // of the course, or of the lab
	Next    *labView      // the lab to go on with
	Begun   bool          // something is solved

	Lab        *labs.Lab // the attendee's own
	Tasks      []taskView
	Done       bool // all tasks are solved
	Solved     int
	Total      int
	Place      Place
	KubeEnv    string // the command that makes one's own kubectl look there
	Prev       *labView
	CanReset   bool
	Heading    string // of a page that says what went wrong
	Message    string
	NotCurrent bool

	Base     string        // what stands before every address of the site
	Attendee string        // whose page it is, where there are several
	Back     string        // where who only looks goes back to
	Told     bool          // there may be notices
	Notices  template.HTML // of the instructor
}

// A courseView is a course in the catalogue.
type courseView struct {
	*labs.Course
	Current       bool
	Solved, Total int
	Minutes       int
}

// parsePages reads the templates: each page with the layout and the parts.
func parsePages(a *assets) (map[string]*template.Template, error) {
	pages := map[string]*template.Template{}
	for _, name := range []string{"catalogue", "course", "lab", "message"} {
		t, err := template.New("layout.html").Funcs(funcs(a)).
			ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/"+name+".html")
		if err != nil {
			return nil, err
		}
		pages[name] = t
	}
	return pages, nil
}

func funcs(a *assets) template.FuncMap {
	return template.FuncMap{"asset": a.URL, "ticks": ticks, "lead": lead}
}

// ticks is text with `code` between backticks as code.
func ticks(s string) template.HTML {
	parts := strings.Split(s, "`")
	var b strings.Builder
	for i, p := range parts {
		switch {
		case i%2 == 1 && i < len(parts)-1:
			b.WriteString("<code>" + html.EscapeString(p) + "</code>")
		case i%2 == 1: // a backtick that nothing closes
			b.WriteString("`" + html.EscapeString(p))
		default:
			b.WriteString(html.EscapeString(p))
		}
	}
	return template.HTML(b.String())
}

// lead splits the word that says what a line of a finding is about from the line.
func lead(line string) [2]string {
	for _, w := range []string{"expected ", "got ", "because ", "nearest: ", "look at ", "first: "} {
		if rest, ok := strings.CutPrefix(line, w); ok {
			return [2]string{strings.TrimSpace(w), rest}
		}
	}
	return [2]string{"", line}
}

// KubeconfigName is how a browser saves the kubeconfig of a lab.
func KubeconfigName(lab string) string { return "kindlab-" + lab + ".yaml" }

// show renders a page whole before it sends the first byte, so that what goes
// wrong in a template is an error and no half page.
func (s *Site) show(w http.ResponseWriter, r *http.Request, status int, name string, p page) {
	p.Version, p.Base, p.Back = s.cfg.Version, s.base, s.back
	if s.cfg.Attendee != nil {
		p.Attendee = s.cfg.Attendee()
	}
	if err := s.tell(&p); err != nil {
		s.log.ErrorContext(r.Context(), "showing the notices", "err", err)
	}
	var b bytes.Buffer
	if err := s.pages[name].Execute(&b, p); err != nil {
		s.log.ErrorContext(r.Context(), "rendering a page", "page", name, "err", err)
		http.Error(w, "kindlab could not make this page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}

func (s *Site) notFound(w http.ResponseWriter, r *http.Request) {
	p := page{Title: "Not found", Heading: "There is no such page",
		Message: "The address may be mistyped, or the lab is in another course."}
	known := map[string][]string{}
	for _, c := range s.cfg.Courses {
		for _, l := range c.Labs {
			known[l.ID] = append(known[l.ID], s.base+"/"+c.ID+"/"+l.ID+"/")
		}
	}
	var names []string
	for name := range known {
		names = append(names, name)
	}
	word := path.Base(r.URL.Path)
	if near := labs.Nearest(word, names); near != "" {
		word = near
	}
	if at := known[word]; len(at) == 1 {
		p.Message = "Did you mean this lab?"
		p.Next = &labView{Lab: s.labAt(at[0]), URL: at[0]}
	}
	s.show(w, r, http.StatusNotFound, "message", p)
}

// labAt is the lab, as its author wrote it, of a page's address.
func (s *Site) labAt(url string) *labs.Lab {
	course, lab, _ := strings.Cut(strings.Trim(strings.TrimPrefix(url, s.base), "/"), "/")
	for _, c := range s.cfg.Courses {
		if c.ID == course {
			return c.Lab(lab)
		}
	}
	return nil
}

// fail says what went wrong. The learner cannot mend it here, so it names the way out.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.log.ErrorContext(r.Context(), "answering", "path", r.URL.Path, "err", err)
	s.show(w, r, http.StatusInternalServerError, "message", page{
		Title: "Something is wrong", Heading: "kindlab cannot show this page now", Message: err.Error() + "."})
}

func (s *Site) catalogue(w http.ResponseWriter, r *http.Request) {
	p := page{Title: "kindlab"}
	for _, c := range s.cfg.Courses {
		reached, err := s.cfg.Progress(c.ID)
		if err != nil {
			s.fail(w, r, fmt.Errorf("reading the progress: %w", err))
			return
		}
		v := courseView{Course: c, Current: c.ID == s.cfg.Current}
		for _, l := range c.Labs {
			solved, total := reached.Lab(l)
			v.Solved, v.Total, v.Minutes = v.Solved+solved, v.Total+total, v.Minutes+l.Minutes
		}
		p.Courses = append(p.Courses, v)
	}
	s.show(w, r, http.StatusOK, "catalogue", p)
}

func (s *Site) course(w http.ResponseWriter, r *http.Request) {
	c, _, ok := s.find(w, r)
	if !ok {
		return
	}
	reached, err := s.cfg.Progress(c.ID)
	if err != nil {
		s.fail(w, r, fmt.Errorf("reading the progress: %w", err))
		return
	}
	intro, err := s.text.intro(s.base, c)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	p := page{Title: c.Title, Course: c, Labs: s.viewLabs(c, reached, ""), Intro: intro, NotCurrent: s.elsewhere(c)}
	for i := range p.Labs {
		l := &p.Labs[i]
		p.Solved, p.Total = p.Solved+l.Solved, p.Total+l.Total
		if p.Next == nil && !l.Done() {
			p.Next = l
		}
	}
	p.Begun, p.Done = p.Solved > 0, p.Total > 0 && p.Solved == p.Total
	if p.Done {
		p.Next = nil
	}
	s.show(w, r, http.StatusOK, "course", p)
}

// elsewhere reports whether the environment was made for another course.
func (s *Site) elsewhere(c *labs.Course) bool { return s.cfg.Current != "" && s.cfg.Current != c.ID }

func (s *Site) lab(w http.ResponseWriter, r *http.Request) {
	c, l, ok := s.find(w, r)
	if !ok {
		return
	}
	// Looking once has the lab watched for a moment: the page's own stream comes
	// next, and a browser without script sees the verdicts when it loads again.
	_, leave := s.hub.join(key{c.ID, l.ID})
	leave()
	text, err := s.text.lab(s.base, c, l)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	seen, _ := s.hub.known(key{c.ID, l.ID})
	reached, err := s.cfg.Progress(c.ID)
	if err != nil {
		s.fail(w, r, fmt.Errorf("reading the progress: %w", err))
		return
	}
	reached = with(reached, l.ID, seen)
	p := page{
		Title: l.Title + " · " + c.Title, Course: c, Lab: l, Intro: text.Intro, NotCurrent: s.elsewhere(c),
		Labs: s.viewLabs(c, reached, l.ID), Tasks: viewTasks(l, seen, reached, time.Now()), CanReset: s.cfg.Reset != nil,
	}
	for i := range p.Tasks {
		t := &p.Tasks[i]
		t.Text = text.Tasks[t.ID]
		for j := range t.Checks {
			t.Checks[j].Hint = text.Hints[t.Checks[j].ID]
			if _, check := l.Check(t.Checks[j].ID); s.cfg.Question != nil {
				t.Checks[j].Asks = s.cfg.Question(c.ID, l.ID, check)
			}
		}
	}
	for i := range p.Labs {
		if !p.Labs[i].Here {
			continue
		}
		p.Solved, p.Total, p.Done = p.Labs[i].Solved, p.Labs[i].Total, p.Labs[i].Done()
		if i > 0 {
			p.Prev = &p.Labs[i-1]
		}
		if i+1 < len(p.Labs) {
			p.Next = &p.Labs[i+1]
		}
	}
	if s.cfg.Place != nil {
		p.Place = s.cfg.Place(c.ID, l.ID)
	}
	if p.Place.Shell == "" && p.Place.Download == "" {
		p.Place.Shell = "kindlab shell " + l.ID
	}
	switch {
	case p.Place.Kubeconfig != "":
		p.KubeEnv = "export KUBECONFIG=" + quote(p.Place.Kubeconfig)
	case p.Place.Download != "":
		p.KubeEnv = `export KUBECONFIG="$HOME/Downloads/` + KubeconfigName(l.ID) + `"`
	}
	s.show(w, r, http.StatusOK, "lab", p)
}
