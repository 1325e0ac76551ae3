package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/kindlab/kindlab/provision"
)

// A pageServer answers requests until it is closed.
type pageServer interface {
	http.Handler
	Close()
}

// A door is where pages are served.
type door struct {
	listen string
	port   int              // or the next free one
	other  string           // a command that chooses another port
	cert   *tls.Certificate // nil for plain HTTP
}

// serveOn serves pages until ctx ends. ready is told where they are.
func (a *app) serveOn(ctx context.Context, pages pageServer, d door, ready func(url string)) error {
	port := provision.FreePort(d.port)
	listener, err := net.Listen("tcp", net.JoinHostPort(d.listen, strconv.Itoa(port)))
	if err != nil {
		pages.Close()
		return &provision.Hinted{Err: fmt.Errorf("serving the pages: %w", err), Hint: "choose another port: " + d.other}
	}
	server := &http.Server{Handler: pages, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.NewTextHandler(io.Discard, nil), slog.LevelError)}
	server.RegisterOnShutdown(pages.Close)
	serve := func() error { return server.Serve(listener) }
	if d.cert != nil {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*d.cert}}
		serve = func() error { return server.ServeTLS(listener, "", "") }
	}
	ready(pagesURL(d.listen, port, d.cert != nil))
	if port != d.port {
		fmt.Fprintf(a.err, "(port %d is taken, so it is %d)\n", d.port, port)
	}
	served := make(chan error, 1)
	go func() { served <- serve() }()
	select {
	case err := <-served:
		return fmt.Errorf("serving the pages: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := server.Shutdown(end); err != nil {
		_ = server.Close()
	}
	return nil
}

// pagesURL is how a browser finds what listens there.
func pagesURL(listen string, port int, secure bool) string {
	if ip := net.ParseIP(listen); ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) {
		listen = "localhost"
	}
	scheme := "http"
	if secure {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(listen, strconv.Itoa(port))
}

// hostNames are the names under which others reach a site that listens on an
// address beyond the loopback.
func hostNames(listen string) []string {
	ip := net.ParseIP(listen)
	if ip != nil && ip.IsLoopback() {
		return nil
	}
	names := []string{listen}
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	if addresses, err := net.InterfaceAddrs(); err == nil && ip.IsUnspecified() {
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok {
				names = append(names, n.IP.String())
			}
		}
	}
	return names
}
