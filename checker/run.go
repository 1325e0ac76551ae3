package checker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
)

// runCheck: a shell script in the lab's work folder, with the environment of the
// lab's shell, ends with 0. When it ends with 1 the check fails, and the last line
// that it printed is the cause. Any other end, and one that takes too long, says
// nothing about the learner: the check is unknown. It is the way out where no
// other kind fits; the script must leave no trace.
type runCheck struct {
	Script  string        `yaml:"script" doc:"For sh. It ends with 0 when all is well, with 1 when the learner has something to mend, and then its last line says what."`
	File    string        `yaml:"file" doc:"Instead of script: a file in the lab's folder that holds it, such as check/ports.sh."`
	Timeout time.Duration `yaml:"timeout" doc:"Such as 5s; 10s when it is not given, at most 25s."`

	text string // of the script, wherever it is written
}

// A Shell runs a script for sh in the work folder and returns what it printed and
// how it ended. An error means that it could not be run or was cut off.
type Shell func(ctx context.Context, script string) (output string, code int, err error)

const (
	runTime = 10 * time.Second
	runMost = 25 * time.Second
)

func (c *runCheck) validate() error {
	switch script := strings.TrimSpace(c.Script); {
	case script == "" && c.File == "":
		return errors.New("script is missing")
	case script != "" && c.File != "":
		return errors.New("say either script or file")
	}
	if c.Timeout < 0 || c.Timeout > runMost {
		return fmt.Errorf("timeout %s: use at most %s", c.Timeout, runMost)
	}
	return nil
}

// read reads the script's file, when it has one.
func (c *runCheck) read(file func(name string) (string, error)) (err error) {
	if c.text = c.Script; c.File == "" {
		return nil
	}
	if c.text, err = file(c.File); err != nil {
		return fmt.Errorf("file: %w", err)
	}
	if strings.TrimSpace(c.text) == "" {
		return fmt.Errorf("file: %s is empty", c.File)
	}
	return nil
}

// unannounced says that no event tells what a script would find.
func (c *runCheck) unannounced() bool { return true }

func (c *runCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	if t.Shell == nil {
		return nil, unreachable("a shell", errors.New("none is set up"))
	}
	limit := c.Timeout
	if limit == 0 {
		limit = runTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, code, err := t.Shell(ctx, c.text)
	last := lastLine(out)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("the check's script is still running after %s", limit)
	case err != nil:
		return nil, fmt.Errorf("running the check's script: %w", err)
	case code == 0:
		fact(ctx, "the script ended with 0: %s", last)
		return nil, nil
	case code == 1:
		return []labs.Finding{{Because: last, Got: whenEmpty(last, "the check's script ended with 1")}}, nil
	}
	return nil, fmt.Errorf("the check's script ended with %d: %s", code, last)
}

// whenEmpty is text when said is empty.
func whenEmpty(said, text string) string {
	if said == "" {
		return text
	}
	return ""
}

// lastLine is the last line that is not empty.
func lastLine(out string) string {
	last := ""
	for line := range strings.Lines(out) {
		if line = clip(line, 200); line != "" {
			last = line
		}
	}
	return last
}
