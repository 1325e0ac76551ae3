package class

import (
	"net/http"
	"slices"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

// A boardView is the board as its page shows it.
type boardView struct {
	Labs    []boardLab
	Columns []column
	Rows    []boardRow
	Parts   parts
	Told    told
	Message int // how long one may be
	Tasks   []boardTask
	Faces   []boardFace
	Tables  int
}

type boardLab struct {
	*labs.Lab
	Number, Tasks int
}

type boardTask struct{ Key, Title, Lab string }

type boardFace struct {
	Letter string
	State  labs.State
}

// A boardRow is an attendee's row.
type boardRow struct {
	ID, Name string
	Cells    []labs.State
	Columns  []column
	Now      *column
	State    labs.State
	For      string // how long they are at it
	Median   string
	Since    int64
	Check    string
	That     string
	Why      string
	Stuck    bool
	Solved   int
	Entered  string
	Ready    readiness
	Open     int
	Link     bool
}

// Ready's fields, for templates.
func (r readiness) Asked() bool    { return r.asked }
func (r readiness) OK() bool       { return r.ok }
func (r readiness) Detail() string { return r.detail }

// For templates.
func (c column) Lab() *labs.Lab   { return c.lab }
func (c column) Task() *labs.Task { return c.task }
func (c column) Number() int      { return c.number }
func (c column) First() bool      { return c.first }

// parts are what of the board is replaced as a whole.
type parts struct {
	In, All, Open, Stuck, Solved int
	Ready, Asked                 int
	Causes, More                 []causeView
	Until                        time.Time
	For, Message, Trouble        string
	Handed                       []handedView
}

// A causeView is a cluster of causes as the board shows it.
type causeView struct {
	cluster
	People []labs.Person
	Of     int // attendees who came in
	Task   *labs.Task
	Lab    *labs.Lab
	Key    string
}

// firstCauses is how many causes the board shows at once.
const firstCauses = 6

type handedView struct {
	Key, Title, To, Name string
}

// UntilMilli is when the countdown ends, as scripts want it.
func (p parts) UntilMilli() int64 { return p.Until.UnixMilli() }

// Counts reports whether there is a countdown.
func (p parts) Counts() bool { return !p.Until.IsZero() }

// Clock is when the countdown ends, as one says it.
func (p parts) Clock() string { return p.Until.Local().Format("15:04") }

// partsNow is what the board says besides its table. The hub is locked.
func (h *Hub) partsNow() parts {
	h.consider()
	out := parts{All: len(h.order), Message: h.told.Message, Trouble: h.room.trouble}
	if h.told.Until.After(h.now().Add(-keptUp)) {
		out.Until, out.For = h.told.Until, h.told.For
	}
	for _, id := range h.order {
		r := &h.people[id].row
		if !r.entered.IsZero() {
			out.In++
		}
		if r.open > 0 {
			out.Open++
		}
		if r.stuck {
			out.Stuck++
		}
		if len(h.columns) > 0 && r.solved == len(h.columns) {
			out.Solved++
		}
		if r.ready.asked {
			out.Asked++
			if r.ready.ok {
				out.Ready++
			}
		}
	}
	for _, c := range h.room.causes {
		at := h.columns[c.Column]
		v := causeView{cluster: c, Of: out.In, Task: at.task, Lab: at.lab, Key: labs.Key(at.lab.ID, at.task.ID)}
		for _, id := range c.Who {
			v.People = append(v.People, h.people[id].called())
		}
		out.Causes = append(out.Causes, v)
	}
	if len(out.Causes) > firstCauses {
		out.Causes, out.More = out.Causes[:firstCauses], out.Causes[firstCauses:]
	}
	for _, s := range h.told.Handed {
		v := handedView{Key: labs.Key(s.Lab, s.Task), To: s.To, Title: s.Task}
		if l := h.cfg.Course.Lab(s.Lab); l != nil && l.Task(s.Task) != nil {
			v.Title = l.Task(s.Task).Title
		}
		if p := h.people[s.To]; p != nil {
			v.Name = p.called().Name
		}
		out.Handed = append(out.Handed, v)
	}
	return out
}

// called is who the person is, with something to call them by. The hub is locked.
func (p *person) called() labs.Person {
	who := labs.Person{ID: p.id, Name: p.member.Name}
	if who.Name == "" {
		who.Name = p.id
	}
	return who
}

// rowView is a row as a page shows it. The hub is locked.
func (h *Hub) rowView(p *person) boardRow {
	r := p.row
	v := boardRow{ID: p.id, Name: p.called().Name, Columns: h.columns, State: r.state, Check: r.check, That: r.that, Why: r.why,
		Stuck: r.stuck, Solved: r.solved, Ready: r.ready, Open: r.open, Link: p.member.Token != nil}
	if !r.entered.IsZero() {
		v.Entered = r.entered.Local().Format("15:04")
	}
	for i := range h.columns {
		v.Cells = append(v.Cells, p.stateOf(h.columns[i]))
	}
	if r.now >= 0 {
		v.Now, v.Since = &h.columns[r.now], r.since.UnixMilli()
		v.For = length(h.now().Sub(r.since))
		if m := h.room.medians[r.now]; m > 0 {
			v.Median = length(m)
		}
	}
	return v
}

// board is the instructor's page.
func (h *Hub) board(w http.ResponseWriter, r *http.Request, _ *person) {
	h.mu.Lock()
	v := boardView{Columns: h.columns, Parts: h.partsNow(), Told: h.told, Message: mostMessage, Tables: h.room.tables}
	for _, id := range h.order {
		v.Rows = append(v.Rows, h.rowView(h.people[id]))
	}
	h.mu.Unlock()
	for i, l := range h.cfg.Course.Labs {
		if _, total := (labs.Progress{}).Lab(l); total > 0 {
			v.Labs = append(v.Labs, boardLab{l, i + 1, total})
		}
	}
	for _, c := range h.columns {
		v.Tasks = append(v.Tasks, boardTask{labs.Key(c.lab.ID, c.task.ID), c.task.Title, c.lab.Title})
	}
	for _, s := range []labs.State{labs.Passed, labs.Failing, labs.Blocked, labs.Unknown, none} {
		v.Faces = append(v.Faces, boardFace{string(letters[s]), s})
	}
	h.show(w, r, http.StatusOK, "board", "Board · "+h.cfg.Class.Name, v)
}

// An attendeeView is one attendee as the instructor sees them.
type attendeeView struct {
	Row   boardRow
	Labs  []attendeeLab
	Pages string // where their own pages begin
}

type attendeeLab struct {
	*labs.Lab
	Solved, Total int
	Tasks         []attendeeTask
}

type attendeeTask struct {
	*labs.Task
	State  labs.State
	At     string
	Took   string
	Checks []attendeeCheck
}

type attendeeCheck struct {
	That, At string
	State    labs.State
	Lines    []string
	Why      []labs.Section
	Again    string // what came of asking their machine again; empty when it was not asked
}

// boardAttendee shows what is known of one attendee.
func (h *Hub) boardAttendee(w http.ResponseWriter, r *http.Request, _ *person) {
	p := h.attendee(r.PathValue("id"))
	if p == nil {
		h.nothing(w, r, nil)
		return
	}
	own := map[string]*labs.Lab{} // with the attendee's values
	for _, l := range h.cfg.Course.Labs {
		var err error
		if own[l.ID], err = p.lab(h.cfg.Course.ID, l.ID); err != nil {
			own[l.ID] = l
		}
	}
	again := h.askedAgain(r.Context(), p.id)
	h.mu.Lock()
	h.consider()
	v := attendeeView{Row: h.rowView(p), Pages: pagesOf(p.id)}
	took := h.durations(p)
	for _, l := range h.cfg.Course.Labs {
		al := attendeeLab{Lab: l}
		al.Solved, al.Total = p.reached.Lab(l)
		for _, t := range l.Tasks {
			if len(t.Checks) == 0 {
				continue
			}
			i := slices.IndexFunc(h.columns, func(c column) bool { return c.task == t })
			at := attendeeTask{Task: t, State: p.stateOf(h.columns[i])}
			if when, ok := p.reached.Task(l.ID, t); ok {
				at.At = when.Local().Format("15:04")
			}
			if took[i] >= 0 {
				at.Took = length(took[i])
			}
			for _, c := range t.Checks {
				view := p.checkView(own[l.ID], c)
				view.Again = again[labs.Key(l.ID, c.ID)]
				at.Checks = append(at.Checks, view)
			}
			al.Tasks = append(al.Tasks, at)
		}
		if al.Total > 0 {
			v.Labs = append(v.Labs, al)
		}
	}
	h.mu.Unlock()
	h.show(w, r, http.StatusOK, "attendee", v.Row.Name, v)
}

// checkView is a check of the attendee's own lab. The hub is locked.
func (p *person) checkView(own *labs.Lab, c *labs.Check) attendeeCheck {
	k := labs.Key(own.ID, c.ID)
	if _, theirs := own.Check(c.ID); theirs != nil {
		c = theirs
	}
	out := attendeeCheck{That: c.That, State: none}
	if s, ok := p.seen[k]; ok {
		out.State, out.Lines, out.Why = s.State, s.Lines(), s.Explanation()
		if s.That != "" {
			out.That = s.That
		}
	}
	if at, ok := p.reached[k]; ok {
		out.At = at.Local().Format("15:04")
		if out.State == none {
			out.State = labs.Passed
		}
	}
	return out
}

// pagesOf is where an instructor looks at an attendee's own pages.
func pagesOf(id string) string { return "/board/attendees/" + id + "/pages" }

// boardPages are an attendee's own pages, to look at.
func (h *Hub) boardPages(w http.ResponseWriter, r *http.Request, _ *person) {
	h.mu.Lock()
	var pages http.Handler
	if p := h.people[r.PathValue("id")]; p != nil && p.site != nil {
		pages = p.view
	}
	h.mu.Unlock()
	if pages == nil {
		h.nothing(w, r, nil)
		return
	}
	pages.ServeHTTP(w, r)
}

// revoke ends somebody's link and sessions.
func (h *Hub) revoke(w http.ResponseWriter, r *http.Request, me *person) {
	if p := h.chosen(w, r, me); p != nil {
		h.done(w, r, h.change(r.Context(), p.id, func(m *progress.Member) error {
			m.Token = nil
			m.Generation++
			return nil
		}))
	}
}

// renew gives somebody a new link, and shows it once.
func (h *Hub) renew(w http.ResponseWriter, r *http.Request, me *person) {
	p := h.chosen(w, r, me)
	if p == nil {
		return
	}
	token, err := Invite(r.Context(), h.cfg.Store, labs.Person{ID: p.id}, p.instructor)
	if err == nil {
		err = h.readPeople()
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	at := h.cfg.URL
	if at == "" {
		at = "http://" + r.Host
		if byTLS(r) {
			at = "https://" + r.Host
		}
	}
	h.mu.Lock()
	who := p.called()
	h.mu.Unlock()
	link, err := newCard(Link{Person: who, URL: at + "/in/" + token})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.show(w, r, http.StatusOK, "link", "A new link", link)
}

// chosen is the person that a form names; who is nil was answered already.
func (h *Hub) chosen(w http.ResponseWriter, r *http.Request, me *person) *person {
	if !h.form(w, r) {
		return nil
	}
	p := h.attendee(r.PostForm.Get("who"))
	if p == nil {
		h.say(w, r, http.StatusBadRequest, "Whose link?", "There is no such attendee.")
	}
	return p
}
