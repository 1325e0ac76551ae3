package checker

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/kindlab/kindlab/labs"
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
				f.Got, f.Because = strings.Join(words, " "), "its HEALTHCHECK runs "+clip(strings.Join(words, " "), 100)
			}
			out = append(out, f)
		}
	}
	if most, err := units.FromHumanSize(c.MaxSize); err == nil && img.Size > most {
		f := labs.Finding{Expected: "at most " + c.MaxSize, Got: units.HumanSize(float64(img.Size)), Look: history}
		f.Because = "its largest step holds more than is needed: use a smaller base image, or copy only the result of a build into it"
		if step, size := c.largestStep(ctx, d, img.Size-most); step != "" {
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
				Because: whyOtherBase(stagesOf(d.dockerfile()), c.Base), Look: "FROM in the Dockerfile"})
		}
	}
	steps, err := c.stepDifferences(ctx, d, history)
	return append(out, steps...), err
}

// whyOtherBase says why an image is not built on base; stages are those of the Dockerfile in
// the work folder, if there is one.
func whyOtherBase(stages []stage, base string) string {
	if len(stages) == 0 {
		return "its last stage begins with another FROM, or " + base + " was built again since"
	}
	from := stages[len(stages)-1].from
	for _, s := range slices.Backward(stages) {
		if s.name == from { // a stage may go on with an earlier one
			from = s.from
		}
	}
	switch {
	case strings.Contains(from, "$"):
		return "its last stage begins with another FROM, or " + base + " was built again since"
	case familiar(from) == familiar(base):
		return base + " was built again, or pulled anew, after the image was built on it"
	}
	return "the last stage of the Dockerfile is built FROM " + clip(from, 100)
}

// instructions are what built an image, the first one first, as a Dockerfile has them.
func (d *docker) instructions(ctx context.Context, name string) ([]image.HistoryResponseItem, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	res, err := d.api.ImageHistory(ctx, name)
	if err != nil {
		return nil, dockerError("reading the history of "+name, err)
	}
	items := slices.Clone(res.Items)
	slices.Reverse(items)
	for i := range items {
		by := strings.TrimPrefix(items[i].CreatedBy, "/bin/sh -c #(nop) ")
		by = strings.TrimSuffix(by, " # buildkit")
		if sh, isRun := strings.CutPrefix(by, "/bin/sh -c "); isRun {
			by = "RUN " + sh
		}
		by = regexp.MustCompile(`\b(?:file|dir|multi):[0-9a-f]{64} in `).ReplaceAllString(by, "… ") // what was copied has no name there
		items[i].CreatedBy = strings.Join(strings.Fields(by), " ")
	}
	return items, nil
}

// largestStep is the step that makes an image too large by excess: the last one without
// which it would not be, as the first ones are those of its base; otherwise the largest.
func (c *imageCheck) largestStep(ctx context.Context, d *docker, excess int64) (step string, size int64) {
	items, err := d.instructions(ctx, c.Name)
	if err != nil {
		return "", 0
	}
	for _, i := range items {
		if i.Size > size || i.Size >= excess && i.Size > 0 {
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
	items, err := d.instructions(ctx, c.Name)
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

// argForEnv explains which of the variables that are missing the Dockerfile gives by ARG.
func (d *docker) argForEnv(ctx context.Context, img string, found []labs.Finding) []labs.Finding {
	for i := range found {
		f := &found[i]
		what, pair, _ := strings.Cut(f.Expected, " ")
		name, _, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(what, "ENV") || f.Got != "no "+name || f.Because != "" {
			continue
		}
		items, err := d.instructions(ctx, img)
		if err != nil {
			return found
		}
		if slices.ContainsFunc(items, func(i image.HistoryResponseItem) bool {
			arg, _, _ := strings.Cut(strings.TrimPrefix(i.CreatedBy, "ARG "), "=")
			return strings.HasPrefix(i.CreatedBy, "ARG ") && arg == name
		}) {
			f.Because = "the Dockerfile gives " + name + " by ARG, which is known only while the image is built: ENV stays"
		}
	}
	return found
}
