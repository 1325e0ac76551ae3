package checker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (c *httpCheck) status() int { return cmp.Or(c.Status, http.StatusOK) }

// wants reports whether a status is one that is expected, and says which are.
func (c *httpCheck) wants(status int) (bool, string) {
	if c.isTCP() {
		return status == 0, ""
	}
	if len(c.Statuses) == 0 {
		return status == c.status(), fmt.Sprint(c.status())
	}
	var all []string
	for _, s := range c.Statuses {
		all = append(all, fmt.Sprint(s))
	}
	return slices.Contains(c.Statuses, status), strings.Join(all, " or ")
}

// firstUnlike is the first answer that is missing or has another status; -1 when all are as wanted.
func (c *httpCheck) firstUnlike(answers []httpAnswer) int {
	return slices.IndexFunc(answers, func(a httpAnswer) bool {
		ok, _ := c.wants(a.Status)
		return a.Error != "" || !ok
	})
}

// unlike is the finding when an answer is missing or has another status.
func (c *httpCheck) unlike(ctx context.Context, t *Target, u *url.URL, from *corev1.Pod, answers []httpAnswer) labs.Finding {
	_, wanted := c.wants(0)
	i := c.firstUnlike(answers)
	if i < 0 {
		return labs.Finding{}
	}
	a := answers[i]
	f := labs.Finding{Expected: fmt.Sprintf("HTTP %s from %s", wanted, c.URL), Got: a.String()}
	if c.isTCP() {
		f.Expected = "a line from " + c.URL
	}
	if len(answers) > 1 {
		f.Got += fmt.Sprintf(" for request %d of %d", i+1, max(c.Times, 1))
	}
	if a.Error == "" && c.From.inCluster() {
		if why := c.whyAnswered(ctx, t, u, a.Status); why.Because != "" {
			return because(f, why)
		}
	}
	if a.Error == "" && !c.From.inCluster() {
		if why := whyAnswererFindsNone(ctx, t, portOf(u), a.Body); why.Because != "" {
			return because(f, why)
		}
	}
	if a.Error == "" && a.Status != http.StatusServiceUnavailable {
		if says := clip(a.Body, 120); says != "" && !strings.HasPrefix(says, "<") {
			f.Because = answerSays + says
		}
		return f
	}
	if c.From.inCluster() {
		return because(f, whyNot(ctx, t, u, from, a))
	}
	if a.Kind == kindRefused || a.Kind == kindReset {
		return because(f, whyHostPortSilent(ctx, t, portOf(u)))
	}
	return f
}

// whyNot is the cause for which a request in the cluster went wrong.
func whyNot(ctx context.Context, t *Target, u *url.URL, from *corev1.Pod, a httpAnswer) labs.Finding {
	k, err := kubeOf(ctx, t)
	if err != nil {
		return labs.Finding{}
	}
	n, isService := parseService(u.Hostname(), t.Namespace)
	if a.Kind == kindDNS {
		if f := whyNoName(ctx, k, t, u.Hostname()); f.Because != "" {
			return f
		}
	}
	if isService {
		p := pair{pod: from, to: destination{Service: n.service, Namespace: n.namespace, Port: portOf(u)}, answer: a}
		return p.whyNot(ctx, k, t)
	}
	return labs.Finding{}
}

// whyNoPort is the finding when the Service of an address has no such port.
func whyNoPort(ctx context.Context, t *Target, u *url.URL) labs.Finding {
	k, err := kubeOf(ctx, t)
	n, isService := parseService(u.Hostname(), t.Namespace)
	if err != nil || !isService {
		return labs.Finding{}
	}
	s, err := k.typed.CoreV1().Services(n.namespace).Get(ctx, n.service, metav1.GetOptions{})
	if err != nil {
		return labs.Finding{}
	}
	if _, found := servicePort(s, portOf(u)); found {
		return labs.Finding{}
	}
	return whyNoAnswer(ctx, k, t, n.namespace, n.service, portOf(u))
}

// disappointed are the findings of the expectations that do not hold.
func (c *httpCheck) disappointed(ctx context.Context, t *Target, answers []httpAnswer) ([]labs.Finding, error) {
	if len(c.Expect) == 0 {
		return nil, nil
	}
	all := make([]any, len(answers))
	for i, a := range answers {
		all[i] = a.variables()
	}
	vars := maps.Clone(all[len(all)-1].(map[string]any))
	vars["answers"] = all
	var out []labs.Finding
	for _, e := range c.Expect {
		isTrue, got, err := e.compile()
		if err != nil {
			return nil, err
		}
		f, holds, err := evaluate(ctx, isTrue, got, vars)
		if err != nil {
			return nil, err
		}
		if holds {
			continue
		}
		f.Expected = e.That
		if says := clip(answers[len(answers)-1].Body, 160); e.Got == "" && says != "" {
			f.Got = "the answer " + says
		}
		f.Look = "`curl " + c.URL + "`"
		if c.From.inCluster() {
			f.Look = ""
		}
		if why := c.mixed(ctx, t, isTrue, all); why.Because != "" {
			f = because(f, why)
		}
		out = append(out, f)
	}
	return out, nil
}

// String says what came, in words.
func (a httpAnswer) String() string {
	switch {
	case a.Error == "" && a.Status == 0:
		return "the line " + clip(strings.TrimSpace(a.Body), 120)
	case a.Error == "":
		return strings.TrimSpace(fmt.Sprintf("HTTP %d %s", a.Status, http.StatusText(a.Status)))
	case a.Kind == kindRefused:
		return "connection refused"
	case a.Kind == kindTimeout:
		return "no answer in time"
	case a.Kind == kindReset:
		return "a connection that was closed before the answer"
	case a.Kind == kindDNS && strings.Contains(a.Error, "timeout"):
		return "no answer from the DNS in time"
	case a.Kind == kindDNS:
		return "no such host name"
	}
	return clip(a.Error, 160)
}

// variables are what expectations see of an answer. json is null when the body is not JSON.
func (a httpAnswer) variables() map[string]any {
	headers := map[string]any{}
	for name, value := range a.Headers {
		headers[strings.ToLower(name)] = value
	}
	var decoded any
	_ = json.Unmarshal([]byte(a.Body), &decoded)
	return map[string]any{"status": a.Status, "headers": headers, "body": a.Body, "json": decoded, "ms": a.Ms}
}
