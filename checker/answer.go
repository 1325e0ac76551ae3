package checker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kindlab/kindlab/labs"
)

// answerCheck: the attendee's answer to a question is right. It is typed, or with
// choices chosen, in the page or by `kindlab answer`. What is right is said by one
// of is, oneOf, matches and number; a learner is never told it. Case and spaces at
// the ends do not count, and of several spaces only one.
type answerCheck struct {
	Question string   `yaml:"question" doc:"What is asked." required:"true"`
	Choices  []string `yaml:"choices" doc:"What can be chosen, in this order; typed when it is not given."`
	Is       string   `yaml:"is" doc:"The right answer. Case does not count, nor how many spaces there are."`
	OneOf    []string `yaml:"oneOf" doc:"Right answers, instead of is."`
	Matches  string   `yaml:"matches" doc:"A regular expression for the whole answer, instead of is. Case does not count."`
	Number   *float64 `yaml:"number" doc:"The right number, instead of is."`
	Within   float64  `yaml:"within" doc:"How far from the number an answer may be."`

	id string
}

// MaxAnswer is how long an answer may be, in bytes.
const MaxAnswer = 500

func (c *answerCheck) named(id string) { c.id = id }

func (c *answerCheck) validate() error {
	said := 0
	for _, is := range []bool{c.Is != "", len(c.OneOf) > 0, c.Matches != "", c.Number != nil} {
		if is {
			said++
		}
	}
	switch {
	case c.Question == "":
		return errors.New("question is missing")
	case said != 1:
		return errors.New("say what is right by one of is, oneOf, matches and number")
	case c.Within != 0 && c.Number == nil:
		return errors.New("within goes with number")
	case c.Within < 0:
		return errors.New("within: use 0 or more")
	case len(c.Choices) == 1:
		return errors.New("choices: one choice is none")
	}
	if _, err := regexp.Compile(c.Matches); err != nil {
		return fmt.Errorf("matches: %w", err)
	}
	right := func(choice string) bool { return c.right(choice) }
	if len(c.Choices) > 0 && !slices.ContainsFunc(c.Choices, right) {
		return errors.New("choices: none of them is right")
	}
	if len(c.Choices) > 0 && !slices.ContainsFunc(c.Choices, func(s string) bool { return !right(s) }) {
		return errors.New("choices: all of them are right")
	}
	return nil
}

// A Question is what a page needs to ask for an answer.
type Question struct {
	Text    string
	Choices []string // empty when the answer is typed
}

// Asks is the question of a check of the kind answer; ok is false for the others.
func Asks(c *labs.Check) (q Question, ok bool) {
	if c.Kind != "answer" {
		return q, false
	}
	k, err := decode(c)
	if err != nil {
		return q, false
	}
	a := k.(*answerCheck)
	return Question{a.Question, a.Choices}, true
}

func (c *answerCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	if t.Answer == nil {
		return nil, unreachable("the answers", errors.New("none are kept"))
	}
	given, err := t.Answer(ctx, c.id)
	if err != nil {
		return nil, unreachable("the answers", err)
	}
	lab := ""
	if t.Lab != nil {
		lab = t.Lab.ID
	}
	look := fmt.Sprintf("`kindlab answer %s/%s YOUR-ANSWER`", lab, c.id)
	switch {
	case strings.TrimSpace(given) == "":
		return []labs.Finding{{Expected: "an answer to: " + clip(c.Question, 160), Got: "none yet", Look: look}}, nil
	case c.right(given):
		return nil, nil
	case c.Number != nil && !isNumber(given):
		return []labs.Finding{{Expected: "a number", Got: strconv.Quote(clip(given, 60)), Look: look}}, nil
	case len(c.Choices) > 0 && !slices.ContainsFunc(c.Choices, func(s string) bool { return fold(s) == fold(given) }):
		return []labs.Finding{{Expected: "one of " + strings.Join(c.Choices, ", "), Got: strconv.Quote(clip(given, 60)), Look: look}}, nil
	}
	return []labs.Finding{{Got: strconv.Quote(clip(given, 60)), Because: "that is not the answer"}}, nil
}

// right reports whether an answer is.
func (c *answerCheck) right(given string) bool {
	switch {
	case c.Number != nil:
		n, err := strconv.ParseFloat(strings.TrimSpace(given), 64)
		return err == nil && math.Abs(n-*c.Number) <= c.Within
	case c.Matches != "":
		re, err := regexp.Compile(`(?i)^(?:` + c.Matches + `)$`)
		return err == nil && re.MatchString(strings.Join(strings.Fields(given), " "))
	case c.Is != "":
		return fold(given) == fold(c.Is)
	}
	return slices.ContainsFunc(c.OneOf, func(s string) bool { return fold(given) == fold(s) })
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return err == nil
}

// fold makes two answers equal that differ in nothing that counts.
func fold(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// unannounced says that no event tells of an answer that is given elsewhere.
func (c *answerCheck) unannounced() bool { return true }
