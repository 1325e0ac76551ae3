package checker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// dnsCheck: a name that, asked from the probe, has the addresses of a
// Service: its cluster IP or, when it is headless, those of its ready pods. A
// name of one word is meant in the lab's namespace.
type dnsCheck struct {
	Name    string `yaml:"name" doc:"The name that is asked for; of one word, it is meant in the lab's namespace." required:"true"`
	From    origin `yaml:"from" doc:"Who asks: cluster (when it is not given), or a pod."`
	Service string `yaml:"service" doc:"The Service whose addresses it must have." required:"true"`
}

// A resolved is what the sample app's lookup says of one name.
type resolved struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"`
	CNAME     string   `json:"cname"`
	Error     string   `json:"error"`
	Kind      string   `json:"kind"` // notfound, timeout or other
}

func (c *dnsCheck) validate() error {
	if !regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9.])?$`).MatchString(c.Name) {
		return fmt.Errorf("name %q is not a DNS name", c.Name)
	}
	if !regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`).MatchString(c.Service) {
		return fmt.Errorf("service %q is not the name of a Service", c.Service)
	}
	if err := c.From.validate(); err != nil || c.From.Where == fromHost {
		return fmt.Errorf("from: say cluster, {pod: NAME} or {labels: {…}}")
	}
	return nil
}

// unannounced says that no event tells when an answer changes.
func (c *dnsCheck) unannounced() bool { return true }

func (c *dnsCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	k, err := kubeOf(ctx, t)
	if err != nil {
		return nil, err
	}
	d := diagnosis{ctx, k, t, t.Namespace}
	s, err := k.typed.CoreV1().Services(t.Namespace).Get(ctx, c.Service, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		f := labs.Finding{Expected: "Service " + c.Service, Got: nothing}
		return []labs.Finding{because(f, d.gone("v1", "Service", c.Service, err))}, nil
	} else if err != nil {
		return nil, kubeError("reading Service "+c.Service, err)
	}
	from, fs, err := c.From.pod(ctx, k, t)
	if err != nil || len(fs) > 0 {
		return fs, err
	}
	got, err := c.ask(ctx, k, t, from)
	if err != nil {
		return nil, err
	}
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return c.alias(s, got), nil
	}
	want, headless := s.Spec.ClusterIPs, s.Spec.ClusterIP == corev1.ClusterIPNone
	if headless {
		if want, err = readyEndpoints(ctx, k, t.Namespace, c.Service); err != nil {
			return nil, err
		}
	}
	if len(want) > 0 && sameSet(want, got.Addresses) {
		return nil, nil
	}
	f := labs.Finding{Expected: c.Name + " to be " + addresses(want), Got: got.String()}
	switch {
	case got.Kind == "timeout":
		f = because(f, policyView{ctx: ctx, k: k, t: t, from: from}.noDNS())
	case len(want) == 0:
		f.Expected = c.Name + " to have addresses"
		f = because(f, whyNoAnswer(ctx, k, t, t.Namespace, c.Service, 0))
	case got.Kind == "notfound":
		f = because(f, whyNoName(ctx, k, t, c.Name))
	case !headless && len(got.Addresses) > 0:
		if n, ok := parseService(c.Name, t.Namespace); ok && n != (serviceName{c.Service, t.Namespace}) {
			f.Because = fmt.Sprintf("%s is the name of Service %s in namespace %s", c.Name, n.service, n.namespace)
		}
	}
	if f.Look == "" {
		f.Look = d.get("Service", c.Service, "")
	}
	return []labs.Finding{f}, nil
}

// alias is what differs when the Service stands for a name outside.
func (c *dnsCheck) alias(s *corev1.Service, got resolved) []labs.Finding {
	want := strings.TrimSuffix(s.Spec.ExternalName, ".")
	if strings.TrimSuffix(got.CNAME, ".") == want {
		return nil
	}
	return []labs.Finding{{Expected: c.Name + " to be another name for " + want, Got: got.String()}}
}

// ask has the probe look the name up.
func (c *dnsCheck) ask(ctx context.Context, k *kube, t *Target, from *corev1.Pod) (resolved, error) {
	name := c.Name
	if !strings.Contains(name, ".") {
		name += "." + t.Namespace
	}
	out, err := k.inProbe(ctx, t, from, "lookup", "-o", "json", name)
	if err != nil {
		return resolved{}, err
	}
	var all []resolved
	if err := json.Unmarshal(out, &all); err != nil || len(all) != 1 {
		return resolved{}, unreachable("the probe", fmt.Errorf("it said %q", clip(string(out), 120)))
	}
	if got := all[0]; from != nil && got.Kind == "timeout" {
		return got, nil // a policy may keep the pod from the DNS
	} else if got.Kind != "" && got.Kind != "notfound" {
		return got, unreachable("the cluster's DNS", errors.New(clip(got.Error, 160)))
	}
	return all[0], nil
}

func (r resolved) String() string {
	switch {
	case len(r.Addresses) > 0:
		return addresses(r.Addresses)
	case r.Kind == "notfound":
		return "no such name"
	case r.Kind == "timeout":
		return "no answer in time"
	}
	return "no address"
}

// addresses lists addresses in order.
func addresses(list []string) string { return listed(slices.Sorted(slices.Values(list))) }

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Compact(slices.Sorted(slices.Values(a))), slices.Compact(slices.Sorted(slices.Values(b))))
}
