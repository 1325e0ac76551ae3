package site

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"html/template"
	"sync"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	gmtext "github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/kindlab/kindlab/labs"
)

// A textRenderer makes HTML of a course's Markdown and remembers it: colouring
// the code of one page takes some milliseconds, and pages are read again and again.
type textRenderer struct {
	md goldmark.Markdown

	mu   sync.Mutex
	seen map[[sha256.Size]byte][]template.HTML
	aged map[[sha256.Size]byte][]template.HTML // what was seen before that; goes when seen is full
}

// remembered is how many pages a textRenderer keeps at least, of those that were read
// last, and half of how many at most: a large class has a page of each lab for each attendee.
const remembered = 1000

func newTextRenderer() *textRenderer {
	return &textRenderer{
		seen: map[[sha256.Size]byte][]template.HTML{},
		md: goldmark.New(
			goldmark.WithExtensions(
				// An align attribute: a style attribute would be against the policy.
				extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)),
				extension.Strikethrough,
				extension.TaskList,
				extension.NewLinkify(extension.WithLinkifyAllowedProtocols([]string{"http:", "https:", "mailto:"})),
			),
			goldmark.WithParserOptions(
				parser.WithAutoHeadingID(),
				parser.WithASTTransformers(util.Prioritized(alerts{}, 100)),
			),
			goldmark.WithRendererOptions(renderer.WithNodeRenderers(
				util.Prioritized(blocks{}, 100),
				util.Prioritized(alerts{}, 100),
				util.Prioritized(noHTML{}, 100),
			)),
		),
	}
}

// A labText is the text of a lab as HTML.
type labText struct {
	Intro template.HTML
	Tasks map[string]template.HTML // by task id
	Hints map[string]template.HTML // by check id
}

// lab renders a lab. A link that a section refers to may be defined in any other.
func (t *textRenderer) lab(base string, c *labs.Course, l *labs.Lab) (labText, error) {
	out := labText{Tasks: map[string]template.HTML{}, Hints: map[string]template.HTML{}}
	sections := []string{l.Intro}
	var reserved []string
	for _, task := range l.Tasks {
		sections = append(sections, task.Markdown)
		reserved = append(reserved, task.ID)
	}
	for _, check := range l.Checks() {
		sections = append(sections, check.Hint)
	}
	html, err := t.render(links{c, l.ID, base}, reserved, sections)
	if err != nil {
		return out, fmt.Errorf("rendering %s: %w", l.File(), err)
	}
	out.Intro, html = html[0], html[1:]
	for i, task := range l.Tasks {
		out.Tasks[task.ID] = html[i]
	}
	for i, check := range l.Checks() {
		out.Hints[check.ID] = html[len(l.Tasks)+i]
	}
	return out, nil
}

// intro renders the introduction of a course.
func (t *textRenderer) intro(base string, c *labs.Course) (template.HTML, error) {
	html, err := t.render(links{c, "", base}, nil, []string{c.Intro})
	if err != nil {
		return "", fmt.Errorf("rendering README.md: %w", err)
	}
	return html[0], nil
}

// render makes HTML of the sections of one page. Headings get ids that are unique
// on the page and none of reserved.
func (t *textRenderer) render(ls links, reserved, sections []string) ([]template.HTML, error) {
	key := pageKey(ls, reserved, sections)
	if known, ok := t.recall(key); ok {
		return known, nil
	}

	defined := parser.NewContext()
	for _, s := range sections {
		t.md.Parser().Parse(gmtext.NewReader([]byte(s)), parser.WithContext(defined))
	}
	ids := parser.NewContext().IDs()
	for _, id := range reserved {
		ids.Put([]byte(id))
	}
	out := make([]template.HTML, len(sections))
	for i, s := range sections {
		src := []byte(s)
		ctx := parser.NewContext(parser.WithIDs(ids))
		for _, ref := range defined.References() {
			ctx.AddReference(ref)
		}
		doc := t.md.Parser().Parse(gmtext.NewReader(src), parser.WithContext(ctx))
		ls.rewrite(doc, src)
		var b bytes.Buffer
		if err := t.md.Renderer().Render(&b, src, doc); err != nil {
			return nil, err
		}
		out[i] = template.HTML(b.String())
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	t.remember(key, out)
	return out, nil
}

// recall is a page that was rendered before.
func (t *textRenderer) recall(key [sha256.Size]byte) (html []template.HTML, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if html, ok = t.seen[key]; ok {
		return html, true
	}
	if html, ok = t.aged[key]; ok {
		t.remember(key, html)
	}
	return html, ok
}

// remember keeps a page. An author who edits for hours must not fill the memory. The
// renderer is locked.
func (t *textRenderer) remember(key [sha256.Size]byte, html []template.HTML) {
	if len(t.seen) >= remembered {
		t.seen, t.aged = map[[sha256.Size]byte][]template.HTML{}, t.seen
	}
	t.seen[key] = html
}

// pageKey is the same for the same text at the same place of the same course.
func pageKey(ls links, reserved, sections []string) [sha256.Size]byte {
	h := sha256.New()
	words := append([]string{ls.base, ls.course.ID, ls.lab}, reserved...)
	for _, l := range ls.course.Labs {
		words = append(words, l.ID)
	}
	for _, part := range [][]string{words, sections} {
		for _, s := range append([]string{fmt.Sprint(len(part))}, part...) {
			_ = binary.Write(h, binary.BigEndian, uint64(len(s)))
			h.Write([]byte(s))
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}
