package labs

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A Lab is one page with its files.
type Lab struct {
	ID      string
	Title   string
	Goal    string
	Minutes int
	Needs   []string             // what the environment must have: see [Needs]
	Specs   map[string]ValueSpec // how the lab's own values are drawn
	Intro   string               // Markdown between the title and the first task
	Tasks   []*Task
	Values  Values // the values that the text and the files were made with

	course *Course
	file   string // path of lab.md in the course
	// taskNeeds are the tasks that a task needs, by its id: the front matter's tasks.
	taskNeeds map[string][]taskNeed
	source    string // lab.md with the front matter blanked out, values not yet in
}

// A taskNeed is a task that must be solved first, and where that is written.
type taskNeed struct {
	name string
	line int
}

// Needs are what a lab can ask of its environment.
var Needs = []string{
	"docker",   // the attendee's Docker Engine
	"registry", // the local registry with the sample app's images
	"app",      // the sample app's program, as `hello` in the lab's work folder
	"cluster",  // a Kubernetes cluster, with a namespace for the lab
	"mesh",     // Istio in the cluster, with a gateway that the host reaches; wants a cluster too
	"metrics",  // Prometheus in the cluster, with what the mesh counts; wants a mesh too
	"policies", // no NetworkPolicy but those of the lab; wants a cluster too
	"admin",    // an administrator's rights in the cluster: nodes, kinds, storage classes, other namespaces; wants a cluster too
}

// Wants reports whether the lab needs something of its environment.
func (l *Lab) Wants(need string) bool { return slices.Contains(l.Needs, need) }

// File is the path of the lab's page inside the course folder.
func (l *Lab) File() string { return l.file }

// A Task is a ## section of a lab.
type Task struct {
	ID       string // the heading in small letters, with '-' between the words
	Title    string
	Line     int
	Markdown string // the section without its heading
	Blocks   []Block
	Checks   []*Check
}

// Task finds a task by its id; nil when there is none.
func (l *Lab) Task(id string) *Task {
	for _, t := range l.Tasks {
		if t.ID == id {
			return t
		}
	}
	return nil
}

// FindTask is Task with an error that names what there is.
func (l *Lab) FindTask(id string) (*Task, error) {
	if t := l.Task(id); t != nil {
		return t, nil
	}
	names := make([]string, len(l.Tasks))
	for i, t := range l.Tasks {
		names[i] = l.ID + "/" + t.ID
	}
	return nil, notFound("task", l.ID+"/"+id, names)
}

// Check finds a check and its task by the check's id.
func (l *Lab) Check(id string) (*Task, *Check) {
	for _, t := range l.Tasks {
		for _, c := range t.Checks {
			if c.ID == id {
				return t, c
			}
		}
	}
	return nil, nil
}

// Checks are all checks of the lab in page order.
func (l *Lab) Checks() []*Check {
	var all []*Check
	for _, t := range l.Tasks {
		all = append(all, t.Checks...)
	}
	return all
}

// A Check is one thing that must be true.
type Check struct {
	ID    string
	That  string // a sentence that is true when the check passes
	Hint  string
	Needs []string   // ids of checks that must pass first; a task that was named stands for its checks
	Holds Hold       // how long it must be true
	Kind  string     // which kind of check, such as object or http
	Spec  *yaml.Node // what the kind is given; its lines are those of File
	File  string     // where the check is written
	Line  int        // the line its block begins on

	lab *Lab
}

// Hold says how long a check must be true.
type Hold struct {
	Once bool          // true one time is enough for ever
	For  time.Duration // true without a break for this long
}

func (h Hold) String() string {
	switch {
	case h.Once:
		return "once"
	case h.For > 0:
		return h.For.String()
	}
	return "now"
}

