package checker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/client"
	"golang.org/x/net/http/httpguts"
	corev1 "k8s.io/api/core/v1"
)

const (
	fromHost    = "host"
	fromCluster = "cluster"
)

// Why a request got no answer, as the sample app's get says it.
const (
	kindDNS     = "dns"
	kindRefused = "refused"
	kindTimeout = "timeout"
	kindReset   = "reset"
	kindOther   = "other"
)

const (
	answerTime = 3 * time.Second // for one request
	maxBody    = 1 << 20         // bytes of an answer
	maxTimes   = 100
)

// httpCheck: requests that are answered as expected. From the host they go to a
// published port; from the cluster they are made by the probe, through the
// cluster's DNS and Services, each on a connection of its own. There a host name
// of one word is a Service in the lab's namespace. Where HTTP is not spoken, a connection
// to tcp://HOST:PORT takes the place of a request, and a line that of an answer's body.
type httpCheck struct {
	URL      string            `yaml:"url" doc:"Where the requests go. In the cluster a host name of one word is a Service of the lab. On a connection to tcp://HOST:PORT, which cannot be made from the host, one line is sent, and the line that comes back is the body." required:"true"`
	From     origin            `yaml:"from" doc:"Who asks: host (when it is not given), cluster, or a pod."`
	Method   string            `yaml:"method" doc:"GET when it is not given."`
	Headers  map[string]string `yaml:"headers" doc:"Headers that are sent."`
	Status   int               `yaml:"status" doc:"The status of every answer; 200 when it is not given."`
	Statuses []int             `yaml:"statuses" doc:"Instead of status: every answer has one of these."`
	Times    int               `yaml:"times" doc:"How many requests, each on a connection of its own; 1 when it is not given, at most 100."`
	Expect   []expectation     `yaml:"expect" doc:"What must be true of the answers."`

	atOnce int // how many of the requests may be under way at a time; 0 is 1
}

// An expectation is CEL over the answers. Variables: status (int), headers (map,
// names in small letters), body (text), json (the body decoded) and ms (how long it
// took, in milliseconds) of the last answer, and answers, a list of maps with the same five.
type expectation struct {
	That string `yaml:"that" doc:"What is expected, in words." required:"true"`
	True string `yaml:"true" doc:"CEL that must be true. Variables: status, headers (names in small letters), body, json and ms (how long it took) of the last answer, and answers, a list of maps with the same five." required:"true"`
	Got  string `yaml:"got" doc:"CEL that makes the text of what there is instead."`
}

func (e expectation) compile() (isTrue, got *expression, err error) {
	return compilePair(e.True, e.Got, answerVariables())
}

// answerVariables are what CEL sees of answers.
func answerVariables() []string {
	return []string{"status", "headers", "body", "json", "ms", "answers"}
}

// An httpAnswer is what came of one request.
type httpAnswer struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	Error   string            `json:"error"`
	Kind    string            `json:"kind"`
	Ms      int64             `json:"ms"`
}

func (c *httpCheck) validate() error {
	u, err := c.parse()
	if err != nil {
		return err
	}
	if err := c.From.validate(); err != nil {
		return fmt.Errorf("from: %w", err)
	}
	if u.Scheme == schemeTCP && (!c.From.inCluster() || c.Method != "" || len(c.Headers) > 0 || c.Status != 0 || len(c.Statuses) > 0) {
		return errors.New("url: tcp goes from the cluster or a pod, and without method, headers and status")
	}
	if !c.From.inCluster() && !isLoopback(u.Hostname()) {
		return fmt.Errorf("url: from the host only this machine is asked, as localhost or 127.0.0.1, not %s", u.Hostname())
	}
	if !regexp.MustCompile(`^[A-Z]*$`).MatchString(c.Method) {
		return fmt.Errorf("method %q is not one such as GET", c.Method)
	}
	for name, value := range c.Headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return fmt.Errorf("headers: %q: %q cannot be sent", name, value)
		}
	}
	if c.Status != 0 && (c.Status < 100 || c.Status > 599) {
		return fmt.Errorf("status %d: use 100 to 599", c.Status)
	}
	for _, status := range c.Statuses {
		if status < 100 || status > 599 || c.Status != 0 {
			return fmt.Errorf("statuses %d: use 100 to 599, and no status beside them", c.Statuses)
		}
	}
	if c.Times < 0 || c.Times > maxTimes {
		return fmt.Errorf("times %d: use 1 to %d", c.Times, maxTimes)
	}
	for i, e := range c.Expect {
		if e.That == "" {
			return fmt.Errorf("expect %d: that is missing: what is expected, in words", i+1)
		}
		if _, _, err := e.compile(); err != nil {
			return fmt.Errorf("expect %d: %w", i+1, err)
		}
	}
	return nil
}

