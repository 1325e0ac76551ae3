package labs

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
	"go.yaml.in/yaml/v3"
)

// BlockKind is what a fenced block of a page is for.
type BlockKind string

// The kinds of block.
const (
	Command BlockKind = "command" // to be run: sh
	Output  BlockKind = "output"  // a sample to compare with
	SaveAs  BlockKind = "file"    // to be saved in the work folder: any language with file=NAME
	Sample  BlockKind = "sample"  // to be read
	CheckIt BlockKind = "check"   // a check; not shown
)

// A Block is a fenced block of a page.
type Block struct {
	BlockInfo
	Text string
	Line int // of the opening fence
}

// BlockInfo is what the words after the opening fence say.
type BlockInfo struct {
	Kind       BlockKind
	Lang       string
	File       string        // for SaveAs: where to save it, relative to the work folder
	Fails      bool          // the command is meant to fail
	Background bool          // the command goes on while the page is read
	NoRun      bool          // shown, never run
	Timeout    time.Duration // how long the command may take; 0 for the usual
}

// ParseBlockInfo reads the words after an opening fence. wrong is what is wrong with them, or "".
func ParseBlockInfo(info string) (b BlockInfo, wrong string) {
	words := strings.Fields(info)
	b.Kind = Sample
	if len(words) == 0 {
		return b, ""
	}
	b.Lang = words[0]
	switch b.Lang {
	case "sh":
		b.Kind = Command
	case "output":
		b.Kind = Output
	case "check":
		b.Kind = CheckIt
	}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		switch {
		case w == "fails" && b.Kind == Command:
			b.Fails = true
		case w == "background" && b.Kind == Command:
			b.Background = true
		case w == "norun" && b.Kind == Command:
			b.NoRun = true
		case key == "timeout" && b.Kind == Command:
			d, err := time.ParseDuration(value)
			if err != nil || d <= 0 {
				return b, "timeout wants a duration such as 2m, not " + value
			}
			b.Timeout = d
		case key == "file" && b.Kind == Sample:
			if !insideFolder(value) {
				return b, "file wants a path inside the work folder, not " + value
			}
			b.Kind, b.File = SaveAs, value
		default:
			return b, "unknown word " + w + " after the fence; known are fails, background, norun, timeout=… for sh, and file=… for files"
		}
	}
	return b, ""
}

// insideFolder reports whether a name is that of a file in a folder or below it, on every system.
func insideFolder(name string) bool {
	return fs.ValidPath(name) && name != "." && !strings.ContainsAny(name, `\:`)
}

// parse fills Title, Intro and Tasks from the page with the values v.
func (l *Lab) parse(v Values) Problems {
	var ps Problems
	src := v.Expand(l.source)
	doc := goldmark.DefaultParser().Parse(text.NewReader([]byte(src)))
	line := func(offset int) int { return 1 + strings.Count(src[:offset], "\n") }

	introFrom, bodyFrom := 0, 0
	var task *Task
	section := func(to int) {
		if body := src[bodyFrom:to]; task != nil {
			task.Markdown = body
		} else {
			l.Intro = src[introFrom:to]
		}
	}
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		h, isHeading := n.(*ast.Heading)
		if !isHeading || h.Level > 2 || h.Lines().Len() == 0 {
			l.blocks(n, src, task, line, &ps)
			continue
		}
		seg := h.Lines().At(0)
		title := strings.Join(strings.Fields(string(h.Lines().Value([]byte(src)))), " ")
		lineStart := 1 + strings.LastIndexByte(src[:seg.Start], '\n')
		after := afterHeading(src, h.Lines().At(h.Lines().Len()-1).Stop, hashes.MatchString(src[lineStart:]))
		if h.Level == 1 {
			if task == nil {
				introFrom = after
			} else {
				ps.add(l.file, line(seg.Start), "a second title: use ## for tasks")
			}
			continue
		}
		section(lineStart)
		task = &Task{ID: Slug(title), Title: plain(title), Line: line(seg.Start)}
		switch {
		case task.ID == "":
			ps.add(l.file, task.Line, "task %q: the heading needs a word of letters a to z", title)
		case l.Task(task.ID) != nil:
			ps.add(l.file, task.Line, "task %q: another task has this heading", title)
		}
		l.Tasks = append(l.Tasks, task)
		bodyFrom = after
	}
	section(len(src))
	l.findNeeds(&ps)
	return ps
}

