package checker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kindlab/kindlab/labs"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
	Namespace      string   `yaml:"namespace" doc:"The lab's when it is not given. For a permission, \"*\" is the whole cluster."`
	User           string   `yaml:"user" doc:"A user."`
	Groups         []string `yaml:"groups" doc:"The groups of the user."`
}

// A permission is some verbs on a resource.
type permission struct {
	Verbs     []string `yaml:"verbs" doc:"Such as get, list, watch, create, update, patch, delete." required:"true"`
	Resource  string   `yaml:"resource" doc:"Such as pods, pods/log or deployments.apps." required:"true"`
	Name      string   `yaml:"name" doc:"One object; all when it is not given."`
	Namespace string   `yaml:"namespace" doc:"The lab's when it is not given. For a permission, \"*\" is the whole cluster."`
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
			case p.Resource == "" || strings.ToLower(p.Resource) != p.Resource:
				return fmt.Errorf("%s %d: resource %q is not one such as pods or deployments.apps", field, i+1, p.Resource)
			}
		}
	}
	return nil
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
	for _, g := range s.Groups {
		out += " --as-group=" + g
	}
	return out
}

// review fills in who asks.
func (s subject) review(attributes *authorizationv1.ResourceAttributes) *authorizationv1.SubjectAccessReview {
	r := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		ResourceAttributes: attributes, User: s.User, Groups: s.Groups}}
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
	r, err := k.typed.AuthorizationV1().SubjectAccessReviews().Create(ctx, who.review(&authorizationv1.ResourceAttributes{
		Namespace: a.namespace, Verb: verb, Group: a.group, Resource: a.resource, Subresource: a.subresource, Name: p.Name}), metav1.CreateOptions{})
	if err != nil {
		return nil, kubeError("asking what "+who.String()+" may do", err)
	}
	fact(ctx, "%s may %s: %v", who, a, r.Status.Allowed)
	if r.Status.Allowed == want {
		return nil, nil
	}
	f := labs.Finding{Look: fmt.Sprintf("`kubectl auth can-i %s %s %s`", verb, a.what(), who.as())}
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
