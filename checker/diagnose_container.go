package checker

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
)

// container is the cause for which a container does not run.
func (d diagnosis) container(p *corev1.Pod, s corev1.ContainerStatus) (labs.Finding, bool) {
	spec := containerOf(p, s.Name)
	called := "container " + s.Name
	describe := d.describe("Pod", p.Name)
	if w := s.State.Waiting; w != nil {
		switch w.Reason {
		case "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable", "ImageInspectError":
			return d.image(p, spec, w), true
		case "CreateContainerConfigError":
			if f, found := d.missingConfig(p, called, w.Message); found {
				return f, true
			}
			if strings.Contains(w.Message, "runAsNonRoot and image will run as root") {
				return labs.Finding{Because: fmt.Sprintf("%s is not to run as root (runAsNonRoot), and its image says no other user", called), Look: describe}, true
			}
			return labs.Finding{Because: called + " cannot be set up: " + clip(w.Message, 200), Look: describe}, true
		case "CreateContainerError", "RunContainerError":
			if s.LastTerminationState.Terminated == nil {
				return d.noStart(called, w.Message, describe), true
			}
		}
	}
	end := s.LastTerminationState.Terminated
	if s.State.Terminated != nil {
		end = s.State.Terminated
	}
	// A container that runs again after its end is as good as any until it ends once more.
	if end == nil || s.State.Running != nil && s.RestartCount < 2 || s.Ready {
		return labs.Finding{}, false
	}
	if isInit := slices.ContainsFunc(p.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == s.Name }); isInit {
		if end.ExitCode == 0 {
			return labs.Finding{}, false
		}
		called = "init container " + s.Name
		if spec.RestartPolicy != nil {
			called = "sidecar " + s.Name
		}
	}
	return d.crash(p, spec, called, end, s.State.Terminated == nil), true
}

func containerOf(p *corev1.Pod, name string) corev1.Container {
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		if c.Name == name {
			return c
		}
	}
	return corev1.Container{Name: name}
}

// noStart explains a container whose command could not even begin.
func (d diagnosis) noStart(called, says, look string) labs.Finding {
	m := regexp.MustCompile(`exec: "([^"]+)": (.*?not found.*?|stat .*?no such file or directory|permission denied)`).FindStringSubmatch(says)
	switch {
	case m != nil && strings.Contains(m[2], "permission"):
		return labs.Finding{Because: fmt.Sprintf("%s cannot start: %s in its image may not be run (permission denied)", called, m[1]), Look: look}
	case m != nil:
		return labs.Finding{Because: fmt.Sprintf("%s cannot start: there is no command %s in its image", called, m[1]), Look: look}
	}
	return labs.Finding{Because: fmt.Sprintf("%s cannot start: %s", called, clip(says, 200)), Look: look}
}

