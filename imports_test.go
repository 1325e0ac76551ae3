// Package kindlab holds the one test that looks at all packages together.
package kindlab

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/kindlab/kindlab"

// rules say what the packages of a folder never import: a standard or foreign
// package with all below it, or a folder of ours.
var rules = map[string][]string{
	"labs": {"os", "net/http", "k8s.io", "sigs.k8s.io", "helm.sh", "istio.io", "github.com/moby", "github.com/docker",
		"github.com/google/go-containerregistry", "content", "provision", "checker", "site", "cmd"},
	"content":   {"labs", "provision", "checker", "site", "cmd"},
	"provision": {"checker", "site", "content", "cmd", "github.com/spf13/cobra"},
	"checker":   {"provision", "site", "content", "cmd", "github.com/spf13/cobra"},
	"site": {"provision", "checker", "content", "cmd", "github.com/spf13/cobra", "k8s.io", "sigs.k8s.io", "helm.sh",
		"github.com/moby"},
	"cmd": {}, // everything, but see TestNobodyImportsCommands
}

// imports are the imports of each Go file that is not a test, by the file's path.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (strings.HasPrefix(d.Name(), ".") && file != "." || d.Name() == "testdata") {
			if d != nil && d.IsDir() && err == nil {
				return fs.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			found[filepath.ToSlash(file)] = append(found[filepath.ToSlash(file)], p)
		}
		return nil
	})
	require.NoError(t, err)
	return found
}

func TestHouse(t *testing.T) {
	all := imports(t)
	require.Greater(t, len(all), 20, "too few files found to say anything")
	for file, imported := range all {
		folder, _, _ := strings.Cut(file, "/")
		forbidden, known := rules[folder]
		require.True(t, known, "%s: a top-level folder without a rule", file)
		for _, p := range imported {
			ours, isOurs := strings.CutPrefix(p, module+"/")
			for _, f := range forbidden {
				bad := p == f || strings.HasPrefix(p, f+"/")
				if isOurs {
					bad = ours == f || strings.HasPrefix(ours, f+"/")
				}
				assert.False(t, bad, "%s imports %s, which a package of %s never does", file, p, folder)
			}
		}
	}
}

func TestNobodyImportsCommands(t *testing.T) {
	for file, imported := range imports(t) {
		for _, p := range imported {
			own := strings.HasPrefix(p, module+"/"+path.Dir(file)+"/") // a part of the command itself
			assert.True(t, own || !strings.HasPrefix(p, module+"/cmd/"), "%s imports %s", file, p)
		}
	}
}

func TestNoJunkDrawers(t *testing.T) {
	for file := range imports(t) {
		for _, part := range strings.Split(path.Dir(file), "/") {
			assert.False(t, slices.Contains([]string{"util", "utils", "common", "helpers", "pkg", "internal", "misc"}, part), "%s: name the folder after what it knows", file)
		}
	}
}
