package checker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kindlab/kindlab/labs"
	api "istio.io/api/networking/v1alpha3"
	meshnet "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// What a proxy takes the bytes of a port for.
const (
	portHTTP    = "HTTP"
	portTCP     = "TCP"
	portGuessed = "" // nobody says, and the proxy looks at the first bytes
)

// protocolOf is what a port says it is: appProtocol first, then its name up to a dash.
func protocolOf(p corev1.ServicePort) string {
	word, _, _ := strings.Cut(p.Name, "-")
	if p.AppProtocol != nil {
		word = *p.AppProtocol
	} else if strings.HasPrefix(p.Name, "grpc-web") {
		word = "grpc"
	}
	switch strings.ToLower(word) {
	case "http", "http2", "grpc", "grpc-web", "kubernetes.io/h2c", "kubernetes.io/ws":
		return portHTTP
	case "tcp", "tls", "https", "mongo", "mysql", "redis", "udp", "kubernetes.io/wss":
		return portTCP
	}
	// Here the server speaks first, so nothing is guessed.
	if slices.Contains([]int32{25, 53, 3306, 27017}, p.Port) {
		return portTCP
	}
	return portGuessed
}

func tcpPorts(s *corev1.Service) []corev1.ServicePort {
	return slices.DeleteFunc(slices.Clone(s.Spec.Ports), func(p corev1.ServicePort) bool { return p.Protocol == corev1.ProtocolUDP })
}

// onlyProtocol reports whether all ports of a Service are of one protocol.
func onlyProtocol(s *corev1.Service, protocol string) bool {
	ports := tcpPorts(s)
	return len(ports) > 0 && !slices.ContainsFunc(ports, func(p corev1.ServicePort) bool { return protocolOf(p) != protocol })
}

// ports finds destinations with a port that their Service does not have, or without
// one where it cannot be told.
func (r *meshReading) ports() {
	for _, v := range own(r, r.virtualServices) {
		for _, d := range destinations(v) {
			full := fullHost(d.GetHost(), v.Namespace)
			s := r.service(full)
			if s == nil || s.Spec.Type == corev1.ServiceTypeExternalName || len(s.Spec.Ports) == 0 {
				continue
			}
			has := "it has port " + listed(servicePorts(s))
			look := r.look("get service "+s.Name, s.Namespace, "")
			number := int32(d.GetPort().GetNumber())
			switch ports := tcpPorts(s); {
			case number != 0 && !slices.ContainsFunc(ports, func(p corev1.ServicePort) bool { return p.Port == number }):
				f := labs.Finding{Because: fmt.Sprintf("%s leads to port %d of %s, and Service %s has no such port", d.of, d.GetPort().GetNumber(), d.GetHost(), s.Name), Nearest: has, Look: look}
				if i := slices.IndexFunc(ports, func(p corev1.ServicePort) bool { return p.TargetPort.IntVal == number }); i >= 0 {
					f.Nearest = fmt.Sprintf("its port %d leads to port %d of the pods; a route names the Service's", ports[i].Port, number)
				}
				r.add("port", f)
			case number == 0 && len(ports) > 1 && r.asksElsewhere(v, s):
				r.add("port", labs.Finding{Because: fmt.Sprintf("%s names no port of %s, and Service %s has %d", d.of, d.GetHost(), s.Name, len(ports)), Nearest: has, Look: look})
			}
		}
	}
}

// asksElsewhere reports whether requests come on ports that the Service does not have.
// Otherwise the port asked for is the one that is used.
func (r *meshReading) asksElsewhere(v *meshnet.VirtualService, s *corev1.Service) bool {
	for _, g := range v.Spec.Gateways {
		gateway := r.gateway(g, v.Namespace)
		if gateway != nil && len(gateway.Spec.Servers) > 0 && !slices.ContainsFunc(gateway.Spec.Servers, func(server *api.Server) bool {
			return slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == int32(server.GetPort().GetNumber()) })
		}) {
			return true
		}
	}
	return false
}

