package checker

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	meshsec "istio.io/client-go/pkg/apis/security/v1"
)

// tokenRefused is why a proxy does not take a token: its own words, which begin so, and
// what the RequestAuthentication says otherwise than the token does.
func (a *meshAsk) tokenRefused() labs.Finding {
	words := strings.TrimSpace(a.answer.Body)
	if a.answer.Status != http.StatusUnauthorized || !strings.HasPrefix(words, "Jwt") && !strings.HasPrefix(words, "Jwks") && !strings.HasPrefix(words, "Audiences in Jwt") {
		return labs.Finding{}
	}
	f := labs.Finding{Because: fmt.Sprintf("the proxy of the pods behind it does not take the token: %s", clip(words, 100)),
		Look: a.look("get requestauthentications.security.istio.io", a.namespace, "-o yaml")}
	_, behind := a.serviceAsked()
	var rules []*meshsec.RequestAuthentication
	var issuers []string
	for _, q := range a.requests {
		if q.Namespace != a.namespace && q.Namespace != meshRoot || len(withLabels(behind, q.Spec.GetSelector().GetMatchLabels())) == 0 {
			continue
		}
		rules = append(rules, q)
		for _, j := range q.Spec.JwtRules {
			issuers = append(issuers, j.GetIssuer())
		}
	}
	if len(rules) == 1 {
		f.Look = a.yaml("RequestAuthentication", rules[0])
	}
	if by, ok := issuerOf(a.token()); ok && len(rules) > 0 && !slices.Contains(issuers, by) {
		f.Nearest = fmt.Sprintf("the token is of issuer %s, and %s is for %s", clip(by, 80), a.called("RequestAuthentication", rules[0]), listed(issuers))
	}
	return f
}

// token is what the call carries as a bearer.
func (a *meshAsk) token() string {
	value, _ := a.header("Authorization")
	kind, token, _ := strings.Cut(value, " ")
	if !strings.EqualFold(kind, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// issuerOf is who a token says that it is from (RFC 7519, section 4.1.1). The
// signature is not looked at.
func issuerOf(token string) (issuer string, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", false
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", false
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(data, &claims) != nil || claims.Issuer == "" {
		return "", false
	}
	return claims.Issuer, true
}
