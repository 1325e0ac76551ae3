package checker

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
)

// whyNoContainer finds what almost is the container: one of a near name, or one
// of another name that runs the image. claimed are names that are right where they are.
func (c *containerCheck) whyNoContainer(ctx context.Context, d *docker, claimed []string) (labs.Finding, error) {
	all, err := d.containers(ctx)
	if err != nil {
		return labs.Finding{}, err
	}
	f := labs.Finding{
		Expected: "container " + c.Name + " to run",
		Got:      "no container of that name, running or stopped",
		Look:     "`docker ps -a`",
	}
	var id string
	if c.Image != "" {
		img, err := d.image(ctx, c.Image)
		if err != nil {
			return labs.Finding{}, err
		}
		if img == nil {
			f.Because = "there is no image " + familiar(c.Image) + " yet"
			step(ctx, "container %s is to run image %s, which is not there", c.Name, familiar(c.Image))
		} else {
			id = img.ID
			ruledOut(ctx, "the image %s is there", familiar(c.Image))
		}
	}
	all = slices.DeleteFunc(all, func(s container.Summary) bool {
		return slices.Contains(claimed, containerName(s.Names[0]))
	})
	var names []string
	for _, s := range all {
		names = append(names, containerName(s.Names[0]))
	}
	if near := labs.Nearest(c.Name, names); near != "" {
		f.Nearest = "you have a container " + near
		f.Look = fmt.Sprintf("`docker rename %s %s`", near, c.Name)
		return f, nil
	}
	ruledOut(ctx, "no container has a near name, of %d that run or have run", len(names))
	for i, s := range all {
		if sameImage := id != "" && s.ImageID == id; !sameImage && !d.ofLab(s.Labels) {
			continue
		}
		f.Nearest = fmt.Sprintf("container %s was made from %s", names[i], clip(familiar(s.Image), 100))
		if madeUpName(names[i]) {
			f.Because = "Docker makes up a name such as " + names[i] + " when `docker run` has no --name"
		}
		return f, nil
	}
	ruledOut(ctx, "no container of this lab, and none of that image, has another name")
	return f, nil
}

// madeUpName reports whether a container's name looks like those that Docker invents.
func madeUpName(name string) bool {
	ok, _ := regexp.MatchString(`^[a-z]+_[a-z]+\d?$`, name)
	return ok
}

// whyOtherImage compares the container's image with what the tag names now, by id:
// a name may have been given to another image since.
func (c *containerCheck) whyOtherImage(ctx context.Context, d *docker, ctr *container.InspectResponse) ([]labs.Finding, error) {
	if c.Image == "" {
		return nil, nil
	}
	now, err := d.image(ctx, c.Image)
	if err != nil {
		return nil, err
	}
	return otherImage(familiar(c.Image), c.Name, ctr, now), nil
}

// otherImage is whyOtherImage once everything is known; now is nil when no image has the name.
func otherImage(want, name string, ctr *container.InspectResponse, now *image.InspectResponse) []labs.Finding {
	again := fmt.Sprintf("`docker rm -f %s`, then run it anew", name)
	ran := clip(familiar(ctr.Config.Image), 100)
	switch {
	case now == nil:
		return []labs.Finding{{
			Expected: name + " to run " + want, Got: "no image of that name",
			Nearest: "the container was made from " + ran, Look: "`docker images`",
		}}
	case now.ID == ctr.Image:
		return nil
	case ran != want:
		return []labs.Finding{{
			Expected: name + " to run " + want, Got: ran,
			Because: "a container keeps the image that it was made from", Look: again,
		}}
	}
	f := labs.Finding{
		Expected: name + " to run what " + want + " is now",
		Got:      "the image that had this name before",
		Because:  want + " was built or tagged again after this container was made",
		Look:     again,
	}
	if later(now.Created, ctr.Created) {
		f.Because = want + " was built again after this container was made"
	}
	return []labs.Finding{f}
}

// later reports whether both are times and a is after b.
func later(a, b string) bool {
	x, errX := time.Parse(time.RFC3339Nano, a)
	y, errY := time.Parse(time.RFC3339Nano, b)
	return errX == nil && errY == nil && x.After(y)
}

// ago says roughly how long ago it was.
func ago(at time.Time) string {
	switch d := time.Since(at); {
	case d < 2*time.Minute:
		return "a moment ago"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	}
}

