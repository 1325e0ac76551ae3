package provision

import (
	"fmt"
	"io/fs"
	"path"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"istio.io/istio/manifests"
)

// IstioVersion is the release of Istio that is installed. Its charts come with the
// Go module istio.io/istio, which go.mod pins to a commit of that release.
const IstioVersion = "1.31.1"

// IstioHub is where the images of a release are: without a host, that is Docker Hub.
const IstioHub = "istio"

const (
	istioNamespace   = "istio-system"
	gatewayNamespace = "istio-ingress"
	istiodName       = "istiod"
	// gatewayName gives the gateway's pods the label istio=ingressgateway, by which
	// Istio's own examples select them.
	gatewayName = "istio-ingressgateway"
)

// meshReleases are the Helm releases that Istio consists of, in the order in which
// they are installed.
func meshReleases(hub, tag string) ([]helmRelease, error) {
	releases := []helmRelease{
		{name: "istio-base", namespace: istioNamespace, path: "base", values: baseValues()},
		{name: istiodName, namespace: istioNamespace, path: "istio-control/istio-discovery", values: istiodValues(hub, tag), deployment: istiodName},
		{name: gatewayName, namespace: gatewayNamespace, path: "gateway", values: gatewayValues(), deployment: gatewayName},
	}
	for i := range releases {
		c, err := istioChart(releases[i].path)
		if err != nil {
			return nil, err
		}
		releases[i].chart = c
	}
	return releases, nil
}

// istioChart reads a chart of the Go module.
func istioChart(name string) (*chartv2.Chart, error) {
	fsys, err := fs.Sub(manifests.FS, path.Join("charts", name))
	if err != nil {
		return nil, fmt.Errorf("reading Istio's chart %s: %w", name, err)
	}
	var files []*archive.BufferedFile
	err = fs.WalkDir(fsys, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(fsys, file)
		files = append(files, &archive.BufferedFile{Name: file, Data: data})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading Istio's chart %s: %w", name, err)
	}
	c, err := loader.LoadFiles(files)
	if err != nil {
		return nil, fmt.Errorf("loading Istio's chart %s: %w", name, err)
	}
	// In the module every chart has a placeholder, which `helm list` would show.
	c.Metadata.Version, c.Metadata.AppVersion = IstioVersion, IstioVersion
	return c, nil
}

func baseValues() map[string]any {
	return map[string]any{
		// Only meshes of several clusters read it.
		"global": map[string]any{"enableReaderRBAC": false},
	}
}

// Requests are small, because a laptop carries all of it beside the labs.
func istiodValues(hub, tag string) map[string]any {
	off := map[string]any{"enabled": false}
	return map[string]any{
		"autoscaleEnabled": false,
		"resources":        requests("50m", "128Mi"),
		"global": map[string]any{
			"hub": hub, "tag": tag,
			"imagePullPolicy": "IfNotPresent",
			// A budget for the only istiod would hold up the draining of a node.
			"defaultPodDisruptionBudget": off,
			"proxy":                      map[string]any{"resources": requests("10m", "40Mi")},
		},
	}
}

func gatewayValues() map[string]any {
	port := func(name string, n, nodePort int) map[string]any {
		p := map[string]any{"name": name, "port": n, "targetPort": n, "protocol": "TCP"}
		if nodePort > 0 {
			p["nodePort"] = nodePort
		}
		return p
	}
	return map[string]any{
		"autoscaling":     map[string]any{"enabled": false},
		"imagePullPolicy": "IfNotPresent",
		"resources":       requests("10m", "40Mi"),
		"service": map[string]any{
			"type":  "NodePort",
			"ports": []any{port("status-port", 15021, 0), port("http2", 80, gatewayNodePort), port("https", 443, 0)},
		},
	}
}

func requests(cpu, memory string) map[string]any {
	return map[string]any{"requests": map[string]any{"cpu": cpu, "memory": memory}}
}
