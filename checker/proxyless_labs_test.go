//go:build e2e

package checker

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/require"
)

func byVersion(a echo) string { return a.version }

func (m *proxyless) versions(t *testing.T) {
	m.open(t, "versions", nil)
	split := func(what, value string, wants decision) {
		t.Helper()
		n, err := strconv.ParseFloat(m.lab.Values[value], 64)
		require.NoError(t, err)
		m.shares(t, fmt.Sprintf("%s, wanted of v2: %g %%", what, n), "web", "menu", map[string]float64{"v1": 1 - n/100, "v2": n / 100}, 0.1, wants, byVersion)
	}
	m.shares(t, "no rule", "web", "menu", map[string]float64{"v1": .5, "v2": .5}, 0.1, asWanted, byVersion)
	m.page(t, "kubectl apply --filename menu-subsets.yaml")
	m.page(t, "kubectl apply --filename menu.yaml")
	m.answered(t, "web", "menu", "v1")
	m.gets(t, "outsider is answered by both", "outsider", "menu", 40, func(e echoes) bool {
		return e.failed == 0 && !e.allOf("v1") && !e.allOf("v2")
	}, "--new-connection-per-request")
	m.solve(t, "send-all-to-the-other")
	m.answered(t, "web", "menu", "v2")
	m.miss(t, "weights", "swapped")
	split("weights swapped", "share", otherwise)
	m.solve(t, "divide-by-weight")
	split("weights", "share", asWanted)
	m.miss(t, "split", "subset with the wrong label")
	split("a subset with the wrong label", "share", otherwise)
	m.page(t, "kubectl apply --filename menu-subsets.yaml")
	m.solve(t, "give-it-more")
	split("more weight", "later", asWanted)
}

func (m *proxyless) requests(t *testing.T) {
	m.open(t, "requests", nil)
	tester := []string{"-H", "end-user: " + m.lab.Values["tester"]}
	other := []string{"-H", "end-user: not-" + m.lab.Values["tester"]}
	browser := []string{"-H", "user-agent: Mozilla/5.0 (X11; Linux x86_64) " + m.lab.Values["browser"] + "/140.0"}
	m.page(t, "kubectl apply --filename greeter.yaml")
	m.answered(t, "web", "greeter", "v2", tester...)
	m.answered(t, "web", "greeter", "v1")
	m.answered(t, "web", "greeter", "v1", other...)
	m.miss(t, "tester", "header of another name")
	m.answered(t, "web", "greeter", "v1", tester...)

	m.page(t, "kubectl apply --filename greeter-mirror.yaml")
	m.answered(t, "web", "greeter", "v2", tester...)
	v1, v2 := m.counted(t, "v1"), m.counted(t, "v2")
	m.answered(t, "web", "greeter", "v1")
	require.GreaterOrEqual(t, m.counted(t, "v1"), v1+20)
	require.Equal(t, v2, m.counted(t, "v2"), "gRPC makes no copies")

	m.solve(t, "make-a-route-for-a-browser")
	m.answered(t, "web", "greeter", "v3", browser...)
	m.answered(t, "web", "greeter", "v2", append(tester, browser...)...)
	m.answered(t, "web", "greeter", "v1")
	m.miss(t, "browser", "only a part of the value")
	m.answered(t, "web", "greeter", "v1", browser...)

	one := []string{"-H", m.lab.Values["key"] + ": one"}
	same := func(e echoes) bool { return len(e.answers) > 0 && e.allOf(e.answers[0].version) }
	several := func(e echoes) bool { return e.failed == 0 && !same(e) }
	m.page(t, "kubectl apply --filename basket.yaml")
	m.gets(t, "one user stays on one pod", "web", "basket", 20, same, one...)
	m.gets(t, "so does another", "web", "basket", 20, same, "-H", m.lab.Values["key"]+": another-user")
	m.gets(t, "who is no user does not", "web", "basket", 40, several)
	m.miss(t, "sticky", "header of another name")
	m.gets(t, "with the wrong header nobody stays", "web", "basket", 20, several, one...)
}

// counted is how many calls the pod of a version has had.
func (m *proxyless) counted(t *testing.T, version string) float64 {
	t.Helper()
	c := &meshCount{Pods: map[string]string{"serves": "grpc", "version": version}, Port: countPort, Metric: "istio_echo_grpc_requests_total"}
	n, f, err := c.read(t.Context(), m.w.k, &m.target)
	require.NoError(t, err)
	require.Empty(t, f)
	return n
}

