package checker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
)

// accessCheck: somebody may do what is allowed and may not do what is denied. The
// cluster itself is asked, by access reviews, so that it does not matter which
// role and which binding give the permission.
type accessCheck struct {
	Who     subject      `yaml:"who" doc:"Who asks." required:"true"`
	Allowed []permission `yaml:"allowed" doc:"What must be allowed: at least one thing, so that somebody who may do nothing does not pass." required:"true"`
	Denied  []permission `yaml:"denied" doc:"What must not be allowed."`
}

// A subject is who asks: one of the three.
type subject struct {
	ServiceAccount string   `yaml:"serviceAccount" doc:"A ServiceAccount, which must exist."`
	Namespace      string   `yaml:"namespace" doc:"Of the ServiceAccount; the lab's when it is not given."`
	User           string   `yaml:"user" doc:"A user."`
	Groups         []string `yaml:"groups" doc:"The groups of the user; without a user, anybody of them. system:authenticated is always one."`
}

// A permission is some verbs on a resource.
type permission struct {
	Verbs     []string `yaml:"verbs" doc:"Such as get, list, watch, create, update, patch, delete." required:"true"`
	Resource  string   `yaml:"resource" doc:"Such as pods, pods/log or deployments; with its API group as in deployments.apps when several have one of that name. One that the cluster does not know fails, in denied too." required:"true"`
	Name      string   `yaml:"name" doc:"One object; all when it is not given."`
	Namespace string   `yaml:"namespace" doc:"The lab's when it is not given; \"*\" is the whole cluster, in which what belongs to no namespace, such as nodes, always is."`
}

func (c *accessCheck) validate() error {
	w := c.Who
	if (w.ServiceAccount == "") == (w.User == "" && len(w.Groups) == 0) {
		return errors.New("who: say a serviceAccount, or a user with its groups")
	}
	if w.ServiceAccount == "" && w.Namespace != "" {
		return errors.New("who: namespace is that of a serviceAccount")
	}
	if len(c.Allowed) == 0 {
		return errors.New("allowed is missing: without something that is allowed, a subject that does not exist would pass")
	}
	for field, list := range map[string][]permission{"allowed": c.Allowed, "denied": c.Denied} {
		for i, p := range list {
			switch {
			case len(p.Verbs) == 0:
				return fmt.Errorf("%s %d: verbs is missing", field, i+1)
			case misspelt(p.Verbs) != "":
				return fmt.Errorf("%s %d: %s", field, i+1, misspelt(p.Verbs))
			case p.Resource == "" || strings.ToLower(p.Resource) != p.Resource:
				return fmt.Errorf("%s %d: resource %q is not one such as pods or deployments.apps", field, i+1, p.Resource)
			}
		}
	}
	return nil
}

// misspelt says which verb is almost one that Kubernetes has, or "". Others may be
// of a kind that somebody made, and are let through.
func misspelt(verbs []string) string {
	known := []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "use", "bind", "escalate",
		"impersonate", "approve", "sign", "proxy", "*"}
	for _, v := range verbs {
		if near := labs.Nearest(v, known); near != "" && !slices.Contains(known, v) {
			return fmt.Sprintf("unknown verb %q; did you mean %q?", v, near)
		}
	}
	return ""
}

// String is the subject as RBAC names it.
func (s subject) String() string {
	switch {
	case s.ServiceAccount != "":
		return "ServiceAccount " + s.ServiceAccount
	case s.User != "":
		return "user " + s.User
	}
	return "group " + strings.Join(s.Groups, ", ")
}

// as is how kubectl is told to be the subject.
func (s subject) as() string {
	if s.ServiceAccount != "" {
		return fmt.Sprintf("--as=system:serviceaccount:%s:%s", s.Namespace, s.ServiceAccount)
	}
	out := "--as=" + s.User
	if s.User == "" {
		out += "anybody" // kubectl takes no group without a user
	}
	for _, g := range s.Groups {
		out += " --as-group=" + g
	}
	return out
}

// review fills in who asks. Whoever has a name is authenticated.
func (s subject) review(attributes *authorizationv1.ResourceAttributes) *authorizationv1.SubjectAccessReview {
	r := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		ResourceAttributes: attributes, User: s.User, Groups: s.Groups}}
	if !slices.Contains(s.Groups, "system:unauthenticated") && s.User != "system:anonymous" {
		r.Spec.Groups = append(slices.Clip(s.Groups), "system:authenticated")
	}
	if s.ServiceAccount != "" {
		r.Spec.User = fmt.Sprintf("system:serviceaccount:%s:%s", s.Namespace, s.ServiceAccount)
		r.Spec.Groups = []string{"system:serviceaccounts", "system:serviceaccounts:" + s.Namespace, "system:authenticated"}
	}
	return r
}

