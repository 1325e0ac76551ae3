package checker

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	"sigs.k8s.io/yaml"
)

var yamlLineNo = regexp.MustCompile(`line (\d+):`)

// yamlProblem is the YAML library's message without its layers.
func yamlProblem(err error) string {
	text := err.Error()
	for _, layer := range []string{"error converting YAML to JSON: ", "error unmarshaling JSON: ", "yaml: "} {
		if i := strings.LastIndex(text, layer); i >= 0 {
			text = text[i+len(layer):]
		}
	}
	return clip(text, 200)
}

// whyNotYAML finds the first template that renders something else than YAML.
func (c *chartCheck) whyNotYAML(got rendering) *labs.Finding {
	for _, file := range slices.Sorted(maps.Keys(got)) {
		for _, doc := range strings.Split("\n"+got[file], "\n---") {
			var any any
			err := yaml.Unmarshal([]byte(doc), &any)
			if err == nil {
				continue
			}
			f := &labs.Finding{
				Expected: file + " to render YAML", Got: yamlProblem(err),
				Look: fmt.Sprintf("`helm template %s --debug --show-only %s`", c.Path, file),
			}
			if m := yamlLineNo.FindStringSubmatch(f.Got); m != nil {
				var n int
				fmt.Sscan(m[1], &n)
				// The line is one of what was rendered, so it is quoted, not counted.
				f.Got = strings.TrimSpace(strings.Replace(f.Got, m[0], "", 1))
				lines := strings.Split(doc, "\n")
				if f.Because = tooDeep(lines, n); f.Because != "" {
					return f
				}
				for _, l := range slices.Backward(lines[:max(0, min(n, len(lines)))]) {
					if l = clip(l, 100); l != "" {
						f.Because = "of what it renders near: " + l
						break
					}
				}
			}
			return f
		}
	}
	return nil
}

// tooDeep says that a line at or beside line n, counted from 1, is indented as if it
// belonged to the one above it, which has a value already; "" when none is.
func tooDeep(lines []string, n int) string {
	pair := regexp.MustCompile(`^( *)[\w./-]+:(?:\s|$)`)
	valued := regexp.MustCompile(`^( *)[\w./-]+:\s+[^\s|>&#]`)
	for _, i := range []int{n, n + 1, n - 1} {
		if i < 2 || i > len(lines) {
			continue
		}
		below, above := pair.FindStringSubmatch(lines[i-1]), valued.FindStringSubmatch(lines[i-2])
		if below != nil && above != nil && len(below[1]) > len(above[1]) {
			return fmt.Sprintf("%s is indented deeper than %s above it, which has a value already", clip(lines[i-1], 60), clip(lines[i-2], 60))
		}
	}
	return ""
}
