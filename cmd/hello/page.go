package main

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"strings"
)

// colours are the ones that the labs speak of; any other name is the browser's.
func colours(name string) string {
	switch name {
	case "teal":
		return "#0f766e"
	case "plum":
		return "#86408f"
	case "amber":
		return "#d97706"
	case "slate":
		return "#64748b"
	}
	return name
}

// versionColour is the colour of a version that has none of its own.
func versionColour(version string) string {
	switch version {
	case "v1":
		return "teal"
	case "v2":
		return "plum"
	case "v3":
		return "amber"
	}
	return "slate"
}

// getPage shows the application to people. The page is put together by hand: html/template would be a third of the
// binary.
func (a *app) getPage(w http.ResponseWriter, r *http.Request) {
	id := a.identity(r)
	facts := []string{fact("Pod", id.Pod)}
	if id.Node != "" {
		facts = append(facts, fact("Node", id.Node))
	}
	if id.Namespace != "" {
		facts = append(facts, fact("Namespace", id.Namespace))
	}
	facts = append(facts, fact("Colour", id.Colour), fact("Requests", fmt.Sprint(id.Requests)))
	if id.Backend != nil {
		facts = append(facts, fact("Backend", id.Backend.String()))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = strings.NewReplacer( // the client may have left
		"{app}", html.EscapeString(id.App),
		"{version}", html.EscapeString(id.Version),
		"{message}", html.EscapeString(id.Message),
		"{hue}", colours(id.Colour), // checked when the configuration was read
		"{facts}", strings.Join(facts, "\n"),
	).WriteString(w, pageHTML)
}

func fact(name, value string) string {
	return "<dt>" + name + "</dt><dd>" + html.EscapeString(value) + "</dd>"
}

// String is the backend's answer in a line.
func (u *upstream) String() string {
	if u.Error != "" {
		return u.URL + ": " + u.Error
	}
	line := fmt.Sprintf("HTTP %d in %d ms", u.Status, u.Ms)
	var said identity
	if json.Unmarshal(u.Body, &said) != nil || said.Version == "" {
		return line // it is not an application like this one
	}
	return fmt.Sprintf("%s: %s (%s, %s)", line, said.Message, said.Version, said.Pod)
}

const pageHTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{app} {version}</title>
<style>
:root { color-scheme: light dark }
body { margin: 0; font: 1.05rem/1.6 system-ui, sans-serif; border-top: .75rem solid #64748b }
main { max-width: 36rem; margin: 12vh auto; padding: 0 1.5rem }
h1 { margin: 0; font-size: 2.6rem; line-height: 1.2; font-weight: 650 }
h1 span { padding: .05em .4em; border: .08em solid #64748b; border-radius: .3em; font-size: .5em; vertical-align: .3em }
body, h1 span { border-color: {hue} }
p { margin: .6rem 0 2rem; font-size: 1.3rem; overflow-wrap: anywhere }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.5rem; margin: 0 }
dt { opacity: .7 }
dd { margin: 0; overflow-wrap: anywhere; font-family: ui-monospace, monospace; font-size: .95rem }
</style>
</head>
<body>
<main>
<h1>{app} <span>{version}</span></h1>
<p>{message}</p>
<dl>
{facts}
</dl>
</main>
</body>
</html>
`
