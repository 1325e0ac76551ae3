package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
)

// What is printed follows these rules: the result goes to out, progress to err.
// A line says one thing. A mark, a word and a colour say the same, so that none is
// needed alone. On a terminal a running step is one line that is written over;
// elsewhere each step is a line when it ends.

type paint string

const (
	bold   paint = "1"
	faint  paint = "2"
	red    paint = "31"
	green  paint = "32"
	yellow paint = "33"
)

func (a *app) paint(p paint, text string) string {
	if !a.colour {
		return text
	}
	return "\x1b[" + string(p) + "m" + text + "\x1b[0m"
}

// clean takes control characters out of text from a course or a container, which
// could otherwise drive the terminal.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, text)
}

// mark is how a state is shown.
func (a *app) mark(s labs.State) string {
	switch s {
	case labs.Passed:
		return a.paint(green, "✓")
	case labs.Failing:
		return a.paint(red, "✗")
	case labs.Blocked:
		return a.paint(faint, "○")
	}
	return a.paint(yellow, "?")
}

// steps prints what a Reporter is told.
type steps struct {
	a       *app
	w       io.Writer
	mu      sync.Mutex
	running []*stepLine
}

type stepLine struct {
	what  string
	start time.Time
}

func (a *app) reporter() provision.Reporter { return &steps{a: a, w: a.err} }

// Begin implements [provision.Reporter].
func (s *steps) Begin(what string) func(string, error) {
	line := &stepLine{what, time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = append(s.running, line)
	s.draw()
	return func(detail string, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, r := range s.running {
			if r == line {
				s.running = append(s.running[:i], s.running[i+1:]...)
				break
			}
		}
		mark, p := "✓", green
		if err != nil {
			mark, p = "✗", red
		}
		if detail != "" {
			detail = "  " + s.a.paint(faint, clean(detail))
		}
		s.print(fmt.Sprintf("%s %-26s %6s%s", s.a.paint(p, mark), what, took(time.Since(line.start)), detail))
	}
}

// Note implements [provision.Reporter].
func (s *steps) Note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.print("  " + clean(text))
}

// Echo implements [provision.Reporter].
func (s *steps) Echo(command string) {
	if !s.a.verbose {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.print(s.a.paint(faint, "  + "+clean(command)))
}

// print writes a line that stays, above those that are running.
func (s *steps) print(line string) {
	if s.a.terminal {
		fmt.Fprint(s.w, "\r\x1b[K")
	}
	fmt.Fprintln(s.w, line)
	s.draw()
}

// draw shows the running steps in one line, on a terminal.
func (s *steps) draw() {
	if !s.a.terminal || len(s.running) == 0 {
		return
	}
	names := make([]string, len(s.running))
	for i, r := range s.running {
		names[i] = r.what
	}
	fmt.Fprintf(s.w, "\r\x1b[K… %s", strings.Join(names, ", "))
}

// took writes how long something took.
func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// table writes rows in columns, two spaces apart.
func table(w io.Writer, rows [][]string) {
	var widths []int
	for _, r := range rows {
		for i, cell := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, r := range rows {
		var line strings.Builder
		for i, cell := range r {
			line.WriteString(cell)
			if i < len(r)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-len([]rune(cell))+2))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}