// parseTemplate reads lab.md as its author wrote it: with a sample of each value.
func parseTemplate(c *Course, labID, text string) (*Lab, Problems) {
	lab := &Lab{ID: labID, course: c, file: path.Join(labID, "lab.md")}
	var ps Problems
	var head struct {
		Title   string               `yaml:"title"`
		Goal    string               `yaml:"goal"`
		Minutes int                  `yaml:"minutes"`
		Needs   []yaml.Node          `yaml:"needs"`
		Values  map[string]ValueSpec `yaml:"values"`
		Tasks   map[string]struct {
			Needs []yaml.Node `yaml:"needs"`
		} `yaml:"tasks"`
	}
	front, body, ok := splitFrontMatter(text)
	if !ok {
		ps.add(lab.file, 1, "the page must begin with front matter: title, goal, minutes, needs between two lines of ---")
	} else if decodeInto(&ps, lab.file, front, 2, &head) {
		if head.Title == "" {
			ps.add(lab.file, 1, "title is missing")
		}
		if head.Goal == "" {
			ps.add(lab.file, 1, "goal is missing")
		}
		if head.Minutes < 1 {
			ps.add(lab.file, 1, "minutes is missing: how long an attendee needs")
		}
	}
	lab.Title, lab.Goal, lab.Minutes, lab.source = head.Title, head.Goal, head.Minutes, body
	for _, n := range head.Needs {
		if !slices.Contains(Needs, n.Value) {
			ps.add(lab.file, n.Line, "unknown need %q; known are %s", n.Value, strings.Join(Needs, ", "))
		}
		lab.Needs = append(lab.Needs, n.Value)
	}
	for _, more := range []struct{ need, wants string }{{"metrics", "mesh"}, {"mesh", "cluster"}, {"policies", "cluster"}, {"admin", "cluster"}} {
		if lab.Wants(more.need) && !lab.Wants(more.wants) {
			lab.Needs = append(lab.Needs, more.wants)
		}
	}
	for name, t := range head.Tasks {
		for _, n := range t.Needs {
			if lab.taskNeeds == nil {
				lab.taskNeeds = map[string][]taskNeed{}
			}
			lab.taskNeeds[name] = append(lab.taskNeeds[name], taskNeed{n.Value, n.Line})
		}
	}
	lab.Specs = map[string]ValueSpec{}
	sample := Values{}
	lines := valueLines(front)
	for _, name := range slices.Sorted(maps.Keys(head.Values)) {
		spec := head.Values[name]
		if wrong := spec.validate(name); wrong != "" {
			ps.add(lab.file, lines[name], "%s", wrong)
			continue
		}
		lab.Specs[name] = spec
		sample[name] = spec.Draw("sample", name, 0)
	}
	for _, b := range Builtin {
		sample[b] = "sample-" + b
	}
	sample["registry"], sample["gateway"] = "localhost:5001", "localhost:8580"
	lab.Values = sample
	sample.unknown(lab.file, lab.source, &ps)
	if len(ps) > 0 {
		// A placeholder that stays would only be reported again, as broken YAML.
		return lab, ps
	}
	ps = append(ps, lab.parse(sample)...)
	return lab, ps
}

// For makes the lab of one attendee: v takes the place of every @{name}.
// It fails when a value is missing, which is a mistake of the caller.
func (l *Lab) For(v Values) (*Lab, error) {
	var ps Problems
	v.unknown(l.file, l.source, &ps)
	if err := ps.err(); err != nil {
		return nil, err
	}
	own := *l
	own.Tasks, own.Values = nil, v
	if err := own.parse(v).err(); err != nil {
		return nil, fmt.Errorf("reading lab %s: %w", l.ID, err)
	}
	return &own, nil
}

// splitFrontMatter takes the YAML between two lines of --- off the page. The
// body keeps its line numbers: what was taken is blank lines.
func splitFrontMatter(text string) (front, body string, ok bool) {
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
	rest, found := strings.CutPrefix(text, "---\n")
	if !found {
		return "", text, false
	}
	end := strings.Index("\n"+rest, "\n---\n")
	if end < 0 {
		return "", text, false
	}
	front = rest[:end]
	return front, strings.Repeat("\n", strings.Count(front, "\n")+2) + rest[end+len("---\n"):], true
}

