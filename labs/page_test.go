package labs

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseBlockInfo(t *testing.T) {
	const unknown = " after the fence; known are fails, background, norun, timeout=… for sh, and file=… for files"
	for _, c := range []struct {
		info  string
		want  BlockInfo
		wrong string
	}{
		{"", BlockInfo{Kind: Sample}, ""},
		{"  ", BlockInfo{Kind: Sample}, ""},
		{"go", BlockInfo{Kind: Sample, Lang: "go"}, ""},
		{"shell", BlockInfo{Kind: Sample, Lang: "shell"}, ""},
		{"sh", BlockInfo{Kind: Command, Lang: "sh"}, ""},
		{"output", BlockInfo{Kind: Output, Lang: "output"}, ""},
		{"check", BlockInfo{Kind: CheckIt, Lang: "check"}, ""},
		{"sh fails", BlockInfo{Kind: Command, Lang: "sh", Fails: true}, ""},
		{"sh background", BlockInfo{Kind: Command, Lang: "sh", Background: true}, ""},
		{"sh norun", BlockInfo{Kind: Command, Lang: "sh", NoRun: true}, ""},
		{"sh\ttimeout=2m  fails", BlockInfo{Kind: Command, Lang: "sh", Fails: true, Timeout: 2 * time.Minute}, ""},
		{"yaml file=k8s/app.yaml", BlockInfo{Kind: SaveAs, Lang: "yaml", File: "k8s/app.yaml"}, ""},
		{"docker file=.dockerignore", BlockInfo{Kind: SaveAs, Lang: "docker", File: ".dockerignore"}, ""},
		{"txt file=a=b", BlockInfo{Kind: SaveAs, Lang: "txt", File: "a=b"}, ""},
		{"sh fial", BlockInfo{Kind: Command, Lang: "sh"}, "unknown word fial" + unknown},
		{"sh fails=yes", BlockInfo{Kind: Command, Lang: "sh"}, "unknown word fails=yes" + unknown},
		{"sh file=a.sh", BlockInfo{Kind: Command, Lang: "sh"}, "unknown word file=a.sh" + unknown},
		{"output fails", BlockInfo{Kind: Output, Lang: "output"}, "unknown word fails" + unknown},
		{"check file=a", BlockInfo{Kind: CheckIt, Lang: "check"}, "unknown word file=a" + unknown},
		{"go norun", BlockInfo{Kind: Sample, Lang: "go"}, "unknown word norun" + unknown},
		{"go timeout=1s", BlockInfo{Kind: Sample, Lang: "go"}, "unknown word timeout=1s" + unknown},
		{"go file=a file=b", BlockInfo{Kind: SaveAs, Lang: "go", File: "a"}, "unknown word file=b" + unknown},
		{"sh timeout", BlockInfo{Kind: Command, Lang: "sh"}, "timeout wants a duration such as 2m, not "},
		{"sh timeout=2", BlockInfo{Kind: Command, Lang: "sh"}, "timeout wants a duration such as 2m, not 2"},
		{"sh timeout=-2m", BlockInfo{Kind: Command, Lang: "sh"}, "timeout wants a duration such as 2m, not -2m"},
		{"sh timeout=0s", BlockInfo{Kind: Command, Lang: "sh"}, "timeout wants a duration such as 2m, not 0s"},
	} {
		got, wrong := ParseBlockInfo(c.info)
		assert.Equal(t, c.want, got, c.info)
		assert.Equal(t, c.wrong, wrong, c.info)
	}
	for _, hostile := range []string{"", ".", "..", "../x", "a/../../x", "a/..", "./a", "/etc/passwd", "a//b", "a/", `..\x`, `a\b`, "C:", "C:/x", "c:x", "a:b", `\\host\x`} {
		got, wrong := ParseBlockInfo("yaml file=" + hostile)
		assert.Equal(t, "file wants a path inside the work folder, not "+hostile, wrong)
		assert.Equal(t, BlockInfo{Kind: Sample, Lang: "yaml"}, got)
	}
}

