package class

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
)

// An exported attendee, with when each check first passed.
type exported struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	Entered *time.Time     `json:"enteredAt,omitempty"`
	Solved  int            `json:"solved"`
	Total   int            `json:"total"`
	Tasks   []exportedTask `json:"tasks"`
}

type exportedTask struct {
	Lab      string          `json:"lab"`
	Task     string          `json:"task"`
	SolvedAt *time.Time      `json:"solvedAt,omitempty"`
	Seconds  *int            `json:"seconds,omitempty"` // from the task solved before it, or from coming in
	Checks   []exportedCheck `json:"checks"`
}

type exportedCheck struct {
	ID       string     `json:"id"`
	PassedAt *time.Time `json:"passedAt,omitempty"`
	Seconds  *int       `json:"seconds,omitempty"` // from coming in
}

// export is what the class has reached.
func (h *Hub) export() []exported {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []exported{}
	for _, id := range h.order {
		p := h.people[id]
		e := exported{ID: id, Name: p.member.Name, Solved: p.row.solved, Total: len(h.columns), Entered: timeOf(p.member.Entered, true)}
		took := h.durations(p)
		for i, c := range h.columns {
			at, ok := p.reached.Task(c.lab.ID, c.task)
			t := exportedTask{Lab: c.lab.ID, Task: c.task.ID, SolvedAt: timeOf(at, ok)}
			if took[i] >= 0 {
				t.Seconds = seconds(took[i])
			}
			for _, check := range c.task.Checks {
				at, ok := p.reached[labs.Key(c.lab.ID, check.ID)]
				x := exportedCheck{ID: check.ID, PassedAt: timeOf(at, ok)}
				if ok && e.Entered != nil {
					x.Seconds = seconds(at.Sub(*e.Entered))
				}
				t.Checks = append(t.Checks, x)
			}
			e.Tasks = append(e.Tasks, t)
		}
		out = append(out, e)
	}
	return out
}

func timeOf(t time.Time, ok bool) *time.Time {
	if !ok || t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func seconds(d time.Duration) *int {
	n := int(d.Round(time.Second).Seconds())
	return &n
}

func (h *Hub) exportJSON(w http.ResponseWriter, r *http.Request, _ *person) {
	h.attach(w, "application/json", "json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(map[string]any{"class": h.cfg.Class.Name, "course": h.cfg.Course.ID, "at": h.now().UTC(), "attendees": h.export()})
}

// exportCSV has a line for each attendee and check.
func (h *Hub) exportCSV(w http.ResponseWriter, r *http.Request, _ *person) {
	h.attach(w, "text/csv; charset=utf-8", "csv")
	out := csv.NewWriter(w)
	_ = out.Write([]string{"attendee", "name", "entered_at", "lab", "task", "task_solved_at", "task_seconds", "check", "first_passed_at", "seconds_after_entering"})
	for _, e := range h.export() {
		for _, t := range e.Tasks {
			for _, c := range t.Checks {
				_ = out.Write([]string{cell(e.ID), cell(e.Name), stamp(e.Entered), cell(t.Lab), cell(t.Task), stamp(t.SolvedAt),
					number(t.Seconds), cell(c.ID), stamp(c.PassedAt), number(c.Seconds)})
			}
		}
	}
	out.Flush()
}

func (h *Hub) attach(w http.ResponseWriter, kind, ext string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+h.cfg.Class.Name+`.`+ext+`"`)
}

// cell is text as a spreadsheet shows it and never calculates it: names are what
// people type, and a spreadsheet runs what begins like a formula.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠|%", []rune(s)[0]) {
		return "'" + s
	}
	return s
}

func stamp(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.RFC3339)
}

func number(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}