func (m *proxyless) time(t *testing.T) {
	m.open(t, "time", labs.Values{"limit": "600"})
	const limit, patience = 600 * time.Millisecond, "2s"
	var took time.Duration
	ask := func(what string, is func(echoes) bool) {
		t.Helper()
		m.until(t, what, func() (string, bool) {
			begun := time.Now()
			e, err := m.call(t.Context(), "web", "report", 1, "--timeout", patience)
			if err != nil {
				return err.Error(), false
			}
			took = time.Since(begun)
			return fmt.Sprintf("after %s: %s", took.Round(time.Millisecond), e), is(e)
		}, changedIn)
	}
	ownTime := func(e echoes) bool { return strings.Contains(e.why, "timed out after "+patience) }
	ask("without a rule the caller waits as long as it has patience", ownTime)
	m.page(t, "kubectl apply --filename report.yaml")
	ask("a timeout ends it", func(e echoes) bool {
		return strings.Contains(e.why, "DeadlineExceeded") && took >= limit
	})
	m.miss(t, "timeout", "for another path")
	ask("a timeout for another path does not", ownTime)

	// Nobody listens at the other port. How often that was tried stands in the error.
	tried := func() { t.Helper(); m.refused(t, "web", "stock:9090", "failed after 3 attempts") }
	once := func(what string) {
		t.Helper()
		m.gets(t, what, "web", "stock:9090", 5, func(e echoes) bool {
			return e.failed == e.sent && strings.Contains(e.why, noConnection) && !strings.Contains(e.why, "attempts")
		})
	}
	tried()
	m.page(t, "kubectl apply --filename stock.yaml")
	once("with 0 attempts nothing is repeated")
	m.script(t, "kubectl delete virtualservices.networking.istio.io stock")
	tried()
	m.page(t, "kubectl apply --filename stock-again.yaml")
	once("5xx is nothing that gRPC would repeat")
}

func (m *proxyless) faults(t *testing.T) {
	m.open(t, "faults", labs.Values{"delay": "400"})
	speed := func(a echo) string {
		if a.took >= 390*time.Millisecond {
			return "slow"
		}
		return "fast"
	}
	outcome := func(echo) string { return "answered" }
	half := map[string]float64{"slow": .5, "fast": .5}
	m.page(t, "kubectl apply --filename delay.yaml")
	m.shares(t, "half are delayed", "web", "back", half, 0.15, asWanted, speed)
	m.miss(t, "slow", "half of one percent")
	m.shares(t, "half of one percent is not half", "web", "back", half, 0.15, otherwise, speed)

	n, err := strconv.ParseFloat(m.lab.Values["share"], 64)
	require.NoError(t, err)
	fail := map[string]float64{"failed": n / 100, "answered": 1 - n/100}
	m.page(t, "kubectl apply --filename abort.yaml")
	m.shares(t, fmt.Sprintf("%g %% fail", n), "web", "back", fail, 0.15, asWanted, outcome)
	m.miss(t, "failing", "a fraction of a percent")
	m.shares(t, "less than one percent is not that", "web", "back", fail, 0.15, otherwise, outcome)

	phone := []string{"-H", "user-agent: Mozilla/5.0 (" + m.lab.Values["phone"] + "; Mobile)"}
	answered := func(e echoes) bool { return e.failed == 0 }
	m.page(t, "kubectl apply --filename phone.yaml")
	m.refused(t, "web", "back", "fault injection", phone...)
	m.gets(t, "another phone is answered", "web", "back", 10, answered, "-H", "user-agent: Mozilla/5.0 (Communicator; Mobile)")
	m.gets(t, "who says nothing is answered", "web", "back", 10, answered)
	m.miss(t, "phone", "every caller")
	m.refused(t, "web", "back", "fault injection")

	m.page(t, "kubectl apply --filename trap.yaml")
	m.gets(t, "a fault switches the timeout beside it off", "web", "back", 1, func(e echoes) bool {
		return e.failed == 0 && e.answers[0].took >= 2*time.Second
	})
}

const (
	noConnection = "Unavailable" // or one on which the two sides do not speak the same
	noPolicy     = "PermissionDenied"
)

