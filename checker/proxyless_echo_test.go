//go:build e2e

package checker

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
)

// A proxyless is a namespace without any proxy: Istio's echo app speaks gRPC there, whose
// own xDS client and server take from istiod what Envoy takes. On them the objects of the
// course are measured a second time.
//
// The servers v1, v2 and v3 stand behind the Services of all labs, the callers web, till
// and visitor have a service account of that name, and outsider has no part in the mesh.
// A caller serves nothing: an agent keeps one stream of configuration for its pod.
type proxyless struct {
	w      *cluster
	course *labs.Course
	target Target

	lab  *labs.Lab
	said *strings.Replacer // what a page says of HTTP, said of gRPC
}

// echoMethod is the only method that the app's client calls. In gRPC a method is a path,
// and each call a POST.
const echoMethod = "/proto.EchoTestService/Echo"

const (
	grpcPort  = 17070                                    // of the servers
	meterPort = 9100                                     // a second one, which the lab identity opens
	countPort = 15014                                    // where they say how many calls came
	changedIn = time.Minute                              // for a change to be in force
	meshKinds = "VirtualService DestinationRule Gateway" // of meshNetworking, which labs make
	authKinds = "PeerAuthentication AuthorizationPolicy" // of meshSecurity
)

func newProxyless(t *testing.T, w *cluster, image string) *proxyless {
	course, err := labs.Load(os.DirFS("../content/courses/service-mesh"), "service-mesh")
	require.NoError(t, err)
	m := &proxyless{w: w, course: course, target: w.target}
	m.target.Namespace = w.prefix + "-grpc"
	w.namespace(t, m.target.Namespace, map[string]string{attendeeLabel: w.prefix, labLabel: "e2e", injectLabel: "enabled"})

	var all []string
	for _, s := range []struct{ name, selector string }{
		{"menu", "two: both"}, {"shop", "two: both"}, {"greeter", "serves: grpc"}, {"basket", "serves: grpc"}, {"back", "serves: grpc"},
		{"web", "app: web"}, {"orders", "app: orders"}, {"report", "app: report"}, {"stock", "app: report"},
	} {
		all = append(all, fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec:\n  selector: {%s}\n  ports:\n"+
			"  - {name: grpc, port: 80, targetPort: %d}\n  - {name: grpc-meter, port: 9090, targetPort: %d}", s.name, s.selector, grpcPort, meterPort))
	}
	for _, account := range []string{"web", "till", "visitor"} {
		all = append(all, "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: "+account+"}", echoPod(image, account+"-caller", account, "app: "+account+"-caller"))
	}
	for name, labels := range map[string]string{"v1": "app: menu, two: both", "v2": "app: web, two: both", "v3": "app: orders"} {
		all = append(all, echoPod(image, name, "default", "serves: grpc, version: "+name+", "+labels, "--version", name, "--metrics", strconv.Itoa(countPort),
			"--grpc", strconv.Itoa(grpcPort), "--xds-grpc-server", strconv.Itoa(grpcPort), "--grpc", strconv.Itoa(meterPort), "--xds-grpc-server", strconv.Itoa(meterPort)))
	}
	all = append(all, echoPod(image, "outsider-caller", "default", `sidecar.istio.io/inject: "false"`),
		// It takes connections and never says a word, and on the second port it takes none.
		fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: report, labels: {app: report, sidecar.istio.io/inject: \"false\"}}\n"+
			"spec: {terminationGracePeriodSeconds: 0, containers: [{name: app, image: %s, command: [nc, -ll, -p, \"%d\", -e, sleep, 1d]}]}", w.tools, grpcPort))
	w.apply(t, m.target.Namespace, strings.Join(all, "\n---\n"))
	m.until(t, "the pods are ready", func() (string, bool) {
		pods, err := w.k.typed.CoreV1().Pods(m.target.Namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err.Error(), false
		}
		i := slices.IndexFunc(pods.Items, func(p corev1.Pod) bool { return !isReady(&p) })
		if i < 0 {
			return "", true
		}
		return "pod " + pods.Items[i].Name + " is not ready", false
	}, namedWithin)
	return m
}

