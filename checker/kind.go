package checker

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// newKind makes an empty check of the named kind; nil when there is no such kind.
func newKind(name string) kind {
	switch name {
	case "cel":
		return &celCheck{}
	case "chart":
		return &chartCheck{}
	case "container":
		return &containerCheck{}
	case "dns":
		return &dnsCheck{}
	case "http":
		return &httpCheck{}
	case "image":
		return &imageCheck{}
	case "object":
		return &objectCheck{}
	case "release":
		return &releaseCheck{}
	}
	return nil
}

// Kinds are the names of all kinds of check.
func Kinds() []string {
	return []string{"cel", "chart", "container", "dns", "http", "image", "object", "release"}
}

// decode makes the kind that c asks for. Its errors are [labs.LineError].
func decode(c *labs.Check) (kind, error) {
	k := newKind(c.Kind)
	if k == nil {
		text := fmt.Sprintf("unknown kind of check %q; known are %s", c.Kind, strings.Join(Kinds(), ", "))
		if near := labs.Nearest(c.Kind, Kinds()); near != "" {
			text = fmt.Sprintf("unknown kind of check %q; did you mean %q?", c.Kind, near)
		}
		return nil, labs.LineError{Line: c.Spec.Line, Text: text}
	}
	if err := labs.Decode(c.Spec, k); err != nil {
		return nil, err
	}
	if err := k.validate(); err != nil {
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
			_, err := decode(c)
			for _, e := range labs.LineErrors(err) {
				ps = append(ps, labs.Problem{File: c.File, Line: e.Line, Text: fmt.Sprintf("check %s: %s", c.ID, e.Text)})
			}
			if need := wants(c.Kind, c); need != "" && !slices.ContainsFunc(strings.Split(need, "|"), lab.Wants) {
				ps = append(ps, labs.Problem{File: c.File, Line: c.Line,
					Text: fmt.Sprintf("check %s: the lab must say needs: [%s] for a check of kind %s", c.ID, need, c.Kind)})
			}
		}
	}
	ps.Sort()
	return ps
}

// wants is the need that a lab must state for a check, or "".
func wants(kind string, c *labs.Check) string {
	switch kind {
	case "image", "container":
		return "docker"
	case "object", "cel", "dns", "release":
		return "cluster"
	case "http":
		if h := (&httpCheck{}); c.Spec.Decode(h) == nil && h.From == fromCluster {
			return "cluster"
		}
	}
	return ""
}

// errUnreachable marks errors after which nothing is known: a connection that
// failed, not an answer that said no.
var errUnreachable = errors.New("cannot be reached")

// unreachable wraps err; what is the part of the environment, such as Docker.
func unreachable(what string, err error) error {
	return fmt.Errorf("%s %w: %w", what, errUnreachable, err)
}