func (c *httpCheck) parse() (*url.URL, error) {
	if c.URL == "" {
		return nil, errors.New("url is missing")
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if u.Scheme == schemeTCP && (u.Hostname() == "" || u.Port() == "" || c.URL != schemeTCP+"://"+u.Host) {
		return nil, fmt.Errorf("url %q is not one such as tcp://echo:9000", c.URL)
	}
	if u.Scheme != "http" && u.Scheme != "https" && u.Scheme != schemeTCP || u.Hostname() == "" || u.User != nil {
		return nil, fmt.Errorf("url %q is not one such as http://localhost:8080/path", c.URL)
	}
	return u, nil
}

// schemeTCP is that of an address where no HTTP is spoken.
const schemeTCP = "tcp"

func (c *httpCheck) isTCP() bool { return strings.HasPrefix(c.URL, schemeTCP+":") }

// isLoopback reports whether a host is this machine, by its name alone.
func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (c *httpCheck) needs() string {
	if c.From.inCluster() {
		return "cluster"
	}
	return ""
}

// header is a header that is sent; its name may be written in any case.
func (c *httpCheck) header(name string) (value string, ok bool) {
	for key, value := range c.Headers {
		if strings.EqualFold(key, name) {
			return value, true
		}
	}
	return "", false
}

// answerSays begins the cause that is taken from an answer's own words.
const answerSays = "the answer says: "

// unannounced says that no event tells when an answer changes.
func (c *httpCheck) unannounced() bool { return true }

func (c *httpCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	answers, f, err := c.answered(ctx, t)
	if err != nil || len(f) > 0 {
		return f, err
	}
	return c.disappointed(ctx, t, answers)
}

// answered sends the requests. The finding says why one has no answer, or one with another status.
func (c *httpCheck) answered(ctx context.Context, t *Target) (answers []httpAnswer, f []labs.Finding, err error) {
	u, err := c.parse()
	if err != nil {
		return nil, nil, err
	}
	ask, from, f, err := c.sender(ctx, t)
	if err != nil || len(f) > 0 {
		return nil, f, err
	}
	if answers, err = ask(ctx, t, u); err != nil {
		return nil, nil, err
	}
	if f := c.unlike(ctx, t, u, from, answers); f != (labs.Finding{}) {
		if !c.From.inCluster() && answers[len(answers)-1].Error != "" {
			if err := reachable(ctx, t); err != nil {
				return nil, nil, err // nothing could answer: that is not the learner's doing
			}
		}
		return nil, []labs.Finding{f}, nil
	}
	return answers, nil, nil
}

// A sender sends a check's requests.
type sender func(ctx context.Context, t *Target, u *url.URL) ([]httpAnswer, error)

// sender is who sends the requests, and the pod that it does so from, if any. The
// findings say why that pod is not there.
func (c *httpCheck) sender(ctx context.Context, t *Target) (send sender, from *corev1.Pod, f []labs.Finding, err error) {
	if !c.From.inCluster() {
		return c.askHost, nil, nil, nil
	}
	k, err := kubeOf(ctx, t)
	if err != nil {
		return nil, nil, nil, err
	}
	from, f, err = c.From.pod(ctx, k, t)
	if err != nil || len(f) > 0 {
		return nil, nil, f, err
	}
	return func(ctx context.Context, t *Target, u *url.URL) ([]httpAnswer, error) {
		return c.askCluster(ctx, t, from, u)
	}, from, nil, nil
}

// reachable is an error when Docker or the cluster, whichever the lab is about, is gone.
func reachable(ctx context.Context, t *Target) error {
	if t.Lab == nil || t.Lab.Wants("docker") {
		if t.Docker == nil {
			return nil
		}
		if _, err := t.Docker.Ping(ctx, client.PingOptions{}); err != nil {
			return unreachable("Docker", err)
		}
		return nil
	}
	if !t.Lab.Wants("cluster") {
		return nil
	}
	k, err := kubeOf(ctx, t)
	if err != nil {
		return err
	}
	if _, err := k.typed.Discovery().RESTClient().Get().AbsPath("/version").DoRaw(ctx); err != nil {
		return kubeError("asking for its version", err)
	}
	return nil
}
