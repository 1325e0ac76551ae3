package join

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

// An Outbox holds what the hub is to hear; [progress.Store] is one.
type Outbox interface {
	Waiting(ctx context.Context, most int) ([]progress.Event, error)
	Acknowledged(ctx context.Context, through int64) error
	Numbered(ctx context.Context) (last, acknowledged int64, err error)
	SendAgain(ctx context.Context, after int64) error
	Renumber(ctx context.Context, above int64) error
	Drop(ctx context.Context, seq int64) error
}

// Times of the sender.
const (
	gap       = 250 * time.Millisecond // between two posts
	backOff   = 2 * time.Second        // after the first failure; doubled after each
	mostWait  = time.Minute
	fullBatch = 100 // events
)

// A SenderConfig is what a sender needs from the outside. Place, Outbox and Say must
// be set, and Look for [Sender.Run].
type SenderConfig struct {
	Place  *Place
	Outbox Outbox

	// Look evaluates a check anew, when the hub asks for it.
	Look func(ctx context.Context, lab, check string) (labs.Verdict, error)

	// Token is what lets this machine in by now: it may have joined again since. It
	// may be nil.
	Token func() string

	// Say tells the attendee, in one line, what is different now.
	Say func(text string)

	// Told is called when the instructor tells something else than before.
	Told func(Notices)

	Now func() time.Time // nil for time.Now
	Log *slog.Logger     // nil for none
}

// A Sender brings what is in the outbox to the hub, and looks again at what the hub
// asks for. Use [NewSender].
type Sender struct {
	cfg    SenderConfig
	client *Client
	now    func() time.Time
	log    *slog.Logger
	wake   chan struct{} // holds one
	work   sync.WaitGroup

	token    string // that lets us in
	failures int    // in a row
	state    string // what Say said last
	batch    int
	told     string // Notices, as they came last
	ended    bool   // the hub will not have us
	closing  bool   // only what is new is sent, nothing is begun

	mu      sync.Mutex
	looking map[string]bool // nonces
	answers []Answer
}

