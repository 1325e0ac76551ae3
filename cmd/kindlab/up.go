package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kindlab/kindlab/checker"
	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
	"github.com/kindlab/kindlab/site"
	"github.com/kindlab/kindlab/site/join"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const sitePort = 8480

type upOptions struct {
	port   int
	listen string
	noSite bool
	made   madeOf
}

// madeOf is what an environment is made of, where it is not what is pinned.
type madeOf struct {
	image      string
	mesh       string
	istio, tag string // hub and tag
	metrics    bool
	prometheus string // image
}

func (m *madeOf) flags(f *pflag.FlagSet) {
	f.StringVar(&m.image, "node-image", "", "node image instead of the pinned one (KINDLAB_NODE_IMAGE)")
	f.StringVar(&m.istio, "istio-hub", "", "where Istio's images are, instead of "+provision.IstioHub+" (KINDLAB_ISTIO_HUB)")
	f.StringVar(&m.tag, "istio-tag", "", "their tag, instead of "+provision.IstioVersion+" (KINDLAB_ISTIO_TAG)")
	f.StringVar(&m.prometheus, "prometheus-image", "", "image of Prometheus instead of "+provision.PrometheusImage+" (KINDLAB_PROMETHEUS_IMAGE)")
}

func (m *madeOf) apply(e *provision.Environment) error {
	e.NodeImage = first(m.image, e.NodeImage)
	e.Mesh = provision.Mesh{Mode: m.mesh, Hub: first(m.istio, e.Mesh.Hub), Tag: first(m.tag, e.Mesh.Tag)}
	e.Metrics = provision.Metrics{Wanted: m.metrics, Image: first(m.prometheus, e.Metrics.Image)}
	return errors.Join(e.Mesh.Validate(), e.Metrics.Validate())
}

