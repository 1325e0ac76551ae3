package checker

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/kindlab/kindlab/labs"
)

// Notes are what a look at a check writes down on its way, for those who want to
// know more than the finding says. Every kind and every diagnosis may write, at
// the same time too.
type notes struct {
	mu       sync.Mutex
	facts    []string
	chain    []string
	ruledOut []string
}

const maxNotes = 40 // of one sort: an attendee decides how many objects there are

type notesKey struct{}

func withNotes(ctx context.Context) (context.Context, *notes) {
	n := &notes{}
	return context.WithValue(ctx, notesKey{}, n), n
}

// fact notes something that was seen, such as "Service hello selects app=helo".
func fact(ctx context.Context, format string, args ...any) {
	note(ctx, func(n *notes) *[]string { return &n.facts }, format, args)
}

// step notes a link of the chain from the symptom to the cause, in that order,
// such as "Deployment hello has 0 of 3 replicas ready".
func step(ctx context.Context, format string, args ...any) {
	note(ctx, func(n *notes) *[]string { return &n.chain }, format, args)
}

// ruledOut notes a cause that was looked for and is not there, such as "no
// network policy is in the way".
func ruledOut(ctx context.Context, format string, args ...any) {
	note(ctx, func(n *notes) *[]string { return &n.ruledOut }, format, args)
}

func note(ctx context.Context, which func(*notes) *[]string, format string, args []any) {
	n, ok := ctx.Value(notesKey{}).(*notes)
	if !ok {
		return
	}
	text := clip(fmt.Sprintf(format, args...), 240)
	n.mu.Lock()
	defer n.mu.Unlock()
	if list := which(n); len(*list) < maxNotes && !slices.Contains(*list, text) {
		*list = append(*list, text)
	}
}

// into adds the notes to a verdict.
func (n *notes) into(v *labs.Verdict) {
	n.mu.Lock()
	defer n.mu.Unlock()
	v.Facts, v.Chain, v.RuledOut = slices.Clone(n.facts), slices.Clone(n.chain), slices.Clone(n.ruledOut)
}
