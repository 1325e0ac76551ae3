package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"sync"
	"time"
)

const (
	maxLine  = 1024            // bytes of one line
	lineIdle = 2 * time.Minute // how long a connection may say nothing
)

// A lineServer is what the application speaks besides HTTP: each line comes back behind the version. It is the smallest
// protocol of its own that shows who has answered.
type lineServer struct {
	cfg  config
	log  *log.Logger
	idle time.Duration

	mu     sync.Mutex        // guards what follows
	open   map[net.Conn]bool // true in the middle of a line
	ending bool
	all    sync.WaitGroup
}

func newLineServer(cfg config, log *log.Logger) *lineServer {
	return &lineServer{cfg: cfg, log: log, idle: lineIdle, open: map[net.Conn]bool{}}
}

// serve answers until the listener is closed.
func (s *lineServer) serve(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		} else if err != nil {
			return err
		}
		s.take(conn)
	}
}

func (s *lineServer) take(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		conn.Close()
		return
	}
	s.open[conn] = false
	s.all.Go(func() {
		s.talk(conn)
		conn.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, conn)
	})
}

// talk answers the lines of a connection, one after the other.
func (s *lineServer) talk(conn net.Conn) {
	in := bufio.NewReaderSize(conn, maxLine)
	for {
		if !s.mark(conn, false) {
			return
		}
		if _, err := in.Peek(1); err != nil {
			return
		}
		s.mark(conn, true)
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			fmt.Fprintf(conn, "%s the line is longer than %d bytes\n", s.cfg.version, maxLine)
			return
		} else if err != nil {
			return
		}
		s.log.Printf("LINE %s %s %s", short(string(line[:len(line)-1]), 100), s.cfg.version, s.cfg.pod)
		if _, err := fmt.Fprintf(conn, "%s %s", s.cfg.version, line); err != nil {
			return
		}
	}
}

// mark notes whether a connection is in the middle of a line, and gives it time for what comes next. It is false when
// there is to be no next line.
func (s *lineServer) mark(conn net.Conn, busy bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[conn] = busy
	if s.ending && !busy {
		return false
	}
	return conn.SetDeadline(time.Now().Add(s.idle)) == nil
}

// shutdown takes no new line, waits for the answers to those that have begun, and cuts off what is left when the context
// ends.
func (s *lineServer) shutdown(ctx context.Context) error {
	s.each(func(conn net.Conn, busy bool) {
		if !busy {
			conn.Close()
		}
	})
	done := make(chan struct{})
	go func() {
		s.all.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.each(func(conn net.Conn, _ bool) { conn.Close() })
		<-done
		return ctx.Err()
	}
}

// each visits the open connections, after which there are no new ones.
func (s *lineServer) each(visit func(conn net.Conn, busy bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = true
	for conn, busy := range s.open {
		visit(conn, busy)
	}
}
