package provision

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/client-go/discovery"
	"sigs.k8s.io/yaml"
)

// A policy is a ValidatingAdmissionPolicy of ours: what the API server refuses in the
// attendees' namespaces. It does not ask the attendee alone but every service account that
// is not Kubernetes' own, since an attendee may give rights to others.
type policy struct {
	name      string
	rules     []policyRule
	namespace map[string]any // a selector of the namespaces; nil for all
	only      []string       // conditions, in CEL, without which it does not look
	anybody   bool           // it looks at controllers and administrators too
	variables [][2]string    // name and expression
	refuses   [][2]string    // what is said, and the expression that is true while all is well
}

type policyRule struct{ group, resources, operations string }

// attendeeSpaces selects the namespaces of attendees.
func attendeeSpaces() map[string]any {
	return map[string]any{"matchExpressions": []any{map[string]any{"key": AttendeeLabel, "operator": "Exists"}}}
}

// fencePolicies keep an attendee from lifting the own bounds, and from taking the
// requests that are meant for others.
func fencePolicies() []policy {
	ours := func(o string) string {
		return fmt.Sprintf("(has(%[1]s.metadata.labels) && '%[2]s' in %[1]s.metadata.labels && %[1]s.metadata.labels['%[2]s'] == '%[3]s')", o, managedLabel, managedBy)
	}
	kept := func(field string, free ...string) string {
		may := "k in ['" + strings.Join(free, "', '") + "']"
		return fmt.Sprintf("request.operation == 'DELETE' || (variables.%[1]s.all(k, %[2]s || (k in variables.old%[1]s && variables.old%[1]s[k] == variables.%[1]s[k])) && variables.old%[1]s.all(k, %[2]s || k in variables.%[1]s))", field, may)
	}
	of := func(o, field, empty string) string {
		return fmt.Sprintf("%[1]s == null || !has(%[1]s.metadata.%[2]s) ? %[3]s : %[1]s.metadata.%[2]s", o, field, empty)
	}
	return []policy{
		{
			name: "kindlab-objects",
			rules: []policyRule{
				{"", "resourcequotas limitranges", "CREATE UPDATE DELETE"},
				{"networking.k8s.io", "networkpolicies", "CREATE UPDATE DELETE"},
				{"rbac.authorization.k8s.io", "rolebindings", "CREATE UPDATE DELETE"},
			},
			namespace: attendeeSpaces(),
			refuses: [][2]string{{"this belongs to the class, and stays as it is: objects with the label " + managedLabel + "=" + managedBy + " are kindlab's",
				"(request.operation == 'CREATE' || !" + ours("oldObject") + ") && (request.operation == 'DELETE' || !" + ours("object") + ")"},
				{"a NetworkPolicy about the way out (Egress) would open the way to things that the class shares: write one about the way in (policyTypes: [Ingress])",
					"request.resource.resource != 'networkpolicies' || request.operation == 'DELETE' || (!has(object.spec.egress) && (!has(object.spec.policyTypes) || !('Egress' in object.spec.policyTypes)))"}},
		},
		{
			// A selector would look at the labels as they are to be, and miss the namespace that loses them.
			name:  "kindlab-namespaces",
			rules: []policyRule{{"", "namespaces", "UPDATE DELETE"}},
			only:  []string{"has(oldObject.metadata.labels) && '" + AttendeeLabel + "' in oldObject.metadata.labels"},
			variables: [][2]string{
				{"labels", of("object", "labels", "{}")}, {"oldlabels", of("oldObject", "labels", "{}")},
				{"annotations", of("object", "annotations", "{}")}, {"oldannotations", of("oldObject", "annotations", "{}")},
			},
			refuses: [][2]string{
				{"a lab's namespace is the class's: `kindlab reset` makes it anew", "request.operation != 'DELETE'"},
				{"of the labels of a lab's namespace only istio-injection and istio.io/rev may be changed", kept("labels", "istio-injection", "istio.io/rev")},
				{"the annotations of a lab's namespace stay as they are", kept("annotations", "kubectl.kubernetes.io/last-applied-configuration")},
				{"a lab's namespace has no finalizers and owners but those that it has", "request.operation == 'DELETE' || (" +
					"(has(object.metadata.finalizers) ? object.metadata.finalizers : []) == (has(oldObject.metadata.finalizers) ? oldObject.metadata.finalizers : []) && " +
					"(has(object.metadata.ownerReferences) ? object.metadata.ownerReferences : []) == (has(oldObject.metadata.ownerReferences) ? oldObject.metadata.ownerReferences : []))"},
			},
		},
		{
			name:      "kindlab-services",
			rules:     []policyRule{{"", "services", "CREATE UPDATE"}},
			namespace: attendeeSpaces(),
			refuses: [][2]string{
				{"externalIPs would lead requests here that are meant for others", "!has(object.spec.externalIPs) || object.spec.externalIPs.size() == 0"},
				{"an externalName in the cluster is one of the own namespace", "!has(object.spec.externalName) || !object.spec.externalName.matches('[.]svc([.]cluster[.]local)?[.]?$') || object.spec.externalName.matches('^[a-z0-9-]+[.]' + request.namespace + '[.]svc([.]cluster[.]local)?[.]?$')"},
			},
		},
		meshHosts(),
		meshPods(),
	}
}

