package checker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
)

// meshCheck: the mesh does with requests what is expected of it. It is looked at on
// three levels, so that a learner sees where it stops. Said: what the objects of the
// namespace ask for, and what is wrong among them. Sent: that every proxy concerned has
// taken what the control plane made of it. Done: what becomes of requests. What is done
// decides; the other two say why it is not. Without calls they decide themselves.
type meshCheck struct {
	Calls []meshCall `yaml:"calls" doc:"Requests, and what must become of them."`
}

// meshTime is how long one look may take.
const meshTime = 90 * time.Second

// maxMeshCalls bounds what one check sends.
const maxMeshCalls = 24

func (c *meshCheck) validate() error {
	if len(c.Calls) > maxMeshCalls {
		return fmt.Errorf("calls: %d are too many: use at most %d", len(c.Calls), maxMeshCalls)
	}
	for i := range c.Calls {
		if err := c.Calls[i].validate(); err != nil {
			return fmt.Errorf("call %d: %w", i+1, err)
		}
	}
	for i := range c.Calls {
		if no := &c.Calls[i]; no.isNegative() && !slices.ContainsFunc(c.Calls, func(yes meshCall) bool { return yes.controls(no) }) {
			return fmt.Errorf("call %d: it expects to be kept out, and no other call to %s expects an answer: what is down would pass", i+1, no.target())
		}
	}
	return nil
}

// unannounced says that no event tells what becomes of requests.
func (c *meshCheck) unannounced() bool { return true }

// pace is how often to measure again: it may cost hundreds of requests.
func (c *meshCheck) pace() (failing, passed time.Duration) { return 5 * time.Second, time.Minute }

// patience is how long one look may take.
func (c *meshCheck) patience() time.Duration { return meshTime }

func (c *meshCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	k, err := kubeOf(ctx, t)
	if err != nil {
		return nil, err
	}
	objects, err := readMesh(ctx, k, t.Namespace)
	if err != nil {
		return nil, err
	}
	faults := objects.faults(t.Namespace)
	c.said(ctx, objects, t.Namespace, faults)
	behind, err := c.sent(ctx, k, t)
	if err != nil {
		return nil, err
	}
	if len(c.Calls) == 0 {
		out := findingsOf(faults)
		for i := range out {
			out[i].Expected, out[i].Got = "objects that fit together", "one that does not"
		}
		return firstOf(append(out, behind...)), nil
	}
	requests, undone := 0, []labs.Finding(nil)
	for i := range c.Calls {
		n, f, why, err := c.Calls[i].measure(ctx, k, t, objects)
		requests += n
		if err != nil {
			return nil, orCause(ctx, err)
		}
		for _, f := range f {
			if f.Expected == "" {
				f.Expected = c.Calls[i].String()
			}
			switch {
			case why.sure.Because != "":
				f = because(f, why.sure)
			case n > 0: // where nothing could be sent, the mesh is not the cause
				possible := findingsOf(objects.onTheWay(t.Namespace, &c.Calls[i], why.answer.Status, c.Calls[i].possible(faults, why.answer)))
				f = because(f, cmp.Or(causeOf(&c.Calls[i], possible, behind), objects.saidOf(t.Namespace, &c.Calls[i], f), why.said, f))
			}
			undone = append(undone, f)
		}
	}
	fact(ctx, "%d requests were sent", requests)
	if len(undone) == 0 {
		step(ctx, "done: everything that was measured is as expected, in %s", counted(requests, "request"))
	} else {
		step(ctx, "done: %d of %s came out otherwise, in %s", len(undone), counted(len(c.Calls), "call"), counted(requests, "request"))
	}
	return firstOf(oncePerCause(undone)), nil
}

// oncePerCause leaves of findings with the same cause the first, and says how many
// others there are: who mends the cause mends them all.
func oncePerCause(all []labs.Finding) []labs.Finding {
	var out []labs.Finding
	more := map[string]int{}
	for _, f := range all {
		if f.Because == "" || more[f.Because] == 0 {
			out = append(out, f)
		}
		more[f.Because]++
	}
	for i, f := range out {
		switch n := more[f.Because] - 1; {
		case f.Because == "" || n == 0:
		case n == 1:
			out[i].Got += "; one more comes out otherwise, too"
		default:
			out[i].Got += fmt.Sprintf("; %d more come out otherwise, too", n)
		}
	}
	return out
}

