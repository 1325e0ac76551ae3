package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A console is what a process wrote so far.
type console struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.Write(b)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String()
}

// A testProcess is a process that a test can look at.
type testProcess struct {
	process
	out, err *console
	signals  chan os.Signal
}

func newProcess(environ ...string) testProcess {
	p := testProcess{out: new(console), err: new(console), signals: make(chan os.Signal, 4)}
	p.process = process{environ: environ, hostname: "host-1", signals: p.signals, stdout: p.out, stderr: p.err}
	return p
}

func TestModes(t *testing.T) {
	for name, c := range map[string]struct {
		args     []string
		environ  []string
		code     int
		out, err string // parts of what is printed
	}{
		"help":                   {args: []string{"help"}, out: "load    send requests"},
		"unknown mode":           {args: []string{"dance"}, code: exitUsage, err: "unknown mode \"dance\"\nusage: hello [mode]"},
		"unknown flag as mode":   {args: []string{"-dance"}, code: exitUsage, err: "usage: hello [mode]"},
		"help of a mode":         {args: []string{"get", "-h"}, out: "usage: hello get [-n N] [-c N] [-o text|json]"},
		"once":                   {args: []string{"once", "abc"}, out: "abc\n"},
		"once by variable":       {args: []string{"once"}, environ: []string{"TOKEN=xyz"}, out: "xyz\n"},
		"once argument wins":     {args: []string{"once", "abc"}, environ: []string{"TOKEN=xyz"}, out: "abc\n"},
		"once without a token":   {args: []string{"once"}, code: exitUsage, err: "no token"},
		"once with too much":     {args: []string{"once", "a", "b"}, code: exitUsage, err: `unexpected argument "b"`},
		"client takes nothing":   {args: []string{"client", "x"}, code: exitUsage, err: `unexpected argument "x"`},
		"serve takes nothing":    {args: []string{"serve", "x"}, code: exitUsage, err: `unexpected argument "x"`},
		"serve, bad variable":    {args: []string{"serve"}, environ: []string{"PORT=x"}, code: exitUsage, err: "PORT=x: not a number"},
		"serve is the default":   {environ: []string{"PORT=x"}, code: exitUsage, err: "PORT=x: not a number"},
		"serve crashes as told":  {environ: []string{"CRASH=no licence"}, code: exitFailed, err: "hello: fatal: no licence\n"},
		"serve, no such address": {environ: []string{"LISTEN_HOST=256.0.0.1"}, code: exitFailed, err: "hello: fatal: listen"},
		"get without URL":        {args: []string{"get"}, code: exitUsage, err: "give one URL\nusage: hello get"},
		"get, two URLs":          {args: []string{"get", "a", "b"}, code: exitUsage, err: "give one URL"},
		"get, not a URL":         {args: []string{"get", "ftp://x"}, code: exitUsage, err: "not a web address"},
		"get, bad header":        {args: []string{"get", "-H", "x", "a"}, code: exitUsage, err: "not a header"},
		"get, bad format":        {args: []string{"get", "-o", "xml", "a"}, code: exitUsage, err: "-o xml"},
		"get, bad flag":          {args: []string{"get", "-z", "a"}, code: exitUsage, err: "-z"},
		"get, none at once":      {args: []string{"get", "-c", "0", "a"}, code: exitUsage, err: "-c"},
		"get, bad timeout":       {args: []string{"get", "-timeout", "0s", "a"}, code: exitUsage, err: "-timeout"},
		"lookup without name":    {args: []string{"lookup"}, code: exitUsage, err: "give a name"},
		"lookup, bad format":     {args: []string{"lookup", "-o", "xml", "a"}, code: exitUsage, err: "-o xml"},
		"load without URL":       {args: []string{"load"}, code: exitUsage, err: "give one URL"},
		"load, bad rate":         {args: []string{"load", "-rate", "5/h", "a"}, code: exitUsage, err: "-rate 5/h: not a rate"},
		"load, bad concurrency":  {args: []string{"load", "-c", "1001", "a"}, code: exitUsage, err: "-c: must be"},
		"load, bad time":         {args: []string{"load", "-for", "-1s", "a"}, code: exitUsage, err: "-for"},
		"load, bad listener":     {args: []string{"load", "-listen", "nowhere", "a"}, code: exitFailed, err: "hello load: listen"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProcess(c.environ...)
			assert.Equal(t, c.code, p.run(t.Context(), c.args))
			assert.Contains(t, p.out.String(), c.out)
			assert.Contains(t, p.err.String(), c.err)
			if c.err == "" {
				assert.Empty(t, p.err.String())
			}
		})
	}
}

func TestUsageListsAllModes(t *testing.T) {
	p := newProcess()
	p.run(t.Context(), []string{"help"})
	for _, m := range modes() {
		assert.Contains(t, p.out.String(), "  "+m.name+" ")
	}
}

func TestClientEndsAtASignal(t *testing.T) {
	p := newProcess()
	p.signals <- syscall.SIGTERM
	assert.Equal(t, exitOK, p.run(t.Context(), []string{"client"}))
	assert.Contains(t, p.out.String(), "idle")
}

func TestLastWords(t *testing.T) {
	log := filepath.Join(t.TempDir(), "termination-log")
	p := newProcess("CRASH=boom", "TERMINATION_MESSAGE=it was the licence")
	p.terminationLog = log

	p.run(t.Context(), nil)
	assert.NoFileExists(t, log, "it is made by the kubelet, or not at all")

	require.NoError(t, os.WriteFile(log, nil, 0o600))
	p.run(t.Context(), nil)
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	assert.Equal(t, "it was the licence\n", string(text))
}

func TestFlagsMayFollowArguments(t *testing.T) {
	p := newProcess()
	g, err := parseGet(p.process, strings.Fields("hello:3000/api -o json -timeout 1s"))
	require.NoError(t, err)
	assert.True(t, g.asJSON)
	assert.Equal(t, "http://hello:3000/api", g.url)
	assert.Equal(t, "1s", g.timeout.String())
	assert.Equal(t, 1, g.times)
}
