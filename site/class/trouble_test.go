package class

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTrouble: what is wrong with the hub stands on the board, until it is well again.
func TestTrouble(t *testing.T) {
	w := newWorld(t)
	trouble := "the disk is full <b>"
	config := w.config()
	config.Trouble = func() string { return trouble }
	h, err := New(config)
	require.NoError(t, err)
	defer h.Close()
	grace := w.visit(h, "grace", true)
	h.lookForTrouble()
	assert.Contains(t, grace.do("GET", "/board/").Body.String(), "Nothing new can be kept: the disk is full &lt;b&gt;.")
	trouble = ""
	h.lookForTrouble()
	assert.NotContains(t, grace.do("GET", "/board/").Body.String(), "Nothing new")
}
