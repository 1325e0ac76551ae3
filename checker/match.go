package checker

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/api/resource"
)

// nothing is how a value that is not there is told.
const nothing = "nothing"

// A mismatch is one place where what there is differs from what is wanted.
type mismatch struct {
	Path string // such as spec.template.spec.containers[name=web].image
	Want string
	Got  string
}

// mismatches compares decoded JSON or YAML. A map matches when each key that is
// wanted matches; a list of maps with a merge key matches entry by entry; other
// lists must be equally long and match in order. A wanted null matches what is
// not there. Numbers match whatever their type, and quantities whatever their
// unit. No mismatches means that got holds all that is wanted.
func mismatches(want, got any) []mismatch { return compare(nil, want, got) }

func compare(at trail, want, got any) []mismatch {
	switch w := plain(want).(type) {
	case nil:
		if got == nil {
			return nil
		}
	case map[string]any:
		return compareMaps(at, w, got)
	case []any:
		return compareLists(at, w, got)
	default:
		if sameScalar(w, got) || got == nil && at.inStatus() && isZero(w) {
			return nil
		}
	}
	return []mismatch{{at.String(), show(want), show(got)}}
}

func compareMaps(at trail, want map[string]any, got any) []mismatch {
	g, isMap := plain(got).(map[string]any)
	if !isMap && (got != nil || len(want) == 0) {
		return []mismatch{{at.String(), show(want), show(got)}}
	}
	var out []mismatch
	for _, key := range slices.Sorted(maps.Keys(want)) {
		out = append(out, compare(at.key(key), want[key], g[key])...)
	}
	return out
}

func compareLists(at trail, want []any, got any) []mismatch {
	g, isList := plain(got).([]any)
	if !isList && got != nil {
		return []mismatch{{at.String(), show(want), show(got)}}
	}
	if key := mergeKey(want); key != "" {
		return compareByKey(at, key, want, g)
	}
	if len(want) != len(g) {
		if len(g) == 0 {
			got = nil
		}
		return []mismatch{{at.String(), show(want), show(got)}}
	}
	var out []mismatch
	for i := range want {
		out = append(out, compare(at.entry(strconv.Itoa(i)), want[i], g[i])...)
	}
	return out
}

// compareByKey finds for each wanted entry the one of its key. Several may have
// the key, as a volume is mounted twice: the one that fits best is meant.
func compareByKey(at trail, key string, want, got []any) []mismatch {
	var out []mismatch
	for _, w := range want {
		value := keyed(w, key)
		here := at.entry(key + "=" + bare(value))
		best, found := []mismatch(nil), false
		for _, g := range got {
			if !sameScalar(plain(value), keyed(g, key)) {
				continue
			}
			if m := compare(here, w, g); !found || len(m) < len(best) {
				best, found = m, true
			}
		}
		if !found {
			best = []mismatch{{here.String(), "an entry", present(key, got)}}
		}
		out = append(out, best...)
	}
	return out
}

// mergeKey is the key by which the entries of a list are told apart, or "". What a
// route's parents say of it (status.parents of the Gateway API) have their key one
// level down.
func mergeKey(list []any) string {
	if len(list) == 0 {
		return ""
	}
	for _, key := range []string{"name", "port", "containerPort", "mountPath", "type", "ip", "key", "parentRef.name"} {
		if !slices.ContainsFunc(list, func(e any) bool {
			v := plain(keyed(e, key))
			_, isText := v.(string)
			_, isNumber := number(v)
			return !isText && !isNumber
		}) {
			return key
		}
	}
	return ""
}

// keyed is what an entry has under a merge key, nil when it has none.
func keyed(entry any, key string) any {
	m, _ := plain(entry).(map[string]any)
	if outer, inner, nested := strings.Cut(key, "."); nested {
		return keyed(m[outer], inner)
	}
	return m[key]
}

// present names the entries that a list has instead.
func present(key string, list []any) string {
	var names []string
	for _, e := range list {
		if v := keyed(e, key); v != nil {
			names = append(names, bare(v))
		}
	}
	if len(names) == 0 {
		return nothing
	}
	return "only " + listed(names)
}

