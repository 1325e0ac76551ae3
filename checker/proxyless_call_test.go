//go:build e2e

package checker

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
)

// echoes are the answers to calls that were made together.
type echoes struct {
	sent    int
	answers []echo
	failed  int
	why     string // of the first that failed
}

type echo struct {
	version string
	took    time.Duration
}

// String is how many answers came of each kind.
func (e echoes) String() string {
	counts := map[string]int{}
	for _, a := range e.answers {
		counts[a.version]++
	}
	var out []string
	for _, v := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, fmt.Sprintf("%s %d", v, counts[v]))
	}
	if e.failed > 0 {
		out = append(out, fmt.Sprintf("%d of %d failed: %s", e.failed, e.sent, e.why))
	}
	return strings.Join(out, ", ")
}

// allOf reports whether all calls were answered by one version.
func (e echoes) allOf(version string) bool {
	return e.failed == 0 && len(e.answers) == e.sent && !slices.ContainsFunc(e.answers, func(a echo) bool { return a.version != version })
}

var (
	echoLine   = regexp.MustCompile(`(?m)^\[(\d+)(?: body)?\] (ServiceVersion|Latency)=(.*)$`)
	failedLine = regexp.MustCompile(`(\d+)/(\d+) requests had errors; first error: (.*)`)
	lateLine   = regexp.MustCompile(`request set timed out after .*`)
)

// call makes calls from a caller's pod to a Service, and reads what the app's client
// prints. Of calls some of which have failed it prints only how many.
func (m *proxyless) call(ctx context.Context, from, to string, times int, more ...string) (echoes, error) {
	e := echoes{sent: times}
	host, port, _ := strings.Cut(to, ":")
	if port == "" {
		port = "80"
	}
	url := "xds:///" + host + "." + m.target.Namespace + ".svc.cluster.local:" + port
	if from == "outsider" {
		url = strings.Replace(url, "xds:///", "grpc://", 1)
	}
	out, err := m.exec(ctx, from+"-caller", append([]string{"client", url, "--count", strconv.Itoa(times)}, more...)...)
	if f := failedLine.FindStringSubmatch(out); f != nil {
		e.failed, _ = strconv.Atoi(f[1])
		e.why = f[3]
		return e, nil
	}
	if late := lateLine.FindString(out); late != "" {
		e.failed, e.why = times, late
		return e, nil
	}
	if err != nil {
		return e, fmt.Errorf("%w: %s", err, out)
	}
	e.answers = make([]echo, times)
	for _, l := range echoLine.FindAllStringSubmatch(out, -1) {
		i, err := strconv.Atoi(l[1])
		if err != nil || i >= times {
			return e, fmt.Errorf("not one of %d calls: %s", times, l[0])
		}
		if l[2] == "ServiceVersion" {
			e.answers[i].version = l[3]
		} else if e.answers[i].took, err = time.ParseDuration(l[3]); err != nil {
			return e, err
		}
	}
	return e, nil
}

func (m *proxyless) exec(ctx context.Context, pod string, command ...string) (string, error) {
	req := m.w.k.typed.CoreV1().RESTClient().Post().Resource("pods").Namespace(m.target.Namespace).Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: "app", Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	exec, err := remotecommand.NewWebSocketExecutor(m.w.k.config, http.MethodGet, req.URL().String())
	if err != nil {
		return "", err
	}
	var stdout, stderr bytes.Buffer
	err = exec.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr})
	return stdout.String() + stderr.String(), err
}

// until asks until it is so.
func (m *proxyless) until(t *testing.T, what string, ask func() (got string, ok bool), within time.Duration) {
	t.Helper()
	for begun := time.Now(); ; pause(t.Context(), 100*time.Millisecond) {
		got, ok := ask()
		if ok {
			t.Logf("%s: %s", what, got)
			return
		}
		require.Less(t, time.Since(begun), within, "%s: %s", what, got)
	}
}

// gets makes calls until they come out as wanted, which a change takes a moment to do.
func (m *proxyless) gets(t *testing.T, what, from, to string, times int, is func(echoes) bool, more ...string) {
	t.Helper()
	m.until(t, what, func() (string, bool) {
		e, err := m.call(t.Context(), from, to, times, more...)
		if err != nil {
			return err.Error(), false
		}
		return e.String(), is(e)
	}, changedIn)
}

// answered wants all answers from one version.
func (m *proxyless) answered(t *testing.T, from, to, version string, more ...string) {
	t.Helper()
	m.gets(t, fmt.Sprint(from, " is answered by ", version, " of ", to, more), from, to, 20, func(e echoes) bool { return e.allOf(version) }, more...)
}

// refused wants all calls to fail for a reason that says so.
func (m *proxyless) refused(t *testing.T, from, to, reason string, more ...string) {
	t.Helper()
	m.gets(t, fmt.Sprint(from, " is refused by ", to, more), from, to, 5, func(e echoes) bool { return e.failed == e.sent && strings.Contains(e.why, reason) }, more...)
}

// shares counts until the project's own test has decided as wanted two times in a row: it
// may be wrong once in a hundred times, and here it is asked again until a change is in
// force. kind says of what kind an answer is. Where failures are wanted, a call that failed
// is of the kind "failed", and the others that were made with it are "answered".
func (m *proxyless) shares(t *testing.T, what, from, to string, want map[string]float64, within float64, wants decision, kind func(echo) string) {
	t.Helper()
	_, failures := want["failed"]
	decide := func() (got string, decided decision) {
		test := newShareTest(want, within)
		for test.total < maxTraffic {
			e, err := m.call(t.Context(), from, to, 200, "--timeout", "30s")
			if err != nil {
				return err.Error(), undecided
			}
			if e.failed > 0 && !failures {
				return e.String(), undecided
			}
			for _, k := range e.kinds(kind) {
				if decided = test.add(k); decided != undecided {
					return test.String(), decided
				}
			}
		}
		return test.String(), undecided
	}
	m.until(t, what, func() (string, bool) {
		if got, decided := decide(); decided != wants {
			return got, false
		}
		got, decided := decide()
		return got, decided == wants
	}, changedIn)
}

// kinds are the kinds of the answers in the order of their calls. Of those that failed the
// order is not known, so it is drawn: no order is likelier than another.
func (e echoes) kinds(kind func(echo) string) []string {
	var out []string
	for _, a := range e.answers {
		out = append(out, kind(a))
	}
	if e.failed > 0 {
		for i := range e.sent {
			out = append(out, map[bool]string{true: "failed", false: "answered"}[i < e.failed])
		}
		rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out
}
