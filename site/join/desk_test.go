package join

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

// A clock goes only when it is told to.
type clock struct{ ms atomic.Int64 }

func newClock(at time.Time) *clock { c := &clock{}; c.ms.Store(at.UnixMilli()); return c }

func (c *clock) now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) forward(d time.Duration) { c.ms.Add(d.Milliseconds()) }

var noon = time.UnixMilli(1_800_000_000_000)

// courseFS is a course of two labs: three checks that must stay true and one for
// which one time is enough, then one.
func courseFS() fstest.MapFS {
	check := func(id, holds string) string {
		return fmt.Sprintf("## Task %s\n```check\nid: %s\nthat: %s is true\n%shint: Look.\nrun: {script: exit 0}\n```\n", id, id, id, holds)
	}
	page := func(title, body string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("---\ntitle: " + title + "\ngoal: Do it\nminutes: 1\nneeds: []\n---\n# " + title + "\n" + body)}
	}
	return fstest.MapFS{
		"course.yaml":             {Data: []byte("title: Tiny\ngoal: Learn\nlabs: [one, two]\n")},
		"one/lab.md":              page("One", check("aa", "")+check("bb", "")+check("cc", "")+check("dd", "holds: once\n")),
		"two/lab.md":              page("Two", check("ee", "")),
		"one/start/.helmignore":   {Data: []byte("*.tmp\n")},
		"one/solution/task-aa.sh": {Data: []byte("true\n")},
	}
}

func course(t *testing.T) *labs.Course {
	t.Helper()
	c, err := labs.Load(courseFS(), "tiny")
	require.NoError(t, err)
	return c
}

// people are the members of a class, as a hub has them.
type people struct {
	mu  sync.Mutex
	all map[string]Member
}

const theCode = "abcd-efgh"

func (p *people) Enter(_ *http.Request, code, name, already string) (Member, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if code != theCode {
		return Member{}, &Refusal{Status: http.StatusForbidden, Reason: ReasonCode, Text: "this is not the code of the class"}
	}
	id := labs.PersonID(name, func(string) bool { return false })
	if m, ok := p.all[id]; ok && already != id {
		return Member{}, &Refusal{Status: http.StatusConflict, Reason: ReasonTaken, Text: m.Name + " is in already", Try: name + " (2)"}
	}
	p.all[id] = Member{Person: labs.Person{ID: id, Name: name}, Generation: p.all[id].Generation}
	return p.all[id], nil
}

func (p *people) Link(_ *http.Request, token string) (Member, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m, ok := p.all[token] // in this class a token is an id
	if !ok {
		return Member{}, &Refusal{Status: http.StatusForbidden, Reason: ReasonLink, Text: "this link is not valid"}
	}
	return m, nil
}

func (p *people) Member(id string) (Member, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m, ok := p.all[id]
	return m, ok
}

// revoke ends all that an attendee's links began.
func (p *people) revoke(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.all[id]
	m.Generation++
	p.all[id] = m
}

// A classroom is a hub with a real HTTP server, whose network can be taken away.
type classroom struct {
	t      *testing.T
	file   string
	clock  *clock
	people *people
	server *httptest.Server
	store  *progress.Store
	desk   *Desk

	down     atomic.Bool // connections are cut off before anything is done,
	deaf     atomic.Bool // or after everything was done
	requests atomic.Int64

	mu        sync.Mutex
	news      []labs.Verdict
	delivered []progress.Event // fresh or not, in the order in which they were kept
	notices   Notices
}

func newClassroom(t *testing.T) *classroom {
	c := &classroom{t: t, file: filepath.Join(t.TempDir(), "hub.db"), clock: newClock(noon), people: &people{all: map[string]Member{}}}
	c.open()
	c.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		if c.down.Load() {
			panic(http.ErrAbortHandler)
		}
		answer := httptest.NewRecorder()
		if c.deaf.Load() {
			c.desk.ServeHTTP(answer, r)
			panic(http.ErrAbortHandler)
		}
		c.desk.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { c.server.Close(); _ = c.store.Close() })
	return c
}

// open starts the hub on its file.
func (c *classroom) open() {
	c.t.Helper()
	var err error
	c.store, err = progress.Open(c.file)
	require.NoError(c.t, err)
	c.desk, err = NewDesk(c.t.Context(), DeskConfig{
		Class: "monday", Course: course(c.t), Files: courseFS(), Members: c.people, Store: c, AskEvery: time.Hour, Now: c.clock.now,
		News: func(attendee, course, lab string, vs []labs.Verdict) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.news = append(c.news, vs...)
		},
		Notices: func(string) Notices {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.notices
		},
	})
	require.NoError(c.t, err)
}

// restart ends the hub and starts it on the same file.
func (c *classroom) restart() {
	c.t.Helper()
	require.NoError(c.t, c.store.Close())
	c.open()
}

// The classroom is the desk's store, and writes down what is delivered.
func (c *classroom) Machines(ctx context.Context) ([]progress.Machine, error) {
	return c.store.Machines(ctx)
}
func (c *classroom) PutMachine(ctx context.Context, m progress.Machine) error {
	return c.store.PutMachine(ctx, m)
}
func (c *classroom) RemoveMachine(ctx context.Context, id string) error {
	return c.store.RemoveMachine(ctx, id)
}
func (c *classroom) Deliver(ctx context.Context, machine string, events []progress.Event, through int64, at time.Time) (int64, []progress.Event, error) {
	had, fresh, err := c.store.Deliver(ctx, machine, events, through, at)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delivered = append(c.delivered, fresh...)
	return had, fresh, err
}
func (c *classroom) Reported(ctx context.Context, attendee, course, lab string) (map[string]labs.Verdict, error) {
	return c.store.Reported(ctx, attendee, course, lab)
}
func (c *classroom) Progress(ctx context.Context, attendee, course string) (labs.Progress, error) {
	return c.store.Progress(ctx, attendee, course)
}
func (c *classroom) Confirm(ctx context.Context, attendee, course, lab, check string, to progress.Confirmation) error {
	return c.store.Confirm(ctx, attendee, course, lab, check, to)
}