// plain turns the maps that YAML makes of keys which are not text, such as
// {80: http}, into maps of text.
func plain(v any) any {
	m, ok := v.(map[any]any)
	if !ok {
		return v
	}
	out := make(map[string]any, len(m))
	for k, e := range m {
		out[fmt.Sprint(k)] = e
	}
	return out
}

func sameScalar(want, got any) bool {
	if a, ok := number(want); ok {
		if b, ok := number(got); ok {
			return a == b || math.IsNaN(a) && math.IsNaN(b)
		}
		text, ok := got.(string)
		return ok && sameQuantity(bare(want), text)
	}
	if a, ok := want.(string); ok {
		if b, ok := got.(string); ok {
			// Without a unit it may be a version: 1.10 is not 1.1.
			return a == b || (hasUnit(a) || hasUnit(b)) && sameQuantity(a, b)
		}
		if _, ok := number(got); ok {
			return sameQuantity(a, bare(got))
		}
		return false
	}
	if t, ok := want.(fmt.Stringer); ok { // a time that YAML recognized
		return show(t) == show(got)
	}
	switch want.(type) {
	case bool:
		return want == got
	}
	return false
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case int32:
		return float64(n), true
	case int64:
		return float64(n), true
	case uint64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

func isZero(v any) bool {
	n, ok := number(v)
	return ok && n == 0
}

func hasUnit(s string) bool {
	return s != "" && unicode.IsDigit(rune(s[0])) && unicode.IsLetter(rune(s[len(s)-1]))
}

func sameQuantity(a, b string) bool {
	if len(a) > 32 || len(b) > 32 {
		return false
	}
	x, err := resource.ParseQuantity(a)
	if err != nil {
		return false
	}
	y, err := resource.ParseQuantity(b)
	return err == nil && x.Cmp(y) == 0
}

// show is a value as a learner reads it.
func show(v any) string {
	if v == nil {
		return nothing
	}
	if s, ok := v.(string); ok {
		return strconv.Quote(clip(s, 120))
	}
	return clip(bare(v), 120)
}

// bare is show without quotes and without an end.
func bare(v any) string {
	switch t := plain(v).(type) {
	case string:
		return t
	case float64:
		return strconv.FormatFloat(t, 'f', -1, 64)
	case map[string]any, []any:
		if text, err := json.Marshal(jsonable(t)); err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(v)
}

// jsonable makes every map below v one that JSON can hold.
func jsonable(v any) any {
	switch t := plain(v).(type) {
	case map[string]any:
		out := make(map[string]any, len(t))
		for k, e := range t {
			out[k] = jsonable(e)
		}
		return out
	case []any:
		out := make([]any, len(t))
		for i, e := range t {
			out[i] = jsonable(e)
		}
		return out
	default:
		return t
	}
}

// clip shortens text to at most n letters, on one line and without control
// characters: what an attendee deploys can say anything.
func clip(text string, n int) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) }), " ")
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
	if letters := []rune(text); len(letters) > n {
		return string(letters[:n-1]) + "…"
	}
	return text
}

// listed joins words as a sentence does: a, b and c. After five it counts.
func listed(words []string) string {
	if n := len(words); n > 5 {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:4], ", "), n-4)
	} else if n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}

// A trail is where in an object something is.
type trail []string

func (p trail) key(k string) trail {
	if strings.ContainsAny(k, "./[]\" ") {
		return append(slices.Clip(p), "["+strconv.Quote(k)+"]")
	}
	return append(slices.Clip(p), "."+k)
}

func (p trail) entry(e string) trail { return append(slices.Clip(p), "["+e+"]") }

// inStatus reports whether the trail leads into an object's status, where a
// number that is not there is zero.
func (p trail) inStatus() bool { return len(p) > 0 && p[0] == ".status" }

func (p trail) String() string { return strings.TrimPrefix(strings.Join(p, ""), ".") }
