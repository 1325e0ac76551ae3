package checker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
)

// A meshCall is some requests and what must become of them: an answer as the kind http
// expects it, shares as the kind traffic does, or no answer at all.
type meshCall struct {
	That       string `yaml:"that" doc:"What is expected, in words." required:"true"`
	httpCheck  `yaml:",inline"`
	By         string     `yaml:"by" doc:"As of the kind traffic: CEL that makes of an answer the text that is counted."`
	Shares     shares     `yaml:"shares" doc:"As of the kind traffic: how often each text is wanted, in percent, or rest. It goes with by, and takes the place of times and expect."`
	Within     float64    `yaml:"within" doc:"As of the kind traffic: how many points off is wrong."`
	AtOnce     int        `yaml:"atOnce" doc:"How many of the requests are under way at the same time; 1 when it is not given, at most 20."`
	Unanswered bool       `yaml:"unanswered" doc:"The connection must be refused, cut or left without an answer. Another call of the check must reach the same host."`
	Counts     *meshCount `yaml:"counts" doc:"What the pods behind it must have counted meanwhile."`
}

const maxAtOnce = 20

func (c *meshCall) validate() error {
	if strings.TrimSpace(c.That) == "" {
		return errors.New("that is missing: what is expected, in words")
	}
	if err := c.httpCheck.validate(); err != nil {
		return err
	}
	if c.AtOnce < 0 || c.AtOnce > maxAtOnce {
		return fmt.Errorf("atOnce %d: use 1 to %d", c.AtOnce, maxAtOnce)
	}
	if c.Unanswered && (c.Shares != nil || len(c.Expect) > 0 || c.Status != 0 || len(c.Statuses) > 0) {
		return errors.New("unanswered goes with no status, expect or shares: there is no answer to look at")
	}
	if (c.Shares == nil) != (c.By == "") {
		return errors.New("by and shares go together")
	}
	if c.Shares != nil {
		if len(c.Expect) > 0 || c.Times > 0 || c.AtOnce > 1 {
			return errors.New("shares goes without times, atOnce and expect: it sends as many as it takes")
		}
		if err := c.traffic().validate(); err != nil {
			return err
		}
	}
	if c.Counts != nil {
		if err := c.Counts.validate(); err != nil {
			return fmt.Errorf("counts: %w", err)
		}
	}
	return nil
}

func (c *meshCall) traffic() *trafficCheck {
	return &trafficCheck{URL: c.URL, From: c.From, Headers: c.Headers, By: c.By, Shares: c.Shares, Within: c.Within}
}

// String is the call as what is expected of it.
func (c *meshCall) String() string { return c.That }

// isNegative reports whether the call passes when something is kept out: what is down,
// or was never there, keeps everything out too.
func (c *meshCall) isNegative() bool {
	return c.Unanswered || c.Shares == nil && len(c.Statuses) == 0 && c.status() >= 400
}

// controls reports whether the call is the proof that what another one must not get
// can be had.
func (c *meshCall) controls(no *meshCall) bool {
	return !c.isNegative() && c.target() == no.target()
}

// target is the host that is meant: what the Host header says, or the address.
func (c *meshCall) target() string {
	if host, ok := c.header("Host"); ok {
		return host
	}
	if u, err := c.parse(); err == nil {
		return u.Hostname()
	}
	return ""
}

// port is the one that is asked.
func (c *meshCall) port() int {
	u, err := c.parse()
	if err != nil {
		return 0
	}
	return portOf(u)
}

// measure sends the call's requests, and says how many, what came out otherwise, and the
// cause of it where the answers prove one.
func (c *meshCall) measure(ctx context.Context, k *kube, t *Target, objects meshObjects) (requests int, f []labs.Finding, why meshWhy, err error) {
	var before float64
	if c.Counts != nil {
		if before, f, err = c.Counts.read(ctx, k, t); err != nil || len(f) > 0 {
			return 0, f, why, err
		}
	}
	if c.Shares != nil {
		requests, f, err = c.traffic().measure(ctx, t)
	} else {
		requests, f, why, err = c.ask(ctx, k, t, objects)
	}
	if err != nil || c.Counts == nil || len(f) > 0 {
		return requests, f, why, err
	}
	after, f, err := c.Counts.read(ctx, k, t)
	if err != nil || len(f) > 0 {
		return requests, f, why, err
	}
	f, err = c.Counts.judge(ctx, after-before, requests)
	return requests, f, why, err
}