// crash explains a container that has ended and should not have. previous says
// that its end lies behind a restart.
func (d diagnosis) crash(p *corev1.Pod, spec corev1.Container, called string, end *corev1.ContainerStateTerminated, previous bool) labs.Finding {
	logs := fmt.Sprintf("kubectl logs %s", p.Name)
	if len(p.Spec.Containers)+len(p.Spec.InitContainers) > 1 {
		logs += " -c " + spec.Name
	}
	if previous {
		logs += " --previous"
	}
	look := command(d.t, logs, d.namespace, "")
	switch {
	case end.Reason == "OOMKilled":
		because := called + " was killed: it needs more memory than it may have"
		if limit, ok := spec.Resources.Limits[corev1.ResourceMemory]; ok {
			because = fmt.Sprintf("%s was killed: it needs more memory than its limit of %s", called, limit.String())
		}
		return labs.Finding{Because: because, Look: d.describe("Pod", p.Name)}
	case end.Reason == "StartError", end.Reason == "ContainerCannotRun":
		return d.noStart(called, end.Message, d.describe("Pod", p.Name))
	}
	if says := d.lastEvent(p.UID, "Killing"); strings.Contains(says, "failed liveness probe") || strings.Contains(says, "failed startup probe") {
		which, probe := "liveness", spec.LivenessProbe
		if strings.Contains(says, "failed startup probe") {
			which, probe = "startup", spec.StartupProbe
		}
		if probe != nil && strings.Contains(says, spec.Name) {
			f := d.probe(p, spec, which, probe, "is restarted again and again")
			if which == "liveness" && f.Nearest == "" && spec.StartupProbe == nil && strings.HasSuffix(f.Because, answerRefused) {
				// It may just not have begun to listen.
				f.Because += fmt.Sprintf(", for which it is killed %d s after its start", int(end.FinishedAt.Sub(end.StartedAt.Time).Seconds()))
				f.Nearest = fmt.Sprintf("initialDelaySeconds is %d, and it has no startupProbe, which would give it time to start", probe.InitialDelaySeconds)
			}
			return f
		}
	}
	if limit, ok := spec.Resources.Limits[corev1.ResourceMemory]; ok && end.ExitCode == 137 {
		// Some runtimes do not tell who killed it.
		return labs.Finding{Because: fmt.Sprintf("%s was killed (exit code 137), probably because it needs more memory than its limit of %s", called, limit.String()),
			Look: d.describe("Pod", p.Name)}
	}
	if f, found := d.emptyFolder(p, spec); found && end.ExitCode != 0 {
		return f
	}
	because := fmt.Sprintf("%s ends with exit code %d", called, end.ExitCode)
	switch end.ExitCode {
	case 0:
		because = called + " ends with exit code 0: its command is done, so it is started again and again"
	case 126, 127:
		because += ", which mostly means that a command was not found"
		if end.ExitCode == 126 {
			because = fmt.Sprintf("%s ends with exit code 126, which mostly means that a file may not be run", called)
		}
	}
	if line := d.says(p.Name, spec.Name, previous); line != "" {
		because += fmt.Sprintf("; its last words: %q", line)
	}
	return labs.Finding{Because: because, Look: look}
}

// says is the line of a container's log that says most of its end.
func (d diagnosis) says(pod, container string, previous bool) string {
	ctx, cancel := context.WithTimeout(d.ctx, 3*time.Second)
	defer cancel()
	lines, most := int64(logLines), int64(logBytes)
	text, err := d.k.typed.CoreV1().Pods(d.namespace).GetLogs(pod, &corev1.PodLogOptions{
		Container: container, Previous: previous, TailLines: &lines, LimitBytes: &most,
	}).DoRaw(ctx)
	if err != nil {
		return ""
	}
	return tellingLine(string(text))
}

// probed explains a container that runs and does not pass its probe. Before the
// probe has failed there is nothing to explain.
func (d diagnosis) probed(p *corev1.Pod, s corev1.ContainerStatus) (labs.Finding, bool) {
	spec := containerOf(p, s.Name)
	if s.State.Running == nil || s.Ready {
		return labs.Finding{}, false
	}
	which, probe := "readiness", spec.ReadinessProbe
	if spec.StartupProbe != nil && (s.Started == nil || !*s.Started) {
		which, probe = "startup", spec.StartupProbe
	}
	if probe == nil {
		return labs.Finding{}, false
	}
	if name := probePortName(probe); name != "" {
		if _, found := portNamed(*p, name); !found {
			f := labs.Finding{Because: fmt.Sprintf("the %s probe of container %s asks the port named %q, and no container names a port so", which, s.Name, name), Look: d.describe("Pod", p.Name)}
			if declared := portsInWords(*p); len(declared) > 0 {
				f.Nearest = "the pod has " + listed(declared)
			}
			return f, true
		}
	}
	if d.probeSays(p, which) == "" {
		return labs.Finding{}, false
	}
	return d.probe(p, spec, which, probe, "runs, but is not ready"), true
}