// startFacts is what is known about a container's start beside its state. Any may be empty.
type startFacts struct {
	LastLog      string // its last log line
	Image        string // the platform that its image is for, such as linux/arm64
	Engine       string // the platform that the engine runs
	PortHolder   string // the container that publishes the host port this one wants
	ImageCommand []string
}

// startFacts collects what whyNotRunning needs. What cannot be had stays empty.
func (d *docker) startFacts(ctx context.Context, ctr *container.InspectResponse) startFacts {
	facts := startFacts{LastLog: d.lastLogLine(ctx, ctr)}
	name := containerName(ctr.Name)
	step(ctx, "container %s is %s", name, ctr.State.Status)
	if ctr.State.Error != "" {
		step(ctx, "the engine could not start it: %s", ctr.State.Error)
	} else if ctr.State.Status == container.StateExited || ctr.State.Status == container.StateRestarting {
		step(ctx, "its program ended with exit code %d", ctr.State.ExitCode)
		if !ctr.State.OOMKilled {
			ruledOut(ctx, "the engine knows of no lack of memory")
		}
	}
	if facts.LastLog != "" {
		fact(ctx, "its last log line: %s", facts.LastLog)
	}
	if strings.Contains(ctr.State.Error+facts.LastLog, "exec format error") {
		facts.Engine = d.platform(ctx)
	}
	if img, err := d.image(ctx, ctr.Image); err == nil && img != nil {
		facts.Image = img.Os + "/" + img.Architecture
		if img.Config != nil {
			facts.ImageCommand = img.Config.Cmd
		}
	}
	if m := portTaken.FindStringSubmatch(ctr.State.Error); m != nil {
		if all, err := d.containers(ctx); err == nil {
			port, _ := strconv.Atoi(m[1])
			if s, _ := publisher(all, port); s != nil {
				facts.PortHolder = containerName(s.Names[0])
				step(ctx, "container %s publishes port %d", facts.PortHolder, port)
			}
		}
	}
	return facts
}

// What the engine writes when a container cannot start.
var (
	portTaken   = regexp.MustCompile(`Bind for \S*?:(\d+) failed: port is already allocated`)
	portInUse   = regexp.MustCompile(`:(\d+): bind: address already in use`)
	execFailed  = regexp.MustCompile(`exec: \\?"([^"\\]*)\\?"`)
	longPrefix  = regexp.MustCompile(`^.*(?:OCI runtime create failed|runc create failed|driver failed programming external connectivity on endpoint \S+ \(\w+\)): `)
	noLoaderLog = regexp.MustCompile(`exec (?:user process caused|/\S+|\S+): no such file or directory`)
)

// whyNotRunning says why a container that exists does not run. Expected is left to the caller.
func whyNotRunning(ctr *container.InspectResponse, facts startFacts) labs.Finding {
	name := containerName(ctr.Name)
	st := ctr.State
	f := labs.Finding{Look: "`docker logs " + name + "`"}
	switch st.Status {
	case container.StatePaused:
		return labs.Finding{Got: "a paused container", Because: "`docker pause` holds its processes still", Look: "`docker unpause " + name + "`"}
	case container.StateCreated:
		f.Got = "a container that never started"
	case container.StateRestarting:
		f.Got = fmt.Sprintf("one that ends and starts again and again, last with exit code %d", st.ExitCode)
	case container.StateExited:
		f.Got = fmt.Sprintf("exit code %d", st.ExitCode)
	default:
		f.Got = "state " + string(st.Status)
	}
	if st.Error != "" {
		f.Because, f.Nearest = whyNoStart(st.Error, ctr, facts)
		f.Look = fmt.Sprintf("`docker inspect --format '{{.State.Error}}' %s`", name)
		return f
	}
	switch log := facts.LastLog; {
	case st.Status == container.StateCreated:
		f.Because, f.Look = "`docker create` makes a container and does not start it", "`docker start "+name+"`"
	case st.OOMKilled:
		f.Because = "it used more memory than it may have"
		if m := ctr.HostConfig.Memory; m > 0 {
			f.Because = fmt.Sprintf("it used more memory than its limit of %d MiB", m>>20)
		}
		f.Look = fmt.Sprintf("`docker inspect --format '{{.State.OOMKilled}}' %s`", name)
	case strings.Contains(log, "exec format error"):
		f.Because = wrongPlatform(facts)
	case noLoaderLog.MatchString(log):
		f.Because = "its program is there, but not the loader or interpreter that the program needs"
	case st.ExitCode == 137 && ctr.HostConfig.Memory > 0:
		// The engine does not always learn that it was the kernel.
		f.Because = fmt.Sprintf("signal 9 ended it: `docker kill` sends it, and the kernel does when memory passes the limit, here %d MiB", ctr.HostConfig.Memory>>20)
	case st.ExitCode == 137 || st.ExitCode == 143:
		f.Because = fmt.Sprintf("signal %d ended it, which is what `docker stop` and `docker kill` send", st.ExitCode-128)
		f.Look = "`docker start " + name + "`"
	case log != "":
		f.Because = fmt.Sprintf("its last log line is: %s", log)
	case st.ExitCode == 0:
		f.Because = "its program came to its end, or was stopped, and it logged nothing"
	default:
		f.Because = "its program ended with an error and logged nothing"
	}
	return f
}

