package checker

import (
	"fmt"
	"slices"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// spread explains a pod that is to be spread evenly and fits nowhere: mostly no node has
// the label by which the places are told apart.
func (d diagnosis) spread(p *corev1.Pod, called string) labs.Finding {
	f := labs.Finding{Because: "the topologySpreadConstraints of " + called + " leave no node for it", Look: "`kubectl get nodes --show-labels`"}
	nodes, err := d.k.typed.CoreV1().Nodes().List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return f
	}
	for _, c := range p.Spec.TopologySpreadConstraints {
		if c.WhenUnsatisfiable != corev1.DoNotSchedule {
			continue
		}
		f.Because = fmt.Sprintf("%s is to be spread evenly by %s (topologySpreadConstraints, maxSkew %d), and that leaves no node for it", called, c.TopologyKey, c.MaxSkew)
		if !slices.ContainsFunc(nodes.Items, func(n corev1.Node) bool { return n.Labels[c.TopologyKey] != "" }) {
			f.Because = fmt.Sprintf("%s is to be spread evenly by %s (topologySpreadConstraints), and no node has that label", called, c.TopologyKey)
			return f
		}
	}
	return f
}
