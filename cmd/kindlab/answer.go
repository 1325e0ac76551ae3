package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/kindlab/kindlab/checker"
	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
	"github.com/spf13/cobra"
)

func newAnswer(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "answer LAB/CHECK ANSWER",
		Short: "Answer the question of a check",
		Long: `answer gives your answer to a question of the course, as the form in the page
does, and says whether it is right. The last answer counts. All that follows LAB/CHECK
is the answer, --rm and -5 too; flags stand before.`,
		Example: "  kindlab answer image/stop-signal SIGTERM",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.answer(cmd.Context(), args[0], strings.Join(args[1:], " "))
		},
	}
	c.Flags().SetInterspersed(false)
	return c
}

func (a *app) answer(ctx context.Context, what, text string) error {
	id, checkID, ok := strings.Cut(what, "/")
	if !ok {
		return &provision.Hinted{Err: fmt.Errorf("answer wants LAB/CHECK, not %q", what), Hint: "the page says what to type"}
	}
	s, err := a.attached(ctx, "")
	if err != nil {
		return err
	}
	defer s.close()
	template, err := s.course.FindLab(id)
	if err != nil {
		return err
	}
	if err := asking(template, checkID); err != nil {
		return err
	}
	if err := s.answer(ctx, id, checkID, text); err != nil {
		return err
	}
	engine, err := s.engine(ctx, id)
	if err != nil {
		return err
	}
	for _, v := range engine.Check(ctx, checkID) {
		if v.Check != checkID {
			continue
		}
		a.writeVerdict(v)
		if err := s.record(ctx, []labs.Verdict{v}); err != nil {
			return err
		}
		if v.State != labs.Passed {
			return errNotSolved
		}
	}
	return nil
}

// asking is an error when the lab has no such check, or when it asks nothing.
func asking(lab *labs.Lab, id string) error {
	var names []string
	for _, c := range lab.Checks() {
		if _, ok := checker.Asks(c); !ok {
			continue
		}
		if c.ID == id {
			return nil
		}
		names = append(names, c.ID)
	}
	err := fmt.Errorf("check %s/%s asks nothing", lab.ID, id)
	switch near := labs.Nearest(id, names); {
	case near != "":
		return &provision.Hinted{Err: err, Hint: fmt.Sprintf("did you mean %s/%s?", lab.ID, near)}
	case len(names) > 0:
		return &provision.Hinted{Err: err, Hint: "the questions of this lab are " + strings.Join(names, ", ")}
	}
	return &provision.Hinted{Err: err, Hint: "no check of this lab asks anything; `kindlab check " + lab.ID + "` lists them"}
}

// answer records an answer and has the lab looked at again.
func (s *session) answer(ctx context.Context, lab, check, text string) error {
	if len(text) > checker.MaxAnswer || !utf8.ValidString(text) {
		return fmt.Errorf("an answer has at most %d bytes", checker.MaxAnswer)
	}
	if err := s.store.Answer(ctx, s.me, s.course.ID, lab, check, text); err != nil {
		return err
	}
	s.live.touch(labs.Key(s.course.ID, lab))
	return nil
}

// engines are those that are watching, by course and lab.
type engines struct {
	mu  sync.Mutex
	all map[string]map[*checker.Engine]bool
}

// add notes an engine until remove is called.
func (e *engines) add(key string, engine *checker.Engine) (remove func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.all == nil {
		e.all = map[string]map[*checker.Engine]bool{}
	}
	if e.all[key] == nil {
		e.all[key] = map[*checker.Engine]bool{}
	}
	e.all[key][engine] = true
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.all[key], engine)
	}
}

// touch has the engines of a lab look again.
func (e *engines) touch(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for engine := range e.all[key] {
		engine.Touch()
	}
}
