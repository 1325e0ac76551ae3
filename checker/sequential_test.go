package checker

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

// simulate runs the test many times on answers shared out as given, and returns how
// often it accepted, how often it was undecided at the end, and the mean number of answers.
func simulate(seed uint64, want, is map[string]float64, runs int) (accepted, open, mean float64) {
	random := rand.New(rand.NewPCG(seed, 7))
	names := []string{"a", "b", "c"}
	sum := 0
	for range runs {
		t := newShareTest(want, 0.1)
		d := undecided
		for d == undecided && t.total < maxTraffic {
			x, kind := random.Float64(), names[len(names)-1]
			for _, n := range names {
				if x -= is[n]; x < 0 {
					kind = n
					break
				}
			}
			d = t.add(kind)
		}
		sum += t.total
		switch d {
		case asWanted:
			accepted++
		case undecided:
			open++
		}
	}
	return accepted / float64(runs), open / float64(runs), float64(sum) / float64(runs)
}

func TestShareTestKeepsItsErrorRates(t *testing.T) {
	const runs = 4000
	// What chance adds to a rate of 1 % in so many runs: three standard deviations.
	const most = errorRate + 0.0047
	for name, c := range map[string]struct {
		want, off []map[string]float64
		mean      [2]float64
	}{
		"half":    {[]map[string]float64{{"a": .5, "b": .5}}, []map[string]float64{{"a": .6, "b": .4}, {"a": .4, "b": .6}}, [2]float64{150, 500}},
		"nine":    {[]map[string]float64{{"a": .9, "b": .1}}, []map[string]float64{{"a": .8, "b": .2}, {"a": 1, "b": 0}}, [2]float64{60, 300}},
		"thirds":  {[]map[string]float64{{"a": .5, "b": .3, "c": .2}}, []map[string]float64{{"a": .6, "b": .2, "c": .2}, {"a": .5, "b": .2, "c": .3}}, [2]float64{150, 600}},
		"nothing": {[]map[string]float64{{"a": 1, "b": 0}}, []map[string]float64{{"a": .9, "b": .1}}, [2]float64{20, 120}},
	} {
		accepted, open, mean := simulate(1, c.want[0], c.want[0], runs)
		t.Logf("%s: as wanted: rejected %.2f %%, undecided %.2f %%, %.0f requests in the mean", name, 100*(1-accepted-open), 100*open, mean)
		assert.LessOrEqual(t, 1-accepted-open, most, name)
		assert.LessOrEqual(t, open, 0.002, name)
		assert.InDelta(t, (c.mean[0]+c.mean[1])/2, mean, (c.mean[1]-c.mean[0])/2, name)
		for i, off := range c.off {
			accepted, open, mean := simulate(uint64(i)+2, c.want[0], off, runs)
			t.Logf("%s: off as %v: accepted %.2f %%, undecided %.2f %%, %.0f requests in the mean", name, off, 100*accepted, 100*open, mean)
			assert.LessOrEqual(t, accepted, most, name)
			assert.LessOrEqual(t, open, 0.002, name)
		}
	}
}

func TestShareTestRefusesWhatNobodyWants(t *testing.T) {
	const runs = 1000
	for name, is := range map[string]map[string]float64{
		"in the place of one":  {"a": .7, "c": .3},
		"in the place of some": {"a": .7, "b": .2, "c": .1},
	} {
		accepted, open, mean := simulate(5, map[string]float64{"a": .7, "b": .3}, is, runs)
		t.Logf("%s: accepted %.2f %%, undecided %.2f %%, %.0f requests in the mean", name, 100*accepted, 100*open, mean)
		assert.LessOrEqual(t, accepted, errorRate+0.01, name)
		assert.LessOrEqual(t, open, 0.002, name)
	}
}

func TestWilson(t *testing.T) {
	low, high := wilson(50, 100)
	assert.InDelta(t, 0.375, low, 0.002)
	assert.InDelta(t, 0.625, high, 0.002)
	low, high = wilson(0, 0)
	assert.Equal(t, []float64{0, 1}, []float64{low, high})
	low, _ = wilson(0, 50)
	assert.Zero(t, low)
}
