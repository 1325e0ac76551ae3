//go:build e2e && bench

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
	"github.com/stretchr/testify/require"
)

// Nothing here passes or fails by its time: the figures are for people to read.

const (
	benchAttendees = 100
	benchBrowsers  = 500
	benchLoads     = 200 // a second
	benchChanges   = 10  // a second
	benchFor       = 40 * time.Second
)

// BenchmarkClassHub is the hub alone, with pages of a built-in course: 500 browsers
// that look, and pages that are loaded. Attendees work on machines of their own, so
// that nothing but the hub needs the CPUs; what browsers hear are messages to all.
func BenchmarkClassHub(b *testing.B) {
	f := &figures{title: fmt.Sprintf("the hub alone: %d attendees, %d browsers, %d page loads/s", benchAttendees, benchBrowsers, benchLoads)}
	defer f.print()
	r := newBenchRoom(b, "bench-hub", "course: docker-to-helm", "isolation: own", fmt.Sprintf("attendees: %d", benchAttendees))
	r.up()
	r.serve()
	people := labs.Seats(benchAttendees)
	r.enter(people...)
	course, err := loadCourse("docker-to-helm")
	require.NoError(b, err)
	var paths []string
	for _, l := range course.Labs {
		paths = append(paths, "/docker-to-helm/"+l.ID+"/")
	}
	r.browsers(f, people, paths, r.messages)
}

// messages sends the room a message now and then, until ctx ends.
func (r *benchRoom) messages(ctx context.Context) map[int]change {
	made := map[int]change{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return made
		case <-tick.C:
		}
		form := url.Values{"text": {fmt.Sprintf("%s%d.", mark, n)}}
		if err := fetch(http.DefaultClient, r.request(benchInstructor, "POST", "/board/message", form.Encode())); err != nil {
			r.b.Errorf("sending a message: %v", err)
			return made
		}
		made[n] = change{at: time.Now()}
	}
}

// browsers has 500 of them look, pages loaded, and both at once, while there are changes.
func (r *benchRoom) browsers(f *figures, people []labs.Person, paths []string, changes func(context.Context) map[int]change) {
	b, pid := r.b, r.hub.Process.Pid
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	first, leave := context.WithCancel(ctx)
	r.open(first, people, 1, paths[0]) // what each attendee needs once is there
	time.Sleep(5 * time.Second)
	before := memoryOf(b, pid)
	all := r.open(ctx, people, benchBrowsers/len(people), paths[0])
	time.Sleep(5 * time.Second)
	with := memoryOf(b, pid)
	f.add(fmt.Sprintf("memory of the hub with a browser each, and with %d more", len(all)), "%s, %s: %.0f KiB a connection", mebibytes(before), mebibytes(with), (with-before)/1024/float64(len(all)))
	leave()

	was := usageOf(b, pid)
	time.Sleep(15 * time.Second)
	f.add("browsers that look while nothing changes", "%s", usageOf(b, pid).since(was))

	changing, stop := context.WithCancel(ctx)
	made := make(chan map[int]change, 1)
	go func() { made <- changes(changing) }()
	was = usageOf(b, pid)
	took, failed := r.load(benchLoads, benchFor, people, paths...)
	now := usageOf(b, pid)
	stop()
	madeNow := <-made
	time.Sleep(3 * time.Second)
	f.add("a page load (aim p99 ≤ 50 ms)", "%s", percentiles(took))
	f.add("page loads that failed, streams that ended (aim 0)", "%d, %d", len(failed), lost(all))
	for _, err := range failed[:min(3, len(failed))] {
		b.Log(err)
	}
	delay, overtaken, missing := delays(all, madeNow)
	f.add("from a change to the browsers meanwhile", "%s; %d overtaken by a later one, %d never shown (aim 0)", percentiles(delay), overtaken, missing)
	f.add("CPU of the hub meanwhile", "%s", now.since(was))
	f.add("memory of the hub afterwards", "%s", mebibytes(memoryOf(b, pid)))
}

