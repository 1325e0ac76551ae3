package progress

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func TestRemembers(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "new folder", "what? #1 100%.db")
	s := open(t, path)

	v, err := s.Values(ctx, "me", "docker", "first")
	require.NoError(t, err)
	assert.Empty(t, v)
	v, err = s.PutValues(ctx, "me", "docker", "first", labs.Values{"port": "8081"})
	require.NoError(t, err)
	assert.Equal(t, labs.Values{"port": "8081"}, v)
	v, err = s.PutValues(ctx, "me", "docker", "first", labs.Values{"port": "9999", "colour": "plum"})
	require.NoError(t, err)
	assert.Equal(t, labs.Values{"port": "8081", "colour": "plum"}, v, "a drawn value stays, a new one joins it")

	at := time.UnixMilli(1_800_000_000_123)
	require.NoError(t, s.Pass(ctx, "me", "docker", "first", "runs", at))
	require.NoError(t, s.Pass(ctx, "me", "docker", "first", "runs", at.Add(time.Hour)))
	require.NoError(t, s.Pass(ctx, "me", "docker", "second", "built", at))
	require.NoError(t, s.Pass(ctx, "you", "docker", "first", "runs", at))
	require.NoError(t, s.Hint(ctx, "me", "docker", "first", "runs", at))
	require.NoError(t, s.SetSetting(ctx, "course", "docker"))
	require.NoError(t, s.SetSetting(ctx, "course", "kubernetes"))

	again := open(t, path)
	p, err := again.Progress(ctx, "me", "docker")
	require.NoError(t, err)
	assert.Equal(t, labs.Progress{"first/runs": at, "second/built": at}, p)
	h, err := again.Hints(ctx, "me", "docker")
	require.NoError(t, err)
	assert.Equal(t, map[string]time.Time{"first/runs": at}, h)
	course, err := again.Setting(ctx, "course")
	require.NoError(t, err)
	assert.Equal(t, "kubernetes", course)
	none, err := again.Setting(ctx, "other")
	require.NoError(t, err)
	assert.Empty(t, none)

	require.NoError(t, again.Reset(ctx, "me", "docker", "first"))
	p, err = s.Progress(ctx, "me", "docker")
	require.NoError(t, err)
	assert.Equal(t, labs.Progress{"second/built": at}, p)
	h, err = s.Hints(ctx, "me", "docker")
	require.NoError(t, err)
	assert.Empty(t, h)
	v, err = s.Values(ctx, "me", "docker", "first")
	require.NoError(t, err)
	assert.Len(t, v, 2, "a reset lab keeps its values")
	p, err = s.Progress(ctx, "you", "docker")
	require.NoError(t, err)
	assert.Len(t, p, 1, "a reset is one attendee's")
}

func TestRefuses(t *testing.T) {
	ctx := t.Context()
	t.Run("a file of a newer kindlab", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "progress.db")
		s := open(t, path)
		_, err := s.db.Exec(`PRAGMA user_version = 99`)
		require.NoError(t, err)
		_, err = Open(path)
		require.ErrorIs(t, err, ErrNewer)
		assert.ErrorContains(t, err, path)
		assert.ErrorContains(t, err, "format 99")
	})
	t.Run("something else", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "progress.db")
		require.NoError(t, os.WriteFile(path, []byte("a shopping list, long enough to be taken for a header: milk, bread, salt"), 0o600))
		_, err := Open(path)
		assert.ErrorContains(t, err, "is no progress file")
	})
	t.Run("a folder", func(t *testing.T) {
		_, err := Open(t.TempDir())
		assert.ErrorContains(t, err, "cannot be opened")
	})
	for _, c := range []struct{ name, pragma, want string }{
		{"a full disk", `PRAGMA max_page_count = 1`, "the disk is full"},
		{"a read-only file", `PRAGMA query_only = 1`, "may not be written"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, filepath.Join(t.TempDir(), "progress.db"))
			s.db.SetMaxOpenConns(1) // the pragma is the connection's
			_, err := s.db.Exec(c.pragma)
			require.NoError(t, err)
			for i := range 200 {
				if err = s.Pass(ctx, "me", "c", "lab", fmt.Sprintf("%d-%0900d", i, 0), time.Now()); err != nil {
					break
				}
			}
			assert.ErrorContains(t, err, c.want)
		})
	}
}

