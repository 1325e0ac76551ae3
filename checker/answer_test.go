package checker

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// checkOf decodes a check that is written as in a lab.
func checkOf(t *testing.T, spec string) (kind, error) {
	t.Helper()
	lab := loadLab(t, "---\ntitle: T\ngoal: G\nminutes: 1\nneeds: [cluster, docker]\n---\n# T\n\n## Do\n```check\nid: it\nthat: it is so\nhint: look\n"+spec+"\n```\n")
	return decode(lab.Checks()[0])
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		spec, given string
		lines       string // "" when it passes
	}{
		{"answer: {question: Which one, is: Sig Term}", "  sig   TERM ", ""},
		{"answer: {question: Which one, is: SIGTERM}", "SIGKILL", `got "SIGKILL"` + "\nbecause that is not the answer"},
		{"answer: {question: Which one, is: SIGTERM}", " ", "expected an answer to: Which one, got none yet\nlook at `kindlab answer one/it YOUR-ANSWER`"},
		{"answer: {question: Which one, oneOf: [a, b]}", "B", ""},
		{"answer: {question: Which one, oneOf: [a, b]}", "ab", `got "ab"` + "\nbecause that is not the answer"},
		{"answer: {question: Which one, matches: 'v[0-9]+'}", "V12", ""},
		{"answer: {question: Which one, matches: 'a|b'}", "ab", `got "ab"` + "\nbecause that is not the answer"},
		{"answer: {question: How many, number: 3, within: 0.5}", "3.4", ""},
		{"answer: {question: How many, number: 3, within: 0.5}", "4", `got "4"` + "\nbecause that is not the answer"},
		{"answer: {question: How many, number: 3}", "three", `expected a number, got "three"` + "\nlook at `kindlab answer one/it YOUR-ANSWER`"},
		{"answer: {question: Which one, choices: [x, y], is: y}", "z", `expected one of x, y, got "z"` + "\nlook at `kindlab answer one/it YOUR-ANSWER`"},
		{"answer: {question: Which one, choices: [x, y], is: y}", "y", ""},
	} {
		k, err := checkOf(t, c.spec)
		require.NoError(t, err, c.spec)
		target := &Target{Lab: &labs.Lab{ID: "one"}, Answer: func(_ context.Context, check string) (string, error) {
			assert.Equal(t, "it", check)
			return c.given, nil
		}}
		fs, err := k.look(t.Context(), target)
		require.NoError(t, err)
		assert.Equal(t, c.lines, strings.Join(labs.Verdict{Findings: fs}.Lines(), "\n"), "%s: %s", c.spec, c.given)
	}
	k, _ := checkOf(t, "answer: {question: Which one, is: a}")
	_, err := k.look(t.Context(), &Target{Answer: func(context.Context, string) (string, error) { return "", errors.New("disk") }})
	assert.ErrorIs(t, err, errUnreachable)
}

func TestRunSaysTheLastLine(t *testing.T) {
	shell := func(out string, code int, err error) Shell {
		return func(context.Context, string) (string, int, error) { return out, code, err }
	}
	k, err := checkOf(t, "run: {script: 'true', timeout: 1s}")
	require.NoError(t, err)
	fs, err := k.look(t.Context(), &Target{Shell: shell("fine\n", 0, nil)})
	require.NoError(t, err)
	assert.Empty(t, fs)
	fs, err = k.look(t.Context(), &Target{Shell: shell("first\nthe file has no FROM\n\n", 1, nil)})
	require.NoError(t, err)
	assert.Equal(t, "the file has no FROM", fs[0].Because)
	fs, err = k.look(t.Context(), &Target{Shell: shell("", 1, nil)})
	require.NoError(t, err)
	assert.NotEmpty(t, fs[0].Lines(), "a failing check says something")
	_, err = k.look(t.Context(), &Target{Shell: shell("sh: grep: not found", 127, nil)})
	assert.ErrorContains(t, err, "ended with 127: sh: grep: not found")
	_, err = k.look(t.Context(), &Target{Shell: func(ctx context.Context, _ string) (string, int, error) {
		<-ctx.Done()
		return "", 0, ctx.Err()
	}})
	assert.ErrorContains(t, err, "still running after 1s")
	_, err = k.look(t.Context(), &Target{})
	assert.ErrorIs(t, err, errUnreachable)
}

func TestRunReadsItsFile(t *testing.T) {
	c, err := labs.Load(fstest.MapFS{
		"course.yaml": {Data: []byte("title: T\ngoal: G\nlabs: [one]\n")},
		"one/lab.md": {Data: []byte("---\ntitle: T\ngoal: G\nminutes: 1\nneeds: []\n---\n# T\n\n## Do\n```check\nid: it\nthat: it is so\nhint: look\nrun: {file: check/it.sh}\n```\n" +
			"```check\nid: blank\nthat: it is so\nhint: look\nrun:\n  file: check/blank.sh\n```\n```check\nid: none\nthat: it is so\nhint: look\nrun:\n  file: check/none.sh\n```\n")},
		"one/check/it.sh":    {Data: []byte("echo @{lab}; exit 1\n")},
		"one/check/blank.sh": {Data: []byte("\n")},
	}, "course")
	require.NoError(t, err)
	assert.Equal(t, labs.Problems{
		{File: "one/lab.md", Line: 21, Text: "check blank: run: file: check/blank.sh is empty"},
		{File: "one/lab.md", Line: 28, Text: "check none: run: file: there is no one/check/none.sh"},
	}, Lint(c))
	lab, err := c.Lab("one").For(labs.Values{"lab": "one"})
	require.NoError(t, err)
	k, err := decode(lab.Checks()[0])
	require.NoError(t, err)
	ran := ""
	_, err = k.look(t.Context(), &Target{Shell: func(_ context.Context, script string) (string, int, error) { ran = script; return "", 0, nil }})
	require.NoError(t, err)
	assert.Equal(t, "echo one; exit 1\n", ran)
}

