package checker

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/kindlab/kindlab/labs"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"sigs.k8s.io/yaml"
)

// whyNoFolder says why the chart's folder could not be opened.
func (c *chartCheck) whyNoFolder(work *os.Root, err error) *labs.Finding {
	f := &labs.Finding{Expected: "a chart in folder " + c.Path + " of the work folder"}
	info, errStat := work.Stat(c.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Got = "no such folder"
		dir, name := path.Split(c.Path)
		entries, _ := fs.ReadDir(work.FS(), path.Clean(dir))
		var folders []string
		for _, e := range entries {
			if e.IsDir() {
				folders = append(folders, e.Name())
			}
		}
		if near := labs.Nearest(name, folders); near != "" {
			f.Nearest = "there is a folder " + path.Join(dir, near)
		}
		f.Look = "`ls " + path.Clean(dir) + "`"
	case errStat == nil && !info.IsDir():
		f.Got, f.Look = "a file of that name", "`ls -l "+c.Path+"`"
	default:
		f.Got, f.Look = "something that cannot be opened", "`ls -l "+c.Path+"`"
		f.Because = "it leads out of the work folder, or may not be read"
	}
	return f
}

// chartFile checks Chart.yaml, without which nothing else can be said.
func (c *chartCheck) chartFile(files []*archive.BufferedFile) []labs.Finding {
	file := path.Join(c.Path, "Chart.yaml")
	text, ok := fileOf(files, "Chart.yaml")
	if !ok {
		f := labs.Finding{Expected: "file " + file, Got: "no such file", Because: "folder " + c.Path + " has no Chart.yaml, which makes a folder a chart", Look: "`ls " + c.Path + "`"}
		names := make([]string, len(files))
		for i := range files {
			names[i] = files[i].Name
		}
		if near := labs.Nearest("Chart.yaml", names); near != "" {
			f.Nearest = "there is " + path.Join(c.Path, near)
		}
		return []labs.Finding{f}
	}
	var m chartv2.Metadata
	if err := yaml.Unmarshal([]byte(text), &m); err != nil {
		return []labs.Finding{{Expected: file + " to be YAML", Got: yamlProblem(err), Look: file}}
	}
	var found []labs.Finding
	add := func(key, want, got, because string) {
		f := labs.Finding{Expected: fmt.Sprintf("%s: %s in %s", key, want, file), Got: key + ": " + clip(got, 80), Because: because, Look: file}
		if got == "" {
			f.Got = "no " + key
		}
		if n := lineOfKey(text, key); n > 0 {
			f.Look = fmt.Sprintf("%s:%d", file, n)
		}
		found = append(found, f)
	}
	if m.APIVersion != chartv2.APIVersionV2 {
		add("apiVersion", "v2", m.APIVersion, "v2 is the format of charts since Helm 3")
	}
	switch {
	case c.Name != "" && m.Name != c.Name:
		add("name", c.Name, m.Name, "")
	case m.Name == "":
		add("name", "the chart's name", m.Name, "")
	}
	if _, err := semver.StrictNewVersion(m.Version); err != nil {
		add("version", "three numbers such as 0.1.0", m.Version, "a chart's version follows SemVer 2")
	}
	return found
}

// fileOf is the text of one of the chart's files.
func fileOf(files []*archive.BufferedFile, name string) (string, bool) {
	i := slices.IndexFunc(files, func(f *archive.BufferedFile) bool { return f.Name == name })
	if i < 0 {
		return "", false
	}
	return string(files[i].Data), true
}

// lineOfKey is the line on which a top-level key stands, from 1; 0 when none does.
func lineOfKey(text, key string) int {
	for i, l := range strings.Split(text, "\n") {
		if strings.HasPrefix(l, key+":") {
			return i + 1
		}
	}
	return 0
}

