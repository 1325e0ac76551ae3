package provision

import (
	"fmt"
	"slices"
	"strings"
)

const (
	attendeeRole    = "kindlab-attendee"         // in an attendee's namespaces
	attendeeCluster = "kindlab-attendee-cluster" // in the whole cluster
	attendeeMesh    = "kindlab-attendee-mesh"    // in the namespaces of the mesh
	classRole       = "kindlab-class"            // of kindlab itself on an existing cluster
	classGroup      = "system:serviceaccounts:" + ClassNamespace
)

const (
	reads = "get list watch"
	edits = "get list watch create update patch delete deletecollection"
)

// A right is one rule of a role, and what it is for. Words are separated by spaces; the
// group core is the one without a name.
type right struct{ why, groups, resources, names, verbs string }

// attendeeRights are an attendee's in the own namespaces: what Kubernetes' role admin
// gives, but for what leads out of them. No endpoints are written and no API server or
// kubelet is sent to an address (services/proxy, pods/proxy): these would make requests that
// the fence between attendees does not see.
func attendeeRights() []right {
	return []right{
		{"what runs, and what it needs", "core", "pods services configmaps secrets serviceaccounts persistentvolumeclaims replicationcontrollers", "", edits},
		{"go into pods, and reach them", "core", "pods/exec pods/attach pods/portforward", "", "get create"},
		{"evict pods", "core", "pods/eviction", "", "create"},
		{"debug pods, and give them other bounds", "core", "pods/ephemeralcontainers pods/resize", "", "get update patch"},
		{"tokens of own accounts", "core", "serviceaccounts/token", "", "create"},
		{"the label that brings a namespace into a mesh; the policy kindlab-namespaces keeps the rest as it is", "core", "namespaces", "", "get update patch"},
		{"see how things are", "core", "pods/log pods/status services/status persistentvolumeclaims/status replicationcontrollers/status events endpoints resourcequotas resourcequotas/status limitranges namespaces/status", "", reads},
		{"see how things are", "events.k8s.io", "events", "", reads},
		{"workloads", "apps", "deployments statefulsets daemonsets replicasets", "", edits},
		{"see how workloads are", "apps", "deployments/status statefulsets/status daemonsets/status replicasets/status controllerrevisions", "", reads},
		{"scale workloads", "core apps", "deployments/scale statefulsets/scale replicasets/scale replicationcontrollers/scale", "", "get update patch"},
		{"jobs", "batch", "jobs cronjobs", "", edits},
		{"see how jobs are", "batch", "jobs/status cronjobs/status", "", reads},
		{"scale by load", "autoscaling", "horizontalpodautoscalers", "", edits},
		{"how many pods must stay", "policy", "poddisruptionbudgets", "", edits},
		{"ways in, and fences; the policy kindlab-objects keeps ours", "networking.k8s.io", "ingresses networkpolicies", "", edits},
		{"what is behind a Service", "discovery.k8s.io", "endpointslices", "", reads},
		{"rights of own accounts, never more than one has; the policy kindlab-objects keeps ours", "rbac.authorization.k8s.io", "roles rolebindings", "", edits},
		{"who leads", "coordination.k8s.io", "leases", "", edits},
		{"what pods use", "metrics.k8s.io", "pods", "", "get list"},
		{"ask what an account may do", "authorization.k8s.io", "localsubjectaccessreviews", "", "create"},
		{"the mesh; the policy kindlab-hosts keeps to own names", "networking.istio.io", "virtualservices destinationrules gateways serviceentries sidecars envoyfilters", "", edits},
		{"the mesh", "security.istio.io telemetry.istio.io gateway.networking.k8s.io", "*", "", edits},
	}
}

