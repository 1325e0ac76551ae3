package checker

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestSourceOf(t *testing.T) {
	pods := schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	deployments := schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	for path, want := range map[string]source{
		"/api/v1/namespaces/a/pods":                        {pods, "a", ""},
		"/api/v1/namespaces/a/pods/x":                      {pods, "a", "x"},
		"/api/v1/pods":                                     {pods, "", ""},
		"/apis/apps/v1/namespaces/a/deployments/hello":     {deployments, "a", "hello"},
		"/apis/apps/v1/deployments":                        {deployments, "", ""},
		"/api/v1/namespaces":                               {schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}, "", ""},
		"/api/v1/namespaces/a":                             {schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}, "", "a"},
		"/apis/storage.k8s.io/v1/storageclasses/standard/": {schema.GroupVersionResource{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"}, "", "standard"},
	} {
		got, ok := sourceOf(path)
		assert.True(t, ok, path)
		assert.Equal(t, want, got, path)
	}
	for _, path := range []string{"", "/", "/version", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/api/v1/namespaces/a/pods/x/log", "/openapi/v3/apis/apps/v1"} {
		_, ok := sourceOf(path)
		assert.False(t, ok, path)
	}
}
