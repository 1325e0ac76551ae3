package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writeCertificate makes a certificate for the names that signs itself.
func writeCertificate(t *testing.T, until time.Time, names ...string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	is := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: until.Add(-48 * time.Hour), NotAfter: until, DNSNames: names,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, is, is, private.Public(), private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	return cert, key
}

// An echo answers with how it was asked.
type echo struct{ http.Handler }

func (echo) Close() {}

func TestPagesByTLS(t *testing.T) {
	file, key := writeCertificate(t, time.Now().Add(time.Hour), "class.example.org")
	cert, err := certificate(file, key, "https://class.example.org")
	require.NoError(t, err)
	ctx, end := context.WithCancel(t.Context())
	a := &app{err: io.Discard}
	pages := echo{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto, " ", r.TLS != nil) })}
	at, served := make(chan string, 1), make(chan error, 1)
	go func() {
		served <- a.serveOn(ctx, pages, door{listen: "127.0.0.1", port: 18600, cert: cert}, func(url string) { at <- url })
	}()
	url := <-at
	assert.Regexp(t, `^https://localhost:\d+$`, url)
	known := x509.NewCertPool()
	known.AddCert(cert.Leaf)
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: known, ServerName: "class.example.org"}}}
	answer, err := client.Get(url)
	require.NoError(t, err)
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	assert.Equal(t, "HTTP/2.0 true", string(said))
	end()
	assert.NoError(t, <-served)
}

func TestCertificateThatBrowsersWouldRefuse(t *testing.T) {
	file, key := writeCertificate(t, time.Now().Add(time.Hour), "class.example.org", "*.lab.example.org")
	old, oldKey := writeCertificate(t, time.Now().Add(-time.Hour), "class.example.org")
	for name, c := range map[string]struct{ file, key, url, want string }{
		"of another name": {file, key, "https://example.org", "example.org"},
		"plain url":       {file, key, "http://class.example.org", "http://"},
		"too old":         {old, oldKey, "", "was good until"},
		"another's key":   {file, oldKey, "", "reading the certificate"},
		"no key":          {file, "", "", "without its key"},
		"no certificate":  {"", key, "", "without its key"},
		"missing":         {file + "x", key, "", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := certificate(c.file, c.key, c.url)
			assert.ErrorContains(t, err, c.want)
		})
	}
	cert, err := certificate(file, key, "https://one.lab.example.org:8443")
	assert.NoError(t, err)
	assert.NotNil(t, cert)
	cert, err = certificate("", "", "https://class.example.org")
	assert.NoError(t, err)
	assert.Nil(t, cert, "a proxy may speak TLS")
}

func TestHostNames(t *testing.T) {
	assert.Empty(t, hostNames("127.0.0.1"), "the loopback needs no names")
	assert.Contains(t, hostNames("192.0.2.7"), "192.0.2.7")
	assert.NotContains(t, hostNames("192.0.2.7"), "127.0.0.1", "only the address that is listened on")
	assert.Contains(t, hostNames("0.0.0.0"), "127.0.0.1", "every address of this machine")
}
