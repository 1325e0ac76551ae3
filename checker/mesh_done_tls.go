package checker

import (
	"fmt"

	"github.com/kindlab/kindlab/labs"
	security "istio.io/api/security/v1beta1"
)

// plainText finds a caller without a proxy before pods that take only mutual TLS: its
// connection is cut.
func (a *meshAsk) plainText() labs.Finding {
	s, behind := a.serviceAsked()
	with := proxied(readyOnly(behind))
	if a.answer.Kind != kindReset && a.answer.Kind != kindOther || a.proxied() || len(with) == 0 {
		return labs.Finding{}
	}
	at, found := servicePort(s, portOf(a.at))
	if !found {
		return labs.Finding{}
	}
	for _, p := range with {
		mode, by := a.peerMode(p, podPort(at, with))
		if mode == security.PeerAuthentication_MutualTLS_STRICT && by != nil {
			return labs.Finding{Because: fmt.Sprintf("%s lets the pods of Service %s take only mutual TLS (STRICT), and %s, which asks, has no proxy", a.called("PeerAuthentication", by), a.inNamespace(s.Name, s.Namespace), a.caller()),
				Look: a.yaml("PeerAuthentication", by)}
		}
	}
	return labs.Finding{}
}

// plainTaken says why a caller that was not to be is answered: its plain text is taken, or
// it has a certificate. Where no
// PeerAuthentication is at all, something else was meant to keep it out.
func (a *meshAsk) plainTaken() labs.Finding {
	s, behind := a.serviceAsked()
	with := proxied(readyOnly(behind))
	if !a.call.Unanswered || a.answer.Error != "" || s == nil || len(behind) > 0 && isGateway(behind[0]) {
		return labs.Finding{}
	}
	if len(with) == 0 {
		if a.proxied() || len(readyOnly(behind)) == 0 {
			return labs.Finding{}
		}
		return labs.Finding{Because: fmt.Sprintf("the pods of Service %s have no proxy, and take what comes", a.inNamespace(s.Name, s.Namespace)), Look: a.look("get pods", s.Namespace, "")}
	}
	at, found := servicePort(s, portOf(a.at))
	mode, by := a.peerMode(with[0], podPort(at, with))
	switch {
	case found && mode == security.PeerAuthentication_MutualTLS_STRICT && a.proxied():
		return labs.Finding{Because: fmt.Sprintf("%s has a proxy, and with it a certificate of the mesh: mutual TLS lets it in", a.caller()), Look: a.look("get pods", a.from.Namespace, "")}
	case a.proxied() || !found || mode == security.PeerAuthentication_MutualTLS_STRICT || by == nil && count(a.peers, s.Namespace) == 0:
		return labs.Finding{}
	case by == nil:
		return labs.Finding{Because: fmt.Sprintf("no PeerAuthentication is for the pods of Service %s, so they take plain text too", a.inNamespace(s.Name, s.Namespace)), Look: a.look("get peerauthentications", s.Namespace, "-o yaml")}
	}
	return labs.Finding{Because: fmt.Sprintf("%s lets the pods of Service %s take plain text (%s)", a.called("PeerAuthentication", by), a.inNamespace(s.Name, s.Namespace), mode), Look: a.yaml("PeerAuthentication", by)}
}
