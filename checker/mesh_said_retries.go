package checker

import (
	"cmp"
	"fmt"

	"github.com/kindlab/kindlab/labs"
	api "istio.io/api/networking/v1alpha3"
)

// proxyEjects is the share of a Service's pods that a proxy may eject when nobody says.
const proxyEjects = 10

// faultAndTimeout finds routes with a fault beside what it switches off.
func (r *meshReading) faultAndTimeout() {
	for _, v := range own(r, r.virtualServices) {
		for i, h := range v.Spec.Http {
			if h.GetFault().GetDelay() == nil && h.GetFault().GetAbort() == nil {
				continue
			}
			var off string
			switch timeout, retries := h.GetTimeout().AsDuration() > 0, h.GetRetries().GetAttempts() > 0; {
			case timeout && retries:
				off = "the timeout and the retries"
			case timeout:
				off = "the timeout"
			case retries:
				off = "the retries"
			default:
				continue
			}
			r.add("fault-and-timeout", labs.Finding{Because: fmt.Sprintf("%s has a fault, and a fault switches off %s of the same route", routeName(v, i), off),
				Nearest: "the caller's own route may have the timeout, or the app may be slow itself", Look: r.yaml("VirtualService", v)})
		}
	}
}

// retries finds retries for which there is no time, or no number.
func (r *meshReading) retries() {
	for _, v := range own(r, r.virtualServices) {
		for i, h := range v.Spec.Http {
			again := h.GetRetries()
			each, all := again.GetPerTryTimeout().AsDuration(), h.GetTimeout().AsDuration()
			of, look := routeName(v, i), r.yaml("VirtualService", v)
			switch n := again.GetAttempts(); {
			case again == nil || n < 0:
			case n == 0 && each > 0:
				r.add("retries", labs.Finding{Because: fmt.Sprintf("retries of %s has attempts 0, so its perTryTimeout of %s is never used", of, each), Look: look})
			case n == 0 && again.GetRetryOn() != "":
				r.add("retries", labs.Finding{Because: fmt.Sprintf("retries of %s has attempts 0, so its retryOn is never used", of), Look: look})
			case n == 0 || all <= 0 || each <= 0:
			case each >= all:
				r.add("retries", labs.Finding{Because: fmt.Sprintf("%s ends after %s (timeout), and one try may take %s (perTryTimeout): after a slow try there is no time for another", of, all, each), Look: look})
			case float64(each)*float64(n) > float64(all):
				r.add("retries", labs.Finding{Because: fmt.Sprintf("%s ends after %s (timeout), and its %s of %s (attempts, perTryTimeout) need longer", of, all, triesOf(n), each), Look: look})
			}
		}
	}
}

func triesOf(n int32) string {
	if n == 1 {
		return "1 retry"
	}
	return fmt.Sprintf("%d retries", n)
}

// ejection finds outlier detections that may eject no pod, because one pod is already
// more than the share they may eject.
func (r *meshReading) ejection() {
	for _, d := range own(r, r.destinationRules) {
		s := r.service(fullHost(d.Spec.Host, d.Namespace))
		behind, known := r.podsBehind(s)
		if !known {
			continue
		}
		check := func(o *api.OutlierDetection, where string, n int) {
			limit := cmp.Or(int(o.GetMaxEjectionPercent()), proxyEjects)
			if o == nil || n == 0 || 100/n <= limit {
				return
			}
			said := "maxEjectionPercent"
			if o.GetMaxEjectionPercent() == 0 {
				said = "the default of maxEjectionPercent"
			}
			r.add("ejection", labs.Finding{Because: fmt.Sprintf("outlierDetection of %s%s ejects no pod: one of %s is %d percent, and at most %d percent may be out (%s)", r.called("DestinationRule", d), where, counted(n, "pod"), 100/n, limit, said),
				Look: r.yaml("DestinationRule", d)})
		}
		ready := len(readyOnly(behind))
		check(d.Spec.GetTrafficPolicy().GetOutlierDetection(), "", ready)
		for _, p := range d.Spec.GetTrafficPolicy().GetPortLevelSettings() {
			check(p.GetOutlierDetection(), fmt.Sprintf(" (port %d)", p.GetPort().GetNumber()), ready)
		}
		for _, sub := range d.Spec.Subsets {
			n := len(readyOnly(withLabels(behind, sub.GetLabels())))
			check(sub.GetTrafficPolicy().GetOutlierDetection(), " (subset "+sub.GetName()+")", n)
		}
	}
}
