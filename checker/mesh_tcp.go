package checker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	api "istio.io/api/networking/v1alpha3"
	meshnet "istio.io/client-go/pkg/apis/networking/v1"
)

// What a tcp route asks for, and where it leads, an http route can say as well. So tcp
// routes are read as such, and what is found of the one kind is found of the other.

// tcpRoutes are the tcp routes of a VirtualService; none when one of them asks for
// addresses, which an http route cannot.
func tcpRoutes(v *meshnet.VirtualService) []*api.HTTPRoute {
	var out []*api.HTTPRoute
	for _, t := range v.Spec.Tcp {
		h := &api.HTTPRoute{}
		for _, m := range t.GetMatch() {
			if len(m.GetDestinationSubnets()) > 0 {
				return nil
			}
			h.Match = append(h.Match, &api.HTTPMatchRequest{Port: m.GetPort(), SourceLabels: m.GetSourceLabels(), SourceNamespace: m.GetSourceNamespace(), Gateways: m.GetGateways()})
		}
		for _, d := range t.GetRoute() {
			h.Route = append(h.Route, &api.HTTPRouteDestination{Destination: d.GetDestination(), Weight: d.GetWeight()})
		}
		out = append(out, h)
	}
	return out
}

// routesFor are the routes of a VirtualService for requests, or for connections.
func routesFor(v *meshnet.VirtualService, tcp bool) []*api.HTTPRoute {
	if tcp {
		return tcpRoutes(v)
	}
	return v.Spec.Http
}

// A routeList is one of the lists of a VirtualService: each is read from its top.
type routeList struct {
	tcp    bool
	routes []*api.HTTPRoute
}

func routeLists(v *meshnet.VirtualService) []routeList {
	return []routeList{{false, v.Spec.Http}, {true, tcpRoutes(v)}}
}

// name is a route of the list in a sentence.
func (l routeList) name(v *meshnet.VirtualService, i int) string {
	if l.tcp {
		return tcpName(v, i)
	}
	return routeName(v, i)
}

func tcpName(v *meshnet.VirtualService, i int) string {
	return fmt.Sprintf("tcp route %d of VirtualService %s", i+1, v.Name)
}

// isTCP reports whether the request is none, but a connection.
func (a *meshAsk) isTCP() bool { return a.at.Scheme == schemeTCP }

// ways are the routes of a VirtualService that can take what is asked.
func (a *meshAsk) ways(v *meshnet.VirtualService) []*api.HTTPRoute { return routesFor(v, a.isTCP()) }

func (a *meshAsk) wayName(v *meshnet.VirtualService, i int) string {
	return routeList{tcp: a.isTCP()}.name(v, i)
}

// notRouted says why no tcp route has led a connection, so that it went to any of the
// Service's pods, or to nobody since the proxy took it for HTTP.
func (a *meshAsk) notRouted() labs.Finding {
	s, _ := a.serviceAsked()
	if !a.isTCP() || s == nil {
		return labs.Finding{}
	}
	at, found := servicePort(s, portOf(a.at))
	if strings.HasPrefix(a.answer.Body, "HTTP/1.") && protocolOf(at) == portHTTP {
		return labs.Finding{Because: fmt.Sprintf("port %d of Service %s says HTTP (%s), and what was sent is none: a proxy has refused it", at.Port, s.Name, at.Name),
			Nearest: "a port is TCP when its name begins with tcp or its appProtocol is tcp", Look: a.look("get service "+s.Name, s.Namespace, "-o yaml")}
	}
	if !found || !a.proxied() {
		return labs.Finding{}
	}
	if v := a.routes(); v != nil {
		if taker, _ := a.taker(v); taker >= 0 {
			return labs.Finding{}
		}
		f := labs.Finding{Because: fmt.Sprintf("no tcp route of VirtualService %s fits %s of %s, so any pod of Service %s gets it", a.inNamespace(v.Name, v.Namespace), a, a.caller(), s.Name), Look: a.yaml("VirtualService", v)}
		for i, h := range a.ways(v) {
			if words := matchWords(h.GetMatch()[0]); words != "" && len(h.GetMatch()) == 1 && f.Nearest == "" {
				f.Nearest = fmt.Sprintf("%s is for %s", a.wayName(v, i), words)
			}
		}
		return f
	}
	i := slices.IndexFunc(a.virtualServices, func(v *meshnet.VirtualService) bool {
		return inMesh(v) && len(v.Spec.Http) > 0 && len(v.Spec.Tcp) == 0 && isFor(v, a.fullHost())
	})
	if i < 0 {
		return labs.Finding{}
	}
	v := a.virtualServices[i]
	return labs.Finding{Because: fmt.Sprintf("VirtualService %s has only http routes, and port %d (%s) of Service %s is TCP", a.inNamespace(v.Name, v.Namespace), at.Port, at.Name, s.Name), Look: a.yaml("VirtualService", v)}
}
