package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestKeeper: what passes while nothing can be recorded is recorded later, also when
// it fails by then, unless the lab was begun again.
func TestKeeper(t *testing.T) {
	store, err := progress.Open(filepath.Join(t.TempDir(), "progress.db"))
	require.NoError(t, err)
	defer store.Close()
	var log bytes.Buffer
	k := newKeeper(store, slog.New(slog.NewTextHandler(&log, nil)))
	full := true
	record := func(attendee string) func(ctx context.Context, vs []labs.Verdict) error {
		return func(ctx context.Context, vs []labs.Verdict) error {
			for _, v := range vs {
				if full {
					return errors.New("the disk is full")
				}
				if v.State == labs.Passed {
					if err := store.Pass(ctx, attendee, "course", v.Lab, v.Check, v.At); err != nil {
						return err
					}
				}
			}
			return nil
		}
	}
	say := func(attendee, lab string, a, b labs.State) {
		k.keep(t.Context(), placeOf{attendee, "course", lab}, []labs.Verdict{{Lab: lab, Check: "a", State: a}, {Lab: lab, Check: "b", State: b}}, record(attendee))
	}
	reached := func(attendee string) (keys []string) {
		p, err := store.Progress(t.Context(), attendee, "course")
		require.NoError(t, err)
		for key := range p {
			keys = append(keys, key)
		}
		return keys
	}
	assert.Empty(t, k.trouble())
	say("ada", "one", labs.Passed, labs.Failing)
	say("ada", "one", labs.Failing, labs.Passed)
	say("ada", "two", labs.Passed, labs.Passed)
	say("ben", "one", labs.Failing, labs.Failing)
	k.forget(placeOf{"ada", "course", "two"})
	assert.Equal(t, "the disk is full", k.trouble())
	k.again(t.Context(), true)
	assert.Equal(t, "the disk is full", k.trouble())

	full = false
	k.again(t.Context(), true)
	assert.Empty(t, k.trouble())
	assert.ElementsMatch(t, []string{"one/a", "one/b"}, reached("ada"))
	assert.Empty(t, reached("ben"))
	assert.Empty(t, k.due)
	assert.Equal(t, 1, bytes.Count(log.Bytes(), []byte("level=ERROR")), "it is said once: %s", &log)
}

// TestNews: what passed is recorded once, and once more when it failed in between.
func TestNews(t *testing.T) {
	passed := map[string]bool{}
	for _, step := range []struct {
		a, b labs.State
		want string
	}{
		{labs.Failing, labs.Passed, "ab"}, {labs.Passed, labs.Passed, "a"}, {labs.Passed, labs.Failing, "b"},
		{labs.Failing, labs.Unknown, "ab"}, {labs.Passed, labs.Passed, "ab"}, {labs.Passed, labs.Passed, ""},
	} {
		got := ""
		for _, v := range news([]labs.Verdict{{Check: "a", State: step.a}, {Check: "b", State: step.b}}, passed) {
			got += v.Check
		}
		assert.Equal(t, step.want, got, "%v", step)
	}
}
