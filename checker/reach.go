package checker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
)

// reachCheck: who may talk to whom. Each of the allowed origins gets an answer from
// each destination, and each of the blocked ones gets none. A destination counts as
// blocked only while an allowed origin reaches it: without this control a program
// that is down, or a name that is wrong, would pass.
type reachCheck struct {
	To      []destination `yaml:"to" doc:"What is asked." required:"true"`
	Allowed []origin      `yaml:"allowed" doc:"Who must reach all of it: at least one, which is also the proof that there is something to reach." required:"true"`
	Blocked []origin      `yaml:"blocked" doc:"Who must reach none of it."`
}

// A destination is a Service or a pod, and a TCP port.
type destination struct {
	Service   string `yaml:"service" doc:"A Service."`
	Pod       string `yaml:"pod" doc:"A pod, instead of a Service."`
	Namespace string `yaml:"namespace" doc:"The lab's when it is not given."`
	Port      int    `yaml:"port" doc:"The Service's or the pod's port; 80 when it is not given."`
}

func (d destination) String() string {
	name := "Service " + d.Service
	if d.Pod != "" {
		name = "pod " + d.Pod
	}
	return fmt.Sprintf("%s on port %d", name, d.port())
}

func (d destination) port() int {
	if d.Port == 0 {
		return 80
	}
	return d.Port
}

func (c *reachCheck) validate() error {
	if len(c.To) == 0 {
		return errors.New("to is missing: which Services or pods are asked")
	}
	if len(c.Allowed) == 0 {
		return errors.New("allowed is missing: nothing proves that there is something to reach")
	}
	for i, d := range c.To {
		if (d.Service == "") == (d.Pod == "") {
			return fmt.Errorf("to %d: say either service or pod", i+1)
		}
		if err := checkPort("port", d.port()); err != nil {
			return fmt.Errorf("to %d: %w", i+1, err)
		}
	}
	for field, list := range map[string][]origin{"allowed": c.Allowed, "blocked": c.Blocked} {
		for i, o := range list {
			if err := o.validate(); err != nil {
				return fmt.Errorf("%s %d: %w", field, i+1, err)
			}
			if !o.inCluster() {
				return fmt.Errorf("%s %d: say cluster, {pod: NAME} or {labels: {…}}", field, i+1)
			}
		}
	}
	return nil
}

// unannounced says that no event tells when an answer changes.
func (c *reachCheck) unannounced() bool { return true }

// A pair is one question of the matrix.
type pair struct {
	from    origin
	pod     *corev1.Pod // nil: the probe
	to      destination
	allowed bool
	answer  httpAnswer
	err     error
}

// reached reports whether something took the connection, HTTP or not.
func (p pair) reached() bool {
	return p.answer.Error == "" || p.answer.Kind == kindReset || p.answer.Kind == kindOther
}

func (c *reachCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	k, err := kubeOf(ctx, t)
	if err != nil {
		return nil, err
	}
	var pairs []*pair
	for _, side := range []struct {
		list    []origin
		allowed bool
	}{{c.Allowed, true}, {c.Blocked, false}} {
		for _, o := range side.list {
			pod, f, err := o.pod(ctx, k, t)
			if err != nil || len(f) > 0 {
				return f, err
			}
			for _, to := range c.To {
				pairs = append(pairs, &pair{from: o, pod: pod, to: to, allowed: side.allowed})
			}
		}
	}
	var all sync.WaitGroup
	for _, p := range pairs {
		all.Go(func() { p.answer, p.err = askFrom(ctx, k, t, p.pod, p.to) })
	}
	all.Wait()
	var out []labs.Finding
	controlled := map[destination]bool{}
	for _, p := range pairs {
		if p.err != nil {
			return nil, p.err
		}
		fact(ctx, "%s asks %s: %s", p.from, p.to, p.answer)
		if p.allowed && p.reached() {
			controlled[p.to] = true
		}
	}
	for _, p := range pairs {
		switch {
		case len(out) == maxFindings:
		case p.allowed && !p.reached():
			f := labs.Finding{Expected: fmt.Sprintf("%s to reach %s", p.from, p.to), Got: p.answer.String()}
			out = append(out, because(f, p.whyNot(ctx, k, t)))
		case !p.allowed && p.reached():
			f := labs.Finding{Expected: fmt.Sprintf("%s not to reach %s", p.from, p.to), Got: p.answer.String()}
			out = append(out, because(f, whyLetIn(ctx, k, t, p.pod, p.to)))
		case !p.allowed && !controlled[p.to]:
			out = append(out, labs.Finding{Expected: fmt.Sprintf("%s to be blocked from %s", p.from, p.to),
				Got: "no answer to anybody", Because: "nobody reaches it now, so that nothing can be said of who is kept out"})
		}
	}
	return out, nil
}

