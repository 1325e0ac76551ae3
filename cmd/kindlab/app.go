package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/kindlab/kindlab/checker"
	"github.com/kindlab/kindlab/content"
	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
	"github.com/kindlab/kindlab/site/join"
	"github.com/kindlab/kindlab/site/progress"
	"github.com/moby/moby/client"
	"golang.org/x/term"
)

// app is what all commands share: the streams and the flags.
type app struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string
	terminal bool // err is a terminal: progress may move
	colour   bool // out and err are painted

	me         string // the attendee; on a laptop there is just one
	verbose    bool
	warns      bool // warnings of what serves are printed
	state      string
	work       string
	cluster    string
	courseName string
	class      string // whose attendee's shell this is
	output     string
}

func newApp(in io.Reader, out, errOut io.Writer, env func(string) string) *app {
	a := &app{in: in, out: out, err: errOut, env: env}
	a.terminal = isTerminal(errOut)
	a.colour = a.terminal && isTerminal(out) && env("NO_COLOR") == "" && env("TERM") != "dumb"
	a.state = first(env("KINDLAB_STATE"), defaultState(env))
	home, _ := os.UserHomeDir()
	a.work = first(env("KINDLAB_WORK"), filepath.Join(home, "kindlab"))
	a.cluster = first(env("KINDLAB_CLUSTER"), "kindlab")
	a.courseName = env("KINDLAB_COURSE")
	a.class = env("KINDLAB_CLASS")
	a.me = first(env("KINDLAB_ATTENDEE"), "me")
	return a
}

// defaultState is the user's folder for what programs remember.
func defaultState(env func(string) string) string {
	if dir := env("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "kindlab")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(os.TempDir(), "kindlab")
	}
	if runtime.GOOS == "linux" {
		return filepath.Join(home, ".local", "state", "kindlab")
	}
	if dir, err := os.UserConfigDir(); err == nil {
		return filepath.Join(dir, "kindlab")
	}
	return filepath.Join(home, ".kindlab")
}