// What Helm and text/template write about a template that fails.
var (
	templatePlace = regexp.MustCompile(`(?:^|[\s(])[^/\s()]+/((?:charts/[^\s():]+/)?templates/[^\s():]+):(\d+)(?::\d+)?`)
	templateExpr  = regexp.MustCompile(`at <([^>]*)>`)
	nilPointer    = regexp.MustCompile(`nil pointer evaluating \S+ ?\{?\}?\.(\w+)`)
	noFunction    = regexp.MustCompile(`function "([^"]+)" not defined`)
	noTemplate    = regexp.MustCompile(`no template "([^"]+)"`)
)

// whyNoRender reads the error of a chart that does not render.
func (c *chartCheck) whyNoRender(err error, files []*archive.BufferedFile) labs.Finding {
	text := err.Error()
	f := labs.Finding{Expected: "chart " + c.Path + " to render", Look: c.template()}
	places := templatePlace.FindAllStringSubmatch(text, -1)
	if len(places) == 0 {
		f.Got = clip(strings.TrimPrefix(text, "execution error: "), 240)
		return f
	}
	// Templates include one another: the last place is where it happened.
	place := places[len(places)-1]
	message := strings.TrimSpace(text[strings.LastIndex(text, place[0])+len(place[0]):])
	if i := strings.LastIndex(message, "\n"); i >= 0 {
		message = message[i+1:]
	}
	message = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(message), "):"))
	f.Got = clip(fmt.Sprintf("%s:%s: %s", place[1], place[2], message), 240)
	f.Look = path.Join(c.Path, place[1]) + ":" + place[2]
	switch exprs := templateExpr.FindAllStringSubmatch(text, -1); {
	case nilPointer.MatchString(message) && len(exprs) > 0:
		expr := exprs[len(exprs)-1][1]
		if parent, ok := strings.CutSuffix(expr, "."+nilPointer.FindStringSubmatch(message)[1]); ok && parent != "" {
			f.Because = fmt.Sprintf("%s is not set, so it has no %s", parent, nilPointer.FindStringSubmatch(message)[1])
			if value, ok := strings.CutPrefix(parent, ".Values."); ok {
				f.Nearest = nearDefault(files, value)
			}
		}
	case noFunction.MatchString(message):
		f.Because = noFunction.FindStringSubmatch(message)[1] + " is no function of templates: a value is written .Values.NAME"
	case noTemplate.MatchString(text):
		missing := noTemplate.FindStringSubmatch(text)[1]
		f.Got = fmt.Sprintf("%s:%s: no template %q", place[1], place[2], clip(missing, 80))
		f.Because = "no file of the chart defines it"
		if near := labs.Nearest(missing, definitions(files)); near != "" {
			f.Nearest = fmt.Sprintf("there is %q", near)
		}
	}
	return f
}

// nearDefault is the value of values.yaml whose path is near, or "".
func nearDefault(files []*archive.BufferedFile, value string) string {
	text, _ := fileOf(files, "values.yaml")
	var values map[string]any
	if yaml.Unmarshal([]byte(text), &values) != nil {
		return ""
	}
	parent, name := "", value
	if i := strings.LastIndexByte(value, '.'); i >= 0 {
		parent, name = value[:i+1], value[i+1:]
		v, _ := valueAt(values, value[:i])
		values, _ = v.(map[string]any)
	}
	if near := labs.Nearest(name, slices.Sorted(maps.Keys(values))); near != "" {
		return "values.yaml has " + parent + near
	}
	return ""
}

// definitions are the names of the templates that the chart's files define.
func definitions(files []*archive.BufferedFile) []string {
	var names []string
	for _, f := range files {
		for _, m := range regexp.MustCompile(`\{\{-?\s*define\s+"([^"]+)"`).FindAllStringSubmatch(string(f.Data), -1) {
			names = append(names, m[1])
		}
	}
	return names
}

// lintFinding is an error of Helm's linter.
func (c *chartCheck) lintFinding(m support.Message) labs.Finding {
	return labs.Finding{
		Expected: "`helm lint " + c.Path + "` without errors",
		Got:      clip(strings.TrimSuffix(m.Path, "/")+": "+m.Err.Error(), 240),
		Look:     "`helm lint " + c.Path + "`",
	}
}

