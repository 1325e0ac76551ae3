package join

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kindlab/kindlab/site/progress"
)

// mostMachines is how many machines of an attendee are remembered; the one that
// joined first has to go when there is another.
const mostMachines = 5

// about is what a machine said of itself when it joined.
type about struct {
	Version   string    `json:"version"`
	Platform  string    `json:"platform"`
	Preflight []Finding `json:"preflight,omitempty"`
}

func readAbout(data []byte) about {
	var a about
	_ = json.Unmarshal(data, &a) // we wrote it ourselves
	return a
}

var machineID = regexp.MustCompile(`^[A-Z0-9]{20,64}$`)

// join lets a machine in.
func (d *Desk) join(w http.ResponseWriter, r *http.Request) {
	var q Request
	if !d.read(w, r, mostJoin, &q) {
		return
	}
	if q.Protocol != Protocol {
		refuse(w, &Refusal{Status: http.StatusBadRequest, Reason: ReasonProtocol, Text: errProtocol.Error()})
		return
	}
	if !machineID.MatchString(q.Machine) {
		refuse(w, &Refusal{Status: http.StatusBadRequest, Reason: ReasonBad, Text: "the machine does not say which it is"})
		return
	}
	d.joining.Lock()
	defer d.joining.Unlock()
	m, err := d.admit(r, q)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	if wait := d.joinsOf(m.ID).take(d.now(), 10, 0.1); wait > 0 {
		refuse(w, &Refusal{Status: http.StatusTooManyRequests, Reason: ReasonSlow, Text: "too many machines join for " + m.Name, After: wait})
		return
	}
	token, err := d.enlist(r, m, q)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	d.log.InfoContext(r.Context(), "a machine joined", "attendee", m.ID, "version", short(q.Version, 60))
	write(w, http.StatusOK, Welcome{ID: m.ID, Name: m.Name, Token: token, Class: d.cfg.Class, Course: d.cfg.Course.ID, Sum: d.sum})
}

// joinsOf counts how often an attendee's machines join. The desk is locked for joining.
func (d *Desk) joinsOf(attendee string) *bucket {
	if d.joins[attendee] == nil {
		d.joins[attendee] = &bucket{}
	}
	return d.joins[attendee]
}

// admit finds the attendee who joins.
func (d *Desk) admit(r *http.Request, q Request) (Member, error) {
	if q.Token != "" {
		return d.cfg.Members.Link(r, short(q.Token, 100))
	}
	already, generation := "", 0
	d.mu.Lock()
	if before := d.machines[q.Machine]; before != nil {
		already, generation = before.Attendee, before.Generation
	}
	d.mu.Unlock()
	if is, in := d.cfg.Members.Member(already); !in || is.Generation != generation {
		already = "" // who was shut out does not come back by the code
	}
	return d.cfg.Members.Enter(r, short(q.Code, 100), short(q.Name, 1000), already)
}

// enlist gives the machine a token.
func (d *Desk) enlist(r *http.Request, who Member, q Request) (token string, err error) {
	token = rand.Text()
	hash := sha256.Sum256([]byte(token))
	a := about{Version: short(q.Version, 60), Platform: short(q.Platform, 60)}
	for _, f := range q.Preflight[:min(len(q.Preflight), mostLines)] {
		a.Preflight = append(a.Preflight, Finding{short(f.Name, 60), short(f.Level, 10), short(f.Found, 300)})
	}
	data, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	now := d.now()
	m := progress.Machine{ID: q.Machine, Attendee: who.ID, Token: hash[:], Generation: who.Generation, Joined: now, Seen: now, About: data}
	if err := d.cfg.Store.PutMachine(r.Context(), m); err != nil {
		return "", err
	}
	d.know(m)
	return token, d.forgetEldest(r, who.ID)
}

// forgetEldest sees to it that an attendee has not too many machines.
func (d *Desk) forgetEldest(r *http.Request, attendee string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var own []*machine
	for _, m := range d.machines {
		if m.Attendee == attendee {
			own = append(own, m)
		}
	}
	slices.SortFunc(own, func(a, b *machine) int { return b.Joined.Compare(a.Joined) })
	for _, m := range own[min(len(own), mostMachines):] {
		if err := d.cfg.Store.RemoveMachine(r.Context(), m.ID); err != nil {
			return err
		}
		delete(d.machines, m.ID)
		delete(d.tokens, hashKey(m.Token))
	}
	return nil
}

// dismiss ends a machine's token.
func (d *Desk) dismiss(r *http.Request, m *machine) error {
	d.mu.Lock()
	gone := m.Machine
	d.mu.Unlock()
	gone.Gone = true
	if err := d.cfg.Store.PutMachine(r.Context(), gone); err != nil {
		return err
	}
	d.know(gone)
	return nil
}