// write passes n checks and draws a value, as one of several writers would.
func write(ctx context.Context, path, who string, n int) error {
	s, err := Open(path)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.PutValues(ctx, "me", "c", "lab", labs.Values{"port": who}); err != nil {
		return err
	}
	for i := range n {
		if err := s.Pass(ctx, "me", "c", "lab", fmt.Sprintf("%s-%d", who, i), time.Now()); err != nil {
			return err
		}
		if _, err := s.Progress(ctx, "me", "c"); err != nil {
			return err
		}
	}
	return nil
}

// TestSeveralAtOnce has handles and whole processes open a new file and write to it together.
func TestSeveralAtOnce(t *testing.T) {
	const writers, each, env = 3, 20, "PROGRESS_TEST_WRITER"
	if path := os.Getenv(env); path != "" {
		require.NoError(t, write(t.Context(), path, fmt.Sprint("process", os.Getpid()), each))
		return
	}
	path := filepath.Join(t.TempDir(), "progress.db")
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() { assert.NoError(t, write(t.Context(), path, fmt.Sprint("handle", i), each)) })
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSeveralAtOnce$")
			cmd.Env = append(os.Environ(), env+"="+path)
			out, err := cmd.CombinedOutput()
			assert.NoError(t, err, string(out))
		})
	}
	wg.Wait()
	s := open(t, path)
	p, err := s.Progress(t.Context(), "me", "c")
	require.NoError(t, err)
	assert.Len(t, p, 2*writers*each)
	v, err := s.Values(t.Context(), "me", "c", "lab")
	require.NoError(t, err)
	assert.Len(t, v, 1)
}

func TestTheLastAnswerCounts(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "progress.db")
	s := open(t, path)
	answered := func(attendee, lab string) string {
		v, err := s.Answered(ctx, attendee, "docker", lab, "signal")
		require.NoError(t, err)
		return v
	}
	assert.Empty(t, answered("me", "first"))
	require.NoError(t, s.Answer(ctx, "me", "docker", "first", "signal", "SIGKILL"))
	require.NoError(t, s.Answer(ctx, "me", "docker", "first", "signal", "'; DROP TABLE answers; --"))
	require.NoError(t, s.Answer(ctx, "you", "docker", "first", "signal", "SIGTERM"))
	require.NoError(t, s.Answer(ctx, "me", "docker", "second", "signal", "SIGHUP"))
	s = open(t, path)
	assert.Equal(t, "'; DROP TABLE answers; --", answered("me", "first"))
	require.NoError(t, s.Reset(ctx, "me", "docker", "first"))
	assert.Empty(t, answered("me", "first"))
	assert.Equal(t, "SIGTERM", answered("you", "first"))
	assert.Equal(t, "SIGHUP", answered("me", "second"))
}

func TestMembers(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "progress.db")
	s := open(t, path)
	at := time.UnixMilli(1_800_000_000_123)
	require.NoError(t, s.ChangeMember(ctx, "grace", func(m *Member) error {
		m.Name, m.Instructor, m.Token = "Grace", true, []byte{1, 0, 2}
		return nil
	}))
	require.NoError(t, s.ChangeMember(ctx, "ada", func(m *Member) error { m.Name = "Ada"; return nil }))
	require.NoError(t, s.ChangeMember(ctx, "ada", func(m *Member) error {
		assert.Equal(t, "Ada", m.Name)
		assert.True(t, m.Entered.IsZero())
		assert.Nil(t, m.Token)
		m.Entered, m.Generation = at, m.Generation+1
		return nil
	}))
	no := errors.New("no")
	require.ErrorIs(t, s.ChangeMember(ctx, "ada", func(m *Member) error { m.Name = "Eve"; return no }), no)

	all, err := open(t, path).Members(ctx)
	require.NoError(t, err)
	assert.Equal(t, []Member{
		{Person: labs.Person{ID: "grace", Name: "Grace"}, Instructor: true, Token: []byte{1, 0, 2}},
		{Person: labs.Person{ID: "ada", Name: "Ada"}, Generation: 1, Entered: at},
	}, all)
}
