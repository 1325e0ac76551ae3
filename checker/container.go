package checker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"time"

	"github.com/docker/go-units"
	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/api/types/container"
)

// containerCheck: a running container in the attendee's Docker Engine.
// Fields that are not given are not looked at.
type containerCheck struct {
	Name     string            `yaml:"name" doc:"The container's name." required:"true"`
	Image    string            `yaml:"image" doc:"The image that the container was made from, with its tag: the one that the tag names now."`
	Ports    map[int]int       `yaml:"ports" doc:"TCP ports that are published: of the container, and of this machine."`
	Env      map[string]string `yaml:"env" doc:"Variables that the container has."`
	Labels   map[string]string `yaml:"labels" doc:"Labels that the container has."`
	Exited   *int              `yaml:"exited" doc:"It has ended with this code, instead of running."`
	Health   string            `yaml:"health" doc:"What its health check says: healthy, unhealthy or starting."`
	User     string            `yaml:"user" doc:"The user that it runs as."`
	Networks []string          `yaml:"networks" doc:"Networks that it is on."`
	Mounts   []mount           `yaml:"mounts" doc:"What is mounted into it."`
	Memory   string            `yaml:"memory" doc:"Its memory limit, such as 64m."`
	CPUs     float64           `yaml:"cpus" doc:"Its limit of CPUs, such as 0.5."`
	Restart  string            `yaml:"restart" doc:"Its restart policy: no, always, unless-stopped or on-failure."`
	ReadOnly bool              `yaml:"readOnly" doc:"Its root file system is read-only."`
}

// A mount is something that a container sees in its file system.
type mount struct {
	Target   string `yaml:"target" doc:"Where, in the container." required:"true"`
	Source   string `yaml:"source" doc:"A volume's name, or the end of a path of this machine."`
	Type     string `yaml:"type" doc:"volume, bind or tmpfs."`
	ReadOnly *bool  `yaml:"readOnly" doc:"Whether it can be read only."`
}

func (c *containerCheck) validate() error {
	if c.Name == "" {
		return errors.New("name is missing: which container")
	}
	var errs []error
	// What the engine accepts for --name.
	if ok, _ := regexp.MatchString(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`, c.Name); !ok {
		errs = append(errs, fmt.Errorf("name %q is not a container's name: use letters, digits, '_', '.' and '-'", c.Name))
	}
	if c.Image != "" {
		errs = append(errs, checkImageName("image", c.Image))
	}
	taken := map[int]int{}
	for _, inside := range slices.Sorted(maps.Keys(c.Ports)) {
		host := c.Ports[inside]
		errs = append(errs, checkPort("ports", inside), checkPort("ports", host))
		if other, twice := taken[host]; twice {
			errs = append(errs, fmt.Errorf("ports: host port %d cannot lead to %d and to %d", host, other, inside))
		}
		taken[host] = inside
	}
	for i, m := range c.Mounts {
		if !path.IsAbs(m.Target) {
			errs = append(errs, fmt.Errorf("mounts %d: target %q: begin with /", i+1, m.Target))
		}
		if m.Type != "" && !slices.Contains([]string{"volume", "bind", "tmpfs"}, m.Type) {
			errs = append(errs, fmt.Errorf("mounts %d: type is volume, bind or tmpfs, not %q", i+1, m.Type))
		}
	}
	if _, err := units.RAMInBytes(c.Memory); c.Memory != "" && err != nil {
		errs = append(errs, fmt.Errorf("memory %q is not a size such as 64m", c.Memory))
	}
	if c.CPUs < 0 {
		errs = append(errs, errors.New("cpus: use more than 0"))
	}
	if c.Restart != "" && !slices.Contains([]string{"no", "always", "unless-stopped", "on-failure"}, c.Restart) {
		errs = append(errs, fmt.Errorf("restart is no, always, unless-stopped or on-failure, not %q", c.Restart))
	}
	if c.Health != "" && !slices.Contains([]string{"healthy", "unhealthy", "starting"}, c.Health) {
		errs = append(errs, fmt.Errorf("health is healthy, unhealthy or starting, not %q", c.Health))
	}
	return errors.Join(append(errs, checkKeys("env", c.Env), checkKeys("labels", c.Labels))...)
}

// restartQuiet is how long a container that Docker started again has to run until
// it counts as running: after so long Docker, too, takes it for one that works.
const restartQuiet = 10 * time.Second

// patience is how long one look may take.
func (c *containerCheck) patience() time.Duration { return restartQuiet + engineTime }

// settled is the container when it is not in the moment between a start that
// Docker made by itself and the next end: such a moment proves nothing.
func (c *containerCheck) settled(ctx context.Context, d *docker) (*container.InspectResponse, error) {
	for limit := time.Now().Add(restartQuiet); ; { // Docker's clock may be another one
		ctr, err := d.container(ctx, c.Name)
		if err != nil || ctr == nil || ctr.RestartCount == 0 || ctr.State.Status != container.StateRunning {
			return ctr, err
		}
		started, err := time.Parse(time.RFC3339Nano, ctr.State.StartedAt)
		if err != nil || time.Since(started) >= restartQuiet || time.Now().After(limit) {
			return ctr, nil
		}
		if pause(ctx, 100*time.Millisecond); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

func (c *containerCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	d, err := dockerOf(t)
	if err != nil {
		return nil, err
	}
	ctr, err := c.settled(ctx, d)
	if err != nil {
		return nil, err
	}
	if ctr == nil {
		f, err := c.whyNoContainer(ctx, d, claimed(t, "container", c.Name))
		if err != nil {
			return nil, err
		}
		return []labs.Finding{f}, nil
	}
	wrongImage, err := c.whyOtherImage(ctx, d, ctr)
	if err != nil {
		return nil, err
	}
	if c.Exited != nil {
		if f := c.exitDifference(ctr, tellingLine(d.log(ctx, ctr))); f != nil {
			return append([]labs.Finding{*f}, wrongImage...), nil
		}
	} else if ctr.State.Status != container.StateRunning {
		f := whyNotRunning(ctr, d.startFacts(ctx, ctr))
		f.Expected = fmt.Sprintf("container %s to run", c.Name)
		return append([]labs.Finding{f}, wrongImage...), nil
	}
	var own map[string]string // what the container's image sets
	var user string
	if img, err := d.image(ctx, ctr.Image); err == nil && img != nil && img.Config != nil {
		own, user = envMap(img.Config.Env), img.Config.User
	}
	found := append(wrongImage, c.portDifferences(ctr)...)
	found = append(found, d.argForEnv(ctx, ctr.Image, c.envDifferences(ctr, own))...)
	found = append(found, c.labelDifferences(ctr)...)
	return append(found, c.settingDifferences(ctr, user)...), nil
}
