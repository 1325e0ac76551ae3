package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// dialIn makes connections in a network namespace, to addresses that are numbers. A
// socket belongs to the network that its thread is in when it is made, and works from
// everywhere then.
func dialIn(namespace *os.File) dialFunc {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			// The thread is never unlocked: it ends with this goroutine, since it is of no
			// use in another namespace.
			runtime.LockOSThread()
			if err = unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
				err = fmt.Errorf("entering the pod's network: %w", err)
				return
			}
			conn, err = new(net.Dialer).DialContext(ctx, network, address)
		}()
		<-done
		return conn, err
	}
}
