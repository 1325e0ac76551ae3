package checker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream"
)

// Requests from inside the cluster are made by the probe, a pod of the sample app
// on each node. One stream to each carries the requests of all engines of this
// process, many at a time, so that a request costs the API server nothing.

// probeProgram is the sample app in the probe.
const probeProgram = "/hello"

// maxLine is how long one answer of a probe may be, in bytes: several bodies.
const maxLine = 16 << 20

// A probeStream is the open stream to one probe.
type probeStream struct {
	in   io.WriteCloser
	stop context.CancelFunc

	mu      sync.Mutex
	next    int
	waiting map[int]chan probed
	err     error // why it ended; nil while it is open
	used    time.Time
	idle    *time.Timer
}

// probeIdle is how long a stream stays open that nobody uses: each is a process in the
// probe, which has little memory.
const probeIdle = 30 * time.Second

// errIdle ends a stream that nobody has used. The next one to ask opens another.
var errIdle = errors.New("nobody used it")

// A probing and a probed are the lines of the sample app's mode probe.
type probing struct {
	ID     int      `json:"id"`
	Args   []string `json:"args,omitempty"`
	Pod    string   `json:"pod,omitempty"`
	Cancel bool     `json:"cancel,omitempty"`
}

type probed struct {
	ID     int    `json:"id"`
	Output string `json:"output"`
	Error  string `json:"error"`
}

// probes are a cluster's open streams, by node.
type probes struct {
	mu      sync.Mutex
	streams map[string]*probeStream
}

// inProbe has the probe run the sample app with these arguments: in the network of
// a pod, on its node, or when from is nil in the probe's own. Whatever goes wrong is
// an error of the environment, never of the learner.
func (k *kube) inProbe(ctx context.Context, t *Target, from *corev1.Pod, args ...string) ([]byte, error) {
	if t.Probe.Name == "" {
		return nil, unreachable("the probe", errors.New("none is set up"))
	}
	node, uid := "", ""
	if from != nil {
		node, uid = from.Spec.NodeName, string(from.UID)
	}
	var a probed
	var err error
	for again := true; again; again = errors.Is(err, errIdle) {
		s, failed := k.probeOn(ctx, t.Probe, node)
		if failed != nil {
			return nil, unreachable("the probe", failed)
		}
		a, err = s.ask(ctx, probing{Args: args, Pod: uid})
	}
	switch {
	case err != nil:
		return nil, unreachable("the probe", err)
	case a.Error != "":
		return nil, unreachable("the probe", errors.New(clip(a.Error, 200)))
	case a.Output == "":
		return nil, unreachable("the probe", errors.New("it said nothing"))
	}
	return []byte(a.Output), nil
}

// probeOn is the stream to the probe of a node, of any when node is empty.
func (k *kube) probeOn(ctx context.Context, p Probe, node string) (*probeStream, error) {
	k.probes.mu.Lock()
	defer k.probes.mu.Unlock()
	for on, s := range k.probes.streams {
		if !s.open() {
			delete(k.probes.streams, on)
		} else if node == "" || on == node {
			return s, nil
		}
	}
	options := metav1.ListOptions{LabelSelector: labels.Set{probeLabel: p.Name}.String()}
	if node != "" {
		options.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", node).String()
	}
	list, err := k.typed.CoreV1().Pods(p.Namespace).List(withListener(ctx, nil), options)
	if err != nil {
		return nil, kubeError("looking for the probe", err)
	}
	for _, pod := range list.Items {
		if pod.DeletionTimestamp != nil || !isReady(&pod) {
			continue
		}
		s, err := k.openProbe(p, pod.Name)
		if err != nil {
			return nil, err
		}
		if k.probes.streams == nil {
			k.probes.streams = map[string]*probeStream{}
		}
		k.probes.streams[pod.Spec.NodeName] = s
		return s, nil
	}
	if node != "" {
		return nil, fmt.Errorf("none runs on node %s; `kindlab up` makes it", node)
	}
	return nil, errors.New("none runs; `kindlab up` makes it")
}

