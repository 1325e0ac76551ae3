package labs

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDraw(t *testing.T) {
	replicas, colour := ValueSpec{Int: []int{3, 6}}, ValueSpec{OneOf: []string{"teal", "plum", "amber"}}
	wide, port := ValueSpec{Int: []int{0, math.MaxInt}}, ValueSpec{Port: []int{30000, 30009}}
	seen, wides := map[string]map[string]bool{"int": {}, "oneOf": {}, "port": {}}, map[string]bool{}
	for i := range 200 {
		seed := "attendee-" + strconv.Itoa(i)
		for kind, spec := range map[string]ValueSpec{"int": replicas, "oneOf": colour, "port": port} {
			got := spec.Draw(seed, "v", 0)
			assert.Equal(t, got, spec.Draw(seed, "v", 0), "the same again")
			seen[kind][got] = true
		}
		wides[wide.Draw(seed, "v", 0)] = true
		wides[wide.Draw(seed, "w", 0)] = true
	}
	assert.Equal(t, map[string]bool{"3": true, "4": true, "5": true, "6": true}, seen["int"])
	assert.Equal(t, map[string]bool{"teal": true, "plum": true, "amber": true}, seen["oneOf"])
	assert.Len(t, seen["port"], 10)
	assert.Len(t, wides, 400, "seed and name both matter")
	assert.NotEqual(t, wide.Draw("ab", "c", 0), wide.Draw("a", "bc", 0))
	assert.Equal(t, "7", ValueSpec{Int: []int{7, 7}}.Draw("any", "v", 0))
	assert.Equal(t, replicas.Draw("s", "v", 0), replicas.Draw("s", "v", 5), "only ports step")

	first, err := strconv.Atoi(port.Draw("s", "v", 0))
	require.NoError(t, err)
	tried := map[string]bool{}
	for try := range port.Tries() {
		got := port.Draw("s", "v", try)
		tried[got] = true
		assert.Equal(t, strconv.Itoa(30000+(first-30000+try)%10), got)
	}
	assert.Len(t, tried, 10, "every port is tried once")
	assert.Equal(t, []int{10, 1, 1}, []int{port.Tries(), replicas.Tries(), colour.Tries()})
}

func TestValidate(t *testing.T) {
	const exactly = "value n: set exactly one of int, oneOf, port"
	for _, c := range []struct {
		name string
		spec ValueSpec
		want string
	}{
		{"n", ValueSpec{Int: []int{0, 9}}, ""},
		{"n", ValueSpec{Int: []int{4, 4}}, ""},
		{"n", ValueSpec{OneOf: []string{"a", "B.c_d-1", "0"}}, ""},
		{"n", ValueSpec{Port: []int{1024, 65535}}, ""},
		{"replicaCount2", ValueSpec{Int: []int{1, 2}}, ""},
		{"n", ValueSpec{}, exactly},
		{"n", ValueSpec{Int: []int{1, 2}, Port: []int{2000, 3000}}, exactly},
		{"n", ValueSpec{Int: []int{1, 2}, OneOf: []string{"a"}}, exactly},
		{"n", ValueSpec{Int: []int{}}, "value n: int wants [low, high] with 0 ≤ low ≤ high"},
		{"n", ValueSpec{Int: []int{1}}, "value n: int wants [low, high] with 0 ≤ low ≤ high"},
		{"n", ValueSpec{Int: []int{1, 2, 3}}, "value n: int wants [low, high] with 0 ≤ low ≤ high"},
		{"n", ValueSpec{Int: []int{2, 1}}, "value n: int wants [low, high] with 0 ≤ low ≤ high"},
		{"n", ValueSpec{Int: []int{-1, 1}}, "value n: int wants [low, high] with 0 ≤ low ≤ high"},
		{"n", ValueSpec{Port: []int{80, 8080}}, "value n: port wants [low, high] with 1024 ≤ low ≤ high ≤ 65535"},
		{"n", ValueSpec{Port: []int{30000, 65536}}, "value n: port wants [low, high] with 1024 ≤ low ≤ high ≤ 65535"},
		{"n", ValueSpec{OneOf: []string{}}, "value n: oneOf is empty"},
		{"ns", ValueSpec{Int: []int{1, 2}}, "value ns: every lab has this one already"},
		{"N", ValueSpec{Int: []int{1, 2}}, `value name "N": use letters and digits, beginning with a small letter`},
		{"a-b", ValueSpec{Int: []int{1, 2}}, `value name "a-b": use letters and digits, beginning with a small letter`},
		{"", ValueSpec{Int: []int{1, 2}}, `value name "": use letters and digits, beginning with a small letter`},
		{"a\n", ValueSpec{Int: []int{1, 2}}, `value name "a\n": use letters and digits, beginning with a small letter`},
	} {
		assert.Equal(t, c.want, c.spec.validate(c.name), "%s %+v", c.name, c.spec)
	}
	for _, hostile := range []string{"", " ", "a b", "-a", ".a", "$(id)", "a;b", "<b>", "a:b", "a\n", "@{ns}", "ä", "a/b", `a"`} {
		assert.Contains(t, ValueSpec{OneOf: []string{"fine", hostile}}.validate("n"), "are safe in pages", "%q", hostile)
	}
}

