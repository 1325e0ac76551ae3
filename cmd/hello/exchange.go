package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptrace"
	"strings"
	"time"
)

const tcpPrefix = "tcp://"

// defaultLine is long enough for whoever expects HTTP to see that it is none: the beginning of HTTP/2 has 24 bytes.
const defaultLine = "hello, is anybody there?"

// lines is the flag -line, which may be given several times.
type lines []string

func (l *lines) String() string { return "" }

func (l *lines) Set(s string) error {
	if strings.ContainsAny(s, "\r\n") {
		return errors.New("give one for each line")
	}
	*l = append(*l, s)
	return nil
}

// exchange opens one connection, and sends its lines on it, each when the one before has been answered by a line. The body
// of the answer is all that came.
func (p process) exchange(ctx context.Context, host string, send lines, timeout time.Duration) answer {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	step := new(progress)
	if len(send) == 0 {
		send = lines{defaultLine}
	}
	var a answer
	a.body, a.err = p.converse(httptrace.WithClientTrace(ctx, step.trace()), host, send, step)
	a.took = time.Since(begin)
	if a.err != nil {
		a.err, a.kind = explain(ctx, a.err, step, timeout)
	}
	return a
}

func (p process) converse(ctx context.Context, host string, send lines, step *progress) (body []byte, err error) {
	conn, err := p.dialName(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	step.step.Store(stepAnswer)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	in := bufio.NewReader(io.LimitReader(conn, maxBody))
	for _, line := range send {
		if _, err := fmt.Fprintln(conn, line); err != nil {
			return body, err
		}
		got, err := in.ReadBytes('\n')
		body = append(body, got...)
		if err != nil {
			return body, err
		}
	}
	return body, nil
}
