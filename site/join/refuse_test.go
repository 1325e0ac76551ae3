package join

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

// raw sends a request as no client of ours would.
func raw(t *testing.T, method, url, token string, body io.Reader) (*http.Response, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, body)
	require.NoError(t, err)
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(data)
}

func TestFlood(t *testing.T) {
	c := newClassroom(t)
	l := c.laptop("Ada", c.clock)
	l.see("one", "aa", labs.Passed, "")
	l.send()
	events := func(n int, one string) string {
		return `{"protocol":1,"events":[` + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + `]}`
	}
	rising := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `{"seq":%d,"kind":"now","course":"tiny","verdict":{"lab":"one","check":"aa","state":"failing"}},`, 1000+i)
		}
		return `{"protocol":1,"events":[` + strings.TrimSuffix(b.String(), ",") + `]}`
	}
	huge := strings.Repeat("x", 10<<20)
	for name, tc := range map[string]struct {
		body string
		want int
	}{
		"a body of 10 MB":       {`{"protocol":1,"what":"` + huge + `"}`, http.StatusRequestEntityTooLarge},
		"10 MB of no JSON":      {huge, http.StatusBadRequest},
		"100,000 events":        {rising(100_000), http.StatusRequestEntityTooLarge},
		"100,000 tiny events":   {events(100_000, "{}"), http.StatusBadRequest},
		"170,000 numbers":       {events(170_000, "1"), http.StatusBadRequest},
		"201 events":            {rising(201), http.StatusBadRequest},
		"an event of 100 kB":    {events(1, `{"seq":1000,"verdict":{"that":"`+huge[:100_000]+`"}}`), http.StatusBadRequest},
		"numbers that fall":     {events(2, `{"seq":7}`), http.StatusBadRequest},
		"deep nesting":          {strings.Repeat("[", 400_000), http.StatusBadRequest},
		"deep nesting, inside":  {events(1, strings.Repeat(`{"verdict":`, 10_000)), http.StatusBadRequest},
		"another protocol":      {`{"protocol":2}`, http.StatusBadRequest},
		"nothing":               {``, http.StatusBadRequest},
		"many answers":          {`{"protocol":1,"answers":[{},{},{},{},{},{}]}`, http.StatusBadRequest},
		"a number of an answer": {`{"protocol":1,"sent":1e99}`, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			c.clock.forward(time.Minute)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			answer := httptest.NewRecorder()
			q := httptest.NewRequest(http.MethodPost, "/machine/events", strings.NewReader(tc.body))
			q.Header.Set("Authorization", "Bearer "+l.place.Token)
			c.desk.ServeHTTP(answer, q)
			runtime.ReadMemStats(&after)
			assert.Equal(t, tc.want, answer.Code, answer.Body)
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20), "and it costs the hub little")
			assert.Less(t, answer.Body.Len(), 1000)
		})
	}
	// The same through a real connection: the hub lives, and knows what it knew.
	res, _ := raw(t, http.MethodPost, c.server.URL+"/machine/events", l.place.Token, strings.NewReader(`{"protocol":1,"what":"`+huge))
	assert.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
	res, _ = raw(t, http.MethodPost, c.server.URL+"/machine/join", "", strings.NewReader(`{"protocol":1,"name":"`+huge))
	assert.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
	assert.Equal(t, map[string]labs.State{"one/aa": labs.Passed}, c.states("ada"))
	c.clock.forward(time.Minute)
	l.see("one", "aa", labs.Failing, "this")
	l.send()
	assert.Equal(t, map[string]labs.State{"one/aa": labs.Failing}, c.states("ada"))
}

