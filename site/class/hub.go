package class

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site"
	"github.com/kindlab/kindlab/site/join"
	"github.com/kindlab/kindlab/site/progress"
)

// Config is what a hub needs from the outside. Class, Course, Store and Pages must be set.
type Config struct {
	Class  *labs.Class
	Course *labs.Course
	Store  Store

	// Pages are an attendee's own pages. What they are given must know only this
	// attendee. The hub sees to Look, Hosts, Attendee and Notices.
	Pages func(labs.Person) site.Config

	// Kubeconfig is an attendee's kubeconfig for a lab, and how the browser saves it;
	// "" for [site.KubeconfigName], which is what the pages say. It may be nil.
	Kubeconfig func(ctx context.Context, attendee, lab string) (name string, data []byte, err error)

	// Ready is whether an attendee's environment is there, for the roll-call. It may be nil.
	Ready func(attendee string) (ok bool, detail string)

	// Trouble is what instructors must know of the hub itself, such as that the disk is
	// full; "" for nothing. It may be nil.
	Trouble func() string

	// Machines keeps what attendees' own machines bring; nil when none may join.
	Machines join.Store

	// Files are the course's, for machines that do not have it. It may be nil.
	Files fs.FS

	URL     string           // of the pages, where it is not as the request says; without a slash at the end
	Hosts   []string         // names that the hub answers to beside those of the loopback
	Now     func() time.Time // nil for time.Now
	Log     *slog.Logger     // nil for none
	Version string
}

// A Store keeps the people of a class and what they reached; [progress.Store] is one.
type Store interface {
	Members(ctx context.Context) ([]progress.Member, error)
	ChangeMember(ctx context.Context, id string, change func(*progress.Member) error) error
	Progress(ctx context.Context, attendee, course string) (labs.Progress, error)
	Setting(ctx context.Context, key string) (string, error)
	SetSetting(ctx context.Context, key, value string) error
}

// A Hub serves a class. Use [New].
type Hub struct {
	cfg     Config
	log     *slog.Logger
	now     func() time.Time
	seal    seal
	look    *site.Look
	pages   map[string]*template.Template
	columns []column
	guesses *limiter
	desk    *join.Desk // nil when no machines may join
	handler http.Handler
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	entering sync.Mutex // one comes in by name at a time
	rollCall sync.Mutex // one at a time

	mu     sync.Mutex
	people map[string]*person
	order  []string // attendees as the board lists them
	told   told
	room   room
}

// How often the hub looks at what others may have changed.
const (
	peopleEvery   = 2 * time.Second  // people: a command of another process
	roomEvery     = 5 * time.Second  // who is slow now
	progressEvery = 30 * time.Second // progress: `kindlab check`, in another process
)

// New makes a hub. Close ends what it started.
func New(cfg Config) (*Hub, error) {
	if cfg.Class == nil || cfg.Course == nil || cfg.Store == nil || cfg.Pages == nil {
		return nil, errors.New("making the hub: Config needs Class, Course, Store and Pages")
	}
	for _, taken := range []string{"in", "out", "me", "board", "machine"} {
		if cfg.Course.ID == taken {
			return nil, fmt.Errorf("making the hub: a course cannot be called %q: the hub has a page of that name", taken)
		}
	}
	h := &Hub{cfg: cfg, log: cfg.Log, now: cfg.Now, people: map[string]*person{}, guesses: newLimiter(), columns: columnsOf(cfg.Course)}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.now == nil {
		h.now = time.Now
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	if err := h.start(); err != nil {
		h.Close()
		return nil, fmt.Errorf("making the hub: %w", err)
	}
	return h, nil
}

func (h *Hub) start() error {
	key, err := sealKey(h.ctx, h.cfg.Store)
	if err != nil {
		return err
	}
	h.seal = seal{key: key, name: "kindlab-" + h.cfg.Class.Name}
	if h.look, err = site.NewLook(files); err != nil {
		return err
	}
	if h.pages, err = parsePages(h.look); err != nil {
		return err
	}
	if err := h.enlist(); err != nil {
		return err
	}
	if err := h.recall(); err != nil {
		return err
	}
	h.room.boards = map[chan struct{}]bool{}
	if err := h.readPeople(); err != nil {
		return err
	}
	if err := h.openDesk(); err != nil {
		return err
	}
	h.handler = site.Guard(h.cfg.Hosts, h.mux())
	h.running.Go(h.keepUp)
	return nil
}

// keepUp looks now and then at what changes without the hub.
func (h *Hub) keepUp() {
	people, room, reached := time.NewTicker(peopleEvery), time.NewTicker(roomEvery), time.NewTicker(progressEvery)
	defer people.Stop()
	defer room.Stop()
	defer reached.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-people.C:
			if err := h.readPeople(); err != nil && h.ctx.Err() == nil {
				h.log.Warn("reading the people of the class", "err", err)
			}
		case <-room.C:
			h.lookForTrouble()
			go h.callRoll() // it may take long
			h.review()
		case <-reached.C:
			h.readProgress()
		}
	}
}

// ServeHTTP answers a request.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.handler.ServeHTTP(w, r) }

// Close ends watchers and open event streams. A server that shuts down waits for
// its streams, so call it first.
func (h *Hub) Close() {
	h.cancel()
	h.running.Wait() // it uses the store
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.people {
		p.close()
	}
}

// News is what is known of an attendee's lab from elsewhere, such as their own
// machine: the board and their pages here show it. What passed is recorded by the caller.
func (h *Hub) News(attendee, course, lab string, verdicts []labs.Verdict) {
	if p := h.attendee(attendee); p != nil && course == h.cfg.Course.ID && h.cfg.Course.Lab(lab) != nil {
		p.hear(lab, verdicts)
	}
}
