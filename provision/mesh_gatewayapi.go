package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/metadata"
	"sigs.k8s.io/gateway-api/pkg/consts"
)

// gatewayAPIFile holds the definitions of the Gateway API's standard channel.
// `make` takes them from the Go module, which does not embed them.
const gatewayAPIFile = "apps/gateway-api.yaml.gz"

// gatewayAPI are the definitions of the Gateway API, with our label.
func gatewayAPI() ([]unstructured.Unstructured, error) {
	data, err := unpack(gatewayAPIFile)
	if err != nil {
		return nil, hint(fmt.Errorf("this kindlab was built without the Gateway API: %w", err), "build it with `make`")
	}
	var all []unstructured.Unstructured
	d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		var u unstructured.Unstructured
		if err := d.Decode(&u.Object); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading %s: %w", gatewayAPIFile, err)
		}
		if len(u.Object) == 0 {
			continue
		}
		u.SetLabels(map[string]string{PartLabel: "mesh"})
		all = append(all, u)
	}
}

// ensureGatewayAPI applies the definitions that are missing or of another version.
func ensureGatewayAPI(ctx context.Context, a *applier, meta metadata.Interface) (changed bool, err error) {
	want, err := gatewayAPI()
	if err != nil {
		return false, err
	}
	there, err := meta.Resource(crds()).List(ctx, metav1.ListOptions{LabelSelector: PartLabel + "=mesh"})
	if err != nil {
		return false, fmt.Errorf("looking for the Gateway API: %w", err)
	}
	current := map[string]bool{}
	for _, d := range there.Items {
		current[d.GetName()] = d.GetDeletionTimestamp() == nil && d.GetAnnotations()[consts.BundleVersionAnnotation] == consts.BundleVersion
	}
	for _, u := range want {
		if current[u.GetName()] {
			continue
		}
		if err := a.applyObject(ctx, "", "Gateway API", &u); err != nil {
			return false, err
		}
		changed = true
	}
	return changed, nil
}
