package site

import (
	"html/template"
	"maps"
	"time"

	"github.com/kindlab/kindlab/labs"
)

// The states a page shows beside those of a verdict.
const (
	looking labs.State = "looking" // nothing is known yet
	kept    labs.State = "kept"    // passed earlier; nothing is known of now
	was     labs.State = "was"     // passed earlier; it is not so now
	none    labs.State = "none"    // a task without checks
)

// Face is how a state looks: its mark, and the word that says the same.
func Face(s labs.State) (mark, word string) {
	switch s {
	case labs.Passed, kept, was:
		return "✓", "passed"
	case labs.Failing:
		return "✗", "not yet"
	case labs.Blocked:
		return "○", "waiting"
	case labs.Unknown:
		return "?", "cannot look"
	case looking:
		return "…", "looking…"
	}
	return "·", "to read"
}

// stuckAfter is how long a check fails before its hint is offered openly.
const stuckAfter = 2 * time.Minute

// A checkView is a check as its page shows it.
type checkView struct {
	ID     string
	That   string
	State  labs.State
	Mark   string
	Word   string
	When   string // since when it passes, or when it passed
	Lines  []string
	Folded bool // the lines are there for who asks
	Why    []labs.Section
	Hint   template.HTML
	Stuck  bool // offer the hint openly
	Asks   *Question
}

// A taskView is a task as its page shows it.
type taskView struct {
	ID     string
	Number int
	Title  string
	State  labs.State
	Mark   string
	Word   string
	Text   template.HTML
	Checks []checkView

	Solution template.HTML // that was handed out
}

// A labView is a lab in a list of labs.
type labView struct {
	*labs.Lab
	URL           string
	Solved, Total int
	Here          bool
}

// Done reports whether all there is to solve is solved.
func (l labView) Done() bool { return l.Total > 0 && l.Solved == l.Total }

// viewTasks is what is known about a lab's tasks: now from seen, earlier from p.
func viewTasks(l *labs.Lab, seen map[string]sighting, p labs.Progress, now time.Time) []taskView {
	out := make([]taskView, len(l.Tasks))
	for i, t := range l.Tasks {
		v := taskView{ID: t.ID, Number: i + 1, Title: t.Title, State: none}
		for _, c := range t.Checks {
			s, ok := seen[c.ID]
			cv := viewCheck(c, s, ok, p[labs.Key(l.ID, c.ID)], now)
			v.Checks = append(v.Checks, cv)
		}
		v.State = together(v.Checks)
		v.Mark, v.Word = Face(v.State)
		out[i] = v
	}
	return out
}

// together is the state of a task: that of the first check that was never passed,
// else was when one of them is not so now, else passed.
func together(checks []checkView) labs.State {
	if len(checks) == 0 {
		return none
	}
	state := labs.Passed
	for _, c := range checks {
		switch c.State {
		case labs.Passed, kept:
		case was:
			state = was
		default:
			return c.State
		}
	}
	return state
}

func viewCheck(c *labs.Check, s sighting, seen bool, passedAt time.Time, now time.Time) checkView {
	v := checkView{ID: c.ID, That: c.That, State: looking}
	earlier := !passedAt.IsZero()
	if seen {
		v.State = s.State
		v.Lines = lines(s.Verdict)
		if s.That != "" {
			v.That = s.That
		}
	}
	switch {
	case v.State == labs.Passed:
		since := s.Since
		if s.First && earlier {
			since = passedAt
		}
		v.When, v.Lines = "since "+clock(since, now), nil
	case earlier && !seen:
		v.State, v.When = kept, "at "+clock(passedAt, now)
	case earlier && v.State == labs.Unknown:
		v.State, v.When, v.Folded = was, "at "+clock(passedAt, now)+"; it cannot be seen now", true
	case earlier:
		v.State, v.When, v.Folded = was, "at "+clock(passedAt, now)+"; it is not so now", true
	case v.State == labs.Failing:
		v.Stuck = now.Sub(s.Since) >= stuckAfter
		v.Why = s.Explanation()
	}
	v.Mark, v.Word = Face(v.State)
	return v
}

// lines are what a verdict has to say besides its state.
func lines(v labs.Verdict) []string {
	if v.State == labs.Unknown {
		return append(v.Lines(), "this is not your fault: kindlab goes on looking")
	}
	return v.Lines()
}

// clock is a time as one says it today.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04")
	}
	return t.Format("15:04 on 2 January")
}

// viewLabs is a course's labs with what is solved of them.
func (s *Site) viewLabs(c *labs.Course, p labs.Progress, here string) []labView {
	out := make([]labView, len(c.Labs))
	for i, l := range c.Labs {
		v := labView{Lab: l, URL: s.base + "/" + c.ID + "/" + l.ID + "/", Here: l.ID == here}
		v.Solved, v.Total = p.Lab(l)
		out[i] = v
	}
	return out
}

// with is p together with the checks of a lab that pass now, for a watcher whose
// verdict is here before its record is.
func with(p labs.Progress, lab string, seen map[string]sighting) labs.Progress {
	out := labs.Progress{}
	maps.Copy(out, p)
	for id, s := range seen {
		if _, ok := out[labs.Key(lab, id)]; !ok && s.State == labs.Passed {
			out[labs.Key(lab, id)] = s.Since
		}
	}
	return out
}