// openProbe starts the sample app's mode probe in a pod.
func (k *kube) openProbe(p Probe, pod string) (*probeStream, error) {
	req := k.typed.CoreV1().RESTClient().Post().Resource("pods").Namespace(p.Namespace).Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: p.Name, Command: []string{probeProgram, "probe"}, Stdin: true, Stdout: true}, scheme.ParameterCodec)
	old, err := remotecommand.NewSPDYExecutor(k.config, http.MethodPost, req.URL())
	if err != nil {
		return nil, err
	}
	exec, err := remotecommand.NewWebSocketExecutor(k.config, http.MethodGet, req.URL().String())
	if err == nil {
		exec, err = remotecommand.NewFallbackExecutor(exec, old, func(err error) bool {
			return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
		})
	}
	if err != nil {
		return nil, err
	}
	// It outlives the look that opens it.
	ctx, stop := context.WithCancel(klog.NewContext(context.Background(), klog.Logger{}))
	stdin, in := io.Pipe()
	out, stdout := io.Pipe()
	s := &probeStream{in: in, stop: stop, waiting: map[int]chan probed{}, used: time.Now()}
	s.idle = time.AfterFunc(probeIdle, s.rest)
	go func() {
		err := exec.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: stdin, Stdout: stdout})
		if err == nil {
			err = errors.New("it ended")
		}
		_ = stdout.CloseWithError(err)
		_ = stdin.CloseWithError(err)
	}()
	go s.read(out)
	return s, nil
}

// rest ends the stream when nobody has used it for a while, and looks again later
// otherwise.
func (s *probeStream) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch unused := time.Since(s.used); {
	case s.err != nil:
	case len(s.waiting) > 0:
		s.idle.Reset(probeIdle)
	case unused < probeIdle:
		s.idle.Reset(probeIdle - unused)
	default:
		s.err = errIdle
		s.stop()
	}
}

// read hands out the answers until the stream ends.
func (s *probeStream) read(out *io.PipeReader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var a probed
		if json.Unmarshal(lines.Bytes(), &a) != nil {
			continue
		}
		s.mu.Lock()
		if c := s.waiting[a.ID]; c != nil {
			delete(s.waiting, a.ID)
			c <- a // it holds one
		}
		s.mu.Unlock()
	}
	err := lines.Err()
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	s.end(plainly(err))
	_ = out.CloseWithError(err)
}

func (s *probeStream) end(err error) {
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = fmt.Errorf("the connection to it broke off: %w", err)
	}
	for id, c := range s.waiting {
		delete(s.waiting, id)
		close(c)
	}
}

func (s *probeStream) open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err == nil
}

// ask sends one request and waits for its answer.
func (s *probeStream) ask(ctx context.Context, p probing) (probed, error) {
	answer := make(chan probed, 1)
	s.mu.Lock()
	if s.err != nil {
		defer s.mu.Unlock()
		return probed{}, s.err
	}
	s.next++
	s.used = time.Now()
	p.ID = s.next
	s.waiting[p.ID] = answer
	s.mu.Unlock()
	if err := s.send(p); err != nil {
		s.end(plainly(err))
		return probed{}, s.err
	}
	select {
	case a, ok := <-answer:
		if !ok {
			return a, s.err
		}
		return a, nil
	case <-ctx.Done():
		s.mu.Lock()
		delete(s.waiting, p.ID)
		s.mu.Unlock()
		go func() { _ = s.send(probing{ID: p.ID, Cancel: true}) }()
		return probed{}, plainly(ctx.Err())
	}
}

func (s *probeStream) send(p probing) error {
	line, err := json.Marshal(p)
	if err != nil {
		return err
	}
	_, err = s.in.Write(append(line, '\n')) // a pipe takes one write at a time
	return err
}
