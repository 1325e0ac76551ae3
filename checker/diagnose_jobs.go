package checker

import (
	"fmt"

	"github.com/kindlab/kindlab/labs"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// job is the cause for which a Job has not completed.
func (d diagnosis) job(name string) labs.Finding {
	j, err := d.k.typed.BatchV1().Jobs(d.namespace).Get(d.ctx, name, metav1.GetOptions{})
	if err != nil {
		return d.gone("batch/v1", "Job", name, err)
	}
	called := "Job " + name
	look := d.describe("Job", name)
	if j.Spec.Suspend != nil && *j.Spec.Suspend {
		return labs.Finding{Because: called + " is suspended", Look: d.get("Job", name, "-o yaml")}
	}
	pods, err := d.k.selected(d.ctx, d.namespace, j.Spec.Selector)
	if err != nil {
		return labs.Finding{}
	}
	for _, c := range j.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch {
		case c.Type == batchv1.JobComplete:
			return labs.Finding{}
		case c.Type == batchv1.JobFailed && c.Reason == batchv1.JobReasonDeadlineExceeded:
			return labs.Finding{Because: fmt.Sprintf("%s took longer than its deadline (activeDeadlineSeconds: %d)", called, *j.Spec.ActiveDeadlineSeconds), Look: look}
		case c.Type == batchv1.JobFailed:
			step(d.ctx, "%s has failed: %s", called, c.Reason)
			if f := d.ended(pods, called); f.Because != "" {
				return f
			}
			return labs.Finding{Because: called + " has failed: " + clip(c.Message, 160), Look: look}
		}
	}
	step(d.ctx, "%s has not completed: %d succeeded, %d failed, %d active", called, j.Status.Succeeded, j.Status.Failed, j.Status.Active)
	for i := range pods {
		if f, found := d.pod(&pods[i], "pod "+pods[i].Name); found && pods[i].Status.Phase != corev1.PodFailed {
			return f
		}
	}
	if f := d.ended(pods, called); f.Because != "" {
		return f
	}
	if says := d.lastEvent(j.UID, "FailedCreate"); says != "" {
		return d.refusal(&workload{kind: "Job", name: name, uid: j.UID}, says)
	}
	if j.Status.Active > 0 {
		return labs.Finding{Because: called + " is still running", Look: d.get("Job", name, "")}
	}
	return labs.Finding{}
}

// ended is the cause for which the last pod of a Job failed.
func (d diagnosis) ended(pods []corev1.Pod, _ string) labs.Finding {
	var last *corev1.Pod
	for i := range pods {
		if p := &pods[i]; p.Status.Phase == corev1.PodFailed && (last == nil || p.CreationTimestamp.After(last.CreationTimestamp.Time)) {
			last = p
		}
	}
	if last == nil {
		return labs.Finding{}
	}
	for _, s := range last.Status.ContainerStatuses {
		if end := s.State.Terminated; end != nil && end.ExitCode != 0 {
			return d.crash(last, containerOf(last, s.Name), "pod "+last.Name, end, false)
		}
	}
	return labs.Finding{}
}

// cronJob is the cause for which a CronJob has not had a job that succeeded.
func (d diagnosis) cronJob(name string) labs.Finding {
	c, err := d.k.typed.BatchV1().CronJobs(d.namespace).Get(d.ctx, name, metav1.GetOptions{})
	if err != nil {
		return d.gone("batch/v1", "CronJob", name, err)
	}
	called := "CronJob " + name
	if c.Spec.Suspend != nil && *c.Spec.Suspend {
		return labs.Finding{Because: called + " is suspended", Look: d.get("CronJob", name, "-o yaml")}
	}
	jobs, err := d.k.typed.BatchV1().Jobs(d.namespace).List(d.ctx, metav1.ListOptions{})
	if err != nil {
		return labs.Finding{}
	}
	for _, j := range jobs.Items {
		if metav1.IsControlledBy(&j, c) {
			if f := d.job(j.Name); f.Because != "" {
				return f
			}
		}
	}
	if c.Status.LastSuccessfulTime != nil {
		return labs.Finding{}
	}
	if c.Status.LastScheduleTime == nil {
		return labs.Finding{Because: fmt.Sprintf("its schedule %q has not come round since %s was made", c.Spec.Schedule, called),
			Look: fmt.Sprintf("`kubectl create job try --from=cronjob/%s`", name)}
	}
	return labs.Finding{}
}
