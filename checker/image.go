package checker

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/kindlab/kindlab/labs"
)

// imageCheck: an image in the attendee's Docker Engine with the given configuration.
// Fields that are not given are not looked at.
type imageCheck struct {
	Name       string            `yaml:"name"` // with its tag
	Cmd        []string          `yaml:"cmd"`
	Entrypoint []string          `yaml:"entrypoint"`
	Env        map[string]string `yaml:"env"`
	Workdir    string            `yaml:"workdir"`
	Ports      []int             `yaml:"ports"` // exposed TCP ports
	User       string            `yaml:"user"`
	Labels     map[string]string `yaml:"labels"`
}

func (c *imageCheck) validate() error {
	if c.Name == "" {
		return errors.New("name is missing: which image, with its tag")
	}
	errs := []error{
		checkImageName("name", c.Name),
		checkKeys("env", c.Env),
		checkKeys("labels", c.Labels),
	}
	if c.Workdir != "" && !path.IsAbs(c.Workdir) {
		errs = append(errs, fmt.Errorf("workdir %q: begin with /", c.Workdir))
	}
	for _, p := range c.Ports {
		errs = append(errs, checkPort("ports", p))
	}
	return errors.Join(errs...)
}

func (c *imageCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	d, err := dockerOf(t)
	if err != nil {
		return nil, err
	}
	img, err := d.image(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	if img == nil {
		f, err := c.whyNoImage(ctx, d, claimed(t, "image", c.Name))
		if err != nil {
			return nil, err
		}
		return []labs.Finding{f}, nil
	}
	return c.differences(img), nil
}
