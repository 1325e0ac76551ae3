package checker

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// An accessAsked is one question about a permission.
type accessAsked struct {
	k                                        *kube
	t                                        *Target
	who                                      subject
	verb, group, resource, subresource, name string
	namespace                                string // empty: the whole cluster
	unplaced                                 bool   // the resource belongs to no namespace
}

// what is the resource as kubectl takes it.
func (a accessAsked) what() string {
	out := a.resource
	if a.group != "" {
		out += "." + a.group
	}
	if a.subresource != "" {
		out += "/" + a.subresource
	}
	if a.name != "" {
		out += " " + a.name
	}
	return out
}

func (a accessAsked) String() string {
	out := a.verb + " " + a.what()
	switch {
	case a.unplaced, a.namespace == a.t.Namespace:
		return out
	case a.namespace == "":
		return out + " in the whole cluster"
	}
	return out + " in namespace " + a.namespace
}

// A binding is a RoleBinding or, without a namespace, a ClusterRoleBinding.
type binding struct {
	kind, name, namespace string
	subjects              []rbacv1.Subject
	role                  rbacv1.RoleRef
}

func (b binding) String() string { return b.kind + " " + b.name }

// A role is a Role or a ClusterRole.
type role struct {
	kind, name, namespace string
	rules                 []rbacv1.PolicyRule
}

// rbac is what the cluster's roles and bindings are, kindlab's and the system's own left out of neither.
type rbac struct {
	bindings []binding
	roles    []role
}

func (a accessAsked) read(ctx context.Context) (rbac, error) {
	var out rbac
	api, all := a.k.typed.RbacV1(), metav1.ListOptions{}
	rb, err := api.RoleBindings("").List(ctx, all)
	if err != nil {
		return out, kubeError("listing RoleBindings", err)
	}
	for _, b := range rb.Items {
		out.bindings = append(out.bindings, binding{"RoleBinding", b.Name, b.Namespace, b.Subjects, b.RoleRef})
	}
	crb, err := api.ClusterRoleBindings().List(ctx, all)
	if err != nil {
		return out, kubeError("listing ClusterRoleBindings", err)
	}
	for _, b := range crb.Items {
		out.bindings = append(out.bindings, binding{"ClusterRoleBinding", b.Name, "", b.Subjects, b.RoleRef})
	}
	rs, err := api.Roles("").List(ctx, all)
	if err != nil {
		return out, kubeError("listing Roles", err)
	}
	for _, r := range rs.Items {
		out.roles = append(out.roles, role{"Role", r.Name, r.Namespace, r.Rules})
	}
	crs, err := api.ClusterRoles().List(ctx, all)
	if err != nil {
		return out, kubeError("listing ClusterRoles", err)
	}
	for _, r := range crs.Items {
		out.roles = append(out.roles, role{"ClusterRole", r.Name, "", r.Rules})
	}
	return out, nil
}

// is reports whether a binding's subject is the one who asks.
func (a accessAsked) is(s rbacv1.Subject) bool {
	switch s.Kind {
	case rbacv1.ServiceAccountKind:
		return a.who.ServiceAccount != "" && s.Name == a.who.ServiceAccount && s.Namespace == a.who.Namespace
	case rbacv1.UserKind:
		return s.Name == a.who.User && s.Name != "" || s.Name == a.who.review(nil).Spec.User
	case rbacv1.GroupKind:
		return slices.Contains(a.who.review(nil).Spec.Groups, s.Name)
	}
	return false
}

