package checker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
)

// trafficCheck: answers are shared out as wanted, such as nine of ten from v1. It
// sends requests, one after the other and each on a connection of its own, until a
// sequential test knows (see shareTest), and at most maxTraffic. A share that is
// right is refused, and one that is off by within accepted, with a probability of at
// most 1 %.
type trafficCheck struct {
	URL     string            `yaml:"url" doc:"Where the requests go, as of the kind http." required:"true"`
	From    origin            `yaml:"from" doc:"Who asks: host (when it is not given), cluster, or a pod."`
	Headers map[string]string `yaml:"headers" doc:"Headers that are sent."`
	By      string            `yaml:"by" doc:"CEL that makes of an answer the text that is counted, such as json.version, string(status) or, where the address is tcp, body.split(\" \")[0]; its variables are those of the kind http." required:"true"`
	Shares  shares            `yaml:"shares" doc:"How often each text is wanted, in percent; together 100. One may be rest: what the others leave." required:"true"`
	Within  float64           `yaml:"within" doc:"How many points off is wrong; 10 when it is not given, at least 2."`
}

// shares are percentages by what is counted. One may be the word rest, since a value
// that is drawn for an attendee cannot be reckoned with in a page.
type shares map[string]float64

const restWord = "rest"

func (s *shares) UnmarshalYAML(n *yaml.Node) error {
	var words map[string]yaml.Node
	if err := n.Decode(&words); err != nil {
		return err
	}
	*s = shares{}
	sum, rest := 0.0, ""
	for _, kind := range slices.Sorted(maps.Keys(words)) {
		word := words[kind]
		if word.Value == restWord {
			if rest != "" {
				return fmt.Errorf("shares: %s and %s are both %s: only one can be", rest, kind, restWord)
			}
			rest = kind
			continue
		}
		var share float64
		if err := word.Decode(&share); err != nil {
			return err
		}
		(*s)[kind], sum = share, sum+share
	}
	if rest != "" {
		(*s)[rest] = 100 - sum
	}
	return nil
}

const (
	maxTraffic   = 4000 // requests of one look
	trafficBatch = 25   // requests at a time, so that a lost connection shows soon
)

func (c *trafficCheck) http() *httpCheck {
	return &httpCheck{URL: c.URL, From: c.From, Headers: c.Headers, Times: trafficBatch}
}

func (c *trafficCheck) within() float64 {
	if c.Within == 0 {
		return 10
	}
	return c.Within
}

func (c *trafficCheck) needs() string { return c.http().needs() }

func (c *trafficCheck) validate() error {
	if err := c.http().validate(); err != nil {
		return err
	}
	sum := 0.0
	for kind, share := range c.Shares {
		if share < 0 || share > 100 {
			return fmt.Errorf("shares: %s: %g is no share: use 0 to 100", kind, share)
		}
		sum += share
	}
	switch {
	case len(c.Shares) < 2:
		return errors.New("shares: name at least two texts: what is wanted of nothing has 0")
	case math.Abs(sum-100) > 0.01:
		return fmt.Errorf("shares: together they are %g, not 100", sum)
	case c.within() < 2 || c.within() > 50:
		return fmt.Errorf("within %g: use 2 to 50 points", c.within())
	case strings.TrimSpace(c.By) == "":
		return errors.New("by is missing: CEL that makes of an answer the text that is counted")
	}
	if _, _, err := compile(c.By, answerVariables()); err != nil {
		return fmt.Errorf("by: %w", err)
	}
	return nil
}

// unannounced says that no event tells when traffic goes elsewhere.
func (c *trafficCheck) unannounced() bool { return true }

// pace is how often to measure again: it costs hundreds of requests.
func (c *trafficCheck) pace() (failing, passed time.Duration) { return 10 * time.Second, time.Minute }

func (c *trafficCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	_, f, err := c.measure(ctx, t)
	return f, err
}

// measure sends requests until it is known, and says how many.
func (c *trafficCheck) measure(ctx context.Context, t *Target) (requests int, f []labs.Finding, err error) {
	by, _, err := compile(c.By, answerVariables())
	if err != nil {
		return 0, nil, err
	}
	want := map[string]float64{}
	for kind, share := range c.Shares {
		want[kind] = share / 100
	}
	test := newShareTest(want, c.within()/100)
	asks := c.http()
	send, from, fs, err := asks.sender(ctx, t)
	if err != nil || len(fs) > 0 {
		return 0, fs, err
	}
	u, err := asks.parse()
	if err != nil {
		return test.total, nil, err
	}
	decided := undecided
	for decided == undecided && test.total < maxTraffic {
		answers, err := send(ctx, t, u)
		if err != nil {
			return test.total, nil, err
		}
		for _, a := range answers {
			if a.Error != "" {
				return test.total + len(answers), []labs.Finding{asks.unlike(ctx, t, u, from, answers)}, nil
			}
			vars := a.variables()
			vars["answers"] = []any{a.variables()}
			kind := "nothing"
			if v, err := by.eval(ctx, vars); err == nil {
				kind = celText(v)
			} else if ctx.Err() != nil {
				return test.total, nil, err
			}
			if decided = test.add(kind); decided != undecided {
				break
			}
		}
	}
	fact(ctx, "%s", test)
	if decided == asWanted {
		return test.total, nil, nil
	}
	wrong := labs.Finding{Expected: c.wanted(), Got: test.String()}
	if decided == undecided {
		wrong.Because = fmt.Sprintf("after %d requests it cannot be told apart from a share that is %g points off", test.total, c.within())
	} else if u.Hostname() != "" && c.From.inCluster() {
		wrong = because(wrong, whyShares(ctx, t, u.Hostname(), portOf(u)))
	}
	return test.total, []labs.Finding{wrong}, nil
}

func (c *trafficCheck) wanted() string {
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(c.Shares)) {
		out = append(out, fmt.Sprintf("%s %g %%", kind, c.Shares[kind]))
	}
	return strings.Join(out, ", ")
}

// whyShares says among how many pods of which image a Service shares requests out.
func whyShares(ctx context.Context, t *Target, host string, port int) labs.Finding {
	n, isService := parseService(host, t.Namespace)
	k, err := kubeOf(ctx, t)
	if err != nil || !isService {
		return labs.Finding{}
	}
	_, _, pods := (diagnosis{ctx, k, t, n.namespace}).serviceBackends(n.service, port)
	images := map[string]int{}
	for _, p := range pods {
		images[imagesOf(p)]++
	}
	if len(images) == 0 {
		return labs.Finding{}
	}
	var out []string
	for _, image := range slices.Sorted(maps.Keys(images)) {
		out = append(out, fmt.Sprintf("%d with %s", images[image], image))
	}
	return labs.Finding{Because: fmt.Sprintf("Service %s shares requests out among its ready pods: %s", n.service, strings.Join(out, ", ")),
		Look: command(t, "kubectl get pods -o wide", n.namespace, "")}
}

func imagesOf(p corev1.Pod) string {
	var out []string
	for _, c := range p.Spec.Containers {
		out = append(out, c.Image)
	}
	return strings.Join(out, " and ")
}