// plain drops the code marks from a heading.
func plain(title string) string { return strings.ReplaceAll(title, "`", "") }

// hashes begins a heading that has no underline.
var hashes = regexp.MustCompile(`^ {0,3}#{1,6}[ \t]`)

// afterHeading is the offset of the line after a heading whose text ends at stop,
// and after its underline when it is not one with hashes.
func afterHeading(src string, stop int, hashes bool) int {
	next := func(from int) int {
		if i := strings.IndexByte(src[from:], '\n'); i >= 0 {
			return from + i + 1
		}
		return len(src)
	}
	end := next(min(stop, len(src)))
	if stop > 0 && stop <= len(src) && src[stop-1] == '\n' {
		end = stop
	}
	if hashes {
		return end
	}
	return next(end)
}

// blocks collects the fenced blocks below n.
func (l *Lab) blocks(n ast.Node, src string, task *Task, line func(int) int, ps *Problems) {
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		f, ok := n.(*ast.FencedCodeBlock)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		info, at := "", 0
		if f.Info != nil {
			info, at = string(f.Info.Segment.Value([]byte(src))), line(f.Info.Segment.Start)
		} else if f.Lines().Len() > 0 {
			at = line(f.Lines().At(0).Start) - 1
		}
		b := Block{Text: string(f.Lines().Value([]byte(src))), Line: at}
		var wrong string
		if b.BlockInfo, wrong = ParseBlockInfo(info); wrong != "" {
			ps.add(l.file, at, "%s", wrong)
		}
		if task == nil {
			if b.Kind != Sample && b.Kind != Output {
				ps.add(l.file, at, "a %s block before the first task: put it under a ## heading", b.Kind)
			}
			return ast.WalkContinue, nil
		}
		task.Blocks = append(task.Blocks, b)
		if b.Kind == CheckIt {
			if c := l.check(b, ps); c != nil {
				task.Checks = append(task.Checks, c)
			}
		}
		return ast.WalkContinue, nil
	})
}

// check reads a check block. What the kind is given stays undecoded.
func (l *Lab) check(b Block, ps *Problems) *Check {
	n, err := parseYAML(b.Text, b.Line+1)
	for _, e := range LineErrors(err) {
		ps.add(l.file, e.Line, "%s", e.Text)
	}
	if err != nil {
		return nil
	}
	if n == nil || n.Kind != yaml.MappingNode {
		ps.add(l.file, b.Line, "a check is a map: id, that, hint, and one kind such as object")
		return nil
	}
	c := &Check{File: l.file, Line: b.Line, lab: l}
	fail := func(n *yaml.Node, format string, args ...any) { ps.add(l.file, n.Line, format, args...) }
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if seen[key.Value] {
			fail(key, "a check has %s once, and this one has it twice", key.Value)
			continue
		}
		seen[key.Value] = true
		var err error
		switch key.Value {
		case "id":
			err = value.Decode(&c.ID)
		case "that":
			err = value.Decode(&c.That)
		case "hint":
			err = value.Decode(&c.Hint)
		case "needs":
			err = value.Decode(&c.Needs)
		case "holds":
			if c.Holds, err = parseHold(value.Value); err != nil {
				fail(value, "%v", err)
				err = nil
			}
		default:
			if c.Kind != "" {
				fail(key, "a check has one kind, and this one has %s and %s", c.Kind, key.Value)
				continue
			}
			c.Kind, c.Spec = key.Value, value
		}
		if err != nil {
			for _, e := range yamlErrors(err, value.Line) {
				ps.add(l.file, e.(LineError).Line, "%s: %s", key.Value, e.(LineError).Text)
			}
		}
	}
	if !id.MatchString(c.ID) {
		fail(n, "the check's id %q: use small letters, digits and '-', 2 to 32 of them", c.ID)
	}
	for _, f := range []struct{ name, is, why string }{
		{"that", c.That, "a sentence that is true when the check passes"},
		{"hint", c.Hint, "where a learner who is stuck should look"},
		{"kind", c.Kind, "such as object, http or container"},
	} {
		if strings.TrimSpace(f.is) == "" {
			fail(n, "check %s: %s is missing: %s", c.ID, f.name, f.why)
		}
	}
	return c
}