func TestKindsRefuseWhatProvesNothing(t *testing.T) {
	for spec, says := range map[string]string{
		"answer: {question: Q}":                                                    "say what is right",
		"answer: {question: Q, is: a, number: 3}":                                  "say what is right",
		"answer: {question: Q, choices: [a, b], is: c}":                            "none of them is right",
		"answer: {question: Q, choices: [a, b], oneOf: [a, b]}":                    "all of them are right",
		"answer: {question: Q, matches: '('}":                                      "matches",
		"run: {script: ' '}":                                                       "script is missing",
		"run: {script: x, timeout: 5m}":                                            "at most 25s",
		"run: {timeout: 5s}":                                                       "script is missing",
		"run: {script: x, file: check/x.sh}":                                       "say either script or file",
		"run: {file: check/x.sh}":                                                  "there is no one/check/x.sh",
		"run: {file: ../two/x.sh}":                                                 "../two/x.sh is no path inside the lab's folder",
		"run: {file: /etc/passwd}":                                                 "/etc/passwd is no path inside the lab's folder",
		"rollout: {deployment: a}":                                                 "say either url or report",
		"rollout: {deployment: a, url: 'http://a', report: 'http://b'}":            "say either url or report",
		"rollout: {url: 'http://a'}":                                               "deployment is missing",
		"rollout: {deployment: a, url: a}":                                         `url "a" is not one such as http://`,
		"rollout: {deployment: a, report: 'tcp://a:1'}":                            "only requests are counted",
		"rollout: {deployment: a, report: 'http://a', from: host}":                 "from the host only this machine is asked",
		"rollout: {deployment: a, url: 'http://a', lost: -1}":                      "lost: use 0 or more",
		"rollout: {deployment: a, url: 'http://a', rate: 60}":                      "use 1 to 50 requests a second",
		"rollout: {deployment: a, url: 'http://a', replaces: 6}":                   "replaces 6: use 1 to 5 pods",
		"rollout: {deployment: a, url: 'http://a', replaces: -1}":                  "replaces -1: use 1 to 5 pods",
		"rollout: {deployment: a, url: 'http://a', replaces: 1, by: body}":         "by and versions go without replaces",
		"rollout: {deployment: a, url: 'http://a', versions: [v1]}":                "versions goes with by",
		"rollout: {deployment: a, url: 'http://a', by: bodi}":                      "by: ",
		"rollout: {deployment: a, url: 'http://a', answers: 5}":                    "answers and share go with report",
		"rollout: {deployment: a, url: 'http://a', share: 5}":                      "answers and share go with report",
		"rollout: {deployment: a, report: 'http://a'}":                             "versions is missing",
		"rollout: {deployment: a, report: 'http://a', rate: 5}":                    "rate, by and replaces go with url",
		"rollout: {deployment: a, report: 'http://a', by: body}":                   "rate, by and replaces go with url",
		"rollout: {deployment: a, report: 'http://a', replaces: 1}":                "rate, by and replaces go with url",
		"rollout: {deployment: a, report: 'http://a', versions: [a], answers: -1}": "answers: use 1 or more",
		"rollout: {deployment: a, report: 'http://a', versions: [a], share: 101}":  "use 1 to 100 percent",
		"access: {who: {user: a}, denied: [{verbs: [get], resource: pods}]}":       "allowed is missing",
		"access: {who: {}, allowed: [{verbs: [get], resource: pods}]}":             "say a serviceAccount",
		"access: {who: {user: a}, allowed: [{verbs: [get], resource: Pod}]}":       "not one such as pods",
		"access: {who: {user: a}, allowed: [{verbs: [gte], resource: pods}]}":      `unknown verb "gte"; did you mean "get"?`,
		"refused: {create: {apiVersion: v1, kind: Pod}, because: quota}":           "accepted is missing",
		"refused: {because: quota}":                                                "say either create or evict",
		"refused: {evict: {name: a}}":                                              "because is missing",
		"refused: {evict: {}, because: a}":                                         "say either name or labels",
		"absent: {kind: Pod}":                                                      "apiVersion is missing",
		"image: {name: 'a:1', maxSize: big}":                                       "not a size",
		"container: {name: web, mounts: [{target: data}]}":                         "begin with /",
		"container: {name: web, restart: sometimes}":                               "restart is no, always",
		"container: {name: web, memory: much}":                                     "not a size",
	} {
		_, err := checkOf(t, spec)
		assert.ErrorContains(t, err, says, spec)
	}
}
