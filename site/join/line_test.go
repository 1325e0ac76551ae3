package join

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

var checks = []string{"one/aa", "one/bb", "one/cc", "one/dd", "two/ee"}

func TestAnHourWithoutNetwork(t *testing.T) {
	c := newClassroom(t)
	l := c.laptop("Ada", c.clock)
	l.see("one", "aa", labs.Failing, "nothing is there")
	l.send()
	assert.Equal(t, map[string]labs.State{"one/aa": labs.Failing}, c.states("ada"))
	c.forget()

	c.down.Store(true)
	draw := rand.New(rand.NewPCG(1, 2))
	last := map[string]labs.State{"one/aa": labs.Failing}
	tries, changes := c.requests.Load(), 0
	var next time.Time
	for end := c.clock.now().Add(time.Hour); c.clock.now().Before(end); c.clock.forward(time.Second) {
		key := checks[draw.IntN(len(checks))]
		lab, check := labs.SplitKey(key)
		last[key] = []labs.State{labs.Failing, labs.Passed, labs.Blocked, labs.Unknown}[draw.IntN(4)]
		l.see(lab, check, last[key], fmt.Sprintf("it is %d", changes))
		changes++
		if !c.clock.now().Before(next) {
			next = c.clock.now().Add(l.sender.Once(t.Context()))
		}
	}
	assert.LessOrEqual(t, l.waiting(), 2*len(checks), "%d changes do not make it grow", changes)
	assert.Less(t, c.requests.Load()-tries, int64(130), "it does not try all the time")
	assert.Len(t, l.said, 1, "and it says so once: %v", l.said)
	reached := l.progress()
	require.Len(t, reached, len(checks))

	c.down.Store(false)
	c.clock.forward(time.Minute)
	l.send()
	assert.Equal(t, reached, c.progress("ada"), "every first pass, at its time")
	assert.Equal(t, last, c.states("ada"), "the latest of each")
	assert.Contains(t, l.said[1], "there again")

	seqs, passes := int64(0), map[string]int{}
	for _, e := range c.kept() {
		assert.Greater(t, e.Seq, seqs, "in order")
		seqs = e.Seq
		passes[e.Kind+labs.Key(e.Verdict.Lab, e.Verdict.Check)]++
	}
	for what, n := range passes {
		assert.Equal(t, 1, n, "%s came once", what)
	}
	assert.Len(t, passes, 2*len(checks))
}

func TestKilledBeforeTheAnswerCame(t *testing.T) {
	c := newClassroom(t)
	l := c.laptop("Ada", c.clock)
	l.see("one", "aa", labs.Passed, "")
	l.see("one", "bb", labs.Failing, "first")
	at := c.clock.now()

	c.deaf.Store(true) // the hub takes it in, and the machine never hears of it
	l.sender.Once(t.Context())
	assert.Equal(t, 3, l.waiting())
	assert.Equal(t, labs.Progress{"one/aa": at}, c.progress("ada"))
	news := len(c.heard())

	c.deaf.Store(false)
	l.restart()
	c.clock.forward(time.Minute)
	l.see("one", "bb", labs.Failing, "second") // one of them is replaced in the meantime
	l.send()
	assert.Equal(t, labs.Progress{"one/aa": at}, c.progress("ada"))
	vs, err := c.desk.Known(t.Context(), "ada", "one")
	require.NoError(t, err)
	require.Len(t, vs, 2)
	assert.Equal(t, "second", vs[1].Findings[0].Because)
	assert.Len(t, c.kept(), 4, "what came twice is taken in once")
	assert.Len(t, c.heard(), news+2, "and what is no news is not told: one telling of the lab's two")
}

func TestHubIsStartedAgain(t *testing.T) {
	c := newClassroom(t)
	l := c.laptop("Ada", c.clock)
	l.see("one", "aa", labs.Passed, "")
	l.see("one", "bb", labs.Failing, "this")
	l.send()
	c.forget()
	c.restart()
	require.Len(t, c.heard(), 2, "what was known is told again at the start")
	assert.Equal(t, "this", c.heard()[1].Findings[0].Because)
	l.see("one", "bb", labs.Passed, "")
	l.send()
	assert.Len(t, c.progress("ada"), 2, "the machine's token holds")
}