func TestTasks(t *testing.T) {
	type task struct {
		id, title, markdown string
		line                int
	}
	for _, c := range []struct {
		name, page, intro string
		want              []task
	}{
		{"none", "# T\n\nText.\n", "\nText.\n", nil},
		{"no title", "Text.\n\n## A\nb\n", "\n\n\n\n\n\nText.\n\n", []task{{"a", "A", "b\n", 9}}},
		{"two", "# T\nI.\n\n## One `thing`\n\nText.\n\n### Part\n\nMore.\n## Two, isn't it?\n", "I.\n\n", []task{
			{"one-thing", "One thing", "\nText.\n\n### Part\n\nMore.\n", 10}, {"two-isnt-it", "Two, isn't it?", "", 17}}},
		{"no line break at the end", "# T\n## A\nText.", "", []task{{"a", "A", "Text.", 8}}},
		{"hashes on both sides", "## A b ##\nText.\n", "\n\n\n\n\n\n", []task{{"a-b", "A b", "Text.\n", 7}}},
		{"indented", "   ## A\nText.\n", "\n\n\n\n\n\n", []task{{"a", "A", "Text.\n", 7}}},
		{"underlined", "T\n=\n\nIntro.\n\nTask a\n------\nText.\n\nTask b\n-\n", "\nIntro.\n\n", []task{
			{"task-a", "Task a", "Text.\n\n", 12}, {"task-b", "Task b", "", 16}}},
		{"underlined on lines", "A long\ntitle\n=\nIntro.\n\nTask\na\n--\nText.\n", "Intro.\n\n", []task{{"task-a", "Task a", "Text.\n", 12}}},
		{"a rule after a heading", "# T\n===\n\n## A\n---\nText.\n", "===\n\n", []task{{"a", "A", "---\nText.\n", 10}}},
		{"headings that are no tasks", "# T\n## A\n```md\n## B\n# U\n```\n\n    ## C\n\n> ## D\n\n- ## E\n\n### F\n\n<div>\n## G\n</div>\n\n##H\n\n##\n", "", []task{
			{"a", "A", "```md\n## B\n# U\n```\n\n    ## C\n\n> ## D\n\n- ## E\n\n### F\n\n<div>\n## G\n</div>\n\n##H\n\n##\n", 8}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, page := range []string{front + c.page, strings.ReplaceAll("\ufeff"+front+c.page, "\n", "\r\n")} {
				l := load(t, page)
				assert.Equal(t, c.intro, l.Intro)
				var got []task
				for _, k := range l.Tasks {
					got = append(got, task{k.ID, k.Title, k.Markdown, k.Line})
				}
				assert.Equal(t, c.want, got)
			}
		})
	}
}

func TestBlocks(t *testing.T) {
	l := load(t, front+"# T\n\n```go\nbefore\n```\n\n## A\n\n1. First\n\n   ```sh fails\n   false\n\n     indented\n   ```\n\n   - Deeper\n     ~~~yaml file=a.yaml\n     a: 1\n     ~~~\n\n"+
		"> ```output\n> quoted\n> ```\n\n````md\n```sh\nnested\n```\n````\n\n```\nbare\n```\n\n## B\n\n```sh\nopen\n")
	require.Len(t, l.Tasks, 2)
	assert.Equal(t, []Block{
		{BlockInfo{Kind: Command, Lang: "sh", Fails: true}, "false\n\n  indented\n", 17},
		{BlockInfo{Kind: SaveAs, Lang: "yaml", File: "a.yaml"}, "a: 1\n", 24},
		{BlockInfo{Kind: Output, Lang: "output"}, "quoted\n", 28},
		{BlockInfo{Kind: Sample, Lang: "md"}, "```sh\nnested\n```\n", 32},
		{BlockInfo{Kind: Sample}, "bare\n", 38},
	}, l.Tasks[0].Blocks)
	assert.Equal(t, []Block{{BlockInfo{Kind: Command, Lang: "sh"}, "open\n", 44}}, l.Tasks[1].Blocks)
}

