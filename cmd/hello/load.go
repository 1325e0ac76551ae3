package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const loadArgs = "[-n N] [-for 30s] [-rate 10/s] [-c N] [-timeout 2s] [-H 'name: value']... [-once-ready] " +
	"[-listen :3000] [-o text|json] URL"

const (
	defaultRequests = 100
	readyPatience   = 2 * time.Minute
)

// loadOptions are the command line of load.
type loadOptions struct {
	plan
	request request
	listen  string
	asJSON  bool
}

// finite tells whether the run ends by itself.
func (o loadOptions) finite() bool { return o.listen == "" && (o.n > 0 || o.lasts > 0) }

// load sends requests and reports. Without -listen it fails when a request was lost; with it, it goes on until it is
// stopped and tells its report to whoever asks.
func load(ctx context.Context, p process, args []string) int {
	o, err := parseLoad(p, args)
	if err != nil {
		return p.misused("load", loadArgs, err)
	}
	ctx, cancel := p.untilSignal(ctx)
	defer cancel()
	client := newClient()
	run := newPacer(o.plan, func(ctx context.Context) answer { return fetch(ctx, client, o.request) })
	if o.listen != "" {
		l, err := net.Listen("tcp", o.listen)
		if err != nil {
			fmt.Fprintf(p.stderr, "hello load: %v\n", err)
			return exitFailed
		}
		fmt.Fprintf(p.stderr, "hello load: report on http://%s/report\n", l.Addr())
		srv := &http.Server{Handler: run.handler(), ReadHeaderTimeout: 10 * time.Second}
		defer srv.Close()
		go func() { _ = srv.Serve(l) }()
	}
	quiet := func() {}
	if !o.asJSON {
		quiet = run.progress(p.stderr)
	}
	run.run(ctx)
	quiet()
	if o.listen != "" {
		<-ctx.Done()
	}
	return p.printReport(run.report(), o)
}

func (p process) printReport(r report, o loadOptions) int {
	if o.asJSON {
		if code := p.printJSON(r); code != exitOK {
			return code
		}
	} else {
		r.print(p.stdout)
	}
	switch {
	case !o.finite():
	case r.Waiting:
		fmt.Fprintf(p.stderr, "hello load: no success within %v\n", o.patience)
		return exitFailed
	case r.Lost > 0:
		return exitFailed
	}
	return exitOK
}

func parseLoad(p process, args []string) (loadOptions, error) {
	o := loadOptions{request: request{method: http.MethodGet, header: http.Header{}}}
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.IntVar(&o.n, "n", -1, "send so many; 0 is without end (100, unless there is -for or -listen)")
	flags.DurationVar(&o.lasts, "for", 0, "send for this `time`")
	pace := flags.String("rate", "10/s", "send so many per second; 0 is as fast as -c allows")
	flags.IntVar(&o.inFlight, "c", 0, "have at most so many in flight (as many as the rate needs; 1 when that is 0)")
	flags.DurationVar(&o.request.timeout, "timeout", 2*time.Second, "a request is lost after this `time`")
	flags.Var(headers(o.request.header), "H", "send a `header`")
	flags.BoolVar(&o.onceReady, "once-ready", false, "count from the first success on")
	flags.StringVar(&o.listen, "listen", "", "serve GET /report and POST /reset on this `address`, until stopped")
	format := flags.String("o", "text", "report as `text` or json")
	rest, err := parse(p, flags, loadArgs, args)
	if err != nil {
		return o, err
	}
	if len(rest) != 1 {
		return o, errors.New("give one URL")
	}
	if o.url, err = address(rest[0]); err != nil {
		return o, err
	}
	o.request.url = o.url
	if o.asJSON, err = wantsJSON(*format); err != nil {
		return o, err
	}
	perSecond, err := parsePace(*pace)
	if err != nil {
		return o, fmt.Errorf("-rate %s: %w", *pace, err)
	}
	return o.settle(perSecond)
}

// settle checks the numbers and fills in those that follow from others.
func (o loadOptions) settle(perSecond float64) (loadOptions, error) {
	switch {
	case o.n < -1 || o.lasts < 0:
		return o, errors.New("-n and -for: must not be less than nothing")
	case o.request.timeout <= 0:
		return o, errors.New("-timeout: must be more than nothing")
	case o.inFlight < 0 || o.inFlight > 1000:
		return o, errors.New("-c: must be from 1 to 1000")
	}
	if o.n == -1 {
		o.n = 0
		if o.lasts == 0 && o.listen == "" {
			o.n = defaultRequests
		}
	}
	if perSecond > 0 {
		o.interval = time.Duration(float64(time.Second) / perSecond)
	}
	if o.inFlight == 0 {
		o.inFlight = int(min(perSecond*o.request.timeout.Seconds()+1, 1000))
	}
	if o.finite() {
		o.patience = readyPatience
	}
	return o, nil
}

// parsePace reads 20, 20/s or 90/m as requests per second.
func parsePace(s string) (float64, error) {
	number, unit, _ := strings.Cut(s, "/")
	perSecond, err := strconv.ParseFloat(number, 64)
	switch unit {
	case "s":
	case "m":
		perSecond /= 60
	default:
		if strings.Contains(s, "/") {
			return 0, errors.New("not a rate such as 20/s or 90/m")
		}
	}
	if err != nil || math.IsNaN(perSecond) {
		return 0, errors.New("not a rate such as 20/s or 90/m")
	}
	if perSecond != 0 && (perSecond < 0.001 || perSecond > 10_000) {
		return 0, errors.New("not from 0.001 to 10000 per second")
	}
	return perSecond, nil
}

// progress prints a line for each second in which something happened, until it is told to be quiet.
func (p *pacer) progress(w io.Writer) (quiet func()) {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		for more := true; more; {
			more = pause(ctx, time.Second)
			if c := p.sinceLast(); c.sent > 0 || c.done > 0 {
				fmt.Fprintf(w, "%s  sent %d  ok %d  lost %d  %s\n", time.Now().UTC().Format(time.TimeOnly),
					c.sent, c.ok, c.lost, listed(c.versions, c.byVersion))
			}
		}
	}()
	return func() { cancel(); <-over }
}

// handler tells the report to whoever asks.
func (p *pacer) handler() http.Handler {
	mux := http.NewServeMux()
	write := func(w http.ResponseWriter, r report) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(r) // the client may have left
	}
	mux.HandleFunc("GET /report", func(w http.ResponseWriter, _ *http.Request) { write(w, p.report()) })
	mux.HandleFunc("POST /reset", func(w http.ResponseWriter, _ *http.Request) { write(w, p.reset()) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "healthy") })
	return mux
}
