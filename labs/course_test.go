package labs

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	front = "---\ntitle: First steps\ngoal: Take them\nminutes: 5\nneeds: [docker]\n---\n"
	// body of a page begins on line 7, the one after front.
	body = "# First steps\n\nHello.\n\n## Run it\n\n```sh\ntrue\n```\n\n"
)

// check is a check block that begins on its own line.
func check(id, more string) string {
	return "```check\nid: " + id + "\nthat: " + id + " is true\nhint: Look.\n" + more + "```\n"
}

// files makes a course of one lab called first; pairs are further files of the course.
func files(page string, pairs ...string) fstest.MapFS {
	f := fstest.MapFS{
		"course.yaml":  {Data: []byte("title: A course\ngoal: Learn\nlabs: [first]\n")},
		"first/lab.md": {Data: []byte(page)},
	}
	for i := 0; i < len(pairs); i += 2 {
		f[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return f
}

func load(t *testing.T, page string, pairs ...string) *Lab {
	t.Helper()
	c, err := Load(files(page, pairs...), "course")
	require.NoError(t, err)
	return c.Labs[0]
}

// problems are what is wrong with a page, without the name of its file.
func problems(t *testing.T, page string) []string {
	t.Helper()
	_, err := Load(files(page), "course")
	var out []string
	if err != nil {
		require.IsType(t, Problems{}, err)
		for _, p := range err.(Problems) {
			out = append(out, strings.TrimPrefix(p.String(), "first/lab.md:"))
		}
	}
	return out
}

func TestLoad(t *testing.T) {
	f := files(front+body, "README.md", "# A course\n\nRead me.\n")
	f["course.yaml"].Data = []byte("title: A course\ngoal: Learn\nlabs:\n- first\n- second\n")
	f["second/lab.md"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(front, "First", "More") + "## Go on\n")}
	c, err := Load(f, "course")
	require.NoError(t, err)
	assert.Equal(t, []string{"course", "A course", "Learn", "\n\nRead me.\n"}, []string{c.ID, c.Title, c.Goal, c.Intro})
	require.Len(t, c.Labs, 2)
	l := c.Lab("first")
	assert.Equal(t, []any{"first", "First steps", "Take them", 5, []string{"docker"}, "first/lab.md"},
		[]any{l.ID, l.Title, l.Goal, l.Minutes, l.Needs, l.File()})
	assert.True(t, l.Wants("docker"))
	assert.False(t, l.Wants("cluster"))
	assert.Equal(t, "More steps", c.Lab("second").Title)
	assert.Nil(t, c.Lab("third"))

	for _, c2 := range []struct{ id, want string }{
		{"secnod", `there is no lab "secnod"; did you mean "second"?`},
		{"helm", `there is no lab "helm"; there are first, second`},
	} {
		_, err := c.FindLab(c2.id)
		assert.EqualError(t, err, c2.want)
	}
	found, err := c.FindLab("second")
	require.NoError(t, err)
	assert.Same(t, c.Lab("second"), found)
	_, err = l.FindTask("run-ti")
	assert.EqualError(t, err, `there is no task "first/run-ti"; did you mean "first/run-it"?`)
	task, err := l.FindTask("run-it")
	require.NoError(t, err)
	assert.Equal(t, "Run it", task.Title)
}

// unreadable is a file system whose disk is broken.
type unreadable struct{}

func (unreadable) Open(string) (fs.File, error) { return nil, fs.ErrPermission }

func TestLoadRefuses(t *testing.T) {
	_, err := Load(fstest.MapFS{"lab.md": {}}, "course")
	require.ErrorIs(t, err, ErrNotCourse)
	_, err = Load(unreadable{}, "course")
	require.ErrorIs(t, err, fs.ErrPermission)
	require.NotErrorIs(t, err, ErrNotCourse)

	for _, c := range []struct {
		name, id, course string
		want             []string
	}{
		{"an empty file", "course", "", []string{
			"course.yaml: title is missing", "course.yaml: goal is missing",
			"course.yaml: labs is empty: name the lab folders in order"}},
		{"a bad name", "Course!", "title: A\n", []string{
			`course.yaml: the course folder's name "Course!": use small letters, digits and '-'`,
			"course.yaml: goal is missing", "course.yaml: labs is empty: name the lab folders in order"}},
		{"an unknown key", "course", "title: A\ngoal: B\nlasb: [first]\n", []string{
			`course.yaml:3: unknown key "lasb"; did you mean "labs"?`}},
		{"a list", "course", "- first\n", []string{"course.yaml:1: cannot unmarshal seq into these fields"}},
		{"bad lab ids", "course", "title: A\ngoal: B\nlabs:\n- First\n- x\n- ../first\n- {a: b}\n- " + strings.Repeat("a", 33) + "\n- a-\n", []string{
			`course.yaml:4: lab "First": use small letters, digits and '-', 2 to 32 of them`,
			`course.yaml:5: lab "x": use small letters, digits and '-', 2 to 32 of them`,
			`course.yaml:6: lab "../first": use small letters, digits and '-', 2 to 32 of them`,
			`course.yaml:7: lab "": use small letters, digits and '-', 2 to 32 of them`,
			`course.yaml:8: lab "` + strings.Repeat("a", 33) + `": use small letters, digits and '-', 2 to 32 of them`,
			`course.yaml:9: lab "a-": use small letters, digits and '-', 2 to 32 of them`}},
		{"listed twice", "course", "title: A\ngoal: B\nlabs: [first,\n  first]\n", []string{`course.yaml:4: lab "first" is listed twice`}},
		{"no page", "course", "title: A\ngoal: B\nlabs:\n- first\n- second\n", []string{`course.yaml:5: lab "second": there is no second/lab.md`}},
		{"everything at once, in order", "course", "title: A\ngoal: B\nlabs:\n- zoo\n- first\n- bad\n", []string{
			"bad/lab.md:1: goal is missing", "bad/lab.md:1: minutes is missing: how long an attendee needs",
			`bad/lab.md:3: unknown need "clutser"; known are docker, registry, app, cluster, mesh, metrics, policies, admin`,
			`course.yaml:4: lab "zoo": there is no zoo/lab.md`}},
		{"broken YAML", "course", "title: A\ngoal: [B\n", []string{"course.yaml:2: did not find expected ',' or ']'"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := files(front+body, "course.yaml", c.course, "bad/lab.md", "---\ntitle: Bad\nneeds: [clutser]\n---\n")
			course, err := Load(f, c.id)
			require.IsType(t, Problems{}, err)
			assert.Equal(t, c.want, strings.Split(err.Error(), "\n"))
			assert.NotNil(t, course, "as far as it could be read")
		})
	}
}

func TestIntro(t *testing.T) {
	for _, c := range []struct{ md, want string }{
		{"# T\nText\n", "\nText\n"},
		{"Before\n# T\nAfter\n# U\n", "Before\n\nAfter\n# U\n"},
		{"## Not a title\n", "## Not a title\n"},
		{"", ""},
	} {
		assert.Equal(t, c.want, dropTitle(c.md))
	}
}

func TestWithout(t *testing.T) {
	f := files(front + body)
	f["course.yaml"].Data = []byte("title: A course\ngoal: Learn\nlabs: [first, second]\n")
	f["second/lab.md"] = f["first/lab.md"]
	c, err := Load(f, "course")
	require.NoError(t, err)
	less := c.Without(func(l *Lab) string {
		if l.ID == "first" {
			return "it needs a node"
		}
		return ""
	})
	require.Len(t, less.Labs, 1)
	assert.Equal(t, "second", less.Labs[0].ID)
	assert.Equal(t, []LeftOut{{c.Labs[0], "it needs a node"}}, less.Left)
	assert.Len(t, c.Labs, 2, "the course itself stays")
}
