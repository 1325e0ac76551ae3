package site

import (
	"html"
	"regexp"
	"strings"

	"github.com/alecthomas/chroma/v2"
	"github.com/alecthomas/chroma/v2/lexers"
)

// colour is code as HTML with the classes of its tokens. The style sheet gives
// them their colours, light and dark.
func colour(lang, code string) string {
	return strings.Join(colourLines(lang, code), "\n")
}

// colourLines is colour for each line. Without a lexer the code stays plain.
func colourLines(lang, code string) []string {
	lexer := lexers.Get(lang)
	if lang == "" || lexer == nil {
		return strings.Split(html.EscapeString(code), "\n")
	}
	tokens, err := chroma.Tokenise(chroma.Coalesce(lexer), nil, code)
	if err != nil {
		return strings.Split(html.EscapeString(code), "\n")
	}
	var b strings.Builder
	for _, t := range tokens {
		class := tokenClass(t.Type)
		// A token that goes over several lines is closed and opened again at each end.
		for i, part := range strings.Split(t.Value, "\n") {
			if i > 0 {
				b.WriteByte('\n')
			}
			if part = html.EscapeString(part); class != "" && strings.TrimSpace(part) != "" {
				part = `<span class="` + class + `">` + part + `</span>`
			}
			b.WriteString(part)
		}
	}
	// A lexer may add the newline that a file would end with.
	lines := strings.Split(b.String(), "\n")
	return lines[:min(len(lines), 1+strings.Count(code, "\n"))]
}

// tokenClass is the class of a token, or "" for plain text. A few classes make a
// calm page: they are the broad categories of the lexer.
func tokenClass(t chroma.TokenType) string {
	switch {
	case t == chroma.NameTag || t == chroma.NameAttribute:
		return "t-key"
	case t == chroma.NameVariable || t.InSubCategory(chroma.NameVariable):
		return "t-var"
	case t == chroma.NameBuiltin || t.InCategory(chroma.Keyword):
		return "t-word"
	case t.InSubCategory(chroma.LiteralString):
		return "t-text"
	case t.InSubCategory(chroma.LiteralNumber):
		return "t-num"
	case t.InCategory(chroma.Comment):
		return "t-note"
	}
	return ""
}

// commandLines is a block of shell commands, with each line that a prompt would
// stand before marked. The prompt itself is the style sheet's, so that it is
// never copied.
func commandLines(code string) string {
	starts := commandStarts(code)
	var b strings.Builder
	for i, line := range colourLines("bash", code) {
		class := "l"
		if starts[i] {
			class = "l p"
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(`<span class="` + class + `">` + line + `</span>`)
	}
	return b.String()
}

var hereDoc = regexp.MustCompile(`<<-?\s*["']?([A-Za-z_][A-Za-z0-9_]*)["']?`)

// commandStarts reports for each line of a shell script whether a command begins
// on it. It is a guess, good for what a page shows: it knows line continuations,
// here documents, open quotes, and that the inside of a loop is indented.
func commandStarts(code string) []bool {
	lines := strings.Split(code, "\n")
	starts := make([]bool, len(lines))
	end, quoted, goesOn := "", byte(0), false
	for i, line := range lines {
		if end != "" {
			if strings.TrimSpace(line) == end {
				end = ""
			}
			continue
		}
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case goesOn, quoted != 0, word == "", strings.HasPrefix(word, "#"), line[0] == ' ', line[0] == '\t':
		case word == "done", word == "fi", word == "esac", word == "else", word == "do", word == "then", strings.Trim(word, ")};") == "":
		default:
			starts[i] = true
		}
		quoted = openQuote(line, quoted)
		goesOn = strings.HasSuffix(line, `\`) || strings.HasSuffix(line, "|") || strings.HasSuffix(line, "&&")
		if m := hereDoc.FindStringSubmatch(line); m != nil && quoted == 0 {
			end = m[1]
		}
	}
	return starts
}

// openQuote is the quote that is open at the end of a line; open is the one at its start.
func openQuote(line string, open byte) byte {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && open != '\'':
			i++
		case open == 0 && c == '#' && (i == 0 || line[i-1] == ' '):
			return 0
		case open == 0 && (c == '\'' || c == '"'):
			open = c
		case c == open:
			open = 0
		}
	}
	return open
}