func TestPageProblems(t *testing.T) {
	for _, c := range []struct {
		name, page string
		want       []string
	}{
		{"a second title", "# T\n\n# U\n\n## A\n", nil},
		{"a title after tasks", "# T\n## A\n\n# U\n", []string{"10: a second title: use ## for tasks"}},
		{"an underlined title after tasks", "# T\n## A\n\nU\n=\n", []string{"10: a second title: use ## for tasks"}},
		{"the same heading", "## A b\n\n## a, B!\n", []string{`9: task "a, B!": another task has this heading`}},
		{"no letters", "## 早い\n", []string{`7: task "早い": the heading needs a word of letters a to z`}},
		{"bad words", "## A\n- ```sh nurun\n  true\n  ```\n", []string{
			"8: unknown word nurun after the fence; known are fails, background, norun, timeout=… for sh, and file=… for files"}},
		{"before the first task", "# T\n```sh\ntrue\n```\n```yaml file=a\n```\n```output\n```\n" + check("up", "x: 1\n"), []string{
			"8: a command block before the first task: put it under a ## heading",
			"11: a file block before the first task: put it under a ## heading",
			"15: a check block before the first task: put it under a ## heading"}},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.want, problems(t, front+c.page)) })
	}
}

func TestCheck(t *testing.T) {
	l := load(t, front+body+"- Do\n\n"+"  ```check\n  id: up\n  that: it is up\n  hint: Look.\n\n  object:\n    kind: Pod\n  ```\n\n"+check("held", "needs: [up]\nholds: 10s\ncel: {x: 1}\n"))
	cs := l.Checks()
	require.Len(t, cs, 2)
	assert.Equal(t, []any{"up", "it is up", "Look.", "object", "first/lab.md", 19, 25, Hold{}, []string(nil)},
		[]any{cs[0].ID, cs[0].That, cs[0].Hint, cs[0].Kind, cs[0].File, cs[0].Line, cs[0].Spec.Line, cs[0].Holds, cs[0].Needs})
	assert.Equal(t, []any{"held", "cel", 28, Hold{For: 10 * time.Second}, []string{"up"}},
		[]any{cs[1].ID, cs[1].Kind, cs[1].Line, cs[1].Holds, cs[1].Needs})
	require.NoError(t, Decode(cs[1].Spec, new(map[string]int)))

	const kinds = "kind is missing: such as object, http or container"
	for _, c := range []struct {
		name, block string
		want        []string
	}{
		{"nothing", "", []string{"17: a check is a map: id, that, hint, and one kind such as object"}},
		{"a list", "- id: up\n", []string{"17: a check is a map: id, that, hint, and one kind such as object"}},
		{"only an id", "id: up\n", []string{
			"18: check up: that is missing: a sentence that is true when the check passes",
			"18: check up: hint is missing: where a learner who is stuck should look", "18: check up: " + kinds}},
		{"blank", "id: up\nthat: ' '\nhint: |\n\nx: 1\n", []string{
			"18: check up: that is missing: a sentence that is true when the check passes",
			"18: check up: hint is missing: where a learner who is stuck should look"}},
		{"no kind", "id: up\nthat: a\nhint: b\n", []string{"18: check up: " + kinds}},
		{"two kinds", "id: up\nthat: a\nhint: b\nobject: {}\n\nhttp: {}\n", []string{"23: a check has one kind, and this one has object and http"}},
		{"a key twice", "id: up\nthat: a\nhint: b\nobject: {}\nid: down\nobject: {}\n", []string{
			"22: a check has id once, and this one has it twice", "23: a check has object once, and this one has it twice"}},
		{"a bad id", "that: a\nid: Up!\nhint: b\nx: 1\n", []string{`18: the check's id "Up!": use small letters, digits and '-', 2 to 32 of them`}},
		{"no id", "that: a\nhint: b\nx: 1\n", []string{`18: the check's id "": use small letters, digits and '-', 2 to 32 of them`}},
		{"wrong types", "id: up\nthat: [a]\nhint: b\nneeds: up\nx: 1\n", []string{
			"18: check up: that is missing: a sentence that is true when the check passes",
			"19: that: cannot unmarshal seq into text", "21: needs: cannot unmarshal str `up` into a list"}},
		{"holds", "id: up\nthat: a\nhint: b\nx: 1\nholds: long\n", []string{"22: holds is now, once, or a duration such as 10s, not long"}},
		{"broken", "id: up\nthat: a: b\n", []string{"19: mapping values are not allowed in this context"}},
		{"broken at the end", "id: up\nx: [1\n", []string{"19: did not find expected ',' or ']'"}},
		{"needs what is not there", "id: up\nthat: a\nhint: b\nneeds: [down]\nx: 1\n", []string{`17: check up needs "down", which is no check or task before it`}},
		{"needs itself", "id: up\nthat: a\nhint: b\nneeds: [up]\nx: 1\n", []string{`17: check up needs "up", which is no check or task before it`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, problems(t, front+body+"```check\n"+c.block+"```\n"))
		})
	}
	t.Run("needs what comes later", func(t *testing.T) {
		assert.Equal(t, []string{`17: check up needs "later", which is no check or task before it`},
			problems(t, front+body+check("up", "needs: [later]\nx: 1\n")+check("later", "x: 1\n")))
	})
	t.Run("an id twice", func(t *testing.T) {
		assert.Equal(t, []string{"25: check up: another check has this id"},
			problems(t, front+body+check("up", "x: 1\n")+"\n## B\n"+check("up", "x: 1\n")))
	})
}

