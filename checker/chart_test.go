package checker

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// goodChart are the files of a chart without mistakes.
func goodChart() map[string]string {
	return map[string]string{
		"Chart.yaml":  "apiVersion: v2\nname: hello\nversion: 0.1.0\n",
		"values.yaml": "replicas: 1\nimage:\n  repository: localhost:5001/hello\n  tag: v1\nextra: false\n",
		"templates/_helpers.tpl": `{{- define "hello.labels" -}}
app: hello
{{- end }}
`,
		"templates/deployment.yaml": `apiVersion: apps/v1
kind: Deployment
metadata:
  name: hello
  labels:
    {{- include "hello.labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: {app: hello}
  template:
    metadata:
      labels:
        {{- include "hello.labels" . | nindent 8 }}
    spec:
      containers:
        - name: hello
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
          ports:
            - containerPort: 3000
`,
		"templates/service.yaml": `apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}-web
spec:
  selector: {app: hello}
  ports:
    - port: 80
      targetPort: 3000
`,
		"templates/config.yaml": `{{- if .Values.extra }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: hello
{{- end }}
`,
		"templates/NOTES.txt": "Hello {{ .Release.Name }}\n",
	}
}

// writeChart writes files into the folder hello of a new work folder, which it returns.
func writeChart(t *testing.T, files map[string]string) string {
	t.Helper()
	work := t.TempDir()
	for name, text := range files {
		file := filepath.Join(work, "hello", name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	return work
}

const chartSpec = `
path: hello
name: hello
values: {replicas: 3, image: {tag: v2}}
renders:
  - kind: Deployment
    metadata: {name: hello}
    spec:
      replicas: 3
      template:
        spec:
          containers: [{name: hello, image: "localhost:5001/hello:v2"}]
  - kind: Service
    spec: {ports: [{port: 80, targetPort: 3000}]}
`

func chartOf(t *testing.T, spec string) *chartCheck {
	t.Helper()
	var n yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(spec), &n))
	var c chartCheck
	require.NoError(t, labs.Decode(n.Content[0], &c))
	require.NoError(t, c.validate())
	return &c
}

func lookAtChart(t *testing.T, work, spec string) []labs.Finding {
	t.Helper()
	found, err := chartOf(t, spec).look(context.Background(), &Target{Work: work, Namespace: "charts"})
	require.NoError(t, err)
	return found
}

func TestChartPasses(t *testing.T) {
	assert.Empty(t, lookAtChart(t, writeChart(t, goodChart()), chartSpec))
}

