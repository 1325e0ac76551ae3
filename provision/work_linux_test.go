package provision

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHalfWritten lets a process of its own write a file that gets too large half-way.
func TestHalfWritten(t *testing.T) {
	const env, most = "PROVISION_TEST_HALF", 4096
	if dir := os.Getenv(env); dir != "" {
		signal.Ignore(syscall.SIGXFSZ)
		var usual syscall.Rlimit
		require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &usual))
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: most, Max: usual.Max}))
		defer func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &usual)) }()
		data := make([]byte, 2*most)
		require.ErrorIs(t, putFile(dir, "sub/a", data, 0o644), syscall.EFBIG)
		require.ErrorIs(t, WriteFile(dir+"/b", data), syscall.EFBIG)
		return
	}
	dir := t.TempDir()
	write(t, "as it was", dir, "b")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHalfWritten$")
	cmd.Env = append(os.Environ(), env+"="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Equal(t, []string{"b"}, tree(t, dir), "half a file would count as the learner's")
	assert.Equal(t, "as it was", read(t, dir, "b"))
}
