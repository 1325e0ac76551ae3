package labs

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

type inner struct {
	Path  string `yaml:"path"`
	Count *int   `yaml:"count"`
}

type outer struct {
	Name   string           `yaml:"name"`
	Plain  string           // its key is plain
	List   []inner          `yaml:"list"`
	Map    map[string]inner `yaml:"map"`
	One    *inner           `yaml:"one"`
	Later  yaml.Node        `yaml:"later"`
	Own    ownKeys          `yaml:"own"`
	Not    string           `yaml:"-"`
	Number float64          `yaml:"number"`
	Yes    bool             `yaml:"yes"`
	hidden string
}

// ownKeys decodes itself.
type ownKeys map[string]int

func (o *ownKeys) UnmarshalYAML(n *yaml.Node) error {
	return n.Decode((*map[string]int)(o))
}

type withInline struct {
	Name string `yaml:"name"`
	Both `yaml:",inline"`
}

type Both struct {
	Port int `yaml:"port"`
}

type anyKey struct {
	Kind string         `yaml:"kind"`
	Rest map[string]any `yaml:",inline"`
}

type innerKeys struct {
	Kind string           `yaml:"kind"`
	Rest map[string]inner `yaml:",inline"`
}

type deepInline struct {
	anyKeyPart `yaml:",inline"`
	Anything   anyKey `yaml:",inline"`
}

type anyKeyPart struct{}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name, text string
		into       any
		want       []LineError
	}{
		{"all known", "name: a\nplain: b\nlist: [{path: c, count: 1}]\nmap: {x: {path: d}}\none: {path: e}\nlater: {any: thing}\nown: {z: 1}\n", new(outer), nil},
		{"at the top", "name: a\nnmae: b\n", new(outer), []LineError{{2, `unknown key "nmae"; did you mean "name"?`}}},
		{"nested", "one:\n  path: a\n  pth: b\n", new(outer), []LineError{{3, `unknown key "pth"; did you mean "path"?`}}},
		{"in a list", "list:\n- path: a\n- paht: b\n- conut: 1\n", new(outer), []LineError{
			{3, `unknown key "paht"; did you mean "path"?`}, {4, `unknown key "conut"; did you mean "count"?`}}},
		{"in a map", "map:\n  x: {far: a}\n", new(outer), []LineError{{2, `unknown key "far"; known are count, path`}}},
		{"behind an alias", "list:\n- &a {paht: b}\none: *a\n", new(outer), []LineError{
			{2, `unknown key "paht"; did you mean "path"?`}, {2, `unknown key "paht"; did you mean "path"?`}}},
		{"not for YAML", "Not: a\nhidden: b\n", new(outer), []LineError{
			{1, `unknown key "Not"; known are later, list, map, name, number, one, own, plain, yes`}, {2, `unknown key "hidden"; known are later, list, map, name, number, one, own, plain, yes`}}},
		{"wrong types", "name: [a]\nlist: b\nmap: [c]\none: d\nnumber: e\nyes: f\nown: {z: z}\n", new(outer), []LineError{
			{1, "cannot unmarshal seq into text"}, {2, "cannot unmarshal str `b` into a list"}, {3, "cannot unmarshal seq into a map"},
			{4, "cannot unmarshal str `d` into these fields"}, {5, "cannot unmarshal str `e` into a number"},
			{6, "cannot unmarshal str `f` into true or false"}, {7, "cannot unmarshal str `z` into a whole number"}}},
		{"a type's name in the value", "yes: a into b\n", new(outer), []LineError{{1, "cannot unmarshal str `a into b` into true or false"}}},
		{"a wrong type in a list", "list:\n- count: many\n", new(outer), []LineError{{2, "cannot unmarshal str `many` into a whole number"}}},
		{"a part of a number", "list:\n- count: 1.5\n- count: .01\n- count: 2.0\nnumber: 1.5\n", new(outer), []LineError{{2, "1.5 is not a whole number"}, {3, ".01 is not a whole number"}}},
		{"an unknown key and a wrong type", "name: {}\nzzz: 1\n", new(struct {
			Name string `yaml:"name"`
		}), []LineError{{2, `unknown key "zzz"; known are name`}, {1, "cannot unmarshal map into text"}}},
		{"not a map", "[a]", new(struct {
			Name string `yaml:"name"`
		}), []LineError{{1, "cannot unmarshal seq into these fields"}}},
		{"inline fields", "name: a\nport: 1\n", new(withInline), nil},
		{"unlike inline fields", "name: a\nprot: 1\n", new(withInline), []LineError{{2, `unknown key "prot"; did you mean "port"?`}}},
		{"any key", "kind: a\nspec: {b: c}\nkid: d\n", new(anyKey), nil},
		{"any key, deeper", "kind: a\nspec: {b: c}\n", new(deepInline), nil},
		{"any key, known values", "kind: a\nx: {path: b}\ny: {pth: c}\n", new(innerKeys), []LineError{{3, `unknown key "pth"; did you mean "path"?`}}},
		{"a map takes any key", "a: 1\nb: 2\n", new(map[string]int), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, err := parseYAML(c.text, 1)
			require.NoError(t, err)
			assert.Equal(t, c.want, LineErrors(Decode(n, c.into)))
		})
	}

	var got anyKey
	n, err := parseYAML("kind: Pod\nspec: {replicas: 2}\n", 1)
	require.NoError(t, err)
	require.NoError(t, Decode(n, &got))
	assert.Equal(t, anyKey{"Pod", map[string]any{"spec": map[string]any{"replicas": 2}}}, got)
	assert.Empty(t, outer{}.hidden)
}

