package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site"
	"github.com/kindlab/kindlab/site/join"
)

// A hubLine is the line from a session to the hub of the class that this machine is in.
type hubLine struct {
	sender *join.Sender

	mu    sync.Mutex
	told  site.Notices
	pages *site.Site // nil until there are some
}

// sends reports whether the verdicts of this session go to a hub.
func (s *session) sends() bool {
	return s.joined.Joined() && s.joined.Course == s.course.ID && s.joined.Attendee == s.me
}

// openLine makes the line; nil when this session is in no class. It does not ask
// the hub anything yet.
func (s *session) openLine(log *slog.Logger) *hubLine {
	if !s.sends() {
		return nil
	}
	line := &hubLine{}
	sender, err := join.NewSender(join.SenderConfig{
		Place: s.joined, Outbox: s.store, Log: log,
		Look:  s.lookAgain,
		Token: func() string { return s.inClass().Token },
		Say:   func(text string) { fmt.Fprintf(s.err, "%s %s\n", s.paint(yellow, "class:"), clean(text)) },
		Told:  func(n join.Notices) { line.tell(s.notices(n)) },
	})
	if err != nil {
		fmt.Fprintf(s.err, "%s %v; nothing is sent to the class\n", s.paint(yellow, "!"), err)
		return nil
	}
	line.sender = sender
	return line
}

// runLine sends, and has the lab watched where the attendee is, until end is called.
func (s *session) runLine(ctx context.Context, pages *site.Site) (end func()) {
	s.line.mu.Lock()
	s.line.pages = pages
	s.line.mu.Unlock()
	ctx, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { s.line.sender.Run(ctx) })
	all.Go(func() { s.follow(ctx, pages) })
	return func() { stop(); all.Wait() }
}

// follow has the first lab that is not solved watched, though no page is open.
func (s *session) follow(ctx context.Context, pages *site.Site) {
	look := time.NewTicker(5 * time.Second)
	defer look.Stop()
	followed, stop := "", func() {}
	defer func() { stop() }()
	for {
		if p, err := s.store.Progress(ctx, s.me, s.course.ID); err == nil {
			now := ""
			if l := p.Open(s.course); l != nil {
				now = l.ID
			}
			if now != followed {
				stop()
				followed, stop = now, func() {}
				if now != "" {
					stop = pages.Follow(s.course.ID, now)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// lookAgain evaluates a check as if it had not passed before.
func (s *session) lookAgain(ctx context.Context, id, check string) (labs.Verdict, error) {
	engine, err := s.engine(ctx, id, check)
	if err != nil {
		return labs.Verdict{}, err
	}
	for _, v := range engine.Check(ctx, check) {
		if v.Check == check {
			return v, nil
		}
	}
	return labs.Verdict{}, fmt.Errorf("lab %s has no check %s here", id, check)
}

// notices are what the instructor tells, for the pages. A solution that was handed
// out is shown as it is here, with this attendee's own values.
func (s *session) notices(n join.Notices) site.Notices {
	out := site.Notices{Message: n.Message, Until: n.Until, For: n.For, Solutions: map[string]string{}}
	for key := range n.Solutions {
		id, task := labs.SplitKey(key)
		if lab, err := s.lab(context.Background(), id); err == nil {
			out.Solutions[key] = lab.Shown(task)
		}
	}
	return out
}

// tell shows notices on all open pages.
func (l *hubLine) tell(n site.Notices) {
	l.mu.Lock()
	l.told = n
	pages := l.pages
	l.mu.Unlock()
	if pages != nil {
		pages.Tell()
	}
}

// notices are what is told now.
func (l *hubLine) notices() site.Notices {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.told
}