// NewSender makes a sender. [Sender.Run] has it work.
func NewSender(cfg SenderConfig) (*Sender, error) {
	client, err := NewClient(cfg.Place.Hub, cfg.Place.CA)
	if err != nil {
		return nil, err
	}
	s := &Sender{cfg: cfg, client: client, token: cfg.Place.Token, now: cfg.Now, log: cfg.Log, wake: make(chan struct{}, 1), batch: fullBatch, looking: map[string]bool{}}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// Wake tells the sender that there is something new in the outbox. It never waits.
func (s *Sender) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends, or until the hub says that this machine is no longer in
// the class. What is new when ctx ends is sent if the hub is there.
func (s *Sender) Run(ctx context.Context) {
	defer s.client.Close()
	defer s.work.Wait()
	for {
		wait := s.Once(ctx)
		if s.ended {
			return
		}
		if ctx.Err() != nil {
			break
		}
		beat := time.NewTimer(wait)
		woken := s.wake
		if s.failures > 0 {
			woken = nil // news does not make the network come back
		}
		select {
		case <-ctx.Done():
		case <-beat.C:
		case <-woken:
			pause(ctx, gap)
		}
		beat.Stop()
		if ctx.Err() != nil {
			break
		}
	}
	if s.failures > 0 {
		return
	}
	s.closing = true
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	s.Once(last)
}

// Empty sends what waits, once, and returns when nothing does, or when it cannot be
// sent now.
func (s *Sender) Empty(ctx context.Context) {
	defer s.client.Close()
	s.closing = true
	for ctx.Err() == nil {
		if wait := s.Once(ctx); s.ended || wait != gap {
			return
		}
		pause(ctx, gap)
	}
}

// Ended reports whether the hub said that this machine is no longer in the class. It
// is meant for after Run or Empty.
func (s *Sender) Ended() bool { return s.ended }

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Once sends one post and returns how long to wait before the next, unless there is
// news.
func (s *Sender) Once(ctx context.Context) time.Duration {
	more, err := s.post(ctx)
	no := new(Refusal)
	switch {
	case err == nil:
		s.failures = 0
		s.say("", "The hub of the class is there again: what had waited is sent.")
		if more {
			return gap
		}
		return Beat
	case ctx.Err() != nil:
		return 0
	case errors.As(err, &no) && no.Reason == ReasonRevoked && s.joinedAgain():
		return gap
	case errors.As(err, &no) && no.Reason == ReasonRevoked:
		s.ended = true
		s.say("ended", fmt.Sprintf("This machine is no longer in the class %s: nothing is sent any more. You can go on learning here; to come back, run `kindlab join` with your newest link.", s.cfg.Place.Class))
		return Beat
	}
	s.failures++
	s.log.DebugContext(ctx, "sending to the hub", "err", err, "failures", s.failures)
	wait := s.backOff()
	if no.After > 0 {
		wait = no.After + rand.N(no.After/4+1)
	}
	switch {
	case no.Reason == ReasonSlow: // it is there, and will have us later
	case no.Reason == ReasonProtocol:
		s.say("protocol", "The hub does not understand this kindlab ("+no.Text+"): use the one that your instructor uses. Until then nothing is sent.")
	default:
		s.say("waiting", fmt.Sprintf("Your verdicts wait here: %v. Go on; they are sent when the hub is back.", err))
	}
	return wait
}

// joinedAgain takes the newest token and reports whether it is another one.
func (s *Sender) joinedAgain() bool {
	if s.cfg.Token == nil {
		return false
	}
	now := s.cfg.Token()
	if now == "" || now == s.token {
		return false
	}
	s.token = now
	return true
}

// backOff is how long to wait after a failure: longer and longer, and never as long
// as others do, so that a hub that comes back does not get everybody at once.
func (s *Sender) backOff() time.Duration {
	wait := mostWait
	if s.failures < 6 {
		wait = min(wait, backOff<<(s.failures-1))
	}
	return wait/2 + rand.N(wait/2+1)
}

// say tells the attendee that the line is in another state than before. What differs
// from one try to the next, such as the cause, is no news.
func (s *Sender) say(state, text string) {
	if state != s.state {
		s.state = state
		s.cfg.Say(text)
	}
}

// post sends what waits. It reports whether there is more.
func (s *Sender) post(ctx context.Context) (more bool, err error) {
	events, err := s.cfg.Outbox.Waiting(ctx, s.batch+1)
	if err != nil {
		return false, err
	}
	if more = len(events) > s.batch; more {
		events = events[:s.batch]
	}
	events, cut := fit(events)
	more = more || cut
	p := Post{Sent: s.now().UnixMilli(), Events: events}
	p.Answers, p.Looking = s.answered()
	receipt, err := s.client.Post(ctx, s.token, p)
	if err != nil {
		return s.spoilt(ctx, events, err)
	}
	s.batch = min(2*s.batch, fullBatch)
	s.mu.Lock()
	s.answers = s.answers[len(p.Answers):]
	s.mu.Unlock()
	again, err := s.acknowledge(ctx, events, receipt)
	if err != nil {
		return false, err
	}
	for _, r := range receipt.Refused {
		s.log.WarnContext(ctx, "the hub does not know what was sent: has the course changed? `kindlab join` again reads it anew", "event", r.Seq, "why", plainText(r.Why))
	}
	s.hear(receipt)
	for _, a := range receipt.Ask {
		if !s.closing {
			s.look(ctx, a)
		}
	}
	return more || again, nil
}

// fit leaves out the last events when all together are too long for a post.
func fit(events []progress.Event) (fitting []progress.Event, cut bool) {
	total := 0
	for i, e := range events {
		data, err := encode(e)
		if err != nil {
			continue
		}
		if total += len(data) + 1; total > mostPost/2 {
			return events[:i], true
		}
	}
	return events, false
}

// spoilt deals with a post that failed. When the hub cannot read it, one of the
// events must be why: fewer are sent, and what cannot be read alone is left.
func (s *Sender) spoilt(ctx context.Context, events []progress.Event, err error) (more bool, _ error) {
	no := new(Refusal)
	if !errors.As(err, &no) || no.Reason != ReasonBad || len(events) == 0 {
		return false, err
	}
	if len(events) > 1 {
		s.batch = len(events) / 2
		return true, nil
	}
	s.log.WarnContext(ctx, "the hub cannot read an event", "lab", events[0].Verdict.Lab, "check", events[0].Verdict.Check, "why", no.Text)
	return true, s.cfg.Outbox.Drop(ctx, events[0].Seq)
}

// acknowledge notes what the hub has. It reports whether something must be sent
// again, because one of the two has lost something.
func (s *Sender) acknowledge(ctx context.Context, events []progress.Event, r Receipt) (again bool, err error) {
	last, acknowledged, err := s.cfg.Outbox.Numbered(ctx)
	if err != nil {
		return false, err
	}
	switch {
	case r.Had > last: // it has seen numbers that we never gave: this machine was set back
		return true, s.cfg.Outbox.Renumber(ctx, r.Had)
	case r.Had < acknowledged: // it has lost what it had
		return true, s.cfg.Outbox.SendAgain(ctx, r.Had)
	case len(events) == 0:
		return false, nil
	}
	return false, s.cfg.Outbox.Acknowledged(ctx, min(r.Through, events[len(events)-1].Seq))
}

// hear takes in what the instructor tells.
func (s *Sender) hear(r Receipt) {
	if r.Notices == nil || s.cfg.Told == nil {
		return
	}
	n := *r.Notices
	if now := fmt.Sprintf("%+v", n); now != s.told {
		s.told = now
		if !n.Until.IsZero() { // by this machine's clock
			n.Until = n.Until.Add(s.now().Sub(time.UnixMilli(r.Now)))
		}
		s.cfg.Told(n)
	}
}

// answered are the verdicts that were asked for, and what is being looked at.
func (s *Sender) answered() (answers []Answer, looking []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for nonce := range s.looking {
		looking = append(looking, nonce)
	}
	n := min(len(s.answers), mostAnswers)
	return s.answers[:n:n], looking[:min(len(looking), mostAnswers)]
}

// look evaluates what the hub asks for, one thing at a time, beside everything else.
func (s *Sender) look(ctx context.Context, a Ask) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.looking) > 0 || len(s.answers) > 0 || len(a.Nonce) > 100 {
		return // it asks again
	}
	s.looking[a.Nonce] = true
	s.work.Go(func() {
		v, err := s.cfg.Look(ctx, a.Lab, a.Check)
		if err != nil {
			v = labs.Verdict{Lab: a.Lab, Check: a.Check, State: labs.Unknown, Reason: err.Error()}
		}
		s.mu.Lock()
		delete(s.looking, a.Nonce)
		s.answers = append(s.answers, Answer{a.Nonce, Trim(v, MostText/4)})
		s.mu.Unlock()
		s.Wake()
	})
}
