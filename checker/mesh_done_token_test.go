package checker

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMeshTokenIsRefused(t *testing.T) {
	const rule = `
kind: RequestAuthentication
metadata: {name: users}
spec: {selector: {matchLabels: {app: orders}}, jwtRules: [{issuer: "https://id.example/"}]}
`
	token := func(claims string) string {
		return "x." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".y"
	}
	const look = "\nlook at 'kubectl get requestauthentication users -o yaml'"
	for _, c := range []struct {
		name, token, body, want string
		status                  int
	}{
		{"another issuer", token(`{"iss": "https://id.example"}`), "Jwt issuer is not configured", "because the proxy of the pods behind it does not take the token: Jwt issuer is not configured\nnearest: the token is of issuer https://id.example, and RequestAuthentication users is for https://id.example/" + look, 401},
		{"another key", token(`{"iss": "https://id.example/"}`), "Jwt verification fails", "because the proxy of the pods behind it does not take the token: Jwt verification fails" + look, 401},
		{"no token at all", "a.b", "Jwt is not in the form of Header.Payload.Signature", "because the proxy of the pods behind it does not take the token: Jwt is not in the form of Header.Payload.Signature" + look, 401},
		{"claims that are none", token("["), "Jwt payload is not valid JSON", "because the proxy of the pods behind it does not take the token: Jwt payload is not valid JSON" + look, 401},
		{"the program's own", token(`{"iss": "x"}`), "who are you?", "", 401},
		{"another status", token(`{"iss": "x"}`), "Jwt", "", 403},
	} {
		a := meshAskOf(t, rule, "client", "orders", "http://orders/api", httpAnswer{Status: c.status, Body: c.body})
		a.call.Headers = map[string]string{"authorization": "Bearer " + c.token}
		assert.Equal(t, c.want, said(a.tokenRefused()), c.name)
	}
}