// BenchmarkClassNamespaces is a class in namespaces of one cluster: what it costs, and
// how long the browsers of attendees and of the instructor take to show a change.
func BenchmarkClassNamespaces(b *testing.B) {
	f := &figures{title: fmt.Sprintf("%d attendees in namespaces of one cluster", benchAttendees)}
	defer f.print()
	course := []string{"course: " + testCourse(b), "isolation: namespace", "resources: {cpu: 10m, memory: 64Mi, pods: 1}"}
	r := newBenchRoom(b, "bench-room", append(course, "attendees: 1")...)
	f.add("class up for one attendee", "%s", r.up().Round(time.Second))
	time.Sleep(30 * time.Second)
	one := nodeMemory(b, r.name)
	r.write(append(course, fmt.Sprintf("attendees: %d", benchAttendees))...)
	f.add("class up for the others", "%s", r.up().Round(time.Second))
	people := labs.Seats(benchAttendees)
	c := newChanger(r, people)
	c.settle()
	all := nodeMemory(b, r.name)
	f.add("memory of the node with one attendee, with all", "%s, %s: %s an attendee", mebibytes(one), mebibytes(all), mebibytes((all-one)/(benchAttendees-1)))
	store, err := progress.Open(filepath.Join(r.state(), "progress.db"))
	require.NoError(b, err)
	defer store.Close()
	c.spread(store)
	requests := c.hubRequests()
	time.Sleep(15 * time.Second)
	f.add("requests of administrators to the API server without the hub", "%.1f/s", (c.hubRequests()-requests)/15)

	r.serve()
	r.enter(people...)
	path := "/crowd/objects/"
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	pages := r.open(ctx, people, 1, path)
	board := r.browse(ctx, http.DefaultClient, benchInstructor, "/board/events")
	time.Sleep(30 * time.Second)
	r.measure(f, c, "nothing changes", func() { time.Sleep(benchFor) })
	var made map[int]change
	r.measure(f, c, fmt.Sprintf("%d changes/s", benchChanges), func() {
		changing, stop := context.WithTimeout(ctx, benchFor)
		defer stop()
		made = c.change(changing)
	})
	time.Sleep(3 * time.Second)
	for _, to := range []struct {
		who string
		all []*looker
	}{{"attendee's page", pages}, {"board (aim p95 ≤ 200 ms)", []*looker{board}}} {
		took, overtaken, missing := delays(to.all, made)
		f.add("from the API server's answer to the "+to.who, "%s; %d overtaken by a later one, %d never shown", percentiles(took), overtaken, missing)
	}
	f.add("memory of the hub", "%s", mebibytes(memoryOf(b, r.hub.Process.Pid)))
	cancel()

	f = &figures{title: fmt.Sprintf("the same hub with %d browsers, %d page loads/s and %d changes/s of objects, beside the cluster", benchBrowsers, benchLoads, benchChanges)}
	defer f.print()
	r.browsers(f, people, []string{path}, c.change)
}

// measure says what the hub needs while something goes on.
func (r *benchRoom) measure(f *figures, c *changer, what string, goOn func()) {
	pid := r.hub.Process.Pid
	was, requests := usageOf(r.b, pid), c.hubRequests()
	goOn()
	now, after := usageOf(r.b, pid), c.hubRequests()
	f.add("the hub while "+what, "%s; %.1f requests/s to the API server", now.since(was), (after-requests)/now.at.Sub(was.at).Seconds())
}

// BenchmarkClassClusters makes a cluster for one attendee, and for three side by side.
func BenchmarkClassClusters(b *testing.B) {
	f := &figures{title: "a cluster for each attendee"}
	up := func(name string, attendees int) (time.Duration, float64) {
		r := newBenchRoom(b, name, "course: "+testCourse(b), "isolation: cluster", fmt.Sprintf("attendees: %d", attendees), fmt.Sprintf("parallel: %d", attendees))
		defer func() { _, _ = r.run("class", "down") }()
		took := r.up()
		time.Sleep(30 * time.Second)
		total := 0.0
		for _, p := range labs.Seats(attendees) {
			total += nodeMemory(b, name+"-"+p.ID)
		}
		return took, total / float64(attendees)
	}
	first, _ := up("bench-one", 1)
	three, memory := up("bench-three", 3)
	again, _ := up("bench-again", 1)
	one := (first + again) / 2
	f.add("class up for one attendee, twice", "%s, %s", first.Round(time.Second), again.Round(time.Second))
	f.add("class up for three at a time", "%s: %.2f times as long", three.Round(time.Second), three.Seconds()/one.Seconds())
	f.add("memory of a node", "%s an attendee", mebibytes(memory))
	f.print()
}

// testCourse is a course for the benchmarks.
func testCourse(b *testing.B) string {
	path, err := filepath.Abs("testdata/crowd")
	require.NoError(b, err)
	return path
}
