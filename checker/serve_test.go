package checker

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// serveCluster is a small cluster: it answers GET with the objects, by path, and
// access reviews and dry runs as told. It knows pods, services, secrets, nodes,
// namespaces and deployments.
type serveCluster struct {
	objects map[string]any // what is not there is 404; a list is by the path of its collection
	may     func(authorizationv1.SubjectAccessReviewSpec) bool
	create  func(r *http.Request, body string) (status int, message string)
}

func (s serveCluster) start(t *testing.T) (context.Context, *Target) {
	t.Helper()
	resources := func(group string, names map[string]string) metav1.APIResourceList {
		list := metav1.APIResourceList{GroupVersion: group}
		for name, kind := range names {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: name, SingularName: strings.ToLower(kind), Kind: kind, Namespaced: kind != "Namespace" && kind != "Node"})
		}
		return list
	}
	known := map[string]any{
		"/api": metav1.APIVersions{Versions: []string{"v1"}},
		"/apis": metav1.APIGroupList{Groups: []metav1.APIGroup{{Name: "apps", PreferredVersion: metav1.GroupVersionForDiscovery{GroupVersion: "apps/v1", Version: "v1"},
			Versions: []metav1.GroupVersionForDiscovery{{GroupVersion: "apps/v1", Version: "v1"}}}}},
		"/api/v1":       resources("v1", map[string]string{"pods": "Pod", "services": "Service", "secrets": "Secret", "namespaces": "Namespace", "nodes": "Node"}),
		"/apis/apps/v1": resources("apps/v1", map[string]string{"deployments": "Deployment"}),
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		say := func(code int, v any) {
			w.WriteHeader(code)
			_ = json.NewEncoder(w).Encode(v)
		}
		refuse := func(code int, reason metav1.StatusReason, message string) {
			say(code, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(code), Reason: reason, Message: message})
		}
		if r.Method == http.MethodPost {
			var body json.RawMessage
			_ = json.NewDecoder(r.Body).Decode(&body)
			var review authorizationv1.SubjectAccessReview
			if strings.HasSuffix(r.URL.Path, "/subjectaccessreviews") {
				_ = json.Unmarshal(body, &review)
				review.Status.Allowed = s.may(review.Spec)
				say(http.StatusCreated, review)
				return
			}
			if code, message := s.create(r, string(body)); code != http.StatusCreated {
				refuse(code, metav1.StatusReasonForbidden, message)
				return
			}
			say(http.StatusCreated, body)
			return
		}
		for _, from := range []map[string]any{s.objects, known} {
			if v, ok := from[r.URL.Path]; ok {
				say(http.StatusOK, v)
				return
			}
		}
		refuse(http.StatusNotFound, metav1.StatusReasonNotFound, "not found")
	}))
	t.Cleanup(srv.Close)
	// Bodies are JSON, which the test server can read.
	k, err := newKube(&rest.Config{Host: srv.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	require.NoError(t, err)
	return withKube(t.Context(), k), &Target{Lab: &labs.Lab{ID: "one"}, Namespace: "lab"}
}

// thing is a Kubernetes object as JSON holds it.
func thing(apiVersion, kind, name string, meta, more map[string]any) map[string]any {
	m := map[string]any{"name": name, "namespace": "lab"}
	for k, v := range meta {
		m[k] = v
	}
	out := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": m}
	for k, v := range more {
		out[k] = v
	}
	return out
}
