package content_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/kindlab/kindlab/content"
	"github.com/kindlab/kindlab/labs"
	"go.yaml.in/yaml/v3"
)

// courses loads every course of the catalogue.
func courses(t *testing.T) []*labs.Course {
	t.Helper()
	entries, err := fs.ReadDir(content.Courses(), ".")
	if err != nil {
		t.Fatal(err)
	}
	var all []*labs.Course
	for _, e := range entries {
		fsys, err := fs.Sub(content.Courses(), e.Name())
		if err != nil {
			t.Fatal(err)
		}
		c, err := labs.Load(fsys, e.Name())
		if err != nil {
			t.Fatalf("loading course %s:\n%v", e.Name(), err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		t.Fatal("the catalogue is empty")
	}
	return all
}

func TestCoursesHaveNoProblems(t *testing.T) {
	for _, c := range courses(t) {
		if ps := c.Lint(); len(ps) > 0 {
			t.Errorf("course %s:\n%v", c.ID, ps)
		}
		if c.Intro == "" {
			t.Errorf("course %s has no README.md", c.ID)
		}
	}
}

// A lab's id alone is enough to name it in a command.
func TestLabIDsAreUnique(t *testing.T) {
	seen := map[string]string{}
	for _, c := range courses(t) {
		for _, l := range c.Labs {
			if other, twice := seen[l.ID]; twice {
				t.Errorf("lab %s is in course %s and in course %s", l.ID, other, c.ID)
			}
			seen[l.ID] = c.ID
		}
	}
}

func TestEveryLabHasOwnWork(t *testing.T) {
	for _, c := range courses(t) {
		for _, l := range c.Labs {
			own := 0
			for _, task := range l.Tasks {
				if _, ok := l.Solution(task.ID); ok {
					own++
				}
			}
			if own == 0 {
				t.Errorf("%s: no task of the lab has a solution, so none is the learner's own work", l.File())
			}
		}
	}
}

// A name or a namespace of its own would take a start object out of the learner's namespace.
func TestManifestsParse(t *testing.T) {
	for _, c := range courses(t) {
		for _, l := range c.Labs {
			manifests, err := l.Manifests()
			if err != nil {
				t.Fatal(err)
			}
			if l.Wants("cluster") && len(manifests) == 0 {
				t.Errorf("%s: the lab needs a cluster and starts with nothing in it", l.File())
			}
			for _, f := range manifests {
				checkManifest(t, path.Join(l.ID, "start/cluster", f.Name), f.Data)
			}
			for _, task := range l.Tasks {
				for _, b := range task.Blocks {
					// The templates of a chart are no YAML before Helm has read them.
					if b.Kind == labs.SaveAs && b.Lang == "yaml" && !bytes.Contains([]byte(b.Text), []byte("{{")) {
						decodeAll(t, path.Join(l.ID, b.File), []byte(b.Text))
					}
				}
			}
		}
	}
}

type manifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name      string `yaml:"name"`
		Namespace string `yaml:"namespace"`
	} `yaml:"metadata"`
}

func checkManifest(t *testing.T, name string, data []byte) {
	t.Helper()
	docs := decodeAll(t, name, data)
	if len(docs) == 0 {
		t.Errorf("%s is empty", name)
	}
	for i, doc := range docs {
		var m manifest
		if err := doc.Decode(&m); err != nil {
			t.Errorf("%s: object %d: %v", name, i+1, err)
			continue
		}
		if m.APIVersion == "" || m.Kind == "" || m.Metadata.Name == "" {
			t.Errorf("%s: object %d lacks apiVersion, kind or metadata.name", name, i+1)
		}
		if m.Metadata.Namespace != "" {
			t.Errorf("%s: object %d names a namespace; the lab's own is meant", name, i+1)
		}
	}
}

func decodeAll(t *testing.T, name string, data []byte) []yaml.Node {
	t.Helper()
	var docs []yaml.Node
	for d := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return docs
		}
		docs = append(docs, doc)
	}
}

// secrets are the shapes of things that must not be in a course.
var secrets = regexp.MustCompile(`(?i)-----BEGIN [A-Z ]*PRIVATE KEY|\b(gh[pousr]_[a-z0-9]{20,}|AKIA[0-9A-Z]{16}|xox[abp]-[a-z0-9-]{10,}|eyJ[\w-]{10,}\.eyJ)|` +
	`\b(password|passwd|token|api[_-]?key|secret)\s*[:=]\s*["']?[^\s"'{}$@<]{6,}`)

func TestNoSecrets(t *testing.T) {
	err := fs.WalkDir(content.Courses(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(content.Courses(), p)
		if found := secrets.Find(withoutExercises(data)); found != nil {
			t.Errorf("%s: this looks like a secret: %q", p, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var token = regexp.MustCompile(`eyJ[\w-]+\.(eyJ[\w-]+)\.[\w-]+`)

// withoutExercises takes out tokens whose issuer nobody can be: the names that end in
// .example belong to none (RFC 2606).
func withoutExercises(data []byte) []byte {
	return token.ReplaceAllFunc(data, func(t []byte) []byte {
		payload, err := base64.RawURLEncoding.DecodeString(string(token.FindSubmatch(t)[1]))
		var claims struct{ Iss string }
		if err == nil && json.Unmarshal(payload, &claims) == nil && strings.HasSuffix(claims.Iss, ".example") {
			return nil
		}
		return t
	})
}

func TestTokensOfExercisesAreNoSecrets(t *testing.T) {
	sign := func(claims string) []byte {
		part := base64.RawURLEncoding.EncodeToString
		return []byte(part([]byte(`{"alg":"RS256"}`)) + "." + part([]byte(claims)) + ".c2ln")
	}
	if found := secrets.Find(withoutExercises(sign(`{"iss":"login.shop.example"}`))); found != nil {
		t.Errorf("the token of an exercise looks like a secret: %q", found)
	}
	if secrets.Find(withoutExercises(sign(`{"iss":"login.shop.com"}`))) == nil {
		t.Error("a token of a real issuer does not look like a secret")
	}
}

func TestSecretsAreRecognised(t *testing.T) {
	for text, want := range map[string]bool{
		"password: correct-horse":              true,
		"-----BEGIN RSA PRIVATE KEY-----":      true,
		"TOKEN=abcdef123456":                   true,
		"password: @{word}":                    false,
		"a token is a word, and so is a ghost": false,
	} {
		if got := secrets.MatchString(text); got != want {
			t.Errorf("%q: a secret is %v, want %v", text, got, want)
		}
	}
}
