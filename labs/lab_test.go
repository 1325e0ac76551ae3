package labs

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFrontMatter(t *testing.T) {
	const missing = "1: the page must begin with front matter: title, goal, minutes, needs between two lines of ---"
	head := func(more string) string { return "---\ntitle: T\ngoal: G\nminutes: 5\n" + more + "---\n" + body }
	for _, c := range []struct {
		name, page string
		want       []string
	}{
		{"as it should be", front + body, nil},
		{"CRLF", strings.ReplaceAll(front+body, "\n", "\r\n"), nil},
		{"BOM", "\ufeff" + front + body, nil},
		{"BOM and CRLF", "\ufeff" + strings.ReplaceAll(front+body, "\n", "\r\n"), nil},
		{"none", body, []string{missing}},
		{"empty page", "", []string{missing}},
		{"not on the first line", "\n" + front + body, []string{missing}},
		{"unclosed", "---\ntitle: T\n\n" + body, []string{missing}},
		{"closed by more than it opened with", "---\ntitle: T\n----\n" + body, []string{missing}},
		{"empty", "---\n---\n" + body, []string{"1: title is missing", "1: goal is missing", "1: minutes is missing: how long an attendee needs"}},
		{"unknown key", head("mintues: 5\n"), []string{`5: unknown key "mintues"; did you mean "minutes"?`}},
		{"unknown key, CRLF", strings.ReplaceAll("\ufeff"+head("mintues: 5\n"), "\n", "\r\n"), []string{`5: unknown key "mintues"; did you mean "minutes"?`}},
		{"unlike any key", head("\n\nlanguage: en\n"), []string{`7: unknown key "language"; known are goal, minutes, needs, tasks, title, values`}},
		{"a key of a value", head("values:\n  n:\n    onOf: [a]\n"), []string{
			"6: value n: set exactly one of int, oneOf, port", `7: unknown key "onOf"; did you mean "oneOf"?`}},
		{"a key twice", head("title: U\n"), []string{`5: mapping key "title" already defined at line 2`}},
		{"wrong types", head("needs: docker\nvalues: [a]\n"), []string{
			"5: cannot unmarshal str `docker` into a list", "6: cannot unmarshal seq into a map"}},
		{"minutes in words", "---\ntitle: T\ngoal: G\nminutes: five\n---\n" + body, []string{"4: cannot unmarshal str `five` into a whole number"}},
		{"minutes on lines", "---\ntitle: T\ngoal: G\nminutes: |\n  five\n  or six\n---\n" + body, []string{"4: cannot unmarshal str `five or...` into a whole number"}},
		{"minutes below one", "---\ntitle: T\ngoal: G\nminutes: 0\n---\n" + body, []string{"1: minutes is missing: how long an attendee needs"}},
		{"unknown need", head("needs:\n- docker\n- clutser\n"), []string{`7: unknown need "clutser"; known are docker, registry, app, cluster, mesh, metrics, policies, admin`}},
		{"broken", head("needs: [docker\n"), []string{"5: did not find expected ',' or ']'"}},
		{"a list", "---\n- a\n---\n" + body, []string{"2: cannot unmarshal seq into these fields"}},
		{"no tabs", head("values:\n\tn: {int: [1, 2]}\n"), []string{"6: found character that cannot start any token"}},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.want, problems(t, c.page)) })
	}
}

func TestFor(t *testing.T) {
	page := "---\ntitle: T\ngoal: G\nminutes: 5\nvalues: {replicas: {int: [3, 6]}, colour: {oneOf: [teal, plum]}}\n---\n" +
		"# T\n\nIn @{ns}.\n\n## Run more\n\nGive it @{replicas}.\n\n```sh\nscale @{replicas} @{colour}\n```\n" +
		check("more", "answer: '@{replicas}'\n")
	lab := load(t, page, "first/solution/run-more.sh", "scale @{replicas} @{other}")
	sample := lab.Tasks[0].Markdown
	assert.NotContains(t, sample, "@{")

	v := Values{"replicas": "4", "colour": "plum", "ns": "me-first"}
	own, err := lab.For(v)
	require.NoError(t, err)
	assert.Equal(t, "\nIn me-first.\n\n", own.Intro)
	task := own.Tasks[0]
	assert.Contains(t, task.Markdown, "Give it 4.")
	assert.Equal(t, "scale 4 plum\n", task.Blocks[0].Text)
	assert.Equal(t, "4", task.Checks[0].Spec.Value)
	assert.Equal(t, lab.Tasks[0].Checks[0].Line, task.Checks[0].Line)
	assert.Equal(t, sample, lab.Tasks[0].Markdown, "the author's lab stays")
	assert.Equal(t, v, own.Values)
	script, ok := own.Solution("run-more")
	assert.True(t, ok)
	assert.Equal(t, "scale 4 @{other}", script)

	_, err = lab.For(Values{"ns": "x", "colour": "plum"})
	assert.EqualError(t, err, "first/lab.md:13: unknown value @{replicas}; this lab has colour, ns\n"+
		"first/lab.md:16: unknown value @{replicas}; this lab has colour, ns\n"+
		"first/lab.md:22: unknown value @{replicas}; this lab has colour, ns")
}

