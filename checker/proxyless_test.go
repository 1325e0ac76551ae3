//go:build e2e

package checker

import (
	"context"
	"fmt"
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

	var all []string // the Services first: a server asks at once what its port is
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
    args: [%s]
    env: [{name: INSTANCE_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
    readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
`, name, labels, account, image, `"`+strings.Join(append(args, "--port", "8080", "--crt", "/cert.crt", "--key", "/cert.key"), `", "`)+`"`)
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

// TestProxyless measures what the objects of the course do to calls of gRPC's own xDS
// client: a second data plane beside the proxies, with the same istiod. What gRPC does
// not do is asserted too, where README says so. KINDLAB_TEST_ECHO names the image.
func TestProxyless(t *testing.T) {
	w := newCluster(t)
	if why := w.noMesh(t); why != "" {
		t.Skip(why)
	}
	image := os.Getenv("KINDLAB_TEST_ECHO")
	if image == "" {
		t.Skip("KINDLAB_TEST_ECHO names no image of Istio's echo app")
	}
	m := newProxyless(t, w, image)
	t.Run("versions", m.versions)
	t.Run("requests", m.requests)
	t.Run("time", m.time)
	t.Run("faults", m.faults)
	t.Run("identity", m.identity)
	t.Run("access", m.access)
	t.Run("repair", m.repair)
}
