package site

import (
	"net/url"
	"path"
	"strings"

	"github.com/yuin/goldmark/ast"

	"github.com/kindlab/kindlab/labs"
)

// links knows where a page is, and so what its links mean.
type links struct {
	course *labs.Course
	lab    string // empty for the course's own page
	base   string // what stands before every address of the site
}

// rewrite turns links between Markdown files into links between pages. A link to
// elsewhere opens beside the lab; one that leads nowhere becomes plain text. An
// image becomes a link to it, or its description: a page loads nothing from elsewhere.
func (ls links) rewrite(doc ast.Node, src []byte) {
	var found []ast.Node
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n.(type) {
		case *ast.Link, *ast.Image, *ast.AutoLink:
			if entering {
				found = append(found, n)
			}
		}
		return ast.WalkContinue, nil
	})
	for _, n := range found {
		switch n := n.(type) {
		case *ast.Link:
			if dest, outside, ok := ls.resolve(string(n.Destination)); ok {
				n.Destination = []byte(dest)
				mark(n, outside)
			} else {
				replace(n, nil)
			}
		case *ast.Image:
			if dest, outside, ok := ls.resolve(string(n.Destination)); ok && outside {
				link := ast.NewLink()
				link.Destination, link.Title = []byte(dest), n.Title
				mark(link, outside)
				replace(n, link)
			} else {
				replace(n, nil)
			}
		case *ast.AutoLink:
			if _, outside, ok := ls.resolve(string(n.URL(src))); ok || n.AutoLinkType == ast.AutoLinkEmail {
				mark(n, outside)
			} else {
				n.Parent().ReplaceChild(n.Parent(), n, ast.NewString(n.Label(src)))
			}
		}
	}
}

// mark says that a link leads out of the site.
func mark(n ast.Node, outside bool) {
	if outside {
		n.SetAttributeString("class", []byte("outside"))
		n.SetAttributeString("rel", []byte("noopener noreferrer"))
		n.SetAttributeString("target", []byte("_blank"))
	}
}

// replace puts into in the place of n, with n's children; with nil, the children alone.
func replace(n, into ast.Node) {
	parent := n.Parent()
	for child := n.FirstChild(); child != nil; {
		next := child.NextSibling()
		if into != nil {
			into.AppendChild(into, child)
		} else {
			parent.InsertBefore(parent, n, child)
		}
		child = next
	}
	if into != nil {
		parent.InsertBefore(parent, n, into)
	}
	parent.RemoveChild(parent, n)
}

// resolve is where a link written on the page leads; ok is false for nowhere.
func (ls links) resolve(dest string) (to string, outside, ok bool) {
	u, err := url.Parse(dest)
	switch {
	case err != nil:
		return "", false, false
	case u.Scheme == "http" || u.Scheme == "https":
		return dest, true, u.Host != ""
	case u.Scheme == "mailto":
		return dest, false, true
	case u.Scheme != "" || u.Host != "":
		return "", false, false
	case u.Path == "":
		return dest, false, u.Fragment != ""
	}
	target := path.Join("/", ls.lab, u.Path)
	if u.Fragment != "" {
		u.Fragment = "#" + (&url.URL{Path: u.Fragment}).EscapedPath()
	}
	dir, file := path.Split(strings.TrimPrefix(target, "/"))
	switch lab := strings.TrimSuffix(dir, "/"); {
	case lab == "" && file == "README.md":
		return ls.base + "/" + ls.course.ID + "/" + u.Fragment, false, true
	case lab == "" && ls.course.Lab(file) != nil: // the folder itself
		return ls.base + "/" + ls.course.ID + "/" + file + "/" + u.Fragment, false, true
	case file == "lab.md" && ls.course.Lab(lab) != nil:
		return ls.base + "/" + ls.course.ID + "/" + lab + "/" + u.Fragment, false, true
	}
	return "", false, false
}