func TestHostileTexts(t *testing.T) {
	c := newClassroom(t)
	l := c.laptop("Ada", c.clock)
	nasty := strings.Repeat("<script>\x00\x1b[31m\xff\u202e", 150)
	v := labs.Verdict{Lab: "one", Check: "aa", That: nasty, Reason: nasty, State: labs.Failing, At: noon, Facts: []string{nasty}}
	for range 200 {
		v.Findings = append(v.Findings, labs.Finding{Expected: nasty, Got: nasty, Because: nasty, Nearest: nasty, Look: nasty})
		v.Chain, v.RuledOut = append(v.Chain, nasty), append(v.RuledOut, nasty)
	}
	_, err := l.store.Queue(t.Context(), "me", "tiny", []labs.Verdict{v})
	require.NoError(t, err)
	l.send()
	vs, err := c.desk.Known(t.Context(), "ada", "one")
	require.NoError(t, err)
	require.Len(t, vs, 1)
	data, err := json.Marshal(vs[0])
	require.NoError(t, err)
	assert.LessOrEqual(t, len(data), mostEvent)
	assert.Equal(t, labs.Failing, vs[0].State)
	assert.Equal(t, "task-aa", vs[0].Task, "the hub's own")
	assert.Empty(t, vs[0].Facts)
}

func TestTooManyRequests(t *testing.T) {
	c := newClassroom(t)
	l := c.laptop("Ada", c.clock)
	other := c.laptop("Bob", c.clock)
	var res *http.Response
	for n := 0; ; n++ {
		require.Less(t, n, 100)
		res, _ = raw(t, http.MethodPost, c.server.URL+"/machine/events", l.place.Token, strings.NewReader(`{"protocol":1}`))
		if res.StatusCode != http.StatusOK {
			break
		}
	}
	assert.Equal(t, http.StatusTooManyRequests, res.StatusCode)
	after, err := strconv.Atoi(res.Header.Get("Retry-After"))
	require.NoError(t, err)

	l.see("one", "aa", labs.Passed, "")
	wait := l.sender.Once(t.Context())
	assert.GreaterOrEqual(t, wait, time.Duration(after)*time.Second, "the machine waits as long as it is told")
	assert.Equal(t, 2, l.waiting())
	assert.Empty(t, l.said, "it is no news: the hub is there")
	other.see("one", "aa", labs.Passed, "")
	other.send() // nobody else is concerned
	c.clock.forward(wait)
	l.send()
	assert.Len(t, c.progress("ada"), 1)
}

func TestRevoked(t *testing.T) {
	c := newClassroom(t)
	l := c.laptop("Ada", c.clock)
	l.see("one", "aa", labs.Passed, "")
	l.send()
	c.people.revoke("ada")
	l.see("one", "bb", labs.Passed, "")
	l.sender.Run(t.Context()) // ends by itself
	assert.True(t, l.sender.Ended())
	require.Len(t, l.said, 1)
	assert.Contains(t, l.said[0], "no longer in the class monday")
	assert.Contains(t, l.said[0], "go on learning")
	before := c.requests.Load()
	l.see("one", "cc", labs.Passed, "")
	l.sender.Wake()
	assert.Equal(t, before, c.requests.Load(), "nothing is sent any more")
	assert.Len(t, l.progress(), 3, "learning goes on")
	assert.Len(t, c.progress("ada"), 1)

	// The code does not bring back who was shut out; with the newest link nothing is lost.
	client, err := NewClient(c.server.URL, "")
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Join(t.Context(), Request{Code: theCode, Name: "Ada", Machine: l.place.Machine})
	no := new(Refusal)
	require.ErrorAs(t, err, &no)
	assert.Equal(t, ReasonTaken, no.Reason)
	w, err := client.Join(t.Context(), Request{Token: "ada", Machine: l.place.Machine})
	require.NoError(t, err)
	l.place.Token = w.Token
	require.NoError(t, l.store.BeginOutbox(t.Context(), "me", "tiny"))
	l.restart()
	l.send()
	assert.Len(t, c.progress("ada"), 3)
}

