package site

import (
	"bytes"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// alerts knows GitHub's alerts: a quote whose first line is [!NOTE], [!TIP],
// [!IMPORTANT], [!WARNING] or [!CAUTION]. It finds them and renders them.
type alerts struct{}

// alertKind is the attribute of a quote that is an alert: its kind, in small letters.
const alertKind = "alert"

// Transform marks the quotes that are alerts and takes the mark off their text.
func (alerts) Transform(doc *ast.Document, r text.Reader, _ parser.Context) {
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		quote, ok := n.(*ast.Blockquote)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		p, ok := quote.FirstChild().(*ast.Paragraph)
		if !ok || p.Lines().Len() == 0 {
			return ast.WalkContinue, nil
		}
		first := p.Lines().At(0)
		kind := alertOf(first.Value(r.Source()))
		if kind == "" {
			return ast.WalkContinue, nil
		}
		for child := p.FirstChild(); child != nil; {
			next := child.NextSibling()
			if t, ok := child.(*ast.Text); ok && t.Segment.Start < first.Stop {
				p.RemoveChild(p, child)
			}
			child = next
		}
		if p.FirstChild() == nil {
			quote.RemoveChild(quote, p)
		}
		quote.SetAttributeString(alertKind, []byte(kind))
		return ast.WalkContinue, nil
	})
}

// alertOf is the kind of alert that a line begins, or "".
func alertOf(line []byte) string {
	word, ok := strings.CutPrefix(string(bytes.TrimSpace(line)), "[!")
	word, closed := strings.CutSuffix(word, "]")
	if kind := strings.ToLower(word); ok && closed && alertWord(kind) != "" {
		return kind
	}
	return ""
}

// alertWord is the heading of a kind of alert; "" when there is no such kind.
func alertWord(kind string) string {
	switch kind {
	case "note":
		return "Note"
	case "tip":
		return "Tip"
	case "important":
		return "Important"
	case "warning":
		return "Warning"
	case "caution":
		return "Caution"
	}
	return ""
}

// RegisterFuncs says that quotes are rendered here.
func (a alerts) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindBlockquote, a.render)
}

func (alerts) render(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	v, isAlert := n.AttributeString(alertKind)
	kind, _ := v.([]byte)
	switch {
	case isAlert && entering:
		_, _ = w.WriteString(`<aside class="alert ` + string(kind) + `"><p class="alert-word">` + alertWord(string(kind)) + "</p>\n")
	case isAlert:
		_, _ = w.WriteString("</aside>\n")
	case entering:
		_, _ = w.WriteString("<blockquote>\n")
	default:
		_, _ = w.WriteString("</blockquote>\n")
	}
	return ast.WalkContinue, nil
}
