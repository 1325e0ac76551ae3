package site

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kindlab/kindlab/labs"
)

// asking is a site whose check scaled asks q. given are the answers it was told.
func asking(t *testing.T, q Question, fails error) (s *Site, given *[]string) {
	cfg := demo(t).config()
	cfg.Question = func(_, _ string, c *labs.Check) *Question {
		if c.ID != "scaled" {
			return nil
		}
		return &q
	}
	given = &[]string{}
	cfg.Answer = func(_ context.Context, course, lab, check, text string) error {
		*given = append(*given, course+"/"+lab+"/"+check+"="+text)
		return fails
	}
	return newSite(t, cfg), given
}

// form makes a request one that a form with these fields sends.
func form(fields url.Values, more ...func(*http.Request)) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Body = io.NopCloser(strings.NewReader(fields.Encode()))
		for _, m := range more {
			m(r)
		}
	}
}

func answers(text string) url.Values { return url.Values{"answer": {text}} }

const bad = `"><script>alert(1)</script>`

func TestQuestionIsAskedInThePage(t *testing.T) {
	typed, _ := asking(t, Question{Text: "How many `pods`? " + bad, Given: bad, Most: 20}, nil)
	page := get(t, typed, "/demo/scale-it/").Body.String()
	assert.Contains(t, page, `<form class="answer" id="check-scaled" method="post" action="answers/scaled">`)
	assert.Contains(t, page, `<label for="answer-scaled">How many <code>pods</code>?`)
	assert.Contains(t, page, `<input id="answer-scaled" name="answer" value="&#34;&gt;&lt;script&gt;`)
	assert.Contains(t, page, `maxlength="20"`)
	assert.NotContains(t, page, "<script>alert")
	assert.Equal(t, 1, strings.Count(page, `class="answer"`), "other checks ask nothing")

	chosen, _ := asking(t, Question{Text: "Which?", Choices: []string{"one", bad}, Given: "one", Most: 20}, nil)
	page = get(t, chosen, "/demo/scale-it/").Body.String()
	assert.Contains(t, page, "<legend>Which?</legend>")
	assert.Contains(t, page, `<label><input type="radio" name="answer" value="one" required checked> one</label>`)
	assert.NotContains(t, page, "<script>alert")
}

func TestAnswersAreRecorded(t *testing.T) {
	s, given := asking(t, Question{Text: "How many?", Most: 20}, nil)
	const path = "/demo/scale-it/answers/scaled"
	w := do(t, s, "POST", path, form(answers(bad[:20])))
	assert.Equal(t, 303, w.Code)
	assert.Equal(t, "/demo/scale-it/#check-scaled", w.Header().Get("Location"))
	w = do(t, s, "POST", path, form(answers("4"), func(r *http.Request) { r.Header.Set("Accept", "text/plain") }))
	assert.Equal(t, 204, w.Code)
	assert.Equal(t, []string{"demo/scale-it/scaled=" + bad[:20], "demo/scale-it/scaled=4"}, *given)

	for name, c := range map[string]struct {
		code int
		path string
		edit func(*http.Request)
	}{
		"too long":            {413, path, form(answers(strings.Repeat("x", 21)))},
		"far too long":        {413, path, form(answers(strings.Repeat("x", 1<<20)))},
		"no text":             {413, path, form(answers("\xff"))},
		"nothing":             {400, path, form(url.Values{"other": {"x"}})},
		"broken":              {400, path, form(nil, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("answer=%zz")) })},
		"asks nothing":        {404, "/demo/scale-it/answers/named", form(answers("x"))},
		"no such check":       {404, "/demo/scale-it/answers/other", form(answers("x"))},
		"another site's form": {403, path, form(answers("x"), func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })},
	} {
		assert.Equal(t, c.code, do(t, s, "POST", c.path, c.edit).Code, name)
	}
	assert.Len(t, *given, 2, "nothing of these is recorded")

	s, _ = asking(t, Question{Most: 20}, errors.New("the disk is full"))
	w = do(t, s, "POST", path, form(answers("4")))
	assert.Equal(t, 500, w.Code)
	assert.Contains(t, w.Body.String(), "the disk is full")
}