func TestJoinedAgainMeanwhile(t *testing.T) {
	c := newClassroom(t)
	l := c.laptop("Ada", c.clock)
	l.sender.cfg.Token = func() string { return l.place.Token }
	client, err := NewClient(c.server.URL, "")
	require.NoError(t, err)
	defer client.Close()
	w, err := client.Join(t.Context(), Request{Token: "ada", Machine: l.place.Machine})
	require.NoError(t, err)
	l.place.Token = w.Token // in another process, say
	l.see("one", "aa", labs.Passed, "")
	l.send()
	assert.Len(t, c.progress("ada"), 1)
	assert.False(t, l.sender.Ended())
	assert.Empty(t, l.said)
}

func TestWhoIsLetIn(t *testing.T) {
	c := newClassroom(t)
	client, err := NewClient(c.server.URL, "")
	require.NoError(t, err)
	defer client.Close()
	own, other := NewMachine(), NewMachine()
	join := func(q Request) (Welcome, string) {
		w, err := client.Join(t.Context(), q)
		if err == nil {
			return w, ""
		}
		no := new(Refusal)
		require.ErrorAs(t, err, &no)
		return w, no.Reason + "/" + no.Try
	}
	_, why := join(Request{Code: "nope", Name: "Ada", Machine: own})
	assert.Equal(t, "code/", why)
	w, why := join(Request{Code: theCode, Name: "Ada", Machine: own})
	assert.Empty(t, why)
	assert.Equal(t, Welcome{ID: "ada", Name: "Ada", Token: w.Token, Class: "monday", Course: "tiny", Sum: w.Sum}, w)
	_, why = join(Request{Code: theCode, Name: "Ada", Machine: other})
	assert.Equal(t, "taken/Ada (2)", why)
	again, why := join(Request{Code: theCode, Name: "Ada", Machine: own})
	assert.Empty(t, why, "the same machine is the same person")
	assert.NotEqual(t, w.Token, again.Token)
	_, err = client.Post(t.Context(), w.Token, Post{})
	assert.ErrorContains(t, err, "no longer", "an older token is void")
	_, err = client.Post(t.Context(), again.Token, Post{})
	assert.NoError(t, err)
	_, why = join(Request{Token: "nobody", Machine: own})
	assert.Equal(t, "link/", why)
	_, why = join(Request{Code: theCode, Name: "Ada", Machine: "../../etc"})
	assert.Equal(t, "bad/", why)

	require.NoError(t, client.Leave(t.Context(), again.Token))
	_, err = client.Post(t.Context(), again.Token, Post{})
	assert.ErrorContains(t, err, "no longer")
	for _, path := range []string{"/machine/course", "/machine/events", "/machine/leave"} {
		method := http.MethodPost
		if path == "/machine/course" {
			method = http.MethodGet
		}
		for _, token := range []string{"", "x", w.Token, again.Token, strings.Repeat("A", 9000)} {
			res, _ := raw(t, method, c.server.URL+path, token, nil)
			assert.Equal(t, http.StatusUnauthorized, res.StatusCode, "%s %.10s", path, token)
		}
	}
	res, _ := raw(t, http.MethodGet, c.server.URL+"/machine/", "", nil)
	assert.Equal(t, http.StatusNotFound, res.StatusCode)
}

func TestNotTooManyMachines(t *testing.T) {
	c := newClassroom(t)
	c.people.all["ada"] = Member{Person: labs.Person{ID: "ada", Name: "Ada"}}
	client, err := NewClient(c.server.URL, "")
	require.NoError(t, err)
	defer client.Close()
	var tokens []string
	for range 2 * mostMachines {
		c.clock.forward(time.Minute)
		w, err := client.Join(t.Context(), Request{Token: "ada", Machine: NewMachine()})
		require.NoError(t, err)
		tokens = append(tokens, w.Token)
	}
	kept, err := c.store.Machines(t.Context())
	require.NoError(t, err)
	assert.Len(t, kept, mostMachines)
	_, err = client.Post(t.Context(), tokens[0], Post{})
	assert.Error(t, err)
	_, err = client.Post(t.Context(), tokens[len(tokens)-1], Post{})
	assert.NoError(t, err)
	for range 30 {
		if _, err = client.Join(t.Context(), Request{Token: "ada", Machine: NewMachine()}); err != nil {
			break
		}
	}
	no := new(Refusal)
	require.ErrorAs(t, err, &no)
	assert.Equal(t, ReasonSlow, no.Reason)
	assert.NotZero(t, no.After)
}

