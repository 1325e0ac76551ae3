package site

import (
	"html/template"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/kindlab/kindlab/labs"
)

// rendered is one section of a lab of the demo course as HTML.
func rendered(t testing.TB, md string) string {
	t.Helper()
	html, err := newTextRenderer().render(links{course: demo(t).course, lab: "scale-it"}, []string{"run-more-copies"}, []string{md})
	require.NoError(t, err)
	return string(html[0])
}

func TestMarkdown(t *testing.T) {
	for _, c := range []struct{ name, md, want string }{
		{"strike", "~~no~~", "<p><del>no</del></p>\n"},
		{"table", "| a |\n|--:|\n| 1 |", "<table>\n<thead>\n<tr>\n<th align=\"right\">a</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td align=\"right\">1</td>\n</tr>\n</tbody>\n</table>\n"},
		{"task list", "- [x] a", "<ul>\n<li><input checked=\"\" disabled=\"\" type=\"checkbox\"> a</li>\n</ul>\n"},
		{"other lab", "[x](../reach-it/lab.md#close-the-door)", `<p><a href="/demo/reach-it/#close-the-door">x</a></p>` + "\n"},
		{"other lab's folder", "[x](../reach-it)", `<p><a href="/demo/reach-it/">x</a></p>` + "\n"},
		{"course", "[x](../README.md)", `<p><a href="/demo/">x</a></p>` + "\n"},
		{"task of this page", "[x](#run-more-copies)", `<p><a href="#run-more-copies">x</a></p>` + "\n"},
		{"no such lab", "[x *y*](../nowhere/lab.md)", "<p>x <em>y</em></p>\n"},
		{"out of the course", "[x](../../../etc/passwd)", "<p>x</p>\n"},
		{"elsewhere", "[x](https://kubernetes.io/docs)", `<p><a href="https://kubernetes.io/docs" class="outside" rel="noopener noreferrer" target="_blank">x</a></p>` + "\n"},
		{"bare", "https://kubernetes.io", `<p><a href="https://kubernetes.io" class="outside" rel="noopener noreferrer" target="_blank">https://kubernetes.io</a></p>` + "\n"},
		{"mail", "<ada@example.org>", `<p><a href="mailto:ada@example.org">ada@example.org</a></p>` + "\n"},
		{"script link", "[x](javascript:alert(1))", "<p>x</p>\n"},
		{"script autolink", "<javascript:alert(1)>", "<p>javascript:alert(1)</p>\n"},
		{"other site's path", "[x](//evil.example/)", "<p>x</p>\n"},
		{"image", "![a *map*](map.png)", "<p>a <em>map</em></p>\n"},
		{"image elsewhere", "![a map](https://x.example/map.png)", `<p><a href="https://x.example/map.png" class="outside" rel="noopener noreferrer" target="_blank">a map</a></p>` + "\n"},
		{"HTML", "the pod <name> is up", "<p>the pod &lt;name&gt; is up</p>\n"},
		{"HTML block", "<script>\nalert(1)\n</script>", "&lt;script&gt;\nalert(1)\n&lt;/script&gt;"},
		{"HTML comment", "a <!-- TODO --> b", "<p>a  b</p>\n"},
		{"alert", "> [!NOTE]\n> Read *this*.", "<aside class=\"alert note\"><p class=\"alert-word\">Note</p>\n<p>Read <em>this</em>.</p>\n</aside>\n"},
		{"alert of paragraphs", "> [!caution]\n>\n> One.\n>\n> Two.", "<aside class=\"alert caution\"><p class=\"alert-word\">Caution</p>\n<p>One.</p>\n<p>Two.</p>\n</aside>\n"},
		{"alert of no kind", "> [!NEWS]\n> x", "<blockquote>\n<p>[!NEWS]\nx</p>\n</blockquote>\n"},
		{"quote", "> said", "<blockquote>\n<p>said</p>\n</blockquote>\n"},
		{"heading with the id of a task", "### Run more copies", "<h3 id=\"run-more-copies-1\">Run more copies</h3>\n"},
		{"check", "```check\nid: x\n```", ""},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.want, rendered(t, c.md)) })
	}
}

