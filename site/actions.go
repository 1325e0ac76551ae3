package site

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
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

// answer records an attendee's answer. A browser without scripts is sent back to
// the page, others are told that it is recorded.
func (s *Site) answer(w http.ResponseWriter, r *http.Request) {
	c, l, ok := s.find(w, r)
	if !ok {
		return
	}
	_, check := l.Check(r.PathValue("check"))
	var q *Question
	if check != nil && s.cfg.Question != nil {
		q = s.cfg.Question(c.ID, l.ID, check)
	}
	if q == nil {
		s.notFound(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, int64(10*q.Most+1000)) // a form needs up to three bytes for one
	err := r.ParseForm()
	text := r.PostForm.Get("answer")
	if tooLong := new(http.MaxBytesError); err != nil && !errors.As(err, &tooLong) || err == nil && !r.PostForm.Has("answer") {
		http.Error(w, "The form holds no answer.", http.StatusBadRequest)
		return
	}
	if err != nil || len(text) > q.Most || !utf8.ValidString(text) {
		http.Error(w, fmt.Sprintf("An answer has at most %d bytes.", q.Most), http.StatusRequestEntityTooLarge)
		return
	}
	if err := s.cfg.Answer(r.Context(), c.ID, l.ID, check.ID, text); err != nil {
		s.log.ErrorContext(r.Context(), "recording an answer", "lab", l.ID, "err", err)
		http.Error(w, "The answer could not be recorded: "+err.Error(), http.StatusInternalServerError)
		return
	}
	if r.Header.Get("Accept") == "text/plain" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(w, r, "/"+c.ID+"/"+l.ID+"/#check-"+url.PathEscape(check.ID), http.StatusSeeOther)
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
