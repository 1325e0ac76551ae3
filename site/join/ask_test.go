package join

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

// askedUntil has a machine say that it is there until the hub has an answer to what it asks.
func askedUntil(t *testing.T, c *classroom, l *laptop) (check string, got progress.Confirmation) {
	t.Helper()
	for range 1000 {
		c.clock.forward(Beat)
		l.sender.Once(t.Context())
		l.sender.work.Wait()
		all, err := c.store.Confirmations(t.Context(), "ada", "tiny")
		require.NoError(t, err)
		for key, got := range all {
			return key, got
		}
	}
	t.Fatal("the hub never asked")
	return "", got
}

func TestAskedAgain(t *testing.T) {
	failing := labs.Verdict{State: labs.Failing, Findings: []labs.Finding{{Because: "it is gone"}}}
	for name, tc := range map[string]struct {
		look      func() (labs.Verdict, error)
		confirmed bool
		why       string
	}{
		"still so":            {func() (labs.Verdict, error) { return labs.Verdict{State: labs.Passed}, nil }, true, ""},
		"not any more":        {func() (labs.Verdict, error) { return failing, nil }, false, "it is failing: because it is gone"},
		"cannot be looked at": {func() (labs.Verdict, error) { return labs.Verdict{}, errors.New("Docker does not answer") }, false, "it could not be looked at: Docker does not answer"},
		"not at once": {func() func() (labs.Verdict, error) {
			n := 0
			return func() (labs.Verdict, error) {
				if n++; n < 3 {
					return labs.Verdict{State: labs.Unknown}, nil
				}
				return labs.Verdict{State: labs.Passed}, nil
			}
		}(), true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClassroom(t)
			l := c.laptop("Ada", c.clock)
			l.look = func(lab, check string) (labs.Verdict, error) {
				assert.Equal(t, "one/bb", labs.Key(lab, check), "a passed check of the newest lab for which one time is not enough")
				return tc.look()
			}
			l.see("two", "ee", labs.Passed, "")
			c.clock.forward(time.Minute)
			l.see("one", "dd", labs.Passed, "") // holds once
			l.see("one", "bb", labs.Passed, "")
			l.see("one", "aa", labs.Failing, "x")
			l.send()
			key, got := askedUntil(t, c, l)
			assert.Equal(t, "one/bb", key)
			assert.Equal(t, tc.confirmed, got.Confirmed)
			assert.Equal(t, tc.why, got.Why)
			assert.True(t, got.At.After(noon))
			assert.Len(t, c.progress("ada"), 3, "what was reached stays reached")
		})
	}
}

// silence is a machine that hears the question and says nothing, for a number of
// posts that many apart, or says that it looks.
func TestMachineThatDoesNotAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		apart   time.Duration
		looking bool
		posts   int
	}{
		"silent":                 {Beat, false, 3},
		"posts that follow fast": {Beat / 5, false, 12},
		"looks for ever":         {Beat, true, 20},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClassroom(t)
			l := c.laptop("Ada", c.clock)
			l.see("one", "bb", labs.Passed, "")
			l.send()
			var asks []Ask
			for range 1000 {
				c.clock.forward(Beat)
				r, err := l.sender.client.Post(t.Context(), l.place.Token, Post{})
				require.NoError(t, err)
				if asks = r.Ask; len(asks) > 0 {
					break
				}
			}
			require.Len(t, asks, 1)
			posts := 0
			for len(asks) > 0 {
				c.clock.forward(tc.apart)
				p := Post{}
				if tc.looking {
					p.Looking = []string{asks[0].Nonce}
				}
				r, err := l.sender.client.Post(t.Context(), l.place.Token, p)
				require.NoError(t, err)
				if posts++; len(r.Ask) > 0 {
					assert.Equal(t, asks, r.Ask, "it asks the same until then")
				}
				asks = r.Ask
			}
			assert.Equal(t, tc.posts, posts)
			all, err := c.store.Confirmations(t.Context(), "ada", "tiny")
			require.NoError(t, err)
			assert.Equal(t, "the machine did not answer", all["one/bb"].Why)
		})
	}
}

func TestMachineThatIsAwayIsNotBlamed(t *testing.T) {
	c := newClassroom(t)
	l := c.laptop("Ada", c.clock)
	l.see("one", "bb", labs.Passed, "")
	l.send()
	l.look = func(lab, check string) (labs.Verdict, error) {
		c.down.Store(true) // the network goes away while it looks
		return labs.Verdict{State: labs.Passed}, nil
	}
	for range 1000 {
		c.clock.forward(Beat)
		l.sender.Once(t.Context())
		l.sender.work.Wait()
		if c.down.Load() {
			break
		}
	}
	for range 100 {
		c.clock.forward(time.Minute)
		l.sender.Once(t.Context())
	}
	all, err := c.store.Confirmations(t.Context(), "ada", "tiny")
	require.NoError(t, err)
	assert.Empty(t, all)
	c.down.Store(false)
	_, got := askedUntil(t, c, l)
	assert.True(t, got.Confirmed)
}

func TestAskable(t *testing.T) {
	c := course(t)
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	for name, tc := range map[string]struct {
		reached labs.Progress
		want    []string
	}{
		"nothing":                  {labs.Progress{}, nil},
		"only once":                {labs.Progress{"one/dd": at(1)}, nil},
		"the newest lab":           {labs.Progress{"one/aa": at(1), "one/bb": at(2), "two/ee": at(3)}, []string{"ee"}},
		"back in an earlier one":   {labs.Progress{"one/aa": at(1), "one/bb": at(4), "two/ee": at(3)}, []string{"aa", "bb"}},
		"of another course's past": {labs.Progress{"gone/aa": at(9), "one/cc": at(1), "one/gone": at(2)}, []string{"cc"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, got := askable(c, tc.reached)
			slices.Sort(got)
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestReady(t *testing.T) {
	c := newClassroom(t)
	ok, detail := c.desk.Ready("ada")
	assert.False(t, ok)
	assert.Equal(t, "no machine has joined yet", detail)
	l := c.laptop("Ada", c.clock)
	ok, detail = c.desk.Ready("ada")
	assert.True(t, ok)
	assert.Equal(t, "kindlab v1 on linux/amd64", detail)
	c.clock.forward(20 * time.Minute)
	ok, detail = c.desk.Ready("ada")
	assert.False(t, ok)
	assert.Equal(t, "not heard of for 20 min (kindlab v1 on linux/amd64)", detail)
	l.send()
	ok, _ = c.desk.Ready("ada")
	assert.True(t, ok)
}
