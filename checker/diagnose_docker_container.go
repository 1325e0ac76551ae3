package checker

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
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
			Because: "it was made from " + ran + ", and a container keeps the image that it was made from", Look: again,
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
