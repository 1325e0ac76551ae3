package checker

import (
	"context"

	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/client"
	"k8s.io/client-go/rest"
)

// A Target is one attendee's world for one lab.
type Target struct {
	Lab       *labs.Lab // with the attendee's values
	Namespace string    // where the lab's Kubernetes objects are
	Work      string    // the lab's work folder on this machine
	Docker    *client.Client
	Cluster   *rest.Config // nil when the lab needs no cluster
	Probe     Probe
	Registry  string // the local registry as image names spell it, such as localhost:5001
	Attendee  string
	// Answer is what the attendee answered to the check with that id; "" when nothing yet.
	Answer  func(ctx context.Context, check string) (string, error)
	Shell   Shell    // the lab's shell; nil when there is none
	Watcher *Watcher // shared by the engines of a process; nil: the engine has one of its own

	listener *listener // of the check that is looked at; nil when nothing is watched
}

// probeLabel is on the pods of the probe, with its name.
const probeLabel = "app.kubernetes.io/name"

// A Probe is the sample app on each node, from which requests are made inside the
// cluster: pods of a namespace with the label app.kubernetes.io/name, and a
// container of the same name.
type Probe struct {
	Namespace, Name string
}