// leave ends what join began.
func (d *Desk) leave(w http.ResponseWriter, r *http.Request) {
	m, attendee, ok := d.who(w, r)
	if !ok || !d.inTurn(w, m) {
		return
	}
	if err := d.dismiss(r, m); err != nil {
		d.fail(w, r, err)
		return
	}
	d.log.InfoContext(r.Context(), "a machine left", "attendee", attendee)
	write(w, http.StatusOK, struct{}{})
}

// who is the machine that sends a request, and its attendee. When it is none that
// joined, it answers the request itself and ok is false.
func (d *Desk) who(w http.ResponseWriter, r *http.Request) (m *machine, attendee string, ok bool) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	hash := sha256.Sum256([]byte(token))
	d.mu.Lock()
	var generation int
	if m = d.tokens[hash]; m != nil {
		attendee, generation = m.Attendee, m.Generation
	}
	d.mu.Unlock()
	if m != nil {
		if is, in := d.cfg.Members.Member(attendee); in && is.Generation == generation {
			return m, attendee, true
		}
	}
	refuse(w, &Refusal{Status: http.StatusUnauthorized, Reason: ReasonRevoked, Text: "this machine is not, or no longer, in the class"})
	return nil, "", false
}

// pack makes what is given out of the course's files.
func (d *Desk) pack() (err error) {
	if d.sum, err = Sum(d.cfg.Files); err != nil {
		return err
	}
	var b bytes.Buffer
	err = Pack(&b, d.cfg.Files)
	d.course = b.Bytes()
	return err
}

// giveCourse gives out the course's files.
func (d *Desk) giveCourse(w http.ResponseWriter, r *http.Request) {
	m, _, ok := d.who(w, r)
	if !ok || !d.inTurn(w, m) {
		return
	}
	if d.course == nil {
		refuse(w, &Refusal{Status: http.StatusNotFound, Reason: ReasonNone, Text: "the hub does not give out the course"})
		return
	}
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Length", strconv.Itoa(len(d.course)))
	out := http.NewResponseController(w)
	_ = out.SetWriteDeadline(time.Now().Add(5 * time.Minute))
	_, _ = w.Write(d.course)
	_ = out.SetWriteDeadline(time.Time{}) // the connection may serve others
}

// inTurn reports whether a machine sends no more requests than it may; when it does
// it answers the request itself.
func (d *Desk) inTurn(w http.ResponseWriter, m *machine) bool {
	d.mu.Lock()
	wait := m.limit.take(d.now(), 30, 5) // more than a machine with a lot to say sends
	d.mu.Unlock()
	if wait > 0 {
		refuse(w, &Refusal{Status: http.StatusTooManyRequests, Reason: ReasonSlow, Text: "too many requests", After: wait})
		return false
	}
	return true
}

// read decodes a request of at most so many bytes; when it cannot be read it
// answers it itself.
func (d *Desk) read(w http.ResponseWriter, r *http.Request, most int64, into any) bool {
	// Who sends slowly must not keep a connection for ever.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(30 * time.Second))
	r.Body = http.MaxBytesReader(w, r.Body, most)
	var err error
	if p, ok := into.(*Post); ok {
		*p, err = readPost(r.Body)
	} else {
		err = json.NewDecoder(r.Body).Decode(into)
	}
	return err == nil || unreadable(w, err)
}

// unreadable answers a request that could not be decoded; it returns false.
func unreadable(w http.ResponseWriter, err error) bool {
	no := &Refusal{Status: http.StatusBadRequest, Reason: ReasonBad, Text: short("the request cannot be read: "+err.Error(), 200)}
	switch tooLong := new(http.MaxBytesError); {
	case errors.As(err, &tooLong):
		no = &Refusal{Status: http.StatusRequestEntityTooLarge, Reason: ReasonBad, Text: fmt.Sprintf("the request is longer than %d bytes", tooLong.Limit)}
	case errors.Is(err, errProtocol):
		no.Reason, no.Text = ReasonProtocol, err.Error()
	}
	refuse(w, no)
	return false
}

// fail answers a request that went wrong: what is a refusal is told, the rest is logged.
func (d *Desk) fail(w http.ResponseWriter, r *http.Request, err error) {
	if no := new(Refusal); errors.As(err, &no) {
		refuse(w, no)
		return
	}
	d.log.ErrorContext(r.Context(), "serving a machine", "path", r.URL.Path, "err", err)
	// The cause may name folders of this host, which is nobody's business.
	text := "the hub cannot keep this now"
	if strings.Contains(err.Error(), "the disk is full") {
		text += ": its disk is full"
	}
	refuse(w, &Refusal{Status: http.StatusServiceUnavailable, Reason: ReasonFull, Text: text, After: 10 * time.Second})
}

// refuse says why not.
func refuse(w http.ResponseWriter, no *Refusal) {
	if no.After > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int((no.After+time.Second-1)/time.Second))))
	}
	write(w, no.Status, no)
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
