package checker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// defaultClass is on the StorageClass that claims without one get.
const defaultClass = "storageclass.kubernetes.io/is-default-class"

// claim is the cause for which a PersistentVolumeClaim is not bound. forPod says
// that a pod waits for it, and asks: that the claim waits for a pod is then no cause.
func (d diagnosis) claim(name string, forPod bool) labs.Finding {
	c, err := d.k.typed.CoreV1().PersistentVolumeClaims(d.namespace).Get(d.ctx, name, metav1.GetOptions{})
	if err != nil {
		return d.gone("v1", "PersistentVolumeClaim", name, err)
	}
	if c.Status.Phase == corev1.ClaimBound {
		return labs.Finding{}
	}
	called := "PersistentVolumeClaim " + name
	step(d.ctx, "%s is %s", called, strings.ToLower(string(c.Status.Phase)))
	look := d.describe("pvc", name)
	if c.Status.Phase == corev1.ClaimLost {
		return labs.Finding{Because: fmt.Sprintf("the volume %s of %s is gone", c.Spec.VolumeName, called), Look: look}
	}
	if c.Spec.VolumeName != "" {
		if f := d.named(c, called, look); f.Because != "" {
			return f
		}
	}
	if c.Spec.StorageClassName == nil || *c.Spec.StorageClassName == "" {
		return d.byHand(c, called, look)
	}
	class := *c.Spec.StorageClassName
	classes, err := d.k.typed.StorageV1().StorageClasses().List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return labs.Finding{}
	}
	i := slices.IndexFunc(classes.Items, func(s storagev1.StorageClass) bool { return s.Name == class })
	if i < 0 {
		step(d.ctx, "it asks for the StorageClass %s", class)
		f := labs.Finding{Because: fmt.Sprintf("there is no StorageClass %s, which %s asks for", class, called), Look: "`kubectl get storageclasses`"}
		var names []string
		for _, s := range classes.Items {
			names = append(names, s.Name)
		}
		if near := labs.Nearest(class, names); near != "" {
			f.Nearest = "there is one called " + near
		} else if len(names) > 0 {
			f.Nearest = "there is " + listed(names)
		}
		return f
	}
	ruledOut(d.ctx, "the StorageClass %s exists", class)
	if says := d.lastEvent(c.UID, "ProvisioningFailed"); says != "" {
		step(d.ctx, "the provisioner of %s refuses it", class)
		return labs.Finding{Because: fmt.Sprintf("the StorageClass %s cannot make the volume of %s (%s): %s", class, called, modes(c.Spec.AccessModes), clip(says, 160)), Look: look}
	}
	waits := classes.Items[i].VolumeBindingMode
	if waits != nil && *waits == storagev1.VolumeBindingWaitForFirstConsumer {
		if forPod {
			return labs.Finding{} // walking on to the pod would never end
		}
		if user := d.userOf(name); user == "" {
			return labs.Finding{Because: fmt.Sprintf("%s waits for a pod that uses it, and no pod does: the StorageClass %s makes a volume only then", called, class), Look: look}
		} else if pod, err := d.k.typed.CoreV1().Pods(d.namespace).Get(d.ctx, user, metav1.GetOptions{}); err == nil {
			step(d.ctx, "it waits for pod %s, which uses it", user)
			if f, found := d.pod(pod, "pod "+user); found && !strings.Contains(f.Because, "is not bound to a volume") {
				return f
			}
		}
	}
	return labs.Finding{Because: fmt.Sprintf("%s waits for the provisioner %s", called, classes.Items[i].Provisioner), Look: look}
}

