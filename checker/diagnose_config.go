package checker

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
)

// missingConfig explains a ConfigMap, a Secret or a key in one that is not there.
func (d diagnosis) missingConfig(p *corev1.Pod, called, says string) (labs.Finding, bool) {
	noKey := regexp.MustCompile(`couldn't find key (\S+) in (ConfigMap|Secret) [^/]+/([\w.-]+)`).FindStringSubmatch(says)
	noObject := regexp.MustCompile(`(configmap|secret) "([^"]+)" not found`).FindStringSubmatch(says)
	noFile := regexp.MustCompile(`references non-existent (config|secret) key: (\S+)`).FindStringSubmatch(says)
	switch {
	case noKey != nil:
		return d.noKey(noKey[2], noKey[3], noKey[1], ", which "+called+" wants"), true
	case noObject != nil:
		kind := map[string]string{"configmap": "ConfigMap", "secret": "Secret"}[noObject[1]]
		return labs.Finding{
			Because: fmt.Sprintf("there is no %s %s, which %s wants", kind, noObject[2], called),
			Nearest: d.nearName(ref{APIVersion: "v1", Kind: kind, Name: noObject[2]}),
			Look:    command(d.t, "kubectl get "+noObject[1]+"s", d.namespace, "")}, true
	case noFile != nil:
		for _, v := range p.Spec.Volumes {
			if kind, name, _ := filesOf(v); kind != "" && strings.Contains(says, fmt.Sprintf("volume %q", v.Name)) {
				return d.noKey(kind, name, noFile[2], fmt.Sprintf(", which volume %s of %s wants", v.Name, called)), true
			}
		}
		kind := map[string]string{"config": "ConfigMap", "secret": "Secret"}[noFile[1]]
		return labs.Finding{Because: fmt.Sprintf("a volume of %s wants the key %s, which its %s does not have", called, noFile[2], kind)}, true
	}
	return labs.Finding{}, false
}

// noKey is the finding for a key that a ConfigMap or a Secret does not have; so ends
// the sentence.
func (d diagnosis) noKey(kind, name, key, so string) labs.Finding {
	f := labs.Finding{Because: fmt.Sprintf("%s %s has no key %s%s", kind, name, key, so), Look: d.get(kind, name, "-o yaml")}
	if keys := d.keys(kind, name); len(keys) > 0 {
		f.Nearest = "it has " + listed(keys)
		if near := nearFit(key, keys); near != "" {
			f.Nearest = "it has " + near
		}
	}
	return f
}

// filesOf is the ConfigMap or the Secret whose keys are a volume's files; kind is ""
// for other volumes. Without items each key is a file of that name.
func filesOf(v corev1.Volume) (kind, name string, items []corev1.KeyToPath) {
	switch {
	case v.ConfigMap != nil:
		return "ConfigMap", v.ConfigMap.Name, v.ConfigMap.Items
	case v.Secret != nil:
		return "Secret", v.Secret.SecretName, v.Secret.Items
	}
	return "", "", nil
}

// emptyFolder is a file that a container mounts out of a volume (subPath) and that the
// volume does not have: the kubelet makes an empty folder in its place, and says nothing.
func (d diagnosis) emptyFolder(p *corev1.Pod, c corev1.Container) (labs.Finding, bool) {
	for _, m := range c.VolumeMounts {
		i := slices.IndexFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
		if m.SubPath == "" || i < 0 {
			continue
		}
		kind, name, items := filesOf(p.Spec.Volumes[i])
		keys := d.keys(kind, name)
		if len(keys) == 0 || len(items) > 0 || slices.Contains(keys, m.SubPath) {
			continue
		}
		step(d.ctx, "container %s mounts %s of volume %s at %s (subPath)", c.Name, m.SubPath, m.Name, m.MountPath)
		return d.noKey(kind, name, m.SubPath, fmt.Sprintf(", so %s in container %s is an empty folder", m.MountPath, c.Name)), true
	}
	return labs.Finding{}, false
}

// keys are the keys of a ConfigMap or a Secret.
func (d diagnosis) keys(kind, name string) []string {
	if kind == "" {
		return nil
	}
	found, err := d.k.objects(d.ctx, ref{APIVersion: "v1", Kind: kind, Name: name, Namespace: d.namespace})
	if err != nil || len(found) == 0 {
		return nil
	}
	var out []string
	for _, part := range []string{"data", "binaryData"} {
		data, _ := found[0].Object[part].(map[string]any)
		for key := range data {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}
