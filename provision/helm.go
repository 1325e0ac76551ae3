package provision

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/action"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	helmkube "helm.sh/helm/v4/pkg/kube"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage/driver"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/rest"
)

// contentLabel on a release says what it was made from.
const contentLabel = "kindlab.content"

// A helmRelease is a chart of ours, installed with values.
type helmRelease struct {
	name, namespace string
	path            string // of the chart in its module, for messages
	chart           *chartv2.Chart
	values          map[string]any
	deployment      string // what must be available afterwards; "" when there is none
}

// content is a digest of the chart's files and the values.
func (r helmRelease) content() (string, error) {
	values, err := json.Marshal(r.values)
	if err != nil {
		return "", fmt.Errorf("reading the values of %s: %w", r.name, err)
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n", r.chart.Metadata.Version, values)
	files := slices.Clone(r.chart.Raw)
	for _, f := range files {
		fmt.Fprintf(sum, "%s %d\n%s", f.Name, len(f.Data), f.Data)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:16]), nil // a label has at most 63 letters
}

// helmConfig lets Helm work in a namespace, with our kubeconfig and nothing of the
// learner's.
func (e *Environment) helmConfig(namespace string) (*action.Configuration, error) {
	flags := genericclioptions.NewConfigFlags(false)
	kubeconfig, cache := e.Kubeconfig(), filepath.Join(e.State, "kube", "cache")
	flags.KubeConfig, flags.Namespace, flags.CacheDir = &kubeconfig, &namespace, &cache
	flags.WrapConfigFn = func(c *rest.Config) *rest.Config {
		c.QPS, c.UserAgent, c.WarningHandler = -1, "kindlab", rest.NoWarnings{}
		return c
	}
	config := action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler))
	if err := config.Init(flags, namespace, ""); err != nil {
		return nil, fmt.Errorf("preparing Helm: %w", err)
	}
	return config, nil
}

// ensureRelease installs the release, or upgrades it when it is not what it should
// be or an object of it is missing. It does not wait for its pods.
func (e *Environment) ensureRelease(ctx context.Context, r helmRelease) (changed bool, err error) {
	config, err := e.helmConfig(r.namespace)
	if err != nil {
		return false, err
	}
	content, err := r.content()
	if err != nil {
		return false, err
	}
	last, err := settledRelease(config, r.name)
	if err != nil {
		return false, err
	}
	if last != nil && last.Info.Status.String() == "deployed" && last.Labels[contentLabel] == content {
		whole, err := allThere(config, last.Manifest)
		if err != nil || whole {
			return false, err
		}
	}
	labels := map[string]string{contentLabel: content}
	if last == nil {
		e.Report.Echo(fmt.Sprintf("helm install %s istio/%s --namespace %s --version %s …", r.name, r.chart.Name(), r.namespace, r.chart.Metadata.Version))
		install := action.NewInstall(config)
		install.ReleaseName, install.Namespace, install.Labels = r.name, r.namespace, labels
		install.WaitStrategy = helmkube.HookOnlyStrategy
		// Objects of an installation that was cut off, and what istiod writes into its own webhooks.
		install.TakeOwnership, install.ForceConflicts = true, true
		_, err = install.RunWithContext(ctx, r.chart, r.values)
	} else {
		e.Report.Echo(fmt.Sprintf("helm upgrade %s istio/%s --namespace %s --version %s …", r.name, r.chart.Name(), r.namespace, r.chart.Metadata.Version))
		upgrade := action.NewUpgrade(config)
		upgrade.Namespace, upgrade.Labels, upgrade.MaxHistory = r.namespace, labels, 2
		upgrade.WaitStrategy = helmkube.HookOnlyStrategy
		upgrade.TakeOwnership, upgrade.ForceConflicts, upgrade.ResetValues = true, true, true
		upgrade.ServerSideApply = "true"
		_, err = upgrade.RunWithContext(ctx, r.name, r.chart, r.values)
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		return false, fmt.Errorf("installing %s: %w", r.name, err)
	}
	return true, nil
}

// settledRelease is the newest revision of a release; nil when there is none. The
// record of one that was cut off is dropped: Helm would wait for it for ever.
func settledRelease(config *action.Configuration, name string) (*releasev1.Release, error) {
	for {
		found, err := config.Releases.Last(name)
		if errors.Is(err, driver.ErrReleaseNotFound) {
			return nil, nil
		} else if err != nil {
			return nil, fmt.Errorf("looking for release %s: %w", name, err)
		}
		last, ok := found.(*releasev1.Release)
		if !ok {
			return nil, fmt.Errorf("release %s was made by another version of Helm", name)
		}
		if !strings.HasPrefix(last.Info.Status.String(), "pending-") && last.Info.Status.String() != "uninstalling" {
			return last, nil
		}
		if _, err := config.Releases.Delete(name, last.Version); err != nil {
			return nil, fmt.Errorf("dropping the unfinished revision %d of %s: %w", last.Version, name, err)
		}
	}
}

// allThere reports whether all objects of a manifest exist.
func allThere(config *action.Configuration, manifest string) (bool, error) {
	objects, err := config.KubeClient.Build(strings.NewReader(manifest), false)
	if err != nil {
		return false, nil // their kinds are gone
	}
	err = objects.Visit(func(i *resource.Info, err error) error {
		if err != nil {
			return err
		}
		return i.Get()
	})
	if isGone(err) {
		return false, nil
	}
	return err == nil, err
}

// removeRelease uninstalls a release, whatever state it is in.
func (e *Environment) removeRelease(name, namespace string) (found bool, err error) {
	config, err := e.helmConfig(namespace)
	if err != nil {
		return false, err
	}
	last, err := settledRelease(config, name)
	if err != nil || last == nil {
		return false, err
	}
	e.Report.Echo(fmt.Sprintf("helm uninstall %s --namespace %s", name, namespace))
	uninstall := action.NewUninstall(config)
	uninstall.IgnoreNotFound, uninstall.WaitStrategy = true, helmkube.HookOnlyStrategy
	if _, err := uninstall.Run(name); err != nil {
		return true, fmt.Errorf("uninstalling %s: %w", name, err)
	}
	return true, nil
}
