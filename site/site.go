package site

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
)

// Config is what a site needs from the outside. Courses, Lab, Watch and Progress
// must be set.
type Config struct {
	Courses []*labs.Course
	Current string // the course that `up` was asked for; may be empty

	// Lab is the attendee's own version of a lab, with their values.
	Lab func(course, lab string) (*labs.Lab, error)

	// Watch calls send with the verdicts of a lab, all of them, each time one
	// changes, until ctx ends. It also sees to it that Progress remembers what passed.
	Watch func(ctx context.Context, course, lab string, send func([]labs.Verdict))

	// Progress is what the attendee has reached in a course.
	Progress func(course string) (labs.Progress, error)

	// Reset brings a lab back to its beginning, its Progress too, and says each
	// step. It may be nil: then pages offer none.
	Reset func(ctx context.Context, course, lab string, step func(string)) error

	// Hint records that the hint of a check was opened. It may be nil.
	Hint func(course, lab, check string)

	// Question is what a check asks of the attendee, with what they answered last;
	// nil when it asks nothing. It may be nil: then no check asks.
	Question func(course, lab string, check *labs.Check) *Question

	// Answer records an attendee's answer. It goes with Question.
	Answer func(ctx context.Context, course, lab, check, text string) error

	// Place is where a lab's commands run. It may be nil.
	Place func(course, lab string) Place

	// Attendee is how the pages call the attendee, when several share a server:
	// then they say whose they are and offer to leave, by POST /out. It may be nil.
	Attendee func() string

	// Notices is what the instructor of a class tells the attendee; see [Site.Tell].
	// It may be nil.
	Notices func() Notices

	// Look is shared with other sites; nil to have an own one.
	Look *Look

	// Hosts are names that the site answers to beside those of the loopback.
	Hosts []string

	Log     *slog.Logger // nil for none
	Version string
}

// A Question is what a check asks of the attendee.
type Question struct {
	Text    string
	Choices []string // empty when the answer is typed
	Given   string   // what was answered last
	Most    int      // how long an answer may be, in bytes
}

// Place is where the commands of a lab run. Any field may be empty.
type Place struct {
	Work       string // the attendee's work folder
	Kubeconfig string // path of the environment's kubeconfig
	Namespace  string
	Download   string // where the kubeconfig can be had
	Shell      string // the command that opens a shell there; empty for `kindlab shell LAB` if there is no Download
}

// A Site serves the pages. Use [New].
type Site struct {
	cfg      Config
	base     string // what stands before every address; see ReadOnly
	back     string
	log      *slog.Logger
	text     *textRenderer
	assets   *assets
	pages    map[string]*template.Template
	hub      *hub
	handler  http.Handler
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	mu       sync.Mutex
	resets   map[key]bool // labs being reset now
	beat     time.Duration
	resetFor time.Duration
}

// New makes a site. Close ends what it started.
func New(cfg Config) (*Site, error) {
	switch {
	case cfg.Lab == nil, cfg.Watch == nil, cfg.Progress == nil:
		return nil, errors.New("making the site: Config needs Lab, Watch and Progress")
	}
	for _, c := range cfg.Courses {
		if slices.Contains([]string{"api", "assets", "notices"}, c.ID) {
			return nil, fmt.Errorf("making the site: a course cannot be called %q: the site has a page of that name", c.ID)
		}
	}
	s := &Site{
		cfg:      cfg,
		log:      cfg.Log,
		resets:   map[key]bool{},
		beat:     15 * time.Second,
		resetFor: 10 * time.Minute,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	look := cfg.Look
	if look == nil {
		var err error
		if look, err = NewLook(); err != nil {
			return nil, err
		}
	}
	s.assets, s.pages, s.text = look.assets, look.pages, look.text
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.hub = newHub(s.ctx, cfg.Watch)

	s.handler = Guard(cfg.Hosts, s.mux())
	return s, nil
}

// routes are the pages by the pattern of their address.
func (s *Site) routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /{$}":                             s.catalogue,
		"GET /notices":                         s.told,
		"GET /{course}/{$}":                    s.course,
		"GET /{course}/{lab}/{$}":              s.lab,
		"GET /{course}/{lab}/events":           s.events,
		"POST /{course}/{lab}/hints/{check}":   s.hint,
		"POST /{course}/{lab}/answers/{check}": s.answer,
		"POST /{course}/{lab}/reset":           s.reset,
		"GET /api/{course}/status":             s.status,
		"GET /assets/{name}":                   s.assets.ServeHTTP,
	}
}

func (s *Site) mux() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, answer := range s.routes() {
		mux.HandleFunc(pattern, answer)
	}
	mux.HandleFunc("/", s.notFound)
	return mux
}

// Patterns are the patterns of all addresses that the site answers to.
func (s *Site) Patterns() []string { return slices.Sorted(maps.Keys(s.routes())) }

// Follow has a lab watched, as if a page of it were open, until stop is called.
func (s *Site) Follow(course, lab string) (stop func()) {
	_, stop = s.hub.join(key{course, lab})
	return stop
}

// ReadOnly are the same pages for somebody else to look at, with base before
// every address: nothing can be changed there. They lead back to an address.
func (s *Site) ReadOnly(base, back string) http.Handler {
	other := &Site{cfg: s.cfg, base: base, back: back, log: s.log, text: s.text, assets: s.assets, pages: s.pages, hub: s.hub,
		ctx: s.ctx, cancel: s.cancel, beat: s.beat}
	other.cfg.Reset, other.cfg.Hint, other.cfg.Question, other.cfg.Answer, other.cfg.Place = nil, nil, nil, nil, nil
	mux := other.mux()
	return http.StripPrefix(base, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "These pages are only to look at.", http.StatusMethodNotAllowed)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

// ServeHTTP answers a request.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Close ends watchers, resets and open event streams. A server that shuts down
// waits for its streams, so call it first: http.Server.RegisterOnShutdown does.
func (s *Site) Close() { s.cancel() }

// find is the course and, when the path names one, the attendee's lab. When they
// are not there it answers the request itself and ok is false.
func (s *Site) find(w http.ResponseWriter, r *http.Request) (c *labs.Course, l *labs.Lab, ok bool) {
	for _, known := range s.cfg.Courses {
		if known.ID == r.PathValue("course") {
			c = known
		}
	}
	if c == nil {
		s.notFound(w, r)
		return nil, nil, false
	}
	name := r.PathValue("lab")
	if name == "" {
		return c, nil, true
	}
	if c.Lab(name) == nil {
		s.notFound(w, r)
		return nil, nil, false
	}
	l, err := s.cfg.Lab(c.ID, name)
	if err != nil {
		s.fail(w, r, fmt.Errorf("preparing lab %s: %w", name, err))
		return nil, nil, false
	}
	return c, l, true
}