// askFrom asks a destination once, from a pod or the probe.
func askFrom(ctx context.Context, k *kube, t *Target, from *corev1.Pod, to destination) (httpAnswer, error) {
	namespace := to.Namespace
	if namespace == "" {
		namespace = t.Namespace
	}
	host := to.Service + "." + namespace
	if to.Pod != "" {
		pods, f, err := podsOf(ctx, k, t, podRef{Name: to.Pod}, namespace)
		if err != nil {
			return httpAnswer{}, err
		}
		if len(f) > 0 {
			return httpAnswer{Error: "it is not there", Kind: kindTimeout}, nil
		}
		host = pods[0].Status.PodIP
	}
	out, err := k.inProbe(ctx, t, from, "get", "-o", "json", "-timeout", answerTime.String(), "http://"+net.JoinHostPort(host, strconv.Itoa(to.port()))+"/")
	if err != nil {
		return httpAnswer{}, err
	}
	var a httpAnswer
	if err := json.Unmarshal(out, &a); err != nil {
		return a, unreachable("the probe", fmt.Errorf("it said %q", clip(string(out), 120)))
	}
	return a, nil
}

// whyNot is the cause for which an allowed origin gets no answer.
func (p *pair) whyNot(ctx context.Context, k *kube, t *Target) labs.Finding {
	namespace := p.to.Namespace
	if namespace == "" {
		namespace = t.Namespace
	}
	if p.to.Service != "" {
		if p.answer.Kind == kindDNS {
			if f := whyNoName(ctx, k, t, p.to.Service+"."+namespace); f.Because != "" {
				return f
			}
		} else if p.pod == nil || p.answer.Kind == kindRefused {
			if f := whyNoAnswer(ctx, k, t, namespace, p.to.Service, p.to.port()); f.Because != "" && !strings.Contains(f.Because, "are dropped") {
				return f
			}
		} else if f := whyNoPods(ctx, k, t, namespace, p.to.Service, p.to.port()); f.Because != "" {
			return f
		}
	}
	if p.reached() {
		return labs.Finding{} // no policy was in the way
	}
	return whyBlocked(ctx, k, t, p.pod, p.to, p.answer.Kind)
}

// whyNoPods is whyNoAnswer without what a policy could be the cause of.
func whyNoPods(ctx context.Context, k *kube, t *Target, namespace, service string, port int) labs.Finding {
	f := whyNoAnswer(ctx, k, t, namespace, service, port)
	if strings.Contains(f.Because, "are dropped") {
		return labs.Finding{}
	}
	return f
}

// podsBehind are the pods that a destination leads to, and the port of theirs.
func podsBehind(ctx context.Context, k *kube, t *Target, to destination) (pods []corev1.Pod, port int, portName string) {
	namespace := to.Namespace
	if namespace == "" {
		namespace = t.Namespace
	}
	d := diagnosis{ctx, k, t, namespace}
	if to.Pod != "" {
		ready, _, err := podsOf(ctx, k, t, podRef{Name: to.Pod}, namespace)
		if err != nil {
			return nil, 0, ""
		}
		return ready, to.port(), ""
	}
	s, at, ready := d.serviceBackends(to.Service, to.port())
	if s == nil || len(ready) == 0 {
		return nil, 0, ""
	}
	port = int(at.TargetPort.IntVal)
	if named, found := portNamed(ready[0], at.TargetPort.StrVal); found {
		port = named
	}
	if port == 0 {
		port = int(at.Port)
	}
	for _, c := range ready[0].Spec.Containers {
		if i := slices.IndexFunc(c.Ports, func(p corev1.ContainerPort) bool { return int(p.ContainerPort) == port }); i >= 0 {
			portName = c.Ports[i].Name
		}
	}
	return ready, port, portName
}
