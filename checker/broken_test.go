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
	Objects string    `yaml:"objects"` // applied first
	Run     string    `yaml:"run"`     // a shell script that comes after
	Check   yaml.Node `yaml:"check"`
	Cause   string    `yaml:"cause"` // a regular expression for what the first finding says
	Look    string    `yaml:"look"`  // and one for where it sends; may be empty

	family, name string
}

// readBroken reads the corpus.
func readBroken(t testing.TB) []broken {
	var all []broken
	files := os.DirFS(path.Join("testdata", "broken"))
	require.NoError(t, fs.WalkDir(files, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, p)
		require.NoError(t, err)
		b := broken{family: path.Dir(p), name: strings.TrimSuffix(path.Base(p), ".yaml")}
		strict := yaml.NewDecoder(bytes.NewReader(data))
		strict.KnownFields(true)
		require.NoError(t, strict.Decode(&b), p)
		all = append(all, b)
		return nil
	}))
	return all
}

// lab is a lab with the state's check alone, in which fill fills in names.
func (b broken) lab(t testing.TB, fill *strings.Replacer) *labs.Lab {
	text, err := yaml.Marshal(&b.Check)
	require.NoError(t, err)
	page := "---\ntitle: T\ngoal: G\nminutes: 1\nneeds: [cluster, docker, registry]\n---\n# T\n\n## Do\n```check\nid: it\nthat: it is so\nhint: look\n" + string(text) + "```\n"
	return loadLab(t, fill.Replace(page))
}

func TestBrokenStatesAreWellWritten(t *testing.T) {
	all := readBroken(t)
	schema, err := compiledSchema()
	require.NoError(t, err)
	families := map[string]int{}
	for _, b := range all {
		families[b.family]++
		what := b.family + "/" + b.name
		assert.NotEmpty(t, b.Says, what)
		assert.True(t, b.Objects != "" || b.Run != "", "%s: nothing is made", what)
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
	for _, family := range []string{"docker", "workloads", "resources", "services", "routes", "access", "helm"} {
		assert.GreaterOrEqual(t, families[family], 4, family)
	}
	assert.GreaterOrEqual(t, len(all), 80)
}