func TestSlug(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Run more copies", "run-more-copies"}, {"  `kubectl` -- it's v1.2!", "kubectl-its-v1-2"}, {"!?", ""}, {"", ""}, {"Übung 3", "bung-3"}, {"A/B", "a-b"},
	} {
		assert.Equal(t, c.want, Slug(c.in), c.in)
	}
}

func FuzzBlockInfo(f *testing.F) {
	for _, s := range []string{"", "sh", "sh fails background norun timeout=2m", "yaml file=a/b.yaml", "yaml file=../x", `yaml file=C:\x`, "check", "output x", "sh timeout=1e9h", "\x00 file=\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, info string) {
		b, wrong := ParseBlockInfo(info)
		assert.Contains(t, []BlockKind{Command, Output, SaveAs, Sample, CheckIt}, b.Kind)
		assert.Equal(t, b.Kind == SaveAs, b.File != "")
		if b.File != "" {
			assert.True(t, fs.ValidPath(b.File) && b.File != "." && !strings.ContainsAny(b.File, `\:`), b.File)
		}
		if b.Kind != Command {
			assert.Equal(t, BlockInfo{Kind: b.Kind, Lang: b.Lang, File: b.File}, b)
		}
		assert.GreaterOrEqual(t, b.Timeout, time.Duration(0))
		if len(strings.Fields(info)) < 2 {
			assert.Empty(t, wrong)
		}
	})
}

