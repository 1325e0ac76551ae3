package class

import (
	"github.com/kindlab/kindlab/labs"
)

// A watcher is a running watch of an attendee's lab.
type watcher struct {
	lab  string
	send func([]labs.Verdict)
}

// watch notes who wants to know of a lab what comes from elsewhere, until done is
// called. What came already it says at once.
func (p *person) watch(lab string, send func([]labs.Verdict)) (done func()) {
	h, w := p.hub, &watcher{lab, send}
	h.mu.Lock()
	p.watchers[w] = true
	var known []labs.Verdict
	for _, v := range p.elsewhere[lab] {
		known = append(known, v)
	}
	h.mu.Unlock()
	if len(known) > 0 {
		send(known)
	}
	return func() { h.mu.Lock(); defer h.mu.Unlock(); delete(p.watchers, w) }
}

// hear takes in verdicts from elsewhere, for the board and for open pages.
func (p *person) hear(lab string, vs []labs.Verdict) {
	h := p.hub
	h.mu.Lock()
	if p.elsewhere[lab] == nil {
		p.elsewhere[lab] = map[string]labs.Verdict{}
	}
	for _, v := range vs {
		p.elsewhere[lab][v.Check] = v
	}
	var sends []func([]labs.Verdict)
	for w := range p.watchers {
		if w.lab == lab {
			sends = append(sends, w.send)
		}
	}
	h.mu.Unlock()
	h.see(p, lab, vs)
	for _, send := range sends {
		send(vs)
	}
}

// see takes in what a watcher says of an attendee's lab.
func (h *Hub) see(p *person, lab string, vs []labs.Verdict) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.cfg.Course.Lab(lab)
	if l == nil {
		return
	}
	for _, v := range vs {
		if _, c := l.Check(v.Check); c == nil {
			continue // a check of another version of the course
		}
		if v.At.IsZero() {
			v.At = h.now()
		}
		k := labs.Key(lab, v.Check)
		now := sighting{v, v.At}
		if before, ok := p.seen[k]; ok && before.State == v.State {
			now.since = before.since
		}
		p.seen[k] = now
		if _, ok := p.reached[k]; !ok && v.State == labs.Passed {
			if p.reached == nil {
				p.reached = labs.Progress{}
			}
			p.reached[k] = v.At
		}
	}
	h.refresh(p)
	h.wake()
}

// forget drops what is known of a lab that an attendee began again.
func (h *Hub) forget(p *person, lab string) {
	l := h.cfg.Course.Lab(lab)
	if l == nil {
		return
	}
	reached, err := h.cfg.Store.Progress(h.ctx, p.id, h.cfg.Course.ID)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range l.Checks() {
		delete(p.seen, labs.Key(lab, c.ID))
		delete(p.reached, labs.Key(lab, c.ID))
	}
	delete(p.elsewhere, lab)
	if err == nil {
		p.reached = reached
	}
	h.refresh(p)
	h.wake()
}

// follow has the attendee's current lab watched, once they have come in: that whose
// page they opened last, until it is solved, else the first that is not. The hub is locked.
func (h *Hub) follow(p *person) {
	lab := ""
	if !p.member.Removed && !p.member.Entered.IsZero() && p.site != nil {
		lab = h.currentLab(p)
	}
	if lab == p.followed {
		return
	}
	if p.unfollow != nil {
		p.unfollow()
		p.unfollow = nil
	}
	if p.followed = lab; lab != "" {
		p.unfollow = p.site.Follow(h.cfg.Course.ID, lab)
	}
}

// currentLab is the lab that an attendee works on; "" when all is solved.
func (h *Hub) currentLab(p *person) string {
	unsolved := func(l *labs.Lab) bool {
		solved, total := p.reached.Lab(l)
		return solved < total
	}
	if l := h.cfg.Course.Lab(p.looked); l != nil && (p.open[l.ID] > 0 || unsolved(l)) {
		return l.ID
	}
	if l := p.reached.Open(h.cfg.Course); l != nil {
		return l.ID
	}
	return ""
}

// readProgress reads what everybody reached: another process may have recorded some.
func (h *Hub) readProgress() {
	h.mu.Lock()
	ids := append([]string(nil), h.order...)
	h.mu.Unlock()
	for _, id := range ids {
		reached, err := h.cfg.Store.Progress(h.ctx, id, h.cfg.Course.ID)
		if err != nil {
			if h.ctx.Err() == nil {
				h.log.Warn("reading the progress", "attendee", id, "err", err)
			}
			return
		}
		h.mu.Lock()
		if p := h.people[id]; p != nil {
			for k, at := range p.reached {
				// A verdict may be here before its record is.
				if _, ok := reached[k]; !ok && p.seen[k].State == labs.Passed {
					reached[k] = at
				}
			}
			p.reached = reached
			h.refresh(p)
		}
		h.mu.Unlock()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wake()
}

// lookForTrouble asks whether the hub itself is well.
func (h *Hub) lookForTrouble() {
	if h.cfg.Trouble == nil {
		return
	}
	trouble := h.cfg.Trouble()
	h.mu.Lock()
	defer h.mu.Unlock()
	if trouble != h.room.trouble {
		h.room.trouble = trouble
		h.room.version++
		h.wake()
	}
}

// A readiness is what the roll-call knows of an environment.
type readiness struct {
	asked  bool
	ok     bool
	detail string
}

// callRoll asks whether the environments are there, while somebody looks at the board.
func (h *Hub) callRoll() {
	h.mu.Lock()
	ids := append([]string(nil), h.order...)
	looked := len(h.room.boards) > 0
	h.mu.Unlock()
	if h.cfg.Ready == nil || !looked || !h.rollCall.TryLock() {
		return
	}
	defer h.rollCall.Unlock()
	for _, id := range ids {
		if h.ctx.Err() != nil {
			return
		}
		ok, detail := h.cfg.Ready(id)
		h.mu.Lock()
		if p := h.people[id]; p != nil {
			p.ready = readiness{true, ok, detail}
			h.refresh(p)
			h.wake()
		}
		h.mu.Unlock()
	}
}

// review looks again at what changes by time alone: who is slow.
func (h *Hub) review() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range h.order {
		h.refresh(h.people[id])
	}
	h.wake()
}
