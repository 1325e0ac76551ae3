package checker

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// How much of a log's end is read: traces are long, and a program decides itself how
// long its lines are.
const (
	logLines = 200
	logBytes = 64 << 10
)

const (
	logLineMost = 160 // letters of a line that is told
	logNear     = 8   // how many lines may stand after one that says why a program ended
)

// tellingLine is the line of a log that says why its program ended: the panic and not
// the trace below it, the mistake and not the usage, the error and not the goodbye. It is
// the last line when none says more, and "" when there is none.
func tellingLine(log string) string {
	lines := strings.FieldsFunc(log, func(r rune) bool { return r == '\n' || r == '\r' })
	lines = slices.DeleteFunc(lines, func(l string) bool { return clip(l, logLineMost) == "" })
	if len(lines) == 0 {
		return ""
	}
	for _, find := range []func([]string) int{goPanic, traceback, stackTrace, misused, worst, lastPlain} {
		if i := find(lines); i >= 0 {
			if says := saidInJSON(lines[i]); says != "" {
				return clip(says, logLineMost)
			}
			return clip(lines[i], logLineMost)
		}
	}
	return clip(lines[len(lines)-1], logLineMost)
}

// lastMatch is the last line that fits, or -1.
func lastMatch(lines []string, re *regexp.Regexp) int {
	for i := len(lines) - 1; i >= 0; i-- {
		if re.MatchString(lines[i]) {
			return i
		}
	}
	return -1
}

func indented(line string) bool { return line != "" && unicode.IsSpace(rune(line[0])) }

// unindentedAfter counts the lines after one that are not indented: a program that has
// written many has gone on.
func unindentedAfter(lines []string, i int) int {
	n := 0
	for _, l := range lines[i+1:] {
		if !indented(l) {
			n++
		}
	}
	return n
}

// goPanic is the line that Go, or Rust, writes above the trace of a panic.
func goPanic(lines []string) int {
	if i := lastMatch(lines, regexp.MustCompile(`^thread '.*' .*panicked at `)); i >= 0 {
		// Of late, Rust says where on one line and what on the next.
		if strings.HasSuffix(lines[i], ":") && i+1 < len(lines) {
			i++
		}
		return i
	}
	i := lastMatch(lines, regexp.MustCompile(`^(?:panic|fatal error): `))
	if i < 0 || lastMatch(lines[i:], regexp.MustCompile(`^goroutine \d+ `)) < 0 {
		return -1
	}
	return i
}

// traceback is the exception that Python writes below its trace.
func traceback(lines []string) int {
	from := lastMatch(lines, regexp.MustCompile(`^Traceback \(most recent call last\):`))
	if from < 0 {
		return -1
	}
	for i := from + 1; i < len(lines); i++ {
		if !indented(lines[i]) {
			if unindentedAfter(lines, i) > logNear {
				return -1
			}
			return i
		}
	}
	return -1
}

// stackTrace is the line above the trace of Java, Node, .NET or Ruby; of several causes,
// each the cause of the one before, it is the last.
func stackTrace(lines []string) int {
	call := regexp.MustCompile(`^\s+(?:at |from |\.\.\. \d+ (?:more|common frames))`)
	i := lastMatch(lines, call)
	if i < 0 || unindentedAfter(lines, i) > logNear {
		return -1
	}
	for i >= 0 && indented(lines[i]) {
		i--
	}
	if i < 0 {
		return -1
	}
	// What went wrong may take more than one line.
	names := regexp.MustCompile(`^Caused by: |(?:^|[\s(])[\w.$]*(?:Error|Exception)(?::|\)|$)`)
	from := max(0, i-2*logNear)
	if j := lastMatch(lines[from:i+1], names); j >= 0 {
		return from + j
	}
	return i
}