func newUp(a *app) *cobra.Command {
	o := upOptions{}
	c := &cobra.Command{
		Use:   "up [COURSE]",
		Short: "Make everything a course needs, and serve its pages",
		Long: `up looks whether this machine can carry the labs, makes the cluster, the local
registry, a mesh and Prometheus if a lab needs them, the labs' start states and work folders,
and serves the pages until Ctrl-C. The cluster stays then; run up again to go on. COURSE is the name of a
built-in course, or a folder. Without it, the last one is meant.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			return a.up(cmd.Context(), name, o)
		},
	}
	o.flags(c.Flags())
	return c
}

func (o *upOptions) flags(f *pflag.FlagSet) {
	f.IntVar(&o.port, "port", sitePort, "port of the pages; the next free one when it is taken")
	f.StringVar(&o.listen, "listen", "127.0.0.1", "address that the pages are served on")
	f.BoolVar(&o.noSite, "no-site", false, "make everything and end")
	f.StringVar(&o.made.mesh, "mesh", "", "make a mesh too, though no lab of the course needs one")
	f.Lookup("mesh").NoOptDefVal = "sidecar"
	f.BoolVar(&o.made.metrics, "metrics", false, "make a mesh and Prometheus too, though no lab of the course needs them")
	o.made.flags(f)
}

func (a *app) up(ctx context.Context, name string, o upOptions) error {
	started := time.Now()
	if err := a.notInClass("up"); err != nil {
		return err
	}
	s, err := a.newSession(ctx, name)
	if err != nil {
		return err
	}
	defer s.close()
	if err := o.made.apply(s.place); err != nil {
		return err
	}
	if o.port < 1 || o.port > 65535 {
		return fmt.Errorf("--port %d: a port is a number from 1 to 65535", o.port)
	}
	if err := s.preflight(ctx, o.port); err != nil {
		return err
	}
	if err := s.remember(ctx, first(name, a.courseName)); err != nil {
		return err
	}
	if err := s.converge(ctx); err != nil {
		return err
	}
	if o.noSite {
		fmt.Fprintf(a.err, "Ready after %s. Pages: kindlab up\n", took(time.Since(started)))
		return nil
	}
	return s.serve(ctx, o, started)
}

func (s *session) preflight(ctx context.Context, port int) error {
	end := s.place.Report.Begin("preflight")
	findings := preflight(ctx, s.place.Docker, port, s.place.WantsMesh(s.course), s.place.WantsMetrics(s.course))
	if ctx.Err() != nil { // then the engine seems not to answer
		end("", ctx.Err())
		return ctx.Err()
	}
	if err := failed(findings); err != nil {
		end("", err)
		s.writeFindings(findings, false)
		return &provision.Hinted{Err: err, Hint: "mend what is marked ✗, then run `kindlab up` again"}
	}
	detail := "all well"
	for _, f := range findings {
		if f.Level == provision.Warn {
			detail = "it will work, but:"
		}
	}
	end(detail, nil)
	s.writeFindings(findings, false)
	return nil
}

// remember makes the course the one that other commands mean.
func (s *session) remember(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	name, err := fromAnywhere(name)
	if err != nil {
		return err
	}
	return s.store.SetSetting(ctx, "course", name)
}

// fromAnywhere is a course's name as it is understood in every folder.
func fromAnywhere(name string) (string, error) {
	known, err := courses()
	if err != nil || slices.Contains(known, name) {
		return name, err
	}
	if name, err = filepath.Abs(name); err != nil {
		return "", fmt.Errorf("finding the course: %w", err)
	}
	return name, nil
}

// converge makes the environment.
func (s *session) converge(ctx context.Context) error {
	return s.place.Up(ctx, s.course, func() ([]*labs.Lab, error) { return s.allLabs(ctx) })
}

// serve serves the pages until ctx ends.
func (s *session) serve(ctx context.Context, o upOptions, started time.Time) error {
	s.line = s.openLine(s.logger())
	pages, err := s.site(ctx, o.listen)
	if err != nil {
		return err
	}
	if s.line != nil {
		defer s.runLine(ctx, pages)()
	}
	err = s.serveOn(ctx, pages, door{listen: o.listen, port: o.port, other: "kindlab up --port 9000"}, func(url string) {
		fmt.Fprintf(s.err, "\nReady after %s. Open %s\n", took(time.Since(started)), s.paint(bold, url+"/"+s.course.ID+"/"))
		fmt.Fprintf(s.err, "Commands go into another terminal: %s shell. Ctrl-C ends the pages; the cluster stays.\n", callMe())
		if s.joined.Joined() && !s.sends() {
			fmt.Fprintf(s.err, "The class %s learns %s: nothing of %s is sent to it.\n", clean(s.joined.Class), s.joined.Course, s.course.ID)
		}
		if s.line != nil {
			fmt.Fprintf(s.err, "Your verdicts go to the class %s, where you are %s.\n", clean(s.joined.Class), clean(s.joined.Name))
		}
	})
	if err == nil {
		fmt.Fprintln(s.err, "\nThe pages are closed. Go on with `kindlab up`; remove everything with `kindlab down`.")
	}
	return err
}

// site makes the pages of this session: the course, and the built-in ones beside it.
func (s *session) site(ctx context.Context, listen string) (*site.Site, error) {
	all, err := s.catalogue()
	if err != nil {
		return nil, err
	}
	go s.keeper.run(ctx, false)
	config := s.pages(ctx, all)
	config.Hosts = hostNames(listen)
	if s.line != nil {
		config.Notices = s.line.notices
	}
	return site.New(config)
}

// logger is where programs that serve say what goes wrong: on the terminal for those who want details.
// Who serves others reads in any case what they should know.
func (a *app) logger() *slog.Logger {
	switch {
	case a.verbose:
		return slog.New(slog.NewTextHandler(a.err, nil))
	case a.warns:
		return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	return slog.New(slog.DiscardHandler)
}

// pages wires the pages of courses to this session's attendee.
func (s *session) pages(ctx context.Context, all []*labs.Course) site.Config {
	log := s.logger()
	// in is the session of one of the courses.
	in := func(course string) *session {
		other := *s
		for _, c := range all {
			if c.ID == course {
				other.course = c
			}
		}
		return &other
	}
	return site.Config{
		Courses: all, Current: s.course.ID, Version: versions().Kindlab, Log: log,
		Lab:      func(course, lab string) (*labs.Lab, error) { return in(course).lab(ctx, lab) },
		Progress: func(course string) (labs.Progress, error) { return s.store.Progress(ctx, s.me, course) },
		Watch: func(ctx context.Context, course, lab string, send func([]labs.Verdict)) {
			if err := in(course).watch(ctx, lab, send); err != nil {
				log.Error("watching a lab", "lab", lab, "error", err)
			}
		},
		Reset: func(ctx context.Context, course, lab string, say func(string)) error {
			return in(course).reset(ctx, lab, saying(say))
		},
		Hint: func(course, lab, check string) {
			if err := s.store.Hint(ctx, s.me, course, lab, check, time.Now()); err != nil {
				log.Error("recording a hint", "error", err)
			}
		},
		Question: func(course, lab string, check *labs.Check) *site.Question {
			q, ok := checker.Asks(check)
			if !ok {
				return nil
			}
			given, err := s.store.Answered(ctx, s.me, course, lab, check.ID)
			if err != nil {
				log.Error("reading an answer", "error", err)
			}
			return &site.Question{Text: q.Text, Choices: q.Choices, Given: given, Most: checker.MaxAnswer}
		},
		Answer: func(ctx context.Context, course, lab, check, text string) error {
			return in(course).answer(ctx, lab, check, text)
		},
		Place: func(course, lab string) site.Place {
			p := site.Place{Work: s.place.LabFolder(course, lab), Shell: callMe() + " shell " + lab}
			if l := in(course).course.Lab(lab); l != nil && l.Wants("cluster") {
				p.Kubeconfig, p.Namespace = s.place.LabKubeconfig(lab), s.place.Namespace(lab)
			}
			return p
		},
	}
}

// callMe is how a person calls this program in a terminal: by its name if that finds
// it, else by its path.
func callMe() string {
	self, err := os.Executable()
	if err != nil {
		return "kindlab"
	}
	if found, err := exec.LookPath("kindlab"); err == nil {
		if a, err := os.Stat(found); err == nil {
			if b, err := os.Stat(self); err == nil && os.SameFile(a, b) {
				return "kindlab"
			}
		}
	}
	if strings.Contains(self, " ") {
		return strconv.Quote(self)
	}
	return self
}

// catalogue is this course and the built-in ones.
func (s *session) catalogue() ([]*labs.Course, error) {
	all := []*labs.Course{s.course}
	names, err := courses()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if name == s.course.ID {
			continue
		}
		c, err := loadCourse(name)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// watch sends the verdicts of a lab until ctx ends, and records what passes.
func (s *session) watch(ctx context.Context, id string, send func([]labs.Verdict)) error {
	engine, err := s.engine(ctx, id)
	if err != nil {
		return err
	}
	defer s.live.add(labs.Key(s.course.ID, id), engine)()
	passed := map[string]bool{}
	engine.Watch(ctx, func(vs []labs.Verdict) {
		s.keeper.keep(ctx, placeOf{s.me, s.course.ID, id}, news(vs, passed), s.record)
		send(vs)
	})
	return nil
}

// news are the verdicts but those that had passed the last time too, which it notes in
// passed. They are recorded, and must not be again: another process may begin the lab
// anew, and what has not been looked at since would be solved in it.
func news(vs []labs.Verdict, passed map[string]bool) []labs.Verdict {
	var out []labs.Verdict
	for _, v := range vs {
		is := v.State == labs.Passed
		if !is || !passed[v.Check] {
			out = append(out, v)
		}
		passed[v.Check] = is
	}
	return out
}

// engine decides the checks of a lab. Those to forget are looked at as if they had not
// passed before.
func (s *session) engine(ctx context.Context, id string, forget ...string) (*checker.Engine, error) {
	lab, err := s.lab(ctx, id)
	if err != nil {
		return nil, err
	}
	return checker.NewEngine(s.target(s.place, lab), func() labs.Progress {
		p, _ := s.store.Progress(ctx, s.me, s.course.ID)
		for _, check := range forget {
			delete(p, labs.Key(id, check))
		}
		return p
	})
}

// record keeps what passed, and what the hub of a class is to hear.
func (s *session) record(ctx context.Context, vs []labs.Verdict) error {
	if s.sends() {
		short := make([]labs.Verdict, len(vs))
		for i, v := range vs {
			short[i] = join.Trim(v, join.MostText)
		}
		news, err := s.store.Queue(ctx, s.me, s.course.ID, short)
		if news && s.line != nil {
			s.line.sender.Wake()
		}
		return err
	}
	for _, v := range vs {
		if v.State == labs.Passed {
			if err := s.store.Pass(ctx, s.me, s.course.ID, v.Lab, v.Check, v.At); err != nil {
				return err
			}
		}
	}
	return nil
}

// saying is a Reporter that says each step in one line.
type saying func(string)

// Begin implements [provision.Reporter].
func (say saying) Begin(what string) func(string, error) {
	say(what)
	return func(string, error) {}
}

// Note implements [provision.Reporter].
func (say saying) Note(text string) { say(text) }

// Echo implements [provision.Reporter].
func (say saying) Echo(string) {}