func (m *proxyless) identity(t *testing.T) {
	m.open(t, "identity", labs.Values{"meter": strconv.Itoa(meterPort)})
	m.page(t, "kubectl apply --filename peers.yaml")
	m.answered(t, "outsider", "web", "v2")
	m.page(t, `kubectl patch peerauthentication default --type merge --patch '{"spec": {"mtls": {"mode": "STRICT"}}}'`)
	m.refused(t, "outsider", "web", noConnection)
	// What Envoy does by itself gRPC must be told: to use its certificate.
	m.refused(t, "web", "web", noConnection)
	m.miss(t, "strict", "on the callers side")
	m.answered(t, "web", "web", "v2")
	m.refused(t, "outsider", "web", noConnection)

	m.refused(t, "outsider", "web:9090", noConnection)
	m.solve(t, "leave-one-port-open")
	m.answered(t, "outsider", "web:9090", "v2")
	m.refused(t, "outsider", "web", noConnection)
	m.answered(t, "web", "web", "v2")
	// A port of gRPC does not take both kinds of connection.
	m.refused(t, "web", "web:9090", noConnection)
	m.miss(t, "open-port", "of the service")
	m.refused(t, "outsider", "web:9090", noConnection)
}

// mutualTLS is what the proxies of a mesh agree on by themselves.
const mutualTLS = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: orders}
spec: {host: orders, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}`

func (m *proxyless) access(t *testing.T) {
	m.open(t, "access", nil)
	require.NoError(t, m.w.create(t.Context(), m.target.Namespace, mutualTLS))
	let := func(who ...string) {
		t.Helper()
		for _, from := range who {
			m.answered(t, from, "orders", "v3")
		}
	}
	keptOut := func(who ...string) {
		t.Helper()
		for _, from := range who {
			m.refused(t, from, "orders", noPolicy)
		}
	}
	let("web", "till", "visitor")
	m.refused(t, "outsider", "orders", noConnection)
	m.page(t, "kubectl apply --filename nothing.yaml")
	m.page(t, "kubectl apply --filename reads.yaml")
	keptOut("till", "visitor")
	let("web")
	m.solve(t, "let-the-till-record-sales")
	let("till", "web")
	keptOut("visitor")
	m.refused(t, "outsider", "orders", noConnection)
	for _, why := range []string{"bare name", "method in small letters"} {
		m.miss(t, "reads", why)
		keptOut("web")
		m.page(t, "kubectl apply --filename reads.yaml")
		let("web")
	}
	m.script(t, "sed 's#"+echoMethod+"#"+echoMethod+"Not#' reads.yaml | kubectl apply --filename -")
	keptOut("web")
	m.miss(t, "reads", "two rules instead of one")
	let("visitor")
	m.page(t, "kubectl apply --filename reads.yaml")
	keptOut("visitor")
	// Of a policy that allows nothing istiod makes no rule for gRPC.
	m.script(t, "kubectl delete authorizationpolicies.security.istio.io web-reads till-records")
	let("visitor")
	m.miss(t, "closed", "denied to web only")
	keptOut("web")
	let("till", "visitor")
}

func (m *proxyless) repair(t *testing.T) {
	m.open(t, "repair", labs.Values{"buyer": "till"})
	want := map[string]float64{"v1": .7, "v2": .3}
	// Where Envoy answers 503 to three of ten, gRPC waits for what the subset is.
	m.refused(t, "web", "shop", "timed out", "--timeout", "2s")
	m.solve(t, "mend-the-split")
	m.shares(t, "the split is mended", "web", "shop", want, 0.1, asWanted, byVersion)
	m.miss(t, "split", "subset without a pod")
	m.gets(t, "a subset without a pod", "web", "shop", 100, func(e echoes) bool {
		return e.failed > 0 && e.failed < e.sent && strings.Contains(e.why, noConnection)
	})
	m.miss(t, "split", "the other way round")
	m.shares(t, "the other way round", "web", "shop", want, 0.1, otherwise, byVersion)

	m.refused(t, "till", "orders", noConnection)
	m.miss(t, "orders", "only the connection")
	m.refused(t, "till", "orders", noPolicy)
	m.solve(t, "let-the-client-order")
	m.answered(t, "till", "orders", "v3")
	m.refused(t, "web", "orders", noPolicy)
	m.refused(t, "outsider", "orders", noConnection)
}
