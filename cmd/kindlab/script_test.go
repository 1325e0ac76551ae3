//go:build unix

package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
)

// inFolder is a runner whose lab's work folder is there.
func inFolder(t *testing.T) (r *runner, folder string) {
	r = &runner{place: &provision.Environment{Work: t.TempDir()}, course: "course", lab: &labs.Lab{ID: "lab"}, env: append(os.Environ(), "COLOUR=teal")}
	folder = r.place.LabFolder("course", "lab")
	require.NoError(t, os.MkdirAll(folder, 0o755))
	return r, folder
}

func TestOutputOfAScript(t *testing.T) {
	r, folder := inFolder(t)
	out, code, err := r.output(t.Context(), `pwd; echo "$COLOUR" >&2; exit 3`)
	require.NoError(t, err, "how it ended is no error")
	assert.Equal(t, 3, code)
	assert.Equal(t, folder+"\nteal\n", out)

	out, _, err = r.output(t.Context(), `yes words | head -c 1000000; echo; echo the end`)
	require.NoError(t, err)
	assert.True(t, strings.HasSuffix(out, "\nthe end\n"))
	assert.LessOrEqual(t, len(out), 64<<10, "only the end is kept")
}

func TestSecondTry(t *testing.T) {
	t.Parallel() // it waits
	for name, c := range map[string]struct {
		text, want string
		fails      bool
		again      int
	}{
		"works at once":         {text: "true"},
		"works the second time": {text: `mkdir once && { echo not ready; exit 1; } || true`, again: 1},
		"never works":           {text: `mkdir once || exit 4; exit 3`, want: "exit status 3"},
		"fails only then":       {text: `mkdir once`, fails: true, again: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := inFolder(t)
			var told []error
			r.again = func(err error) { told = append(told, err) }
			block := labs.Block{BlockInfo: labs.BlockInfo{Kind: labs.Command, Fails: c.fails}, Text: c.text, Line: 7}
			err := r.tried(t.Context(), block)
			if c.want == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, c.want, "how it failed at first")
			}
			require.Len(t, told, c.again)
			for _, err := range told {
				assert.ErrorContains(t, err, ":7: ", "where on the page")
			}
			r.again = nil
			if c.again > 0 && !c.fails {
				r, _ = inFolder(t)
				assert.Error(t, r.tried(t.Context(), block), "only a proof tries again")
			}
		})
	}
}

func TestCutOffScriptLeavesNothingRunning(t *testing.T) {
	r, folder := inFolder(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	file := filepath.Join(folder, "pid")
	pid := 0
	go func() {
		defer cancel()
		for pid == 0 && t.Context().Err() == nil {
			data, _ := os.ReadFile(file)
			if text, whole := strings.CutSuffix(string(data), "\n"); whole {
				pid, _ = strconv.Atoi(text)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	_, _, err := r.output(ctx, `sleep 300 & echo $! > pid; wait`)
	require.ErrorIs(t, err, context.Canceled)
	require.NotZero(t, pid)
	assert.Eventually(t, func() bool {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return syscall.Kill(pid, 0) == syscall.ESRCH || err == nil && strings.Contains(string(stat), ") Z ")
	}, 10*time.Second, 10*time.Millisecond, "what it had started has ended")
}
