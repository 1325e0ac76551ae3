package class

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/join"
	"github.com/kindlab/kindlab/site/progress"
)

// ownMachines is a hub of a class whose attendees bring machines, with its address.
func ownMachines(t *testing.T) (*world, *Hub, *join.Client) {
	w := newWorld(t)
	w.class.Isolation = labs.OwnMachine
	cfg := w.config()
	cfg.Machines, cfg.Files, cfg.Ready = w.store, os.DirFS("../testdata/demo"), nil
	h, err := New(cfg)
	require.NoError(t, err)
	server := httptest.NewServer(h)
	t.Cleanup(func() { h.Close(); server.Close() })
	client, err := join.NewClient(server.URL, "")
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return w, h, client
}

// whyNot is the reason for which the hub refuses.
func whyNot(t *testing.T, err error) string {
	t.Helper()
	no := new(join.Refusal)
	require.ErrorAs(t, err, &no)
	return no.Reason
}

func TestMachineJoins(t *testing.T) {
	w, h, client := ownMachines(t)
	ctx := t.Context()
	code, err := NewCode(ctx, w.store)
	require.NoError(t, err)
	own := join.NewMachine()

	_, err = client.Join(ctx, join.Request{Code: "aaaa-aaaa", Name: "Ada Lovelace", Machine: own})
	assert.Equal(t, join.ReasonCode, whyNot(t, err))
	_, err = client.Join(ctx, join.Request{Code: code, Name: "\u200b", Machine: own})
	assert.Equal(t, join.ReasonName, whyNot(t, err))
	welcome, err := client.Join(ctx, join.Request{Code: strings.ToUpper(code), Name: " ada  lovelace ", Machine: own})
	require.NoError(t, err)
	assert.Equal(t, "ada", welcome.ID, "the one on the list")
	again, err := client.Join(ctx, join.Request{Code: code, Name: "Ada Lovelace", Machine: own})
	require.NoError(t, err)
	assert.Equal(t, "ada", again.ID)
	_, err = client.Join(ctx, join.Request{Code: code, Name: "Ada Lovelace", Machine: join.NewMachine()})
	assert.Equal(t, join.ReasonTaken, whyNot(t, err))
	assert.ErrorContains(t, err, "Ada Lovelace (2)")
	guest, err := client.Join(ctx, join.Request{Code: code, Name: "Zoë", Machine: join.NewMachine()})
	require.NoError(t, err)
	assert.Equal(t, "zoe", guest.ID, "who is not on the list may come too")

	// What a machine brings is on the board, and stays when the hub is started again.
	at := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	lab := w.course.Labs[0]
	check := lab.Checks()[0]
	v := labs.Verdict{Lab: lab.ID, Check: check.ID, State: labs.Failing, At: at, Findings: []labs.Finding{{Because: "nothing is there"}}}
	_, err = client.Post(ctx, again.Token, join.Post{Sent: time.Now().UnixMilli(), Events: join.Events{{Seq: 1, Kind: progress.Latest, Course: "demo", Verdict: v}}})
	require.NoError(t, err)
	seen := func(h *Hub) labs.Verdict {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.people["ada"].seen[labs.Key(lab.ID, check.ID)].Verdict
	}
	assert.Equal(t, "nothing is there", seen(h).Findings[0].Because)
	reached := func() labs.Progress {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.people["ada"].reached
	}
	passed := labs.Verdict{Lab: lab.ID, Check: check.ID, State: labs.Passed, At: at}
	_, err = client.Post(ctx, again.Token, join.Post{Sent: time.Now().UnixMilli(), Events: join.Events{
		{Seq: 2, Kind: progress.FirstPass, Course: "demo", Verdict: passed}, {Seq: 3, Kind: progress.Latest, Course: "demo", Verdict: v}}})
	require.NoError(t, err)
	assert.Equal(t, labs.Failing, seen(h).State)
	assert.Len(t, reached(), 1, "it had passed meanwhile, and the board knows at once")
	ok, detail := h.cfg.Ready("ada")
	assert.True(t, ok, detail)
	ok, _ = h.cfg.Ready("bob")
	assert.False(t, ok)
	cfg := w.config()
	cfg.Machines = w.store
	restarted, err := New(cfg)
	require.NoError(t, err)
	defer restarted.Close()
	assert.Equal(t, labs.Failing, seen(restarted).State)

	// What could not be confirmed is on the attendee's page at the board.
	require.NoError(t, w.store.Confirm(ctx, "ada", "demo", lab.ID, check.ID, progress.Confirmation{At: at, Why: "it is <failing>"}))
	board := w.visit(h, "grace", true).do("GET", "/board/attendees/ada/").Body.String()
	assert.Contains(t, board, "Not confirmed by a second look at "+at.Local().Format("15:04")+": it is &lt;failing&gt;")

	dir := filepath.Join(t.TempDir(), "demo")
	require.NoError(t, client.Course(ctx, again.Token, dir, again.Sum))
	assert.FileExists(t, filepath.Join(dir, "course.yaml"))

	// Who is revoked is out at once, with their machines.
	require.NoError(t, h.change(ctx, "ada", func(m *progress.Member) error { m.Generation++; return nil }))
	_, err = client.Post(ctx, again.Token, join.Post{})
	assert.Equal(t, join.ReasonRevoked, whyNot(t, err))
	_, err = client.Post(ctx, guest.Token, join.Post{})
	assert.NoError(t, err, "and nobody else")
}