// Copies of the files are what a backup, or a machine that is set back, has.
func TestSetBack(t *testing.T) {
	backup := func(t *testing.T, from, to string) {
		for _, end := range []string{"", "-wal", "-shm"} {
			in, err := os.Open(from + end)
			if os.IsNotExist(err) {
				_ = os.Remove(to + end)
				continue
			}
			require.NoError(t, err)
			out, err := os.Create(to + end)
			require.NoError(t, err)
			_, err = io.Copy(out, in)
			require.NoError(t, err)
			require.NoError(t, in.Close())
			require.NoError(t, out.Close())
		}
	}
	t.Run("the hub", func(t *testing.T) {
		c := newClassroom(t)
		l := c.laptop("Ada", c.clock)
		l.see("one", "aa", labs.Passed, "")
		l.send()
		require.NoError(t, c.store.Close())
		backup(t, c.file, c.file+".old")
		c.open()
		l.see("one", "bb", labs.Passed, "")
		l.see("one", "cc", labs.Passed, "")
		l.send()
		want := c.progress("ada")
		require.NoError(t, c.store.Close())
		backup(t, c.file+".old", c.file)
		c.open()
		require.Len(t, c.progress("ada"), 1)
		l.send() // a beat is enough
		l.send()
		assert.Equal(t, want, c.progress("ada"), "what it had acknowledged and lost comes again")
	})
	t.Run("the machine", func(t *testing.T) {
		c := newClassroom(t)
		l := c.laptop("Ada", c.clock)
		l.see("one", "aa", labs.Passed, "")
		l.send()
		require.NoError(t, l.store.Close())
		backup(t, l.file, l.file+".old")
		l.open()
		for n := range 10 {
			l.see("one", "bb", labs.Failing, fmt.Sprint(n))
			l.send()
		}
		require.NoError(t, l.store.Close())
		backup(t, l.file+".old", l.file)
		l.open()
		l.see("one", "bb", labs.Passed, "") // under a number that the hub has seen
		l.see("two", "ee", labs.Failing, "new")
		l.send()
		assert.Equal(t, map[string]labs.State{"one/aa": labs.Passed, "one/bb": labs.Passed, "two/ee": labs.Failing}, c.states("ada"))
		assert.Len(t, c.progress("ada"), 2)
	})
}

func TestWrongClock(t *testing.T) {
	for _, wrong := range []time.Duration{3 * time.Hour, -3 * time.Hour, 50 * 365 * 24 * time.Hour} {
		t.Run(wrong.String(), func(t *testing.T) {
			c := newClassroom(t)
			own := newClock(noon.Add(wrong))
			l := c.laptop("Ada", own)
			both := func(d time.Duration) { own.forward(d); c.clock.forward(d) }
			c.down.Store(true)
			passed := c.clock.now()
			l.see("one", "aa", labs.Passed, "")
			both(40 * time.Minute)
			l.sender.Once(t.Context())
			c.down.Store(false)
			both(time.Minute)
			l.send()
			assert.WithinDuration(t, passed, c.progress("ada")["one/aa"], 2*time.Second)

			c.tell(Notices{Message: "Tea", Until: c.clock.now().Add(10 * time.Minute)})
			l.send()
			got := l.told[len(l.told)-1]
			assert.Equal(t, "Tea", got.Message)
			assert.WithinDuration(t, own.now().Add(10*time.Minute), got.Until, 2*time.Second, "a countdown ends by this machine's clock")
		})
	}
}

func TestCorrect(t *testing.T) {
	now := noon
	for name, tc := range map[string]struct{ at, sent, want time.Duration }{
		"right clock":              {-time.Minute, 0, -time.Minute},
		"3 h fast":                 {3*time.Hour - time.Minute, 3 * time.Hour, -time.Minute},
		"3 h slow":                 {-3*time.Hour - time.Minute, -3 * time.Hour, -time.Minute},
		"after it was sent":        {time.Minute, 0, 0},
		"set back before sending":  {3 * time.Hour, 0, 0},
		"set after a start in '70": {-noon.Sub(time.Unix(60, 0)), 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, now.Add(tc.want), correct(now.Add(tc.at), now.Add(tc.sent), now))
		})
	}
}

func TestTwoMachinesOfOneAttendee(t *testing.T) {
	c := newClassroom(t)
	first := c.laptop("Ada", c.clock)
	second := &laptop{t: t, file: first.file + ".2", clock: c.clock, place: &Place{Machine: NewMachine(), Hub: c.server.URL}}
	client, err := NewClient(c.server.URL, "")
	require.NoError(t, err)
	defer client.Close()
	w, err := client.Join(t.Context(), Request{Token: "ada", Machine: second.place.Machine})
	require.NoError(t, err)
	assert.Equal(t, "ada", w.ID)
	second.place.Token = w.Token
	second.open()
	t.Cleanup(func() { _ = second.store.Close() })

	first.see("one", "aa", labs.Failing, "older")
	c.clock.forward(time.Minute)
	second.see("one", "aa", labs.Passed, "")
	second.send()
	first.send()
	assert.Equal(t, labs.Passed, c.states("ada")["one/aa"], "what is older does not count, though it comes later")
	c.clock.forward(time.Minute)
	first.see("one", "aa", labs.Failing, "newer")
	first.send()
	assert.Equal(t, labs.Failing, c.states("ada")["one/aa"])
}