func TestHubThatCannotWrite(t *testing.T) {
	c := newClassroom(t)
	l := c.laptop("Ada", c.clock)
	l.see("one", "aa", labs.Passed, "")
	require.NoError(t, c.store.Close())
	wait := l.sender.Once(t.Context())
	assert.GreaterOrEqual(t, wait, 10*time.Second)
	assert.Equal(t, 2, l.waiting())
	require.Len(t, l.said, 1)
	assert.Contains(t, l.said[0], "the hub cannot keep this now")
	assert.NotContains(t, l.said[0], c.file)
	c.open()
	c.clock.forward(wait)
	l.send()
	assert.Len(t, c.progress("ada"), 1)
}

// What answers may be anything.
func TestNotAHub(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a secret went elsewhere: %v", r.Header)
	}))
	defer elsewhere.Close()
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"pages":                {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>") }, ErrNoHub},
		"not found":            {http.NotFound, ErrNoHub},
		"no welcome":           {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "{}") }, ErrNoHub},
		"elsewhere":            {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, 307) }, ErrMoved},
		"elsewhere, to be got": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, 302) }, ErrMoved},
		"without end": {func(w http.ResponseWriter, r *http.Request) {
			for n, line := 0, bytes.Repeat([]byte("x"), 1<<20); n < 100; n++ {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
			t.Error("all of it was read")
		}, ErrNoHub},
		"a proxy": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(502) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.answer)
			defer server.Close()
			client, err := NewClient(server.URL, "")
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Join(t.Context(), Request{})
			require.Error(t, err)
			if tc.want != nil {
				assert.ErrorIs(t, err, tc.want)
			}
			_, err = client.Post(t.Context(), "secret", Post{})
			if name != "no welcome" {
				require.Error(t, err)
			}
			if err := client.Course(t.Context(), "secret", t.TempDir()+"/course", "sum"); name != "no welcome" {
				require.Error(t, err)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	c := newClassroom(t)
	secure := httptest.NewUnstartedServer(c.desk)
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // handshakes that fail are meant to
	secure.StartTLS()
	defer secure.Close()
	try := func(hub, ca string) error {
		client, err := NewClient(hub, ca)
		require.NoError(t, err)
		defer client.Close()
		_, err = client.Join(t.Context(), Request{Code: theCode, Name: "Ada", Machine: strings.Repeat("A", 26)})
		return err
	}
	assert.ErrorIs(t, try(secure.URL, ""), ErrUnknown)
	assert.NoError(t, try(secure.URL, pemOf(secure.Certificate().Raw)))
	assert.ErrorIs(t, try(strings.Replace(secure.URL, "https:", "http:", 1), ""), ErrNeedsTLS)
	assert.ErrorIs(t, try(strings.Replace(c.server.URL, "http:", "https:", 1), ""), ErrNoTLS)
	c.server.Close()
	assert.ErrorContains(t, try(c.server.URL, ""), "connection refused")
	_, err := NewClient(c.server.URL, "no certificate")
	assert.Error(t, err)
}