func TestMachineJoinsByLink(t *testing.T) {
	w, h, client := ownMachines(t)
	ctx := t.Context()
	first, err := Invite(ctx, w.store, labs.Person{ID: "ada", Name: "Ada Lovelace"}, false)
	require.NoError(t, err)
	teacher, err := Invite(ctx, w.store, labs.Person{ID: "grace", Name: "Grace"}, true)
	require.NoError(t, err)
	welcome, err := client.Join(ctx, join.Request{Token: first, Machine: join.NewMachine()})
	require.NoError(t, err)
	assert.Equal(t, "ada", welcome.ID)
	_, err = client.Join(ctx, join.Request{Token: teacher, Machine: join.NewMachine()})
	assert.Equal(t, join.ReasonLink, whyNot(t, err))

	newer, err := Invite(ctx, w.store, labs.Person{ID: "ada"}, false)
	require.NoError(t, err)
	require.NoError(t, h.readPeople())
	_, err = client.Post(ctx, welcome.Token, join.Post{})
	assert.Equal(t, join.ReasonRevoked, whyNot(t, err), "a newer link ends what the older one began")
	_, err = client.Join(ctx, join.Request{Token: first, Machine: join.NewMachine()})
	assert.Equal(t, join.ReasonLink, whyNot(t, err))
	_, err = client.Join(ctx, join.Request{Token: newer, Machine: join.NewMachine()})
	assert.NoError(t, err)

	for range 100 { // guesses
		if _, err = client.Join(ctx, join.Request{Token: "guess", Machine: join.NewMachine()}); whyNot(t, err) == join.ReasonSlow {
			break
		}
	}
	assert.Equal(t, join.ReasonSlow, whyNot(t, err))
}

func TestMachineIsTold(t *testing.T) {
	w, h, client := ownMachines(t)
	ctx := t.Context()
	token, err := Invite(ctx, w.store, labs.Person{ID: "ada", Name: "Ada Lovelace"}, false)
	require.NoError(t, err)
	welcome, err := client.Join(ctx, join.Request{Token: token, Machine: join.NewMachine()})
	require.NoError(t, err)
	require.NoError(t, h.tell(ctx, func(told *told) { told.Message = "Tea at four" }))
	r, err := client.Post(ctx, welcome.Token, join.Post{})
	require.NoError(t, err)
	assert.Equal(t, "Tea at four", r.Notices.Message)
}

func TestNoMachinesInAnotherClass(t *testing.T) {
	server := httptest.NewServer(newWorld(t).hub())
	defer server.Close()
	client, err := join.NewClient(server.URL, "")
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Join(t.Context(), join.Request{Code: "x", Name: "Ada", Machine: join.NewMachine()})
	assert.ErrorIs(t, err, join.ErrNoHub)
}
