package checker

import (
	"fmt"
	"slices"

	"github.com/kindlab/kindlab/labs"
	api "istio.io/api/networking/v1alpha3"
	meshnet "istio.io/client-go/pkg/apis/networking/v1"
)

// A meshDestination is where a route leads, with the route in words.
type meshDestination struct {
	*api.Destination
	of     string
	http   bool
	weight int32 // 0 also for the only destination, which gets all
	alone  bool
}

// destinations are all that a VirtualService leads to, mirrors included.
func destinations(v *meshnet.VirtualService) []meshDestination {
	var out []meshDestination
	for i, h := range v.Spec.Http {
		of := routeName(v, i)
		for _, d := range h.GetRoute() {
			out = append(out, meshDestination{d.GetDestination(), of, true, d.GetWeight(), len(h.GetRoute()) == 1})
		}
		if h.GetMirror() != nil {
			out = append(out, meshDestination{h.GetMirror(), of + " (mirror)", true, 0, true})
		}
		for _, m := range h.GetMirrors() {
			out = append(out, meshDestination{m.GetDestination(), of + " (mirrors)", true, 0, true})
		}
	}
	stream := func(routes []*api.RouteDestination, of string) {
		for _, d := range routes {
			out = append(out, meshDestination{d.GetDestination(), of, false, d.GetWeight(), len(routes) == 1})
		}
	}
	for i, t := range v.Spec.Tls {
		stream(t.GetRoute(), fmt.Sprintf("tls route %d of VirtualService %s", i+1, v.Name))
	}
	for i, t := range v.Spec.Tcp {
		stream(t.GetRoute(), tcpName(v, i))
	}
	return slices.DeleteFunc(out, func(d meshDestination) bool { return d.Destination == nil })
}

// routeName is an http route in a sentence: its name, or its place when there are several.
func routeName(v *meshnet.VirtualService, i int) string {
	switch name := v.Spec.Http[i].GetName(); {
	case name != "":
		return fmt.Sprintf("route %s of VirtualService %s", name, v.Name)
	case len(v.Spec.Http) == 1:
		return "the route of VirtualService " + v.Name
	}
	return fmt.Sprintf("route %d of VirtualService %s", i+1, v.Name)
}

// inMesh reports whether a VirtualService is for what pods ask for: that is so until it
// lists other gateways.
func inMesh(v *meshnet.VirtualService) bool {
	return len(v.Spec.Gateways) == 0 || slices.Contains(v.Spec.Gateways, meshName)
}

// weights finds weights that are not the percentages they look like. They are parts of
// their sum, so 1 and 3 are as good as 25 and 75, and 33 three times is a third each;
// only different weights with a sum near 100 are a slip.
func (r *meshReading) weights() {
	check := func(of string, v *meshnet.VirtualService, weights []int32) {
		sum := int64(0)
		for _, w := range weights {
			sum += int64(w)
		}
		switch {
		case len(weights) < 2 || sum == 100 || sum != 0 && (sum < 50 || sum > 150 || slices.Min(weights) == slices.Max(weights)):
		case sum == 0:
			r.add("weights", labs.Finding{Because: fmt.Sprintf("%s has %d destinations and gives each the weight 0, so nothing is sent", of, len(weights)), Look: r.yaml("VirtualService", v)})
		default:
			r.add("weights", labs.Finding{Because: fmt.Sprintf("the weights of %s add up to %d, not 100: each is a share of %d", of, sum, sum), Look: r.yaml("VirtualService", v)})
		}
	}
	for _, v := range own(r, r.virtualServices) {
		for i, h := range v.Spec.Http {
			var weights []int32
			for _, d := range h.GetRoute() {
				weights = append(weights, d.GetWeight())
			}
			check(routeName(v, i), v, weights)
		}
		for i, t := range v.Spec.Tcp {
			var weights []int32
			for _, d := range t.GetRoute() {
				weights = append(weights, d.GetWeight())
			}
			check(tcpName(v, i), v, weights)
		}
	}
}

// sameHost finds VirtualServices of which only one counts. For pods the older counts
// alone; at a gateway both do, until both want everything.
func (r *meshReading) sameHost() {
	for i, a := range r.virtualServices {
		for _, b := range r.virtualServices[i+1:] {
			first, second := a, b
			if older(b, a) {
				first, second = b, a
			}
			if first.Namespace != r.namespace && second.Namespace != r.namespace ||
				!shown(first.Spec.ExportTo, first.Namespace, r.namespace) || !shown(second.Spec.ExportTo, second.Namespace, r.namespace) {
				continue
			}
			host := commonHost(first, second)
			if host == "" || (len(first.Spec.Http) == 0) != (len(second.Spec.Http) == 0) {
				continue
			}
			both := fmt.Sprintf("%s and %s are both for host %s", r.called("VirtualService", first), r.called("VirtualService", second), host)
			look := r.look("get virtualservices", second.Namespace, "-o yaml")
			if inMesh(first) && inMesh(second) {
				r.add("same-host", labs.Finding{Because: fmt.Sprintf("%s, and for pods only %s, counts", both, theOne(first, second)), Look: look})
				continue
			}
			for _, g := range first.Spec.Gateways {
				if g != meshName && takesAll(first) && takesAll(second) && slices.ContainsFunc(second.Spec.Gateways, func(o string) bool {
					return gatewayID(o, second.Namespace) == gatewayID(g, first.Namespace)
				}) {
					r.add("same-host", labs.Finding{Because: fmt.Sprintf("%s at gateway %s, and each has a route for every request: one of them is never used", both, g), Look: look})
				}
			}
		}
	}
}

func commonHost(a, b *meshnet.VirtualService) string {
	for _, h := range a.Spec.Hosts {
		for _, other := range b.Spec.Hosts {
			if fullHost(h, a.Namespace) == fullHost(other, b.Namespace) {
				return h
			}
		}
	}
	return ""
}

// takesAll reports whether a VirtualService has an http route without a match.
func takesAll(v *meshnet.VirtualService) bool {
	return slices.ContainsFunc(v.Spec.Http, func(h *api.HTTPRoute) bool { return len(h.GetMatch()) == 0 && h.GetDelegate() == nil })
}