// ReadFile is a file in the folder of the check's lab, with the attendee's values. The name
// is that of a path inside the folder, such as check/ports.sh.
func (c *Check) ReadFile(name string) (string, error) {
	if !insideFolder(name) {
		return "", fmt.Errorf("%s is no path inside the lab's folder", name)
	}
	if c.lab == nil {
		return "", fmt.Errorf("there is no %s", name)
	}
	p := path.Join(c.lab.ID, name)
	data, err := fs.ReadFile(c.lab.course.fsys, p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("there is no %s", p)
	case err != nil:
		return "", fmt.Errorf("reading %s: %w", p, err)
	}
	return c.lab.Values.Expand(string(data)), nil
}

func parseHold(s string) (Hold, error) {
	switch s {
	case "now":
		return Hold{}, nil
	case "once":
		return Hold{Once: true}, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return Hold{}, fmt.Errorf("holds is now, once, or a duration such as 10s, not %s", s)
	}
	return Hold{For: d}, nil
}

// findNeeds reports ids used twice, and puts the checks that are meant in place of
// what each check needs: checks before it, or all checks of a task before it. A
// check's own task may need tasks too, in the front matter.
func (l *Lab) findNeeds(ps *Problems) {
	for _, name := range slices.Sorted(maps.Keys(l.taskNeeds)) {
		if l.Task(name) == nil {
			ps.add(l.file, l.taskNeeds[name][0].line, "tasks: %q is no task of this page", name)
		}
	}
	checks, tasks := map[string]bool{}, map[string]*Task{}
	for _, t := range l.Tasks {
		var first []string // what the task's first checks and all others need
		for _, n := range l.taskNeeds[t.ID] {
			before := tasks[n.name]
			if before == nil {
				ps.add(l.file, n.line, "task %s needs %q, which is no task before it", t.ID, n.name)
				continue
			}
			first = append(first, before.checkIDs()...)
		}
		for _, c := range t.Checks {
			all := slices.Clone(first)
			for _, need := range c.Needs {
				switch before := tasks[need]; {
				case checks[need]:
					all = append(all, need)
				case before != nil:
					all = append(all, before.checkIDs()...)
				default:
					ps.add(l.file, c.Line, "check %s needs %q, which is no check or task before it", c.ID, need)
				}
			}
			c.Needs = nil
			for _, need := range all {
				if !slices.Contains(c.Needs, need) {
					c.Needs = append(c.Needs, need)
				}
			}
			if checks[c.ID] {
				ps.add(l.file, c.Line, "check %s: another check has this id", c.ID)
			}
			checks[c.ID] = true
		}
		tasks[t.ID] = t
	}
}

func (t *Task) checkIDs() []string {
	var all []string
	for _, c := range t.Checks {
		all = append(all, c.ID)
	}
	return all
}

// Slug is a heading as an id: small letters and digits, '-' between words.
func Slug(heading string) string {
	var b strings.Builder
	dash := false
	for _, r := range strings.ToLower(heading) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			if dash && b.Len() > 0 {
				b.WriteByte('-')
			}
			b.WriteRune(r)
			dash = false
		} else if r != '`' && r != '\'' {
			dash = true
		}
	}
	return b.String()
}