// meshHosts keeps an attendee from sending the requests of others elsewhere, and from
// reaching others through the gateway that all share: names are short ones, of the own
// namespace, or contain the attendee's name as in shop.ATTENDEE.example or shop-ATTENDEE.example.
func meshHosts() policy {
	own := func(h string) string {
		return "(" + h + ".matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$') || " + h + ".matches('^[a-z0-9-]+[.]' + request.namespace + '([.]svc([.]cluster[.]local)?)?$') || (" +
			h + ".matches('(^|[./-])' + variables.me + '([.][a-z0-9.-]+)?$') && !" + h + ".matches('[.]svc([.]cluster[.]local)?$')))"
	}
	// The destinations of a list of routes.
	to := func(routes string) string {
		return "(!has(object.spec." + routes + ") || object.spec." + routes + ".all(r, !has(r.route) || r.route.all(d, !has(d.destination.host) || " + own("d.destination.host") + ")))"
	}
	is := func(kind, what string) string { return "request.resource.resource != '" + kind + "' || " + what }
	return policy{
		name: "kindlab-hosts",
		rules: []policyRule{
			{"networking.istio.io", "virtualservices gateways serviceentries", "CREATE UPDATE"},
			{"gateway.networking.k8s.io", "gateways", "CREATE UPDATE"},
		},
		namespace: attendeeSpaces(),
		variables: [][2]string{{"me", "namespaceObject.metadata.labels['" + AttendeeLabel + "']"}, {"istio", "request.resource.group == 'networking.istio.io'"}},
		refuses: [][2]string{
			{"the hosts of a Gateway contain your name as a part of theirs, since others share it: shop.NAME.example", is("gateways", "!variables.istio || !has(object.spec.servers) || object.spec.servers.all(s, !has(s.hosts) || s.hosts.all(h, "+own("h")+"))")},
			{"the hosts of a VirtualService are own Services, or contain your name: shop.NAME.example", is("virtualservices", "!has(object.spec.hosts) || object.spec.hosts.all(h, "+own("h")+")")},
			{"requests are led to own Services, not to another's", is("virtualservices", "("+to("http")+" && "+to("tcp")+" && "+to("tls")+
				" && (!has(object.spec.http) || object.spec.http.all(r, (!has(r.mirror) || !has(r.mirror.host) || "+own("r.mirror.host")+
				") && (!has(r.mirrors) || r.mirrors.all(m, !has(m.destination.host) || "+own("m.destination.host")+
				")) && (!has(r.delegate) || !has(r.delegate.namespace) || r.delegate.namespace == request.namespace))))")},
			{"a ServiceEntry is for the own namespace: exportTo: [\".\"]", is("serviceentries", "has(object.spec.exportTo) && object.spec.exportTo == ['.']")},
			{"a Gateway of the Gateway API has pods of its own: no addresses", is("gateways", "variables.istio || !has(object.spec.addresses) || object.spec.addresses.size() == 0")},
		},
	}
}

