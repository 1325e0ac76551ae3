package checker

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// A broken is a state of testdata/broken: what somebody got wrong, how it is made,
// a check that fails there, and what its first finding must say.
type broken struct {
	Says    string    `yaml:"says"`
	Base    []string  `yaml:"base"`    // files of the family's folder base, whose objects come first
	Objects string    `yaml:"objects"` // applied first
	Run     string    `yaml:"run"`     // a shell script that comes after
	Check   yaml.Node `yaml:"check"`
	Cause   string    `yaml:"cause"` // a regular expression for what the first finding says
	Look    string    `yaml:"look"`  // and one for where it sends; may be empty

	family, name string
}

// baseFolder holds what the states of a family have in common.
const baseFolder = "base"

// readBroken reads the corpus.
func readBroken(t testing.TB) []broken {
	var all []broken
	files := os.DirFS("testdata")
	require.NoError(t, fs.WalkDir(files, "broken", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err == nil && d.IsDir() && d.Name() == baseFolder:
			return fs.SkipDir
		case err == nil && !d.IsDir():
			all = append(all, readState(t, files, p))
		}
		return err
	}))
	return all
}

// readState reads one state, with the objects of its base before its own.
func readState(t testing.TB, files fs.FS, p string) broken {
	data, err := fs.ReadFile(files, p)
	require.NoError(t, err)
	b := broken{family: path.Base(path.Dir(p)), name: strings.TrimSuffix(path.Base(p), ".yaml")}
	strict := yaml.NewDecoder(bytes.NewReader(data))
	strict.KnownFields(true)
	require.NoError(t, strict.Decode(&b), p)
	var all []string
	for _, name := range b.Base {
		data, err := fs.ReadFile(files, path.Join("broken", b.family, baseFolder, name+".yaml"))
		require.NoError(t, err, p)
		all = append(all, string(data))
	}
	b.Objects = strings.Join(append(all, b.Objects), "\n---\n")
	return b
}

// lab is a lab with the state's check alone, in which fill fills in names.
func (b broken) lab(t testing.TB, fill *strings.Replacer) *labs.Lab {
	text, err := yaml.Marshal(&b.Check)
	require.NoError(t, err)
	needs := "cluster, docker, registry"
	if b.family == meshFamily {
		needs = "mesh, registry"
	}
	page := "---\ntitle: T\ngoal: G\nminutes: 1\nneeds: [" + needs + "]\n---\n# T\n\n## Do\n```check\nid: it\nthat: it is so\nhint: look\n" + string(text) + "```\n"
	return loadLab(t, fill.Replace(page))
}

// meshFamily is the family whose states need Istio in the cluster.
const meshFamily = "mesh"

func TestBrokenStatesAreWellWritten(t *testing.T) {
	all := readBroken(t)
	schema, err := compiledSchema()
	require.NoError(t, err)
	families, used := map[string]int{}, map[string]bool{}
	for _, b := range all {
		families[b.family]++
		what := b.family + "/" + b.name
		assert.NotEmpty(t, b.Says, what)
		assert.True(t, b.Objects != "" || b.Run != "", "%s: nothing is made", what)
		for _, name := range b.Base {
			used[b.family+"/"+name] = true
		}
		assert.NotEmpty(t, b.Cause, what)
		for _, re := range []string{b.Cause, b.Look} {
			_, err := regexp.Compile(re)
			assert.NoError(t, err, what)
		}
		lab := b.lab(t, strings.NewReplacer("${HELLO}", "localhost:5001/hello:v1", "${TOOLS}", "localhost:5001/tools:1", "${REGISTRY}", "localhost:5001", "${NAME}", "name", "${NAMESPACE}", "namespace"))
		require.Len(t, lab.Checks(), 1, what)
		_, err := decode(lab.Checks()[0])
		assert.NoError(t, err, what)
		assert.NoError(t, fitsSchema(schema, lab.Checks()[0]), what)
	}
	for _, family := range []string{"docker", "workloads", "resources", "services", "routes", "access", "helm", meshFamily} {
		assert.GreaterOrEqual(t, families[family], 4, family)
	}
	assert.GreaterOrEqual(t, len(all), 80)
	bases, err := fs.Glob(os.DirFS(path.Join("testdata", "broken")), "*/"+baseFolder+"/*.yaml")
	require.NoError(t, err)
	for _, p := range bases {
		assert.True(t, used[path.Dir(path.Dir(p))+"/"+strings.TrimSuffix(path.Base(p), ".yaml")], "%s: no state uses it", p)
	}
}
