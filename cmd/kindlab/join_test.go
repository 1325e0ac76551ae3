package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site"
	"github.com/kindlab/kindlab/site/class"
	"github.com/kindlab/kindlab/site/progress"
)

// hubs are the commands of scripts about classes:
//
//	hub COURSE [nofiles]   a hub until the script ends: $HUB, $CODE, and $LINK of Ada
//	gone                   its network is taken away, or is there again
//	revoke ID              an attendee's links and sessions end
//	passed ID CHECK…       exactly these checks passed, as the hub knows
//	elsewhere NAME WHAT    something that is no hub: pages, moved
func hubs() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	type running struct {
		store  *progress.Store
		away   bool
		course *labs.Course
	}
	all := map[string]*running{} // by the script's folder
	of := func(ts *testscript.TestScript) *running { return all[ts.MkAbs(".")] }
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"hub": func(ts *testscript.TestScript, _ bool, args []string) {
			name := args[0]
			if filepath.Base(name) == "tiny" {
				name = ts.MkAbs(name)
			}
			course, err := loadCourse(name)
			ts.Check(err)
			files, _, err := findCourse(name)
			ts.Check(err)
			store, err := progress.Open(ts.MkAbs("hub/progress.db"))
			ts.Check(err)
			h := &running{store: store, course: course}
			ctx := context.Background()
			code, err := class.NewCode(ctx, store)
			ts.Check(err)
			ada := labs.Person{ID: "ada", Name: "Ada Lovelace"}
			token, err := class.Invite(ctx, store, ada, false)
			ts.Check(err)
			config := class.Config{
				Class:  &labs.Class{Name: "monday", Course: course.ID, Isolation: labs.OwnMachine, Attendees: []labs.Person{ada}},
				Course: course, Store: store, Machines: store, Files: files,
				Pages: func(p labs.Person) site.Config {
					return site.Config{
						Courses:  []*labs.Course{course},
						Lab:      func(_, lab string) (*labs.Lab, error) { return course.FindLab(lab) },
						Progress: func(id string) (labs.Progress, error) { return store.Progress(ctx, p.ID, id) },
						Watch:    func(ctx context.Context, _, _ string, _ func([]labs.Verdict)) { <-ctx.Done() },
					}
				},
			}
			if slices.Contains(args, "nofiles") {
				config.Files = nil
			}
			hub, err := class.New(config)
			ts.Check(err)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if h.away {
					panic(http.ErrAbortHandler)
				}
				hub.ServeHTTP(w, r)
			}))
			ts.Defer(func() { hub.Close(); server.Close(); _ = store.Close() })
			all[ts.MkAbs(".")] = h
			ts.Setenv("HUB", server.URL)
			ts.Setenv("ADDRESS", server.Listener.Addr().String())
			ts.Setenv("CODE", code)
			ts.Setenv("LINK", server.URL+"/in/"+token)
		},
		"gone": func(ts *testscript.TestScript, neg bool, _ []string) { of(ts).away = !neg },
		"revoke": func(ts *testscript.TestScript, _ bool, args []string) {
			ts.Check(class.Revoke(context.Background(), of(ts).store, args[0]))
		},
		"passed": func(ts *testscript.TestScript, _ bool, args []string) {
			p, err := of(ts).store.Progress(context.Background(), args[0], of(ts).course.ID)
			ts.Check(err)
			got := []string{}
			for key := range p {
				got = append(got, key)
			}
			slices.Sort(got)
			if !slices.Equal(got, args[1:]) {
				ts.Fatalf("the hub knows of %v", got)
			}
		},
		"elsewhere": func(ts *testscript.TestScript, _ bool, args []string) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if args[1] == "moved" {
					http.Redirect(w, r, "https://class.example.com/", http.StatusTemporaryRedirect)
					return
				}
				fmt.Fprint(w, "<html>Welcome</html>")
			}))
			ts.Defer(server.Close)
			ts.Setenv(args[0], server.URL)
		},
	}
}