func (c *classroom) Confirmations(ctx context.Context, attendee, course string) (map[string]progress.Confirmation, error) {
	return c.store.Confirmations(ctx, attendee, course)
}

// heard are the verdicts that News was told, kept the events that were taken in and
// told something; forget begins anew.
func (c *classroom) heard() []labs.Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.news)
}

func (c *classroom) kept() []progress.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.delivered)
}

func (c *classroom) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.news, c.delivered = nil, nil
}

// tell is the instructor's word to all.
func (c *classroom) tell(n Notices) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notices = n
}

func (c *classroom) progress(attendee string) labs.Progress {
	c.t.Helper()
	p, err := c.store.Progress(c.t.Context(), attendee, "tiny")
	require.NoError(c.t, err)
	return p
}

// states are what the hub knows of an attendee's checks now.
func (c *classroom) states(attendee string) map[string]labs.State {
	c.t.Helper()
	out := map[string]labs.State{}
	for _, l := range []string{"one", "two"} {
		vs, err := c.desk.Known(c.t.Context(), attendee, l)
		require.NoError(c.t, err)
		for _, v := range vs {
			out[labs.Key(v.Lab, v.Check)] = v.State
		}
	}
	return out
}

// A laptop is an attendee's own machine.
type laptop struct {
	t      *testing.T
	file   string
	clock  *clock
	store  *progress.Store
	place  *Place
	sender *Sender

	mu   sync.Mutex
	said []string
	told []Notices
	look func(lab, check string) (labs.Verdict, error)
}

// laptop joins a machine under a name.
func (c *classroom) laptop(name string, clock *clock) *laptop {
	c.t.Helper()
	l := &laptop{t: c.t, file: filepath.Join(c.t.TempDir(), "progress.db"), clock: clock}
	l.look = func(lab, check string) (labs.Verdict, error) {
		return labs.Verdict{Lab: lab, Check: check, State: labs.Passed}, nil
	}
	l.place = &Place{Machine: NewMachine(), Hub: c.server.URL, Attendee: "me", Course: "tiny", Class: "monday"}
	client, err := NewClient(l.place.Hub, "")
	require.NoError(c.t, err)
	defer client.Close()
	w, err := client.Join(c.t.Context(), Request{Code: theCode, Name: name, Machine: l.place.Machine, Version: "v1", Platform: "linux/amd64"})
	require.NoError(c.t, err)
	l.place.Token, l.place.ID, l.place.Name = w.Token, w.ID, w.Name
	l.open()
	require.NoError(c.t, l.store.BeginOutbox(c.t.Context(), "me", "tiny"))
	c.t.Cleanup(func() { l.sender.client.Close(); _ = l.store.Close() })
	return l
}

// open starts kindlab on the machine's file.
func (l *laptop) open() {
	l.t.Helper()
	var err error
	l.store, err = progress.Open(l.file)
	require.NoError(l.t, err)
	l.sender, err = NewSender(SenderConfig{
		Place: l.place, Outbox: l.store, Now: l.clock.now,
		Say:  func(text string) { l.mu.Lock(); defer l.mu.Unlock(); l.said = append(l.said, text) },
		Told: func(n Notices) { l.mu.Lock(); defer l.mu.Unlock(); l.told = append(l.told, n) },
		Look: func(_ context.Context, lab, check string) (labs.Verdict, error) { return l.look(lab, check) },
	})
	require.NoError(l.t, err)
}

// restart is kill -9 and a new start.
func (l *laptop) restart() {
	l.t.Helper()
	l.sender.client.Close()
	require.NoError(l.t, l.store.Close())
	l.open()
}

// see is what the engine says of a check now.
func (l *laptop) see(lab, check string, state labs.State, because string) {
	l.t.Helper()
	v := labs.Verdict{Lab: lab, Check: check, Task: "task-" + check, That: check + " is true", State: state, At: l.clock.now(), Took: time.Millisecond,
		Facts: []string{"seen at " + l.clock.now().String()}}
	if because != "" {
		v.Findings = []labs.Finding{{Because: because}}
	}
	_, err := l.store.Queue(l.t.Context(), "me", "tiny", []labs.Verdict{v})
	require.NoError(l.t, err)
}

// send sends until nothing waits.
func (l *laptop) send() {
	l.t.Helper()
	for range 50 {
		l.clock.forward(gap)
		if l.sender.Once(l.t.Context()) != gap {
			break
		}
	}
	l.sender.work.Wait()
	assert.Zero(l.t, l.waiting())
}

func (l *laptop) waiting() int {
	l.t.Helper()
	n, _, err := l.store.CountWaiting(l.t.Context())
	require.NoError(l.t, err)
	return n
}

func (l *laptop) progress() labs.Progress {
	l.t.Helper()
	p, err := l.store.Progress(l.t.Context(), "me", "tiny")
	require.NoError(l.t, err)
	return p
}