func TestValueLines(t *testing.T) {
	page := "---\ntitle: T\ngoal: G\nminutes: 5\nvalues:\n  s: {int: [2, 1]}\n  title: {oneOf: []}\n  # goal\n  goal: {}\n---\n# T\n"
	assert.Equal(t, []string{
		"6: value s: int wants [low, high] with 0 ≤ low ≤ high",
		"7: value title: oneOf is empty",
		"9: value goal: set exactly one of int, oneOf, port",
	}, problems(t, page))
	assert.Equal(t, []string{
		"5: value a: oneOf is empty", "5: value b: oneOf is empty", "5: value c: oneOf is empty", "5: value d: oneOf is empty",
	}, problems(t, "---\ntitle: T\ngoal: G\nminutes: 5\nvalues: {d: {oneOf: []}, b: {oneOf: []}, a: {oneOf: []}, c: {oneOf: []}}\n---\n# T\n"))
}

func TestUnknownValue(t *testing.T) {
	page := "---\ntitle: T\ngoal: G\nminutes: 5\nvalues: {n: {int: [1, 2]}}\n---\n# T\n\n@{n} @{m} @{}\n\n## Do @{N}\n\n```check\nid: @{oops}\n```\n"
	known := "; this lab has attendee, course, gateway, lab, n, ns, registry, work"
	want := []string{"9: unknown value @{m}" + known, "9: unknown value @{}" + known, "11: unknown value @{N}" + known, "14: unknown value @{oops}" + known}
	assert.Equal(t, want, problems(t, page), "and nothing about the broken YAML that comes of it")
	assert.Equal(t, want, problems(t, strings.ReplaceAll(page, "\n", "\r\n")))
}

func TestExpand(t *testing.T) {
	v := Values{"n": "4", "evil": "@{n}", "ns": "me-first"}
	for _, c := range []struct{ in, want string }{
		{"", ""}, {"plain $n ${n} {n} @n", "plain $n ${n} {n} @n"}, {"@{n}", "4"}, {"a@{n}b@{n}", "a4b4"}, {"@{ns}/@{n}", "me-first/4"},
		{"@{m}", "@{m}"}, {"@{ n }", "@{ n }"}, {"@{n", "@{n"}, {"@{n\n}", "@{n\n}"}, {"@@{n}}", "@4}"},
		{"@{evil}", "@{n}"}, {"@{@{n}}", "@{@{n}}"},
	} {
		assert.Equal(t, c.want, v.Expand(c.in), c.in)
		assert.Equal(t, c.in, Values(nil).Expand(c.in))
	}
}

func TestWith(t *testing.T) {
	a, b := Values{"x": "1", "y": "2"}, Values{"y": "3", "z": "4"}
	assert.Equal(t, Values{"x": "1", "y": "3", "z": "4"}, a.With(b))
	assert.Equal(t, Values{"x": "1", "y": "2"}, a, "stays as it is")
	assert.Equal(t, Values{}, Values(nil).With(nil))
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"", "@{n}", "@{m}", "a@{n}b@{other}", "@{@{n}}", "@{n\n}", "@{", "@{}", "\xff@{n}\x00"} {
		f.Add(s, "n", "4")
	}
	f.Add("@{}", "", "x")
	f.Fuzz(func(t *testing.T, text, name, value string) {
		v := Values{name: value}
		got := v.Expand(text)
		if strings.ContainsAny(name, "}\n") {
			assert.Equal(t, text, got)
		} else {
			// Each placeholder begins anew after the one before it.
			var want strings.Builder
			rest := text
			for {
				i := strings.Index(rest, "@{")
				if i < 0 {
					break
				}
				end := strings.IndexAny(rest[i:], "}\n")
				if end < 0 || rest[i+end] == '\n' {
					want.WriteString(rest[:i+2])
					rest = rest[i+2:]
					continue
				}
				want.WriteString(rest[:i])
				if word := rest[i : i+end+1]; word == "@{"+name+"}" {
					want.WriteString(value)
				} else {
					want.WriteString(word)
				}
				rest = rest[i+end+1:]
			}
			assert.Equal(t, want.String()+rest, got)
		}
		assert.Equal(t, text, Values{}.Expand(text))

		var ps Problems
		v.unknown("f", text, &ps)
		for _, p := range ps {
			assert.Positive(t, p.Line)
			assert.LessOrEqual(t, p.Line, 1+strings.Count(text, "\n"), fmt.Sprint(p))
		}
	})
}