// said tells of the faults among the objects of the namespace.
func (c *meshCheck) said(ctx context.Context, objects meshObjects, namespace string, faults []meshFault) {
	for _, f := range faults {
		step(ctx, "said: %s", f.finding.Because)
	}
	if len(faults) == 0 {
		step(ctx, "said: nothing is wrong among %s of the mesh", counted(objects.rules(namespace), "object"))
	}
}

func findingsOf(faults []meshFault) []labs.Finding {
	var out []labs.Finding
	for _, f := range faults {
		out = append(out, f.finding)
	}
	return out
}

// sent are the proxies that lack the newest configuration, after a moment of patience.
func (c *meshCheck) sent(ctx context.Context, k *kube, t *Target) ([]labs.Finding, error) {
	var out []labs.Finding
	for left := 6; ; left-- {
		proxies, behind, err := proxiesBehind(ctx, k, t)
		if err != nil {
			return nil, err
		}
		if len(behind) == 0 {
			step(ctx, "sent: %s of the namespace and the gateway have the newest configuration", counted(proxies, "proxy"))
			return nil, nil
		}
		if out = behind; left == 0 || ctx.Err() != nil {
			break
		}
		pause(ctx, 500*time.Millisecond)
	}
	for _, f := range out {
		step(ctx, "sent: %s", f.Because)
	}
	return out, nil
}

// causeOf is why a call comes out otherwise, as far as the objects and the proxies show:
// a fault that is about the same host, then any that it could be, then a proxy that is behind.
func causeOf(call *meshCall, faults, behind []labs.Finding) labs.Finding {
	host, _, _ := strings.Cut(call.target(), ".")
	about := slices.IndexFunc(faults, func(f labs.Finding) bool { return hasWord(f.Because, host) || hasWord(f.Because, call.target()) })
	switch {
	case about >= 0:
		return faults[about]
	case len(faults) > 0:
		return faults[0]
	case len(behind) > 0:
		return behind[0]
	}
	return labs.Finding{}
}

// onTheWay are the faults that a call can meet: of the gateway's, those that come in
// through it, and of another Service's none, but when a program fails that may ask it.
func (m meshObjects) onTheWay(namespace string, c *meshCall, status int, faults []meshFault) []meshFault {
	var met []string
	name := func(host string) {
		if n, is := parseService(host, namespace); is {
			met = append(met, n.service)
		}
	}
	name(c.target())
	for _, v := range within(m.virtualServices, namespace) {
		if isFor(v, fullHost(c.target(), namespace)) {
			for _, d := range destinations(v) {
				name(d.GetHost())
			}
		}
	}
	// In the cluster a gateway is asked for a host that is not its own name.
	u, err := c.parse()
	direct := c.From.inCluster() && err == nil && u.Hostname() == c.target()
	var others []string
	for i := range m.services {
		if s := &m.services[i]; s.Namespace == namespace && !slices.Contains(met, s.Name) {
			others = append(others, s.Name)
		}
	}
	names := func(text string, all []string) bool {
		return slices.ContainsFunc(all, func(name string) bool { return hasWord(text, name) })
	}
	return slices.DeleteFunc(slices.Clone(faults), func(f meshFault) bool {
		if strings.HasPrefix(f.rule, "gateway") && direct {
			return true
		}
		return status < http.StatusInternalServerError && names(f.finding.Because, others) && !names(f.finding.Because, met)
	})
}

// hasWord reports whether a text has a name in it, as a word of its own.
func hasWord(text, name string) bool {
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,;:()/\"", r) }) {
		if strings.Trim(w, ".") == name {
			return name != ""
		}
	}
	return false
}

func firstOf(all []labs.Finding) []labs.Finding { return all[:min(len(all), maxFindings)] }

// orCause is why a context ended, when that is what an error comes of.
func orCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}
