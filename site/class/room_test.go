package class

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

func TestCausesTogether(t *testing.T) {
	stop := func(who, check, text string) obstacle {
		return obstacle{who: who, check: check, text: text, state: labs.Failing}
	}
	type want struct {
		text string
		who  []string
	}
	for _, c := range []struct {
		name  string
		stops []obstacle
		want  []want
	}{
		{"nothing", nil, nil},
		{"one alone is said as it is", []obstacle{stop("a", "l/x", "Service hello selects app=helo, and no pod has that label")},
			[]want{{"Service hello selects app=helo, and no pod has that label", []string{"a"}}}},
		{"values differ", []obstacle{
			stop("a", "l/x", "Service hello selects app=helo, and no pod has that label"),
			stop("b", "l/x", "Service hello selects tier=web, and no pod has that label"),
			stop("c", "l/x", "Service hello selects app=helo, and no pod has that label")},
			[]want{{"Service hello selects …, and no pod has that label", []string{"a", "c", "b"}}}},
		{"names and numbers differ", []obstacle{
			stop("a", "l/x", "pod ada-hello-7c5 is not ready: container hello was restarted 3 times"),
			stop("b", "l/x", "pod bob-hello-9d1 is not ready: container hello was restarted 12 times")},
			[]want{{"pod … is not ready: container hello was restarted … times", []string{"a", "b"}}}},
		{"longer and shorter", []obstacle{
			stop("a", "l/x", "Deployment hello has 1 of 3 ready replicas"),
			stop("b", "l/x", "Deployment hello has 1 of 3 ready replicas now")},
			[]want{{"Deployment hello has 1 of 3 ready replicas …", []string{"a", "b"}}}},
		{"another cause", []obstacle{
			stop("a", "l/x", "there is no Service hello"),
			stop("b", "l/x", "its image cannot be pulled: no such tag"),
			stop("c", "l/x", "there is no Service hello")},
			[]want{{"there is no Service hello", []string{"a", "c"}}, {"its image cannot be pulled: no such tag", []string{"b"}}}},
		{"another check", []obstacle{stop("a", "l/x", "there is no pod"), stop("b", "l/y", "there is no pod")},
			[]want{{"there is no pod", []string{"a"}}, {"there is no pod", []string{"b"}}}},
		{"another state", []obstacle{stop("a", "l/x", "it is so"), {who: "b", check: "l/x", text: "it is so", state: labs.Unknown}},
			[]want{{"it is so", []string{"a"}}, {"it is so", []string{"b"}}}},
		{"exactly 60 of 100", []obstacle{stop("a", "l/x", "one two three four five"), stop("b", "l/x", "one two three vier fünf")},
			[]want{{"one two three …", []string{"a", "b"}}}},
		{"less", []obstacle{stop("a", "l/x", "one two three four five six"), stop("b", "l/x", "one two three vier fünf sechs")},
			[]want{{"one two three four five six", []string{"a"}}, {"one two three vier fünf sechs", []string{"b"}}}},
		{"the stuck first", []obstacle{stop("a", "l/x", "x"), stop("b", "l/x", "x"), {who: "c", check: "l/x", text: "y", state: labs.Failing, stuck: true}},
			[]want{{"y", []string{"c"}}, {"x", []string{"a", "b"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []want
			for _, g := range clusters(c.stops) {
				got = append(got, want{g.Text, g.Who})
			}
			assert.Equal(t, c.want, got)
		})
	}
}

func TestValuesDifferInWhatMustBeTrue(t *testing.T) {
	found := clusters([]obstacle{{who: "a", check: "l/x", that: "hello runs 3 ready replicas", text: "x"}, {who: "b", check: "l/x", that: "hello runs 5 ready replicas", text: "x"}})
	require.Len(t, found, 1)
	assert.Equal(t, "hello runs … ready replicas", found[0].That)
}

// FuzzCauses holds clusters to what must be true whatever people's clusters say.
func FuzzCauses(f *testing.F) {
	f.Add("Service hello selects app=helo, and no pod has that label\nService hello selects app=web, and no pod has that label\nthere is no Service hello")
	f.Add("… … …\n…\n, . ;\n\x00\xff")
	f.Add(strings.Repeat("a b ", 200) + "\n" + strings.Repeat("b a ", 200))
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Split(text, "\n")
		if len(lines) > 30 || len(text) > 5000 {
			t.Skip()
		}
		stops := make([]obstacle, len(lines))
		for i, l := range lines {
			stops[i] = obstacle{who: fmt.Sprintf("%03d", i), check: "l/x", text: l, state: labs.Failing}
		}
		found := clusters(stops)
		var who []string
		for _, c := range found {
			who = append(who, c.Who...)
			for _, w := range c.Who {
				var n int
				fmt.Sscan(w, &n)
				have := wordsOf(lines[n])
				for _, word := range strings.Fields(c.Text) {
					for _, part := range wordsOf(word) {
						at := slices.Index(have, part)
						if at < 0 {
							t.Fatalf("%q is said of %q", c.Text, lines[n])
						}
						have = have[at+1:]
					}
				}
			}
		}
		slices.Sort(who)
		for i := range lines {
			if len(who) != len(lines) || who[i] != stops[i].who {
				t.Fatalf("everybody is in one cluster: %v", who)
			}
		}
		shuffled := slices.Clone(stops)
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		assert.Equal(t, found, clusters(shuffled), "whatever the order")
	})
}