// named is the cause for which a claim does not get the volume that it names.
func (d diagnosis) named(c *corev1.PersistentVolumeClaim, called, look string) labs.Finding {
	step(d.ctx, "%s names the volume %s (volumeName)", called, c.Spec.VolumeName)
	v, err := d.k.typed.CoreV1().PersistentVolumes().Get(d.ctx, c.Spec.VolumeName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return labs.Finding{Because: fmt.Sprintf("there is no PersistentVolume %s, which %s names", c.Spec.VolumeName, called),
			Nearest: d.nearName(ref{APIVersion: "v1", Kind: "PersistentVolume", Name: c.Spec.VolumeName}), Look: "`kubectl get pv`"}
	} else if err != nil {
		return labs.Finding{}
	}
	if owner := v.Spec.ClaimRef; owner != nil && (owner.Namespace != c.Namespace || owner.Name != c.Name) {
		return labs.Finding{Because: fmt.Sprintf("PersistentVolume %s belongs to claim %s of namespace %s", v.Name, owner.Name, owner.Namespace), Look: "`kubectl get pv`"}
	}
	class := ""
	if c.Spec.StorageClassName != nil {
		class = *c.Spec.StorageClassName
	}
	if class != v.Spec.StorageClassName {
		return labs.Finding{Because: fmt.Sprintf("PersistentVolume %s is of the class %q, and %s asks for %q", v.Name, v.Spec.StorageClassName, called, class), Look: look}
	}
	return labs.Finding{Because: unfitVolume(v, c, called), Look: "`kubectl get pv`"}
}

// unfitVolume says why a volume is not for a claim, or "".
func unfitVolume(v *corev1.PersistentVolume, c *corev1.PersistentVolumeClaim, called string) string {
	size, want := v.Spec.Capacity[corev1.ResourceStorage], c.Spec.Resources.Requests[corev1.ResourceStorage]
	switch {
	case size.Cmp(want) < 0:
		return fmt.Sprintf("PersistentVolume %s has %s, and %s asks for %s", v.Name, size.String(), called, want.String())
	case slices.ContainsFunc(c.Spec.AccessModes, func(m corev1.PersistentVolumeAccessMode) bool { return !slices.Contains(v.Spec.AccessModes, m) }):
		return fmt.Sprintf("PersistentVolume %s gives %s, and %s asks for %s", v.Name, modes(v.Spec.AccessModes), called, modes(c.Spec.AccessModes))
	}
	return ""
}

// byHand explains a claim that no class makes a volume for.
func (d diagnosis) byHand(c *corev1.PersistentVolumeClaim, called, look string) labs.Finding {
	volumes, err := d.k.typed.CoreV1().PersistentVolumes().List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return labs.Finding{}
	}
	var unfit string // why the first free volume is not for it
	for _, v := range volumes.Items {
		if v.Spec.StorageClassName != "" || v.Status.Phase != corev1.VolumeAvailable {
			continue
		}
		why := unfitVolume(&v, c, called)
		if why == "" {
			return labs.Finding{} // it fits, so size and access modes are not why
		}
		if unfit == "" {
			unfit = why
		}
	}
	if unfit != "" {
		return labs.Finding{Because: unfit, Look: "`kubectl get pv`"}
	}
	ruledOut(d.ctx, "no PersistentVolume without a class is free")
	return labs.Finding{Because: fmt.Sprintf("%s names no class, so it waits for a PersistentVolume that somebody makes by hand, and there is no PersistentVolume for it", called),
		Nearest: d.defaultClassIs(), Look: look}
}

func (d diagnosis) defaultClassIs() string {
	classes, err := d.k.typed.StorageV1().StorageClasses().List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return ""
	}
	for _, s := range classes.Items {
		if s.Annotations[defaultClass] == "true" {
			return fmt.Sprintf("without storageClassName it would get the class %s", s.Name)
		}
	}
	return ""
}

// userOf is a pod that mounts a claim, or "".
func (d diagnosis) userOf(claim string) string {
	pods, err := d.k.typed.CoreV1().Pods(d.namespace).List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return ""
	}
	for _, p := range pods.Items {
		for _, v := range p.Spec.Volumes {
			if v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim && !over(p) {
				return p.Name
			}
		}
	}
	return ""
}

func modes(all []corev1.PersistentVolumeAccessMode) string {
	var out []string
	for _, m := range all {
		out = append(out, string(m))
	}
	return strings.Join(out, ", ")
}
