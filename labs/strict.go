package labs

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A LineError is a mistake in YAML, with the line it is on.
type LineError struct {
	Line int
	Text string
}

func (e LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// Decode decodes a YAML node into the struct or map that into points to and
// refuses keys that into does not have, and parts of a number where it has whole ones. Each mistake is a [LineError]; several
// come joined (see [LineErrors]).
func Decode(n *yaml.Node, into any) error {
	errs := misfits(n, reflect.TypeOf(into))
	if err := n.Decode(into); err != nil {
		errs = append(errs, yamlErrors(err, n.Line)...)
	}
	return errors.Join(errs...)
}

// LineErrors takes apart what Decode returned.
func LineErrors(err error) []LineError {
	var out []LineError
	var one LineError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, LineErrors(e)...)
		}
	} else if errors.As(err, &one) {
		out = append(out, one)
	} else if err != nil {
		out = append(out, LineError{0, err.Error()})
	}
	return out
}

// parseYAML parses one YAML document that begins on the given line of its file.
// It returns nil, nil for an empty document.
func parseYAML(text string, line int) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(strings.Repeat("\n", line-1)+text), &doc); err != nil {
		return nil, syntaxError(text, line)
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	return doc.Content[0], nil
}

var (
	yamlLine = regexp.MustCompile(`(?s)^(?:yaml: )?line (\d+): (.*)$`)
	// The library numbers the lines of these from 0, and of all others from 1.
	fromZero = regexp.MustCompile(`^did not find expected (?:key|node content|'-' indicator|',' or|<)`)
	goType   = regexp.MustCompile(` into ([^\x60]+)$`)
)

// syntaxError says why text, which begins on the given line of its file, is no YAML.
func syntaxError(text string, line int) error {
	// Without lines before it the library tells the line of the mistake, not that
	// on which the whole text begins.
	err := yaml.Unmarshal([]byte(text), new(yaml.Node))
	if err == nil {
		return LineError{line, "is no YAML"}
	}
	e := LineError{line, strings.TrimPrefix(err.Error(), "yaml: ")}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		n, _ := strconv.Atoi(m[1])
		if !fromZero.MatchString(m[2]) {
			n--
		}
		last := strings.Count(strings.TrimRight(text, "\n"), "\n")
		e = LineError{line + min(n, last), m[2]}
	}
	return e
}

// yamlErrors turns the messages of the YAML library into LineErrors.
func yamlErrors(err error, line int) []error {
	var own LineError
	var out []error
	if errors.As(err, &own) { // of a type that decodes itself by Decode
		for _, e := range LineErrors(err) {
			out = append(out, e)
		}
		return out
	}
	texts := []string{err.Error()}
	var te *yaml.TypeError
	if errors.As(err, &te) {
		texts = te.Errors
	}
	for _, t := range texts {
		e := LineError{line, strings.TrimPrefix(t, "yaml: ")}
		if m := yamlLine.FindStringSubmatch(t); m != nil {
			e.Line, _ = strconv.Atoi(m[1])
			e.Text = m[2]
		}
		e.Text = strings.ReplaceAll(strings.ReplaceAll(e.Text, "!!", ""), "\n", " ")
		e.Text = goType.ReplaceAllStringFunc(e.Text, func(s string) string { return " into " + plainType(s[6:]) })
		out = append(out, e)
	}
	return out
}

// plainType names a Go type as an author would.
func plainType(t string) string {
	switch {
	case strings.HasPrefix(t, "[]"):
		return "a list"
	case strings.HasPrefix(t, "map["):
		return "a map"
	case t == "string":
		return "text"
	case t == "bool":
		return "true or false"
	case strings.HasPrefix(t, "int"), strings.HasPrefix(t, "uint"):
		return "a whole number"
	case strings.HasPrefix(t, "float"):
		return "a number"
	case t == "time.Duration":
		return "a duration such as 10s"
	case strings.Contains(t, "."), strings.HasPrefix(t, "struct {"):
		return "these fields"
	}
	return t
}

// misfits reports mapping keys that the Go type has no field for, and numbers that the
// library would cut off to whole ones.
func misfits(n *yaml.Node, t reflect.Type) []error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	// A type that decodes itself, or a node kept for later, knows its own keys.
	if t == reflect.TypeFor[yaml.Node]() || reflect.PointerTo(t).Implements(reflect.TypeFor[yaml.Unmarshaler]()) {
		return nil
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	var errs []error
	switch {
	case t.Kind() == reflect.Struct && n.Kind == yaml.MappingNode:
		fields := map[string]reflect.Type{}
		others := yamlFields(t, fields)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			ft, ok := fields[key.Value]
			if !ok && others != nil {
				ft = others
			} else if !ok {
				errs = append(errs, LineError{key.Line, unknownKey(key.Value, fields)})
				continue
			}
			errs = append(errs, misfits(n.Content[i+1], ft)...)
		}
	case reflect.Int <= t.Kind() && t.Kind() <= reflect.Uint64 && n.Kind == yaml.ScalarNode:
		var f float64
		if n.ShortTag() == "!!float" && n.Decode(&f) == nil && f != math.Trunc(f) {
			errs = append(errs, LineError{n.Line, n.Value + " is not a whole number"})
		}
	case (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) && n.Kind == yaml.SequenceNode:
		for _, c := range n.Content {
			errs = append(errs, misfits(c, t.Elem())...)
		}
	case t.Kind() == reflect.Map && n.Kind == yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			errs = append(errs, misfits(n.Content[i], t.Elem())...)
		}
	}
	return errs
}

// yamlFields collects the keys of a struct. An inline map takes all the others,
// whose values are of the type returned; else that is nil.
func yamlFields(t reflect.Type, into map[string]reflect.Type) (others reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported() && !f.Anonymous || name == "-":
		case slices.Contains(strings.Split(opts, ","), "inline"):
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Map {
				others = inner.Elem()
			} else if rest := yamlFields(inner, into); rest != nil {
				others = rest
			}
		case name == "":
			into[strings.ToLower(f.Name)] = f.Type
		default:
			into[name] = f.Type
		}
	}
	return others
}

func unknownKey(key string, fields map[string]reflect.Type) string {
	names := make([]string, 0, len(fields))
	for n := range fields {
		names = append(names, n)
	}
	sort.Strings(names)
	if near := Nearest(key, names); near != "" {
		return fmt.Sprintf("unknown key %q; did you mean %q?", key, near)
	}
	return fmt.Sprintf("unknown key %q; known are %s", key, strings.Join(names, ", "))
}