func TestBlocks(t *testing.T) {
	for _, c := range []struct {
		name, md string
		has      []string
		hasNot   []string
	}{
		{"command", "```sh\nls <dir>\n```", []string{`class="block command"`, "&lt;", ">Copy</button>"}, []string{"$", "mind"}},
		{"background", "```sh background\nx\n```", []string{"leave this running"}, nil},
		{"fails", "```sh fails\nx\n```", []string{"this is meant to fail"}, nil},
		{"output", "```output\n$ <x>\n```", []string{"you should see something like", "$ &lt;x&gt;"}, []string{"Copy"}},
		{"file", "```yaml file=k8s/my.yaml\nport: 80\n```", []string{"save as", "k8s/my.yaml", `class="t-key">port`,
			`data-text="mkdir -p k8s &amp;&amp; cat &gt; k8s/my.yaml &lt;&lt;&#39;EOF&#39;` + "\nport: 80\nEOF\""}, nil},
		{"sample", "```json\n{\"a\": 1}\n```", []string{`class="block sample"`, ">json<", ">Copy</button>"}, nil},
		{"no language", "```\nx < y\n```", []string{"x &lt; y"}, []string{"t-"}},
		{"unknown language", "```klingon\nx < y\n```", []string{"x &lt; y"}, []string{"t-"}},
		{"hostile language", "```\"><script>\nx\n```", []string{"&lt;script&gt;"}, []string{"<script"}},
		{"indented", "    x < y", []string{`class="block sample"`, "x &lt; y"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := rendered(t, c.md)
			for _, s := range c.has {
				assert.Contains(t, got, s)
			}
			for _, s := range c.hasNot {
				assert.NotContains(t, got, s)
			}
		})
	}
}

func TestCommandStarts(t *testing.T) {
	for _, c := range []struct{ name, code string }{ // a line that begins with $ is one that a prompt stands before
		{"each line", "$a\n$b"},
		{"continued", "$a \\\n  --b\n$c"},
		{"piped", "$a |\nb\n$c &&\nd"},
		{"comment and blank", "# why\n\n$a"},
		{"here document", "$cat > x <<'EOF'\nkind: Pod\nEOF\n$b"},
		{"quoted", "$echo 'one\ntwo'\n$b"},
		{"escaped quote", "$echo it\\'s\n$b"},
		{"comment with an apostrophe", "$a # it's\n$b"},
		{"loop", "$for i in 1 2; do\n  a\ndone\n$b"},
		{"function", "$f() {\n  a\n}\n$f"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want []bool
			for line := range strings.SplitSeq(c.code, "\n") {
				want = append(want, strings.HasPrefix(line, "$"))
			}
			assert.Equal(t, want, commandStarts(strings.ReplaceAll(c.code, "$", "")))
		})
	}
}

func TestSaveCommand(t *testing.T) {
	assert.Equal(t, "cat > 'a b' <<'EOFF'\nx\nEOF\ny\nEOFF", saveCommand("a b", "x\nEOF\ny"))
	assert.Equal(t, `'it'\''s'`, quote("it's"))
	assert.Equal(t, "''", quote(""))
}

// What is copied from a block is what its author wrote, whatever the lexer makes of it.
func TestColourKeepsTheText(t *testing.T) {
	for _, lang := range []string{"bash", "yaml", "go", "json", "dockerfile", "console", "", "none"} {
		for _, code := range []string{"", "a", "a\n\nb", "\tx: 'y\n  z' # \"", "if x {\n}\n\n<&>", "FROM x\nRUN a \\\n  b", "ü\x00€\xff"} {
			code = strings.ToValidUTF8(strings.ReplaceAll(code, "\x00", ""), "�")
			assert.Equal(t, code, textOf(t, colour(lang, code)), "%s: %q", lang, code)
			assert.Equal(t, code, textOf(t, commandLines(code)), "command: %q", code)
		}
	}
}

func textOf(t *testing.T, fragment string) string {
	doc, err := html.Parse(strings.NewReader("<!doctype html><body><pre><code>" + fragment))
	require.NoError(t, err)
	var b strings.Builder
	for n := range doc.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
	}
	return b.String()
}

func TestReferencesReachAllSections(t *testing.T) {
	l := &labs.Lab{ID: "x", Intro: "See [the docs].", Tasks: []*labs.Task{{ID: "a", Markdown: "x\n\n[the docs]: https://example.org/"}}}
	text, err := newTextRenderer().lab("", &labs.Course{ID: "c"}, l)
	require.NoError(t, err)
	assert.Contains(t, text.Intro, `href="https://example.org/"`)
}

