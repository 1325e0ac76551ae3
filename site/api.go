package site

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/kindlab/kindlab/labs"
)

type courseStatus struct {
	Course string      `json:"course"`
	Title  string      `json:"title"`
	Solved int         `json:"solved"`
	Total  int         `json:"total"`
	Labs   []labStatus `json:"labs"`
}

type labStatus struct {
	ID      string       `json:"id"`
	Title   string       `json:"title"`
	Minutes int          `json:"minutes"`
	Solved  int          `json:"solved"`
	Total   int          `json:"total"`
	Tasks   []taskStatus `json:"tasks"`
}

type taskStatus struct {
	ID       string        `json:"id"`
	Title    string        `json:"title"`
	SolvedAt *time.Time    `json:"solvedAt,omitempty"`
	Checks   []checkStatus `json:"checks"`
}

type checkStatus struct {
	ID       string        `json:"id"`
	PassedAt *time.Time    `json:"passedAt,omitempty"` // the first time
	Verdict  *labs.Verdict `json:"verdict,omitempty"`  // the last one, when the lab was looked at
}

// status is a course as JSON: what is solved, and what was last seen.
func (s *Site) status(w http.ResponseWriter, r *http.Request) {
	c, _, ok := s.find(w, r)
	if !ok {
		return
	}
	reached, err := s.cfg.Progress(c.ID)
	if err != nil {
		s.fail(w, r, fmt.Errorf("reading the progress: %w", err))
		return
	}
	out := courseStatus{Course: c.ID, Title: c.Title}
	for _, l := range c.Labs {
		seen, _ := s.hub.known(key{c.ID, l.ID})
		p := with(reached, l.ID, seen)
		ls := labStatus{ID: l.ID, Title: l.Title, Minutes: l.Minutes, Tasks: []taskStatus{}}
		ls.Solved, ls.Total = p.Lab(l)
		for _, t := range l.Tasks {
			ts := taskStatus{ID: t.ID, Title: t.Title, Checks: []checkStatus{}}
			if at, ok := p.Task(l.ID, t); ok {
				ts.SolvedAt = &at
			}
			for _, check := range t.Checks {
				cs := checkStatus{ID: check.ID}
				if at, ok := p[labs.Key(l.ID, check.ID)]; ok {
					cs.PassedAt = &at
				}
				if v, ok := seen[check.ID]; ok {
					cs.Verdict = &v.Verdict
				}
				ts.Checks = append(ts.Checks, cs)
			}
			ls.Tasks = append(ls.Tasks, ts)
		}
		out.Solved, out.Total = out.Solved+ls.Solved, out.Total+ls.Total
		out.Labs = append(out.Labs, ls)
	}
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(out)
}
