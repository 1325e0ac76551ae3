package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
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
	ruledOut(ctx, "no image has a near name, of %d that there are", len(all))
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
	ruledOut(ctx, "no image without a name has this lab's labels, or is configured like this one")
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
