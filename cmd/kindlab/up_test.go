package main

import (
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
)

func TestDrawValue(t *testing.T) {
	port := labs.ValueSpec{Port: []int{8100, 8103}}
	want := drawValue(port, "seed", "port", func(int) bool { return true })
	asked := []int{}
	got := drawValue(port, "seed", "port", func(p int) bool { asked = append(asked, p); return len(asked) == 3 })
	assert.Len(t, asked, 3)
	assert.NotEqual(t, want, got, "a port that is taken is stepped over")
	assert.Equal(t, want, drawValue(port, "seed", "port", func(int) bool { return false }), "with none free, the first: its check says what is wrong")

	word := labs.ValueSpec{OneOf: []string{"teal"}}
	assert.Equal(t, "teal", drawValue(word, "seed", "colour", func(int) bool { t.Fatal("a word is no port"); return false }))
}