func TestChartFindings(t *testing.T) {
	replace := func(file, old, with string) func(map[string]string) {
		return func(files map[string]string) {
			if !strings.Contains(files[file], old) {
				t.Fatalf("%s has no %q", file, old)
			}
			files[file] = strings.ReplaceAll(files[file], old, with)
		}
	}
	tests := map[string]struct {
		change func(map[string]string)
		spec   string
		want   []string // lines of the findings
	}{
		"no Chart.yaml": {
			change: func(f map[string]string) { f["chart.yml"] = f["Chart.yaml"]; delete(f, "Chart.yaml") },
			want: []string{"expected file hello/Chart.yaml, got no such file",
				"because folder hello has no Chart.yaml, which makes a folder a chart", "nearest: there is hello/chart.yml", "look at `ls hello`"},
		},
		"Chart.yaml is no YAML": {
			change: replace("Chart.yaml", "name: hello", "name hello"),
			want:   []string{"expected hello/Chart.yaml to be YAML, got line 3: could not find expected ':'", "look at hello/Chart.yaml"},
		},
		"old apiVersion": {
			change: replace("Chart.yaml", "apiVersion: v2", "apiVersion: v1"),
			want: []string{"expected apiVersion: v2 in hello/Chart.yaml, got apiVersion: v1",
				"because v2 is the format of charts since Helm 3", "look at hello/Chart.yaml:1"},
		},
		"other name": {
			change: replace("Chart.yaml", "name: hello", "name: helo"),
			want:   []string{"expected name: hello in hello/Chart.yaml, got name: helo", "look at hello/Chart.yaml:2"},
		},
		"no version": {
			change: replace("Chart.yaml", "version: 0.1.0\n", ""),
			want: []string{"expected version: three numbers such as 0.1.0 in hello/Chart.yaml, got no version",
				"because a chart's version follows SemVer 2", "look at hello/Chart.yaml"},
		},
		"version is not SemVer": {
			change: replace("Chart.yaml", "0.1.0", `"1.0"`),
			want: []string{"expected version: three numbers such as 0.1.0 in hello/Chart.yaml, got version: 1.0",
				"because a chart's version follows SemVer 2", "look at hello/Chart.yaml:3"},
		},
		"template does not parse": {
			change: replace("templates/deployment.yaml", "{{ .Values.replicas }}", "{{ .Values.replicas }"),
			want: []string{`expected chart hello to render, got templates/deployment.yaml:8: unexpected "}" in operand`,
				"look at hello/templates/deployment.yaml:8"},
		},
		"value without its path": {
			change: replace("templates/deployment.yaml", ".Values.replicas", "replicas"),
			want: []string{`expected chart hello to render, got templates/deployment.yaml:8: function "replicas" not defined`,
				"because replicas is no function of templates: a value is written .Values.NAME", "look at hello/templates/deployment.yaml:8"},
		},
		"map that is not set": {
			change: replace("templates/deployment.yaml", ".Values.image.tag", ".Values.imge.tag"),
			want: []string{"expected chart hello to render, got templates/deployment.yaml:18: nil pointer evaluating interface {}.tag",
				"because .Values.imge is not set, so it has no tag", "nearest: values.yaml has image", "look at hello/templates/deployment.yaml:18"},
		},
		"helper that is not there": {
			change: replace("templates/deployment.yaml", `"hello.labels"`, `"hello.label"`),
			want: []string{`expected chart hello to render, got templates/deployment.yaml:6: no template "hello.label"`,
				"because no file of the chart defines it", `nearest: there is "hello.labels"`, "look at hello/templates/deployment.yaml:6"},
		},
		"required value": {
			change: replace("templates/deployment.yaml", "{{ .Values.replicas }}", `{{ required "say how many" .Values.many }}`),
			want: []string{"expected chart hello to render, got templates/deployment.yaml:8: say how many",
				"look at hello/templates/deployment.yaml:8"},
		},
		"renders no YAML": {
			change: replace("templates/service.yaml", "targetPort: 3000", "targetPort 3000"),
			want: []string{"expected templates/service.yaml to render YAML, got could not find expected ':'",
				"because of what it renders near: targetPort 3000",
				"look at `helm template hello --debug --show-only templates/service.yaml`"},
		},
		"lint": {
			change: replace("templates/deployment.yaml", "  selector:\n    matchLabels: {app: hello}\n", ""),
			want: []string{"expected `helm lint hello` without errors, got templates/deployment.yaml: a Deployment must contain matchLabels or matchExpressions, and \"hello\" does not",
				"look at `helm lint hello`"},
		},
		"hard-coded number": {
			change: replace("templates/deployment.yaml", "{{ .Values.replicas }}", "1"),
			want: []string{"expected spec.replicas 3 in Deployment hello, got 1",
				"because templates/deployment.yaml does not use .Values.replicas", "look at hello/templates/deployment.yaml:8"},
		},
		"hard-coded in a comment's company": {
			change: replace("templates/deployment.yaml", "replicas: {{ .Values.replicas }}", "replicas: 1 # {{ .Values.replicas }}"),
			want: []string{"expected spec.replicas 3 in Deployment hello, got 1",
				"because spec.replicas stays the same whether .Values.replicas is 3 or 4", "look at hello/templates/deployment.yaml"},
		},
		"near value": {
			change: replace("templates/deployment.yaml", "{{ .Values.replicas }}", "{{ .Values.replica | default 1 }}"),
			want: []string{"expected spec.replicas 3 in Deployment hello, got 1",
				"because templates/deployment.yaml uses .Values.replica, which nothing sets, and not .Values.replicas",
				"look at hello/templates/deployment.yaml"},
		},
		"hard-coded tag": {
			change: replace("templates/deployment.yaml", "{{ .Values.image.tag }}", "v1"),
			want: []string{`expected spec.template.spec.containers[name=hello].image "localhost:5001/hello:v2" in Deployment hello, got "localhost:5001/hello:v1"`,
				"because templates/deployment.yaml does not use .Values.image.tag", "look at hello/templates/deployment.yaml"},
		},
		"follows the value, and is wrong": {
			change: replace("templates/deployment.yaml", "{{ .Values.replicas }}", "{{ add .Values.replicas 1 }}"),
			want:   []string{"expected spec.replicas 3 in Deployment hello, got 4", "look at hello/templates/deployment.yaml"},
		},
		"other name of the object": {
			change: replace("templates/deployment.yaml", "name: hello\n  labels", "name: {{ .Release.Name }}\n  labels"),
			want: []string{"expected a Deployment hello, got Deployment release-name",
				"because release-name is what `helm template` calls a release without a name", "look at `helm template hello`"},
		},
		"no such kind": {
			change: func(map[string]string) {},
			spec:   "{path: hello, renders: [{kind: ConfigMap, metadata: {name: hello}}]}",
			want: []string{"expected a ConfigMap hello, got only Deployment and Service",
				"because templates/config.yaml has one, and with these values it renders nothing", "look at hello/templates/config.yaml"},
		},
		"outside of templates": {
			change: func(f map[string]string) {
				f["template/role.yaml"] = "apiVersion: v1\nkind: Role\nmetadata: {name: hello}\n"
			},
			spec: "{path: hello, renders: [{kind: Role}]}",
			want: []string{"expected a Role, got only Deployment and Service",
				"because template/role.yaml has one, and Helm renders only what is in templates/", "look at hello/template/role.yaml"},
		},
		"indented too deep": {
			change: func(f map[string]string) {
				f["templates/role.yaml"] = "kind: Role\nmetadata:\n name: x\n  labels: {a: b}\n"
			},
			spec: "{path: hello, renders: [{kind: Role}]}",
			want: []string{"expected templates/role.yaml to render YAML, got mapping values are not allowed in this context",
				"because labels: {a: b} is indented deeper than name: x above it, which has a value already",
				"look at `helm template hello --debug --show-only templates/role.yaml`"},
		},
		"nothing at all": {
			change: func(f map[string]string) {
				for name := range f {
					if strings.HasPrefix(name, "templates/") {
						delete(f, name)
					}
				}
			},
			spec: "{path: hello, renders: [{kind: ConfigMap}]}",
			want: []string{"expected a ConfigMap, got no object at all", "because the chart has no templates/*.yaml", "look at `helm template hello`"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			files := goodChart()
			tt.change(files)
			spec := tt.spec
			if spec == "" {
				spec = chartSpec
			}
			found := lookAtChart(t, writeChart(t, files), spec)
			assert.Equal(t, tt.want, labs.Verdict{Findings: found}.Lines())
		})
	}
}

