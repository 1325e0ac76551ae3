package join

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

// How long the hub waits for a verdict that it asked for: so many posts, a beat
// apart, that do not answer; or so long when they say that it is being looked at. A
// machine that is not there is not waited for.
const (
	patience        = 3
	patienceLooking = 3 * time.Minute
)

// asked is what the hub asked a machine last.
type asked struct {
	next    time.Time // when to ask again
	open    *Ask      // not answered yet
	at      time.Time // when it was asked first
	silent  int       // posts since, without an answer
	counted time.Time // when the last of them came
	why     string    // why what was answered does not count
}

// ask is what a machine is asked with the answer to a post.
func (d *Desk) ask(ctx context.Context, m *machine, attendee string, p Post, now time.Time) ([]Ask, error) {
	d.mu.Lock()
	a := m.asked
	d.mu.Unlock()
	switch {
	case a.open != nil:
	case now.Before(a.next):
		return nil, nil
	default:
		reached, err := d.cfg.Store.Progress(ctx, attendee, d.cfg.Course.ID)
		if err != nil {
			return nil, err
		}
		a = asked{next: now.Add(d.cfg.AskEvery/2 + mathrand.N(d.cfg.AskEvery))}
		lab, checks := askable(d.cfg.Course, reached)
		if len(checks) > 0 {
			a.at, a.counted = now, now
			a.open = &Ask{Lab: lab, Check: checks[mathrand.N(len(checks))], Nonce: rand.Text()}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	m.asked = a
	if a.open == nil {
		return nil, nil
	}
	return []Ask{*a.open}, nil
}

// askable are the checks that must still pass when somebody looks: the passed ones of
// the newest lab, but not those for which one time is enough.
func askable(c *labs.Course, reached labs.Progress) (lab string, checks []string) {
	var newest time.Time
	for key, at := range reached {
		if l, _ := labs.SplitKey(key); c.Lab(l) != nil && at.After(newest) {
			lab, newest = l, at
		}
	}
	if lab == "" {
		return "", nil
	}
	for _, check := range c.Lab(lab).Checks() {
		if _, passed := reached[labs.Key(lab, check.ID)]; passed && !check.Holds.Once {
			checks = append(checks, check.ID)
		}
	}
	return lab, checks
}

// hearAnswers takes in what a post says to what was asked.
func (d *Desk) hearAnswers(ctx context.Context, m *machine, attendee string, p Post, now time.Time) error {
	d.mu.Lock()
	a := m.asked
	d.mu.Unlock()
	if a.open == nil {
		return nil
	}
	i := slices.IndexFunc(p.Answers, func(o Answer) bool { return o.Nonce == a.open.Nonce })
	var result *progress.Confirmation
	switch {
	case i >= 0 && p.Answers[i].Verdict.State == labs.Passed:
		result = &progress.Confirmation{At: now, Confirmed: true}
	case i >= 0 && p.Answers[i].Verdict.State == labs.Unknown: // nobody's fault: ask once more
		a.count(now)
		a.why = "it could not be looked at: " + short(p.Answers[i].Verdict.Reason, 200)
	case i >= 0:
		v := Trim(p.Answers[i].Verdict, 200)
		result = &progress.Confirmation{At: now, Why: "it is " + string(short(string(v.State), 20)) + because(v)}
	case slices.Contains(p.Looking, a.open.Nonce) && now.Sub(a.at) < patienceLooking:
	default:
		a.count(now)
	}
	if result == nil && a.silent >= patience {
		why := a.why
		if why == "" {
			why = "the machine did not answer"
		}
		result = &progress.Confirmation{At: now, Why: why}
	}
	open := *a.open
	if result != nil {
		a.open = nil
	}
	d.mu.Lock()
	m.asked = a
	d.mu.Unlock()
	if result == nil {
		return nil
	}
	return d.cfg.Store.Confirm(ctx, attendee, d.cfg.Course.ID, open.Lab, open.Check, *result)
}

// count counts a post without an answer, unless it follows the last one at once.
func (a *asked) count(now time.Time) {
	if now.Sub(a.counted) >= Beat*8/10 { // beats are not that even
		a.silent++
		a.counted = now
	}
}

func because(v labs.Verdict) string {
	if lines := v.Lines(); len(lines) > 0 {
		return ": " + strings.Join(lines[:min(len(lines), 2)], ", ")
	}
	return ""
}
