package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	_ "github.com/kindlab/kindlab/cmd/kindlab/english" // before kubectl
	"github.com/spf13/cobra"
	helmcmd "helm.sh/helm/v4/pkg/cmd"
	helmkube "helm.sh/helm/v4/pkg/kube"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	component "k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/plugin"
)

// The tools inside the binary.
const (
	toolKubectl = "kubectl"
	toolHelm    = "helm"
)

// calledAs says which of the tools a command line means, if any: the program is a
// tool when it is called by the tool's name, as the links in the state folder's bin
// do, or where names do not reach a program, with as-NAME before the arguments.
func calledAs(argv []string) (tool string, args []string) {
	name := strings.TrimSuffix(filepath.Base(argv[0]), ".exe")
	args = argv[1:]
	if len(args) > 0 && strings.HasPrefix(args[0], "as-") {
		name, args = strings.TrimPrefix(args[0], "as-"), args[1:]
	}
	if name == toolKubectl || name == toolHelm {
		return name, args
	}
	return "", nil
}

// runTool is kubectl or helm, and returns its exit code.
func runTool(name string, args []string) int {
	var err error
	if name == toolKubectl {
		streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
		c := kubectl.NewDefaultKubectlCommandWithArgs(kubectl.KubectlOptions{
			PluginHandler: kubectl.NewDefaultPluginHandler(plugin.ValidPluginFilenamePrefixes),
			Arguments:     append([]string{name}, args...),
			ConfigFlags:   genericclioptions.NewConfigFlags(true).WithDeprecatedPasswordFlag().WithDiscoveryBurst(300).WithDiscoveryQPS(50).WithWarningPrinter(streams),
			IOStreams:     streams,
		})
		c.SetArgs(args)
		err = component.RunNoErrOutput(c)
		if err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
		}
	} else {
		// What helm writes into managedFields, whatever the program is called.
		helmkube.ManagedFieldsManager = toolHelm
		c, newErr := helmcmd.NewRootCmd(os.Stdout, args, helmcmd.SetupLogging)
		if newErr != nil {
			fmt.Fprintln(os.Stderr, "Error:", newErr)
			return 1
		}
		c.SetArgs(args)
		err = c.Execute()
	}
	var coded helmcmd.CommandError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &coded):
		return coded.ExitCode
	}
	return 1
}

// newTool is `kindlab kubectl` or `kindlab helm`: the tool in the attendee's lab.
func newTool(a *app, name string) *cobra.Command {
	return &cobra.Command{
		Use:                name + " …",
		Short:              "Run " + name + " in your lab; nothing needs to be installed",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			s, err := a.attached(ctx, "")
			if err != nil {
				return err
			}
			defer s.close()
			lab, err := s.current(ctx, "cluster")
			if err != nil {
				return err
			}
			env, err := s.labEnv(lab)
			if err != nil {
				return err
			}
			if _, err := os.Stat(s.kubeconfig(lab)); err != nil {
				// The tool would only say that localhost:8080 does not answer.
				fmt.Fprintf(a.err, "kindlab: lab %s has no cluster yet; make it with `kindlab up`\n", lab)
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("finding kindlab itself: %w", err)
			}
			s.close()
			return replace(self, append([]string{name}, args...), env)
		},
	}
}

// labEnv is the environment in which a lab's commands run: kubectl, helm and
// kindlab first on the PATH, the lab's kubeconfig, and nothing of the learner's own
// configuration to be read or changed.
func (s *session) labEnv(lab string) ([]string, error) {
	bin, err := s.toolFolder()
	if err != nil {
		return nil, err
	}
	env := map[string]string{
		"PATH":              bin + string(os.PathListSeparator) + s.env("PATH"),
		"KUBECONFIG":        s.kubeconfig(lab),
		"KUBECACHEDIR":      filepath.Join(s.state, "kube", "cache"),
		"HELM_CONFIG_HOME":  filepath.Join(s.state, "helm", "config"),
		"HELM_CACHE_HOME":   filepath.Join(s.state, "helm", "cache"),
		"HELM_DATA_HOME":    filepath.Join(s.state, "helm", "data"),
		"KINDLAB_STATE":     s.state,
		"KINDLAB_WORK":      s.work,
		"KINDLAB_CLUSTER":   s.cluster,
		"KINDLAB_ATTENDEE":  s.place.Attendee,
		"KINDLAB_LAB":       lab,
		"KINDLAB_NAMESPACE": s.place.Namespace(lab),
	}
	if s.courseName != "" {
		if env["KINDLAB_COURSE"], err = fromAnywhere(s.courseName); err != nil {
			return nil, err
		}
	}
	if s.class != "" {
		env["KINDLAB_CLASS"] = s.class
	}
	// What would send the tools elsewhere.
	drop := []string{"HELM_NAMESPACE", "HELM_KUBECONTEXT", "HELM_KUBEAPISERVER", "HELM_KUBETOKEN", "HELM_KUBECAFILE", "HELM_DRIVER"}
	var out []string
	for _, pair := range os.Environ() {
		key, _, _ := strings.Cut(pair, "=")
		if _, ours := env[key]; !ours && !slices.Contains(drop, key) {
			out = append(out, pair)
		}
	}
	for k, v := range env {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return out, nil
}

// kubeconfig is the one that a lab's commands use. A lab without a namespace of its
// own gets the cluster's.
func (s *session) kubeconfig(lab string) string {
	if l := s.course.Lab(lab); l != nil && l.Wants("cluster") {
		return s.place.LabKubeconfig(lab)
	}
	return s.place.Kubeconfig()
}

// toolFolder is a folder with kubectl, helm and kindlab, all of them this program.
func (a *app) toolFolder() (string, error) {
	dir := filepath.Join(a.state, "bin")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making the folder of tools: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding kindlab itself: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", fmt.Errorf("finding kindlab itself: %w", err)
	}
	for _, name := range []string{toolKubectl, toolHelm, "kindlab"} {
		if err := linkTool(dir, name, self); err != nil {
			return "", fmt.Errorf("making %s in %s: %w", name, dir, err)
		}
	}
	return dir, nil
}

func linkTool(dir, name, self string) error {
	if runtime.GOOS == "windows" { // links need rights there
		call := " as-" + name
		if name == "kindlab" {
			call = ""
		}
		return os.WriteFile(filepath.Join(dir, name+".cmd"), []byte("@\""+self+"\""+call+" %*\r\n"), 0o644)
	}
	path := filepath.Join(dir, name)
	if to, err := os.Readlink(path); err == nil && to == self {
		return nil
	}
	tmp := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.Symlink(self, tmp); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// runAs runs a program as a child with our streams, where it cannot take our place.
func runAs(path string, argv, env []string) error {
	c := exec.CommandContext(context.Background(), path, argv[1:]...)
	c.Args[0] = argv[0]
	c.Env, c.Stdin, c.Stdout, c.Stderr = env, os.Stdin, os.Stdout, os.Stderr
	err := c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	return err
}
