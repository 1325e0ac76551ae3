package checker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
)

// The labels by which an attendee's images and containers tell whose they are.
const (
	labLabel      = "kindlab.lab"
	attendeeLabel = "kindlab.attendee"
)

// kindNodeLabel is on the containers that are nodes of a cluster.
const kindNodeLabel = "io.x-k8s.kind.cluster"

// engineTime is how long one question to the Docker Engine may take.
const engineTime = 10 * time.Second

// docker is the attendee's Docker Engine. Its methods only read.
type docker struct {
	api      *client.Client
	lab      string // the lab's id
	attendee string
	work     string // the lab's work folder
}

// dockerOf is the target's Docker Engine.
func dockerOf(t *Target) (*docker, error) {
	if t.Docker == nil {
		return nil, unreachable("Docker", errors.New("no Docker Engine is set up"))
	}
	t.listener.readsDocker()
	d := &docker{api: t.Docker, attendee: t.Attendee, work: t.Work}
	if t.Lab != nil {
		d.lab = t.Lab.ID
	}
	return d, nil
}

// dockerError sorts what the engine answered: that a thing does not exist is an
// answer (nil), everything else means that nothing is known.
func dockerError(doing string, err error) error {
	switch {
	case err == nil, errdefs.IsNotFound(err):
		return nil
	case client.IsErrConnectionFailed(err), errors.Is(err, context.DeadlineExceeded):
		return unreachable("Docker", err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// image inspects the image that a name or id stands for; nil when there is none.
func (d *docker) image(ctx context.Context, name string) (*image.InspectResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	res, err := d.api.ImageInspect(ctx, name)
	if err != nil {
		return nil, dockerError("inspecting image "+name, err)
	}
	return &res.InspectResponse, nil
}

// images are the images that may be the attendee's, those without a name too, newest first.
func (d *docker) images(ctx context.Context) ([]image.Summary, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	res, err := d.api.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return nil, dockerError("listing images", err)
	}
	mine := slices.DeleteFunc(res.Items, func(s image.Summary) bool { return d.foreign(s.Labels) })
	slices.SortStableFunc(mine, func(a, b image.Summary) int { return int(b.Created - a.Created) })
	return mine, nil
}

// container inspects the container of that very name; nil when there is none.
func (d *docker) container(ctx context.Context, name string) (*container.InspectResponse, error) {
	c, err := d.containerByID(ctx, name)
	// The engine also takes the beginning of an id for a name.
	if c != nil && containerName(c.Name) != name {
		return nil, nil
	}
	return c, err
}

// containerByID inspects a container; nil when it has gone.
func (d *docker) containerByID(ctx context.Context, id string) (*container.InspectResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	res, err := d.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return nil, dockerError("inspecting container "+id, err)
	}
	c := &res.Container
	if c.State == nil || c.Config == nil || c.HostConfig == nil || c.NetworkSettings == nil {
		return nil, fmt.Errorf("inspecting container %s: the Docker Engine left out a part of the answer", id)
	}
	return c, nil
}

// containers are the containers, running or not, that may be the attendee's, newest first.
func (d *docker) containers(ctx context.Context) ([]container.Summary, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	res, err := d.api.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, dockerError("listing containers", err)
	}
	return slices.DeleteFunc(res.Items, func(s container.Summary) bool {
		_, node := s.Labels[kindNodeLabel]
		return node || d.foreign(s.Labels) || len(s.Names) == 0
	}), nil
}

// foreign reports whether the labels say that a thing is another attendee's.
func (d *docker) foreign(l map[string]string) bool {
	owner, owned := l[attendeeLabel]
	return owned && owner != d.attendee
}

// ofLab reports whether the labels say that a thing is this attendee's and this lab's.
func (d *docker) ofLab(l map[string]string) bool {
	return d.lab != "" && l[labLabel] == d.lab && l[attendeeLabel] == d.attendee
}

// claimed are the names that the lab's other checks of a kind ask for. What has such a
// name is where it belongs, and no near miss of own.
func claimed(t *Target, kind, own string) []string {
	if t.Lab == nil {
		return nil
	}
	var names []string
	for _, c := range t.Lab.Checks() {
		var other struct {
			Name string `yaml:"name"`
		}
		if c.Kind == kind && c.Spec != nil && c.Spec.Decode(&other) == nil && other.Name != own {
			names = append(names, other.Name)
		}
	}
	return names
}

// without is the list without those words.
func without(list, words []string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return slices.Contains(words, s) })
}