func TestLabFiles(t *testing.T) {
	lab := load(t, front+body+check("up", "cel: x\n")+check("up-fast", "needs: [up]\ncel: x\n"),
		"first/start/cluster/b.yaml", "ns: @{ns}",
		"first/start/cluster/a.yaml", "a: 1",
		"first/start/work/app/Dockerfile", "FROM @{registry}/hello:v1",
		"first/start/work/.env", "A=1",
		"first/solution/run-it.sh", "true",
		"first/solution/empty.sh", "",
		"first/wrong/up-fast-not-at-all.sh", "w1 @{ns}",
		"first/wrong/up-too-slow.sh", "w2",
		"first/wrong/other.sh", "w3",
		"first/wrong/up.md", "no script")
	got, err := lab.Manifests()
	require.NoError(t, err)
	assert.Equal(t, []File{{"a.yaml", []byte("a: 1")}, {"b.yaml", []byte("ns: sample-ns")}}, got)
	got, err = lab.WorkFiles()
	require.NoError(t, err)
	assert.Equal(t, []File{{".env", []byte("A=1")}, {"app/Dockerfile", []byte("FROM localhost:5001/hello:v1")}}, got)

	for _, c := range []struct {
		task, want string
		ok         bool
	}{{"run-it", "true", true}, {"empty", "", false}, {"none", "", false}} {
		script, ok := lab.Solution(c.task)
		assert.Equal(t, c.ok, ok, c.task)
		assert.Equal(t, c.want, script)
	}
	assert.Equal(t, []NearMiss{{"up", "too slow", "first/wrong/up-too-slow.sh", "w2"}}, lab.NearMisses("up"))
	assert.Equal(t, []NearMiss{{"up-fast", "not at all", "first/wrong/up-fast-not-at-all.sh", "w1 sample-ns"}}, lab.NearMisses("up-fast"),
		"the longest id wins")
	assert.Empty(t, lab.NearMisses("none"))

	bare := load(t, front+body)
	for _, list := range []func() ([]File, error){bare.Manifests, bare.WorkFiles} {
		got, err := list()
		require.NoError(t, err)
		assert.Empty(t, got)
	}
	assert.Empty(t, bare.NearMisses("up"))
}

func TestCheckReadsFilesOfItsLab(t *testing.T) {
	template := load(t, front+body+check("up", "cel: x\n"), "first/check/ports.sh", "grep @{ns} file", "second/secret.sh", "x", "course.sh", "x")
	own, err := template.For(Values{"ns": "me-first", "registry": "localhost:5001"})
	require.NoError(t, err)
	for lab, want := range map[*Lab]string{template: "grep sample-ns file", own: "grep me-first file"} {
		text, err := lab.Checks()[0].ReadFile("check/ports.sh")
		require.NoError(t, err)
		assert.Equal(t, want, text)
	}
	c := own.Checks()[0]
	for name, says := range map[string]string{
		"check/prots.sh":        "there is no first/check/prots.sh",
		"check":                 "reading first/check: ",
		"../second/secret.sh":   "../second/secret.sh is no path inside the lab's folder",
		"check/../../course.sh": "is no path inside", "/etc/passwd": "is no path inside", `..\course.sh`: "is no path inside", "C:/x": "is no path inside",
		"": "is no path inside", ".": "is no path inside",
	} {
		_, err := c.ReadFile(name)
		assert.ErrorContains(t, err, says, name)
	}
	_, err = (&Check{}).ReadFile("check/ports.sh")
	assert.EqualError(t, err, "there is no check/ports.sh")
}