func TestRenderingIsRemembered(t *testing.T) {
	r, at := newTextRenderer(), links{course: &labs.Course{ID: "c"}, lab: "x"}
	first, err := r.render(at, nil, []string{"a"})
	require.NoError(t, err)
	again, err := r.render(at, nil, []string{"a"})
	require.NoError(t, err)
	assert.Same(t, &first[0], &again[0])
	other, err := r.render(at, nil, []string{"b"})
	require.NoError(t, err)
	assert.NotEqual(t, first, other)
	for i := range 3 * remembered {
		_, err := r.render(at, nil, []string{strconv.Itoa(i)})
		require.NoError(t, err)
		if i%(remembered/2) == 0 {
			again, err = r.render(at, nil, []string{"a"})
			require.NoError(t, err)
			assert.Same(t, &first[0], &again[0], "what is read now and then stays")
		}
	}
	assert.LessOrEqual(t, len(r.seen)+len(r.aged), 2*remembered)
}

func TestTicks(t *testing.T) {
	for in, want := range map[string]template.HTML{
		"plain":         "plain",
		"run `a <b>`!":  "run <code>a &lt;b&gt;</code>!",
		"half ` open":   "half ` open",
		"<script>`x`":   "&lt;script&gt;<code>x</code>",
		"`a` and `b` `": "<code>a</code> and <code>b</code> `",
	} {
		assert.Equal(t, want, ticks(in), in)
	}
}

// FuzzMarkdown looks for Markdown that becomes something active.
func FuzzMarkdown(f *testing.F) {
	for _, seed := range []string{
		"<script>alert(1)</script>", "[x](javascript:alert(1))", "<javascript:alert(1)>", "![x](data:text/html,x)",
		"[x]( java\tscript:alert(1))", "> [!NOTE]\n> <img src=x onerror=alert(1)>", "```sh\" onload=\"x\n</code><script>\n```",
		"```yaml file=x\"onclick=\"y\n<svg onload=x>\n```", "[a]: javascript:x\n\n[a]", "| <b onclick=x> |\n|--|", "[x](&#106;avascript:x)",
		"# h {onclick=x}", "https://x\"onclick=y", "[![x](a)](vbscript:x)", "* [ ] <input onfocus=x autofocus>", "[x](#a\"onclick=b)",
	} {
		f.Add(seed)
	}
	r, course := newTextRenderer(), &labs.Course{ID: "c"}
	f.Fuzz(func(t *testing.T, md string) {
		out, err := r.render(links{course: course, lab: "x"}, nil, []string{md})
		require.NoError(t, err)
		inert(t, string(out[0]))
	})
}

// inert fails the test when a page part holds anything that runs, loads or styles.
func inert(t *testing.T, part string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader("<!doctype html><body>" + part))
	require.NoError(t, err)
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "script", "style", "iframe", "object", "embed", "img", "svg", "math", "form", "base", "link", "meta", "template":
			t.Fatalf("<%s> in %s", n.Data, part)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" || a.Key == "srcdoc" {
				t.Fatalf("%s= in %s", a.Key, part)
			}
			if a.Key != "href" {
				continue
			}
			switch scheme, _, ok := strings.Cut(strings.ToLower(strings.TrimSpace(a.Val)), ":"); {
			case !ok, strings.ContainsAny(scheme, "/#?"), scheme == "http", scheme == "https", scheme == "mailto":
			default:
				t.Fatalf("href=%q in %s", a.Val, part)
			}
		}
	}
}

// A hostile course, with everything an author, a value or a finding could say.
func hostile(t *testing.T) *labs.Course {
	const bad = `"><script>alert(1)</script><img src=x onerror=y>`
	c, err := labs.Load(fstest.MapFS{
		"course.yaml": {Data: []byte("title: '" + bad + "'\ngoal: '" + bad + "'\nlabs: [bad]\n")},
		"README.md":   {Data: []byte("# x\n" + bad)},
		"bad/lab.md": {Data: []byte("---\ntitle: '" + bad + "'\ngoal: '" + bad + "'\nminutes: 1\nneeds: [cluster]\n---\n# x\n" + bad +
			"\n\n## Do " + bad + "\n" + bad + "\n```check\nid: it\nthat: '" + bad + "'\nhint: '" + bad + "'\nobject: {}\n```\n")},
	}, "bad")
	require.NoError(t, err)
	return c
}
