package checker

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedv1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// FuzzCheckLanguage decodes whatever an author may write in a check. A mistake has
// a line, and what is taken can be asked what it needs and held against the schema.
func FuzzCheckLanguage(f *testing.F) {
	for _, e := range allKinds() {
		f.Add(e.example)
	}
	for _, b := range readBroken(f) {
		text, err := yaml.Marshal(&b.Check)
		require.NoError(f, err)
		f.Add(string(text))
	}
	f.Add("http: {url: \"http://a\", from: {pod: x, labels: {}}}")
	f.Add("object: {apiVersion: v1, kind: Pod, metadata: {name: 1}}")
	f.Add("cel: {object: {apiVersion: v1, kind: Pod}, true: '[[1].map(x, x)]'}")
	f.Add("http: {url: \"http://a\", times: 2.5}")
	f.Add("http: {url: \"http://a\", from: {pod: x, pdo: y}}")
	schema, err := compiledSchema()
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string) {
		var doc yaml.Node
		if yaml.Unmarshal([]byte(text), &doc) != nil || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode || len(doc.Content[0].Content) != 2 {
			return
		}
		c := &labs.Check{ID: "it", That: "it is so", Kind: doc.Content[0].Content[0].Value, Spec: doc.Content[0].Content[1]}
		k, err := decode(c)
		if err != nil {
			assert.NotEmpty(t, labs.LineErrors(err), "a mistake has a line")
			return
		}
		needOf(c.Kind, k)
		Asks(c)
		if writtenAsJSON(c.Spec) {
			assert.NoError(t, fitsSchema(schema, c), "what is understood fits the schema")
		}
	})
}

// writtenAsJSON reports whether YAML was written as JSON could be. Aliases, tags, keys given
// twice or that are no text, nulls, and the words for yes and no of old YAML are
// understood as well, but no schema has them.
func writtenAsJSON(n *yaml.Node) bool {
	switch n.Kind {
	case yaml.AliasNode:
		return false
	case yaml.ScalarNode:
		var v any
		if n.Style&yaml.TaggedStyle != 0 || n.Anchor != "" || n.Decode(&v) != nil {
			return false
		}
		switch v.(type) {
		case string, bool, int, float64:
			return !slices.Contains([]string{"y", "n", "yes", "no", "on", "off"}, strings.ToLower(n.Value))
		}
		return false
	}
	for i, e := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && e.Tag != "!!str" {
			return false
		}
		if !writtenAsJSON(e) {
			return false
		}
	}
	return n.Style&yaml.TaggedStyle == 0 && n.Anchor == ""
}

// stored is a list of Secrets that hold one release.
type stored struct {
	typedv1.SecretInterface
	payload []byte
}

func (s stored) List(context.Context, metav1.ListOptions) (*corev1.SecretList, error) {
	secret := corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "sh.helm.release.v1.hello.v1", Labels: map[string]string{"owner": "helm", "name": "hello", "status": "deployed", "version": "1"}},
		Data: map[string][]byte{"release": s.payload}}
	return &corev1.SecretList{Items: []corev1.Secret{secret}}, nil
}

// packed is a release as Helm stores it.
func packed(json string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, json)
	_ = z.Close()
	return []byte(base64.StdEncoding.EncodeToString(b.Bytes()))
}

// FuzzReleasePayload reads whatever an attendee may store as a release: as Helm
// packs it, and as it stands.
func FuzzReleasePayload(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `[]`, `{"name":"hello","version":1}`,
		`{"name":"hello","version":1,"info":{"status":"deployed"},"chart":{"metadata":{"name":"web"},"values":{"a":{"b":1}}},"config":{"a":2},"manifest":"kind: A\n---\n- x"}`,
		`{"name":"hello","version":2,"info":{"status":"failed","description":"Rollback to 1"},"chart":{"metadata":null}}`,
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	c := &releaseCheck{Name: "hello", Chart: "web", MinRevision: 1, RolledBackTo: 1, Values: map[string]any{"a": map[string]any{"b": 1}}}
	f.Fuzz(func(t *testing.T, payload []byte, pack bool) {
		if pack {
			payload = packed(string(payload))
		}
		history, err := revisions(helmSecrets(t.Context(), stored{payload: payload}), "hello")
		if err != nil || len(history) == 0 {
			return
		}
		for _, found := range c.differences(history) {
			assert.NotEmpty(t, found.Lines())
		}
		_, _ = manifestObjects(history[0].Manifest)
	})
}

func TestReleaseThatFillsTheMemoryIsNotUnpacked(t *testing.T) {
	assert.True(t, fitsMemory(packed(strings.Repeat(" ", releaseBytes))))
	bomb := packed(strings.Repeat(" ", releaseBytes+1))
	assert.Less(t, len(bomb), 1<<20, "it fits into a Secret")
	assert.False(t, fitsMemory(bomb))
	history, err := revisions(helmSecrets(t.Context(), stored{payload: bomb}), "hello")
	assert.NoError(t, err)
	assert.Empty(t, history)
}