func TestChartFolder(t *testing.T) {
	work := writeChart(t, goodChart())
	require.NoError(t, os.WriteFile(filepath.Join(work, "file"), nil, 0o644))
	outside := writeChart(t, goodChart())
	require.NoError(t, os.Symlink(filepath.Join(outside, "hello"), filepath.Join(work, "link")))
	tests := map[string][]string{
		"{path: helo}": {"expected a chart in folder helo of the work folder, got no such folder", "nearest: there is a folder hello", "look at `ls .`"},
		"{path: file}": {"expected a chart in folder file of the work folder, got a file of that name", "look at `ls -l file`"},
		"{path: link}": {"expected a chart in folder link of the work folder, got something that cannot be opened",
			"because it leads out of the work folder, or may not be read", "look at `ls -l link`"},
	}
	for spec, want := range tests {
		assert.Equal(t, want, labs.Verdict{Findings: lookAtChart(t, work, spec)}.Lines(), spec)
	}
	_, err := chartOf(t, "{path: hello}").look(context.Background(), &Target{Work: filepath.Join(work, "gone")})
	assert.ErrorIs(t, err, errUnreachable)
}

// A learner's chart must not read what is the host's, nor stop the checks of others.
func TestChartHostile(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("kind: Stolen\n"), 0o600))

	t.Run("link to a file of the host", func(t *testing.T) {
		work := writeChart(t, goodChart())
		require.NoError(t, os.Symlink(secret, filepath.Join(work, "hello", "templates", "stolen.yaml")))
		lines := strings.Join(labs.Verdict{Findings: lookAtChart(t, work, chartSpec)}.Lines(), "\n")
		assert.Contains(t, lines, "hello/templates/stolen.yaml, which is a link or another kind of file")
		assert.NotContains(t, lines, "Stolen")
	})
	t.Run("schema that refers to a file of the host", func(t *testing.T) {
		files := goodChart()
		files["values.schema.json"] = `{"$ref": "file://` + secret + `"}`
		assert.Empty(t, lookAtChart(t, writeChart(t, files), chartSpec))
	})
	t.Run("cluster and network", func(t *testing.T) {
		files := goodChart()
		files["templates/look.yaml"] = "kind: ConfigMap\nmetadata: {name: look}\n" +
			`data: {found: "{{ len (lookup "v1" "Secret" "" "") }}", addr: "{{ getHostByName "localhost" }}"}`
		assert.Empty(t, lookAtChart(t, writeChart(t, files),
			`{path: hello, renders: [{kind: ConfigMap, data: {found: "0", addr: ""}}]}`))
	})
	t.Run("too large", func(t *testing.T) {
		files := goodChart()
		files["big.bin"] = strings.Repeat("x", chartBytes+1)
		assert.Equal(t, []string{"expected a chart of at most 8 MiB and 500 files, got more", "look at folder hello"},
			labs.Verdict{Findings: lookAtChart(t, writeChart(t, files), chartSpec)}.Lines())
		files[".helmignore"] = "*.bin\n"
		assert.Empty(t, lookAtChart(t, writeChart(t, files), chartSpec))
	})
	t.Run("includes itself", func(t *testing.T) {
		files := goodChart()
		files["templates/_helpers.tpl"] = `{{ define "hello.labels" }}{{ include "hello.labels" . }}{{ end }}`
		assert.NotEmpty(t, lookAtChart(t, writeChart(t, files), chartSpec))
	})
	t.Run("the caller does not wait", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := chartOf(t, chartSpec).look(ctx, &Target{Work: writeChart(t, goodChart())})
		assert.True(t, err == nil || err == context.Canceled)
	})
}

func TestChartValidate(t *testing.T) {
	tests := map[string]struct {
		c    chartCheck
		want string
	}{
		"no path":         {chartCheck{}, "path is missing"},
		"outside":         {chartCheck{Path: "../x"}, "not a path inside"},
		"absolute":        {chartCheck{Path: "/etc"}, "not a path inside"},
		"Windows":         {chartCheck{Path: `C:\x`}, "not a path inside"},
		"without a kind":  {chartCheck{Path: "x", Renders: []map[string]any{{"spec": 1}}}, "entry 1 has no kind"},
		"the work folder": {chartCheck{Path: "."}, ""},
	}
	for name, tt := range tests {
		err := tt.c.validate()
		if tt.want == "" {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorContains(t, err, tt.want, name)
		}
	}
}
