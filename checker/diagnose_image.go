package checker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
	corev1 "k8s.io/api/core/v1"
)

// image explains an image that cannot be pulled.
func (d diagnosis) image(p *corev1.Pod, c corev1.Container, w *corev1.ContainerStateWaiting) labs.Finding {
	f := labs.Finding{Look: d.describe("Pod", p.Name)}
	says := w.Message
	if strings.HasPrefix(says, "Back-off") && !strings.Contains(says, "Err") {
		says = cmp.Or(d.lastEvent(p.UID, "Failed"), says)
	}
	switch w.Reason {
	case "InvalidImageName":
		f.Because = fmt.Sprintf("%q is not the name of an image", c.Image)
		if _, why, found := strings.Cut(says, "invalid reference format"); found {
			f.Because += strings.TrimRight(clip(why, 100), ": ")
		}
		return f
	case "ErrImageNeverPull":
		f.Because = fmt.Sprintf("image %s is not on the node, and imagePullPolicy Never forbids pulling it", c.Image)
		return f
	}
	f.Because = fmt.Sprintf("image %s cannot be pulled: %s", c.Image, pullSays(says))
	repository, tag := splitTag(c.Image)
	tag = cmp.Or(tag, "latest")
	own, local := strings.CutPrefix(repository, d.t.Registry+"/")
	if d.t.Registry == "" {
		return f
	}
	if !local {
		if host, _, slash := strings.Cut(repository, "/"); slash && strings.ContainsAny(host, ".:") || host == "localhost" {
			return f
		}
		own = repository
	}
	tags, known := d.tags(own)
	switch {
	case !known:
		if local {
			if near := nearFit(own, d.repositories()); near != "" {
				f.Because = fmt.Sprintf("the registry %s has no image %s", d.t.Registry, own)
				f.Nearest = "it has " + near
			}
		}
	case !local:
		f.Because = fmt.Sprintf("the name %s has no registry in it, so the cluster looks on Docker Hub", c.Image)
		f.Nearest = fmt.Sprintf("the registry %s has %s:%s", d.t.Registry, own, listed(tags))
	case slices.Contains(tags, tag):
	default:
		f.Because = fmt.Sprintf("the registry %s has no %s:%s", d.t.Registry, own, tag)
		f.Nearest = "it has " + own + ":" + listed(tags)
		if near := nearFit(tag, tags); near != "" && len(tags) > 5 {
			f.Nearest = "it has " + own + ":" + near
		}
	}
	return f
}

// pullSays shortens what the kubelet says of a pull that failed.
func pullSays(says string) string {
	noHost := regexp.MustCompile(`lookup ([\w.-]+)[^:]*: (?:no such host|.*server misbehaving|.*i/o timeout)`).FindStringSubmatch(says)
	refused := regexp.MustCompile(`dial tcp ([\w.:\[\]-]+): connect: connection refused`).FindStringSubmatch(says)
	switch {
	case noHost != nil:
		return "the cluster finds no host " + noHost[1]
	case refused != nil:
		return "nothing answers at " + refused[1]
	case strings.Contains(says, "i/o timeout"), strings.Contains(says, "Client.Timeout"):
		return "its registry does not answer"
	case strings.Contains(says, "pull access denied"), strings.Contains(says, "insufficient_scope"), strings.Contains(says, "401 Unauthorized"):
		return "its registry does not know it, or it is private"
	case strings.HasSuffix(says, "not found"), strings.Contains(says, "manifest unknown"):
		return "its registry does not have it"
	}
	if i := strings.LastIndex(says, `": `); i >= 0 {
		says = says[i+3:]
	}
	return clip(says, 200)
}

// tags are those of an image in the local registry; known is false when the
// registry does not have the image, or does not answer.
func (d diagnosis) tags(repository string) (tags []string, known bool) {
	var list struct {
		Tags []string `json:"tags"`
	}
	known = d.registry("/v2/"+repository+"/tags/list", &list)
	return list.Tags, known && len(list.Tags) > 0
}

func (d diagnosis) repositories() []string {
	var list struct {
		Repositories []string `json:"repositories"`
	}
	d.registry("/v2/_catalog", &list)
	return list.Repositories
}

// registry asks the local registry; false when there is no good answer.
func (d diagnosis) registry(path string, into any) bool {
	ctx, cancel := context.WithTimeout(d.ctx, 2*time.Second)
	defer cancel()
	address := url.URL{Scheme: "http", Host: d.t.Registry, Path: path}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return false
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK && json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(into) == nil
}
