package labs

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// Values are what @{name} stands for in one attendee's lab.
type Values map[string]string

// Builtin names the values that every lab has beside those it draws.
var Builtin = []string{"attendee", "course", "gateway", "lab", "ns", "registry", "work"}

var (
	placeholder = regexp.MustCompile(`@\{([^}\n]*)\}`)
	// A value goes into YAML, shell and HTML alike, so it may contain only what is plain in all three.
	plainValue = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	valueName  = regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`)
)

// Expand replaces each @{name}. A name that is not in v stays as it is.
func (v Values) Expand(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(m string) string {
		if value, ok := v[m[2:len(m)-1]]; ok {
			return value
		}
		return m
	})
}

// With returns v together with more, which wins.
func (v Values) With(more Values) Values {
	out := make(Values, len(v)+len(more))
	for k, s := range v {
		out[k] = s
	}
	for k, s := range more {
		out[k] = s
	}
	return out
}

// unknown reports the placeholders of text that v does not have.
func (v Values) unknown(file, text string, ps *Problems) {
	for _, at := range placeholder.FindAllStringSubmatchIndex(text, -1) {
		name := text[at[2]:at[3]]
		if _, ok := v[name]; ok {
			continue
		}
		known := make([]string, 0, len(v))
		for k := range v {
			known = append(known, k)
		}
		sort.Strings(known)
		ps.add(file, 1+strings.Count(text[:at[0]], "\n"), "unknown value @{%s}; this lab has %s", name, strings.Join(known, ", "))
	}
}

// A ValueSpec says how a value is drawn. Exactly one field is set.
type ValueSpec struct {
	Int   []int    `yaml:"int,omitempty"`   // [low, high], both included
	OneOf []string `yaml:"oneOf,omitempty"` // one of these words
	Port  []int    `yaml:"port,omitempty"`  // a host port in [low, high] that is free when it is drawn
}

// Draw chooses a value. The same seed and name give the same value. For a port,
// try is the how-manieth port of the range to take, so that a caller can step
// over ports that are in use.
func (s ValueSpec) Draw(seed, name string, try int) string {
	sum := sha256.Sum256([]byte(seed + "\x00" + name))
	n := binary.BigEndian.Uint64(sum[:8])
	span := func(r []int) int { return r[0] + int(n%uint64(r[1]-r[0]+1)) }
	switch {
	case s.Int != nil:
		return strconv.Itoa(span(s.Int))
	case s.Port != nil:
		width := s.Port[1] - s.Port[0] + 1
		return strconv.Itoa(s.Port[0] + (span(s.Port)-s.Port[0]+try)%width)
	default:
		return s.OneOf[n%uint64(len(s.OneOf))]
	}
}

// Tries is how many different values there are to try: the width of a port range, else 1.
func (s ValueSpec) Tries() int {
	if s.Port != nil {
		return s.Port[1] - s.Port[0] + 1
	}
	return 1
}

// validate says what is wrong with the spec, or "".
func (s ValueSpec) validate(name string) string {
	if !valueName.MatchString(name) {
		return fmt.Sprintf("value name %q: use letters and digits, beginning with a small letter", name)
	}
	for _, b := range Builtin {
		if name == b {
			return fmt.Sprintf("value %s: every lab has this one already", name)
		}
	}
	set := 0
	for _, r := range []struct {
		kind string
		r    []int
		min  int
		max  int
	}{{"int", s.Int, 0, math.MaxInt}, {"port", s.Port, 1024, 65535}} {
		if r.r == nil {
			continue
		}
		set++
		if len(r.r) != 2 || r.r[0] > r.r[1] || r.r[0] < r.min || r.r[1] > r.max {
			most := ""
			if r.max < math.MaxInt {
				most = fmt.Sprintf(" ≤ %d", r.max)
			}
			return fmt.Sprintf("value %s: %s wants [low, high] with %d ≤ low ≤ high%s", name, r.kind, r.min, most)
		}
	}
	if s.OneOf != nil {
		set++
		if len(s.OneOf) == 0 {
			return fmt.Sprintf("value %s: oneOf is empty", name)
		}
		for _, o := range s.OneOf {
			if !plainValue.MatchString(o) {
				return fmt.Sprintf("value %s: %q: only letters, digits, '.', '_' and '-' are safe in pages, YAML and commands alike", name, o)
			}
		}
	}
	if set != 1 {
		return fmt.Sprintf("value %s: set exactly one of int, oneOf, port", name)
	}
	return ""
}