// whyNoStart reads the engine's error of a start that failed.
func whyNoStart(text string, ctr *container.InspectResponse, facts startFacts) (because, nearest string) {
	program := ""
	if m := execFailed.FindStringSubmatch(text); m != nil {
		program = clip(m[1], 80)
	}
	switch {
	case portTaken.MatchString(text):
		because = "host port " + portTaken.FindStringSubmatch(text)[1] + " is taken by another container"
		if facts.PortHolder != "" {
			nearest = "container " + facts.PortHolder + " publishes it"
		}
	case portInUse.MatchString(text):
		because = "host port " + portInUse.FindStringSubmatch(text)[1] + " is taken by a program of this machine"
	case strings.Contains(text, "exec format error"):
		because = wrongPlatform(facts)
	case program != "" && strings.Contains(text, "permission denied"):
		because = program + " of the image may not be run: it is a folder, or was copied without `chmod +x`"
	case program != "" && (strings.HasPrefix(program, "-") || strings.Contains(program, "=")) && !slices.Contains(facts.ImageCommand, program):
		because = "what comes after the image's name is the command to run: put " + program + " before the image's name"
	case program != "" && (strings.Contains(text, "executable file not found") || strings.Contains(text, "no such file or directory")):
		because = "the image has no program " + program
		if program == "/bin/sh" && slices.Contains(facts.ImageCommand, program) {
			because += ", which the shell form of CMD needs"
		}
		if !slices.Contains(facts.ImageCommand, program) && slices.Contains(ctr.Config.Cmd, program) {
			because += ", which was given after the image's name"
		}
	default:
		because = "Docker says: " + clip(strings.TrimSuffix(longPrefix.ReplaceAllString(text, ""), ": unknown"), 200)
	}
	return because, nearest
}

// wrongPlatform explains "exec format error".
func wrongPlatform(facts startFacts) string {
	if facts.Image != "" && facts.Engine != "" && facts.Image != facts.Engine {
		return fmt.Sprintf("its image is for %s and this engine runs %s", facts.Image, facts.Engine)
	}
	return "its program is for another kind of machine, or is not a program"
}

// envDifferences compares the container's environment; own is what its image sets, or nil.
func (c *containerCheck) envDifferences(ctr *container.InspectResponse, own map[string]string) []labs.Finding {
	got := envMap(ctr.Config.Env)
	found := pairDifferences("env", c.Env, got)
	i := 0
	for _, k := range slices.Sorted(maps.Keys(c.Env)) {
		have, set := got[k]
		if set && have == c.Env[k] {
			continue
		}
		f := &found[i]
		i++
		f.Look = fmt.Sprintf("`docker inspect --format '{{.Config.Env}}' %s`", c.Name)
		if def, ok := own[k]; ok && set && def == have {
			f.Because = "that is what the image sets: `docker run -e " + k + "=…` would replace it"
		}
	}
	return found
}

// labelDifferences compares the container's labels.
func (c *containerCheck) labelDifferences(ctr *container.InspectResponse) []labs.Finding {
	found := pairDifferences("label", c.Labels, ctr.Config.Labels)
	for i := range found {
		found[i].Look = fmt.Sprintf("`docker inspect --format '{{.Config.Labels}}' %s`", c.Name)
	}
	return found
}
