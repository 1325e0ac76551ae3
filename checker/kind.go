package checker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kindlab/kindlab/labs"
)

// A kind is one kind of check. Its fields are what an author writes in a check.
type kind interface {
	// validate says what is wrong with the fields, beyond what decoding finds.
	validate() error
	// look observes the target. No findings means that the check passes. An error
	// means that the target could not be observed, so that nothing is known.
	look(ctx context.Context, t *Target) ([]labs.Finding, error)
}

// An entry is a kind of check in the list of all.
type entry struct {
	name    string
	make    func() kind
	summary string // what passes, one sentence
	needs   string // what the lab must say that it needs: docker, cluster or nothing
	example string // YAML, as it stands in a check
	about   string // how it decides: what an author cannot see from the fields
}

// A needer is a kind that only knows from its fields what it needs.
type needer interface{ needs() string }

// A named kind is told the id of its check.
type named interface{ named(id string) }

// A reader is a kind that may be written in a file of its check's lab.
type reader interface {
	read(file func(name string) (string, error)) error
}

// find is the entry of a kind's name.
func find(name string) (entry, bool) {
	for _, e := range allKinds() {
		if e.name == name {
			return e, true
		}
	}
	return entry{}, false
}

// Kinds are the names of all kinds of check.
func Kinds() []string {
	var names []string
	for _, e := range allKinds() {
		names = append(names, e.name)
	}
	return names
}

// decode makes the kind that c asks for. Its errors are [labs.LineError].
func decode(c *labs.Check) (kind, error) {
	e, known := find(c.Kind)
	if !known {
		text := fmt.Sprintf("unknown kind of check %q; known are %s", c.Kind, strings.Join(Kinds(), ", "))
		if near := labs.Nearest(c.Kind, Kinds()); near != "" {
			text = fmt.Sprintf("unknown kind of check %q; did you mean %q?", c.Kind, near)
		}
		return nil, labs.LineError{Line: c.Spec.Line, Text: text}
	}
	k := e.make()
	if err := labs.Decode(c.Spec, k); err != nil {
		return nil, err
	}
	if n, ok := k.(named); ok {
		n.named(c.ID)
	}
	err := k.validate()
	if r, ok := k.(reader); ok && err == nil {
		err = r.read(c.ReadFile)
	}
	if err != nil {
		return nil, labs.LineError{Line: c.Spec.Line, Text: c.Kind + ": " + err.Error()}
	}
	return k, nil
}

// Lint reports the checks of a course that cannot be evaluated as they are written.
func Lint(course *labs.Course) labs.Problems {
	var ps labs.Problems
	for _, lab := range course.Labs {
		for _, c := range lab.Checks() {
			if c.Spec == nil {
				continue // labs has said so
			}
			k, err := decode(c)
			for _, e := range labs.LineErrors(err) {
				ps = append(ps, labs.Problem{File: c.File, Line: e.Line, Text: fmt.Sprintf("check %s: %s", c.ID, e.Text)})
			}
			if err != nil {
				continue
			}
			if need := needOf(c.Kind, k); need != "" && !lab.Wants(need) {
				ps = append(ps, labs.Problem{File: c.File, Line: c.Line,
					Text: fmt.Sprintf("check %s: the lab must say needs: [%s] for a check of kind %s", c.ID, need, c.Kind)})
			}
		}
	}
	ps.Sort()
	return ps
}

// needOf is the need that a lab must state for a check, or "".
func needOf(name string, k kind) string {
	if n, ok := k.(needer); ok {
		return n.needs()
	}
	e, _ := find(name)
	return e.needs
}

// errUnreachable marks errors after which nothing is known: a connection that
// failed, not an answer that said no.
var errUnreachable = errors.New("cannot be reached")

// unreachable wraps err; what is the part of the environment, such as Docker.
func unreachable(what string, err error) error {
	return fmt.Errorf("%s %w: %w", what, errUnreachable, err)
}
