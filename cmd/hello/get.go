package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const getArgs = "[-n N] [-c N] [-o text|json] [-H 'name: value']... [-timeout 3s] [-X METHOD] [-line LINE]... URL"

// A fetched is the JSON of get.
type fetched struct {
	Status    int               `json:"status"`
	Headers   map[string]string `json:"headers"`
	Body      string            `json:"body"`
	Truncated bool              `json:"truncated,omitempty"`
	Error     string            `json:"error"`
	Kind      string            `json:"kind"`
	Ms        int64             `json:"ms"`
}

// A getting is what get was asked for.
type getting struct {
	request
	lines  lines // to a tcp address, in place of the request
	times  int
	atOnce int
	asJSON bool
}

// get sends requests, each on a connection of its own, up to the first that is not answered: one after the other, or
// some at a time, which are answered in any order. As text it prints the bodies and fails when an answer is an error; as
// JSON it prints a line for each and does not fail, since the failure is the result. A tcp address gets lines instead of
// a request.
func get(ctx context.Context, p process, args []string) int {
	g, err := parseGet(p, args)
	if err != nil {
		return p.misused("get", getArgs, err)
	}
	ctx, cancel := p.untilSignal(ctx)
	defer cancel()
	return g.send(ctx, p)
}

func (g getting) send(ctx context.Context, p process) int {
	var (
		mu   sync.Mutex // guards what follows, and the output
		code = exitOK
		left = g.times
		stop bool
		all  sync.WaitGroup
	)
	next := func() bool {
		mu.Lock()
		defer mu.Unlock()
		if stop || left == 0 || left < g.times && ctx.Err() != nil {
			return false
		}
		left--
		return true
	}
	for range min(g.atOnce, g.times) {
		all.Go(func() {
			for next() {
				a := g.ask(ctx, p)
				mu.Lock()
				if g.asJSON {
					code = max(code, printFetched(p, a))
				} else {
					code = max(code, printAnswer(p, g.url, a))
				}
				stop = stop || a.err != nil // the others would wait as long for nothing
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return code
}

func (g getting) ask(ctx context.Context, p process) answer {
	if host, is := strings.CutPrefix(g.url, tcpPrefix); is {
		return p.exchange(ctx, host, g.lines, g.timeout)
	}
	return fetch(ctx, p.client(), g.request)
}

// printAnswer prints an answer for people: the body to stdout, what else there is to say to stderr.
func printAnswer(p process, url string, a answer) int {
	_, _ = p.stdout.Write(a.body)
	if a.status != 0 {
		fmt.Fprintf(p.stderr, "HTTP %d %s, %d ms\n", a.status, http.StatusText(a.status), a.took.Milliseconds())
	}
	if a.truncated {
		fmt.Fprintf(p.stderr, "hello get: only the first %d bytes were read\n", maxBody)
	}
	if a.err != nil {
		fmt.Fprintf(p.stderr, "hello get: %s: %v\n", url, a.err)
	}
	if a.err != nil || a.status >= 400 {
		return exitFailed
	}
	return exitOK
}

func parseGet(p process, args []string) (getting, error) {
	flags := flag.NewFlagSet("get", flag.ContinueOnError)
	g := getting{request: request{header: http.Header{}}}
	format := flags.String("o", "text", "print the body as `text`, or a report as json")
	flags.IntVar(&g.times, "n", 1, "send this `number` of requests")
	flags.IntVar(&g.atOnce, "c", 1, "have this `number` of them under way at a time")
	flags.Var(headers(g.header), "H", "send a `header`")
	flags.DurationVar(&g.timeout, "timeout", 3*time.Second, "give up after this `time`")
	flags.StringVar(&g.method, "X", http.MethodGet, "the `method`")
	flags.Var(&g.lines, "line", "to tcp://HOST:PORT: send a `line` and wait for the one that comes back; without one a line is sent that greets")
	rest, err := parse(p, flags, getArgs, args)
	if err != nil {
		return getting{}, err
	}
	switch {
	case len(rest) != 1:
		return getting{}, errors.New("give one URL")
	case g.timeout <= 0:
		return getting{}, errors.New("-timeout: must be more than nothing")
	case g.times < 1:
		return getting{}, errors.New("-n: must be at least 1")
	case g.atOnce < 1:
		return getting{}, errors.New("-c: must be at least 1")
	}
	if g.url, err = g.address(rest[0]); err != nil {
		return getting{}, err
	}
	g.asJSON, err = wantsJSON(*format)
	return g, err
}

// address reads the address of get: of all modes it alone also knows tcp.
func (g getting) address(s string) (string, error) {
	host, is := strings.CutPrefix(s, tcpPrefix)
	switch {
	case !is && len(g.lines) > 0:
		return "", fmt.Errorf("-line: %q is not an address such as tcp://echo:9000", s)
	case !is:
		return address(s)
	case len(g.header) > 0 || g.method != http.MethodGet:
		return "", errors.New("-H and -X: there is no such thing in TCP")
	}
	if name, port, err := net.SplitHostPort(host); err != nil || name == "" || port == "" {
		return "", fmt.Errorf("%q is not an address such as tcp://echo:9000", s)
	}
	return s, nil
}

func printFetched(p process, a answer) int {
	f := fetched{
		Status: a.status, Headers: map[string]string{}, Body: string(a.body), Truncated: a.truncated,
		Kind: a.kind, Ms: a.took.Milliseconds(),
	}
	for name, values := range a.header {
		f.Headers[name] = strings.Join(values, ", ")
	}
	if a.err != nil {
		f.Error = a.err.Error()
	}
	return p.printJSON(f)
}

// printJSON prints a result for programs, on one line.
func (p process) printJSON(v any) int {
	enc := json.NewEncoder(p.stdout)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		fmt.Fprintf(p.stderr, "hello: printing the result: %v\n", err)
		return exitFailed
	}
	return exitOK
}