func echoPod(image, name, account, labels string, args ...string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata:
  name: %s
  labels: {%s}
  annotations:
    inject.istio.io/templates: grpc-agent
    proxy.istio.io/config: '{holdApplicationUntilProxyStarts: true}'
    readiness.status.sidecar.istio.io/periodSeconds: "1"
spec:
  serviceAccountName: %s
  terminationGracePeriodSeconds: 0
  containers:
  - name: app
    image: %s
    imagePullPolicy: IfNotPresent
    args: ["--port", "8080", "--crt=/cert.crt", "--key=/cert.key", %s]
    env: [{name: INSTANCE_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
    readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
`, name, labels, account, image, `"`+strings.Join(args, `", "`)+`"`)
}

// open begins a lab: its page's files are saved, and the objects of the mesh that it starts
// with are made. They are gone when the test ends.
func (m *proxyless) open(t *testing.T, lab string, own labs.Values) {
	template := m.course.Lab(lab)
	values := template.Values.With(own).With(labs.Values{"ns": m.target.Namespace, "lab": lab, "attendee": m.w.prefix})
	var err error
	m.lab, err = template.For(values)
	require.NoError(t, err)
	m.said = strings.NewReplacer(`"/api"`, `"`+echoMethod+`"`, `"/status/`+values["code"]+`"`, `"`+echoMethod+`"`, `"GET"`, `"POST"`, "methods: [GET]", "methods: [POST]")
	m.target.Work = t.TempDir()
	for _, task := range m.lab.Tasks {
		for _, b := range task.Blocks {
			if b.Kind == labs.SaveAs {
				require.NoError(t, os.WriteFile(filepath.Join(m.target.Work, b.File), []byte(m.said.Replace(b.Text)), 0o600))
			}
		}
	}
	t.Cleanup(func() { m.clean(t) })
	manifests, err := m.lab.Manifests()
	require.NoError(t, err)
	ofMesh := regexp.MustCompile(`(?m)^apiVersion: [a-z]+\.istio\.io/`)
	for _, f := range manifests {
		for _, doc := range regexp.MustCompile(`(?m)^---\n`).Split(string(f.Data), -1) {
			if ofMesh.MatchString(doc) {
				require.NoError(t, m.w.create(t.Context(), m.target.Namespace, m.said.Replace(doc)))
			}
		}
	}
}

func (m *proxyless) clean(t *testing.T) {
	for version, kinds := range map[string]string{meshNetworking: meshKinds, meshSecurity: authKinds} {
		for _, kind := range strings.Fields(kinds) {
			of, err := m.w.k.resource(context.Background(), version, kind, m.target.Namespace)
			require.NoError(t, err)
			require.NoError(t, of.DeleteCollection(context.Background(), metav1.DeleteOptions{}, metav1.ListOptions{}))
		}
	}
}

// page runs a command that the lab's page gives.
func (m *proxyless) page(t *testing.T, line string) {
	t.Helper()
	there := false
	for _, task := range m.lab.Tasks {
		for _, b := range task.Blocks {
			there = there || b.Kind == labs.Command && slices.Contains(strings.Split(b.Text, "\n"), line)
		}
	}
	require.True(t, there, "the page of %s has no command %q", m.lab.ID, line)
	m.script(t, line)
}

// solve runs the author's solution of a task.
func (m *proxyless) solve(t *testing.T, task string) {
	t.Helper()
	script, ok := m.lab.Solution(task)
	require.True(t, ok, "lab %s has no solution for %s", m.lab.ID, task)
	m.script(t, script)
}

// miss runs a near miss of the lab: what its check must reject.
func (m *proxyless) miss(t *testing.T, check, why string) {
	t.Helper()
	for _, miss := range m.lab.NearMisses(check) {
		if miss.Why == why {
			m.script(t, miss.Script)
			return
		}
	}
	require.Fail(t, "no near miss", "lab %s has none of %s that is called %q", m.lab.ID, check, why)
}

func (m *proxyless) script(t *testing.T, text string) {
	t.Helper()
	out, err := m.w.script(t, &m.target, m.said.Replace(text))
	require.NoError(t, err, out)
}

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
