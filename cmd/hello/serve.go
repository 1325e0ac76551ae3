package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

// serve is the web application, from its start to its last answer.
func serve(ctx context.Context, p process, args []string) int {
	if len(args) > 0 {
		return p.misused("serve", "", fmt.Errorf("unexpected argument %q (it is configured by variables)", args[0]))
	}
	cfg, err := readConfig(p.getenv, p.hostname)
	if err != nil {
		fmt.Fprintf(p.stderr, "hello: bad variables:\n%v\n", err)
		return exitUsage
	}
	defer p.lastWords(cfg.terminationMessage)
	if cfg.crash != "" {
		fmt.Fprintf(p.stderr, "hello: fatal: %s\n", cfg.crash)
		return exitFailed
	}
	s := &server{process: p, cfg: cfg, log: log.New(p.stdout, "", 0)}
	if s.stopped(ctx, cfg.startupDelay) {
		return exitOK
	}
	return s.run(ctx)
}

// lastWords are written where the kubelet reads them, and nowhere if there is no such place.
func (p process) lastWords(text string) {
	if text == "" {
		return
	}
	f, err := os.OpenFile(p.terminationLog, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintln(f, text)
}

// A server is the life of the web application.
type server struct {
	process
	cfg config
	log *log.Logger
}

// run listens, serves until it is told to stop, and ends well: it first says that it is not ready but still serves, so
// that the routes to it can be taken away, and then finishes what it has begun.
func (s *server) run(ctx context.Context) int {
	a := newApp(s.cfg, s.environ, s.log)
	front, err := s.listen(s.cfg.port)
	if err != nil {
		return s.fatal(err)
	}
	defer front.Close()
	s.log.Printf("%s %s listening on %s", s.cfg.name, s.cfg.version, front.Addr())
	handler, failed := a.handler(), make(chan error, 3)
	if s.cfg.adminPort != 0 {
		admin, err := s.listen(s.cfg.adminPort)
		if err != nil {
			return s.fatal(err)
		}
		s.log.Printf("%s %s admin on %s", s.cfg.name, s.cfg.version, admin.Addr())
		side := s.serve(admin, a.adminHandler(), failed)
		defer side.Close()
	} else {
		handler = a.handlerWithAdmin()
	}
	srv := s.serve(front, handler, failed)
	defer srv.Close()
	lines := newLineServer(s.cfg, s.log)
	if s.cfg.tcpPort != 0 {
		side, err := s.listen(s.cfg.tcpPort)
		if err != nil {
			return s.fatal(err)
		}
		defer side.Close()
		s.log.Printf("%s %s lines on %s", s.cfg.name, s.cfg.version, side.Addr())
		go func() {
			if err := lines.serve(side); err != nil {
				failed <- err
			}
		}()
	}

	hurry := false
	for running := true; running; {
		select {
		case code := <-a.crash:
			return code
		case err := <-failed:
			return s.fatal(err)
		case sig := <-s.signals:
			running, hurry = s.ignored(sig), sig == os.Interrupt
		case <-ctx.Done():
			running = false
		}
	}

	a.draining.Store(true)
	if !hurry {
		s.log.Printf("stopping: not ready any more, still serving for %v", s.cfg.shutdownDelay)
		select {
		case <-time.After(s.cfg.shutdownDelay):
		case <-s.signals:
		case code := <-a.crash:
			return code
		}
	}
	s.log.Print("stopping: finishing requests in flight")
	if err := s.drain(ctx, srv, lines); err != nil {
		return s.fatal(fmt.Errorf("requests in flight were cut off: %w", err))
	}
	s.log.Print("stopped")
	return exitOK
}

func (s *server) listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(s.cfg.listenHost, strconv.Itoa(port)))
}

func (s *server) serve(l net.Listener, h http.Handler, failed chan<- error) *http.Server {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          log.New(s.stderr, "hello: ", 0),
	}
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	return srv
}

// drain finishes the requests in flight, for no longer than the drain timeout and not after another signal.
func (s *server) drain(ctx context.Context, srv *http.Server, lines *lineServer) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.drainTimeout)
	defer cancel()
	ctx, stop := s.untilSignal(ctx)
	defer stop()
	return errors.Join(srv.Shutdown(ctx), lines.shutdown(ctx))
}

// stopped waits, and tells whether the process was told to end in the meantime.
func (s *server) stopped(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return false
		case <-ctx.Done():
			return true
		case sig := <-s.signals:
			if !s.ignored(sig) {
				return true
			}
		}
	}
}

func (s *server) ignored(sig os.Signal) bool {
	if sig != syscall.SIGTERM || !s.cfg.ignoreSIGTERM {
		return false
	}
	s.log.Print("SIGTERM ignored, as IGNORE_SIGTERM says")
	return true
}

func (s *server) fatal(err error) int {
	fmt.Fprintf(s.stderr, "hello: fatal: %v\n", err)
	return exitFailed
}