// first returns the first word that is not empty.
func first(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// store opens the progress file.
func (a *app) store() (*progress.Store, error) {
	store, err := progress.Open(filepath.Join(a.state, "progress.db"))
	if err != nil {
		return nil, &provision.Hinted{Err: err, Hint: "mend that, or choose another folder with --state or KINDLAB_STATE"}
	}
	return store, nil
}

// courses are the names of the courses inside the binary.
func courses() ([]string, error) {
	entries, err := fs.ReadDir(content.Courses(), ".")
	if err != nil {
		return nil, fmt.Errorf("reading the built-in courses: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// loadCourse reads a built-in course by name, or the folder at a path.
func loadCourse(name string) (*labs.Course, error) {
	fsys, id, err := findCourse(name)
	if err != nil {
		return nil, err
	}
	c, err := labs.Load(fsys, id)
	if errors.Is(err, labs.ErrNotCourse) {
		return nil, &provision.Hinted{Err: fmt.Errorf("%s is %w", name, err), Hint: "name the folder that holds course.yaml and the labs' folders"}
	}
	var wrong labs.Problems
	if err != nil && !errors.As(err, &wrong) {
		return nil, fmt.Errorf("reading course %s: %w", name, err)
	}
	wrong = append(wrong, checker.Lint(c)...)
	if len(wrong) > 0 {
		wrong.Sort()
		return c, &provision.Hinted{Err: fmt.Errorf("course %s has mistakes:\n%w", name, wrong), Hint: "mend these lines; `kindlab course lint " + name + "` shows them all"}
	}
	return c, nil
}

// findCourse finds the files of a built-in course by name, or of the folder at a path.
func findCourse(name string) (fsys fs.FS, id string, err error) {
	known, err := courses()
	if err != nil {
		return nil, "", err
	}
	if slices.Contains(known, name) {
		if fsys, err = fs.Sub(content.Courses(), name); err != nil {
			return nil, "", fmt.Errorf("reading course %s: %w", name, err)
		}
		return fsys, name, nil
	}
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		hint := "the courses are " + strings.Join(known, ", ") + "; a course of your own is named by its folder, such as ./my-course"
		if near := labs.Nearest(name, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		return nil, "", &provision.Hinted{Err: fmt.Errorf("there is no course %q", name), Hint: hint}
	}
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, "", fmt.Errorf("finding course %s: %w", name, err)
	}
	return os.DirFS(abs), filepath.Base(abs), nil
}

// A session is a course with its environment and progress, for one attendee.
type session struct {
	*app
	course *labs.Course
	place  *provision.Environment
	store  *progress.Store
	keeper *keeper          // of what passes while somebody watches
	shared *checker.Watcher // by all labs and attendees
	live   *engines
	own    *ownLabs            // nil to remember none
	free   func(port int) bool // whether a port of the host may be drawn; nil for those that nothing listens on
	joined *join.Place         // where this machine is in a class; nil when it cannot be
	line   *hubLine            // to the hub of that class; nil when nothing is sent from here
}

func (s *session) close() { _ = s.store.Close() }

// newSession opens the course called name, or when name is empty the one that was
// last up. It asks Docker nothing yet.
func (a *app) newSession(ctx context.Context, name string) (*session, error) {
	if !labs.ValidID(a.me) {
		return nil, fmt.Errorf("KINDLAB_ATTENDEE=%s: use small letters, digits and '-', 2 to 32 of them", a.me)
	}
	store, err := a.store()
	if err != nil {
		return nil, err
	}
	name = first(name, a.courseName)
	if name == "" {
		if name, err = store.Setting(ctx, "course"); err != nil {
			return nil, err
		}
	}
	name = first(name, "docker-to-helm")
	course, err := loadCourse(name)
	if err != nil {
		_ = store.Close()
		return nil, err
	}
	docker, err := provision.Connect(ctx)
	if err != nil {
		_ = store.Close()
		return nil, err
	}
	return &session{app: a, course: course, store: store, keeper: newKeeper(store, a.logger()), shared: checker.NewWatcher(), live: &engines{}, own: &ownLabs{}, joined: a.inClass(), place: a.place(docker, a.reporter())}, nil
}

// place is an environment as the flags and settings say. It asks nothing yet.
func (a *app) place(docker *client.Client, r provision.Reporter) *provision.Environment {
	return &provision.Environment{
		Cluster: a.cluster, State: a.state, Work: a.work, Attendee: a.me, Docker: docker, Report: r,
		NodeImage: first(a.env("KINDLAB_NODE_IMAGE"), provision.DefaultNodeImage),
		Mesh:      provision.Mesh{Hub: a.env("KINDLAB_ISTIO_HUB"), Tag: a.env("KINDLAB_ISTIO_TAG")},
		Metrics:   provision.Metrics{Image: a.env("KINDLAB_PROMETHEUS_IMAGE")},
	}
}

// attached is newSession with what is running found.
func (a *app) attached(ctx context.Context, name string) (*session, error) {
	s, err := a.newSession(ctx, name)
	if err != nil {
		return nil, err
	}
	// Without Docker there is still a course to show, and verdicts say that they are unknown.
	if err := s.place.Attach(ctx); err != nil && ctx.Err() != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// lab is the attendee's own version of a lab.
func (s *session) lab(ctx context.Context, id string) (*labs.Lab, error) {
	template, err := s.course.FindLab(id)
	if err != nil {
		return nil, err
	}
	own, err := s.values(ctx, template)
	if err != nil {
		return nil, err
	}
	return s.own.of(template, own)
}

// ownLabs remember an attendee's own versions of some labs: to make one takes longer
// than the rest of a page, and pages are loaded again and again.
type ownLabs struct {
	mu   sync.Mutex
	made map[*labs.Lab]*labs.Lab // by template
}

const mostOwnLabs = 4

// of is the template with the values. Nobody changes a lab that was made.
func (o *ownLabs) of(template *labs.Lab, v labs.Values) (*labs.Lab, error) {
	if o == nil {
		return template.For(v)
	}
	o.mu.Lock()
	made := o.made[template]
	o.mu.Unlock()
	if made != nil && maps.Equal(made.Values, v) {
		return made, nil
	}
	made, err := template.For(v)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.made == nil || len(o.made) >= mostOwnLabs {
		o.made = map[*labs.Lab]*labs.Lab{} // who goes through all labs of a course needs few at a time
	}
	o.made[template] = made
	return made, nil
}

// allLabs are the attendee's labs in order.
func (s *session) allLabs(ctx context.Context) ([]*labs.Lab, error) {
	var all []*labs.Lab
	for _, l := range s.course.Labs {
		own, err := s.lab(ctx, l.ID)
		if err != nil {
			return nil, err
		}
		all = append(all, own)
	}
	return all, nil
}

// values are what @{name} stands for, drawn when they are asked for first.
func (s *session) values(ctx context.Context, lab *labs.Lab) (labs.Values, error) {
	drawn, err := s.store.Values(ctx, s.me, s.course.ID, lab.ID)
	if err != nil {
		return nil, err
	}
	free := s.free
	if free == nil {
		free = provision.PortFree
	}
	missing := labs.Values{}
	for name, spec := range lab.Specs {
		if drawn[name] != "" {
			continue
		}
		seed, err := s.seed(ctx)
		if err != nil {
			return nil, err
		}
		missing[name] = drawValue(spec, seed+s.me+"/"+s.course.ID+"/"+lab.ID, name, free)
	}
	if len(missing) > 0 {
		if drawn, err = s.store.PutValues(ctx, s.me, s.course.ID, lab.ID, missing); err != nil {
			return nil, err
		}
	}
	return drawn.With(builtin(s.place, s.course.ID, lab.ID)), nil
}

// drawValue draws a value, and for a port steps over those that are not free.
func drawValue(spec labs.ValueSpec, seed, name string, free func(port int) bool) string {
	for try := range spec.Tries() {
		value := spec.Draw(seed, name, try)
		var port int
		if _, err := fmt.Sscan(value, &port); spec.Port == nil || err != nil || free(port) {
			return value
		}
	}
	return spec.Draw(seed, name, 0)
}

// builtin are the values that every lab has.
func builtin(place *provision.Environment, course, lab string) labs.Values {
	return labs.Values{
		"attendee": place.Attendee, "course": course, "lab": lab, "ns": place.Namespace(lab),
		"registry": first(place.Registry, "localhost:5001"), "gateway": first(place.Gateway, "localhost:8580"), "work": place.LabFolder(course, lab),
	}
}

// seed is this installation's own, so that no two people draw the same values.
func (s *session) seed(ctx context.Context) (string, error) {
	seed, err := s.store.Setting(ctx, "seed")
	if err != nil || seed != "" {
		return seed, err
	}
	seed = rand.Text()
	return seed, s.store.SetSetting(ctx, "seed", seed)
}

// target is an attendee's world for a lab, as checks see it.
func (s *session) target(place *provision.Environment, lab *labs.Lab) *checker.Target {
	t := &checker.Target{
		Lab: lab, Namespace: place.Namespace(lab.ID), Work: place.LabFolder(s.course.ID, lab.ID), Docker: place.Docker,
		Probe:    checker.Probe{Namespace: provision.SystemNamespace, Name: provision.ProbeName},
		Registry: place.Registry, Attendee: place.Attendee, Watcher: s.shared,
	}
	if lab.Wants("cluster") {
		t.Cluster, _ = place.Rest() // without one, verdicts are unknown
	}
	t.Answer = func(ctx context.Context, check string) (string, error) {
		return s.store.Answered(ctx, place.Attendee, s.course.ID, lab.ID, check)
	}
	own := *s
	own.place = place
	t.Shell = func(ctx context.Context, script string) (string, int, error) {
		env, err := own.labEnv(lab.ID)
		if err != nil {
			return "", 0, err
		}
		r := &runner{place: place, course: s.course.ID, lab: lab, env: env}
		return r.output(ctx, script)
	}
	return t
}

// current is the lab where the attendee is: that of the shell or the folder they
// are in, else the first that is not solved. Labs that do not want need are passed
// over, if need is not empty.
func (s *session) current(ctx context.Context, need string) (string, error) {
	p, err := s.store.Progress(ctx, s.me, s.course.ID)
	if err != nil {
		return "", err
	}
	dir, _ := os.Getwd()
	here, open, some := "", "", ""
	for _, l := range s.course.Labs {
		if need != "" && !l.Wants(need) {
			continue
		}
		some = first(some, l.ID)
		if l.ID == s.env("KINDLAB_LAB") {
			return l.ID, nil
		}
		if rel, err := filepath.Rel(s.place.LabFolder(s.course.ID, l.ID), dir); err == nil && filepath.IsLocal(rel) {
			here = l.ID
		}
		if solved, total := p.Lab(l); solved < total {
			open = first(open, l.ID)
		}
	}
	if some == "" {
		return "", fmt.Errorf("no lab of the course %s needs a %s", s.course.ID, need)
	}
	return first(here, open, some), nil
}

// writeJSON writes a result for programs.
func (a *app) writeJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
