package main

import (
	"encoding/json"
	"errors"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLookup(t *testing.T) {
	p := newProcess()
	assert.Equal(t, exitOK, p.run(t.Context(), []string{"lookup", "127.0.0.1", "::1"}))
	assert.Equal(t, "127.0.0.1 has address 127.0.0.1\n::1 has address ::1\n", p.out.String())

	p = newProcess()
	assert.Equal(t, exitOK, p.run(t.Context(), []string{"lookup", "-o", "json", "127.0.0.1", "not a name"}))
	var got []map[string]any
	require.NoError(t, json.Unmarshal([]byte(p.out.String()), &got))
	require.Len(t, got, 2)
	assert.Equal(t, map[string]any{
		"name": "127.0.0.1", "addresses": []any{"127.0.0.1"}, "srv": []any{}, "cname": "", "error": "", "kind": "",
	}, got[0])
	assert.Equal(t, "notfound", got[1]["kind"])
	assert.NotEmpty(t, got[1]["error"])

	p = newProcess()
	assert.Equal(t, exitFailed, p.run(t.Context(), []string{"lookup", "not a name"}))
	assert.Contains(t, p.err.String(), "hello lookup: not a name: ")
}

func TestLookupKinds(t *testing.T) {
	for kind, err := range map[string]error{
		"":          nil,
		"notfound":  &net.DNSError{IsNotFound: true},
		kindTimeout: &net.DNSError{IsTimeout: true},
		kindOther:   errors.New("odd"),
	} {
		var r resolved
		r.fail(err)
		assert.Equal(t, kind, r.Kind)
	}
}

func TestLookupPrintsServices(t *testing.T) {
	p := newProcess()
	assert.Equal(t, exitOK, printResolved(p.process, []resolved{
		{Name: "hello", CNAME: "hello.default.svc.cluster.local", Addresses: []string{"10.96.0.7"}},
		{Name: "_http._tcp.hello", SRV: []endpoint{{"hello-0.hello", 3000}}},
	}))
	assert.Equal(t, "hello is hello.default.svc.cluster.local\nhello has address 10.96.0.7\n"+
		"_http._tcp.hello is served by hello-0.hello port 3000\n", p.out.String())
}
