package checker

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	"sigs.k8s.io/yaml"
)

// whyFixed says that a field does not follow the value that should set it. It
// renders the chart again with another value, so that what it says was seen.
func (c *chartCheck) whyFixed(m mismatch, want map[string]any, d document, got rendering, files []*archive.BufferedFile, namespace string) (because, nearest string) {
	for _, value := range leaves("", c.Values) {
		now, _ := valueAt(c.Values, value)
		if !sets(now, m.Want) {
			continue
		}
		other, ok := anotherValue(now)
		if !ok {
			continue
		}
		again, err := render(files, withValue(c.Values, value, other), namespace)
		if err != nil || gotAt(want, d.Object, m.Path) != gotAt(want, again.find(d), m.Path) {
			continue // the field follows the value
		}
		text, _ := fileOf(files, d.File)
		switch {
		case again[d.File] == got[d.File] && !strings.Contains(text, ".Values."+value):
			if near := labs.Nearest(value, c.notSet(usedValues(text), files)); near != "" {
				return fmt.Sprintf("%s uses .Values.%s, which nothing sets, and not .Values.%s", d.File, near, value), ""
			}
			return fmt.Sprintf("%s does not use .Values.%s", d.File, value), ""
		default:
			return fmt.Sprintf("%s stays the same whether .Values.%s is %s or %s", m.Path, value, bare(now), bare(other)), ""
		}
	}
	return "", ""
}

// notSet are those of the values that neither the check nor values.yaml sets.
func (c *chartCheck) notSet(used []string, files []*archive.BufferedFile) []string {
	text, _ := fileOf(files, "values.yaml")
	var defaults map[string]any
	if yaml.Unmarshal([]byte(text), &defaults) != nil {
		return nil
	}
	return slices.DeleteFunc(used, func(value string) bool {
		_, given := valueAt(c.Values, value)
		_, byDefault := valueAt(defaults, value)
		return given || byDefault
	})
}

// gotAt is what a comparison finds at path; "" when it matches there.
func gotAt(want, object map[string]any, path string) string {
	for _, m := range mismatches(want, object) {
		if m.Path == path {
			return m.Got
		}
	}
	return ""
}

// leaves are the paths of all values that are no maps or lists, in order.
func leaves(prefix string, values map[string]any) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(values)) {
		switch v := values[k].(type) {
		case map[string]any:
			out = append(out, leaves(prefix+k+".", v)...)
		case []any, nil:
		default:
			out = append(out, prefix+k)
		}
	}
	return out
}

// sets reports whether a field that is wanted as text could come from the value.
func sets(value any, wanted string) bool {
	text := bare(value)
	if s, ok := value.(string); ok && len(s) > 1 {
		return strings.Contains(wanted, text)
	}
	return strings.Trim(wanted, `"`) == text
}

// anotherValue is a value of the same type that differs.
func anotherValue(v any) (any, bool) {
	switch v := v.(type) {
	case bool:
		return !v, true
	case string:
		return v + "2", true
	}
	if n, ok := number(v); ok {
		return n + 1, true
	}
	return nil, false
}

// withValue is values with one of them replaced.
func withValue(values map[string]any, path string, v any) map[string]any {
	out := maps.Clone(values)
	key, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		out[key] = v
		return out
	}
	below, _ := values[key].(map[string]any)
	out[key] = withValue(below, rest, v)
	return out
}

// usedValues are the values that a template names.
func usedValues(text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`\.Values\.([\w.]+)`).FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

// literalLine is the line of a template on which the field of a path is written
// out, from 1; 0 when there is not exactly one.
func literalLine(files []*archive.BufferedFile, file, fieldPath string) int {
	text, _ := fileOf(files, file)
	key := fieldPath[strings.LastIndexByte(fieldPath, '.')+1:]
	line := 0
	for i, l := range strings.Split(text, "\n") {
		l = strings.TrimPrefix(strings.TrimSpace(l), "- ")
		if !strings.HasPrefix(l, key+":") || strings.Contains(l, "{{") {
			continue
		}
		if line > 0 {
			return 0
		}
		line = i + 1
	}
	return line
}
