package provision

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kindlab/kindlab/labs"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// What a class takes of its host. Measured on two busy cores of a Xeon with Kubernetes 1.36:
// memory as `docker stats` shows it of a node, which is without what the kernel would give
// back; CPU as the node's cgroup counts it.
const (
	mib = 1 << 20

	// A kind cluster of one node with the course docker-to-helm: 720 MiB and 0.13 CPUs with 13
	// pods of the labs, which are 540 MiB without them; what the API server and etcd keep
	// grows while people work.
	clusterMemory = 700 * mib
	clusterIdle   = 100 // thousandths of a CPU
	// Five attendees more in that cluster, 65 pods: 900 MiB and 0.32 CPUs more.
	podMemory = 14 * mib
	podIdle   = 5
	// The labs of service-mesh in the same cluster, 47 pods, of which 36 had a proxy: 1790 MiB
	// and 0.4 CPUs more, 32 MiB for each proxy. It was a stand-in for Envoy, which is larger.
	sidecarMemory = 40 * mib
	sidecarIdle   = 3
	// istiod, the gateway, and what the API server keeps of Istio's definitions.
	istioMemory = 420 * mib
	istioIdle   = 10
	// The pods that an attendee makes beside them in the lab that is being done.
	workPods = 6
	// What pods of the labs, their proxies and the mesh ask for.
	podCPU     = 10
	podAsked   = 16 * mib
	sidecarCPU = 10
	istioCPU   = 50 + 10
	// The registry (100 MiB), the hub, Docker itself and the rest of the machine.
	hostMemory = 1 * gib
	// Idle nodes leave this part of the CPUs, in hundredths, to those who do something.
	leftIdle = 50
	// Of Kubernetes, kindlab and the mesh on the node that all share.
	sharedSystem = 20
)

// A ClassDemand is what a class asks of the machine that carries it.
type ClassDemand struct {
	Isolation     labs.Isolation
	Attendees     int
	Pods          int // of one attendee, before anything is done; see StartPods
	Most          int // of one attendee, that a quota allows; 0 for as many as they like
	Mesh, Metrics bool
}

// StartPods is how many pods of an attendee run before anything is done: those of the start
// states of all labs, which Up makes. The error is that of a file that cannot be read.
func StartPods(all []*labs.Lab) (int, error) {
	pods := 0
	for _, l := range all {
		files, err := l.Manifests()
		if err != nil {
			return 0, err
		}
		for _, f := range files {
			d := yaml.NewYAMLOrJSONDecoder(strings.NewReader(string(f.Data)), 4096)
			for {
				var o struct {
					Kind string `json:"kind"`
					Spec struct {
						Replicas *int `json:"replicas"`
					} `json:"spec"`
				}
				if d.Decode(&o) != nil {
					break // the end; what is no YAML is reported where it is applied
				}
				switch o.Kind {
				case "Pod":
					pods++
				case "Deployment", "StatefulSet", "ReplicaSet":
					n := 1
					if o.Spec.Replicas != nil {
						n = *o.Spec.Replicas
					}
					pods += n
				}
			}
		}
	}
	return pods, nil
}

// A hostBound is how many attendees one thing of the host is enough for.
type hostBound struct {
	what      string
	attendees int
	have      string // in words
	need      string // in words, of the class as it is
	why       string
}