// whyDenied walks from the subject over its bindings to the rule that is not there.
func (a accessAsked) whyDenied(ctx context.Context) (labs.Finding, error) {
	all, err := a.read(ctx)
	if err != nil {
		return labs.Finding{}, err
	}
	var here, elsewhere []binding
	for _, b := range all.bindings {
		if !slices.ContainsFunc(b.subjects, a.is) || strings.HasPrefix(b.name, "system:") {
			continue
		}
		if b.namespace == "" || b.namespace == a.namespace {
			here = append(here, b)
		} else {
			elsewhere = append(elsewhere, b)
		}
	}
	step(ctx, "%s may not %s", a.who, a)
	for _, b := range here {
		if f := a.whyBindingLacks(ctx, b, all.roles); f.Because != "" {
			return f, nil
		}
	}
	ruledOut(ctx, "no binding of namespace %s and no ClusterRoleBinding gives %s a role that lacks only this", a.namespace, a.who)
	for _, b := range elsewhere {
		step(ctx, "%s of namespace %s gives it something, there only", b, b.namespace)
		f := labs.Finding{
			Because: fmt.Sprintf("%s gives %s its permissions in namespace %s, and it asks in %s", b, a.who, b.namespace, a.namespace),
			Look:    command(a.t, "kubectl get rolebinding "+b.name, b.namespace, "-o yaml")}
		if a.namespace == "" {
			f.Because = fmt.Sprintf("%s gives %s its permissions in namespace %s only, not in the whole cluster", b, a.who, b.namespace)
		}
		if a.unplaced {
			f.Because = fmt.Sprintf("%s gives %s its permissions in namespace %s only, and %s belong to no namespace: that takes a ClusterRoleBinding", b, a.who, b.namespace, a.resource)
		}
		return f, nil
	}
	if f := a.nearSubject(ctx, all); f.Because != "" {
		return f, nil
	}
	for _, r := range all.roles {
		if (r.kind == "Role" && r.namespace == a.namespace) && a.lacks(r.rules) == "" {
			step(ctx, "%s %s allows it, and no binding gives it to %s", r.kind, r.name, a.who)
			return labs.Finding{Because: fmt.Sprintf("no binding gives %s %s, which allows it, to %s", r.kind, r.name, a.who),
				Look: "`kubectl get rolebindings -o wide`"}, nil
		}
	}
	step(ctx, "no binding names %s", a.who)
	return labs.Finding{Because: fmt.Sprintf("no RoleBinding of namespace %s and no ClusterRoleBinding names %s", a.namespace, a.who),
		Look: "`kubectl get rolebindings -o wide`"}, nil
}

// whyBindingLacks says what the role of one of the subject's bindings does not allow.
func (a accessAsked) whyBindingLacks(ctx context.Context, b binding, roles []role) labs.Finding {
	step(ctx, "%s gives %s %s to %s", b, b.role.Kind, b.role.Name, a.who)
	i := slices.IndexFunc(roles, func(r role) bool {
		return r.kind == b.role.Kind && r.name == b.role.Name && (r.kind == "ClusterRole" || r.namespace == b.namespace)
	})
	look := command(a.t, "kubectl get "+strings.ToLower(b.role.Kind)+" "+b.role.Name, b.namespace, "-o yaml")
	if i < 0 {
		f := labs.Finding{Because: fmt.Sprintf("%s refers to %s %s, which does not exist", b, b.role.Kind, b.role.Name),
			Look: command(a.t, "kubectl get "+strings.ToLower(b.kind)+" "+b.name, b.namespace, "-o yaml")}
		var names []string
		for _, r := range roles {
			if r.kind == "ClusterRole" || r.namespace == b.namespace {
				names = append(names, r.name)
				if r.name == b.role.Name && r.kind != b.role.Kind {
					f.Nearest = fmt.Sprintf("there is a %s of that name", r.kind)
				}
			}
		}
		if near := labs.Nearest(b.role.Name, names); near != "" && f.Nearest == "" {
			f.Nearest = "there is one called " + near
		}
		step(ctx, "%s", f.Because)
		return f
	}
	r := roles[i]
	lack := a.lacks(r.rules)
	if lack == "" {
		return labs.Finding{}
	}
	step(ctx, "%s %s %s", r.kind, r.name, lack)
	return labs.Finding{Because: fmt.Sprintf("%s %s, which %s gives to %s, %s", r.kind, r.name, b, a.who, lack), Look: look}
}

