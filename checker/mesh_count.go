package checker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/kindlab/kindlab/labs"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// A meshCount is what pods have counted while a call was made: how often the server was
// really asked, say, when the proxy repeats requests or sends copies. Each pod is asked
// from its own network at 127.0.0.1, which no proxy sees.
type meshCount struct {
	Pods   map[string]string `yaml:"pods" doc:"The labels of the pods that count. The counts of all of them are added." required:"true"`
	Port   int               `yaml:"port" doc:"Where they answer with what they count, as Prometheus reads it; 3000 when it is not given."`
	Path   string            `yaml:"path" doc:"/metrics when it is not given."`
	Metric string            `yaml:"metric" doc:"The counter; hello_requests_total when it is not given."`
	Labels map[string]string `yaml:"labels" doc:"Labels that the counter must have, such as path and status."`
	True   string            `yaml:"true" doc:"CEL that must be true. Variables: grown, by how much the counts have grown, and calls, how many requests were sent." required:"true"`
}

func (c *meshCount) validate() error {
	if len(c.Pods) == 0 {
		return errors.New("pods is missing: the labels of the pods that count")
	}
	if c.Port != 0 {
		if err := checkPort("port", c.Port); err != nil {
			return err
		}
	}
	if c.Path != "" && !strings.HasPrefix(c.Path, "/") {
		return fmt.Errorf("path %q does not begin with /", c.Path)
	}
	if c.True == "" {
		return errors.New("true is missing: what must be true of grown and calls")
	}
	_, _, err := compile(c.True, countVariables())
	return err
}

func countVariables() []string { return []string{"grown", "calls"} }

func (c *meshCount) metric() string {
	if c.Metric == "" {
		return "hello_requests_total"
	}
	return c.Metric
}

// read adds the counts of all ready pods. A finding says why there is none.
func (c *meshCount) read(ctx context.Context, k *kube, t *Target) (sum float64, f []labs.Finding, err error) {
	pods, f, err := podsOf(ctx, k, t, podRef{Labels: c.Pods}, t.Namespace)
	if err != nil || len(f) > 0 {
		return 0, withExpected(f, "pods with "+labelText(c.Pods)+" that count"), err
	}
	for i := range pods {
		n, err := c.count(ctx, k, t, &pods[i])
		if err != nil {
			return 0, nil, err
		}
		sum += n
	}
	return sum, nil, nil
}

func (c *meshCount) count(ctx context.Context, k *kube, t *Target, pod *corev1.Pod) (float64, error) {
	port, path := c.Port, c.Path
	if port == 0 {
		port = 3000
	}
	if path == "" {
		path = "/metrics"
	}
	a, err := askPod(ctx, k, t, pod, fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	if err != nil {
		return 0, err
	}
	if a.Error != "" || a.Status != http.StatusOK {
		return 0, unreachable("the count of pod "+pod.Name, errors.New(a.String()))
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(a.Body))
	if err != nil {
		return 0, fmt.Errorf("reading what pod %s counts: %w", pod.Name, err)
	}
	wanted := labels.SelectorFromSet(c.Labels)
	sum := 0.0
	for _, m := range families[c.metric()].GetMetric() {
		if wanted.Matches(labelsOfMetric(m)) {
			sum += m.GetCounter().GetValue() + m.GetUntyped().GetValue()
		}
	}
	return sum, nil
}

func labelsOfMetric(m *dto.Metric) labels.Set {
	out := labels.Set{}
	for _, l := range m.GetLabel() {
		out[l.GetName()] = l.GetValue()
	}
	return out
}

// judge holds what was counted against what is expected.
func (c *meshCount) judge(ctx context.Context, grown float64, calls int) ([]labs.Finding, error) {
	isTrue, _, err := compile(c.True, countVariables())
	if err != nil {
		return nil, err
	}
	says := fmt.Sprintf("%g in the pods with %s, while %d were sent", grown, labelText(c.Pods), calls)
	fact(ctx, "counted: %s", says)
	v, err := isTrue.eval(ctx, map[string]any{"grown": int64(grown), "calls": int64(calls)})
	if err != nil {
		return nil, err
	}
	if v.Value() == true {
		return nil, nil
	}
	return []labs.Finding{{Got: says}}, nil
}

// askPod asks something of a pod's own network.
func askPod(ctx context.Context, k *kube, t *Target, pod *corev1.Pod, url string) (httpAnswer, error) {
	one := &httpCheck{URL: url, From: origin{Pod: pod.Name}}
	u, err := one.parse()
	if err != nil {
		return httpAnswer{}, err
	}
	answers, err := one.askCluster(withKube(ctx, k), t, pod, u)
	if err != nil {
		return httpAnswer{}, err
	}
	return answers[0], nil
}

// podsWith are the pods of a namespace that have labels and run.
func podsWith(ctx context.Context, k *kube, namespace string, have labels.Set) ([]corev1.Pod, error) {
	list, err := k.typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: have.String()})
	if err != nil {
		return nil, kubeError("listing pods", err)
	}
	return list.Items, nil
}
