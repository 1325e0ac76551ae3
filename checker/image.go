package checker

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/docker/go-units"
	"github.com/kindlab/kindlab/labs"
)

// imageCheck: an image in the attendee's Docker Engine with the given configuration.
// Fields that are not given are not looked at.
type imageCheck struct {
	Name       string            `yaml:"name" doc:"The image, with its tag." required:"true"`
	Cmd        []string          `yaml:"cmd" doc:"The default command, word by word."`
	Entrypoint []string          `yaml:"entrypoint" doc:"The entrypoint, word by word."`
	Env        map[string]string `yaml:"env" doc:"Variables that the image sets."`
	Workdir    string            `yaml:"workdir" doc:"The working directory."`
	Ports      []int             `yaml:"ports" doc:"TCP ports that the image exposes."`
	User       string            `yaml:"user" doc:"The user that it runs as, as the Dockerfile says it."`
	Labels     map[string]string `yaml:"labels" doc:"Labels that the image has."`
	Health     []string          `yaml:"health" doc:"The command of its health check, word by word, without CMD."`
	MaxSize    string            `yaml:"maxSize" doc:"How large it may be, such as 30MB."`
	MaxLayers  int               `yaml:"maxLayers" doc:"How many layers with files it may have."`
	Steps      []string          `yaml:"steps" doc:"Parts of the instructions that built it, in the order in which they must stand, such as COPY go.mod before COPY ."`
	Base       string            `yaml:"base" doc:"An image with its tag whose layers it begins with."`
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
	if _, err := units.FromHumanSize(c.MaxSize); c.MaxSize != "" && err != nil {
		errs = append(errs, fmt.Errorf("maxSize %q is not a size such as 30MB", c.MaxSize))
	}
	if c.MaxLayers < 0 {
		errs = append(errs, errors.New("maxLayers: use 1 or more"))
	}
	if c.Base != "" {
		errs = append(errs, checkImageName("base", c.Base))
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
	found := d.argForEnv(ctx, c.Name, c.differences(img))
	more, err := c.buildDifferences(ctx, d, img)
	return append(found, more...), err
}