func TestMedian(t *testing.T) {
	m := time.Minute
	for _, c := range []struct {
		want time.Duration
		ds   []time.Duration
	}{
		{0, nil}, {0, []time.Duration{m, m}}, {2 * m, []time.Duration{9 * m, m, 2 * m}}, {3 * m, []time.Duration{m, 4 * m, 2 * m, 90 * m}},
	} {
		assert.Equal(t, c.want, median(c.ds), c.ds)
	}
	assert.False(t, isSlow(2*m, 10*time.Second), "everybody may take a moment")
	assert.False(t, isSlow(8*m, 4*m))
	assert.True(t, isSlow(9*m, 4*m))
}

// TestWhoIsStuck is about times: nobody's clock but the hub's counts.
func TestWhoIsStuck(t *testing.T) {
	w := newWorld(t)
	w.class.Attendees = nil
	now := time.Now().Truncate(time.Second)
	ago := func(minutes int) time.Time { return now.Add(-time.Duration(minutes) * time.Minute) }
	for i, entered := range []int{30, 30, 30, 30, 5, -1} {
		id := fmt.Sprintf("p%d", i)
		w.class.Attendees = append(w.class.Attendees, labs.Person{ID: id, Name: strings.ToUpper(id)})
		if entered >= 0 {
			require.NoError(t, w.store.ChangeMember(t.Context(), id, func(m *progress.Member) error { m.Entered = ago(entered); return nil }))
		}
	}
	pass := func(id, lab, check string, minutes int) {
		require.NoError(t, w.store.Pass(t.Context(), id, "demo", lab, check, ago(minutes)))
	}
	pass("p0", "first-container", "runs", 26) // took 4
	pass("p0", "scale-it", "scaled", 20)      // took 6
	pass("p1", "first-container", "runs", 25) // took 5
	pass("p1", "scale-it", "scaled", 18)      // took 7, at the next for 18
	pass("p2", "first-container", "runs", 24) // took 6, at the next for 24
	cfg := w.config()
	cfg.Now = func() time.Time { return now }
	h, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(h.Close)
	h.review()
	h.mu.Lock()
	h.consider()
	h.mu.Unlock()
	h.review()
	h.News("p2", "demo", "scale-it", []labs.Verdict{verdict("scaled", labs.Failing, "there is no Deployment hello")})
	h.News("p1", "demo", "scale-it", []labs.Verdict{verdict("answers", labs.Unknown, "the cluster does not answer")})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.consider()
	assert.Equal(t, []time.Duration{5 * time.Minute, 0, 0, 0, 0}, h.room.medians, "too few have solved the second")
	type seen struct {
		now   int
		at    time.Duration
		stuck bool
	}
	got := map[string]seen{}
	for _, id := range h.order {
		r := h.people[id].row
		s := seen{now: r.now, stuck: r.stuck}
		if r.now >= 0 {
			s.at = now.Sub(r.since)
		}
		got[id] = s
	}
	assert.Equal(t, map[string]seen{
		"p0": {2, 20 * time.Minute, true},
		"p1": {2, 18 * time.Minute, false}, // nobody can say
		"p2": {1, 24 * time.Minute, true},  // its author thinks of 5 minutes
		"p3": {0, 30 * time.Minute, true},  // six times the median
		"p4": {0, 5 * time.Minute, false},
		"p5": {now: -1},
	}, got)
	require.Len(t, h.room.causes, 2)
	assert.Equal(t, "there is no Deployment hello", h.room.causes[0].Text)
	assert.Equal(t, 1, h.room.causes[0].Stuck)
	assert.Equal(t, []string{"p1"}, h.room.causes[1].Who)
}

