package checker

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// A shareTest decides from answers that come one after the other whether they are
// shared out as wanted. For each kind of answer two sequential probability ratio
// tests run, of the wanted share against one that is higher, and one that is lower,
// by within: A. Wald, "Sequential Tests of Statistical Hypotheses", Annals of
// Mathematical Statistics 16 (1945). The wanted shares are accepted when all tests
// accept them, and rejected when one rejects.
//
// True shares are rejected with a probability of at most errorRate, all tests
// together (each has its part of it: Bonferroni); shares of which one is off by
// within are accepted with at most the same.
type shareTest struct {
	want  map[string]float64 // shares, together 1
	tests []*ratioTest
	seen  map[string]int
	total int
}

// errorRate is the probability of either wrong verdict, in whole.
const errorRate = 0.01

// leastShare stands for a wanted share of nothing: one stray answer of thousands
// proves nothing.
const leastShare = 0.001

// A ratioTest is one of share p0 against p1.
type ratioTest struct {
	of                string  // the kind of answer; "" is each that is not wanted at all
	hit, miss         float64 // what an answer of this kind, and another one, adds to the ratio's logarithm
	ratio             float64
	accept, refuse    float64 // bounds of ratio
	accepted, refused bool
}

// A decision is what is known of the shares.
type decision int

const (
	undecided decision = iota
	asWanted
	otherwise
)

func newShareTest(want map[string]float64, within float64) *shareTest {
	t := &shareTest{want: want, seen: map[string]int{}}
	names := slices.Sorted(maps.Keys(want))
	if len(names) == 2 {
		names = names[:1] // the other one is what is left
	}
	for _, name := range names {
		for _, side := range []float64{within, -within} {
			p0 := min(max(want[name], leastShare), 1-leastShare)
			p1 := min(max(want[name]+side, leastShare), 1-leastShare)
			if p1 == p0 {
				continue // there is no more, or no less, than this
			}
			t.tests = append(t.tests, &ratioTest{of: name, hit: math.Log(p1 / p0), miss: math.Log((1 - p1) / (1 - p0))})
		}
	}
	// What is wanted of nothing must not pass for what is left: errors are no other version.
	t.tests = append(t.tests, &ratioTest{hit: math.Log(within / leastShare), miss: math.Log((1 - within) / (1 - leastShare))})
	each := errorRate / float64(len(t.tests))
	for _, r := range t.tests {
		// These bounds are a little wider than Wald's own, and hold without his approximation.
		r.refuse, r.accept = math.Log(1/each), math.Log(errorRate)
	}
	return t
}

// add takes in an answer and says what is known now.
func (t *shareTest) add(kind string) decision {
	t.seen[kind]++
	t.total++
	of, all := kind, true
	if _, wanted := t.want[kind]; !wanted {
		of = ""
	}
	for _, r := range t.tests {
		if r.accepted {
			continue
		}
		if of == r.of {
			r.ratio += r.hit
		} else {
			r.ratio += r.miss
		}
		switch {
		case r.ratio >= r.refuse:
			return otherwise
		case r.ratio <= r.accept:
			r.accepted = true
		default:
			all = false
		}
	}
	if all {
		return asWanted
	}
	return undecided
}

// String says the shares with their intervals, and of how many answers.
func (t *shareTest) String() string {
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(t.seen)) {
		low, high := wilson(t.seen[kind], t.total)
		out = append(out, fmt.Sprintf("%s %.0f %% (%.0f–%.0f)", clip(kind, 40), 100*float64(t.seen[kind])/float64(t.total), 100*low, 100*high))
	}
	return fmt.Sprintf("%s of %d requests", strings.Join(out, ", "), t.total)
}

// wilson is the score interval, at 99 %, of a share that was seen n of total times:
// E. B. Wilson, Journal of the American Statistical Association 22 (1927).
func wilson(n, total int) (low, high float64) {
	if total == 0 {
		return 0, 1
	}
	const z = 2.5758293035489004 // the normal distribution's quantile at 99.5 %
	p, m := float64(n)/float64(total), float64(total)
	middle := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return max(0, middle-half), min(1, middle+half)
}
