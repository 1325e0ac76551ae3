package labs

import (
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
)

// Lint reports what Load accepts but a learner would stumble over: dead links,
// tasks that nothing proves, checks without a near miss, solutions and near
// misses that belong to nothing, unknown values in the lab's files.
func (c *Course) Lint() Problems {
	var ps Problems
	c.lintLinks("README.md", c.Intro, &ps)
	for _, l := range c.Labs {
		l.lintTasks(&ps)
		l.lintFiles(&ps)
		c.lintLinks(l.file, l.Values.Expand(l.source), &ps)
	}
	ps.Sort()
	return ps
}

func (l *Lab) lintTasks(ps *Problems) {
	if len(l.Tasks) == 0 {
		ps.add(l.file, 0, "the lab has no tasks: write ## headings")
	}
	lines := strings.Split(l.source, "\n")
	for _, t := range l.Tasks {
		if placeholder.MatchString(lines[t.Line-1]) {
			ps.add(l.file, t.Line, "task %s: a heading cannot hold a value, because the task is called after it", t.Title)
		}
		runs := slices.ContainsFunc(t.Blocks, func(b Block) bool {
			return b.Kind == Command && !b.NoRun || b.Kind == SaveAs
		})
		_, solved := l.Solution(t.ID)
		switch {
		case len(t.Checks) == 0 && (runs || solved):
			ps.add(l.file, t.Line, "task %s has something to do and no check", t.ID)
		case len(t.Checks) > 0 && !runs && !solved:
			ps.add(l.file, t.Line, "task %s has no commands: write solution/%s.sh", t.ID, t.ID)
		}
		for _, c := range t.Checks {
			if len(l.NearMisses(c.ID)) == 0 {
				ps.add(l.file, c.Line, "check %s has no near miss: write wrong/%s-WHY.sh", c.ID, c.ID)
			}
		}
	}
}

func (l *Lab) lintFiles(ps *Problems) {
	for _, m := range l.nearMisses() {
		if m.Check == "" {
			ps.add(m.File, 0, "no check of this lab begins the file's name")
		}
	}
	solutions, _ := fs.ReadDir(l.course.fsys, path.Join(l.ID, "solution"))
	for _, e := range solutions {
		if name, ok := strings.CutSuffix(e.Name(), ".sh"); ok && l.Task(name) == nil {
			ps.add(path.Join(l.ID, "solution", e.Name()), 0, "no task of this lab has this name")
		}
	}
	_ = fs.WalkDir(l.course.fsys, l.ID, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || p == l.file {
			return err
		}
		data, err := fs.ReadFile(l.course.fsys, p)
		if err == nil {
			l.Values.unknown(p, string(data), ps)
		}
		return nil
	})
}

// lintLinks reports links to files of the course that are not there.
func (c *Course) lintLinks(file, md string, ps *Problems) {
	doc := goldmark.DefaultParser().Parse(text.NewReader([]byte(md)))
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		var dest string
		switch n := n.(type) {
		case *ast.Link:
			dest = string(n.Destination)
		case *ast.Image:
			dest = string(n.Destination)
		case *ast.AutoLink:
			if n.AutoLinkType == ast.AutoLinkURL {
				dest = string(n.URL([]byte(md)))
			}
		}
		if !entering || dest == "" {
			return ast.WalkContinue, nil
		}
		line := 1 + strings.Count(md[:max(0, n.Pos())], "\n")
		u, err := url.Parse(dest)
		switch {
		case err != nil:
			ps.add(file, line, "broken link %s", dest)
		case u.Scheme == "" && u.Path == "" && u.Fragment != "":
			if lab := c.Lab(path.Dir(file)); lab == nil || lab.Task(u.Fragment) == nil {
				ps.add(file, line, "dead link %s: no task of this page has that id", dest)
			}
		case u.Scheme == "" && u.Host == "":
			target := path.Join(path.Dir(file), u.Path)
			if _, err := fs.Stat(c.fsys, target); err != nil {
				ps.add(file, line, "dead link %s: there is no %s", dest, target)
			}
		case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "mailto":
			ps.add(file, line, "link %s: only http, https, mailto and files of the course work", dest)
		}
		return ast.WalkContinue, nil
	})
}