// lacks says what the rules do not allow, as the rest of a sentence; "" when they allow it.
func (a accessAsked) lacks(rules []rbacv1.PolicyRule) string {
	wanted := a.resource
	if a.subresource != "" {
		wanted += "/" + a.subresource
	}
	has := func(list []string, word string) bool {
		return slices.Contains(list, word) || slices.Contains(list, "*")
	}
	worst, rank := "", 0
	say := func(r int, format string, args ...any) {
		if r > rank {
			worst, rank = fmt.Sprintf(format, args...), r
		}
	}
	var resources []string
	for _, r := range rules {
		resources = append(resources, r.Resources...)
		group, resource, verb := has(r.APIGroups, a.group), has(r.Resources, wanted), has(r.Verbs, a.verb)
		name := len(r.ResourceNames) == 0 || a.name != "" && slices.Contains(r.ResourceNames, a.name)
		switch {
		case group && resource && verb && name:
			return ""
		case group && resource && verb && a.name == "" && slices.Contains([]string{"list", "watch", "create", "deletecollection"}, a.verb):
			say(5, "allows to %s only %s called %s (resourceNames), and to %s is asked without a name", a.verb, wanted, strings.Join(r.ResourceNames, ", "), a.verb)
		case group && resource && verb && a.name != "":
			say(5, "allows to %s only %s called %s (resourceNames), and not %s", a.verb, wanted, strings.Join(r.ResourceNames, ", "), a.name)
		case group && resource && verb:
			say(5, "allows to %s only %s called %s", a.verb, wanted, strings.Join(r.ResourceNames, ", "))
		case group && resource:
			say(4, "allows %s on %s, and not %s", strings.Join(r.Verbs, ", "), wanted, a.verb)
		case resource && verb:
			say(3, "means %s of the API group %q, and those asked for are of %q", wanted, strings.Join(r.APIGroups, ", "), a.group)
		case group && a.subresource != "" && has(r.Resources, a.resource):
			say(3, "allows %s, and %s is a resource of its own", a.resource, wanted)
		}
	}
	if worst != "" {
		return worst
	}
	for _, r := range resources {
		if strings.TrimSuffix(a.resource, "s") == strings.ToLower(r) || strings.EqualFold(a.resource, r) {
			return fmt.Sprintf("names the resource %s, which is called %s", r, a.resource)
		}
	}
	if near := labs.Nearest(wanted, resources); near != "" {
		return fmt.Sprintf("allows nothing on %s (it names %s)", wanted, near)
	}
	if len(resources) == 0 {
		return "allows nothing"
	}
	return fmt.Sprintf("allows nothing on %s, only on %s", wanted, clip(strings.Join(resources, ", "), 80))
}

// nearSubject finds a binding that almost names the subject.
func (a accessAsked) nearSubject(ctx context.Context, all rbac) labs.Finding {
	own := a.who.ServiceAccount
	for _, b := range all.bindings {
		if b.namespace != a.namespace && b.namespace != "" || strings.HasPrefix(b.name, "system:") {
			continue
		}
		for _, s := range b.subjects {
			text := ""
			switch {
			case own != "" && s.Kind == rbacv1.ServiceAccountKind && s.Name == own && s.Namespace != a.who.Namespace:
				text = fmt.Sprintf("%s names ServiceAccount %s of namespace %s, not of %s", b, own, s.Namespace, a.who.Namespace)
			case own != "" && s.Kind != rbacv1.ServiceAccountKind && s.Name == own:
				text = fmt.Sprintf("%s names a %s called %s, not the ServiceAccount", b, s.Kind, own)
			case own != "" && s.Kind == rbacv1.ServiceAccountKind && s.Namespace == a.who.Namespace && s.Name != "default" && labs.Nearest(own, []string{s.Name}) != "":
				text = fmt.Sprintf("%s names ServiceAccount %s, not %s", b, s.Name, own)
			case own == "" && a.who.User != "" && labs.Nearest(a.who.User, []string{s.Name}) != "" && s.Name != a.who.User:
				text = fmt.Sprintf("%s names %s %s, not %s", b, strings.ToLower(s.Kind), s.Name, a.who)
			}
			if text != "" {
				step(ctx, "%s", text)
				return labs.Finding{Because: text, Look: command(a.t, "kubectl get "+strings.ToLower(b.kind)+" "+b.name, b.namespace, "-o yaml")}
			}
		}
	}
	return labs.Finding{}
}