// misused is the mistake beside a usage text; the usage itself when nothing else says it.
func misused(lines []string) int {
	usage := lastMatch(lines, regexp.MustCompile(`(?i)^usage(?::| of\b)`))
	if usage < 0 || unindentedAfter(lines, usage) > logNear {
		return -1
	}
	wrong := regexp.MustCompile(`(?i)\b(?:unknown|unrecogni[sz]ed|unexpected|invalid|illegal|missing|required?s?|needs?|provided|no such|must|cannot|can't|error|too (?:many|few)|not (?:found|defined|a)|bad|wrong|expect(?:s|ed))\b`)
	for i := usage - 1; i >= max(0, usage-3); i-- {
		if wrong.MatchString(lines[i]) && !isHollow(lines[i]) {
			return i
		}
	}
	for i := usage + 1; i < len(lines); i++ {
		if !indented(lines[i]) && wrong.MatchString(lines[i]) && !strings.HasSuffix(lines[i], ":") && !isHollow(lines[i]) {
			return i
		}
	}
	return usage
}

// worst is the last line near the end that calls itself an error.
func worst(lines []string) int {
	for i := len(lines) - 1; i >= max(0, len(lines)-logNear); i-- {
		if !indented(lines[i]) && callsItselfError(lines[i]) && !isHollow(lines[i]) {
			return i
		}
	}
	return -1
}

// lastPlain is the last line that is neither hollow nor the rest of one before it.
func lastPlain(lines []string) int {
	for i := len(lines) - 1; i >= 0; i-- {
		if !isHollow(lines[i]) && !indented(lines[i]) {
			return i
		}
	}
	return -1
}

// hollow is what comes with an end and says nothing of its cause.
var hollow = regexp.MustCompile(`^(?:exit status \d+|Node\.js v[\d.]+|note: run with .RUST_BACKTRACE.*|(?:Try|See|Run|For more information,) .*(?:--help|usage).*|[\])}]+)$`)

func isHollow(line string) bool { return hollow.MatchString(strings.TrimSpace(line)) }

// levels finds how bad a line says that it is. Its first such word is its own; a later one
// may be what it speaks of.
var levels = func() *regexp.Regexp {
	const all = `fatal|error|panic|critical|crit|alert|emerg|severe|trace|debug|info|notice|warn|warning`
	return regexp.MustCompile(`\[(?i:(` + all + `))\]|\blevel="?(?i:(` + all + `))\b|\b(` + strings.ToUpper(all) + `)\b` +
		`|^(?:\S+: )?(?i:(` + all + `)): |^([EFIW])\d{4} |^[\w.]*[A-Z]\w*(Error|Exception): `)
}()

// callsItselfError reports whether a line is of the level of an error, or of a worse one.
func callsItselfError(line string) bool {
	if e := jsonLine(line); e != nil {
		for _, key := range []string{"level", "severity", "lvl", "log.level"} {
			switch level := e[key].(type) {
			case string:
				return isBad(level)
			case float64:
				return level >= 50 // as Bunyan and Pino count
			}
		}
		return false
	}
	m := levels.FindStringSubmatch(line)
	return m != nil && slices.ContainsFunc(m[1:], isBad)
}

func isBad(level string) bool {
	bad := []string{"fatal", "error", "err", "panic", "dpanic", "critical", "crit", "alert", "emerg", "emergency", "severe", "exception", "e", "f"}
	return slices.Contains(bad, strings.ToLower(level))
}

// jsonLine is a line that is an object of JSON, or nil.
func jsonLine(line string) map[string]any {
	line = strings.TrimSpace(line)
	var e map[string]any
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil {
		return nil
	}
	return e
}

// saidInJSON is the message of a line of JSON, with the error beside it; "" when the line is none.
func saidInJSON(line string) string {
	e := jsonLine(line)
	first := func(keys ...string) string {
		for _, k := range keys {
			switch v := e[k].(type) {
			case string:
				if v != "" {
					return v
				}
			case float64:
				return strconv.FormatFloat(v, 'g', -1, 64)
			case map[string]any:
				if text, _ := v["message"].(string); text != "" {
					return text
				}
			}
		}
		return ""
	}
	says, why := first("msg", "message", "event"), first("error", "err", "exception")
	if says == "" || why == "" || strings.Contains(says, why) {
		return says + whenEmpty(says, why)
	}
	return says + ": " + why
}