// probePortName is the name by which a probe means its port, or "".
func probePortName(p *corev1.Probe) string {
	switch {
	case p.HTTPGet != nil:
		return p.HTTPGet.Port.StrVal
	case p.TCPSocket != nil:
		return p.TCPSocket.Port.StrVal
	}
	return ""
}

// probeSays is what the kubelet said when the probe failed the last time. On a busy
// machine any probe may be late now and then: that counts when it was seen the most.
func (d diagnosis) probeSays(p *corev1.Pod, which string) string {
	says, seen := "", int32(0)
	for _, e := range d.events(p.UID) {
		rest, found := strings.CutPrefix(e.Message, strings.ToUpper(which[:1])+which[1:]+" probe failed: ")
		if !found || e.Reason != "Unhealthy" || says != "" && e.Count < seen {
			continue
		}
		says, seen = rest, e.Count
		if !tooLate(rest) {
			break
		}
	}
	return says
}

// tooLate reports whether a probe failed because its answer did not come in time.
func tooLate(says string) bool {
	return slices.ContainsFunc([]string{"deadline exceeded", "Client.Timeout", "i/o timeout", "timed out"}, func(part string) bool { return strings.Contains(says, part) })
}

// answerRefused is what a probe gets where nothing listens.
const answerRefused = "connection refused"

// probe says what a probe asks and gets; state is what becomes of the container.
func (d diagnosis) probe(p *corev1.Pod, c corev1.Container, which string, probe *corev1.Probe, state string) labs.Finding {
	f := labs.Finding{Look: d.describe("Pod", p.Name)}
	says := d.probeSays(p, which)
	code := regexp.MustCompile(`statuscode: (\d+)`).FindStringSubmatch(says)
	answer := clip(says, 160)
	within := fmt.Sprintf("within %d s (timeoutSeconds)", max(probe.TimeoutSeconds, 1))
	switch {
	case code != nil:
		answer = "HTTP " + code[1]
	case strings.Contains(says, "connection refused"):
		answer = answerRefused
	case tooLate(says) && probe.Exec != nil:
		answer = "it does not end " + within
	case tooLate(says):
		answer = "no answer " + within
	case says == "":
		answer = "no good answer"
	}
	port, asks := "", ""
	switch {
	case probe.HTTPGet != nil:
		port = probe.HTTPGet.Port.String()
		asks = fmt.Sprintf("asks for %s on port %s and gets %s", cmp.Or(probe.HTTPGet.Path, "/"), port, answer)
	case probe.TCPSocket != nil:
		port = probe.TCPSocket.Port.String()
		asks = fmt.Sprintf("connects to port %s and gets %s", port, answer)
	case probe.GRPC != nil:
		port = strconv.Itoa(int(probe.GRPC.Port))
		asks = fmt.Sprintf("asks by gRPC on port %s and gets %s", port, answer)
	case probe.Exec != nil:
		asks = fmt.Sprintf("runs %q, which fails", clip(strings.Join(probe.Exec.Command, " "), 80))
		if answer != "" && says != "" {
			asks += ": " + answer
		}
	}
	f.Because = fmt.Sprintf("container %s %s: its %s probe %s", c.Name, state, which, asks)
	if declared := declaredPorts([]corev1.Container{c}); code == nil && port != "" && len(declared) > 0 && !slices.Contains(declared, port) {
		f.Nearest = "the container declares port " + listed(numbersOnly(declared))
	}
	return f
}

// declaredPorts are the names and numbers of the containers' TCP ports.
func declaredPorts(all []corev1.Container) []string {
	var out []string
	for _, c := range all {
		for _, p := range c.Ports {
			if p.Protocol == corev1.ProtocolTCP || p.Protocol == "" {
				out = append(out, strconv.Itoa(int(p.ContainerPort)))
				if p.Name != "" {
					out = append(out, p.Name)
				}
			}
		}
	}
	return out
}

func numbersOnly(ports []string) []string {
	return slices.DeleteFunc(slices.Clone(ports), func(p string) bool { _, err := strconv.Atoi(p); return err != nil })
}
