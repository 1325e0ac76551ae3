package class

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
)

// BenchmarkBoard measures how long it takes from a verdict to the instructor's
// browser, with a hundred attendees whose verdicts change all the time.
func BenchmarkBoard(b *testing.B) {
	const attendees = 100
	w := crowd(b, attendees)
	h := w.hub()
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()
	grace := w.visit(h, "grace", true)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/board/events", nil)
	require.NoError(b, err)
	r.AddCookie(grace.cookie)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(b, err)
	defer answer.Body.Close()

	took, messages, size := []time.Duration{}, 0, 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(answer.Body)
		lines.Buffer(nil, 4<<20)
		for lines.Scan() {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				continue
			}
			var news boardNews
			if json.Unmarshal([]byte(data), &news) != nil {
				continue
			}
			messages, size = messages+1, size+len(data)
			for _, row := range news.Rows {
				var sent int64
				if _, err := fmt.Sscanf(row.Why, "verdict of %d", &sent); err == nil {
					took = append(took, time.Since(time.Unix(0, sent)))
				}
			}
		}
	}()
	beat := time.NewTicker(time.Second / attendees) // each attendee's verdict changes once a second
	defer beat.Stop()
	i := 0
	for b.Loop() {
		<-beat.C
		h.News(fmt.Sprintf("p%03d", i%attendees), "demo", "scale-it", []labs.Verdict{verdict("answers", labs.Failing, fmt.Sprintf("verdict of %d", time.Now().UnixNano())),
			verdict("updated", labs.Failing, fmt.Sprintf("verdict of %d", time.Now().UnixNano())), verdict("scaled", labs.Failing, fmt.Sprintf("verdict of %d", time.Now().UnixNano()))})
		i++
	}
	time.Sleep(2 * boardPause)
	cancel()
	<-done
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	for _, p := range []int{50, 95, 99} {
		b.ReportMetric(float64(took[len(took)*p/100].Milliseconds()), fmt.Sprintf("p%d-ms", p))
	}
	b.ReportMetric(float64(size)/float64(messages)/1024, "KiB/message")
}

// BenchmarkNews measures what a verdict costs the hub and a board.
func BenchmarkNews(b *testing.B) {
	w := crowd(b, 100)
	h := w.hub()
	b.ReportAllocs()
	version, tables, last, i := -1, -1, "", 0
	for b.Loop() {
		h.News(fmt.Sprintf("p%03d", i%100), "demo", "scale-it", []labs.Verdict{verdict("answers", labs.Failing, fmt.Sprint("verdict ", i))})
		news, parts, err := h.newsSince(version, tables, last)
		require.NoError(b, err)
		if news != nil {
			version, tables, last = news.version, news.Tables, parts
		}
		i++
	}
}

// BenchmarkHub measures the memory of a hub with a hundred attendees.
func BenchmarkHub(b *testing.B) {
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	for b.Loop() {
		w := crowd(b, 100)
		before := heap()
		h := w.hub()
		b.ReportMetric((heap()-before)/1024/100, "KiB/attendee")
		h.Close()
	}
}

// BenchmarkPage measures what a lab's page costs the hub.
func BenchmarkPage(b *testing.B) {
	w := crowd(b, 100)
	h := w.hub()
	now := time.Now()
	h.now = func() time.Time { now = now.Add(time.Second); return now }
	v := w.visit(h, "p000", false)
	b.ReportAllocs()
	for b.Loop() {
		if r := v.do("GET", "/demo/scale-it/"); r.Code != http.StatusOK {
			b.Fatal(r.Code)
		}
	}
}
