package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// runInNetwork runs this program again, as one more process in another network
// namespace. A failure that it reports by its exit code is in its output.
func runInNetwork(ctx context.Context, namespace string, args []string, out io.Writer) error {
	errs := make(chan error, 1)
	go func() {
		// The thread is never unlocked: it ends with this goroutine, since it is of no
		// use in another namespace.
		runtime.LockOSThread()
		errs <- runHere(ctx, namespace, args, out)
	}()
	return <-errs
}

func runHere(ctx context.Context, namespace string, args []string, out io.Writer) error {
	f, err := os.Open(namespace)
	if err != nil {
		return fmt.Errorf("finding the pod's network: %w", err)
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering the pod's network: %w", err)
	}
	c := exec.CommandContext(ctx, "/proc/self/exe", args...)
	c.Stdout = out
	c.WaitDelay = time.Second
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = c.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) && ctx.Err() == nil {
		return nil
	}
	return err
}
