package class

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site"
)

// mostPages is how many pages an attendee may have open at once.
const mostPages = 30

// newSite is an attendee's own pages. The hub is locked.
func (h *Hub) newSite(p *person) (*site.Site, error) {
	cfg := h.cfg.Pages(p.member.Person)
	cfg.Look, cfg.Hosts = h.look, h.cfg.Hosts
	cfg.Attendee = func() string { h.mu.Lock(); defer h.mu.Unlock(); return p.called().Name }
	p.lab = cfg.Lab
	cfg.Notices = func() site.Notices { return h.notices(p) }
	watch := cfg.Watch
	cfg.Watch = func(ctx context.Context, course, lab string, send func([]labs.Verdict)) {
		if course == h.cfg.Course.ID {
			defer p.watch(lab, send)()
			watch(ctx, course, lab, func(vs []labs.Verdict) { h.see(p, lab, vs); send(vs) })
			return
		}
		watch(ctx, course, lab, send)
	}
	if reset := cfg.Reset; reset != nil {
		cfg.Reset = func(ctx context.Context, course, lab string, step func(string)) error {
			err := reset(ctx, course, lab, step)
			h.forget(p, lab)
			return err
		}
	}
	if h.cfg.Kubeconfig != nil {
		place := cfg.Place
		cfg.Place = func(course, lab string) site.Place {
			var at site.Place
			if place != nil {
				at = place(course, lab)
			}
			if l := h.cfg.Course.Lab(lab); course == h.cfg.Course.ID && l != nil && l.Wants("cluster") {
				at.Download = "/me/kubeconfig/" + lab
			}
			return at
		}
	}
	s, err := site.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("making the pages of %s: %w", p.id, err)
	}
	return s, nil
}

// ownPages answers with the attendee's own pages.
func (h *Hub) ownPages(w http.ResponseWriter, r *http.Request, p *person) {
	lab, stream := streamOf(r)
	h.mu.Lock()
	pages, most := p.site, false
	if stream && pages != nil {
		total := 0
		for _, n := range p.open {
			total += n
		}
		if most = total >= mostPages; !most {
			p.open[lab]++
			if lab != "" && h.cfg.Course.Lab(lab) != nil {
				p.looked = lab
			}
			h.refresh(p)
			h.wake()
		}
	}
	h.mu.Unlock()
	switch {
	case pages == nil:
		http.Error(w, "You are not in this class any more.", http.StatusGone)
		return
	case most:
		http.Error(w, "You have too many pages open.", http.StatusTooManyRequests)
		return
	}
	if stream {
		defer func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if p.open[lab]--; p.open[lab] == 0 {
				delete(p.open, lab)
			}
			h.refresh(p)
			h.wake()
		}()
	}
	pages.ServeHTTP(w, r)
}

// streamOf reports whether a request is for a stream of events, and of which lab of
// the course. A page that is open has one.
func streamOf(r *http.Request) (lab string, is bool) {
	if r.Method != http.MethodGet {
		return "", false
	}
	if r.URL.Path == "/notices" {
		return "", true
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) == 3 && parts[2] == "events" {
		return parts[1], true
	}
	return "", false
}

// kubeconfig sends the attendee's own kubeconfig for a lab.
func (h *Hub) kubeconfig(w http.ResponseWriter, r *http.Request, p *person) {
	lab := h.cfg.Course.Lab(r.PathValue("lab"))
	if h.cfg.Kubeconfig == nil || lab == nil || !lab.Wants("cluster") {
		h.say(w, r, http.StatusNotFound, "There is no kubeconfig", "This lab needs none, or there is no such lab.")
		return
	}
	name, data, err := h.cfg.Kubeconfig(r.Context(), p.id, lab.ID)
	if err != nil {
		h.log.ErrorContext(r.Context(), "making a kubeconfig", "attendee", p.id, "lab", lab.ID, "err", err)
		h.say(w, r, http.StatusBadGateway, "Your kubeconfig cannot be made now", err.Error()+". Try again, or tell your instructor.")
		return
	}
	if name == "" {
		name = site.KubeconfigName(lab.ID)
	}
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\/`, r) {
			return '-'
		}
		return r
	}, name)
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	_, _ = w.Write(data)
}
