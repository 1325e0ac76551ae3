package checker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
)

// buildDifferences compares how an image was built: its size, its layers and the
// instructions that made them.
func (c *imageCheck) buildDifferences(ctx context.Context, d *docker, img *image.InspectResponse) ([]labs.Finding, error) {
	var out []labs.Finding
	history := "`docker history " + c.Name + "`"
	if c.Health != nil {
		var test []string
		if img.Config != nil && img.Config.Healthcheck != nil {
			test = img.Config.Healthcheck.Test
		}
		shell := len(test) > 0 && test[0] == "CMD-SHELL"
		if words := test[min(1, len(test)):]; !slices.Equal(words, c.Health) && !(shell && strings.Join(words, " ") == strings.Join(c.Health, " ")) {
			f := labs.Finding{Expected: "the health check " + strings.Join(c.Health, " "), Got: "none", Look: "HEALTHCHECK in the Dockerfile",
				Because: "the image has no HEALTHCHECK"}
			if len(words) > 0 {
				f.Got, f.Because = strings.Join(words, " "), "its HEALTHCHECK runs something else"
			}
			out = append(out, f)
		}
	}
	if most, err := units.FromHumanSize(c.MaxSize); err == nil && img.Size > most {
		f := labs.Finding{Expected: "at most " + c.MaxSize, Got: units.HumanSize(float64(img.Size)), Look: history}
		f.Because = "its largest step holds more than is needed: use a smaller base image, or copy only the result of a build into it"
		if step, size := c.largestStep(ctx, d); step != "" {
			f.Because = fmt.Sprintf("the step %s alone takes %s", clip(step, 80), units.HumanSize(float64(size)))
		} else if size > 0 {
			f.Because = fmt.Sprintf("what it is built FROM alone has a layer of %s", units.HumanSize(float64(size)))
		}
		out = append(out, f)
	}
	if n := len(img.RootFS.Layers); c.MaxLayers > 0 && n > c.MaxLayers {
		out = append(out, labs.Finding{Expected: fmt.Sprintf("at most %d layers", c.MaxLayers), Got: fmt.Sprint(n),
			Because: "each COPY, ADD and RUN that changes files adds a layer", Look: history})
	}
	if c.Base != "" {
		base, err := d.image(ctx, c.Base)
		if err != nil {
			return nil, err
		}
		switch {
		case base == nil:
			out = append(out, labs.Finding{Expected: "an image that is built on " + c.Base, Got: "no image " + c.Base,
				Because: "there is no image " + c.Base + " to compare it with", Look: "`docker images`"})
		case len(base.RootFS.Layers) > len(img.RootFS.Layers) || !slices.Equal(base.RootFS.Layers, img.RootFS.Layers[:len(base.RootFS.Layers)]):
			out = append(out, labs.Finding{Expected: "an image that is built on " + c.Base, Got: "other layers at its beginning",
				Because: "its last stage begins with another FROM, or " + c.Base + " was built again since", Look: "FROM in the Dockerfile"})
		}
	}
	steps, err := c.stepDifferences(ctx, d, history)
	return append(out, steps...), err
}

// instructions are what built the image, the first one first, as a Dockerfile has them.
func (c *imageCheck) instructions(ctx context.Context, d *docker) ([]image.HistoryResponseItem, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	res, err := d.api.ImageHistory(ctx, c.Name)
	if err != nil {
		return nil, dockerError("reading the history of "+c.Name, err)
	}
	items := slices.Clone(res.Items)
	slices.Reverse(items)
	for i := range items {
		by := strings.TrimPrefix(items[i].CreatedBy, "/bin/sh -c #(nop) ")
		by = strings.TrimSuffix(by, " # buildkit")
		if sh, isRun := strings.CutPrefix(by, "/bin/sh -c "); isRun {
			by = "RUN " + sh
		}
		items[i].CreatedBy = strings.Join(strings.Fields(by), " ")
	}
	return items, nil
}

func (c *imageCheck) largestStep(ctx context.Context, d *docker) (step string, size int64) {
	items, err := c.instructions(ctx, d)
	if err != nil {
		return "", 0
	}
	for _, i := range items {
		if i.Size > size {
			step, size = i.CreatedBy, i.Size
		}
	}
	return step, size
}

