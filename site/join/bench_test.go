package join

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

// BenchmarkPost is what a post costs the hub: a beat with nothing, and a change of a verdict.
func BenchmarkPost(b *testing.B) {
	dir := b.TempDir()
	store, err := progress.Open(dir + "/hub.db")
	require.NoError(b, err)
	defer store.Close()
	tiny, err := labs.Load(courseFS(), "tiny")
	require.NoError(b, err)
	who := &people{all: map[string]Member{"ada": {Person: labs.Person{ID: "ada", Name: "Ada"}}}}
	clock := newClock(noon)
	d, err := NewDesk(b.Context(), DeskConfig{Class: "monday", Course: tiny, Members: who, Store: store, Now: clock.now,
		News: func(string, string, string, []labs.Verdict) {}})
	require.NoError(b, err)
	post := func(path, token, body string) *httptest.ResponseRecorder {
		q := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		q.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		d.ServeHTTP(w, q)
		clock.forward(time.Second)
		return w
	}
	var w Welcome
	require.NoError(b, json.NewDecoder(post("/machine/join", "", `{"protocol":1,"token":"ada","machine":"AAAAAAAAAAAAAAAAAAAAAAAAAA"}`).Body).Decode(&w))
	b.Run("beat", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if post("/machine/events", w.Token, `{"protocol":1}`).Code != http.StatusOK {
				b.Fatal("refused")
			}
		}
	})
	seq := int64(0)
	b.Run("change", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			seq++
			v := labs.Verdict{Lab: "one", Check: "aa", That: "aa is true", State: labs.Failing, Findings: []labs.Finding{{Because: fmt.Sprint(seq), Look: "`kubectl get pods`"}}}
			data, _ := json.Marshal(Post{Protocol: Protocol, Sent: clock.now().UnixMilli(), Events: Events{{Seq: seq, Kind: progress.Latest, Course: "tiny", Verdict: v}}})
			if post("/machine/events", w.Token, string(data)).Code != http.StatusOK {
				b.Fatal("refused")
			}
		}
	})
}