// protocols finds rules for HTTP on ports that are not, and the other way round.
func (r *meshReading) protocols() {
	for _, v := range own(r, r.virtualServices) {
		called, look := r.called("VirtualService", v), r.yaml("VirtualService", v)
		for _, h := range v.Spec.Hosts {
			s := r.service(fullHost(h, v.Namespace))
			if !inMesh(v) || s == nil {
				continue
			}
			ports := listed(servicePorts(s))
			switch {
			case len(v.Spec.Http) > 0 && len(v.Spec.Tcp)+len(v.Spec.Tls) == 0 && onlyProtocol(s, portTCP):
				r.add("protocol", labs.Finding{Because: fmt.Sprintf("%s has http routes, and Service %s has no port for HTTP: port %s is TCP", called, s.Name, ports),
					Nearest: "a port is HTTP when its name begins with http or its appProtocol is http", Look: r.look("get service "+s.Name, s.Namespace, "-o yaml")})
			case len(v.Spec.Tcp) > 0 && len(v.Spec.Http)+len(v.Spec.Tls) == 0 && onlyProtocol(s, portHTTP):
				r.add("protocol", labs.Finding{Because: fmt.Sprintf("%s has only tcp routes, and Service %s has only ports for HTTP: %s", called, s.Name, ports), Look: look})
			}
		}
		for _, g := range v.Spec.Gateways {
			gateway := r.gateway(g, v.Namespace)
			if gateway == nil || len(gateway.Spec.Servers) == 0 || len(v.Spec.Http) == 0 || len(v.Spec.Tcp)+len(v.Spec.Tls) > 0 || inMesh(v) {
				continue
			}
			var said []string
			for _, server := range gateway.Spec.Servers {
				word := strings.ToUpper(server.GetPort().GetProtocol())
				if word == "TCP" || word == "TLS" || word == "MONGO" {
					said = append(said, fmt.Sprintf("%s on port %d", word, server.GetPort().GetNumber()))
				}
			}
			if len(said) == len(gateway.Spec.Servers) {
				r.add("protocol", labs.Finding{Because: fmt.Sprintf("%s has only http routes, and %s takes only %s", called, r.called("Gateway", gateway), listed(said)), Look: r.yaml("Gateway", gateway)})
			}
		}
	}
}

// portNames finds ports whose name was meant to say HTTP and does not. The proxy then
// guesses, which mostly works, so this is the last thing to say.
func (r *meshReading) portNames() {
	routed := map[string]bool{}
	for _, v := range own(r, r.virtualServices) {
		for _, h := range v.Spec.Hosts {
			routed[fullHost(h, v.Namespace)] = len(v.Spec.Http) > 0 && inMesh(v)
		}
		for _, d := range destinations(v) {
			if full := fullHost(d.GetHost(), v.Namespace); d.http {
				routed[full] = true
			}
		}
	}
	for i := range r.services {
		s := &r.services[i]
		if s.Namespace != r.namespace || !routed[serviceHost(s)] {
			continue
		}
		for _, p := range tcpPorts(s) {
			word, rest, _ := strings.Cut(p.Name, "-")
			look := r.look("get service "+s.Name, s.Namespace, "-o yaml")
			near := labs.Nearest(word, []string{"http", "http2", "grpc"})
			if strings.HasPrefix(word, "http") || strings.HasPrefix(word, "grpc") {
				near = "" // http1 and the like are names of somebody's own
			}
			switch {
			case p.AppProtocol == nil && protocolOf(p) == portTCP && protocolOf(corev1.ServicePort{Name: p.Name}) == portGuessed:
				r.add("port-name", labs.Finding{Because: fmt.Sprintf("port %d of Service %s has no name that says HTTP, and this number is taken for TCP", p.Port, s.Name),
					Nearest: "a name that begins with http, or appProtocol: http", Look: look})
			case p.AppProtocol == nil && protocolOf(p) == portGuessed && len(word) > 2 && near != "":
				if rest != "" {
					near += "-" + rest
				}
				r.add("port-name", labs.Finding{Because: fmt.Sprintf("the name of port %d of Service %s, %s, says no protocol, so the proxy has to guess", p.Port, s.Name, p.Name),
					Nearest: "it would with the name " + near, Look: look})
			}
		}
	}
}

// podPort is the port of a pod to which a Service's port leads; 0 when it is not known.
func podPort(p corev1.ServicePort, pods []*corev1.Pod) int {
	if p.TargetPort.Type == intstr.Int {
		if p.TargetPort.IntVal == 0 {
			return int(p.Port)
		}
		return int(p.TargetPort.IntVal)
	}
	for _, pod := range pods {
		if number, found := portNamed(*pod, p.TargetPort.StrVal); found {
			return number
		}
	}
	number, _ := strconv.Atoi(p.TargetPort.StrVal)
	return number
}
