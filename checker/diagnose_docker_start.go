package checker

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/api/types/container"
)

// startFacts is what is known about a container's start beside its state. Any may be empty.
type startFacts struct {
	Log          string // the line of its log that says most
	Image        string // the platform that its image is for, such as linux/arm64
	Engine       string // the platform that the engine runs
	PortHolder   string // the container that publishes the host port this one wants
	ImageCommand []string
	EndedBy      string       // who ended it, such as "it was stopped (`docker stop`)"
	Program      programFile  // what there is of the program that could not be started
	LeftBehind   string       // why the program is in an earlier stage of the Dockerfile only
	FindsNone    labs.Finding // why it does not find another container by name
}

// startFacts collects what whyNotRunning needs. What cannot be had stays empty.
func (d *docker) startFacts(ctx context.Context, ctr *container.InspectResponse) startFacts {
	facts := startFacts{Log: tellingLine(d.log(ctx, ctr))}
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
	if ctr.State.Status == container.StateExited {
		if facts.EndedBy = d.endedBy(ctx, ctr); facts.EndedBy == "" {
			ruledOut(ctx, "the engine remembers no `docker stop` or `docker kill` of it")
		}
	}
	if facts.Log != "" {
		fact(ctx, "its log says: %s", facts.Log)
	}
	if strings.Contains(ctr.State.Error+facts.Log, "exec format error") {
		facts.Engine = d.platform(ctx)
	}
	if img, err := d.image(ctx, ctr.Image); err == nil && img != nil {
		facts.Image = img.Os + "/" + img.Architecture
		if img.Config != nil {
			facts.ImageCommand = slices.Concat(img.Config.Entrypoint, img.Config.Cmd)
		}
	}
	if program := programOf(ctr.State.Error + "\n" + facts.Log); program != "" {
		facts.Program = d.program(ctx, ctr, program)
		if facts.Program.Path == "" {
			facts.LeftBehind = leftBehind(d.dockerfile(), program)
		}
	}
	if host := unknownHost(facts.Log); host != "" {
		if all, err := d.containers(ctx); err == nil {
			facts.FindsNone = whyFindsNone(ctx, name, slices.Sorted(maps.Keys(ctr.NetworkSettings.Networks)), host, all)
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
	execEnded   = regexp.MustCompile(`(?m)^exec (\S+): (?:no such file or directory|exec format error|permission denied)$`)
	longPrefix  = regexp.MustCompile(`^.*(?:OCI runtime create failed|runc create failed|driver failed programming external connectivity on endpoint \S+ \(\w+\)): `)
	noLoaderLog = regexp.MustCompile(`exec (?:user process caused|/\S+|\S+): no such file or directory`)
)

// programOf is the program that the engine could not start, as it says; "" when it says none.
func programOf(says string) string {
	for _, re := range []*regexp.Regexp{execFailed, execEnded} {
		if m := re.FindStringSubmatch(says); m != nil {
			return clip(m[1], 80)
		}
	}
	return ""
}

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
		f.Because = whyNoStart(st.Error, ctr, facts)
		f.Look = fmt.Sprintf("`docker inspect --format '{{.State.Error}}' %s`", name)
		return f
	}
	option := optionAfterImage(ctr, facts.ImageCommand)
	switch {
	case st.Status == container.StateCreated:
		f.Because, f.Look = "`docker create` makes a container and does not start it", "`docker start "+name+"`"
	case st.OOMKilled:
		f.Because = "it used more memory than it may have"
		if m := ctr.HostConfig.Memory; m > 0 {
			f.Because = fmt.Sprintf("it used more memory than its limit of %d MiB", m>>20)
		}
		f.Look = fmt.Sprintf("`docker inspect --format '{{.State.OOMKilled}}' %s`", name)
	case facts.EndedBy != "":
		f.Because, f.Look = facts.EndedBy, "`docker start "+name+"`"
	case strings.Contains(facts.Log, "exec format error"):
		f.Because, f.Look = wrongPlatform(facts), "`docker image inspect --format '{{.Os}}/{{.Architecture}}' "+clip(familiar(ctr.Config.Image), 100)+"`"
	case noLoaderLog.MatchString(facts.Log):
		f.Because = facts.Program.noLoader()
	case st.ExitCode == 137 && ctr.HostConfig.Memory > 0:
		// The engine does not always learn that it was the kernel.
		f.Because = fmt.Sprintf("signal 9 ended it: `docker kill` sends it, and the kernel does when memory passes the limit, here %d MiB", ctr.HostConfig.Memory>>20)
	case st.ExitCode == 137 || st.ExitCode == 143:
		f.Because = fmt.Sprintf("signal %d ended it, which is what `docker stop` and `docker kill` send", st.ExitCode-128)
		f.Look = "`docker start " + name + "`"
	case st.ExitCode != 0 && option != "":
		f.Because = option
		f.Look = fmt.Sprintf("`docker inspect --format '{{.Config.Cmd}}' %s`", name)
	case facts.FindsNone.Because != "":
		f.Because, f.Nearest, f.Look = facts.FindsNone.Because, facts.FindsNone.Nearest, facts.FindsNone.Look
	case facts.Log != "":
		f.Because = "its log says: " + facts.Log
	case st.ExitCode == 0:
		f.Because = "its program came to its end, or was stopped, and it logged nothing"
	default:
		f.Because = "its program ended with an error and logged nothing"
	}
	return f
}

