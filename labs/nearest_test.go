package labs

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"hello", "hello", 0}, {"helo", "hello", 1}, {"hello", "hallo", 1},
		{"hlelo", "hello", 1}, {"ab", "ba", 1}, {"ca", "abc", 3}, {"kitten", "sitting", 3}, {"größe", "grösse", 2}, {"Hello", "hello", 1},
	} {
		assert.Equal(t, c.want, Distance(c.a, c.b), "%s %s", c.a, c.b)
		assert.Equal(t, c.want, Distance(c.b, c.a), "%s %s", c.b, c.a)
	}
}

func TestNearest(t *testing.T) {
	for _, c := range []struct {
		word string
		of   []string
		want string
	}{
		{"helo", []string{"world", "hello"}, "hello"},
		{"hello", []string{"hello"}, ""},
		{"hello", []string{"hello", "hallo"}, "hallo"},
		{"hello", []string{"help", "hell"}, "hell"},
		{"web", []string{"wed", "wet"}, "wed"},
		{"web", []string{"database"}, ""},
		{"web", []string{"xyz"}, ""},
		{"frontend", []string{"fornt-end", "backend"}, "fornt-end"},
		{"frontend", []string{"backend"}, ""},
		{"x", []string{"y"}, "y"},
		{"", []string{"a", "ab"}, "a"},
		{"hello", nil, ""},
	} {
		assert.Equal(t, c.want, Nearest(c.word, c.of), "%s in %v", c.word, c.of)
	}
}