func TestParseYAML(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       LineError
	}{
		{"an open list", "a: 1\nb: [2\nc: 3\n", LineError{11, "did not find expected ',' or ']'"}},
		{"an open list at the end", "b: [2\n", LineError{10, "did not find expected ',' or ']'"}},
		{"an open map", "a: 1\n\nb: {c: 2\n", LineError{12, "did not find expected ',' or '}'"}},
		{"a list in a map", "a: 1\nb: 2\n- c\n", LineError{12, "did not find expected key"}},
		{"text after quotes", "a: 1\nb: \"2\" c\n", LineError{11, "did not find expected key"}},
		{"an open quote", "a: 1\nb: \"2\nc: 3\n", LineError{11, "found unexpected end of stream"}},
		{"two colons", "a: 1\nb: c: d\n", LineError{11, "mapping values are not allowed in this context"}},
		{"two colons at once", "b: c: d\n", LineError{10, "mapping values are not allowed in this context"}},
		{"a tab", "a:\n\tb: 1\n", LineError{11, "found character that cannot start any token"}},
		{"an unknown anchor", "a: 1\nb: *c\n", LineError{10, "unknown anchor 'c' referenced"}},
		{"a control character", "a: 1\nb: \x01\n", LineError{10, "control characters are not allowed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseYAML(c.text, 10)
			assert.Equal(t, []LineError{c.want}, LineErrors(err))
		})
	}
	n, err := parseYAML("\n# nothing\n", 3)
	require.NoError(t, err)
	assert.Nil(t, n)
	n, err = parseYAML("\na: 1\n", 3)
	require.NoError(t, err)
	assert.Equal(t, 4, n.Line)
}

func TestLineErrors(t *testing.T) {
	a, b := LineError{1, "a"}, LineError{2, "b"}
	assert.EqualError(t, a, "line 1: a")
	assert.Nil(t, LineErrors(nil))
	assert.Equal(t, []LineError{a, b, {0, "c"}}, LineErrors(errors.Join(a, errors.Join(b, errors.New("c")))))
	assert.Equal(t, []LineError{a}, LineErrors(fmt.Errorf("reading: %w", a)))
}

func TestPlainType(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"[]string", "a list"}, {"map[string]any", "a map"}, {"string", "text"}, {"bool", "true or false"}, {"int64", "a whole number"},
		{"uint16", "a whole number"}, {"float64", "a number"}, {"time.Duration", "a duration such as 10s"},
		{"checker.object", "these fields"}, {`struct { A string "yaml:\"a\"" }`, "these fields"}, {"other", "other"},
	} {
		assert.Equal(t, c.want, plainType(c.in), c.in)
	}
}