// hostBounds are the bounds of what is known of the host.
func hostBounds(f Facts, d ClassDemand) []hostBound {
	var out []hostBound
	// The attendees that fit when some of it is taken in any case, and some by each.
	add := func(what string, have, fixed, each int64, why string, words func(int64) string) {
		if have > 0 && each > 0 {
			out = append(out, hostBound{what, int(max(0, have-fixed) / each), words(have), words(fixed + int64(d.Attendees)*each), why})
		}
	}
	cpus := func(n int64) string { return strconv.FormatFloat(float64(n)/1000, 'f', 1, 64) }
	pods := int64(d.Pods + workPods)
	if d.Most > 0 {
		pods = min(pods, int64(d.Most))
	}
	memory, idle, asked := int64(podMemory), int64(podIdle), int64(podCPU)
	ownMemory, ownIdle, ownAsked := int64(clusterMemory), int64(clusterIdle), int64(nodeCPU)
	if d.Mesh {
		memory, idle, asked = memory+sidecarMemory, idle+sidecarIdle, asked+sidecarCPU
		ownMemory, ownIdle, ownAsked = ownMemory+istioMemory, ownIdle+istioIdle, ownAsked+istioCPU
	}
	if d.Metrics {
		ownMemory, ownAsked = ownMemory+metricsMemory, ownAsked+metricsCPU
	}
	milli := int64(f.CPUs) * 1000
	switch d.Isolation {
	case labs.OwnCluster:
		add("memory", f.Memory, hostMemory, ownMemory+pods*memory, "each attendee has a Kubernetes of their own, and what is missing shows as pods that die", size)
		add("CPUs", milli*(100-leftIdle)/100, 0, ownIdle+pods*idle, "so much a Kubernetes takes while nobody does anything, and half of the CPUs are to be left for those who do something", cpus)
	case labs.OwnNamespace:
		add("memory", f.Memory, hostMemory+ownMemory, pods*max(memory, podAsked), "the labs' pods are all on one machine, and what is missing shows as pods that die", size)
		add("CPUs", milli, ownAsked, pods*asked, "so much the pods ask for, and Kubernetes starts none that asks for more than there is", cpus)
		add("pods", sharedPods, sharedSystem, pods, "so many pods a node takes", func(n int64) string { return strconv.FormatInt(n, 10) })
	}
	return out
}

// Capacity is how many attendees a host can carry in a class like d, and what of it is used
// up first ("memory", "CPUs", "pods"). It is -1 when nothing bounds it here: attendees bring
// their own machines, or nothing of the host is known. It only looks at f.
func Capacity(f Facts, d ClassDemand) (attendees int, first string) {
	attendees = -1
	for _, b := range hostBounds(f, d) {
		if attendees < 0 || b.attendees < attendees {
			attendees, first = b.attendees, b.what
		}
	}
	return attendees, first
}

// JudgeClass says whether the host can carry a class, with a finding for each thing that
// bounds it, and how many attendees it can. It only looks at f; [Judge] has the rest.
func JudgeClass(f Facts, d ClassDemand) []Finding {
	var out []Finding
	most, first := Capacity(f, d)
	for _, b := range hostBounds(f, d) {
		g := Finding{Name: b.what + " for the class", Level: Good, Found: fmt.Sprintf("%s of %s for %s", b.need, b.have, HowMany(d.Attendees))}
		if b.attendees < d.Attendees {
			g.Level, g.Why = Fail, b.why
			g.Fix = fmt.Sprintf("this host can carry %s (its %s): list no more in class.yaml, or take a larger host", HowMany(most), first)
			if d.Isolation == labs.OwnCluster {
				shared := d
				shared.Isolation = labs.OwnNamespace
				if n, _ := Capacity(f, shared); n > most {
					g.Fix += fmt.Sprintf(", or use isolation: namespace, with which it can carry %d", n)
				}
			}
		}
		out = append(out, g)
	}
	asked := int64(d.Attendees) * (nodeCPU + int64(d.Pods)*podCPU)
	if d.Isolation == labs.OwnCluster && f.CPUs > 0 && asked > int64(f.CPUs)*1000 && d.Attendees <= most {
		out = append(out, Finding{Name: "CPU requests of the class", Level: Warn, Found: fmt.Sprintf("%.1f CPUs of %d", float64(asked)/1000, f.CPUs),
			Why: "all clusters together ask for more than there is: it becomes slow when everybody works at the same time", Fix: "take a larger host if you can"})
	}
	return out
}

// HowMany says a number of attendees.
func HowMany(n int) string {
	if n == 1 {
		return "1 attendee"
	}
	return fmt.Sprintf("%d attendees", n)
}