func FuzzPage(f *testing.F) {
	for _, s := range []string{
		"", "---\n---\n", front, front + body, front + body + check("up", "needs: [down]\nholds: 3s\nx: 1\n"),
		strings.ReplaceAll(front+body+check("up", "x: 1\n"), "\n", "\r\n"), "\ufeff" + front + "T\n=\n\nA\nb\n---\nc\n",
		front + "## A\n---\n\n- ```check\n  id: [\n  ```\n\n> ```sh x\n> true\n", front + "## A\n```check\nid: up\n\n\n[", front + "## A\n```check\n\tx",
		"---\nvalues: {n: {int: [1, 2]}, m: {oneOf: [a]}}\n---\n## @{n}\n@{m} @{x}\n", "---\nvalues: &a {n: *a}\nneeds: [*a]\n---\n",
		"---\ntitle: T\ngoal: G\nminutes: 5\n---\n[a](#b \"c\") <x:y>\n## B\n#\n##\n## \n=\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, page string) {
		c, err := Load(files(page), "course")
		lines := 1 + strings.Count(page, "\n")
		within := func(ps Problems) {
			for _, p := range ps {
				assert.Equal(t, "first/lab.md", p.File)
				assert.GreaterOrEqual(t, p.Line, 0, p.Text)
				assert.LessOrEqual(t, p.Line, lines, p.Text)
			}
		}
		if err != nil {
			require.IsType(t, Problems{}, err)
			within(err.(Problems))
		}
		lab := c.Labs[0]
		text := lab.Values.Expand(strings.ReplaceAll(strings.TrimPrefix(page, "\ufeff"), "\r\n", "\n"))
		last := 0
		for _, k := range lab.Tasks {
			assert.Contains(t, text, k.Markdown)
			assert.Greater(t, k.Line, last, "tasks come in page order")
			last = k.Line
			for _, b := range k.Blocks {
				assert.LessOrEqual(t, b.Line, lines)
			}
		}
		if err == nil {
			within(c.Lint())
			own, err := lab.For(lab.Values)
			require.NoError(t, err)
			assert.Equal(t, lab.Tasks, own.Tasks)
		}
	})
}

func TestNeedsOfTasks(t *testing.T) {
	head := func(tasks string) string {
		return strings.Replace(front, "---\ntitle", "---\n"+tasks+"title", 1)
	}
	page := body + check("up", "x: 1\n") + check("fast", "needs: [up]\nx: 1\n") +
		"\n## Change it\n\n" + check("changed", "needs: [run-it]\nx: 1\n") +
		"\n## Look back\n\n" + check("seen", "needs: [changed]\nx: 1\n") + check("told", "x: 1\n")
	needs := func(l *Lab) map[string][]string {
		out := map[string][]string{}
		for _, c := range l.Checks() {
			out[c.ID] = c.Needs
		}
		return out
	}
	l := load(t, front+page)
	assert.Equal(t, map[string][]string{"up": nil, "fast": {"up"}, "changed": {"up", "fast"}, "seen": {"changed"}, "told": nil}, needs(l),
		"a check may need all of a task")

	l = load(t, head("tasks: {look-back: {needs: [run-it, change-it]}}\n")+page)
	want := map[string][]string{"up": nil, "fast": {"up"}, "changed": {"up", "fast"}, "seen": {"up", "fast", "changed"}, "told": {"up", "fast", "changed"}}
	assert.Equal(t, want, needs(l), "so may a task")
	own, err := l.For(l.Values)
	require.NoError(t, err)
	assert.Equal(t, want, needs(own))

	assert.Equal(t, []string{`2: task change-it needs "look-back", which is no task before it`},
		problems(t, head("tasks: {change-it: {needs: [look-back]}}\n")+page))
	assert.Equal(t, []string{`2: task change-it needs "change-it", which is no task before it`},
		problems(t, head("tasks: {change-it: {needs: [change-it]}}\n")+page))
	assert.Equal(t, []string{`2: task change-it needs "up", which is no task before it`},
		problems(t, head("tasks: {change-it: {needs: [up]}}\n")+page))
	assert.Equal(t, []string{`2: tasks: "chnage-it" is no task of this page`},
		problems(t, head("tasks: {chnage-it: {needs: [run-it]}}\n")+page))
	assert.Equal(t, []string{`3: unknown key "need"; did you mean "needs"?`},
		problems(t, head("tasks:\n  change-it: {need: [run-it]}\n")+page))
}
