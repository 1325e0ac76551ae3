package class

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site"
	"github.com/kindlab/kindlab/site/progress"
)

// A person is somebody of the class while the hub runs.
type person struct {
	hub        *Hub
	id         string
	instructor bool
	requests   *bucket

	// The hub is locked for the rest.
	member   progress.Member
	ctx      context.Context // of their sessions: ends when the link is revoked
	end      context.CancelFunc
	site     *site.Site     // an attendee's
	view     http.Handler   // the same, for an instructor
	open     map[string]int // pages open now, by lab; "" for others
	looked   string         // the lab whose page they opened last
	followed string         // the lab that is watched for the board
	unfollow func()
	reached  labs.Progress
	seen     map[string]sighting // by labs.Key
	watchers map[*watcher]bool
	// verdicts from elsewhere: by lab, by check
	elsewhere map[string]map[string]labs.Verdict
	ready     readiness
	row       row
	lab       func(course, lab string) (*labs.Lab, error) // with their own values
	// what was handed out to them, by labs.Key
	solutions map[string]string
}

// A sighting is a verdict and since when its state is so.
type sighting struct {
	labs.Verdict
	since time.Time
}

// enlist adds the people of the class that the store does not know.
func (h *Hub) enlist() error {
	known, err := h.cfg.Store.Members(h.ctx)
	if err != nil {
		return err
	}
	add := func(p labs.Person, instructor bool) error {
		if slices.ContainsFunc(known, func(m progress.Member) bool { return m.ID == p.ID }) {
			return nil
		}
		return h.cfg.Store.ChangeMember(h.ctx, p.ID, func(m *progress.Member) error {
			if m.Name == "" {
				m.Name = p.Name
			}
			m.Instructor = instructor
			return nil
		})
	}
	for _, p := range h.cfg.Class.Attendees {
		if err := add(p, false); err != nil {
			return err
		}
	}
	for _, p := range h.cfg.Class.Instructors {
		if err := add(p, true); err != nil {
			return err
		}
	}
	return nil
}

// readPeople takes in what the store knows of the people: a command of another
// process may have added, renewed or removed some.
func (h *Hub) readPeople() error {
	members, err := h.cfg.Store.Members(h.ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	changed := false
	var failed error
	for _, m := range members {
		c, err := h.takeIn(m)
		failed = errors.Join(failed, err) // the others are not to suffer for it
		changed = changed || c
	}
	if changed {
		h.order = nil
		for _, p := range h.people {
			if !p.instructor && !p.member.Removed {
				h.order = append(h.order, p.id)
			}
		}
		slices.SortFunc(h.order, func(a, b string) int {
			return cmpNames(h.people[a], h.people[b])
		})
		h.room.tables++
		h.room.version++
		h.wake()
	}
	return failed
}

// cmpNames orders people by name, free seats last.
func cmpNames(a, b *person) int {
	x, y := a.member.Name, b.member.Name
	if (x == "") != (y == "") {
		return strings.Compare(y, x)
	}
	return cmp.Or(strings.Compare(strings.ToLower(x), strings.ToLower(y)), strings.Compare(a.id, b.id))
}

// takeIn makes what the hub knows of a person what the store knows, and reports
// whether the board lists them differently now. The hub is locked.
func (h *Hub) takeIn(m progress.Member) (changed bool, err error) {
	p := h.people[m.ID]
	if p != nil && p.instructor != m.Instructor {
		p.close()
		delete(h.people, m.ID)
		p = nil
	}
	if p == nil {
		p = &person{hub: h, id: m.ID, instructor: m.Instructor, requests: newBucket(300, 100), member: m,
			open: map[string]int{}, seen: map[string]sighting{}, watchers: map[*watcher]bool{}, elsewhere: map[string]map[string]labs.Verdict{},
			solutions: map[string]string{}}
		p.ctx, p.end = context.WithCancel(h.ctx)
		p.member.Removed = true // until it has pages
		if !p.instructor {
			if p.reached, err = h.cfg.Store.Progress(h.ctx, m.ID, h.cfg.Course.ID); err != nil {
				return false, err
			}
		}
		h.people[m.ID] = p
	}
	before := p.member
	p.member = m
	if before.Generation != m.Generation || m.Removed {
		p.end()
		p.ctx, p.end = context.WithCancel(h.ctx)
	}
	if p.instructor {
		return false, nil
	}
	switch {
	case m.Removed:
		p.close()
	case p.site == nil:
		if p.site, err = h.newSite(p); err != nil {
			p.site, p.member = nil, before
			return false, err
		}
		p.view = p.site.ReadOnly(pagesOf(p.id), "/board/")
	}
	h.refresh(p)
	return before.Name != m.Name || before.Removed != m.Removed, nil
}

// close ends what runs for a person. The hub is locked.
func (p *person) close() {
	p.end()
	p.ctx, p.end = context.WithCancel(p.hub.ctx)
	if p.unfollow != nil {
		p.unfollow()
		p.unfollow, p.followed = nil, ""
	}
	if p.site != nil {
		p.site.Close()
		p.site = nil
	}
}

// session is who sends a request, and a context that ends with their session.
func (h *Hub) session(r *http.Request) (p *person, ctx context.Context, end func()) {
	nobody := func() (*person, context.Context, func()) { return nil, r.Context(), func() {} }
	pass, err := h.seal.of(r)
	if err != nil || h.now().Sub(pass.issued) > sessionLasts {
		return nobody()
	}
	h.mu.Lock()
	p = h.people[pass.id]
	valid := p != nil && !p.member.Removed && p.instructor == pass.instructor && p.member.Generation == pass.generation
	if !valid {
		h.mu.Unlock()
		return nobody()
	}
	theirs := p.ctx
	h.mu.Unlock()
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(theirs, cancel)
	return p, ctx, func() { stop(); cancel() }
}

// attendee finds an attendee by id; nil when there is none.
func (h *Hub) attendee(id string) *person {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.people[id]; p != nil && p.site != nil && !p.member.Removed {
		return p
	}
	return nil
}

// byToken finds who has a personal link with this token's hash; nil when it is nobody's.
func (h *Hub) byToken(hash []byte) *person {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found *person
	for _, p := range h.people { // all of them: how long it takes says nothing
		if !p.member.Removed && subtle.ConstantTimeCompare(p.member.Token, hash) == 1 {
			found = p
		}
	}
	return found
}

// change alters what is kept of a person, and takes it in at once.
func (h *Hub) change(ctx context.Context, id string, change func(*progress.Member) error) error {
	if err := h.cfg.Store.ChangeMember(ctx, id, change); err != nil {
		return err
	}
	return h.readPeople()
}