func (c *accessCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	k, err := kubeOf(ctx, t)
	if err != nil {
		return nil, err
	}
	who := c.Who
	if who.ServiceAccount != "" {
		if who.Namespace == "" {
			who.Namespace = t.Namespace
		}
		_, err := k.typed.CoreV1().ServiceAccounts(who.Namespace).Get(ctx, who.ServiceAccount, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			f := labs.Finding{Expected: who.String(), Got: nothing}
			return []labs.Finding{because(f, whyMissing(ctx, k, t, ref{APIVersion: "v1", Kind: "ServiceAccount", Name: who.ServiceAccount, Namespace: who.Namespace}))}, nil
		} else if err != nil {
			return nil, kubeError("reading "+who.String(), err)
		}
	}
	rbac := schema.GroupVersion{Group: "rbac.authorization.k8s.io", Version: "v1"}
	depends(ctx, "", rbac.WithResource("clusterroles"), rbac.WithResource("clusterrolebindings"), rbac.WithResource("roles"), rbac.WithResource("rolebindings"))
	var out []labs.Finding
	for _, side := range []struct {
		list []permission
		want bool
	}{{c.Allowed, true}, {c.Denied, false}} {
		for _, p := range side.list {
			for _, verb := range p.Verbs {
				f, err := c.ask(ctx, k, t, who, p, verb, side.want)
				if err != nil {
					return nil, err
				}
				if f != nil && len(out) < maxFindings {
					out = append(out, *f)
				}
			}
		}
	}
	return out, nil
}

// ask has the cluster say about one verb; nil when it says what is wanted.
func (c *accessCheck) ask(ctx context.Context, k *kube, t *Target, who subject, p permission, verb string, want bool) (*labs.Finding, error) {
	a := accessAsked{k: k, t: t, who: who, verb: verb, name: p.Name, namespace: p.Namespace}
	a.resource, a.subresource, _ = strings.Cut(p.Resource, "/")
	a.resource, a.group, _ = strings.Cut(a.resource, ".")
	switch p.Namespace {
	case "":
		a.namespace = t.Namespace
	case "*":
		a.namespace = ""
	}
	if f, err := a.find(ctx); f != nil || err != nil {
		return f, err
	}
	r, err := k.typed.AuthorizationV1().SubjectAccessReviews().Create(ctx, who.review(&authorizationv1.ResourceAttributes{
		Namespace: a.namespace, Verb: verb, Group: a.group, Resource: a.resource, Subresource: a.subresource, Name: p.Name}), metav1.CreateOptions{})
	if err != nil {
		return nil, kubeError("asking what "+who.String()+" may do", err)
	}
	fact(ctx, "%s may %s: %v", who, a, r.Status.Allowed)
	if r.Status.Allowed == want {
		return nil, nil
	}
	f := labs.Finding{Look: a.canI()}
	if want {
		f.Expected, f.Got = fmt.Sprintf("%s to be allowed to %s", who, a), "it is not"
		why, err := a.whyDenied(ctx)
		if err != nil {
			return nil, err
		}
		f = because(f, why)
	} else {
		f.Expected, f.Got = fmt.Sprintf("%s not to be allowed to %s", who, a), "it is"
		f = because(f, a.whyAllowed(ctx, r.Status.Reason))
	}
	return &f, nil
}

// place leaves the namespace out of a question about what belongs to none: there no
// RoleBinding counts. A namespace itself is asked for in itself.
func (a *accessAsked) place(ctx context.Context, of schema.GroupVersionResource) error {
	ctx = klog.NewContext(ctx, klog.Logger{})
	kind, err := a.k.mapper.KindForWithContext(ctx, of)
	if err != nil {
		return kubeError("asking what the cluster knows of "+a.what(), err)
	}
	m, err := a.k.mapper.RESTMappingWithContext(ctx, kind.GroupKind(), kind.Version)
	if err != nil {
		return kubeError("asking what the cluster knows of "+a.what(), err)
	}
	if m.Scope.Name() == meta.RESTScopeNameRoot && of.Resource != "namespaces" {
		a.namespace, a.unplaced = "", true
	}
	return nil
}

// find gives the resource its API group when the author gave none, as kubectl
// does, and leaves out the namespace of what has none. The finding says that the cluster has no such resource: nobody may touch
// it, and that proves nothing.
func (a *accessAsked) find(ctx context.Context) (*labs.Finding, error) {
	if a.resource == "*" || slices.Contains([]string{"impersonate", "approve", "sign", "use"}, a.verb) {
		return nil, nil // it need not be one that is served
	}
	found, err := a.k.mapper.ResourceForWithContext(klog.NewContext(ctx, klog.Logger{}), schema.GroupVersionResource{Group: a.group, Resource: a.resource})
	switch {
	case err == nil:
		a.group, a.resource = found.Group, found.Resource
		return nil, a.place(ctx, found)
	case !meta.IsNoMatchError(err):
		return nil, kubeError("asking what the cluster knows of "+a.what(), err)
	}
	// It may become known.
	depends(ctx, "", schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	return &labs.Finding{Expected: "a resource " + a.what(), Got: nothing,
		Because: "the cluster has no resource " + a.what(), Look: "`kubectl api-resources`"}, nil
}

// canI is the question as kubectl asks it.
func (a accessAsked) canI() string {
	what := a.resource
	if a.group != "" {
		what += "." + a.group
	}
	if a.name != "" {
		what += "/" + a.name
	}
	words := fmt.Sprintf("kubectl auth can-i %s %s", a.verb, what)
	if a.subresource != "" {
		words += " --subresource=" + a.subresource
	}
	if a.namespace == "" {
		words += " --all-namespaces"
	}
	return command(a.t, words, a.namespace, a.who.as())
}
