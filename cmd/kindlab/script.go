package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
)

const (
	commandTimeout = 2 * time.Minute // for a block that says nothing else
	settleTimeout  = 90 * time.Second
	// startMoment is what a person gives a container that was just started, by reading on.
	startMoment = 2 * time.Second
	// settleMoment is what a person lets pass before a second try.
	settleMoment = 5 * time.Second
)

// A runner does what a lab's page says, as a learner would in the lab's shell.
type runner struct {
	place  *provision.Environment
	course string
	lab    *labs.Lab
	env    []string
	echo   io.Writer // each command and its output; nil for none

	// again is told of a command that did not work the first time and did the second;
	// nil to give up at the first.
	again func(error)

	mu         sync.Mutex
	background []*exec.Cmd
}

// task does a task: saves its files and runs its commands in page order, then the
// author's solution if there is one.
func (r *runner) task(ctx context.Context, t *labs.Task) error {
	for _, b := range t.Blocks {
		var err error
		switch {
		case b.Kind == labs.SaveAs:
			err = r.save(b)
		case b.Kind == labs.Command && !b.NoRun:
			err = r.tried(ctx, b)
			if err == nil && strings.Contains(b.Text, "docker run") {
				err = pause(ctx, startMoment)
			}
		}
		if err != nil {
			return r.at(b, err)
		}
	}
	if script, ok := r.lab.Solution(t.ID); ok {
		if err := r.script(ctx, script, commandTimeout); err != nil {
			return fmt.Errorf("%s/solution/%s.sh: %w", r.lab.ID, t.ID, err)
		}
	}
	return nil
}

// tried runs a block, and in a proof once more when it failed, as a person does when
// something was not ready yet. What counts is how it failed at first.
func (r *runner) tried(ctx context.Context, b labs.Block) error {
	first := r.block(ctx, b)
	if first == nil || r.again == nil {
		return first
	}
	if err := pause(ctx, settleMoment); err != nil {
		return err
	}
	if r.block(ctx, b) != nil {
		return first
	}
	r.again(r.at(b, first))
	return nil
}

// files saves the files of a task and runs nothing.
func (r *runner) files(t *labs.Task) error {
	for _, b := range t.Blocks {
		if b.Kind != labs.SaveAs {
			continue
		}
		if err := r.save(b); err != nil {
			return r.at(b, err)
		}
	}
	return nil
}

func (r *runner) save(b labs.Block) error {
	return r.place.SaveFile(r.course, r.lab.ID, b.File, []byte(b.Text))
}

// at says where on the page an error came from.
func (r *runner) at(b labs.Block, err error) error {
	return fmt.Errorf("%s:%d: %w", r.lab.File(), b.Line, err)
}

func (r *runner) block(ctx context.Context, b labs.Block) error {
	if b.Background {
		return r.start(b.Text)
	}
	timeout := commandTimeout
	if b.Timeout > 0 {
		timeout = b.Timeout
	}
	err := r.script(ctx, b.Text, timeout)
	var failed *exec.ExitError
	switch {
	case b.Fails && err == nil:
		return fmt.Errorf("this command should fail, and did not:\n%s", indent(b.Text))
	case b.Fails && errors.As(err, &failed):
		return nil
	}
	return err
}

// command is a shell command in the lab's folder and environment.
func (r *runner) command(ctx context.Context, text string) *exec.Cmd {
	c := exec.CommandContext(ctx, "sh", "-eu", "-c", text)
	c.Dir, c.Env = r.place.LabFolder(r.course, r.lab.ID), r.env
	ownGroup(c)
	c.WaitDelay = 2 * time.Second
	return c
}

// script runs a shell script to its end. The error shows it with its output.
func (r *runner) script(ctx context.Context, text string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c := r.command(ctx, text)
	var out bytes.Buffer
	c.Stdout = &out
	if r.echo != nil {
		for line := range strings.Lines(strings.TrimSpace(text)) {
			fmt.Fprint(r.echo, "$ "+line)
		}
		fmt.Fprintln(r.echo)
		c.Stdout = io.MultiWriter(&out, r.echo)
	}
	c.Stderr = c.Stdout
	err := c.Run()
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("still running after %s:\n%s%s", timeout, indent(text), tail(out.String(), 20))
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return &provision.Hinted{Err: err, Hint: "labs' commands are for sh: use Linux, macOS or WSL"}
	}
	return fmt.Errorf("%w:\n%s%s", err, indent(text), tail(out.String(), 20))
}

// output runs a shell script to its end and returns what it printed and how it ended.
func (r *runner) output(ctx context.Context, text string) (out string, code int, err error) {
	c := r.command(ctx, text)
	said := &lastBytes{most: 64 << 10}
	c.Stdout, c.Stderr = said, said
	err = c.Run()
	var failed *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return said.text(), 0, ctx.Err()
	case errors.As(err, &failed):
		return said.text(), failed.ExitCode(), nil
	}
	return said.text(), 0, err
}

// lastBytes keeps the end of what is written.
type lastBytes struct {
	data []byte
	most int
}

func (l *lastBytes) Write(p []byte) (int, error) {
	l.data = append(l.data, p...)
	l.data = l.data[max(0, len(l.data)-l.most):]
	return len(p), nil
}

func (l *lastBytes) text() string { return strings.ToValidUTF8(string(l.data), "?") }

// start runs a script until stop.
func (r *runner) start(text string) error {
	c := r.command(context.Background(), text)
	if err := c.Start(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.background = append(r.background, c)
	return nil
}

// stop ends what start began.
func (r *runner) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.background {
		killGroup(c)
		_ = c.Wait()
	}
	r.background = nil
}

func indent(text string) string {
	return "    $ " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n      ") + "\n"
}

// tail is the last n lines of an output, indented.
func tail(out string, n int) string {
	lines := strings.Split(strings.TrimSpace(cleanLines(out)), "\n")
	return "    " + strings.Join(lines[max(0, len(lines)-n):], "\n    ")
}

// cleanLines is clean for text of several lines.
func cleanLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

// awaitTask checks a task until it is solved or has had time to settle.
func (s *session) awaitTask(ctx context.Context, lab *labs.Lab, t *labs.Task) ([]labs.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	var last []labs.Verdict
	err := s.watch(ctx, lab.ID, func(vs []labs.Verdict) {
		last = ofTask(vs, t.ID)
		// At first only those are in that were quick to look at.
		if len(last) == len(t.Checks) && labs.Worst(last) == labs.Passed {
			cancel()
		}
	})
	return last, err
}
