package main

import (
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
)

func TestHostNames(t *testing.T) {
	assert.Empty(t, hostNames("127.0.0.1"), "the loopback needs no names")
	assert.Contains(t, hostNames("192.0.2.7"), "192.0.2.7")
	assert.NotContains(t, hostNames("192.0.2.7"), "127.0.0.1", "only the address that is listened on")
	assert.Contains(t, hostNames("0.0.0.0"), "127.0.0.1", "every address of this machine")
}

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
