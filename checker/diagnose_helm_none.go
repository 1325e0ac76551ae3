package checker

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// instanceLabel is on the objects of most charts, with the release's name.
const instanceLabel = "app.kubernetes.io/instance"

// withoutRelease says what a namespace without the release has of it all the same: objects
// that were made by kubectl, or nothing at all, and a chart that could be installed.
func (c *releaseCheck) withoutRelease(ctx context.Context, k *kube, t *Target, f *labs.Finding) {
	none := true
	for _, kind := range []ref{{APIVersion: "apps/v1", Kind: "Deployment"}, {APIVersion: "apps/v1", Kind: "StatefulSet"},
		{APIVersion: "apps/v1", Kind: "DaemonSet"}, {APIVersion: "v1", Kind: "Service"}} {
		kind.Namespace = t.Namespace
		all, err := k.objects(ctx, kind)
		if err != nil {
			return
		}
		none = none && len(all) == 0
		for i := range all {
			o := &all[i]
			if by := madeBy(o); c.mayBeOf(o) && by != "" {
				f.Because = fmt.Sprintf("%s %s is there, made by %s and not by Helm", o.GetKind(), o.GetName(), by)
				f.Look = command(t, fmt.Sprintf("kubectl get %s %s", resourceWord(o.GetKind()), o.GetName()), t.Namespace, "--show-managed-fields -o yaml")
				return
			}
		}
	}
	ruledOut(ctx, "kubectl has made an object that this release would have")
	if none {
		f.Got += ", and no Deployment, StatefulSet, DaemonSet or Service either"
	}
	if folder := onlyChart(t.Work); folder != "" {
		f.Nearest = "folder " + folder + " of the work folder is a chart"
		f.Look = fmt.Sprintf("`helm install %s ./%s`", c.Name, folder)
	}
}

// mayBeOf reports whether the release would have made an object of that name and labels.
func (c *releaseCheck) mayBeOf(o *unstructured.Unstructured) bool {
	return o.GetLabels()[instanceLabel] == c.Name || o.GetName() == c.Name || strings.HasPrefix(o.GetName(), c.Name+"-")
}

// madeBy is the command of kubectl that made an object; "" when something else did.
func madeBy(o *unstructured.Unstructured) string {
	all := slices.DeleteFunc(slices.Clone(o.GetManagedFields()), func(e metav1.ManagedFieldsEntry) bool { return e.Time == nil || e.Subresource != "" })
	if len(all) == 0 {
		return ""
	}
	first := slices.MinFunc(all, func(a, b metav1.ManagedFieldsEntry) int { return cmp.Compare(a.Time.Unix(), b.Time.Unix()) })
	if !strings.HasPrefix(first.Manager, "kubectl") {
		return ""
	}
	return managerInWords(first.Manager, "")
}

// onlyChart is the one folder of the work folder that is a chart; "" when there are none or several.
func onlyChart(work string) string {
	if work == "" {
		return ""
	}
	root, err := os.OpenRoot(work)
	if err != nil {
		return ""
	}
	defer root.Close()
	found, _ := fs.Glob(root.FS(), "*/Chart.yaml")
	if len(found) != 1 {
		return ""
	}
	return path.Dir(found[0])
}
