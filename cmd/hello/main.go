// Command hello is the sample application of the labs: one static binary, made for an image that holds nothing else.
// Its first argument is its mode: a web application that identifies itself in every answer, and with TCP_PORT in a
// protocol of lines too (serve), the clients that talk to it (get, lookup, load, probe), one that asks what was counted
// (query), and the smallest processes a container can run (client, once).
//
// Everything it does can be predicted: faults follow a counter instead of a dice, every request gets an answer, and a
// request that has begun is finished before the process ends. It is configured by environment variables alone (see
// [config]) and knows nothing of labs, checks, or Kubernetes beyond the names that the downward API hands to it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	exitOK     = 0
	exitFailed = 1 // what was asked for did not succeed
	exitUsage  = 2 // what was asked for makes no sense
)

func main() {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	hostname, _ := os.Hostname()
	p := process{
		environ:        os.Environ(),
		hostname:       hostname,
		signals:        signals,
		terminationLog: "/dev/termination-log",
		stdin:          os.Stdin,
		stdout:         os.Stdout,
		stderr:         os.Stderr,
	}
	os.Exit(p.run(context.Background(), os.Args[1:]))
}

// A process is all that a mode gets from the operating system.
type process struct {
	environ        []string
	hostname       string
	signals        <-chan os.Signal
	terminationLog string
	stdin          io.Reader
	stdout, stderr io.Writer
	dial           dialFunc // nil: in its own network
}

// A mode is one thing that the program can be.
type mode struct {
	name, args, about string
	run               func(ctx context.Context, p process, args []string) int
}

func modes() []mode {
	return []mode{
		{"serve", "", "the web application (this is the default)", serve},
		{"client", "", "idle until stopped: a place to run the other modes from", client},
		{"get", getArgs, "send a request, or several, and print the answer", get},
		{"lookup", lookupArgs, "resolve names", lookup},
		{"load", loadArgs, "send requests at a steady pace and report on the answers", load},
		{"query", queryArgs, "ask Prometheus and print a line for each series", query},
		{"probe", "", "run get and lookup for whoever writes lines of JSON to stdin", probe},
		{"once", onceArgs, "print a token and end", once},
	}
}

// run is the whole program: it picks the mode and returns the exit code.
func (p process) run(ctx context.Context, args []string) int {
	name := "serve"
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	for _, m := range modes() {
		if m.name == name {
			return m.run(ctx, p, args)
		}
	}
	switch name {
	case "help", "-h", "-help", "--help":
		usage(p.stdout)
		return exitOK
	}
	fmt.Fprintf(p.stderr, "hello: unknown mode %q\n", name)
	usage(p.stderr)
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: hello [mode] [arguments]\n\n")
	for _, m := range modes() {
		fmt.Fprintf(w, "  %-8s%s\n", m.name, m.about)
		if m.args != "" {
			fmt.Fprintf(w, "  %-8s%s\n", "", m.args)
		}
	}
}

// getenv is the value of an environment variable, empty when it is not set.
func (p process) getenv(name string) string {
	for _, pair := range p.environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// untilSignal is a context that ends at the first signal.
func (p process) untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-p.signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// parse reads the flags of a mode, which may stand before and after its arguments, and returns the arguments.
func parse(p process, flags *flag.FlagSet, synopsis string, args []string) ([]string, error) {
	flags.SetOutput(io.Discard)
	var rest []string
	for {
		err := flags.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(p.stdout, "usage: hello %s %s\n\n", flags.Name(), synopsis)
			flags.SetOutput(p.stdout)
			flags.PrintDefaults()
		}
		if err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return rest, nil
		}
		rest, args = append(rest, flags.Arg(0)), flags.Args()[1:]
	}
}

// misused reports a wrong command line.
func (p process) misused(name, synopsis string, err error) int {
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	fmt.Fprintf(p.stderr, "hello %s: %v\nusage: hello %[1]s %[3]s\n", name, err, synopsis)
	return exitUsage
}

// pause waits, unless the context ends first: then it is false.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
