package provision

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// aLab is a lab with two work files. Its values are not filled in.
func aLab(t *testing.T, needs string) *labs.Lab {
	t.Helper()
	c, err := labs.Load(fstest.MapFS{
		"course.yaml":                 {Data: []byte("title: A course\ngoal: Learn\nlabs: [first]\n")},
		"first/lab.md":                {Data: []byte("---\ntitle: T\ngoal: G\nminutes: 5\nneeds: [" + needs + "]\n---\n# T\n")},
		"first/start/work/a.txt":      {Data: []byte("a of @{lab}")},
		"first/start/work/sub/b.yaml": {Data: []byte("b: 1")},
	}, "course")
	require.NoError(t, err)
	return c.Labs[0]
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(data)
}

func write(t *testing.T, text string, path ...string) {
	t.Helper()
	name := filepath.Join(path...)
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
}

// tree lists the files below dir.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, p)
		}
		return err
	}))
	return out
}

func TestStartWork(t *testing.T) {
	e := &Environment{Work: t.TempDir(), Report: Quiet{}}
	lab := aLab(t, "")
	dir := e.LabFolder("course", "first")
	assert.Equal(t, filepath.Join(e.Work, "course", "first"), dir)
	require.NoError(t, e.startWork(t.Context(), "course", lab))
	assert.Equal(t, []string{"a.txt", "sub/b.yaml"}, tree(t, dir))
	assert.Equal(t, "a of sample-lab", read(t, dir, "a.txt"))

	write(t, "mine", dir, "a.txt")
	require.NoError(t, os.Remove(filepath.Join(dir, "sub", "b.yaml")))
	require.NoError(t, e.startWork(t.Context(), "course", lab))
	assert.Equal(t, "mine", read(t, dir, "a.txt"), "the learner's file stays")
	assert.Equal(t, "b: 1", read(t, dir, "sub", "b.yaml"), "what is gone comes back")
	assert.Equal(t, []string{"course/first/a.txt", "course/first/sub/b.yaml"}, tree(t, e.Work), "nothing else")

	write(t, "", e.Work, "file")
	e.Work = filepath.Join(e.Work, "file")
	err := e.startWork(t.Context(), "course", lab)
	var h *Hinted
	require.ErrorAs(t, err, &h)
	assert.Contains(t, h.Hint, "--work")
}

func TestStartWorkApp(t *testing.T) {
	e := &Environment{Work: t.TempDir(), Report: Quiet{}, Docker: engine(t, map[string]string{"/_ping": "OK", "/version": `{"ApiVersion": "1.52", "Arch": "pdp11"}`})}
	assert.ErrorContains(t, e.startWork(t.Context(), "course", aLab(t, "app")), "this kindlab was built without the program hello for linux/pdp11")
	e.arch = built(t)
	require.NoError(t, e.startWork(t.Context(), "course", aLab(t, "app")))
	program := filepath.Join(e.LabFolder("course", "first"), "hello")
	info, err := os.Stat(program)
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&0o100, "it can be run")
	assert.Equal(t, "\x7fELF", read(t, program)[:4])
}

func TestPutFile(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	write(t, "secret", outside, "there")
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "out")))
	require.NoError(t, os.Symlink(filepath.Join(outside, "new"), filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("../"+filepath.Base(outside), filepath.Join(dir, "up")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o755))
	require.NoError(t, os.Symlink("folder", filepath.Join(dir, "in")))

	for _, name := range []string{"../a", "/etc/a", "out/a", "out/sub/a", "up/a", "folder/../../a"} {
		require.Error(t, putFile(dir, name, []byte("x"), 0o644), name)
	}
	require.NoError(t, putFile(dir, "link", []byte("x"), 0o644), "a link is something of the learner's")
	require.NoError(t, putFile(dir, "folder", []byte("x"), 0o644), "and so is a folder")
	assert.Equal(t, []string{"there"}, tree(t, outside))

	require.NoError(t, putFile(dir, "in/deep/a", []byte("x"), 0o600))
	assert.Equal(t, "x", read(t, dir, "folder", "deep", "a"))
	info, err := os.Stat(filepath.Join(dir, "folder", "deep", "a"))
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o600), info.Mode())
	require.Error(t, putFile(dir, "in/deep/a/b", []byte("x"), 0o600), "a file is in the way")
	require.ErrorIs(t, putFile(filepath.Join(dir, "none"), "a", nil, 0o644), fs.ErrNotExist)
}

func TestSaveFile(t *testing.T) {
	e := &Environment{Work: t.TempDir()}
	require.ErrorIs(t, e.SaveFile("course", "first", "a", nil), fs.ErrNotExist, "the folder is not there before the lab starts")
	outside, dir := t.TempDir(), e.LabFolder("course", "first")
	write(t, "a longer text of the learner's", dir, "app", "a.yaml")
	require.NoError(t, e.SaveFile("course", "first", "app/a.yaml", []byte("a: 1")))
	assert.Equal(t, "a: 1", read(t, dir, "app", "a.yaml"))
	require.NoError(t, e.SaveFile("course", "first", "new/sub/b", []byte("b")))
	assert.Equal(t, "b", read(t, dir, "new", "sub", "b"))

	write(t, "secret", outside, "there")
	require.NoError(t, os.Symlink(filepath.Join(outside, "there"), filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "out")))
	for _, name := range []string{"link", "out/there", "out/new", "../b", "/etc/b", "new/../../b"} {
		require.Error(t, e.SaveFile("course", "first", name, []byte("x")), name)
	}
	assert.Equal(t, "secret", read(t, outside, "there"))
	assert.Equal(t, []string{"there"}, tree(t, outside))
}

func TestPutAside(t *testing.T) {
	e := &Environment{Work: t.TempDir()}
	dir := e.LabFolder("course", "first")
	kept, err := e.putAside("course", "first")
	require.NoError(t, err)
	assert.Empty(t, kept, "there is no folder")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	kept, err = e.putAside("course", "first")
	require.NoError(t, err)
	assert.Empty(t, kept, "there is nothing in it")
	assert.Empty(t, tree(t, e.Work))

	before, err := os.Stat(dir)
	require.NoError(t, err)
	write(t, "a", dir, "a.txt")
	write(t, "b", dir, "sub", ".b")
	write(t, "c", e.LabFolder("course", "second"), "c")
	require.NoError(t, os.Symlink(t.TempDir(), filepath.Join(dir, "link")))
	kept, err = e.putAside("course", "first")
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(e.Work, "course", asideFolder), filepath.Dir(kept))
	assert.Equal(t, []string{"a.txt", "link", "sub/.b"}, tree(t, kept))
	assert.Empty(t, tree(t, dir))
	after, err := os.Stat(dir)
	require.NoError(t, err)
	assert.True(t, os.SameFile(before, after), "the folder itself stays")
	assert.Equal(t, []string{"c"}, tree(t, e.LabFolder("course", "second")))

	require.NoError(t, e.startWork(t.Context(), "course", aLab(t, "")))
	assert.Equal(t, "a of sample-lab", read(t, dir, "a.txt"))
	assert.Equal(t, "a", read(t, kept, "a.txt"))

	require.NoError(t, os.RemoveAll(dir))
	write(t, "", dir)
	_, err = e.putAside("course", "first")
	require.ErrorContains(t, err, "reading the work folder")
	assert.False(t, errors.Is(err, fs.ErrNotExist))
}
