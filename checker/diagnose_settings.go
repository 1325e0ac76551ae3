package checker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/api/types/container"
)

// exitDifference says how a container that must have ended has not; nil when it has. log is
// the line of its log that says most.
func (c *containerCheck) exitDifference(ctr *container.InspectResponse, log string) *labs.Finding {
	f := &labs.Finding{Expected: fmt.Sprintf("container %s to have ended with %d", c.Name, *c.Exited), Look: "`docker ps -a --filter name=" + c.Name + "`"}
	switch s := ctr.State; {
	case s.Status == container.StateRunning || s.Status == container.StateRestarting || s.Status == container.StatePaused:
		f.Got, f.Because = "it is "+string(s.Status), "its main process has not ended"
	case s.Status == container.StateCreated:
		f.Got, f.Because = "it was never started", "the container was created, and nobody started it"
		f.Look = "`docker start " + c.Name + "`"
	case s.ExitCode != *c.Exited:
		f.Got = fmt.Sprintf("exit code %d", s.ExitCode)
		f.Because = "its main process ended with " + exitInWords(s.ExitCode, s.OOMKilled)
		if log != "" && s.ExitCode != 0 {
			f.Because += "; its log says: " + log
		}
		f.Look = "`docker logs " + c.Name + "`"
	default:
		return nil
	}
	return f
}

// exitInWords says what an exit code stands for. Codes above 128 are signals; 125
// to 127 are those of a shell and of Docker.
func exitInWords(code int, oom bool) string {
	switch {
	case oom:
		return fmt.Sprintf("%d: it used more memory than its limit", code)
	case code == 0:
		return "0: it did what it had to do"
	case code == 126:
		return "126: its command cannot be executed"
	case code == 127:
		return "127: its command was not found"
	case code == 137:
		return "137: it was killed (SIGKILL)"
	case code == 139:
		return "139: it crashed (SIGSEGV)"
	case code == 143:
		return "143: it was stopped (SIGTERM)"
	}
	return fmt.Sprint(code)
}

// settingDifferences compares what `docker run` was told beside image, ports and variables.
// user is the USER of its image.
func (c *containerCheck) settingDifferences(ctr *container.InspectResponse, user string) []labs.Finding {
	var out []labs.Finding
	inspect := "`docker inspect " + c.Name + "`"
	add := func(expected, got, because string) {
		out = append(out, labs.Finding{Expected: expected, Got: got, Because: because, Look: inspect})
	}
	h := ctr.HostConfig
	if c.Health != "" {
		is := "none"
		if ctr.State.Health != nil {
			is = string(ctr.State.Health.Status)
		}
		if is != c.Health {
			f := labs.Finding{Expected: "the health " + c.Health, Got: is, Because: "the image has no HEALTHCHECK, and `docker run` was not given --health-cmd", Look: inspect}
			if hs := ctr.State.Health; hs != nil && is != "none" {
				f.Because = "its health check is " + is
				if len(hs.Log) > 0 {
					f.Because = whyUnhealthy(hs.Log[len(hs.Log)-1])
				}
				f.Look = "`docker inspect -f '{{json .State.Health}}' " + c.Name + "`"
			}
			out = append(out, f)
		}
	}
	if c.User != "" && ctr.Config.User != c.User {
		add("user "+c.User, whenEmptyIs(ctr.Config.User, "root"), whyOtherUser(ctr.Config.User, user))
	}
	var on []string
	for name := range ctr.NetworkSettings.Networks {
		on = append(on, name)
	}
	slices.Sort(on)
	for _, n := range c.Networks {
		if slices.Contains(on, n) {
			continue
		}
		f := labs.Finding{Expected: "container " + c.Name + " on network " + n, Got: strings.Join(on, ", "),
			Because: fmt.Sprintf("it was not connected to network %s", n), Look: fmt.Sprintf("`docker network connect %s %s`", n, c.Name)}
		if near := nearFit(n, on); near != "" {
			f.Nearest = "it is on " + near
		} else if slices.Equal(on, []string{defaultNetwork}) {
			f.Because = "it was started without --network, so it is on the default bridge, where containers do not find one another by name"
		}
		out = append(out, f)
	}
	for _, m := range c.Mounts {
		if f := m.difference(ctr.Mounts); f != nil {
			f.Look = "`docker inspect -f '{{json .Mounts}}' " + c.Name + "`"
			out = append(out, *f)
		}
	}
	if want, err := units.RAMInBytes(c.Memory); err == nil && h.Memory != want {
		got, because := "no limit", "`docker run` was not given --memory"
		if h.Memory > 0 {
			got = units.BytesSize(float64(h.Memory))
			because = "`docker run` was given --memory " + got
		}
		add("a memory limit of "+c.Memory, got, because)
	}
	if want := int64(c.CPUs * 1e9); want > 0 && h.NanoCPUs != want {
		got, because := "no limit", "`docker run` was not given --cpus"
		if h.NanoCPUs > 0 {
			got = fmt.Sprintf("%g", float64(h.NanoCPUs)/1e9)
			because = "`docker run` was given --cpus " + got
		}
		add(fmt.Sprintf("a limit of %g CPUs", c.CPUs), got, because)
	}
	if is := whenEmptyIs(string(h.RestartPolicy.Name), "no"); c.Restart != "" && is != c.Restart {
		because := "`docker run` was not given --restart"
		if is != "no" {
			because = "`docker run` was given --restart " + is
		}
		add("the restart policy "+c.Restart, is, because)
	}
	if c.ReadOnly && !h.ReadonlyRootfs {
		add("a read-only root file system", "one that can be written", "`docker run` was not given --read-only")
	}
	return out
}

