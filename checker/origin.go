package checker

import (
	"context"
	"errors"
	"fmt"

	"github.com/kindlab/kindlab/labs"
	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
)

// An origin is who asks: host, this machine; cluster, the probe; or a pod of the
// lab, in whose own network the requests are made, whatever programs it has.
type origin struct {
	Where     string            `yaml:"-"`
	Pod       string            `yaml:"pod" doc:"A pod."`
	Labels    map[string]string `yaml:"labels" doc:"Any ready pod with these labels, instead of its name."`
	Namespace string            `yaml:"namespace" doc:"Of the pod; the lab's when it is not given."`
}

// UnmarshalYAML takes a word or a map.
func (o *origin) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		o.Where = n.Value
		return nil
	}
	type plainOrigin origin
	return labs.Decode(n, (*plainOrigin)(o))
}

func (o origin) isPod() bool { return o.Pod != "" || len(o.Labels) > 0 }

// inCluster reports whether the requests are made inside the cluster.
func (o origin) inCluster() bool { return o.Where == fromCluster || o.isPod() }

func (o origin) validate() error {
	switch {
	case o.isPod() && (o.Where != "" || o.Pod != "" && len(o.Labels) > 0):
		return errors.New("say one of host, cluster, {pod: NAME} and {labels: {…}}")
	case o.isPod(), o.Where == "", o.Where == fromHost, o.Where == fromCluster:
		return nil
	}
	return fmt.Errorf("%q is none of host, cluster, {pod: NAME} and {labels: {…}}", o.Where)
}

// String names the origin in a sentence.
func (o origin) String() string {
	switch {
	case o.Pod != "":
		return "pod " + o.Pod
	case len(o.Labels) > 0:
		return "a pod with " + labelText(o.Labels)
	case o.Where == fromCluster:
		return "the probe"
	}
	return "this machine"
}

// pod is the pod of an origin, nil when it is not one. A finding says why there is none.
func (o origin) pod(ctx context.Context, k *kube, t *Target) (*corev1.Pod, []labs.Finding, error) {
	if !o.isPod() {
		return nil, nil, nil
	}
	namespace := o.Namespace
	if namespace == "" {
		namespace = t.Namespace
	}
	pods, f, err := podsOf(ctx, k, t, podRef{o.Pod, o.Labels}, namespace)
	if err != nil || len(f) > 0 {
		return nil, withExpected(f, o.String()+" to ask from"), err
	}
	return &pods[0], nil, nil
}
