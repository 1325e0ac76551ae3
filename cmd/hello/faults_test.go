package main

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseRate(t *testing.T) {
	for s, want := range map[string]rate{"": {}, "0": {}, "0/1": {0, 1}, "2/5": {2, 5}, "1/1": {1, 1}} {
		got, err := parseRate(s)
		require.NoError(t, err, s)
		assert.Equal(t, want, got, s)
	}
	for _, s := range []string{"1", "/", "1/", "/2", "a/b", "1/0", "0/0", "-1/2", "1/-2", "3/2", "1/2/3", "1/1000001", " 1/2"} {
		_, err := parseRate(s)
		assert.Error(t, err, s)
	}
}

func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"", "0", "2/5", "5/5", "6/5", "-1/2", "1/0", "99999999999999999999/1", "1/2/3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseRate(s)
		if err != nil {
			assert.Zero(t, r)
			return
		}
		of := int64(max(r.of, 1))
		if of <= 1000 {
			failed := 0
			for n := range of {
				if r.hits(n + of) {
					failed++
				}
			}
			assert.Equal(t, r.fail, failed, "exactly so many of each so many fail")
		}
		again, err := parseRate(r.String())
		require.NoError(t, err)
		assert.Equal(t, r.fail, again.fail)
	})
}

func TestFaultsFollowACounter(t *testing.T) {
	f := faults{rate: rate{2, 5}, status: 503}
	var got []int
	for range 10 {
		got = append(got, f.next())
	}
	assert.Equal(t, []int{503, 503, 0, 0, 0, 503, 503, 0, 0, 0}, got)

	f.next()
	f.set(rate{1, 2}, 0)
	assert.Equal(t, []int{503, 0, 503}, []int{f.next(), f.next(), f.next()}, "a new rate counts anew")
	f.set(rate{}, 0)
	assert.Zero(t, f.next())
}

func TestCountersAreBounded(t *testing.T) {
	var c counters
	assert.EqualValues(t, 0, c.next("first"))
	assert.EqualValues(t, 1, c.next("first"))
	for i := range maxKeys {
		assert.EqualValues(t, 0, c.next(strconv.Itoa(i)))
	}
	assert.Len(t, c.count, maxKeys)
	assert.EqualValues(t, 1, c.next(strconv.Itoa(maxKeys-1)))
	assert.EqualValues(t, 0, c.next("first"), "the oldest made room")
	assert.Len(t, c.count, maxKeys)
}
