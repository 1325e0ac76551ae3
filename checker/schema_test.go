package checker

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// exampleCheck is the check of a kind's example, as its lab has it.
func exampleCheck(t *testing.T, e entry) *labs.Check {
	t.Helper()
	need := e.needs
	if need == "" {
		need = "cluster"
	}
	lab := loadLab(t, "---\ntitle: T\ngoal: G\nminutes: 1\nneeds: ["+need+"]\n---\n# T\n\n## Do\n```check\nid: it\nthat: it is so\nhint: look\n"+e.example+"```\n")
	return lab.Checks()[0]
}

func TestEveryKindIsDescribedAndItsExampleFits(t *testing.T) {
	schema, err := compiledSchema()
	require.NoError(t, err)
	for _, e := range allKinds() {
		t.Run(e.name, func(t *testing.T) {
			c := exampleCheck(t, e)
			_, err := decode(c)
			require.NoError(t, err)
			require.NoError(t, fitsSchema(schema, c))
			text, err := Reference(e.name)
			require.NoError(t, err)
			assert.Contains(t, text, e.summary)
			assert.Contains(t, text, e.about)
			assert.NotEmpty(t, e.about)
			assert.NotContains(t, text, ": \n", "a field has no description")
			for _, f := range fieldsOf(under(reflect.TypeOf(e.make()).Elem())) {
				assert.Contains(t, text, f.name)
			}
		})
	}
}

func under(t reflect.Type) reflect.Type {
	if t == reflect.TypeFor[absentCheck]() {
		return reflect.TypeFor[objectCheck]()
	}
	return t
}

func TestSchemaRefusesWhatDecodingRefuses(t *testing.T) {
	schema, err := compiledSchema()
	require.NoError(t, err)
	for _, bad := range []string{
		`{"id": "it", "that": "so"}`,
		`{"id": "it", "that": "so", "object": {"kind": "Pod"}}`,
		`{"id": "it", "that": "so", "dns": {"name": "a", "service": "b", "sevrice": "c"}}`,
		`{"id": "it", "that": "so", "http": {"url": "http://a", "times": "many"}}`,
		`{"id": "it", "that": "so", "dns": {"name": "a", "service": "b"}, "run": {"script": "true"}}`,
		`{"id": "it", "that": "so", "run": {"script": "true", "timeout": "soon"}}`,
	} {
		var doc any
		require.NoError(t, json.Unmarshal([]byte(bad), &doc))
		assert.Error(t, schema.Validate(doc), bad)
	}
}

func TestReferenceOfAnotherKindNamesThoseThereAre(t *testing.T) {
	_, err := Reference("objekt")
	assert.ErrorContains(t, err, "absent, access, answer")
	all, err := Reference("")
	require.NoError(t, err)
	assert.Equal(t, len(Kinds()), strings.Count(all, "\n"))
}
