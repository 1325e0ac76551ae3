package class

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
)

// A column is a task that has checks, as the board has it.
type column struct {
	lab    *labs.Lab
	task   *labs.Task
	number int           // of the task in its lab
	first  bool          // of its lab
	meant  time.Duration // how long the author thinks it takes
}

func columnsOf(c *labs.Course) []column {
	var out []column
	for _, l := range c.Labs {
		_, total := labs.Progress{}.Lab(l)
		first := true
		for i, t := range l.Tasks {
			if len(t.Checks) == 0 {
				continue
			}
			out = append(out, column{l, t, i + 1, first, time.Duration(l.Minutes) * time.Minute / time.Duration(total)})
			first = false
		}
	}
	return out
}

// none is the state of a task nobody has looked at yet.
const none labs.State = "none"

// A room is what the board shows of all together. The hub is locked.
type room struct {
	version int                    // counts changes
	tables  int                    // counts changes of who is listed
	boards  map[chan struct{}]bool // who looks
	medians []time.Duration        // by column; 0 when too few solved it
	causes  []cluster
	at      int    // the version that medians and causes are of
	html    string // what boards have besides their table
	htmlAt  int    // and the version it is of
	trouble string // what is wrong with the hub itself
}

// A row is what the board shows of one attendee.
type row struct {
	version int // of the room, when it last changed
	rowState
}

// rowState is what of a row may change, in comparable form.
type rowState struct {
	states  string // a letter for each column: see letters
	now     int    // the column they work at; -1 for none
	since   time.Time
	check   string // labs.Key of what is in the way
	that    string
	why     string // what is in the way
	state   labs.State
	stuck   bool
	solved  int
	entered time.Time
	ready   readiness
	open    int
	name    string
}

// The letter of each state, for the board's script.
var letters = map[labs.State]byte{labs.Passed: 'p', labs.Failing: 'f', labs.Blocked: 'b', labs.Unknown: 'u', none: 'n'}

// refresh makes an attendee's row anew, and has their current lab watched. The hub is locked.
func (h *Hub) refresh(p *person) {
	if p.instructor {
		return
	}
	h.follow(p)
	if now := h.rowOf(p); now != p.row.rowState {
		h.room.version++
		p.row = row{h.room.version, now}
	}
}

// wake tells the boards that there may be something new. The hub is locked.
func (h *Hub) wake() {
	for c := range h.room.boards {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (h *Hub) rowOf(p *person) rowState {
	r := rowState{now: -1, entered: p.member.Entered, ready: p.ready, name: p.member.Name, since: p.member.Entered}
	for _, n := range p.open {
		r.open += n
	}
	current := h.currentLab(p)
	states := make([]byte, len(h.columns))
	for i, c := range h.columns {
		state := p.stateOf(c)
		states[i] = letters[state]
		if at, ok := p.reached.Task(c.lab.ID, c.task); ok {
			r.solved++
			if at.After(r.since) {
				r.since = at
			}
			continue
		}
		if r.now < 0 && c.lab.ID == current {
			r.now, r.state = i, state
		}
	}
	r.states = string(states)
	if p.member.Entered.IsZero() {
		r.now, r.since = -1, time.Time{}
	}
	if r.now < 0 {
		return r
	}
	c := h.columns[r.now]
	if check, ok := p.inTheWay(c); ok {
		v := p.seen[check]
		r.check, r.that, r.why = check, cmp.Or(v.That, h.that(c, check)), why(v.Verdict)
	}
	r.stuck = r.state != labs.Unknown && isSlow(h.now().Sub(r.since), h.expected(r.now))
	return r
}

// that is what a check says must be true.
func (h *Hub) that(c column, key string) string {
	_, id, _ := strings.Cut(key, "/")
	if _, check := c.lab.Check(id); check != nil {
		return check.That
	}
	return ""
}

// stateOf is the state of a task: that of its first check that never passed.
func (p *person) stateOf(c column) labs.State {
	if _, ok := p.reached.Task(c.lab.ID, c.task); ok {
		return labs.Passed
	}
	key, ok := p.inTheWay(c)
	if s, seen := p.seen[key]; ok && seen {
		return s.State
	}
	return none
}

// inTheWay is the first check of a task that never passed.
func (p *person) inTheWay(c column) (key string, ok bool) {
	for _, check := range c.task.Checks {
		k := labs.Key(c.lab.ID, check.ID)
		if _, passed := p.reached[k]; !passed {
			return k, true
		}
	}
	return "", false
}

// why is what a verdict says is in the way, in one sentence.
func why(v labs.Verdict) string {
	switch {
	case v.State == labs.Passed:
		return ""
	case v.Reason != "" && v.State == labs.Blocked:
		return "first: " + v.Reason
	case v.Reason != "":
		return v.Reason
	case len(v.Findings) == 0:
		return ""
	}
	f := v.Findings[0]
	if f.Because != "" {
		return f.Because
	}
	if lines := f.Lines(); len(lines) > 0 {
		return lines[0]
	}
	return ""
}

// Who is slow: more than twice as long at a task as the room, and a while at all.
const (
	slowAtLeast = 3 * time.Minute
	slowTimes   = 2
	enoughFor   = 3 // attendees who solved a task, for a median that says something
)

func isSlow(at, expected time.Duration) bool { return at >= slowAtLeast && at > slowTimes*expected }

// expected is how long a task takes in this room, or what its author thinks.
func (h *Hub) expected(column int) time.Duration {
	if column < len(h.room.medians) && h.room.medians[column] > 0 {
		return h.room.medians[column]
	}
	return h.columns[column].meant
}

// durations are how long an attendee took for each task: from the last task that
// they solved before it, or from when they came in; -1 for what is not solved.
func (h *Hub) durations(p *person) []time.Duration {
	type solved struct {
		column int
		at     time.Time
	}
	var order []solved
	out := make([]time.Duration, len(h.columns))
	for i, c := range h.columns {
		out[i] = -1
		if at, ok := p.reached.Task(c.lab.ID, c.task); ok {
			order = append(order, solved{i, at})
		}
	}
	slices.SortStableFunc(order, func(a, b solved) int { return a.at.Compare(b.at) })
	last := p.member.Entered
	for _, s := range order {
		if !last.IsZero() && !s.at.Before(last) {
			out[s.column] = s.at.Sub(last)
		}
		if s.at.After(last) {
			last = s.at
		}
	}
	return out
}

// median is the middle of several durations, or 0 when there are too few.
func median(ds []time.Duration) time.Duration {
	if len(ds) < enoughFor {
		return 0
	}
	ds = slices.Sorted(slices.Values(ds))
	if n := len(ds); n%2 == 0 {
		return (ds[n/2-1] + ds[n/2]) / 2
	}
	return ds[len(ds)/2]
}

// consider brings medians and causes up to date. The hub is locked.
func (h *Hub) consider() {
	if h.room.at == h.room.version && h.room.medians != nil {
		return
	}
	all := make([][]time.Duration, len(h.columns))
	var stops []obstacle
	for _, id := range h.order {
		p := h.people[id]
		for i, d := range h.durations(p) {
			if d >= 0 {
				all[i] = append(all[i], d)
			}
		}
		if r := p.row; r.now >= 0 && r.why != "" && r.state != none {
			stops = append(stops, obstacle{who: id, check: r.check, text: r.why, stuck: r.stuck, state: r.state, that: r.that, column: r.now})
		}
	}
	h.room.medians = make([]time.Duration, len(h.columns))
	for i, ds := range all {
		h.room.medians[i] = median(ds)
	}
	h.room.causes = clusters(stops)
	h.room.at = h.room.version
}
