package labs

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLoadClass(t *testing.T) {
	c, err := LoadClass("class.yaml", []byte(`
name: monday
course: docker-to-helm
isolation: namespace
attendees: [Ada Lovelace, "Cléo", {id: bo, name: Bo}, Ada Lovelace, {id: spare}]
instructors: [Iris]
resources: {memory: 3Gi}
`))
	require.NoError(t, err)
	assert.Equal(t, &Class{
		Name: "monday", Course: "docker-to-helm", Isolation: OwnNamespace, Address: "127.0.0.1",
		Attendees:   []Person{{"ada-lovelace", "Ada Lovelace"}, {"cleo", "Cléo"}, {"bo", "Bo"}, {"ada-lovelace-2", "Ada Lovelace"}, {"spare", ""}},
		Instructors: []Person{{"iris", "Iris"}},
		Resources:   Resources{CPU: "2", Memory: "3Gi", Pods: 30},
	}, c)
	p, ok := c.Attendee("bo")
	assert.True(t, ok)
	assert.Equal(t, "Bo", p.Name)
	_, ok = c.Attendee("iris")
	assert.False(t, ok, "an instructor is no attendee")
}

func TestLoadClassCounts(t *testing.T) {
	c, err := LoadClass("class.yaml", []byte("name: monday\ncourse: c\nisolation: cluster\nattendees: 3\nparallel: 2\n"))
	require.NoError(t, err)
	assert.Equal(t, []Person{{"seat-01", ""}, {"seat-02", ""}, {"seat-03", ""}}, c.Attendees)
	assert.Equal(t, 2, c.Parallel)
	_, err = LoadClass("class.yaml", []byte("name: monday\ncourse: c\nisolation: own\n"))
	assert.NoError(t, err, "people who bring a machine need not be known before")
}

func TestLoadClassMistakes(t *testing.T) {
	const good = "name: monday\ncourse: c\nisolation: namespace\nattendees: [Ada]\n"
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", good + "atendees: 3\n", `class.yaml:5: unknown key "atendees"; did you mean "attendees"?`},
		{"no YAML", "name: [\n", "class.yaml:1:"},
		{"empty", "", "name \"\""},
		{"name", strings.Replace(good, "monday", "Monday", 1), `class.yaml:1: name "Monday": use small letters`},
		{"long name", strings.Replace(good, "monday", strings.Repeat("m", 21), 1), "2 to 20 of them"},
		{"isolation", strings.Replace(good, "namespace", "none", 1), `class.yaml:3: isolation "none": use cluster, namespace or own`},
		{"no course", strings.Replace(good, "course: c", "course:", 1), "class.yaml:2: course is missing"},
		{"none", strings.Replace(good, "[Ada]", "[]", 1), "class.yaml:4: attendees is empty"},
		{"too many", strings.Replace(good, "[Ada]", "501", 1), "class.yaml:4: attendees: give a list of names, or a number from 1 to 500"},
		{"word", strings.Replace(good, "[Ada]", "many", 1), "class.yaml:4: attendees: give a list of names"},
		{"map", strings.Replace(good, "[Ada]", "{a: b}", 1), "class.yaml:4: attendees: give a list of names"},
		{"twice", strings.Replace(good, "[Ada]", "[{id: ada}, {id: ada}]", 1), `class.yaml:4: attendees: id "ada" is there twice`},
		{"both", good + "instructors: [{id: ada}]\n", `class.yaml:5: instructors: id "ada" is there twice`},
		{"instructors by number", good + "instructors: 2\n", "class.yaml:5: instructors: give a list of names"},
		{"id", strings.Replace(good, "[Ada]", "[{id: Ada}]", 1), `class.yaml:4: attendees: id "Ada": use`},
		{"person's key", strings.Replace(good, "[Ada]", "[{nam: Ada}]", 1), `class.yaml:4: attendees: unknown key "nam"; did you mean "name"?`},
		{"no letters", strings.Replace(good, "[Ada]", `["  "]`, 1), "class.yaml:4: attendees: a name needs at least one letter"},
		{"kubeconfig", strings.Replace(good, "namespace", "cluster", 1) + "kubeconfig: k\nregistry: r\n", "kubeconfig goes with isolation: namespace"},
		{"no registry", good + "kubeconfig: k\n", "registry is missing"},
		{"registry alone", good + "registry: r\n", "registry goes with kubeconfig"},
		{"quantity", good + "resources: {memory: lots}\n", `class.yaml:5: resources: memory "lots"`},
		{"resources", strings.Replace(good, "namespace", "cluster", 1) + "resources: {pods: 3}\n", "resources go with isolation: namespace"},
		{"address", good + "address: example.com\n", `class.yaml:5: address "example.com": give an IP address`},
		{"url", good + "url: class.example.org\n", `class.yaml:5: url "class.example.org": give where`},
		{"url with a path", good + "url: https://example.org/class\n", `class.yaml:5: url "https://example.org/class"`},
		{"url with a password", good + "url: https://a:b@example.org\n", `class.yaml:5: url "https://a:b@example.org"`},
		{"negative", good + "resources: {pods: -3}\n", "less than nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := LoadClass("class.yaml", []byte(c.text))
			require.IsType(t, Problems{}, err)
			assert.Contains(t, err.Error(), c.want)
		})
	}
}

func TestPersonID(t *testing.T) {
	for name, want := range map[string]string{
		"Ada Lovelace": "ada-lovelace", "  ": "guest", "李雷": "guest", "Łukasz Żółw": "lukasz-zolw", "Jürgen Groß": "jurgen-gross",
		"O'Brien; rm -rf /": "o-brien-rm-rf", "4 you": "you", "x": "guest", "A Very Long Name Indeed": "a-very-long-name-ind", "<script>": "script",
	} {
		assert.Equal(t, want, PersonID(name, func(string) bool { return false }), name)
	}
	taken := map[string]bool{}
	for i := range 30 {
		id := PersonID("Bartholomew Archibald the Third", func(id string) bool { return taken[id] })
		require.False(t, taken[id])
		require.True(t, ValidPersonID(id), id)
		require.Truef(t, i == 0 || strings.HasSuffix(id, fmt.Sprintf("-%d", i+1)), id)
		taken[id] = true
	}
}

func TestPersonName(t *testing.T) {
	for typed, want := range map[string]string{
		" Ada \t Lovelace\n": "Ada Lovelace", "A\x00d\x1b[31ma": "Ad[31ma", "\u202eadA": "adA", "<script>alert(1)</script>": "<script>alert(1)</script>",
		"\xffAda": "Ada", "李雷": "李雷",
	} {
		name, err := PersonName(typed)
		require.NoError(t, err)
		assert.Equal(t, want, name)
	}
	for _, typed := range []string{"", " ", "\u202e", strings.Repeat("a", 61), strings.Repeat("a", 10<<20)} {
		_, err := PersonName(typed)
		assert.Error(t, err)
	}
}

func FuzzLoadClass(f *testing.F) {
	f.Add("name: monday\ncourse: c\nisolation: namespace\nattendees: [Ada, {id: bo}]\n")
	f.Add("attendees: 3\nattendees: [*a]\nresources: {cpu: 1}")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := LoadClass("class.yaml", []byte(text))
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, p := range append(c.Attendees, c.Instructors...) {
			if !ValidPersonID(p.ID) || seen[p.ID] || !utf8.ValidString(p.Name) {
				t.Fatalf("%+v", p)
			}
			seen[p.ID] = true
		}
	})
}
