package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kindlab/kindlab/provision"
)

// A classTable shows what is being done for whom: on a terminal a row for each who
// is being worked on, written over in place; elsewhere a line for each step that ends.
type classTable struct {
	a      *app
	w      io.Writer
	height int // rows that are drawn at most

	mu    sync.Mutex
	rows  []*classRow
	drawn int // lines on the terminal that the next drawing writes over
}

type classRow struct {
	who     string
	did     []string // steps that ended, as marks
	running []*stepLine
	failed  error
	begun   time.Time
	ended   time.Time
}

func (a *app) classTable(who []string) *classTable {
	t := &classTable{a: a, w: a.err, height: 20}
	for _, w := range who {
		t.rows = append(t.rows, &classRow{who: w})
	}
	return t
}

// of is the Reporter for one of the rows.
func (t *classTable) of(who string) provision.Reporter {
	i := slices.IndexFunc(t.rows, func(r *classRow) bool { return r.who == who })
	if i < 0 {
		return provision.Quiet{}
	}
	return rowReporter{t, t.rows[i]}
}

// end says that all is done for one of the rows, or what stopped it.
func (t *classTable) end(who string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.rows {
		if r.who != who {
			continue
		}
		r.ended, r.failed = time.Now(), err
		if r.begun.IsZero() {
			r.begun = r.ended
		}
		mark, word := t.a.paint(green, "✓"), "ready"
		if err != nil {
			mark, word = t.a.paint(red, "✗"), clean(strings.SplitN(err.Error(), "\n", 2)[0])
		}
		t.print(fmt.Sprintf("%s %-20s %-26s %6s", mark, who, word, took(r.ended.Sub(r.begun))))
	}
}

// rowReporter implements [provision.Reporter] for a row of the table.
type rowReporter struct {
	t *classTable
	r *classRow
}

// Begin implements [provision.Reporter].
func (r rowReporter) Begin(what string) func(string, error) {
	line := &stepLine{what, time.Now()}
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	if r.r.begun.IsZero() {
		r.r.begun = line.start
	}
	r.r.running = append(r.r.running, line)
	r.t.draw()
	return func(detail string, err error) {
		r.t.mu.Lock()
		defer r.t.mu.Unlock()
		r.r.running = slices.DeleteFunc(r.r.running, func(l *stepLine) bool { return l == line })
		mark := r.t.a.paint(green, "✓")
		if err != nil {
			mark = r.t.a.paint(red, "✗")
		}
		r.r.did = append(r.r.did, mark)
		if r.t.a.terminal {
			r.t.draw()
			return
		}
		if detail != "" {
			detail = "  " + clean(detail)
		}
		r.t.print(fmt.Sprintf("%s %-20s %-26s %6s%s", mark, r.r.who, what, took(time.Since(line.start)), detail))
	}
}

// Note implements [provision.Reporter].
func (r rowReporter) Note(text string) {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	r.t.print(fmt.Sprintf("  %-20s %s", r.r.who, clean(text)))
}

// Echo implements [provision.Reporter].
func (r rowReporter) Echo(command string) {
	if !r.t.a.verbose {
		return
	}
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	r.t.print(r.t.a.paint(faint, fmt.Sprintf("  + %s: %s", r.r.who, clean(command))))
}

// print writes a line that stays, above the rows. The table is locked.
func (t *classTable) print(line string) {
	t.wipe()
	fmt.Fprintln(t.w, line)
	t.draw()
}

// wipe takes the rows off the terminal.
func (t *classTable) wipe() {
	if t.a.terminal && t.drawn > 0 {
		fmt.Fprintf(t.w, "\x1b[%dA\x1b[J", t.drawn)
	}
	t.drawn = 0
}

// draw shows the rows that are being worked on, and how many are left.
func (t *classTable) draw() {
	if !t.a.terminal {
		return
	}
	t.wipe()
	ready, failed, waiting := 0, 0, 0
	for _, r := range t.rows {
		switch {
		case r.failed != nil:
			failed++
		case !r.ended.IsZero():
			ready++
		case len(r.running) == 0:
			waiting++
		case t.drawn < t.height:
			names := make([]string, len(r.running))
			for i, s := range r.running {
				names[i] = s.what
			}
			fmt.Fprintf(t.w, "… %-20s %s %s\n", r.who, strings.Join(r.did, ""), strings.Join(names, ", "))
			t.drawn++
		}
	}
	if ready+failed < len(t.rows) {
		line := fmt.Sprintf("  %d of %d ready", ready, len(t.rows))
		if failed > 0 {
			line += fmt.Sprintf(", %d not", failed)
		}
		if waiting > 0 {
			line += fmt.Sprintf(", %d wait", waiting)
		}
		fmt.Fprintln(t.w, t.a.paint(faint, line))
		t.drawn++
	}
}
