package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
)

// whyNoImage finds what almost is the image: another tag or repository, or an
// image without a name that the attendee has built. claimed are names that are
// right where they are.
func (c *imageCheck) whyNoImage(ctx context.Context, d *docker, claimed []string) (labs.Finding, error) {
	all, err := d.images(ctx)
	if err != nil {
		return labs.Finding{}, err
	}
	f := labs.Finding{
		Expected: "image " + familiar(c.Name),
		Got:      "no image of that name",
		Look:     "`docker images`",
	}
	if near := nearestImage(familiar(c.Name), without(imageNames(all), claimed)); near != "" {
		f.Nearest = "you have " + near
		if _, tag := splitTag(near); tag == "latest" {
			f.Because = "an image that is built without a tag is called latest"
		}
		return f, nil
	}
	for _, s := range all {
		if len(imageNames([]image.Summary{s})) > 0 {
			continue
		}
		if what := c.nameless(ctx, d, s); what != "" {
			f.Nearest = fmt.Sprintf("image %s, built %s, has %s and no name", shortID(s.ID), ago(time.Unix(s.Created, 0)), what)
			f.Because = "an image gets its name from -t in `docker build -t NAME .`"
			return f, nil
		}
	}
	return f, nil
}

// nameless says by what an image without a name shows that it is meant, or "".
func (c *imageCheck) nameless(ctx context.Context, d *docker, s image.Summary) string {
	if d.ofLab(s.Labels) {
		return "this lab's labels"
	}
	if c.Cmd == nil && c.Entrypoint == nil && len(c.Env)+len(c.Labels)+len(c.Ports) == 0 && c.Workdir == "" && c.User == "" {
		return "" // any image would fit
	}
	img, err := d.image(ctx, s.ID)
	if err != nil || img == nil || len(c.differences(img)) > 0 {
		return ""
	}
	return "the configuration asked for"
}

// imageNames are the names of images, as Docker shows them.
func imageNames(all []image.Summary) []string {
	var names []string
	for _, s := range all {
		for _, t := range s.RepoTags {
			if t != "<none>:<none>" { // how engines before API 1.43 say "no name"
				names = append(names, familiar(t))
			}
		}
	}
	return names
}

// nearestImage is the image that was most likely meant by name, or "". The
// repository and the tag are compared each for itself, so that the same
// repository with any other tag is near.
func nearestImage(name string, have []string) string {
	repo, tag := splitTag(name)
	repos, tags := []string{}, map[string][]string{}
	for _, h := range have {
		r, t := splitTag(h)
		repos, tags[r] = append(repos, r), append(tags[r], t)
	}
	if same := tags[repo]; len(same) > 0 {
		if near := nearFit(tag, same); near != "" {
			return repo + ":" + near
		}
		if slices.Contains(same, "latest") {
			return repo + ":latest"
		}
		return repo + ":" + same[0]
	}
	near := labs.Nearest(repo, repos)
	switch {
	case near == "":
		return ""
	case slices.Contains(tags[near], tag):
		return near + ":" + tag
	case labs.Nearest(tag, tags[near]) != "":
		return near + ":" + labs.Nearest(tag, tags[near])
	}
	return near + ":" + tags[near][0]
}

