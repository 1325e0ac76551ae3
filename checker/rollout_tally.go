package checker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
	appsv1 "k8s.io/api/apps/v1"
)

// A tally is what came of requests, whoever has counted.
type tally struct {
	sent, ok, lost int
	kinds          map[string]int // of those lost, why
	gap            time.Duration  // the longest time without an answer
	versions       []string       // in the order in which they first answered
	byVersion      map[string]int
}

// tallyOf counts samples.
func tallyOf(samples []sample) tally {
	n := tally{sent: len(samples), kinds: map[string]int{}, byVersion: map[string]int{}}
	last := time.Time{}
	slices.SortFunc(samples, func(a, b sample) int { return a.done.Compare(b.done) })
	for _, s := range samples {
		if s.lost() {
			n.lost++
			n.kinds[s.kind()]++
			continue
		}
		n.ok++
		if !last.IsZero() {
			n.gap = max(n.gap, s.done.Sub(last))
		}
		last = s.done
		if s.version == "" {
			continue
		}
		if n.byVersion[s.version]++; n.byVersion[s.version] == 1 {
			n.versions = append(n.versions, s.version)
		}
	}
	return n
}

func (n tally) String() string {
	return fmt.Sprintf("%d of %d requests lost, %.1f s the longest time without an answer", n.lost, n.sent, n.gap.Seconds())
}

// expected is what is wanted, in words.
func (c *rolloutCheck) expected(d *appsv1.Deployment) string {
	what := fmt.Sprintf("an update of Deployment %s", d.Name)
	switch {
	case c.Replaces == 1:
		what = fmt.Sprintf("a pod of Deployment %s replaced", d.Name)
	case c.Replaces > 1:
		what = fmt.Sprintf("%d pods of Deployment %s replaced", c.Replaces, d.Name)
	}
	return fmt.Sprintf("%s with at most %d requests lost", what, c.Lost)
}

// unlike says what is otherwise than wanted. Which versions answered, and how often, is
// known when it is over.
func (c *rolloutCheck) unlike(ctx context.Context, expected string, n tally, over bool, why func() labs.Finding) []labs.Finding {
	fact(ctx, "%s", n)
	if len(n.versions) > 0 {
		fact(ctx, "answers from versions %s", clip(strings.Join(n.versions, ", "), 120))
	}
	for _, kind := range slices.Sorted(maps.Keys(n.kinds)) {
		fact(ctx, "lost for the reason %s: %d", clip(kind, 20), n.kinds[kind])
	}
	var out []labs.Finding
	if n.lost > c.Lost {
		out = append(out, because(labs.Finding{Expected: expected, Got: n.String()}, why()))
	}
	if !over {
		return out
	}
	switch {
	case n.ok == 0:
		out = append(out, labs.Finding{Expected: "answers", Got: "none"})
	case n.ok < c.Answers:
		out = append(out, labs.Finding{Expected: fmt.Sprintf("at least %d answers", c.Answers), Got: fmt.Sprint(n.ok)})
	}
	if len(c.Versions) > 0 && !c.inOrder(n.versions) {
		out = append(out, labs.Finding{Expected: "answers from " + strings.Join(c.Versions, ", then "), Got: whenEmptyIs(clip(strings.Join(n.versions, ", then "), 160), "none")})
	}
	if c.Share > 0 {
		last := c.Versions[len(c.Versions)-1]
		if n.byVersion[last]*100 < n.ok*c.Share {
			out = append(out, labs.Finding{Expected: fmt.Sprintf("at least %d %% of the answers from %s", c.Share, last), Got: fmt.Sprintf("%d of %d", n.byVersion[last], n.ok)})
		}
	}
	return out
}

// inOrder reports whether the versions first answered in the order that is wanted.
func (c *rolloutCheck) inOrder(versions []string) bool {
	if c.Share > 0 { // others may have answered too
		versions = slices.DeleteFunc(slices.Clone(versions), func(v string) bool { return !slices.Contains(c.Versions, v) })
	}
	return slices.Equal(versions, c.Versions)
}