// reasonBinding takes apart what RBAC says of a permission that it grants.
var reasonBinding = regexp.MustCompile(`allowed by (ClusterRoleBinding|RoleBinding) "([^"/]+)(?:/([^"]+))?" of (ClusterRole|Role) "([^"]+)"`)

// whyAllowed says which binding and rule allow what must be denied, and through which
// group when the binding does not name the subject itself.
func (a accessAsked) whyAllowed(ctx context.Context, reason string) labs.Finding {
	m := reasonBinding.FindStringSubmatch(reason)
	if m == nil {
		return labs.Finding{Because: "the cluster says: " + clip(reason, 160)}
	}
	kind, name, namespace, roleKind, roleName := m[1], m[2], m[3], m[4], m[5]
	step(ctx, "%s %s gives %s %s", kind, name, roleKind, roleName)
	f := labs.Finding{Because: fmt.Sprintf("%s %s gives %s %s, which allows it", kind, name, roleKind, roleName),
		Look: command(a.t, "kubectl get "+strings.ToLower(roleKind)+" "+roleName, namespace, "-o yaml")}
	all, err := a.read(ctx)
	if err != nil {
		return f
	}
	for _, b := range all.bindings {
		if group := a.wideGroup(b); group != "" && b.kind == kind && b.name == name && b.namespace == namespace {
			step(ctx, "%s is for the group %s", b, group)
			f.Because = fmt.Sprintf("%s is for the group %s, which is %s, and gives %s %s, which allows it", b, group, inWords(group), roleKind, roleName)
			f.Look = command(a.t, "kubectl get "+strings.ToLower(kind)+" "+name, namespace, "-o yaml")
		}
	}
	for _, r := range all.roles {
		if r.kind != roleKind || r.name != roleName || r.kind == "Role" && r.namespace != namespace {
			continue
		}
		for _, rule := range r.rules {
			if a.lacks([]rbacv1.PolicyRule{rule}) == "" {
				f.Because += fmt.Sprintf(": %s on %s", strings.Join(rule.Verbs, ", "), clip(strings.Join(rule.Resources, ", "), 80))
				step(ctx, "its rule: %s on %s", strings.Join(rule.Verbs, ", "), strings.Join(rule.Resources, ", "))
				return f
			}
		}
	}
	return f
}

// wideGroup is the group of the cluster's own by which alone a binding is for the
// subject, or "" when it names the subject or a group that the check is about.
func (a accessAsked) wideGroup(b binding) string {
	group := ""
	for _, s := range b.subjects {
		switch {
		case !a.is(s):
		case s.Kind != rbacv1.GroupKind || slices.Contains(a.who.Groups, s.Name):
			return ""
		default:
			group = s.Name
		}
	}
	return group
}

// inWords says who is in a group of the cluster's own.
func inWords(group string) string {
	namespace, ofOne := strings.CutPrefix(group, "system:serviceaccounts:")
	switch {
	case ofOne:
		return "every ServiceAccount of namespace " + namespace
	case group == "system:serviceaccounts":
		return "every ServiceAccount of the cluster"
	}
	return "everybody whom the cluster knows" // system:authenticated
}