func TestLint(t *testing.T) {
	solid := check("up", "cel: x\n")
	miss := []string{"first/wrong/up-not.sh", "false"}
	for _, c := range []struct {
		name, page string
		more       []string
		want       []string
	}{
		{"nothing to say", front + body + solid, miss, nil},
		{"no tasks", front + "# T\n", nil, []string{"first/lab.md: the lab has no tasks: write ## headings"}},
		{"text alone needs no check", front + "## Read\n\nWords.\n\n```sh norun\ntrue\n```\n", nil, nil},
		{"commands without check", front + body, nil, []string{"first/lab.md:11: task run-it has something to do and no check"}},
		{"file without check", front + "## Save\n\n```yaml file=a.yaml\na: 1\n```\n", nil, []string{"first/lab.md:7: task save has something to do and no check"}},
		{"solution without check", front + "## Do\n", []string{"first/solution/do.sh", "true"}, []string{"first/lab.md:7: task do has something to do and no check"}},
		{"check without commands", front + "## Do\n\n" + solid, miss, []string{"first/lab.md:7: task do has no commands: write solution/do.sh"}},
		{"check with a solution", front + "## Do\n\n" + solid, append([]string{"first/solution/do.sh", "true"}, miss...), nil},
		{"check without near miss", front + body + solid, nil, []string{"first/lab.md:17: check up has no near miss: write wrong/up-WHY.sh"}},
		{"solution of no task", front + body + solid, append([]string{"first/solution/rnu-it.sh", "true"}, miss...), []string{
			"first/solution/rnu-it.sh: no task of this lab has this name"}},
		{"near miss of no check", front + body + solid, append([]string{"first/wrong/upper.sh", "true"}, miss...), []string{
			"first/wrong/upper.sh: no check of this lab begins the file's name"}},
		{"unknown value in a file", front + body + solid, append([]string{"first/start/work/a", "one\n@{ns} @{nsa}\n"}, miss...), []string{
			"first/start/work/a:2: unknown value @{nsa}; this lab has attendee, course, gateway, lab, ns, registry, work"}},
		{"links that work", front + "[a](#run-it) [b](https://x.y) [c](mailto:a@b.c) [d](start/work/a%20b) ![e](../pic.png) [f](../first/lab.md#run-it) <a@b.c> <https://x.y>\n\n" + body + solid,
			append([]string{"first/start/work/a b", "", "pic.png", ""}, miss...), nil},
		{"dead links", front + "[a](gone.md)\n\nand ![b](img/gone.png),\nagain [a](gone.md)\nand [c][ref]\n\n[ref]: ../../secret\n\n" + body + solid, miss, []string{
			"first/lab.md:7: dead link gone.md: there is no first/gone.md",
			"first/lab.md:9: dead link img/gone.png: there is no first/img/gone.png",
			"first/lab.md:10: dead link gone.md: there is no first/gone.md",
			"first/lab.md:11: dead link ../../secret: there is no ../secret"}},
		{"dead anchor", front + "[a](#run)\n\n" + body + solid, miss, []string{"first/lab.md:7: dead link #run: no task of this page has that id"}},
		{"odd links", front + "[a](javascript:alert) [b](ftp://x/y)\n[c](//x.y/z)\n[d](ht^tp://x)\n<file:///etc/passwd>\n\n" + body + solid, miss, []string{
			"first/lab.md:7: link javascript:alert: only http, https, mailto and files of the course work",
			"first/lab.md:7: link ftp://x/y: only http, https, mailto and files of the course work",
			"first/lab.md:8: link //x.y/z: only http, https, mailto and files of the course work",
			"first/lab.md:9: broken link ht^tp://x",
			"first/lab.md:10: link file:///etc/passwd: only http, https, mailto and files of the course work"}},
		{"links in code", front + body + "`[a](gone.md)`\n\n```md\n[a](gone.md)\n```\n" + solid, miss, nil},
		{"links of the course's page", front + body + solid, append([]string{"README.md", "# C\n\n[a](first/lab.md) [b](second/lab.md)\n[c](#first)\n"}, miss...), []string{
			"README.md:3: dead link second/lab.md: there is no second/lab.md",
			"README.md:4: dead link #first: no task of this page has that id"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			course, err := Load(files(c.page, c.more...), "course")
			require.NoError(t, err)
			var got []string
			for _, p := range course.Lint() {
				got = append(got, p.String())
			}
			assert.Equal(t, c.want, got)
		})
	}
}

func TestHold(t *testing.T) {
	for _, c := range []struct {
		text, shown string
		want        Hold
	}{
		{"now", "now", Hold{}}, {"once", "once", Hold{Once: true}},
		{"10s", "10s", Hold{For: 10 * time.Second}}, {"1m30s", "1m30s", Hold{For: 90 * time.Second}},
	} {
		got, err := parseHold(c.text)
		require.NoError(t, err)
		assert.Equal(t, c.want, got)
		assert.Equal(t, c.shown, got.String())
	}
	for _, text := range []string{"", "Once", "10", "-3s", "0s", "for 10s"} {
		_, err := parseHold(text)
		assert.EqualError(t, err, "holds is now, once, or a duration such as 10s, not "+text)
	}
}

// TestGone has the lab's files go away after the course was read.
func TestGone(t *testing.T) {
	f := files(front + body)
	c, err := Load(f, "course")
	require.NoError(t, err)
	clear(f)
	got, err := c.Labs[0].WorkFiles()
	require.NoError(t, err)
	assert.Empty(t, got)
	assert.NotPanics(t, func() { c.Lint() })
}

func TestNeedsMesh(t *testing.T) {
	for needs, want := range map[string][]string{
		"[mesh]": {"mesh", "cluster"}, "[cluster, mesh]": {"cluster", "mesh"}, "[docker]": {"docker"},
		"[metrics]": {"metrics", "mesh", "cluster"}, "[cluster, metrics]": {"cluster", "metrics", "mesh"}, "[mesh, metrics]": {"mesh", "metrics", "cluster"},
	} {
		lab := load(t, "---\ntitle: T\ngoal: G\nminutes: 5\nneeds: "+needs+"\n---\n# T\n\n## One\n\nOpen http://@{gateway}/ now.\n")
		assert.Equal(t, want, lab.Needs, "a mesh is in a cluster, and counts for Prometheus")
		assert.Contains(t, lab.Tasks[0].Markdown, "http://localhost:8580/")
	}
}
