package class

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
)

// An obstacle is what is in one attendee's way.
type obstacle struct {
	who    string
	check  string // labs.Key
	that   string
	text   string
	state  labs.State
	stuck  bool
	column int
}

// A cluster is a cause that several attendees have.
type cluster struct {
	Check  string
	That   string // what must be true
	Text   string // what is in the way: the words that all have; "…" for those that differ
	State  labs.State
	Who    []string
	Stuck  int // how many of them are slow
	Column int
}

const (
	alike     = 0.6 // share of the words that two causes have in common to be one
	mostWords = 80  // of a cause are looked at
	gap       = "…"
)

// clusters puts alike causes of one check together, those first that hold up most.
// The result does not depend on the order of the obstacles.
func clusters(stops []obstacle) []cluster {
	stops = slices.Clone(stops)
	slices.SortFunc(stops, func(a, b obstacle) int {
		return cmp.Or(strings.Compare(a.check, b.check), strings.Compare(string(a.state), string(b.state)),
			strings.Compare(a.text, b.text), strings.Compare(a.who, b.who))
	})
	type group struct {
		first, common []string // words of the first cause, and those that all have
		that          []string // of what must be true, the words that all have
		cluster
	}
	var groups []*group
	for _, s := range stops {
		words := wordsOf(s.text)
		var into *group
		for _, g := range groups {
			// Against the first one, not what is left of it: a chain of small
			// differences must not make one cluster of everything.
			if g.Check == s.check && g.State == s.state && similarity(g.first, words) >= alike {
				into = g
				break
			}
		}
		if into == nil {
			into = &group{words, words, wordsOf(s.that), cluster{Check: s.check, State: s.state, Column: s.column}}
			groups = append(groups, into)
		}
		into.common, into.that = merge(into.common, words), merge(into.that, wordsOf(s.that))
		into.Who = append(into.Who, s.who)
		if s.stuck {
			into.Stuck++
		}
	}
	out := make([]cluster, len(groups))
	for i, g := range groups {
		g.Text, g.That = textOf(g.common), textOf(g.that)
		out[i] = g.cluster
	}
	slices.SortStableFunc(out, func(a, b cluster) int {
		return cmp.Or(cmp.Compare(b.Stuck, a.Stuck), cmp.Compare(len(b.Who), len(a.Who)), cmp.Compare(a.Column, b.Column))
	})
	return out
}

// marks are a word of their own where they end one.
const marks = ",.;:"

// wordsOf are the words of a cause. A word that looks like a gap is none.
func wordsOf(text string) []string {
	var words []string
	for _, w := range strings.Fields(text) {
		bare := strings.TrimRight(w, marks)
		if bare != "" && bare != gap {
			words = append(words, bare)
		}
		words = append(words, strings.Split(w[len(bare):], "")...)
	}
	if len(words) > mostWords {
		words = append(words[:mostWords:mostWords], gap)
	}
	return words
}

// textOf is wordsOf backwards.
func textOf(words []string) string {
	var b strings.Builder
	for _, w := range words {
		if b.Len() > 0 && strings.Trim(w, marks) != "" {
			b.WriteByte(' ')
		}
		b.WriteString(w)
	}
	return b.String()
}

// similarity is the share of the words that two texts have in common, in order.
func similarity(a, b []string) float64 {
	if slices.Equal(a, b) {
		return 1
	}
	n := 0
	for _, w := range merge(a, b) {
		if w != gap {
			n++
		}
	}
	return float64(n) / float64(max(len(a), len(b)))
}

// merge is the longest series of words that a and b have in common, with a gap
// wherever one of them has others.
func merge(a, b []string) []string {
	// most[i][j] is how many words a[i:] and b[j:] have in common.
	most := make([][]int, len(a)+1)
	for i := range most {
		most[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] && a[i] != gap {
				most[i][j] = most[i+1][j+1] + 1
			} else {
				most[i][j] = max(most[i+1][j], most[i][j+1])
			}
		}
	}
	var out []string
	hole := func() {
		if len(out) == 0 || out[len(out)-1] != gap {
			out = append(out, gap)
		}
	}
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j] && a[i] != gap:
			out = append(out, a[i])
			i, j = i+1, j+1
		case most[i+1][j] >= most[i][j+1]:
			hole()
			i++
		default:
			hole()
			j++
		}
	}
	if i < len(a) || j < len(b) {
		hole()
	}
	return out
}