// whyNotRendered compares a partial object with those that the chart renders.
func (c *chartCheck) whyNotRendered(want map[string]any, got rendering, files []*archive.BufferedFile, namespace string) []labs.Finding {
	kind, _ := want["kind"].(string)
	meta, _ := want["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	what := strings.TrimSpace(kind + " " + name)

	var kinds, names []string
	var best []mismatch
	var at *document
	docs := got.documents()
	for i, d := range docs {
		k, _ := d.Object["kind"].(string)
		if k != kind {
			kinds = append(kinds, k)
			continue
		}
		m, _ := d.Object["metadata"].(map[string]any)
		n, _ := m["name"].(string)
		names = append(names, n)
		if name != "" && n != name {
			continue
		}
		if ms := mismatches(want, d.Object); at == nil || len(ms) < len(best) {
			best, at = ms, &docs[i]
		}
	}
	if at == nil {
		return []labs.Finding{c.noDocument(what, kind, name, kinds, names, got, files)}
	}
	var found []labs.Finding
	for _, m := range best[:min(len(best), mostFindings)] {
		f := labs.Finding{
			Expected: fmt.Sprintf("%s %s in %s", m.Path, m.Want, what),
			Got:      m.Got,
			Look:     path.Join(c.Path, at.File),
		}
		f.Because, f.Nearest = c.whyFixed(m, want, *at, got, files, namespace)
		if n := literalLine(files, at.File, m.Path); n > 0 && f.Because != "" {
			f.Look = fmt.Sprintf("%s:%d", f.Look, n)
		}
		found = append(found, f)
	}
	return found
}

// noDocument says what the chart renders instead of an object. names are those
// of the objects of the same kind, kinds are the other kinds.
func (c *chartCheck) noDocument(what, kind, name string, kinds, names []string, got rendering, files []*archive.BufferedFile) labs.Finding {
	f := labs.Finding{Expected: "a " + what, Look: c.template()}
	slices.Sort(kinds)
	kinds = slices.DeleteFunc(slices.Compact(kinds), func(k string) bool { return k == "" })
	switch {
	case len(names) > 0:
		f.Got = fmt.Sprintf("%s %s", kind, listed(names))
		if slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, chartRelease) }) {
			f.Because = chartRelease + " is what `helm template` calls a release without a name"
		}
		return f
	case len(kinds) == 0:
		f.Got = "no object at all"
	default:
		f.Got = "only " + listed(kinds)
	}
	if near := labs.Nearest(kind, kinds); near != "" {
		f.Nearest = "it renders a " + near
	}
	for _, file := range slices.Sorted(maps.Keys(got)) {
		text, _ := fileOf(files, file)
		if strings.Contains(text, "kind: "+kind) && strings.TrimSpace(got[file]) == "" {
			f.Because = file + " has one, and with these values it renders nothing"
			f.Look = path.Join(c.Path, file)
		}
	}
	if _, ok := fileOf(files, "values.yaml"); len(got) == 0 && ok {
		f.Because = "the chart has no templates/*.yaml"
	}
	if outside := outsideTemplates(files, kind); outside != "" && (f.Because == "" || len(got) == 0) {
		f.Because = outside + " has one, and Helm renders only what is in templates/"
		f.Look = path.Join(c.Path, outside)
	}
	return f
}

// outsideTemplates is a file of the chart that has an object of the kind where Helm does not
// look for templates, or "".
func outsideTemplates(files []*archive.BufferedFile, kind string) string {
	has := regexp.MustCompile(`(?m)^kind:\s*["']?` + regexp.QuoteMeta(kind) + `["']?\s*$`)
	for _, f := range files {
		if inside := regexp.MustCompile(`^(?:charts/.+/)?(?:templates|crds)/`).MatchString(f.Name); inside {
			continue
		}
		if ext := path.Ext(f.Name); (ext == ".yaml" || ext == ".yml" || ext == ".tpl") && has.Match(f.Data) {
			return f.Name
		}
	}
	return ""
}