// meshPods is the level baseline of the Pod Security Standards, for namespaces that join a
// mesh: there the init container that leads a pod's requests to its proxy may set up the
// pod's own network. https://kubernetes.io/docs/concepts/security/pod-security-standards/
func meshPods() policy {
	every := func(path, condition string) string {
		parts := strings.Split(path, ".")
		unless := ""
		for i := range parts {
			unless += "!has(c." + strings.Join(parts[:i+1], ".") + ") || "
		}
		return "variables.containers.all(c, " + unless + condition + ")"
	}
	pod := func(path, condition string) string {
		parts := strings.Split(path, ".")
		unless := ""
		for i := range parts {
			unless += "!has(object.spec." + strings.Join(parts[:i+1], ".") + ") || "
		}
		return unless + condition
	}
	selinux := func(o string) string {
		return fmt.Sprintf("((!has(%[1]s.type) || %[1]s.type in ['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t']) && (!has(%[1]s.user) || %[1]s.user == '') && (!has(%[1]s.role) || %[1]s.role == ''))", o)
	}
	var refuses [][2]string
	no := func(what string, expressions ...string) {
		for _, x := range expressions {
			refuses = append(refuses, [2]string{"baseline: " + what, x})
		}
	}
	for _, field := range []string{"hostNetwork", "hostPID", "hostIPC"} {
		no(field+" is the node's", pod(field, "!object.spec."+field))
	}
	no("privileged containers are the node's", every("securityContext.privileged", "!c.securityContext.privileged"))
	no("capabilities beyond those that a container has, but for NET_ADMIN and NET_RAW of istio-init", every("securityContext.capabilities.add",
		"c.securityContext.capabilities.add.all(a, a in ['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE', 'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'] || (c.name == 'istio-init' && a in ['NET_ADMIN', 'NET_RAW']))"))
	no("hostPath volumes are the node's", pod("volumes", "object.spec.volumes.all(v, !has(v.hostPath))"))
	no("hostPort is the node's", every("ports", "c.ports.all(p, !has(p.hostPort) || p.hostPort == 0)"))
	no("procMount", every("securityContext.procMount", "c.securityContext.procMount == 'Default'"))
	no("seccomp and AppArmor stay on",
		pod("securityContext.seccompProfile", "object.spec.securityContext.seccompProfile.type != 'Unconfined'"),
		pod("securityContext.appArmorProfile", "object.spec.securityContext.appArmorProfile.type != 'Unconfined'"),
		every("securityContext.seccompProfile", "c.securityContext.seccompProfile.type != 'Unconfined'"),
		every("securityContext.appArmorProfile", "c.securityContext.appArmorProfile.type != 'Unconfined'"),
		"!has(object.metadata.annotations) || object.metadata.annotations.all(k, !k.startsWith('container.apparmor.security.beta.kubernetes.io/') || object.metadata.annotations[k] != 'unconfined')")
	no("SELinux options", pod("securityContext.seLinuxOptions", selinux("object.spec.securityContext.seLinuxOptions")),
		every("securityContext.seLinuxOptions", selinux("c.securityContext.seLinuxOptions")))
	no("sysctls of the node", pod("securityContext.sysctls", "object.spec.securityContext.sysctls.all(s, s.name in ['kernel.shm_rmid_forced', 'net.ipv4.ip_local_port_range', 'net.ipv4.ip_unprivileged_port_start', 'net.ipv4.tcp_syncookies', 'net.ipv4.ping_group_range', 'net.ipv4.ip_local_reserved_ports', 'net.ipv4.tcp_keepalive_time', 'net.ipv4.tcp_fin_timeout', 'net.ipv4.tcp_keepalive_intvl', 'net.ipv4.tcp_keepalive_probes'])"))
	for _, probe := range []string{"livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart", "lifecycle.preStop"} {
		for _, how := range []string{"httpGet", "tcpSocket"} {
			path := probe + "." + how + ".host"
			no("the node asks the pod itself, and no other host", every(path, "c."+path+" == ''"))
		}
	}
	return policy{
		name:      "kindlab-pods",
		rules:     []policyRule{{"", "pods pods/ephemeralcontainers", "CREATE UPDATE"}},
		namespace: map[string]any{"matchLabels": map[string]any{podsLabel: podsMesh}},
		anybody:   true,
		variables: [][2]string{{"containers", "object.spec.containers + (has(object.spec.initContainers) ? object.spec.initContainers : []) + (has(object.spec.ephemeralContainers) ? object.spec.ephemeralContainers : [])"}},
		refuses:   refuses,
	}
}

