package checker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func portOf(u *url.URL) int {
	if n, err := strconv.Atoi(u.Port()); err == nil {
		return n
	}
	if u.Scheme == "https" {
		return 443
	}
	return 80
}

// askHost sends the requests from this machine, to this machine only. It stops
// at the first that gets no answer.
func (c *httpCheck) askHost(ctx context.Context, _ *Target, u *url.URL) ([]httpAnswer, error) {
	// A course may name any host; what it resolves to is checked too.
	dialer := &net.Dialer{Timeout: answerTime, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil || !at.Addr().Unmap().IsLoopback() {
			return fmt.Errorf("%s is not this machine", address)
		}
		return nil
	}}
	client := &http.Client{
		Timeout:   answerTime,
		Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, MaxResponseHeaderBytes: 1 << 16},
		CheckRedirect: func(next *http.Request, before []*http.Request) error {
			if next.URL.Host != u.Host || next.URL.Scheme != u.Scheme || len(before) > 5 {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	var (
		mu   sync.Mutex // guards what follows
		left = max(c.Times, 1)
		out  []httpAnswer
		all  sync.WaitGroup
	)
	next := func() bool {
		mu.Lock()
		defer mu.Unlock()
		if left == 0 || ctx.Err() != nil {
			return false
		}
		left--
		return true
	}
	for range min(max(c.atOnce, 1), left) {
		all.Go(func() {
			for next() {
				a := c.ask(ctx, client)
				mu.Lock()
				if out = append(out, a); a.Error != "" {
					left = 0
				}
				mu.Unlock()
			}
		})
	}
	if all.Wait(); ctx.Err() != nil {
		return nil, fmt.Errorf("asking %s: %w", c.URL, ctx.Err())
	}
	return out, nil
}

func (c *httpCheck) ask(ctx context.Context, client *http.Client) httpAnswer {
	req, err := http.NewRequestWithContext(ctx, cmp.Or(c.Method, http.MethodGet), c.URL, nil)
	if err != nil {
		return httpAnswer{Error: err.Error(), Kind: kindOther}
	}
	for name, value := range c.Headers {
		req.Header.Set(name, value)
		if strings.EqualFold(name, "Host") {
			req.Host = value
		}
	}
	begin := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return failed(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return failed(err)
	}
	a := httpAnswer{Status: resp.StatusCode, Headers: map[string]string{}, Body: string(body), Ms: time.Since(begin).Milliseconds()}
	for name, values := range resp.Header {
		a.Headers[name] = strings.Join(values, ", ")
	}
	return a
}

// failed sorts why a request got no answer.
func failed(err error) httpAnswer {
	a := httpAnswer{Error: err.Error(), Kind: kindOther}
	var timeout net.Error
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		a.Kind = kindDNS
	case errors.Is(err, syscall.ECONNREFUSED):
		a.Kind = kindRefused
	case errors.As(err, &timeout) && timeout.Timeout():
		a.Kind = kindTimeout
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		a.Kind = kindReset
	}
	return a
}

// askCluster has the requests sent by the probe, which stops at the first
// that gets no answer.
func (c *httpCheck) askCluster(ctx context.Context, t *Target, from *corev1.Pod, u *url.URL) ([]httpAnswer, error) {
	k, err := kubeOf(ctx, t)
	if err != nil {
		return nil, err
	}
	out, err := k.inProbe(ctx, t, from, c.command(u, t.Namespace)...)
	if err != nil {
		return nil, err
	}
	var answers []httpAnswer
	for lines := json.NewDecoder(strings.NewReader(string(out))); ; {
		var a httpAnswer
		err := lines.Decode(&a)
		if errors.Is(err, io.EOF) && len(answers) > 0 {
			return answers, nil
		} else if err != nil {
			return nil, unreachable("the probe", fmt.Errorf("it said %q", clip(string(out), 120)))
		}
		answers = append(answers, a)
	}
}

// command makes the probe send the requests.
func (c *httpCheck) command(u *url.URL, namespace string) []string {
	command := []string{"get", "-o", "json", "-timeout", answerTime.String()}
	if c.Times > 1 {
		command = append(command, "-n", strconv.Itoa(c.Times))
	}
	if c.atOnce > 1 {
		command = append(command, "-c", strconv.Itoa(c.atOnce))
	}
	if c.Method != "" {
		command = append(command, "-X", c.Method)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		command = append(command, "-H", name+": "+c.Headers[name])
	}
	full := *u
	if host := u.Hostname(); !strings.Contains(host, ".") && net.ParseIP(host) == nil {
		full.Host = host + "." + namespace
		if u.Port() != "" {
			full.Host += ":" + u.Port()
		}
	}
	return append(command, full.String())
}