// whyOtherUser says where the user of a container comes from.
func whyOtherUser(user, ofImage string) string {
	switch {
	case user == "":
		return "neither --user nor the image's USER says who, and so it is root"
	case user == ofImage:
		return "that is the image's USER, and `docker run` was not given --user"
	}
	return "`docker run` was given --user " + clip(user, 60)
}

// whyUnhealthy says what came of a health check.
func whyUnhealthy(last *container.HealthcheckResult) string {
	if m := execFailed.FindStringSubmatch(last.Output); m != nil && last.ExitCode < 0 {
		because := "its health check cannot be run: the image has no program " + clip(m[1], 80)
		if m[1] == "/bin/sh" {
			because += ", which --health-cmd and the shell form of HEALTHCHECK need"
		}
		return because
	}
	because := fmt.Sprintf("its health check ended with %d", last.ExitCode)
	if says := tellingLine(last.Output); says != "" {
		because += ": " + says
	}
	return because
}

func whenEmptyIs(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// difference says how a mount is missing or another one; nil when it is there.
func (m mount) difference(have []container.MountPoint) *labs.Finding {
	f := &labs.Finding{Expected: "a mount at " + m.Target, Got: nothing, Because: "nothing is mounted at " + m.Target}
	var targets []string
	for _, h := range have {
		targets = append(targets, h.Destination)
		if h.Name != "" && h.Name == m.Source && h.Destination != m.Target {
			f.Because = fmt.Sprintf("volume %s is mounted at %s, and nothing at %s", h.Name, clip(h.Destination, 80), m.Target)
		}
		if h.Destination != m.Target {
			continue
		}
		source := h.Source
		if h.Name != "" {
			source = h.Name
		}
		switch {
		case m.Type != "" && string(h.Type) != m.Type:
			f.Expected, f.Got, f.Because = fmt.Sprintf("a %s at %s", m.Type, m.Target), "a "+string(h.Type), fmt.Sprintf("what is mounted there is a %s (%s)", h.Type, clip(source, 100))
			if m.Type == "volume" && h.Type == "bind" {
				f.Because = fmt.Sprintf("what is mounted there is the folder %s: -v mounts a volume when it is given a name", clip(source, 100))
			} else if m.Type == "bind" && h.Type == "volume" {
				f.Because = fmt.Sprintf("what is mounted there is the volume %s: -v mounts a folder when it is given a path", clip(source, 100))
			}
		case m.Source != "" && source != m.Source && !strings.HasSuffix(source, "/"+strings.TrimPrefix(m.Source, "/")):
			f.Expected, f.Got, f.Because = fmt.Sprintf("%s at %s", m.Source, m.Target), source, clip(source, 100)+" is mounted there"
		case m.ReadOnly != nil && *m.ReadOnly == h.RW:
			f.Expected, f.Got, f.Because = fmt.Sprintf("%s read-only: %v", m.Target, *m.ReadOnly), fmt.Sprint(!h.RW), "it was mounted with :ro"
			if h.RW {
				f.Because = "it was mounted without :ro"
			}
		default:
			return nil
		}
		return f
	}
	if near := labs.Nearest(m.Target, targets); near != "" {
		f.Nearest = "something is mounted at " + near
	} else if len(targets) > 0 {
		f.Nearest = "something is mounted at " + strings.Join(targets, ", ")
	}
	return f
}
