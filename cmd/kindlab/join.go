package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
	"github.com/kindlab/kindlab/site/join"
	"github.com/spf13/cobra"
)

type joinOptions struct {
	code, name string
	ca         string
	noUp       bool
	up         upOptions
}

func newJoin(a *app) *cobra.Command {
	o := joinOptions{code: a.env("KINDLAB_CODE")}
	c := &cobra.Command{
		Use:   "join HUB --code CODE --name NAME | join LINK",
		Short: "Join a class with this machine",
		Long: `join takes this machine into a class: by the address of its hub with the class's code and
your name, or by your personal link. Then it makes everything here, as up does, and what you solve
shows on the instructor's board.

Only verdicts are sent: which check passes, and what a failing one says. When the hub cannot be reached
they wait, and you go on learning. kindlab up goes on another day; kindlab leave ends it.`,
		Example: "  kindlab join http://192.0.2.7:8480 --code abcd-efgh --name \"Ada Lovelace\"\n  kindlab join https://class.example.com/in/TOKEN",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.join(cmd.Context(), args[0], o) },
	}
	f := c.Flags()
	f.StringVar(&o.code, "code", o.code, "the class's code (KINDLAB_CODE)")
	f.StringVar(&o.name, "name", "", "your name, as the class knows you")
	f.StringVar(&o.ca, "ca", "", "file with the certificate by which the hub's is to be trusted")
	f.BoolVar(&o.noUp, "no-up", false, "only join; kindlab up makes everything later")
	o.up.flags(f)
	return c
}

func (a *app) join(ctx context.Context, where string, o joinOptions) error {
	hub, token, err := join.ParseHub(where)
	if err != nil {
		return &provision.Hinted{Err: err, Hint: "give what stands in the hand-out: kindlab join http://HOST:PORT --code CODE --name NAME, or your personal link"}
	}
	place, err := join.ReadPlace(a.placeFile())
	if err != nil {
		return &provision.Hinted{Err: err, Hint: "remove that file, then join again"}
	}
	if place.Joined() && place.Hub != hub {
		return &provision.Hinted{Err: fmt.Errorf("this machine is in the class %s at %s", place.Class, place.Hub), Hint: "`kindlab leave` ends that; then join again"}
	}
	if token == "" && o.code == "" && o.name == "" && place.Joined() {
		fmt.Fprintf(a.err, "This machine is in the class %s already, as %s.\n", place.Class, clean(place.Name))
	} else if err := a.enter(ctx, place, hub, token, o); err != nil {
		return explainJoin(err, where)
	}
	if o.noUp {
		fmt.Fprintln(a.err, "Go on with `kindlab up`.")
		return nil
	}
	return a.up(ctx, "", o.up)
}

// enter joins, and remembers it.
func (a *app) enter(ctx context.Context, place *join.Place, hub, token string, o joinOptions) error {
	if token == "" && (o.code == "" || o.name == "") {
		return &provision.Hinted{Err: errors.New("who are you? The hub wants the class's code and your name"), Hint: "kindlab join " + hub + " --code CODE --name NAME; a personal link needs neither"}
	}
	if o.ca != "" {
		ca, err := os.ReadFile(o.ca)
		if err != nil {
			return fmt.Errorf("--ca: %w", err)
		}
		place.CA = string(ca)
	}
	if strings.HasPrefix(hub, "http://") {
		fmt.Fprintf(a.err, "%s The way to the hub is not encrypted (http://): on it, others in this network can read your link, the code and your verdicts, and change the course. Use it only in a network that you trust.\n", a.paint(yellow, "!"))
	}
	if place.Machine == "" {
		place.Machine = join.NewMachine()
		// It is kept first: joining again after a crash is no second machine.
		if err := place.Write(a.placeFile()); err != nil {
			return err
		}
	}
	client, err := join.NewClient(hub, place.CA)
	if err != nil {
		return err
	}
	defer client.Close()
	docker, _ := provision.Connect(ctx)
	v := versions()
	q := join.Request{Code: o.code, Name: o.name, Token: token, Machine: place.Machine, Version: v.Kindlab, Platform: v.Platform}
	for _, f := range preflight(ctx, docker, 0, false, false) {
		q.Preflight = append(q.Preflight, join.Finding{Name: f.Name, Level: string(f.Level), Found: f.Found})
	}
	welcome, err := client.Join(ctx, q)
	if err != nil {
		return err
	}
	return a.settleIn(ctx, client, place, hub, welcome)
}

