package checker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	"helm.sh/helm/v4/pkg/ignore"
	"sigs.k8s.io/yaml"
)

// chartCheck: a Helm chart in the lab's work folder that renders what it should.
type chartCheck struct {
	Path    string           `yaml:"path" doc:"The chart's folder, inside the work folder." required:"true"`
	Name    string           `yaml:"name" doc:"The chart's name."`
	Values  map[string]any   `yaml:"values" doc:"Values to render it with."`
	Renders []map[string]any `yaml:"renders" doc:"Partial objects, each of which must be rendered; they match as those of the kind object do."`
}

// What a chart of the lab may need at most. A learner's chart is far below; a
// hostile one must not hold up everybody's checks.
const (
	chartBytes = 8 << 20
	chartFiles = 500
	chartTime  = 10 * time.Second
)

// chartRelease is the release's name when a chart is rendered, as `helm template` has it.
const chartRelease = "release-name"

func (c *chartCheck) validate() error {
	if c.Path == "" {
		return errors.New("path is missing: the chart's folder inside the work folder")
	}
	var errs []error
	if !fs.ValidPath(c.Path) || strings.ContainsAny(c.Path, `\:`) {
		errs = append(errs, fmt.Errorf("path %q is not a path inside the work folder", c.Path))
	}
	for i, want := range c.Renders {
		if kind, _ := want["kind"].(string); kind == "" {
			errs = append(errs, fmt.Errorf("renders: entry %d has no kind", i+1))
		}
	}
	return errors.Join(errs...)
}

// unannounced says that no event tells when a file changes.
func (c *chartCheck) unannounced() bool { return true }

func (c *chartCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	files, f, err := c.read(t.Work)
	if err != nil {
		return nil, unreachable("the work folder", err)
	}
	if f != nil {
		return []labs.Finding{*f}, nil
	}
	if found := c.chartFile(files); len(found) > 0 {
		return found, nil
	}
	// A template can go round for ever, and Helm does not stop it.
	done := make(chan outcome, 1)
	go func() { done <- c.judge(files, t.Namespace) }()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case out := <-done:
		return out.found, out.err
	case <-time.After(chartTime):
		return []labs.Finding{{
			Expected: "chart " + c.Path + " to render", Got: fmt.Sprintf("no result within %s", chartTime),
			Because: "a template repeats something without end, or far too often", Look: c.template(),
		}}, nil
	}
}

type outcome struct {
	found []labs.Finding
	err   error
}

// judge renders the chart, lints it and compares what it renders.
func (c *chartCheck) judge(files []*archive.BufferedFile, namespace string) outcome {
	got, err := render(files, c.Values, namespace)
	if err != nil {
		return outcome{found: []labs.Finding{c.whyNoRender(err, files)}}
	}
	if f := c.whyNotYAML(got); f != nil {
		return outcome{found: []labs.Finding{*f}}
	}
	problems, err := lintChart(files, c.Values, namespace)
	if err != nil {
		return outcome{err: fmt.Errorf("linting chart %s: %w", c.Path, err)}
	}
	var found []labs.Finding
	for _, p := range problems {
		found = append(found, c.lintFinding(p))
	}
	for _, want := range c.Renders {
		found = append(found, c.whyNotRendered(want, got, files, namespace)...)
	}
	return outcome{found: found[:min(len(found), mostFindings)]}
}

// template is where to look at what the chart renders.
func (c *chartCheck) template() string { return "`helm template " + c.Path + "`" }

// read reads the chart's files. It never leaves the work folder: a link that
// leads out is not followed. A finding says what of the chart is not there; an
// error, that the work folder itself cannot be read.
func (c *chartCheck) read(work string) ([]*archive.BufferedFile, *labs.Finding, error) {
	root, err := os.OpenRoot(work)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	folder, err := root.OpenRoot(c.Path)
	if err != nil {
		return nil, c.whyNoFolder(root, err), nil
	}
	defer folder.Close()
	skip, err := ignored(folder)
	if err != nil {
		return nil, &labs.Finding{Expected: "a .helmignore that Helm understands", Got: clip(err.Error(), 160), Look: path.Join(c.Path, ignore.HelmIgnore)}, nil
	}
	var files []*archive.BufferedFile
	var f *labs.Finding
	size := int64(0)
	err = fs.WalkDir(folder.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := folder.Stat(name) // through links, as long as they stay inside
		if err != nil || !info.Mode().IsRegular() && !entry.IsDir() {
			f = &labs.Finding{Expected: "a chart of ordinary files and folders", Got: path.Join(c.Path, name) + ", which is a link or another kind of file"}
			return fs.SkipAll
		}
		if skip.Ignore(name, info) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			return nil
		}
		if size += info.Size(); size > chartBytes || len(files) == chartFiles {
			f = &labs.Finding{Expected: fmt.Sprintf("a chart of at most %d MiB and %d files", chartBytes>>20, chartFiles), Got: "more", Look: "folder " + c.Path}
			return fs.SkipAll
		}
		data, err := folder.ReadFile(name)
		if err != nil {
			return err
		}
		files = append(files, &archive.BufferedFile{Name: name, ModTime: info.ModTime(), Data: bytes.TrimPrefix(data, []byte("\ufeff"))})
		return nil
	})
	if err != nil {
		f = &labs.Finding{Expected: "a chart that can be read", Got: clip(err.Error(), 160)}
	}
	return files, f, nil
}

