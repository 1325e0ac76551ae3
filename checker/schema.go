package checker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The schema and the reference of the check language are made from the kinds'
// own structs: the tag yaml names a field, doc says what it means, and required
// that it must be given.

// Schema is a JSON Schema (draft 2020-12) of a check as an author writes it.
func Schema() ([]byte, error) {
	return json.MarshalIndent(schemaOfChecks(), "", "  ")
}

func schemaOfChecks() map[string]any {
	properties := map[string]any{
		"id":    map[string]any{"type": "string", "pattern": "^[a-z][a-z0-9-]*$", "description": "The check's name in its lab."},
		"that":  map[string]any{"type": "string", "description": "A sentence that is true when the check passes."},
		"hint":  map[string]any{"type": "string", "description": "What helps somebody who is stuck. Markdown."},
		"needs": map[string]any{"description": "Checks before this one that must pass first.", "anyOf": []any{typed("string"), list(typed("string"))}},
		"holds": map[string]any{"type": "string", "description": "now (the default), once (true one time is enough), or a time such as 10s for which it must stay true."},
	}
	var one []any
	for _, e := range allKinds() {
		s := schemaOf(reflect.TypeOf(e.make()).Elem())
		s["description"] = e.summary + " " + e.about
		properties[e.name] = s
		one = append(one, map[string]any{"required": []any{e.name}})
	}
	return map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A check of a kindlab course", "type": "object",
		"properties": properties, "required": []any{"id", "that"}, "additionalProperties": false, "oneOf": one,
	}
}

func typed(name string) map[string]any { return map[string]any{"type": name} }

func list(items any) map[string]any { return map[string]any{"type": "array", "items": items} }

// schemaOf is the schema of what is decoded into a type.
func schemaOf(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`}
	case t == reflect.TypeFor[absentCheck]():
		t = reflect.TypeFor[objectCheck]()
	case t == reflect.TypeFor[shares]():
		word := map[string]any{"enum": []any{restWord}}
		return map[string]any{"type": "object", "additionalProperties": map[string]any{"anyOf": []any{typed("number"), word}}}
	case t == reflect.TypeFor[origin]():
		words := map[string]any{"enum": []any{fromHost, fromCluster}}
		return map[string]any{"anyOf": []any{words, structSchema(t)}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.String:
		return map[string]any{"type": []any{"string", "number", "boolean"}} // YAML takes 1.0 for a number
	case reflect.Bool:
		return typed("boolean")
	case reflect.Int:
		return typed("integer")
	case reflect.Float64:
		return typed("number")
	case reflect.Slice:
		return list(schemaOf(t.Elem()))
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	case reflect.Struct:
		return structSchema(t)
	}
	return map[string]any{} // anything
}

func structSchema(t reflect.Type) map[string]any {
	properties, required, open := map[string]any{}, []any{}, false
	for _, f := range fieldsOf(t) {
		if f.name == "" {
			open = true
			continue
		}
		s := schemaOf(f.of)
		s["description"] = f.doc
		properties[f.name] = s
		if f.required {
			required = append(required, f.name)
		}
	}
	return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": open}
}

// A field is one that an author may write; its name is empty when any may be written.
type field struct {
	name, doc string
	required  bool
	of        reflect.Type
}

func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, isYAML := f.Tag.Lookup("yaml")
		if !isYAML || name == "-" {
			continue
		}
		name, _, _ = strings.Cut(name, ",")
		if f.Anonymous && name == "" {
			out = append(out, fieldsOf(f.Type)...)
			continue
		}
		out = append(out, field{name, f.Tag.Get("doc"), f.Tag.Get("required") != "", f.Type})
	}
	return out
}

// Reference describes a kind of check for authors, in Markdown; without a name
// every kind, in one line each. The error names the kinds that there are.
func Reference(name string) (string, error) {
	var b strings.Builder
	if name == "" {
		for _, e := range allKinds() {
			fmt.Fprintf(&b, "%-10s %s\n", e.name, e.summary)
		}
		return b.String(), nil
	}
	e, ok := find(name)
	if !ok {
		return "", fmt.Errorf("there is no kind of check %q; there are %s", name, strings.Join(Kinds(), ", "))
	}
	fmt.Fprintf(&b, "# %s\n\n%s\n", e.name, e.summary)
	if e.needs != "" {
		fmt.Fprintf(&b, "The lab must say `needs: [%s]`.\n", e.needs)
	}
	fmt.Fprintf(&b, "\n%s\n\n", e.about)
	describe(&b, reflect.TypeOf(e.make()).Elem(), "")
	fmt.Fprintf(&b, "\n```yaml\n%s```\n", e.example)
	return b.String(), nil
}

// describe writes the fields of a type, and below each those of its own type.
func describe(b *strings.Builder, t reflect.Type, indent string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t == reflect.TypeFor[absentCheck]() {
		t = reflect.TypeFor[objectCheck]()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Duration]() {
		return
	}
	for _, f := range fieldsOf(t) {
		if f.name == "" {
			fmt.Fprintf(b, "%s- any other field of such an object, as Kubernetes spells it\n", indent)
			continue
		}
		must := ""
		if f.required {
			must = " (required)"
		}
		fmt.Fprintf(b, "%s- `%s`%s: %s\n", indent, f.name, must, f.doc)
		describe(b, f.of, indent+"  ")
	}
}

// LintSchema reports the checks of a course that do not fit the schema. Those that
// [Lint] reports are left out.
func LintSchema(course *labs.Course) (labs.Problems, error) {
	schema, err := compiledSchema()
	if err != nil {
		return nil, fmt.Errorf("making the schema of checks: %w", err)
	}
	var ps labs.Problems
	for _, lab := range course.Labs {
		for _, c := range lab.Checks() {
			if c.Spec == nil {
				continue
			}
			if _, err := decode(c); err != nil {
				continue
			}
			if err := fitsSchema(schema, c); err != nil {
				ps = append(ps, labs.Problem{File: c.File, Line: c.Spec.Line, Text: fmt.Sprintf("check %s does not fit the schema: %s", c.ID, clip(err.Error(), 300))})
			}
		}
	}
	return ps, nil
}

// fitsSchema says where a check does not fit the schema.
func fitsSchema(schema *jsonschema.Schema, c *labs.Check) error {
	var spec any
	if err := c.Spec.Decode(&spec); err != nil {
		return err
	}
	data, err := json.Marshal(map[string]any{"id": c.ID, "that": c.That, c.Kind: asJSON(spec)})
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return schema.Validate(doc)
}

// asJSON makes of decoded YAML what JSON has: keys are text.
func asJSON(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = asJSON(e)
		}
		return out
	case map[any]any:
		out := map[string]any{}
		for k, e := range v {
			out[fmt.Sprint(k)] = asJSON(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = asJSON(e)
		}
		return out
	}
	return v
}

func compiledSchema() (*jsonschema.Schema, error) {
	data, err := Schema()
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("check.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("check.json")
}