// differences compare an image's configuration, field by field, with what is asked for.
func (c *imageCheck) differences(img *image.InspectResponse) []labs.Finding {
	var found []labs.Finding
	add := func(f labs.Finding) {
		f.Look = "`docker image inspect " + familiar(c.Name) + "`"
		found = append(found, f)
	}
	cfg := img.Config
	if cfg == nil {
		add(labs.Finding{Expected: "the configuration of image " + familiar(c.Name), Got: "an image without one"})
		return found
	}
	if c.Entrypoint != nil && !slices.Equal(c.Entrypoint, cfg.Entrypoint) {
		add(whyOtherCommand("ENTRYPOINT", c.Entrypoint, cfg.Entrypoint, "CMD", cfg.Cmd))
	}
	if c.Cmd != nil && !slices.Equal(c.Cmd, cfg.Cmd) {
		add(whyOtherCommand("CMD", c.Cmd, cfg.Cmd, "ENTRYPOINT", cfg.Entrypoint))
	}
	for _, f := range pairDifferences("ENV", c.Env, envMap(cfg.Env)) {
		add(f)
	}
	if c.Workdir != "" && path.Clean(c.Workdir) != path.Clean("/"+cfg.WorkingDir) {
		f := labs.Finding{Expected: "WORKDIR " + c.Workdir, Got: "WORKDIR " + cfg.WorkingDir}
		if cfg.WorkingDir == "" {
			f.Got = "no WORKDIR"
		}
		add(f)
	}
	for _, p := range c.Ports {
		want := strconv.Itoa(p) + "/tcp"
		if _, ok := cfg.ExposedPorts[want]; ok {
			continue
		}
		f := labs.Finding{Expected: "EXPOSE " + strconv.Itoa(p), Got: "no EXPOSE"}
		if len(cfg.ExposedPorts) > 0 {
			f.Got = "EXPOSE " + strings.Join(slices.Sorted(maps.Keys(cfg.ExposedPorts)), " ")
		}
		add(f)
	}
	if c.User != "" && c.User != cfg.User {
		f := labs.Finding{Expected: "USER " + c.User, Got: "USER " + cfg.User}
		if cfg.User == "" {
			f.Got, f.Because = "no USER", "without USER a container runs as root"
		}
		add(f)
	}
	for _, f := range pairDifferences("LABEL", c.Labels, cfg.Labels) {
		add(f)
	}
	return found
}

// whyOtherCommand tells the shell form from the exec form, and CMD from ENTRYPOINT.
// what and other are the two instructions' names.
func whyOtherCommand(what string, want, got []string, other string, otherGot []string) labs.Finding {
	f := labs.Finding{Expected: what + " " + execForm(want), Got: "no " + what}
	if len(got) > 0 {
		f.Got = what + " " + execForm(got)
	}
	switch {
	case len(got) == 3 && got[0] == "/bin/sh" && got[1] == "-c":
		f.Because = "the shell form of " + what + " makes Docker run /bin/sh -c with the text as it is"
		if slices.Equal(strings.Fields(got[2]), want) {
			f.Nearest = "the words are right: write them as a list, " + what + " " + execForm(want)
		}
	case len(got) == 0 && slices.Equal(otherGot, want):
		f.Because = "the image has these words as its " + other
	case len(got) == 0 && what == "CMD" && len(otherGot) > 0:
		f.Because = "a Dockerfile that sets ENTRYPOINT drops the CMD of its base image"
	case slices.Equal(strings.Fields(strings.Join(got, " ")), want):
		f.Because = "several words stand in one pair of quotes: each needs its own"
	}
	return f
}

// execForm writes a command as a Dockerfile's list.
func execForm(words []string) string {
	if words == nil {
		words = []string{}
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(words) != nil {
		return strings.Join(words, " ")
	}
	return clip(strings.ReplaceAll(b.String(), `","`, `", "`), 200)
}

// pairDifferences compares names and values, such as ENV or labels, by name.
func pairDifferences(what string, want, got map[string]string) []labs.Finding {
	var found []labs.Finding
	for _, k := range slices.Sorted(maps.Keys(want)) {
		have, ok := got[k]
		if ok && have == want[k] {
			continue
		}
		f := labs.Finding{Expected: fmt.Sprintf("%s %s=%s", what, k, want[k])}
		if ok {
			f.Got = fmt.Sprintf("%s=%s", k, clip(have, 100))
		} else {
			f.Got = "no " + k
			if near := nearFit(k, slices.Sorted(maps.Keys(got))); near != "" && want[near] == "" {
				f.Nearest = fmt.Sprintf("%s=%s", near, clip(got[near], 100))
			}
		}
		found = append(found, f)
	}
	return found
}

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
		} else {
			id = img.ID
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