// valueLines are the lines of the page on which its front matter names the values.
func valueLines(front string) map[string]int {
	var head struct {
		Values yaml.Node `yaml:"values"`
	}
	if n, err := parseYAML(front, 2); err == nil && n != nil {
		_ = n.Decode(&head)
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(head.Values.Content); i += 2 {
		lines[head.Values.Content[i].Value] = head.Values.Content[i].Line
	}
	return lines
}

// A File belongs to a lab, with the attendee's values filled in.
type File struct {
	Name string // slash-separated
	Data []byte
}

// Manifests are the Kubernetes objects that the lab begins with: start/cluster/*.yaml.
func (l *Lab) Manifests() ([]File, error) { return l.files("start/cluster") }

// WorkFiles are the files that the lab begins with in the attendee's work folder: start/work.
func (l *Lab) WorkFiles() ([]File, error) { return l.files("start/work") }

// Solution is the author's own work for a task, as a shell script: solution/<task>.sh.
func (l *Lab) Solution(task string) (script string, ok bool) {
	script = l.script(path.Join("solution", task+".sh"))
	return script, script != ""
}

// Shown is how a task can be done, for those who are shown it: what its author wrote
// as the solution, else the commands of the page; "" when there is neither.
func (l *Lab) Shown(task string) string {
	if script, ok := l.Solution(task); ok {
		return strings.TrimSpace(script)
	}
	t := l.Task(task)
	if t == nil {
		return ""
	}
	var parts []string
	for _, b := range t.Blocks {
		switch {
		case b.Kind == Command && !b.NoRun:
			parts = append(parts, strings.TrimSpace(b.Text))
		case b.Kind == SaveAs:
			parts = append(parts, fmt.Sprintf("cat > '%s' <<'EOF'\n%s\nEOF", b.File, strings.TrimRight(b.Text, "\n")))
		}
	}
	return strings.Join(parts, "\n")
}

// A NearMiss is a shell script that almost does a check's task: wrong/<check>-<why>.sh.
type NearMiss struct {
	Check  string
	Why    string
	File   string
	Script string
}

// NearMisses are the near misses of a check, by name.
func (l *Lab) NearMisses(check string) []NearMiss {
	var out []NearMiss
	for _, m := range l.nearMisses() {
		if m.Check == check {
			out = append(out, m)
		}
	}
	return out
}

func (l *Lab) nearMisses() []NearMiss {
	entries, _ := fs.ReadDir(l.course.fsys, path.Join(l.ID, "wrong"))
	var out []NearMiss
	for _, e := range entries {
		name, isScript := strings.CutSuffix(e.Name(), ".sh")
		if !isScript {
			continue
		}
		m := NearMiss{File: path.Join(l.ID, "wrong", e.Name()), Script: l.script("wrong/" + e.Name())}
		// Check ids may contain '-': the longest that fits is meant.
		for _, c := range l.Checks() {
			if why, ok := strings.CutPrefix(name, c.ID+"-"); ok && len(c.ID) > len(m.Check) {
				m.Check, m.Why = c.ID, strings.ReplaceAll(why, "-", " ")
			}
		}
		out = append(out, m)
	}
	return out
}

func (l *Lab) script(name string) string {
	data, err := fs.ReadFile(l.course.fsys, path.Join(l.ID, name))
	if err != nil {
		return ""
	}
	return l.Values.Expand(string(data))
}

// files reads a folder of the lab. A folder that is not there has no files.
func (l *Lab) files(dir string) ([]File, error) {
	root := path.Join(l.ID, dir)
	var out []File
	err := fs.WalkDir(l.course.fsys, root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if p == root && err != nil {
				return fs.SkipAll
			}
			return err
		}
		data, err := fs.ReadFile(l.course.fsys, p)
		if err != nil {
			return err
		}
		out = append(out, File{strings.TrimPrefix(p, root+"/"), []byte(l.Values.Expand(string(data)))})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", root, err)
	}
	return out, nil
}
