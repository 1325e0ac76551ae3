package site

import (
	"html"
	"path"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"

	"github.com/kindlab/kindlab/labs"
)

// blocks renders code blocks as what they are for: a command to run, output to
// compare with, a file to save, code to read. A check is not shown.
type blocks struct{}

// RegisterFuncs says that code blocks are rendered here.
func (b blocks) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindFencedCodeBlock, b.fenced)
	r.Register(ast.KindCodeBlock, b.indented)
}

func (blocks) fenced(w util.BufWriter, src []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	f := n.(*ast.FencedCodeBlock)
	words := ""
	if f.Info != nil {
		words = string(f.Info.Segment.Value(src))
	}
	// What is wrong with the words is for labs.Load to say; here the rest must do.
	info, _ := labs.ParseBlockInfo(words)
	_, _ = w.WriteString(block(info, string(f.Lines().Value(src))))
	return ast.WalkSkipChildren, nil
}

func (blocks) indented(w util.BufWriter, src []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		_, _ = w.WriteString(block(labs.BlockInfo{Kind: labs.Sample}, string(n.Lines().Value(src))))
	}
	return ast.WalkSkipChildren, nil
}

// block is a code block as HTML.
func block(info labs.BlockInfo, code string) string {
	code = strings.TrimRight(code, "\n")
	switch info.Kind {
	case labs.CheckIt:
		return ""
	case labs.Command:
		return figure("command", "lab shell", note(info), copyButton("Copy", ""), commandLines(code))
	case labs.Output:
		return figure("output", "you should see something like", "", "", html.EscapeString(code))
	case labs.SaveAs:
		buttons := copyButton("Copy", "") + copyButton("Copy as command", saveCommand(info.File, code))
		return figure("file", "save as", `<span class="name">`+html.EscapeString(info.File)+`</span>`, buttons, colour(fileLang(info), code))
	}
	return figure("sample", info.Lang, "", copyButton("Copy", ""), colour(info.Lang, code))
}

// figure frames code. label is text, the others are HTML.
func figure(class, label, extra, buttons, code string) string {
	var b strings.Builder
	b.WriteString(`<figure class="block ` + class + `"><figcaption><span class="label">` + html.EscapeString(label) + `</span>`)
	b.WriteString(extra + `<span class="buttons">` + buttons + `</span></figcaption>`)
	b.WriteString(`<pre><code>` + code + "</code></pre></figure>\n")
	return b.String()
}

// note says in words what is special about a command.
func note(info labs.BlockInfo) string {
	var notes []string
	if info.Background {
		notes = append(notes, "leave this running")
	}
	if info.Fails {
		notes = append(notes, "this is meant to fail")
	}
	if len(notes) == 0 {
		return ""
	}
	return `<span class="mind">` + strings.Join(notes, ", ") + `</span>`
}

// copyButton copies text or, when that is empty, the block's code.
func copyButton(label, text string) string {
	data := ""
	if text != "" {
		data = ` data-text="` + html.EscapeString(text) + `"`
	}
	return `<button class="copy" type="button"` + data + `>` + html.EscapeString(label) + `</button>`
}

// fileLang is the language of a file: what the author says, else what its name says.
func fileLang(info labs.BlockInfo) string {
	if info.Lang != "" && !strings.HasPrefix(info.Lang, "file=") {
		return info.Lang
	}
	return strings.TrimPrefix(path.Ext(info.File), ".")
}

// saveCommand is a command that saves a file, to be pasted into a shell.
func saveCommand(name, text string) string {
	end := "EOF"
	for strings.Contains("\n"+text+"\n", "\n"+end+"\n") {
		end += "F"
	}
	command := "cat > " + quote(name) + " <<'" + end + "'\n" + text + "\n" + end
	if dir := path.Dir(name); dir != "." {
		return "mkdir -p " + quote(dir) + " && " + command
	}
	return command
}

// quote makes one word of s for a shell.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("./_-=:@%+,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