func TestExports(t *testing.T) {
	w := newWorld(t)
	w.class.Attendees = []labs.Person{{ID: "ada", Name: `=HYPERLINK("http://evil")`}, {ID: "bob", Name: "@Bob, \"the\" builder"}}
	h := w.hub()
	entered := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	require.NoError(t, h.change(t.Context(), "ada", func(m *progress.Member) error { m.Entered = entered; return nil }))
	require.NoError(t, w.store.Pass(t.Context(), "ada", "demo", "first-container", "runs", entered.Add(90*time.Second)))
	require.NoError(t, w.store.Pass(t.Context(), "ada", "demo", "scale-it", "scaled", entered.Add(5*time.Minute)))
	h.readProgress()
	grace := w.visit(h, "grace", true)

	r := grace.do("GET", "/board/export.csv")
	assert.Equal(t, `attachment; filename="autumn.csv"`, r.Header().Get("Content-Disposition"))
	lines, err := csv.NewReader(r.Body).ReadAll()
	require.NoError(t, err)
	require.Len(t, lines, 1+2*6)
	assert.Equal(t, []string{"ada", `'=HYPERLINK("http://evil")`, "2026-11-20T09:00:00Z", "first-container", "run-it", "2026-11-20T09:01:30Z", "90", "runs", "2026-11-20T09:01:30Z", "90"}, lines[1])
	assert.Equal(t, []string{"ada", `'=HYPERLINK("http://evil")`, "2026-11-20T09:00:00Z", "scale-it", "run-more-copies", "2026-11-20T09:05:00Z", "210", "scaled", "2026-11-20T09:05:00Z", "300"}, lines[2])
	assert.Equal(t, []string{"bob", `'@Bob, "the" builder`, "", "first-container", "run-it", "", "", "runs", "", ""}, lines[7])

	var got struct {
		Class     string
		Attendees []exported
	}
	require.NoError(t, json.Unmarshal(grace.do("GET", "/board/export.json").Body.Bytes(), &got))
	assert.Equal(t, "autumn", got.Class)
	require.Len(t, got.Attendees, 2)
	assert.Equal(t, `=HYPERLINK("http://evil")`, got.Attendees[0].Name)
	assert.Equal(t, 2, got.Attendees[0].Solved)
	assert.Equal(t, 300, *got.Attendees[0].Tasks[1].Checks[0].Seconds)
	assert.Nil(t, got.Attendees[1].Tasks[0].SolvedAt)

	for in, want := range map[string]string{"": "", "ada": "ada", "-1": "'-1", "+1": "'+1", "\tx": "'\tx", "＝1": "'＝1", "a=1": "a=1"} {
		assert.Equal(t, want, cell(in))
	}
}
