package checker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/api/types/container"
)

// containerCheck: a running container in the attendee's Docker Engine.
// Fields that are not given are not looked at.
type containerCheck struct {
	Name   string            `yaml:"name"`
	Image  string            `yaml:"image"` // the container's image is what this tag names now
	Ports  map[int]int       `yaml:"ports"` // container TCP port: host port
	Env    map[string]string `yaml:"env"`
	Labels map[string]string `yaml:"labels"`
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
	return errors.Join(append(errs, checkKeys("env", c.Env), checkKeys("labels", c.Labels))...)
}

func (c *containerCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	d, err := dockerOf(t)
	if err != nil {
		return nil, err
	}
	ctr, err := d.container(ctx, c.Name)
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
	if ctr.State.Status != container.StateRunning {
		f := whyNotRunning(ctr, d.startFacts(ctx, ctr))
		f.Expected = fmt.Sprintf("container %s to run", c.Name)
		return append([]labs.Finding{f}, wrongImage...), nil
	}
	var own map[string]string // what the container's image sets
	if img, err := d.image(ctx, ctr.Image); err == nil && img != nil && img.Config != nil {
		own = envMap(img.Config.Env)
	}
	found := append(wrongImage, c.portDifferences(ctr)...)
	found = append(found, c.envDifferences(ctr, own)...)
	return append(found, c.labelDifferences(ctr)...), nil
}