// settleIn gets the course, and remembers the class.
func (a *app) settleIn(ctx context.Context, client *join.Client, place *join.Place, hub string, w join.Welcome) error {
	if !labs.ValidID(w.Course) {
		return &join.Unreachable{Hub: hub, Err: join.ErrNoHub}
	}
	course, err := a.courseOf(ctx, client, w)
	if err != nil {
		return err
	}
	store, err := a.store()
	if err != nil {
		return err
	}
	defer store.Close()
	if err := store.BeginOutbox(ctx, a.me, w.Course); err != nil {
		return err
	}
	if err := store.SetSetting(ctx, "course", course); err != nil {
		return err
	}
	place.Hub, place.Token, place.Class, place.Course = hub, w.Token, w.Class, w.Course
	place.ID, place.Name, place.Attendee = w.ID, w.Name, a.me
	if err := place.Write(a.placeFile()); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "%s You are in the class %s as %s. The course is %s.\n", a.paint(green, "✓"), clean(w.Class), clean(w.Name), w.Course)
	return nil
}

// courseOf finds the course that the class learns: the one that --course names, the
// built-in one when it is the same, else the hub's own.
func (a *app) courseOf(ctx context.Context, client *join.Client, w join.Welcome) (string, error) {
	if a.courseName != "" {
		c, err := loadCourse(a.courseName)
		if err != nil {
			return "", err
		}
		if c.ID != w.Course {
			return "", &provision.Hinted{Err: fmt.Errorf("the class learns %s, not %s", w.Course, c.ID), Hint: "leave --course away"}
		}
		return fromAnywhere(a.courseName)
	}
	known, err := courses()
	if err != nil {
		return "", err
	}
	if slices.Contains(known, w.Course) {
		own, _, err := findCourse(w.Course)
		if err != nil {
			return "", err
		}
		sum, err := join.Sum(own)
		if err != nil {
			return "", err
		}
		if w.Sum == "" || w.Sum == sum {
			return w.Course, nil
		}
	}
	if w.Sum == "" {
		return "", &provision.Hinted{Err: fmt.Errorf("this kindlab has no course %s, and the hub does not give it out", w.Course),
			Hint: "ask your instructor for the course's folder, and join with --course FOLDER"}
	}
	dir := filepath.Join(a.state, "courses", w.Course)
	if sum, err := join.Sum(os.DirFS(dir)); err != nil || sum != w.Sum {
		if err := client.Course(ctx, w.Token, dir, w.Sum); err != nil {
			return "", fmt.Errorf("getting the course %s from the hub: %w", w.Course, err)
		}
		fmt.Fprintf(a.err, "%s The course %s came from the hub: its scripts run on this machine.\n", a.paint(yellow, "!"), w.Course)
	}
	if _, err := loadCourse(dir); err != nil {
		return "", &provision.Hinted{Err: err, Hint: "use the kindlab that your instructor uses: `kindlab version` says which this is"}
	}
	return dir, nil
}

// explainJoin says what to do when joining failed.
func explainJoin(err error, where string) error {
	if hinted := new(provision.Hinted); errors.As(err, &hinted) {
		return err
	}
	hint := ""
	no, gone := new(join.Refusal), new(join.Unreachable)
	switch {
	case errors.As(err, &no):
		hint = map[string]string{
			join.ReasonCode:     "look at the hand-out: the code has eight letters or digits, such as abcd-efgh",
			join.ReasonLink:     "use your newest link, or ask your instructor for one",
			join.ReasonTaken:    "use your personal link: kindlab join LINK",
			join.ReasonPlace:    "give your name as it stands on the list, or ask your instructor",
			join.ReasonName:     "give another --name",
			join.ReasonProtocol: "use the kindlab that your instructor uses: `kindlab version` says which this is",
			join.ReasonFull:     "tell your instructor, then join again",
		}[no.Reason]
		if no.Reason == join.ReasonTaken && no.Try != "" {
			hint += fmt.Sprintf("; if you are another person: --name %q", no.Try)
		}
		if no.After > 0 {
			hint = fmt.Sprintf("wait %s, then join again", no.After)
		}
	case errors.As(err, &gone):
		hint = "is the address right, does the hub run, and is this machine in its network?"
		for _, known := range []struct {
			is   error
			hint string
		}{
			{join.ErrNoHub, "look at the hand-out: the address is that of `kindlab class serve`"},
			{join.ErrMoved, "use that address, if you know it to be the hub's"},
			{join.ErrNeedsTLS, "use https://: kindlab join " + strings.Replace(where, "http://", "https://", 1)},
			{join.ErrNoTLS, "use http://: kindlab join " + strings.Replace(where, "https://", "http://", 1)},
			{join.ErrUnknown, "ask your instructor for the hub's certificate, and give its file with --ca"},
		} {
			if errors.Is(err, known.is) {
				hint = known.hint
			}
		}
	}
	if hint == "" {
		return fmt.Errorf("joining: %w", err)
	}
	return &provision.Hinted{Err: fmt.Errorf("joining: %w", err), Hint: hint}
}