// stepDifferences says which instruction is missing or stands at another place.
func (c *imageCheck) stepDifferences(ctx context.Context, d *docker, look string) ([]labs.Finding, error) {
	if len(c.Steps) == 0 {
		return nil, nil
	}
	items, err := c.instructions(ctx, d)
	if err != nil {
		return nil, err
	}
	at := 0
	for n, want := range c.Steps {
		has := func(i image.HistoryResponseItem) bool { return strings.Contains(i.CreatedBy, want) }
		found := slices.IndexFunc(items[at:], has)
		if found >= 0 {
			fact(ctx, "step %d: %s", at+found+1, items[at+found].CreatedBy)
			at += found + 1
			continue
		}
		f := labs.Finding{Expected: "the step " + want, Got: "no such step", Because: "no instruction of the Dockerfile holds " + want, Look: look}
		if slices.ContainsFunc(items, has) && n > 0 {
			f.Expected = fmt.Sprintf("the step %s after %s", want, c.Steps[n-1])
			f.Got, f.Because = "it stands before", fmt.Sprintf("%s comes before %s, so that a change of the one builds the other again", want, c.Steps[n-1])
		}
		return []labs.Finding{f}, nil
	}
	return nil, nil
}

// exitDifference says how a container that must have ended has not; nil when it has.
func (c *containerCheck) exitDifference(ctr *container.InspectResponse) *labs.Finding {
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
func (c *containerCheck) settingDifferences(ctr *container.InspectResponse) []labs.Finding {
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
			f := labs.Finding{Expected: "the health " + c.Health, Got: is, Because: "the image has no HEALTHCHECK, and docker run gave none", Look: inspect}
			if hs := ctr.State.Health; hs != nil && is != "none" {
				f.Because = "its health check is " + is
				if len(hs.Log) > 0 {
					last := hs.Log[len(hs.Log)-1]
					f.Because = fmt.Sprintf("its health check ended with %d: %s", last.ExitCode, clip(lastLine(last.Output), 120))
				}
				f.Look = "`docker inspect -f '{{json .State.Health}}' " + c.Name + "`"
			}
			out = append(out, f)
		}
	}
	if c.User != "" && ctr.Config.User != c.User {
		add("user "+c.User, whenEmptyIs(ctr.Config.User, "root"), "neither --user nor the image's USER says "+c.User)
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
		} else if slices.Equal(on, []string{"bridge"}) {
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
		got := "no limit"
		if h.Memory > 0 {
			got = units.BytesSize(float64(h.Memory))
		}
		add("a memory limit of "+c.Memory, got, "docker run was given another --memory, or none")
	}
	if want := int64(c.CPUs * 1e9); want > 0 && h.NanoCPUs != want {
		got := "no limit"
		if h.NanoCPUs > 0 {
			got = fmt.Sprintf("%g", float64(h.NanoCPUs)/1e9)
		}
		add(fmt.Sprintf("a limit of %g CPUs", c.CPUs), got, "docker run was given another --cpus, or none")
	}
	if is := whenEmptyIs(string(h.RestartPolicy.Name), "no"); c.Restart != "" && is != c.Restart {
		add("the restart policy "+c.Restart, is, "docker run was given another --restart, or none")
	}
	if c.ReadOnly && !h.ReadonlyRootfs {
		add("a read-only root file system", "one that can be written", "docker run was not given --read-only")
	}
	return out
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
		if h.Destination != m.Target {
			continue
		}
		source := h.Source
		if h.Name != "" {
			source = h.Name
		}
		switch {
		case m.Type != "" && string(h.Type) != m.Type:
			f.Expected, f.Got, f.Because = fmt.Sprintf("a %s at %s", m.Type, m.Target), "a "+string(h.Type), fmt.Sprintf("what is mounted there is a %s (%s)", h.Type, source)
		case m.Source != "" && source != m.Source && !strings.HasSuffix(source, "/"+strings.TrimPrefix(m.Source, "/")):
			f.Expected, f.Got, f.Because = fmt.Sprintf("%s at %s", m.Source, m.Target), source, "something else is mounted there"
		case m.ReadOnly != nil && *m.ReadOnly == h.RW:
			f.Expected, f.Got, f.Because = fmt.Sprintf("%s read-only: %v", m.Target, *m.ReadOnly), fmt.Sprint(!h.RW), "the mount was made with the other mode (:ro)"
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