func TestWhatTheHubDoesNotKnow(t *testing.T) {
	c := newClassroom(t)
	l := c.laptop("Ada", c.clock)
	l.see("one", "gone", labs.Passed, "")
	l.see("three", "aa", labs.Passed, "")
	_, err := l.store.Queue(t.Context(), "me", "other", []labs.Verdict{{Lab: "one", Check: "aa", State: labs.Passed, At: noon}})
	require.NoError(t, err)
	l.see("one", "bb", labs.Passed, "")
	l.send()
	l.send()
	assert.Equal(t, map[string]labs.State{"one/bb": labs.Passed}, c.states("ada"), "it is passed over, the rest counts")
	assert.Len(t, c.progress("ada"), 1)
	before := c.requests.Load()
	l.send()
	assert.Equal(t, before+1, c.requests.Load(), "and it is not sent for ever")
}

func TestOutbox(t *testing.T) {
	at := noon
	v := func(check string, state labs.State, because string) labs.Verdict {
		at = at.Add(time.Second)
		out := labs.Verdict{Lab: "one", Check: check, State: state, At: at, Took: time.Duration(at.Second())}
		if because != "" {
			out.Findings = []labs.Finding{{Because: because}}
		}
		return out
	}
	for name, tc := range map[string]struct {
		seen []labs.Verdict
		want []string // kind, check, state, because
	}{
		"nothing":              {nil, nil},
		"failing":              {[]labs.Verdict{v("aa", labs.Failing, "x")}, []string{"now aa failing x"}},
		"the same again":       {[]labs.Verdict{v("aa", labs.Failing, "x"), v("aa", labs.Failing, "x")}, []string{"now aa failing x"}},
		"another cause":        {[]labs.Verdict{v("aa", labs.Failing, "x"), v("aa", labs.Failing, "y")}, []string{"now aa failing y"}},
		"passed":               {[]labs.Verdict{v("aa", labs.Passed, "")}, []string{"pass aa passed ", "now aa passed "}},
		"passed and lost":      {[]labs.Verdict{v("aa", labs.Passed, ""), v("aa", labs.Failing, "x")}, []string{"pass aa passed ", "now aa failing x"}},
		"passed twice":         {[]labs.Verdict{v("aa", labs.Passed, ""), v("aa", labs.Failing, "x"), v("aa", labs.Passed, "")}, []string{"pass aa passed ", "now aa passed "}},
		"an older one changes": {[]labs.Verdict{v("aa", labs.Failing, "x"), v("bb", labs.Failing, "x"), v("aa", labs.Failing, "y")}, []string{"now bb failing x", "now aa failing y"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := progress.Open(t.TempDir() + "/progress.db")
			require.NoError(t, err)
			defer s.Close()
			for _, v := range tc.seen {
				_, err := s.Queue(t.Context(), "me", "tiny", []labs.Verdict{v})
				require.NoError(t, err)
			}
			events, err := s.Waiting(t.Context(), 100)
			require.NoError(t, err)
			var got []string
			for _, e := range events {
				because := ""
				if len(e.Verdict.Findings) > 0 {
					because = e.Verdict.Findings[0].Because
				}
				got = append(got, fmt.Sprintf("%s %s %s %s", e.Kind, e.Verdict.Check, e.Verdict.State, because))
			}
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestOutboxRemembersWhatTheHubHas(t *testing.T) {
	s, err := progress.Open(t.TempDir() + "/progress.db")
	require.NoError(t, err)
	defer s.Close()
	ctx := t.Context()
	queue := func(state labs.State) bool {
		news, err := s.Queue(ctx, "me", "tiny", []labs.Verdict{{Lab: "one", Check: "aa", State: state, At: noon}})
		require.NoError(t, err)
		return news
	}
	assert.True(t, queue(labs.Passed))
	require.NoError(t, s.Acknowledged(ctx, 2))
	assert.False(t, queue(labs.Passed), "the hub has it")
	assert.True(t, queue(labs.Failing))
	require.NoError(t, s.Acknowledged(ctx, 2), "an answer that comes late")
	all, passes, err := s.CountWaiting(ctx)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 0}, []int{all, passes})

	require.NoError(t, s.BeginOutbox(ctx, "me", "tiny"))
	all, passes, err = s.CountWaiting(ctx)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 1}, []int{all, passes}, "another hub is told what was reached before")
	last, _, err := s.Numbered(ctx)
	require.NoError(t, err)
	assert.Equal(t, int64(4), last, "no number is given twice")
}
