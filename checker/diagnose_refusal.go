package checker

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/kindlab/kindlab/labs"
)

// refusal explains why the API server does not take the pods of a workload.
func (d diagnosis) refusal(w *workload, says string) labs.Finding {
	quota := regexp.MustCompile(`exceeded quota: (\S+), requested: (\S+), used: (\S+), limited: (\S+)`)
	unsaid := regexp.MustCompile(`failed quota: (\S+): must specify (.+?)(?: for:? .*)?$`)
	limit := regexp.MustCompile(`((?:maximum|minimum|max|min) .+ (?:per|to limit|ratio).*)$`)
	security := regexp.MustCompile(`violates PodSecurity "([^":]+)[^"]*": (.*)$`)
	priority := regexp.MustCompile(`no PriorityClass with name (\S+) was found`)
	account := regexp.MustCompile(`serviceaccount "([^"]+)" not found`)
	if m := quota.FindStringSubmatch(says); m != nil {
		return labs.Finding{
			Because: fmt.Sprintf("ResourceQuota %s allows %s: %s is used already, and %s more is asked for", m[1], m[4], m[3], m[2]),
			Look:    command(d.t, "kubectl describe quota "+m[1], d.namespace, "")}
	}
	if m := unsaid.FindStringSubmatch(says); m != nil {
		return labs.Finding{
			Because: fmt.Sprintf("ResourceQuota %s asks every container to say %s, and those of %s do not", m[1], strings.ReplaceAll(m[2], ",", ", "), w),
			Look:    command(d.t, "kubectl describe quota "+m[1], d.namespace, "")}
	}
	if m := security.FindStringSubmatch(says); m != nil {
		return labs.Finding{
			Because: fmt.Sprintf("Pod Security %s refuses the pods: %s", m[1], clip(m[2], 160)),
			Look:    d.get(w.kind, w.name, "-o yaml")}
	}
	if m := account.FindStringSubmatch(says); m != nil {
		return labs.Finding{
			Because: fmt.Sprintf("there is no ServiceAccount %s, which the pods of %s are to use", m[1], w),
			Nearest: d.nearName(ref{APIVersion: "v1", Kind: "ServiceAccount", Name: m[1]}),
			Look:    command(d.t, "kubectl get serviceaccounts", d.namespace, "")}
	}
	if m := priority.FindStringSubmatch(says); m != nil {
		return labs.Finding{
			Because: fmt.Sprintf("there is no PriorityClass %s, which the pods of %s are to have (priorityClassName)", m[1], w),
			Nearest: d.nearName(ref{APIVersion: "scheduling.k8s.io/v1", Kind: "PriorityClass", Name: m[1]}),
			Look:    "`kubectl get priorityclasses`"}
	}
	if m := limit.FindStringSubmatch(says); m != nil {
		return labs.Finding{
			Because: "a LimitRange refuses the pods: " + clip(m[1], 160),
			Look:    command(d.t, "kubectl describe limitrange", d.namespace, "")}
	}
	return labs.Finding{Because: fmt.Sprintf("the pods of %s cannot be created: %s", w, clip(says, 200)), Look: d.describe(w.kind, w.name)}
}