// platform is what the engine runs, such as linux/amd64; "" when it does not say.
func (d *docker) platform(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	v, err := d.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil || v.Os == "" || v.Arch == "" {
		return ""
	}
	return v.Os + "/" + v.Arch
}

// log is the end of what a container has written since it started the last time; "" when
// that is nothing, or the log cannot be read.
func (d *docker) log(ctx context.Context, c *container.InspectResponse) string {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	options := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(logLines)}
	if started, err := time.Parse(time.RFC3339Nano, c.State.StartedAt); err == nil && started.Year() > 1 {
		// What the engine itself writes of a start may be a little older.
		options.Since = started.Add(-time.Second).Format(time.RFC3339Nano)
	}
	r, err := d.api.ContainerLogs(ctx, c.ID, options)
	if err != nil {
		return ""
	}
	defer r.Close()
	var text bytes.Buffer
	if c.Config.Tty {
		_, err = io.Copy(&text, io.LimitReader(r, logBytes))
	} else {
		_, err = stdcopy.StdCopy(&text, &text, io.LimitReader(r, logBytes))
	}
	if err != nil && text.Len() == 0 {
		return ""
	}
	return text.String()
}

// endedBy says who ended a container that has ended, by the events that the engine still
// remembers; "" when it remembers none.
func (d *docker) endedBy(ctx context.Context, c *container.InspectResponse) string {
	started, err := time.Parse(time.RFC3339Nano, c.State.StartedAt)
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	at := func(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }
	filters := make(client.Filters).Add("container", c.ID)
	got := d.api.Events(ctx, client.EventsListOptions{Since: at(started), Until: at(time.Now()), Filters: filters})
	says, killed := "", time.Time{}
	for {
		select {
		case <-got.Err: // all have come
			return says
		case e := <-got.Messages:
			when := time.Unix(0, e.TimeNano)
			switch e.Action {
			case events.ActionStop:
				return "it was stopped (`docker stop`)"
			case events.ActionKill:
				killed = when
			case events.ActionDie:
				// A signal that it lived through for long did not end it.
				if !killed.IsZero() && when.Sub(killed) < killTime {
					says = "it was killed (`docker kill`)"
				}
			}
		}
	}
}

// killTime is how long after a signal a container may end because of it.
const killTime = 15 * time.Second

// containerName is a name as people write it: the engine puts a slash before it.
func containerName(name string) string { return strings.TrimPrefix(name, "/") }

// shortID is an id as `docker ps` and `docker images` show it.
func shortID(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(len(id), 12)]
}

// familiar is an image's name as Docker shows it: without the default registry.
// What is not a name, such as an id, stays as it is.
func familiar(name string) string {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.FamiliarString(reference.TagNameOnly(ref))
}

// splitTag takes an image's name apart: localhost:5001/hello:v1 is localhost:5001/hello and v1.
func splitTag(name string) (repository, tag string) {
	i := strings.LastIndexByte(name, ':')
	if i < 0 || strings.ContainsRune(name[i:], '/') {
		return name, ""
	}
	return name[:i], name[i+1:]
}

// checkImageName says what is wrong with an image's name that an author wrote.
func checkImageName(field, name string) error {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return fmt.Errorf("%s %q is not an image's name: %w", field, name, err)
	}
	if _, tagged := ref.(reference.NamedTagged); !tagged {
		return fmt.Errorf("%s %q has no tag: write %s:TAG", field, name, name)
	}
	return nil
}

// checkPort says what is wrong with a port number.
func checkPort(field string, port int) error {
	if port < 1 || port > 65535 {
		return fmt.Errorf("%s: %d is not a port: use 1 to 65535", field, port)
	}
	return nil
}

// checkKeys says what is wrong with the keys of env or labels.
func checkKeys(field string, m map[string]string) error {
	for k := range m {
		if k == "" || strings.ContainsAny(k, "= \t\n") {
			return fmt.Errorf("%s: %q is not a name", field, k)
		}
	}
	return nil
}

// envMap reads an environment as Docker keeps it: a list of KEY=VALUE.
func envMap(list []string) map[string]string {
	m := make(map[string]string, len(list))
	for _, kv := range list {
		k, v, _ := strings.Cut(kv, "=")
		m[k] = v
	}
	return m
}

// nearFit is labs.Nearest, or "" when word itself is among the candidates.
func nearFit(word string, candidates []string) string {
	if slices.Contains(candidates, word) {
		return ""
	}
	return labs.Nearest(word, candidates)
}