// ignored are the chart's rules of what does not belong to it.
func ignored(folder *os.Root) (*ignore.Rules, error) {
	rules := ignore.Empty()
	if text, err := folder.ReadFile(ignore.HelmIgnore); err == nil {
		if rules, err = ignore.Parse(bytes.NewReader(text)); err != nil {
			return nil, err
		}
	}
	rules.AddDefaults()
	return rules, nil
}

// A rendering is what a chart's templates make, by the template's path in the chart.
type rendering map[string]string

// render renders the templates without a cluster: lookup finds nothing, names are not
// resolved, and a values.schema.json is not applied, since it may refer to any address.
func render(files []*archive.BufferedFile, values map[string]any, namespace string) (rendering, error) {
	// Helm changes a chart while it renders it: each time begins with the files.
	chrt, err := loader.LoadFiles(copyFiles(files))
	if err != nil {
		return nil, err
	}
	own, err := asValues(values)
	if err != nil {
		return nil, err
	}
	if err := chartutil.ProcessDependencies(chrt, own); err != nil {
		return nil, err
	}
	options := common.ReleaseOptions{Name: chartRelease, Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := util.ToRenderValuesWithSchemaValidation(chrt, own, options, common.DefaultCapabilities.Copy(), true)
	if err != nil {
		return nil, err
	}
	texts, err := engine.Render(chrt, all)
	if err != nil {
		return nil, err
	}
	got := rendering{}
	for name, text := range texts {
		if ext := path.Ext(name); ext == ".yaml" || ext == ".yml" {
			got[inChart(chrt, name)] = text
		}
	}
	return got, nil
}

// inChart is a template's path in the chart: Helm writes the chart's name before it.
func inChart(chrt *chartv2.Chart, name string) string {
	return strings.TrimPrefix(name, chrt.Name()+"/")
}

// asValues makes values what a file given with -f makes them: every number is a float.
func asValues(values map[string]any) (map[string]any, error) {
	text, err := yaml.Marshal(values)
	if err != nil {
		return nil, err
	}
	return common.ReadValues(text)
}

// copyFiles copies the list: Helm renames the entries of subcharts in place.
func copyFiles(files []*archive.BufferedFile) []*archive.BufferedFile {
	out := make([]*archive.BufferedFile, len(files))
	for i, f := range files {
		own := *f
		out[i] = &own
	}
	return out
}

// lintChart runs Helm's linter and returns its errors. The linter reads a folder and
// follows links, so it is given a copy that has none.
func lintChart(files []*archive.BufferedFile, values map[string]any, namespace string) ([]support.Message, error) {
	dir, err := os.MkdirTemp("", "chart-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for _, f := range files {
		file := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(file, f.Data, 0o600); err != nil {
			return nil, err
		}
	}
	own, err := asValues(values)
	if err != nil {
		return nil, err
	}
	result := lint.RunAll(dir, own, namespace, lint.WithSkipSchemaValidation(true))
	return slices.DeleteFunc(result.Messages, func(m support.Message) bool { return m.Severity < support.ErrorSev }), nil
}

// A document is one object that a template renders.
type document struct {
	File   string // the template's path in the chart
	Index  int    // among the documents of that template
	Object map[string]any
}

// documents are the objects of a rendering, by template. What is no YAML is left out.
func (r rendering) documents() []document {
	var docs []document
	for _, file := range slices.Sorted(maps.Keys(r)) {
		objects, err := manifestObjects(r[file])
		if err != nil {
			continue
		}
		for i, o := range objects {
			docs = append(docs, document{file, i, o})
		}
	}
	return docs
}

// find is the document of the same template and place.
func (r rendering) find(d document) map[string]any {
	objects, err := manifestObjects(r[d.File])
	if err != nil || d.Index >= len(objects) {
		return nil
	}
	return objects[d.Index]
}
