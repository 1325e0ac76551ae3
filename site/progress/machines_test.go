package progress

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
)

// TestFullDisk lets the hub's file grow no further. What was not taken in whole was
// not taken in at all.
func TestFullDisk(t *testing.T) {
	ctx := t.Context()
	s := open(t, filepath.Join(t.TempDir(), "hub.db"))
	s.db.SetMaxOpenConns(1) // the limit is a connection's
	at := time.UnixMilli(1_800_000_000_000)
	require.NoError(t, s.PutMachine(ctx, Machine{ID: "m", Attendee: "ada", Token: []byte("x"), Joined: at, Seen: at}))
	event := func(seq int64, kind, check, text string) Event {
		return Event{Seq: seq, Kind: kind, Course: "docker", Verdict: labs.Verdict{Lab: "first", Check: check, State: labs.Passed, That: text, At: at}}
	}
	_, _, err := s.Deliver(ctx, "m", []Event{event(1, FirstPass, "runs", "")}, 1, at)
	require.NoError(t, err)

	_, err = s.db.Exec(`PRAGMA max_page_count = 1`) // as many as there are
	require.NoError(t, err)
	batch := []Event{event(2, FirstPass, "built", "")}
	for n := range 50 {
		batch = append(batch, event(int64(3+n), Latest, fmt.Sprintf("check-%d", n), strings.Repeat("x", 1000)))
	}
	_, _, err = s.Deliver(ctx, "m", batch, 52, at)
	require.ErrorContains(t, err, "the disk is full")
	p, err := s.Progress(ctx, "ada", "docker")
	require.NoError(t, err)
	assert.Equal(t, labs.Progress{"first/runs": at}, p, "what was acknowledged is there, and nothing of the rest")

	_, err = s.db.Exec(`PRAGMA max_page_count = 100000`)
	require.NoError(t, err)
	had, fresh, err := s.Deliver(ctx, "m", batch, 52, at)
	require.NoError(t, err)
	assert.Equal(t, int64(1), had)
	assert.Len(t, fresh, len(batch), "it comes again, and is taken in")
}

func TestRenumber(t *testing.T) {
	ctx := t.Context()
	s := open(t, filepath.Join(t.TempDir(), "progress.db"))
	for n, check := range []string{"a", "b", "c"} {
		_, err := s.Queue(ctx, "me", "docker", []labs.Verdict{{Lab: "first", Check: check, State: labs.Failing, At: time.UnixMilli(int64(n))}})
		require.NoError(t, err)
	}
	require.NoError(t, s.Acknowledged(ctx, 1))
	require.NoError(t, s.Renumber(ctx, 2)) // between those that wait
	events, err := s.Waiting(ctx, 10)
	require.NoError(t, err)
	var got []string
	for _, e := range events {
		got = append(got, fmt.Sprint(e.Seq, " ", e.Verdict.Check))
	}
	assert.Equal(t, []string{"4 b", "5 c"}, got, "the order stays, and no number is given twice")
	last, acknowledged, err := s.Numbered(ctx)
	require.NoError(t, err)
	assert.Equal(t, []int64{5, 1}, []int64{last, acknowledged})
}
