package site

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// hint records that a hint was opened.
func (s *Site) hint(w http.ResponseWriter, r *http.Request) {
	c, l, ok := s.find(w, r)
	if !ok {
		return
	}
	if _, check := l.Check(r.PathValue("check")); check == nil {
		s.notFound(w, r)
		return
	}
	if s.cfg.Hint != nil {
		s.cfg.Hint(c.ID, l.ID, r.PathValue("check"))
	}
	w.WriteHeader(http.StatusNoContent)
}

// reset begins a lab again. It answers with a line for each step, and a last one
// that is "done" or "failed: why". Who closes the page does not stop it: a lab
// that is half reset would be worse than either.
func (s *Site) reset(w http.ResponseWriter, r *http.Request) {
	c, l, ok := s.find(w, r)
	if !ok {
		return
	}
	k := key{c.ID, l.ID}
	if s.cfg.Reset == nil || !s.beginReset(k) {
		http.Error(w, "failed: this lab cannot be reset now; another page may be at it", http.StatusConflict)
		return
	}
	defer s.endReset(k)
	ctx, cancel := context.WithTimeout(s.ctx, s.resetFor)
	defer cancel()

	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	out := http.NewResponseController(w)
	_ = out.SetWriteDeadline(time.Time{}) // steps take the time they take
	say := func(line string) {
		_, _ = fmt.Fprintln(w, strings.ReplaceAll(line, "\n", " "))
		_ = out.Flush()
	}
	if err := s.cfg.Reset(ctx, c.ID, l.ID, say); err != nil {
		s.log.ErrorContext(ctx, "resetting", "lab", l.ID, "err", err)
		say("failed: " + err.Error())
		return
	}
	s.hub.forget(k)
	say("done")
}

func (s *Site) beginReset(k key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.resets[k] {
		return false
	}
	s.resets[k] = true
	return true
}

func (s *Site) endReset(k key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.resets, k)
}
