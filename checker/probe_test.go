package checker

import (
	"bufio"
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestIdleProbeStreamEnds(t *testing.T) {
	lines, in := io.Pipe()
	out, answers := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	s := &probeStream{in: in, stop: stop, waiting: map[int]chan probed{}, used: time.Now()}
	s.idle = time.AfterFunc(time.Hour, s.rest)
	go s.read(out)
	go func() {
		for l := bufio.NewScanner(lines); l.Scan(); {
			_, _ = io.WriteString(answers, `{"id": 1, "output": "yes"}`+"\n")
		}
	}()
	s.rest()
	assert.True(t, s.open(), "it was used a moment ago")
	a, err := s.ask(t.Context(), probing{Args: []string{"get"}})
	require.NoError(t, err)
	assert.Equal(t, "yes", a.Output)

	s.used = time.Now().Add(-2 * probeIdle)
	s.waiting[7] = make(chan probed, 1)
	s.rest()
	assert.True(t, s.open(), "somebody waits for an answer")
	delete(s.waiting, 7)
	s.rest()
	assert.False(t, s.open())
	assert.Error(t, ctx.Err(), "the program in the probe has to end")
	_, err = s.ask(t.Context(), probing{Args: []string{"get"}})
	assert.ErrorIs(t, err, errIdle)
}
