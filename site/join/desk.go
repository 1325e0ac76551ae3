package join

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

// A Member is an attendee of the class, as the hub knows them. Who was revoked is
// of another generation than before.
type Member struct {
	labs.Person
	Generation int
}

// Members are the attendees of the class. Whoever implements it counts wrong
// guesses; an error that is a [Refusal] is told to the machine.
type Members interface {
	// Enter finds, or makes, the place of who gives the class's code and a name.
	// already is the id of the attendee whose this machine was before, if any: it
	// gets the same place again, if the name is theirs.
	Enter(r *http.Request, code, name, already string) (Member, error)

	// Link finds whose personal link a token is.
	Link(r *http.Request, token string) (Member, error)

	// Member finds an attendee; ok is false for who is not, or no longer, in the class.
	Member(id string) (m Member, ok bool)
}

// A Store keeps what machines bring; [progress.Store] is one.
type Store interface {
	Machines(ctx context.Context) ([]progress.Machine, error)
	PutMachine(ctx context.Context, m progress.Machine) error
	RemoveMachine(ctx context.Context, id string) error
	Deliver(ctx context.Context, machine string, events []progress.Event, through int64, at time.Time) (had int64, fresh []progress.Event, err error)
	Reported(ctx context.Context, attendee, course, lab string) (map[string]labs.Verdict, error)
	Progress(ctx context.Context, attendee, course string) (labs.Progress, error)
	Confirm(ctx context.Context, attendee, course, lab, check string, c progress.Confirmation) error
	Confirmations(ctx context.Context, attendee, course string) (map[string]progress.Confirmation, error)
}

// DeskConfig is what a desk needs from the outside. Class, Course, Members and Store
// must be set.
type DeskConfig struct {
	Class   string
	Course  *labs.Course
	Files   fs.FS // of the course, to give out; nil for none
	Members Members
	Store   Store

	// News is told the verdicts that are known of an attendee's lab, each time one is
	// new, and before them each first pass. What passed is in the store by then. It may be nil.
	News func(attendee, course, lab string, verdicts []labs.Verdict)

	// Notices are what an attendee is told now. It may be nil.
	Notices func(attendee string) Notices

	AskEvery time.Duration    // how often each machine is asked again for a verdict, about; 0 for 5 minutes
	Now      func() time.Time // nil for time.Now
	Log      *slog.Logger     // nil for none
}

// A Desk is the hub's end of the line: it serves everything below /machine/.
type Desk struct {
	cfg     DeskConfig
	log     *slog.Logger
	now     func() time.Time
	course  []byte // the tar of the course
	sum     string
	handler http.Handler
	joining sync.Mutex // one machine joins at a time

	mu       sync.Mutex
	machines map[string]*machine // by id
	tokens   map[[sha256.Size]byte]*machine
	joins    map[string]*bucket // by attendee
}

// A machine is one that joined, and what is known of it now.
type machine struct {
	progress.Machine
	about about
	busy  sync.Mutex // one request of a machine at a time

	// The desk's lock guards what follows.
	heard time.Time // of the last post; zero since the hub was started
	limit bucket
	asked asked
}

// A bucket holds so many requests at most, and so many more each second.
type bucket struct {
	have float64
	at   time.Time
}

// take takes a request, or says how long to wait for one.
func (b *bucket) take(now time.Time, burst, perSecond float64) (wait time.Duration) {
	if b.at.IsZero() {
		b.have = burst
	} else {
		b.have = min(burst, b.have+max(0, now.Sub(b.at).Seconds())*perSecond)
	}
	b.at = now
	if b.have < 1 {
		return time.Duration((1 - b.have) / perSecond * float64(time.Second))
	}
	b.have--
	return 0
}

// NewDesk makes the hub's end of the line. Before it returns, News is told what the
// machines had brought before the hub was started.
func NewDesk(ctx context.Context, cfg DeskConfig) (*Desk, error) {
	if cfg.Class == "" || cfg.Course == nil || cfg.Members == nil || cfg.Store == nil {
		return nil, errors.New("making the desk: DeskConfig needs Class, Course, Members and Store")
	}
	d := &Desk{cfg: cfg, log: cfg.Log, now: cfg.Now, machines: map[string]*machine{}, tokens: map[[sha256.Size]byte]*machine{}, joins: map[string]*bucket{}}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if d.now == nil {
		d.now = time.Now
	}
	if d.cfg.AskEvery == 0 {
		d.cfg.AskEvery = 5 * time.Minute
	}
	if cfg.Files != nil {
		if err := d.pack(); err != nil {
			return nil, fmt.Errorf("making the desk: %w", err)
		}
	}
	known, err := cfg.Store.Machines(ctx)
	if err != nil {
		return nil, fmt.Errorf("making the desk: %w", err)
	}
	attendees := map[string]bool{}
	for _, m := range known {
		d.know(m)
		attendees[m.Attendee] = true
	}
	for attendee := range attendees {
		for _, l := range cfg.Course.Labs {
			if err := d.tell(ctx, attendee, l.ID); err != nil {
				return nil, fmt.Errorf("making the desk: %w", err)
			}
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /machine/join", d.join)
	mux.HandleFunc("POST /machine/events", d.events)
	mux.HandleFunc("GET /machine/course", d.giveCourse)
	mux.HandleFunc("POST /machine/leave", d.leave)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, &Refusal{Status: http.StatusNotFound, Reason: ReasonNone, Text: "the hub has nothing here"})
	})
	d.handler = mux
	return d, nil
}

// ServeHTTP answers a request.
func (d *Desk) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.handler.ServeHTTP(w, r) }

// know takes a machine into the desk's book.
func (d *Desk) know(m progress.Machine) *machine {
	d.mu.Lock()
	defer d.mu.Unlock()
	own := d.machines[m.ID]
	if own == nil {
		own = &machine{}
		d.machines[m.ID] = own
	} else {
		delete(d.tokens, hashKey(own.Token))
		m.Seq = max(m.Seq, own.Seq)
	}
	own.Machine, own.about = m, readAbout(m.About)
	// The first question comes when some have been solved, and not for all at once.
	own.asked = asked{next: d.now().Add(d.cfg.AskEvery/2 + rand.N(d.cfg.AskEvery))}
	if !m.Gone {
		d.tokens[hashKey(m.Token)] = own
	}
	return own
}

// hashKey is the hash of a token as the key of a map.
func hashKey(hash []byte) (key [sha256.Size]byte) {
	copy(key[:], hash)
	return key
}

// tell gives News what is known of an attendee's lab.
func (d *Desk) tell(ctx context.Context, attendee, lab string) error {
	if d.cfg.News == nil {
		return nil
	}
	vs, err := d.Known(ctx, attendee, lab)
	if err != nil || len(vs) == 0 {
		return err
	}
	d.cfg.News(attendee, d.cfg.Course.ID, lab, vs)
	return nil
}

// Known are the verdicts that an attendee's machines told last of a lab, in page order.
func (d *Desk) Known(ctx context.Context, attendee, lab string) ([]labs.Verdict, error) {
	l := d.cfg.Course.Lab(lab)
	if l == nil {
		return nil, nil
	}
	said, err := d.cfg.Store.Reported(ctx, attendee, d.cfg.Course.ID, lab)
	if err != nil {
		return nil, err
	}
	var out []labs.Verdict
	for _, c := range l.Checks() {
		if v, ok := said[c.ID]; ok {
			out = append(out, v)
		}
	}
	return out, nil
}