func policyNames() []string {
	var names []string
	for _, p := range fencePolicies() {
		names = append(names, p.name)
	}
	return names
}

// classPolicies are the policies with their bindings, as YAML. When kindlab is a service
// account itself, self is its name.
func classPolicies(self string) []byte {
	var out []byte
	for _, p := range fencePolicies() {
		for _, o := range p.objects(self) {
			text, err := yaml.Marshal(o)
			if err != nil {
				panic(err) // maps of words always can be written
			}
			out = append(append(out, "---\n"...), text...)
		}
	}
	return out
}

func (p policy) objects(self string) []map[string]any {
	var rules, conditions, variables, refuses []any
	for _, r := range p.rules {
		rules = append(rules, map[string]any{"apiGroups": []string{r.group}, "apiVersions": []string{"*"},
			"resources": strings.Fields(r.resources), "operations": strings.Fields(r.operations)})
	}
	if !p.anybody {
		conditions = append(conditions, map[string]any{"name": "a-service-account",
			"expression": "'system:serviceaccounts' in request.userInfo.groups && !('system:serviceaccounts:kube-system' in request.userInfo.groups)"})
		if self != "" {
			conditions = append(conditions, map[string]any{"name": "not-kindlab", "expression": fmt.Sprintf("request.userInfo.username != '%s'", self)})
		}
	}
	for i, x := range p.only {
		conditions = append(conditions, map[string]any{"name": fmt.Sprintf("only-%d", i), "expression": x})
	}
	for _, v := range p.variables {
		variables = append(variables, map[string]any{"name": v[0], "expression": v[1]})
	}
	for _, r := range p.refuses {
		refuses = append(refuses, map[string]any{"message": r[0], "expression": r[1], "reason": "Forbidden"})
	}
	match := map[string]any{"resourceRules": rules}
	if p.namespace != nil {
		match["namespaceSelector"] = p.namespace
	}
	meta := map[string]any{"name": p.name, "labels": map[string]any{managedLabel: managedBy}}
	const version = "admissionregistration.k8s.io/v1"
	return []map[string]any{
		{"apiVersion": version, "kind": "ValidatingAdmissionPolicy", "metadata": meta, "spec": map[string]any{
			"failurePolicy": "Fail", "matchConstraints": match, "matchConditions": conditions, "variables": variables, "validations": refuses}},
		{"apiVersion": version, "kind": "ValidatingAdmissionPolicyBinding", "metadata": meta, "spec": map[string]any{
			"policyName": p.name, "validationActions": []string{"Deny"}}},
	}
}

// accountName is a user's name when the user is a service account, else "".
func accountName(user string) string {
	if strings.HasPrefix(user, "system:serviceaccount:") {
		return user
	}
	return ""
}

// canFence says whether the cluster has the policies that keep attendees apart.
func canFence(d discovery.DiscoveryInterface) error {
	list, err := d.ServerResourcesForGroupVersion("admissionregistration.k8s.io/v1")
	if err != nil {
		return fmt.Errorf("asking the cluster what it can do: %w", err)
	}
	for _, r := range list.APIResources {
		if r.Name == "validatingadmissionpolicies" {
			return nil
		}
	}
	return hint(errors.New("the cluster has no ValidatingAdmissionPolicy, so attendees could lift the bounds between them"), "use Kubernetes 1.30 or newer, or give each attendee a cluster: isolation: cluster")
}