// whyNoStart reads the engine's error of a start that failed.
func whyNoStart(text string, ctr *container.InspectResponse, facts startFacts) string {
	program := programOf(text)
	missing := strings.Contains(text, "executable file not found") || strings.Contains(text, "no such file or directory")
	option := optionAfterImage(ctr, facts.ImageCommand)
	switch {
	case portTaken.MatchString(text):
		port := portTaken.FindStringSubmatch(text)[1]
		if facts.PortHolder != "" {
			return "host port " + port + " is taken: container " + facts.PortHolder + " publishes it"
		}
		return "host port " + port + " is taken by another container"
	case portInUse.MatchString(text):
		return "host port " + portInUse.FindStringSubmatch(text)[1] + " is taken by a program of this machine"
	case strings.Contains(text, "exec format error"):
		return wrongPlatform(facts)
	case program != "" && option != "":
		return option
	case program != "" && strings.Contains(text, "permission denied"):
		return facts.Program.notExecutable(program)
	case program != "" && (strings.HasPrefix(program, "-") || strings.Contains(program, "=")) && !slices.Contains(facts.ImageCommand, program):
		return "what comes after the image's name is the command to run: put " + program + " before the image's name"
	case program != "" && missing && facts.Program.Path != "" && facts.Program.noExecute():
		return facts.Program.notExecutable(facts.Program.Path)
	case program != "" && missing && facts.Program.Path != "":
		return facts.Program.noLoader()
	case program != "" && missing && facts.LeftBehind != "":
		return facts.LeftBehind
	case program != "" && missing:
		because := "the image has no program " + program
		if program == "/bin/sh" && slices.Contains(facts.ImageCommand, program) {
			because += ", which the shell form of CMD needs"
		}
		if !slices.Contains(facts.ImageCommand, program) && slices.Contains(ctr.Config.Cmd, program) {
			because += ", which was given after the image's name"
		}
		return because
	}
	return "Docker says: " + clip(strings.TrimSuffix(longPrefix.ReplaceAllString(text, ""), ": unknown"), 200)
}

// wrongPlatform explains "exec format error".
func wrongPlatform(facts startFacts) string {
	if facts.Image != "" && facts.Engine != "" && facts.Image != facts.Engine {
		return fmt.Sprintf("its image is for %s and this engine runs %s", facts.Image, facts.Engine)
	}
	return "its program is for another kind of machine, or is not a program"
}

// runOption fits what begins with an option of `docker run` and can hardly be an argument
// of a program: options that many programs have are meant only with such a value.
var runOption = regexp.MustCompile(`^(?:` + strings.Join([]string{
	`(?:-e|--env)[ =]?[A-Za-z_]\w*=\S*`,
	`(?:-p|--publish)[ =]?(?:[\d.]+:)?\d+:\d+(?:/\w+)?`,
	`(?:-v|--volume)[ =]?[^\s:]+:/\S*`,
	`--(?:name|network|net|mount|env-file|restart|memory|cpus|user|workdir|label|entrypoint|platform|health-cmd|hostname)[ =]\S+`,
	`--(?:rm|detach|interactive|tty|read-only|publish-all)`,
	`-(?:d|it|ti|dit|itd|idt)`,
}, "|") + `)(?: |$)`)

// optionAfterImage says that an option of `docker run` stands after the image's name, where
// it is an argument of the program, or the program itself; "" when it is not so. own is the image's command.
func optionAfterImage(ctr *container.InspectResponse, own []string) string {
	args := ctr.Config.Cmd
	if len(args) == 0 || slices.Contains(own, args[0]) {
		return ""
	}
	option := strings.TrimSpace(runOption.FindString(strings.Join(args, " ")))
	if option == "" {
		return ""
	}
	if len(ctr.Config.Entrypoint) == 0 {
		return fmt.Sprintf("%s stands after the image's name, so it was taken for the command to run and not for an option of `docker run`", clip(option, 80))
	}
	return fmt.Sprintf("%s stands after the image's name, so it went to the program and not to `docker run`", clip(option, 80))
}