// A hub that takes the connection and never answers holds up nobody but the sender.
func TestHubThatDoesNotAnswer(t *testing.T) {
	held := make(chan struct{}, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else it would not see that the other end is gone
		held <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	c := newClassroom(t)
	l := c.laptop("Ada", c.clock)
	l.place.Hub = server.URL
	l.restart()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { l.sender.Run(ctx); close(ended) }()
	<-held
	for n := range 100 { // all of this is done while the sender waits
		l.see("one", "aa", labs.Failing, fmt.Sprint(n))
		l.sender.Wake()
	}
	assert.Equal(t, 1, l.waiting())
	server.CloseClientConnections()
	cancel()
	<-ended
}

func TestPostThatTheHubCannotRead(t *testing.T) {
	// A hub of another make, which cannot bear one of the events.
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := readPost(r.Body)
		assert.NoError(t, err)
		for _, e := range p.Events {
			if e.Verdict.Check == "cc" {
				refuse(w, &Refusal{Status: http.StatusBadRequest, Reason: ReasonBad, Text: "no"})
				return
			}
		}
		out := Receipt{}
		for _, e := range p.Events {
			got = append(got, e.Verdict.Check)
			out.Through = e.Seq
		}
		out.Had = 1 << 20
		if len(p.Events) > 0 {
			out.Had = p.Events[0].Seq - 1
		}
		write(w, http.StatusOK, out)
	}))
	defer server.Close()
	c := newClassroom(t)
	l := c.laptop("Ada", c.clock)
	l.place.Hub = server.URL
	l.restart()
	for _, check := range []string{"aa", "bb", "cc", "dd", "ee"} {
		l.see("one", check, labs.Failing, "x")
	}
	for range 20 {
		if l.waiting() == 0 {
			break
		}
		l.sender.Once(t.Context())
	}
	assert.Equal(t, []string{"aa", "bb", "dd", "ee"}, got, "it is left out, the rest arrives")
}

func TestBackOff(t *testing.T) {
	s := &Sender{}
	for failures, longest := range map[int]time.Duration{1: 2 * time.Second, 2: 4 * time.Second, 3: 8 * time.Second, 5: 32 * time.Second, 6: time.Minute, 1000: time.Minute} {
		s.failures = failures
		seen := map[time.Duration]bool{}
		for range 100 {
			wait := s.backOff()
			assert.LessOrEqual(t, wait, longest+1)
			assert.GreaterOrEqual(t, wait, longest/2)
			seen[wait] = true
		}
		assert.Greater(t, len(seen), 50, "not all machines at once")
	}
}

func FuzzPost(f *testing.F) {
	good, err := json.Marshal(Post{Protocol: 1, Sent: 5, Events: Events{{Seq: 3, Kind: progress.Latest, Course: "tiny", Verdict: labs.Verdict{Lab: "one", Check: "aa", State: labs.Failing, Findings: []labs.Finding{{Because: "x"}}}}}})
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte(`{"protocol":1,"events":[{"seq":1},{"seq":2,"kind":"pass","at":-9223372036854775808,"verdict":{"state":"passed","lab":"one","check":"aa"}}]}`))
	f.Add([]byte(`{"protocol":1,"events":null,"answers":[{"nonce":"a"}],"looking":["b"]}`))
	f.Add([]byte(`{"protocol":1,"events":{}}`))
	tiny, err := labs.Load(courseFS(), "tiny")
	require.NoError(f, err)
	d := &Desk{cfg: DeskConfig{Course: tiny}}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := readPost(bytes.NewReader(data))
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(p.Events), mostEvents)
		last := int64(0)
		for _, e := range p.Events {
			require.Greater(t, e.Seq, last)
			last = e.Seq
			at := correct(e.Verdict.At, time.UnixMilli(p.Sent), noon)
			require.False(t, at.After(noon))
			require.True(t, at.After(beginning))
			if d.check(&e) != "" {
				continue
			}
			_, check := tiny.Lab(e.Verdict.Lab).Check(e.Verdict.Check)
			require.NotNil(t, check)
			sent, err := json.Marshal(Events{e})
			require.NoError(t, err)
			var back Events
			require.NoError(t, json.Unmarshal(sent, &back), "what was taken in can be sent")
		}
	})
}
