package join

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Client speaks with a hub.
type Client struct {
	hub  string
	http *http.Client
}

// NewClient makes a client for the hub at an address. ca are certificates to trust
// beside the system's; it may be empty.
func NewClient(hub, ca string) (*Client, error) {
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  15 * time.Second,
		IdleConnTimeout:        time.Minute,
		MaxIdleConnsPerHost:    1,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	}
	if ca != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM([]byte(ca)) {
			return nil, errors.New("there is no certificate in the file of --ca")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	return &Client{hub: hub, http: &http.Client{
		Transport: transport,
		// What we send is a secret, meant for this host only.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close ends connections that are open.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// An Unreachable hub gave no answer that one of its kind gives.
type Unreachable struct {
	Hub string
	Err error
}

func (u *Unreachable) Error() string { return fmt.Sprintf("the hub at %s: %v", u.Hub, u.Err) }
func (u *Unreachable) Unwrap() error { return u.Err }

// What else can be at an address.
var (
	ErrNoHub    = errors.New("what answers there is not the hub of a class")
	ErrMoved    = errors.New("it is elsewhere")
	ErrNeedsTLS = errors.New("it wants https://")
	ErrNoTLS    = errors.New("it does not speak https://")
	ErrUnknown  = errors.New("its certificate is not one that this machine trusts")
)

// Join asks the hub to let this machine in.
func (c *Client) Join(ctx context.Context, q Request) (Welcome, error) {
	var w Welcome
	q.Protocol = Protocol
	if err := c.call(ctx, "/machine/join", "", q, &w); err != nil {
		return Welcome{}, err
	}
	if w.ID == "" || w.Token == "" || w.Course == "" {
		return Welcome{}, &Unreachable{c.hub, ErrNoHub}
	}
	return w, nil
}

// Post brings events and answers.
func (c *Client) Post(ctx context.Context, token string, p Post) (Receipt, error) {
	var r Receipt
	p.Protocol = Protocol
	return r, c.call(ctx, "/machine/events", token, p, &r)
}

// Leave tells the hub that this machine will not come again.
func (c *Client) Leave(ctx context.Context, token string) error {
	return c.call(ctx, "/machine/leave", token, struct{}{}, &struct{}{})
}

// Course reads the course that the class learns into the folder dir.
func (c *Client) Course(ctx context.Context, token, dir, sum string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	res, err := c.do(ctx, http.MethodGet, "/machine/course", token, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return Unpack(res.Body, dir, sum)
}

// call sends a question and reads the answer, both JSON.
func (c *Client) call(ctx context.Context, path, token string, question, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	data, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("asking the hub: %w", err)
	}
	res, err := c.do(ctx, http.MethodPost, path, token, data)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err = io.ReadAll(io.LimitReader(res.Body, mostReceipt+1))
	switch {
	case err != nil:
		return &Unreachable{c.hub, err}
	case len(data) > mostReceipt:
		return &Unreachable{c.hub, ErrNoHub}
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return &Unreachable{c.hub, ErrNoHub}
	}
	return nil
}

// do sends a request. Its error is a [Refusal] when the hub refuses.
func (c *Client) do(ctx context.Context, method, path, token string, body []byte) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, method, c.hub+path, bytes.NewReader(body))
	if err != nil {
		return nil, &Unreachable{c.hub, err}
	}
	if method == http.MethodPost {
		q.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.http.Do(q)
	if err != nil {
		return nil, &Unreachable{c.hub, plain(err)}
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	data, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	return nil, c.refusal(res, data)
}

// refusal is the error that an answer other than 200 means.
func (c *Client) refusal(res *http.Response, data []byte) error {
	no := &Refusal{}
	if json.Unmarshal(data, no) == nil && no.Reason != "" {
		no.Status, no.Text, no.Try = res.StatusCode, plainText(no.Text), plainText(no.Try)
		no.After = retryAfter(res)
		return no
	}
	switch {
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return &Unreachable{c.hub, fmt.Errorf("%w: at %s", ErrMoved, plainText(res.Header.Get("Location")))}
	case res.StatusCode == http.StatusTooManyRequests, res.StatusCode >= 500: // of a proxy, or of what stands in front
		return &Refusal{Status: res.StatusCode, Reason: ReasonFull, Text: "the hub answers " + res.Status, After: retryAfter(res)}
	case bytes.Contains(data, []byte("HTTP request to an HTTPS server")):
		return &Unreachable{c.hub, ErrNeedsTLS}
	}
	return &Unreachable{c.hub, fmt.Errorf("%w (it says %s)", ErrNoHub, plainText(res.Status))}
}

// mostRetry bounds how long a hub can send a machine away.
const mostRetry = 5 * time.Minute

func retryAfter(res *http.Response) time.Duration {
	seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(min(seconds, 3600))*time.Second, mostRetry)
}

// plain is a connection's error without the parts that only repeat the address.
func plain(err error) error {
	unknown, host, invalid := x509.UnknownAuthorityError{}, x509.HostnameError{}, x509.CertificateInvalidError{}
	switch text := err.Error(); {
	case strings.Contains(text, "server gave HTTP response to HTTPS client"), strings.Contains(text, "first record does not look like a TLS handshake"):
		return ErrNoTLS
	case errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid):
		return fmt.Errorf("%w: %s", ErrUnknown, innermost(err))
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errors.New("no answer in time")
	}
	return innermost(err)
}

// innermost is the cause without what wraps it.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// plainText is what a hub says, fit for a terminal.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, short(s, 300))
}
