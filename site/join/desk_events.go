package join

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

// Beat is how often a machine says that it is there, when it has nothing else to say.
const Beat = 10 * time.Second

// events takes in what a machine brings.
func (d *Desk) events(w http.ResponseWriter, r *http.Request) {
	m, attendee, ok := d.who(w, r)
	if !ok || !d.inTurn(w, m) {
		return
	}
	if !m.busy.TryLock() {
		refuse(w, &Refusal{Status: http.StatusTooManyRequests, Reason: ReasonSlow, Text: "one request at a time", After: time.Second})
		return
	}
	defer m.busy.Unlock()
	var p Post
	if !d.read(w, r, mostPost, &p) {
		return
	}
	now := d.now()
	receipt, err := d.take(r.Context(), m, attendee, p, now)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	d.mu.Lock()
	m.heard = now
	d.mu.Unlock()
	if err := d.hearAnswers(r.Context(), m, attendee, p, now); err != nil {
		d.log.ErrorContext(r.Context(), "keeping what was asked again", "attendee", attendee, "err", err)
	}
	if receipt.Ask, err = d.ask(r.Context(), m, attendee, p, now); err != nil {
		d.log.ErrorContext(r.Context(), "asking again", "attendee", attendee, "err", err)
	}
	if d.cfg.Notices != nil {
		n := d.cfg.Notices(attendee)
		receipt.Notices = &n
	}
	write(w, http.StatusOK, receipt)
}

// take takes in the events of a post and tells the news.
func (d *Desk) take(ctx context.Context, m *machine, attendee string, p Post, now time.Time) (Receipt, error) {
	out := Receipt{Now: now.UnixMilli()}
	var good []progress.Event
	for _, e := range p.Events {
		out.Through = e.Seq
		if why := d.check(&e); why != "" {
			out.Refused = append(out.Refused, Refused{e.Seq, why})
			continue
		}
		e.Verdict.At = correct(e.Verdict.At, time.UnixMilli(p.Sent), now)
		good = append(good, e)
	}
	if len(p.Events) == 0 {
		d.mu.Lock()
		defer d.mu.Unlock()
		out.Had = m.Seq
		return out, nil
	}
	had, fresh, err := d.cfg.Store.Deliver(ctx, m.ID, good, out.Through, now)
	if err != nil {
		return out, fmt.Errorf("keeping events: %w", err)
	}
	out.Had = had
	d.mu.Lock()
	m.Seq, m.Seen = max(m.Seq, out.Through), now
	d.mu.Unlock()
	told := map[string]bool{}
	for _, e := range fresh {
		// What has passed may be failing again by now: both are news.
		if e.Kind == progress.FirstPass && d.cfg.News != nil {
			d.cfg.News(attendee, d.cfg.Course.ID, e.Verdict.Lab, []labs.Verdict{e.Verdict})
		}
	}
	for _, e := range fresh {
		if lab := e.Verdict.Lab; !told[lab] {
			told[lab] = true
			if err := d.tell(ctx, attendee, lab); err != nil {
				d.log.ErrorContext(ctx, "telling news", "attendee", attendee, "err", err) // they are kept
			}
		}
	}
	return out, nil
}

// check says what is wrong with an event, and else makes it what the hub keeps.
func (d *Desk) check(e *progress.Event) (why string) {
	v := Trim(e.Verdict, MostText)
	if e.Course != d.cfg.Course.ID {
		return "the class does not learn the course " + short(e.Course, 40)
	}
	lab := d.cfg.Course.Lab(v.Lab)
	if lab == nil {
		return "the course has no lab " + v.Lab
	}
	task, check := lab.Check(v.Check)
	if check == nil {
		return fmt.Sprintf("lab %s has no check %s", v.Lab, v.Check)
	}
	switch v.State {
	case labs.Passed, labs.Failing, labs.Blocked, labs.Unknown:
	default:
		return "there is no such state"
	}
	if e.Kind != progress.Latest && (e.Kind != progress.FirstPass || v.State != labs.Passed) {
		return "there is no such event"
	}
	v.Task, v.Took = task.ID, 0
	if v.That == "" {
		v.That = check.That
	}
	e.Verdict = v
	return ""
}

// Ready is whether an attendee has a machine that is there, and what it is: for the
// roll-call.
func (d *Desk) Ready(attendee string) (ok bool, detail string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var last *machine
	for _, m := range d.machines {
		if m.Attendee == attendee && !m.Gone && (last == nil || m.lastHeard().After(last.lastHeard())) {
			last = m
		}
	}
	if last == nil {
		return false, "no machine has joined yet"
	}
	detail = fmt.Sprintf("kindlab %s on %s", last.about.Version, last.about.Platform)
	for _, f := range last.about.Preflight {
		if f.Level == "fail" {
			detail += fmt.Sprintf("; when it joined: %s: %s", f.Name, f.Found)
		}
	}
	silent := d.now().Sub(last.lastHeard())
	if silent > 3*Beat {
		return false, fmt.Sprintf("not heard of for %s (%s)", roughly(silent), detail)
	}
	return true, detail
}

func (m *machine) lastHeard() time.Time {
	if m.heard.IsZero() {
		return m.Seen
	}
	return m.heard
}

// roughly is a time for people.
func roughly(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h", int(d.Hours()))
}
