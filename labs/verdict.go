package labs

import (
	"strings"
	"time"
)

// State is what a check says now.
type State string

// The states of a verdict.
const (
	Passed  State = "passed"
	Failing State = "failing"
	Blocked State = "blocked" // an earlier thing is missing
	Unknown State = "unknown" // the environment cannot be reached: never the learner's fault
)

// A Finding says why a verdict is not passed: what was expected, what is there,
// the nearest cause, and the next thing to look at. Any field may be empty.
type Finding struct {
	Expected string `json:"expected,omitempty"`
	Got      string `json:"got,omitempty"`
	Because  string `json:"because,omitempty"`
	Nearest  string `json:"nearest,omitempty"` // what almost fits
	Look     string `json:"look,omitempty"`    // where to look next, a command if possible
}

// Lines are the finding as a learner reads it, one thought a line.
func (f Finding) Lines() []string {
	var out []string
	switch {
	case f.Expected != "" && f.Got != "":
		out = append(out, "expected "+f.Expected+", got "+f.Got)
	case f.Expected != "":
		out = append(out, "expected "+f.Expected)
	case f.Got != "":
		out = append(out, "got "+f.Got)
	}
	for _, l := range []struct{ word, text string }{
		{"because ", f.Because}, {"nearest: ", f.Nearest}, {"look at ", f.Look},
	} {
		if l.text != "" {
			out = append(out, l.word+l.text)
		}
	}
	return out
}

// A Verdict is what a check says now.
type Verdict struct {
	Lab      string        `json:"lab"`
	Task     string        `json:"task"`
	Check    string        `json:"check"`
	That     string        `json:"that"`
	State    State         `json:"state"`
	Reason   string        `json:"reason,omitempty"` // for Blocked: what must be true first; for Unknown: why
	Findings []Finding     `json:"findings,omitempty"`
	Facts    []string      `json:"facts,omitempty"`    // what was seen
	Chain    []string      `json:"chain,omitempty"`    // from the symptom to the cause
	RuledOut []string      `json:"ruledOut,omitempty"` // causes that were looked for and are not there
	At       time.Time     `json:"at"`
	Took     time.Duration `json:"took"` // nanoseconds
}

// Lines are the verdict's reason and findings as a learner reads them.
func (v Verdict) Lines() []string {
	var out []string
	switch {
	case v.Reason != "" && v.State == Blocked:
		out = append(out, "first: "+v.Reason)
	case v.Reason != "":
		out = append(out, v.Reason)
	}
	for _, f := range v.Findings {
		out = append(out, f.Lines()...)
	}
	return out
}

// A Section is a part of an explanation: a title and its lines.
type Section struct {
	Title string
	Lines []string
}

// Explanation is what a verdict has to say to those who ask why: the chain from the
// symptom to the cause, and what was looked for and is not there. It is empty when
// there is nothing to add to Lines.
func (v Verdict) Explanation() []Section {
	var out []Section
	if said := len(v.Findings) > 0 && len(v.Chain) == 1 && v.Chain[0] == v.Findings[0].Because; len(v.Chain) > 0 && !said {
		out = append(out, Section{"from the symptom to the cause", v.Chain})
	}
	if len(v.RuledOut) > 0 {
		out = append(out, Section{"ruled out", v.RuledOut})
	}
	return out
}

// Worst is the state of several verdicts together: Passed only when all are,
// else that of the first which is not.
func Worst(vs []Verdict) State {
	for _, v := range vs {
		if v.State != Passed {
			return v.State
		}
	}
	return Passed
}

// Progress is what an attendee has reached in a course: when each check first
// passed, by "lab/check". It outlives the environment.
type Progress map[string]time.Time

// Key is a check's key in Progress.
func Key(lab, check string) string { return lab + "/" + check }

// SplitKey is what Key was made of.
func SplitKey(key string) (lab, check string) {
	lab, check, _ = strings.Cut(key, "/")
	return lab, check
}

// Task is when every check of the task had passed; ok is false before that, and
// for a task that has no checks.
func (p Progress) Task(lab string, t *Task) (at time.Time, ok bool) {
	for _, c := range t.Checks {
		when, passed := p[Key(lab, c.ID)]
		if !passed {
			return time.Time{}, false
		}
		if when.After(at) {
			at = when
		}
	}
	return at, len(t.Checks) > 0
}

// Lab counts the lab's tasks that have checks, and those of them that are solved.
func (p Progress) Lab(l *Lab) (solved, total int) {
	for _, t := range l.Tasks {
		if len(t.Checks) == 0 {
			continue
		}
		total++
		if _, ok := p.Task(l.ID, t); ok {
			solved++
		}
	}
	return solved, total
}

// Open is the course's first lab that is not solved; nil when all are.
func (p Progress) Open(c *Course) *Lab {
	for _, l := range c.Labs {
		if solved, total := p.Lab(l); solved < total {
			return l
		}
	}
	return nil
}
