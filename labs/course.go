package labs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Course is a folder: course.yaml and its labs, in order.
type Course struct {
	ID    string
	Title string
	Goal  string
	Intro string // README.md of the folder, without its title; may be empty
	Labs  []*Lab
	Left  []LeftOut // labs that cannot be had here

	fsys fs.FS
}

// LeftOut is a lab that cannot be had in some environments, and why.
type LeftOut struct {
	Lab *Lab
	Why string
}

// Without is the course without the labs for which why has a reason.
func (c *Course) Without(why func(*Lab) string) *Course {
	out := *c
	out.Labs, out.Left = nil, nil
	for _, l := range c.Labs {
		if reason := why(l); reason != "" {
			out.Left = append(out.Left, LeftOut{l, reason})
		} else {
			out.Labs = append(out.Labs, l)
		}
	}
	return &out
}

// id is how courses and labs are called: as folders, in commands, and in namespaces.
var id = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}[a-z0-9]$`)

// ValidID reports whether a name can be that of a course, a lab or an attendee:
// small letters, digits and '-', 2 to 32 of them.
func ValidID(name string) bool { return id.MatchString(name) }

// ErrNotCourse says that a folder holds no course.yaml.
var ErrNotCourse = errors.New("not a course: it has no course.yaml")

// Load reads the course in fsys. Its labs are as the author wrote them, with a
// sample of each value drawn. The error is [ErrNotCourse], or [Problems] with
// everything that is wrong. With Problems the course is returned too, as far as
// it could be read.
func Load(fsys fs.FS, courseID string) (*Course, error) {
	src, err := fs.ReadFile(fsys, "course.yaml")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotCourse
	} else if err != nil {
		return nil, fmt.Errorf("reading the course: %w", err)
	}
	c := &Course{ID: courseID, fsys: fsys}
	var ps Problems
	if !id.MatchString(courseID) {
		ps.add("course.yaml", 0, "the course folder's name %q: use small letters, digits and '-'", courseID)
	}
	var head struct {
		Title string      `yaml:"title"`
		Goal  string      `yaml:"goal"`
		Labs  []yaml.Node `yaml:"labs"`
	}
	readable := decodeInto(&ps, "course.yaml", string(src), 1, &head)
	c.Title, c.Goal = head.Title, head.Goal
	if readable {
		for _, need := range []struct{ name, is string }{{"title", head.Title}, {"goal", head.Goal}} {
			if need.is == "" {
				ps.add("course.yaml", 0, "%s is missing", need.name)
			}
		}
		if len(head.Labs) == 0 {
			ps.add("course.yaml", 0, "labs is empty: name the lab folders in order")
		}
	}
	for _, n := range head.Labs {
		if !id.MatchString(n.Value) {
			ps.add("course.yaml", n.Line, "lab %q: use small letters, digits and '-', 2 to 32 of them", n.Value)
			continue
		}
		if c.Lab(n.Value) != nil {
			ps.add("course.yaml", n.Line, "lab %q is listed twice", n.Value)
			continue
		}
		file := path.Join(n.Value, "lab.md")
		text, err := fs.ReadFile(fsys, file)
		if err != nil {
			ps.add("course.yaml", n.Line, "lab %q: there is no %s", n.Value, file)
			continue
		}
		lab, problems := parseTemplate(c, n.Value, string(text))
		ps = append(ps, problems...)
		c.Labs = append(c.Labs, lab)
	}
	if readme, err := fs.ReadFile(fsys, "README.md"); err == nil {
		c.Intro = dropTitle(string(readme))
	}
	return c, ps.err()
}

// dropTitle blanks the first line that is a level 1 heading; line numbers stay.
func dropTitle(md string) string {
	lines := strings.SplitAfter(md, "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "# ") })
	if i < 0 {
		return md
	}
	lines[i] = "\n"
	return strings.Join(lines, "")
}

// Lab finds a lab by its id; nil when the course has none of that name.
func (c *Course) Lab(id string) *Lab {
	for _, l := range c.Labs {
		if l.ID == id {
			return l
		}
	}
	return nil
}

// FindLab is Lab with an error that names what there is.
func (c *Course) FindLab(id string) (*Lab, error) {
	if l := c.Lab(id); l != nil {
		return l, nil
	}
	names := make([]string, len(c.Labs))
	for i, l := range c.Labs {
		names[i] = l.ID
	}
	return nil, notFound("lab", id, names)
}

func notFound(what, name string, known []string) error {
	if near := Nearest(name, known); near != "" {
		return fmt.Errorf("there is no %s %q; did you mean %q?", what, name, near)
	}
	return fmt.Errorf("there is no %s %q; there are %s", what, name, strings.Join(known, ", "))
}

// decodeInto strictly decodes a YAML text that begins on the given line of file
// and adds what is wrong to ps. It reports whether nothing was.
func decodeInto(ps *Problems, file, text string, line int, into any) bool {
	n, err := parseYAML(text, line)
	if err == nil && n != nil {
		err = Decode(n, into)
	}
	for _, e := range LineErrors(err) {
		ps.add(file, e.Line, "%s", e.Text)
	}
	return err == nil
}
