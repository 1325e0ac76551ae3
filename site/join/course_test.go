package join

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func pemOf(certificate []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
}

func TestCourseFromTheHub(t *testing.T) {
	c := newClassroom(t)
	client, err := NewClient(c.server.URL, "")
	require.NoError(t, err)
	defer client.Close()
	w, err := client.Join(t.Context(), Request{Code: theCode, Name: "Ada", Machine: NewMachine()})
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "courses", "tiny")
	for range 2 { // the second takes the place of the first
		require.NoError(t, client.Course(t.Context(), w.Token, dir, w.Sum))
		for name, file := range courseFS() {
			data, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			assert.Equal(t, string(file.Data), string(data))
		}
		sum, err := Sum(os.DirFS(dir))
		require.NoError(t, err)
		assert.Equal(t, w.Sum, sum)
	}
	assert.ErrorContains(t, client.Course(t.Context(), w.Token, dir, "another"), "not what the hub announced")
	assert.FileExists(t, filepath.Join(dir, "course.yaml"), "what was there stays")
	left, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	assert.Len(t, left, 1, "and nothing else is left")
}

func TestSum(t *testing.T) {
	sum := func(files fstest.MapFS) string {
		s, err := Sum(files)
		require.NoError(t, err)
		return s
	}
	of := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	base := sum(fstest.MapFS{"a": of("1"), "b/c": of("2")})
	assert.Equal(t, base, sum(fstest.MapFS{"b/c": of("2"), "a": of("1"), ".git/config": of("x")}))
	for _, other := range []fstest.MapFS{
		{"a": of("1"), "b/c": of("3")}, {"a": of("1"), "b/d": of("2")}, {"a": of("1")},
		{"a": of("1"), "b/c": of("2"), "b/.hidden": of("")},
	} {
		assert.NotEqual(t, base, sum(other))
	}
}

func TestUnpackRefuses(t *testing.T) {
	file := func(h tar.Header, data string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if h.Size == 0 {
			h.Size = int64(len(data))
		}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		require.NoError(t, w.WriteHeader(&h))
		_, _ = w.Write([]byte(data))
		_ = w.Close()
		return b.Bytes()
	}
	for name, data := range map[string][]byte{
		"above":         file(tar.Header{Name: "../up"}, "x"),
		"deep above":    file(tar.Header{Name: "a/../../up"}, "x"),
		"absolute":      file(tar.Header{Name: "/tmp/up"}, "x"),
		"drive":         file(tar.Header{Name: "C:up"}, "x"),
		"backslash":     file(tar.Header{Name: `a\..\..\up`}, "x"),
		"link":          file(tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, ""),
		"hard link":     file(tar.Header{Name: "link", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}, ""),
		"device":        file(tar.Header{Name: "null", Typeflag: tar.TypeChar}, ""),
		"huge":          file(tar.Header{Name: "huge", Size: mostBytes + 1}, "x"),
		"cut off":       file(tar.Header{Name: "a", Size: 5000}, "x"),
		"no tar":        []byte(strings.Repeat("x", 2000)),
		"another":       file(tar.Header{Name: "a"}, "x"),
		"nothing":       nil,
		"the same name": append(file(tar.Header{Name: "a"}, "x")[:1024], file(tar.Header{Name: "a"}, "y")...),
	} {
		t.Run(name, func(t *testing.T) {
			above := t.TempDir()
			dir := filepath.Join(above, "courses", "tiny")
			assert.Error(t, Unpack(bytes.NewReader(data), dir, "sum"))
			var left []string
			require.NoError(t, filepath.WalkDir(above, func(path string, d fs.DirEntry, err error) error {
				if !d.IsDir() {
					left = append(left, path)
				}
				return err
			}))
			assert.Empty(t, left)
			assert.NoDirExists(t, dir)
		})
	}
}

func TestParseHub(t *testing.T) {
	for typed, want := range map[string][2]string{
		"http://192.0.2.7:8490":             {"http://192.0.2.7:8490", ""},
		" https://class.example.com/ ":      {"https://class.example.com", ""},
		"192.0.2.7:8490":                    {"http://192.0.2.7:8490", ""},
		"hub.local":                         {"http://hub.local", ""},
		"[2001:db8::1]:8490":                {"http://[2001:db8::1]:8490", ""},
		"http://192.0.2.7:8490/in":          {"http://192.0.2.7:8490", ""},
		"http://192.0.2.7:8490/in/TOKEN":    {"http://192.0.2.7:8490", "TOKEN"},
		"https://example.com/lab/in/TOKEN/": {"https://example.com/lab", "TOKEN"},
	} {
		hub, token, err := ParseHub(typed)
		require.NoError(t, err, typed)
		assert.Equal(t, want, [2]string{hub, token}, typed)
	}
	for _, typed := range []string{"", "http://", "ftp://example.com", "http://u:p@example.com", "http://example.com/in/", "http://example.com/in/a/b",
		"http://example.com?x=1", "http://exa mple.com", "http://%zz", "file:///etc/passwd"} {
		_, _, err := ParseHub(typed)
		assert.ErrorIs(t, err, ErrAddress, typed)
	}
}

func TestPlaceIsKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "join.json")
	none, err := ReadPlace(file)
	require.NoError(t, err)
	assert.False(t, none.Joined())
	want := &Place{Machine: NewMachine(), Hub: "http://192.0.2.7", Token: "secret", Class: "monday", Name: "Ada <script>"}
	require.NoError(t, want.Write(file))
	got, err := ReadPlace(file)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), "it holds a secret")
	require.NoError(t, os.WriteFile(file, []byte("{"), 0o600))
	_, err = ReadPlace(file)
	assert.ErrorContains(t, err, file)
}
