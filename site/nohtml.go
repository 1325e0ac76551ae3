package site

import (
	"html"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"
)

// noHTML shows HTML in Markdown as the text that it is: an author who writes
// <name> outside a code mark finds it on the page. Comments stay unseen.
type noHTML struct{}

// RegisterFuncs says that raw HTML is rendered here.
func (h noHTML) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindRawHTML, h.inline)
	r.Register(ast.KindHTMLBlock, h.block)
}

func (noHTML) inline(w util.BufWriter, src []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		write(w, string(n.(*ast.RawHTML).Segments.Value(src)))
	}
	return ast.WalkSkipChildren, nil
}

func (noHTML) block(w util.BufWriter, src []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	b := n.(*ast.HTMLBlock)
	text := string(b.Lines().Value(src))
	if b.HasClosure() {
		text += string(b.ClosureLine.Value(src))
	}
	write(w, text)
	return ast.WalkContinue, nil
}

func write(w util.BufWriter, text string) {
	if !strings.HasPrefix(strings.TrimSpace(text), "<!--") {
		_, _ = w.WriteString(html.EscapeString(text))
	}
}
