// Command kindlab gives a place to learn containers and Kubernetes by doing: it
// makes the environment, serves the course, and says of each exercise whether it
// works, or why not.
//
// This package is flags, wiring and rendering: one file a command. What is decided
// is decided in the packages it wires: labs, content, provision, checker, site.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/kindlab/kindlab/provision"
	"k8s.io/klog/v2"
)

// Exit codes.
const (
	exitSolved    = 0
	exitNotSolved = 1 // a task is not solved, a proof has a hole
	exitCannot    = 2 // it could not run
)

func main() {
	if tool, args := calledAs(os.Args); tool != "" {
		os.Exit(runTool(tool, args))
	}
	// Libraries below us log on their own; what matters of it comes back as errors.
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	log.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)
	stop()
	os.Exit(code)
}

// errNotSolved makes the exit code 1. What is not solved has been said by then.
var errNotSolved = errors.New("not solved yet")

// run is kindlab with everything from outside given.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer, env func(string) string) int {
	a := newApp(in, out, errOut, env)
	root := newRoot(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitSolved
	case errors.Is(err, errNotSolved):
		return exitNotSolved
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(errOut, "kindlab: interrupted; run the same command again to go on")
		return exitCannot
	}
	fmt.Fprintf(errOut, "%s %v\n", a.paint(red, "kindlab:"), err)
	var hinted *provision.Hinted
	if errors.As(err, &hinted) {
		fmt.Fprintf(errOut, "%s %s\n", a.paint(bold, "next:"), hinted.Hint)
	}
	return exitCannot
}
