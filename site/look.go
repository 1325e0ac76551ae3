package site

import (
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
)

// A Look is what is alike on all sites of one process: style, scripts, templates,
// and the texts that were rendered so far. A class has a site for each attendee
// and one Look for all of them.
type Look struct {
	assets *assets
	pages  map[string]*template.Template
	text   *textRenderer
}

// NewLook makes a Look. The folder "assets" of each of more is served beside the
// site's own.
func NewLook(more ...fs.FS) (*Look, error) {
	a, err := newAssets(append([]fs.FS{files}, more...)...)
	if err != nil {
		return nil, fmt.Errorf("making the look of the site: %w", err)
	}
	pages, err := parsePages(a)
	if err != nil {
		return nil, fmt.Errorf("making the look of the site: %w", err)
	}
	return &Look{a, pages, newTextRenderer()}, nil
}

// Funcs are what templates need to look like the site's: asset, ticks, lead.
func (l *Look) Funcs() template.FuncMap { return funcs(l.assets) }

// ServeHTTP serves GET /assets/{name}.
func (l *Look) ServeHTTP(w http.ResponseWriter, r *http.Request) { l.assets.ServeHTTP(w, r) }