// ask sends the requests and holds the answers against what is expected.
func (c *meshCall) ask(ctx context.Context, k *kube, t *Target, objects meshObjects) (requests int, f []labs.Finding, why meshWhy, err error) {
	u, err := c.parse()
	if err != nil {
		return 0, nil, why, err
	}
	one := c.httpCheck
	one.Times = 1
	_, from, f, err := one.sender(ctx, t)
	if err != nil || len(f) > 0 {
		return 0, f, why, err
	}
	answers, err := c.answers(func(times int) ([]httpAnswer, error) {
		some := c.httpCheck
		some.Times, some.atOnce = times, c.AtOnce
		if some.From.inCluster() {
			return some.askCluster(ctx, t, from, u)
		}
		return some.askHost(ctx, t, u)
	})
	if err != nil {
		return len(answers), nil, why, err
	}
	fact(ctx, "%s: %s", c.That, summary(answers))
	only := func() bool { return meshOnly(ctx, k) }
	if c.Unanswered {
		for _, a := range answers {
			if a.Error == "" {
				asked := c.asked(t, objects, from, u, a)
				why.said = cmp.Or(asked.plainTaken(), asked.letOut(only))
				return len(answers), []labs.Finding{{Expected: c.That, Got: a.String()}}, why, nil
			}
			if a.Kind == kindDNS {
				return len(answers), []labs.Finding{{Expected: c.That, Got: "no such host name", Because: "the name leads nowhere, so that nothing was kept out"}}, why, nil
			}
		}
		return len(answers), nil, why, nil
	}
	if f := c.unlike(ctx, t, u, from, answers); f != (labs.Finding{}) {
		f.Expected = fmt.Sprintf("%s: %s", c.That, f.Expected)
		asked := c.asked(t, objects, from, u, answers[c.firstUnlike(answers)])
		why.answer = asked.answer
		refused, answered := asked.refused(), strings.HasPrefix(f.Because, answerSays)
		why.sure, why.said = asked.sure(only), cmp.Or(asked.letIn(), asked.letOut(only))
		if empty := (labs.Finding{}); why.said == empty && refused == empty && (answered || f.Because == "") {
			// What the program says of itself is nearer than the way to it.
			why.said = asked.routed(!answered)
		}
		return len(answers), []labs.Finding{because(f, cmp.Or(refused, f))}, why, nil
	}
	f, err = c.disappointed(ctx, t, answers)
	for i := range f {
		f[i].Expected = c.That + ": " + f[i].Expected
	}
	// Of what the pods have counted the way is the cause too.
	if last := answers[len(answers)-1]; len(f) > 0 || c.Counts != nil {
		why.answer, why.said = last, c.asked(t, objects, from, u, last).routed(len(f) > 0)
	}
	return len(answers), f, why, err
}

// asked is a request of the call and its answer.
func (c *meshCall) asked(t *Target, objects meshObjects, from *corev1.Pod, u *url.URL, answer httpAnswer) *meshAsk {
	return &meshAsk{&meshReading{meshObjects: objects, namespace: t.Namespace}, from, c, c.target(), u, answer}
}

// portions are the requests as they are sent: after one that is not answered the rest
// of its portion is not, so where no answer is wanted each is a portion of its own.
func (c *meshCall) portions() []int {
	most := trafficBatch
	if c.Unanswered {
		most = 1
	}
	var out []int
	for left := max(c.Times, 1); left > 0; left -= most {
		out = append(out, min(most, left))
	}
	return out
}

// answers are those to all requests, sent in portions.
func (c *meshCall) answers(send func(times int) ([]httpAnswer, error)) ([]httpAnswer, error) {
	var all []httpAnswer
	for _, times := range c.portions() {
		got, err := send(times)
		all = append(all, got...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// summary counts answers by what came.
func summary(answers []httpAnswer) string {
	var kinds []string
	n := map[string]int{}
	for _, a := range answers {
		s := a.String()
		if n[s]++; n[s] == 1 {
			kinds = append(kinds, s)
		}
	}
	for i, s := range kinds {
		kinds[i] = fmt.Sprintf("%d × %s", n[s], s)
	}
	return strings.Join(kinds, ", ")
}
