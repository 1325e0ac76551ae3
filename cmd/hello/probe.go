package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// A probing is one line of what probe reads: run a mode, in the network of a pod of
// this node when one is named, or break off the one with that id.
type probing struct {
	ID     int      `json:"id"`
	Args   []string `json:"args"`
	Pod    string   `json:"pod,omitempty"` // its uid
	Cancel bool     `json:"cancel,omitempty"`
}

// A probed is the line that answers a probing. Output is what the mode wrote; Error
// says why it could not be run.
type probed struct {
	ID     int    `json:"id"`
	Output string `json:"output"`
	Error  string `json:"error,omitempty"`
}

const (
	mostProbings   = 64      // at a time
	maxProbeOutput = 8 << 20 // of one, in bytes
)

// probe runs get and lookup for whoever writes lines of JSON to its stdin, many at a
// time, until stdin ends. What they print comes back on stdout, a line for each.
func probe(ctx context.Context, p process, args []string) int {
	if len(args) > 0 {
		return p.misused("probe", "", errors.New("it takes no arguments"))
	}
	ctx, cancel := p.untilSignal(ctx)
	defer cancel()
	s := &prober{p: p, running: map[int]context.CancelFunc{}, slots: make(chan struct{}, mostProbings)}
	lines := bufio.NewScanner(p.stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var asked probing
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			s.answer(probed{Error: "not a line of JSON: " + err.Error()})
			continue
		}
		s.take(ctx, asked)
	}
	cancel()
	s.all.Wait()
	return exitOK
}

type prober struct {
	p     process
	slots chan struct{}
	all   sync.WaitGroup

	mu      sync.Mutex // guards what follows, and stdout
	running map[int]context.CancelFunc
}

func (s *prober) answer(a probed) {
	line, err := json.Marshal(a)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.p.stdout.Write(append(line, '\n'))
}

func (s *prober) take(ctx context.Context, asked probing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if asked.Cancel {
		if stop := s.running[asked.ID]; stop != nil {
			stop()
		}
		return
	}
	ctx, stop := context.WithCancel(ctx)
	s.running[asked.ID] = stop
	s.all.Go(func() {
		defer func() {
			stop()
			s.mu.Lock()
			delete(s.running, asked.ID)
			s.mu.Unlock()
		}()
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		defer func() { <-s.slots }()
		out, err := s.run(ctx, asked)
		a := probed{ID: asked.ID, Output: out}
		if err != nil {
			a.Error = err.Error()
		}
		s.answer(a)
	})
}

// run runs one of the modes that ask for something.
func (s *prober) run(ctx context.Context, asked probing) (string, error) {
	if len(asked.Args) == 0 || asked.Args[0] != "get" && asked.Args[0] != "lookup" {
		return "", fmt.Errorf("only get and lookup can be asked for, not %q", strings.Join(asked.Args, " "))
	}
	out := &capped{most: maxProbeOutput}
	own := s.p
	own.stdout, own.stderr, own.signals = out, io.Discard, nil
	if asked.Pod != "" {
		pid, err := processOf(os.DirFS("/proc"), asked.Pod)
		if err != nil {
			return "", err
		}
		network, err := os.Open(filepath.Join("/proc", pid, "ns", "net"))
		if err != nil {
			return "", fmt.Errorf("finding the pod's network: %w", err)
		}
		defer network.Close()
		own.dial = dialIn(network)
	}
	own.run(ctx, asked.Args)
	return out.String(), nil
}

// capped keeps the first bytes that are written and swallows the rest.
type capped struct {
	bytes.Buffer
	most int
}

func (c *capped) Write(p []byte) (int, error) {
	c.Buffer.Write(p[:min(len(p), max(0, c.most-c.Len()))])
	return len(p), nil
}
