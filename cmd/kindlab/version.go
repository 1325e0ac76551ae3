package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/kindlab/kindlab/provision"
	"github.com/spf13/cobra"
)

// version is set by the linker; without it the Go tool's own word counts.
var version string

func newVersion(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Say which kindlab this is, and what is inside",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := versions()
			if a.output == "json" {
				return a.writeJSON(v)
			}
			fmt.Fprintf(a.out, "kindlab %s (%s, %s)\n", v.Kindlab, v.Go, v.Platform)
			fmt.Fprintf(a.out, "inside: kubectl %s, helm %s, kind %s, charts of Istio %s\n", v.Kubectl, v.Helm, v.Kind, v.Istio)
			fmt.Fprintf(a.out, "node image: %s\n", first(a.env("KINDLAB_NODE_IMAGE"), v.NodeImage))
			return nil
		},
	}
	outputFlag(a, c)
	return c
}

type versionInfo struct {
	Kindlab   string `json:"kindlab"`
	Go        string `json:"go"`
	Platform  string `json:"platform"`
	Kubectl   string `json:"kubectl"`
	Helm      string `json:"helm"`
	Kind      string `json:"kind"`
	Istio     string `json:"istio"`
	NodeImage string `json:"nodeImage"`
}

// versions reads what the Go tool wrote into the binary.
func versions() versionInfo {
	v := versionInfo{Kindlab: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, NodeImage: provision.DefaultNodeImage, Istio: provision.IstioVersion}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Kindlab = first(version, info.Main.Version)
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v.Kindlab == "" || v.Kindlab == "(devel)") {
			v.Kindlab = "(devel) " + s.Value[:min(12, len(s.Value))]
		}
	}
	for _, m := range info.Deps {
		switch m.Path {
		case "k8s.io/kubectl":
			v.Kubectl = "v1" + strings.TrimPrefix(m.Version, "v0")
		case "helm.sh/helm/v4":
			v.Helm = m.Version
		case "sigs.k8s.io/kind":
			v.Kind = m.Version
		}
	}
	return v
}