// clusterRights are what attendees may see of the cluster.
func clusterRights() []right {
	return []right{
		{"what there is to choose from", "storage.k8s.io", "storageclasses", "", reads},
		{"what there is to choose from", "networking.k8s.io", "ingressclasses", "", reads},
		{"what there is to choose from", "gateway.networking.k8s.io", "gatewayclasses", "", reads},
		{"how a proxy gets into a pod", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", "istio-sidecar-injector", "get"},
	}
}

// meshRights are what attendees may see of the mesh's own namespaces.
func meshRights() []right {
	return []right{
		{"what a mesh consists of", "core", "pods services", "", reads},
		{"what a mesh consists of", "apps", "deployments replicasets", "", reads},
	}
}

// ownRights are what kindlab needs beside what it gives to attendees.
func ownRights() []right {
	roles := strings.Join([]string{attendeeRole, attendeeCluster, attendeeMesh}, " ")
	policies := strings.Join(policyNames(), " ")
	return []right{
		{"a namespace for each attendee and lab, and two of its own", "core", "namespaces", "", "get list watch create update patch delete"},
		{"bounds of the attendees' namespaces", "core", "resourcequotas limitranges", "", edits},
		{"for which architecture the images are to be", "core", "nodes", "", reads},
		{"say why a pod waits for storage", "core", "persistentvolumes", "", reads},
		{"say which class is near the one that a pod names", "scheduling.k8s.io", "priorityclasses", "", reads},
		{"the attendees' roles", "rbac.authorization.k8s.io", "clusterroles clusterrolebindings", "", "create"},
		{"the attendees' roles", "rbac.authorization.k8s.io", "clusterroles clusterrolebindings", roles, "get update patch delete"},
		{"policies that keep kindlab's objects in the attendees' namespaces as they are", "admissionregistration.k8s.io", "validatingadmissionpolicies validatingadmissionpolicybindings", "", "create"},
		{"policies that keep kindlab's objects in the attendees' namespaces as they are", "admissionregistration.k8s.io", "validatingadmissionpolicies validatingadmissionpolicybindings", policies, "get update patch delete"},
		{"check what an account may do", "authorization.k8s.io", "subjectaccessreviews", "", "create"},
	}
}

// ClassRole is the ClusterRole, as YAML with a comment to each rule, that kindlab's own
// identity needs on an existing cluster, bound by a ClusterRoleBinding. Nothing else is
// needed. Whoever holds it can make pods and tokens in every namespace, and is to be trusted
// like an administrator.
func ClassRole() []byte {
	return slices.Concat([]byte("# What kindlab needs on a cluster that somebody else has made.\n"),
		clusterRole(classRole, slices.Concat(
			[]right{{"given to each attendee in the own namespaces, and Kubernetes lets nobody give what they do not have", "", "", "", ""}}, attendeeRights(),
			[]right{{"given to all attendees in the whole cluster", "", "", "", ""}}, clusterRights(),
			[]right{{"for kindlab's own work", "", "", "", ""}}, ownRights())))
}

// attendeeRoles are the roles of attendees, and the binding of that which holds everywhere.
func attendeeRoles() []byte {
	return slices.Concat(
		clusterRole(attendeeRole, attendeeRights()), []byte("---\n"),
		clusterRole(attendeeCluster, clusterRights()), []byte("---\n"),
		clusterRole(attendeeMesh, meshRights()), []byte("---\n"),
		fmt.Appendf(nil, `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %[1]s, labels: {%[2]s: %[3]s}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %[1]s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "%[4]s"}]
`, attendeeCluster, managedLabel, managedBy, classGroup))
}

// meshBinding lets attendees look at a namespace of the mesh.
func meshBinding() []byte {
	return fmt.Appendf(nil, `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: %[1]s, labels: {%[2]s: %[3]s}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %[1]s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "%[4]s"}]
`, attendeeMesh, managedLabel, managedBy, classGroup)
}

// clusterRole writes a role with a comment to each rule. A right without verbs is a heading.
func clusterRole(name string, rights []right) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: %s, labels: {%s: %s}}\nrules:\n", name, managedLabel, managedBy)
	list := func(words string) string {
		quoted := strings.Fields(words)
		for i, w := range quoted {
			if w == "core" {
				w = ""
			}
			quoted[i] = fmt.Sprintf("%q", w)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	for _, r := range rights {
		if r.verbs == "" {
			fmt.Fprintf(&b, "\n# --- %s\n", r.why)
			continue
		}
		names := ""
		if r.names != "" {
			names = ", resourceNames: " + list(r.names)
		}
		fmt.Fprintf(&b, "# %s\n- {apiGroups: %s, resources: %s%s, verbs: %s}\n", r.why, list(r.groups), list(r.resources), names, list(r.verbs))
	}
	return []byte(b.String())
}
