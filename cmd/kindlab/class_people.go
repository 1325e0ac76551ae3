package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
	"github.com/kindlab/kindlab/site/class"
	"github.com/kindlab/kindlab/site/progress"
)

// members are the people of a class.
type members []progress.Member

// has reports whether somebody is called id, or was.
func (ms members) has(id string) bool {
	return slices.ContainsFunc(ms, func(m progress.Member) bool { return m.ID == id })
}

// attendees are those who learn, in order.
func (ms members) attendees() []labs.Person {
	var out []labs.Person
	for _, m := range ms {
		if !m.Instructor && !m.Removed {
			out = append(out, m.Person)
		}
	}
	return out
}

// with are ms and those attendees who are not among them.
func (ms members) with(attendees []labs.Person) members {
	all := slices.Clone(ms)
	for _, p := range attendees {
		if !ms.has(p.ID) {
			all = append(all, progress.Member{Person: p})
		}
	}
	return all
}

func (c *classroom) people(ctx context.Context) (members, error) {
	all, err := c.store.Members(ctx)
	return members(all), err
}

func (c *classroom) attendees(ctx context.Context) ([]labs.Person, error) {
	all, err := c.people(ctx)
	return all.attendees(), err
}

// everybody are the ids of all attendees who may have left something: those of
// class.yaml, and all who were ever in the class.
func (c *classroom) everybody(ctx context.Context) ([]string, error) {
	all, err := c.people(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, m := range all.with(c.class.Attendees) {
		if !m.Instructor {
			ids = append(ids, m.ID)
		}
	}
	return ids, nil
}

// leaving finds whom `class remove` means: also somebody whose removal was cut off.
func (c *classroom) leaving(ctx context.Context, id string) (labs.Person, error) {
	all, err := c.people(ctx)
	if err != nil {
		return labs.Person{}, err
	}
	for _, m := range all {
		if m.ID == id && m.Removed && !m.Instructor {
			return m.Person, nil
		}
	}
	return c.attendee(ctx, id)
}

// attendee finds one by id, and says whom there is.
func (c *classroom) attendee(ctx context.Context, id string) (labs.Person, error) {
	all, err := c.attendees(ctx)
	if err != nil {
		return labs.Person{}, err
	}
	var names []string
	for _, p := range all {
		if p.ID == id {
			return p, nil
		}
		names = append(names, p.ID)
	}
	err = fmt.Errorf("there is no attendee %.80q", clean(id))
	if near := labs.Nearest(id, names); near != "" {
		return labs.Person{}, &provision.Hinted{Err: err, Hint: "did you mean " + near + "?"}
	}
	return labs.Person{}, &provision.Hinted{Err: err, Hint: "`kindlab class status` lists them; names that were added to class.yaml come in with `kindlab class up`"}
}

// links are the secrets of a class that its hand-out shows. The store has only their
// hashes; this file lies beside it for those who print.
type links struct {
	Code   string            `json:"code"`   // of the class
	Tokens map[string]string `json:"tokens"` // by person
}

func (c *classroom) linksFile() string { return filepath.Join(c.state, "links.json") }

func (c *classroom) readLinks() (links, error) {
	l := links{Tokens: map[string]string{}}
	data, err := os.ReadFile(c.linksFile())
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	} else if err != nil {
		return l, fmt.Errorf("reading the links: %w", err)
	}
	if err := json.Unmarshal(data, &l); err != nil {
		return l, &provision.Hinted{Err: fmt.Errorf("reading the links in %s: %w", c.linksFile(), err), Hint: "remove the file and run `kindlab class up`: everybody gets a new link"}
	}
	if l.Tokens == nil {
		l.Tokens = map[string]string{}
	}
	return l, nil
}

func (c *classroom) writeLinks(l links) error {
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	if err := provision.WriteFile(c.linksFile(), data); err != nil {
		return fmt.Errorf("writing the links: %w", err)
	}
	return nil
}

// admit enters people into the class, each with a link of their own. Who is there
// already keeps theirs, also one that was renewed on the board, and who was removed
// stays out. A link that is being made is noted first, so that a run that is cut
// off leaves none that nobody has.
func (c *classroom) admit(ctx context.Context, attendees, instructors []labs.Person) error {
	known, err := c.people(ctx)
	if err != nil {
		return err
	}
	l, err := c.readLinks()
	if err != nil {
		return err
	}
	if l.Code == "" {
		if l.Code, err = class.NewCode(ctx, c.store); err != nil {
			return err
		}
		if err := c.writeLinks(l); err != nil {
			return err
		}
	}
	all := known.with(attendees)
	for _, p := range instructors {
		if !known.has(p.ID) {
			all = append(all, progress.Member{Person: p, Instructor: true})
		}
	}
	for _, m := range all {
		if m.Removed || m.Token != nil && l.Tokens[m.ID] != "" {
			continue
		}
		l.Tokens[m.ID] = ""
		if err := c.writeLinks(l); err != nil {
			return err
		}
		if l.Tokens[m.ID], err = class.Invite(ctx, c.store, m.Person, m.Instructor); err != nil {
			return err
		}
		if err := c.writeLinks(l); err != nil {
			return err
		}
	}
	return c.remember(ctx)
}

// remember makes the class's course the one that commands in a shell of the class mean.
func (c *classroom) remember(ctx context.Context) error {
	return c.store.SetSetting(ctx, "course", c.courseName)
}

// dismiss takes somebody out of the class: their link and their sessions end.
func (c *classroom) dismiss(ctx context.Context, id string) error {
	if err := class.Remove(ctx, c.store, id); err != nil {
		return err
	}
	l, err := c.readLinks()
	if err != nil {
		return err
	}
	delete(l.Tokens, id)
	return c.writeLinks(l)
}

// forgetLinks ends everybody's link and removes the hand-out.
func (c *classroom) forgetLinks(ctx context.Context) error {
	all, err := c.people(ctx)
	if err != nil {
		return err
	}
	for _, m := range all {
		if err := class.Revoke(ctx, c.store, m.ID); err != nil {
			return err
		}
	}
	for _, f := range []string{c.linksFile(), c.handoutFile()} {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the links: %w", err)
		}
	}
	return nil
}

func (c *classroom) handoutFile() string { return filepath.Join(c.state, "handout.html") }

// writeHandout writes the page to print: how each comes in.
func (c *classroom) writeHandout(ctx context.Context) (file string, err error) {
	all, err := c.people(ctx)
	if err != nil {
		return "", err
	}
	l, err := c.readLinks()
	if err != nil {
		return "", err
	}
	out := class.Handout{Class: c.class.Name, Course: c.course.Title, Hub: c.url, Code: l.Code, Machines: c.class.Isolation == labs.OwnMachine}
	for _, m := range all {
		// A link that was renewed on the board is not known here.
		token := l.Tokens[m.ID]
		if hash := sha256.Sum256([]byte(token)); bytes.Equal(m.Token, hash[:]) && !m.Removed {
			out.Links = append(out.Links, class.Link{Person: m.Person, Instructor: m.Instructor, URL: c.url + "/in/" + token})
		}
	}
	page, err := out.HTML()
	if err != nil {
		return "", fmt.Errorf("making the hand-out: %w", err)
	}
	if err := provision.WriteFile(c.handoutFile(), page); err != nil {
		return "", fmt.Errorf("writing the hand-out: %w", err)
	}
	return c.handoutFile(), nil
}
