// Command registry is the image registry that runs beside the clusters: it keeps what is pushed to it in a directory,
// so that it can be stopped and started again. It asks for no password and has no TLS, and knows nothing of clusters.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stderr))
}

// run serves until the context ends.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("registry", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", ":5000", "listen on this `address`")
	dir := flags.String("dir", "/data", "keep the images in this `directory`")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if err := serve(ctx, *addr, *dir, log.New(stderr, "", log.LstdFlags)); err != nil {
		fmt.Fprintf(stderr, "registry: %v\n", err)
		return 2
	}
	return 0
}

func serve(ctx context.Context, addr, dir string, log *log.Logger) error {
	s, err := openStore(dir, log)
	if err != nil {
		return fmt.Errorf("opening %s: %w", dir, err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	log.Printf("registry listening on %s, images in %s", l.Addr(), dir)
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	moment, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = srv.Shutdown(moment) // what is not done by then is not finished: clients push again
	return nil
}
