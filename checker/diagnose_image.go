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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	if wantsLogin(says) {
		return d.login(p, c.Image, f)
	}
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

// wantsLogin reports whether a pull failed for want of a login. Docker Hub denies what
// it does not have in the same words as what is private: that is not meant here.
func wantsLogin(says string) bool {
	return !strings.Contains(says, "insufficient_scope") &&
		(strings.Contains(says, "401 Unauthorized") || strings.Contains(says, "403 Forbidden") || strings.Contains(says, "no basic auth credentials"))
}

// login is the cause for which a pod has no login, or not the right one, for the
// registry of its image. Only the registries' names of a Secret are looked at.
func (d diagnosis) login(p *corev1.Pod, image string, f labs.Finding) labs.Finding {
	host, _, _ := strings.Cut(image, "/")
	called := "pod " + p.Name
	step(d.ctx, "%s pulls %s, and its registry asks for a login", called, image)
	if len(p.Spec.ImagePullSecrets) == 0 {
		f.Because = fmt.Sprintf("the registry %s asks for a login, and %s names no imagePullSecrets", host, called)
		return f
	}
	var held []string
	for _, r := range p.Spec.ImagePullSecrets {
		secret, err := d.k.typed.CoreV1().Secrets(p.Namespace).Get(d.ctx, r.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			f.Because = fmt.Sprintf("there is no Secret %s, from which %s takes its login (imagePullSecrets)", r.Name, called)
			f.Nearest = d.nearName(ref{APIVersion: "v1", Kind: "Secret", Name: r.Name})
			f.Look = command(d.t, "kubectl get secrets", p.Namespace, "")
			return f
		} else if err != nil {
			return f
		}
		f.Look = command(d.t, "kubectl get secret "+r.Name, p.Namespace, "-o yaml")
		hosts, isLogin := loginHosts(secret)
		if !isLogin {
			f.Because = fmt.Sprintf("Secret %s is of type %s, and a login for a registry is of type %s", r.Name, secret.Type, corev1.SecretTypeDockerConfigJson)
			return f
		}
		if slices.Contains(hosts, host) {
			f.Because = fmt.Sprintf("the registry %s refuses the login of Secret %s", host, r.Name)
			return f
		}
		held = append(held, hosts...)
	}
	f.Because = fmt.Sprintf("Secret %s holds no login for the registry %s", p.Spec.ImagePullSecrets[0].Name, host)
	if len(held) > 0 {
		f.Nearest = "it holds one for " + listed(held)
	}
	return f
}

// loginHosts are the registries for which a Secret holds a login; false when it is
// none of a kind that can.
func loginHosts(s *corev1.Secret) (hosts []string, ok bool) {
	var config struct {
		Auths map[string]any `json:"auths"`
	}
	switch s.Type {
	case corev1.SecretTypeDockerConfigJson:
		_ = json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &config)
	case corev1.SecretTypeDockercfg:
		_ = json.Unmarshal(s.Data[corev1.DockerConfigKey], &config.Auths)
	default:
		return nil, false
	}
	for h := range config.Auths {
		h = strings.TrimPrefix(strings.TrimPrefix(h, "https://"), "http://")
		h, _, _ = strings.Cut(h, "/")
		hosts = append(hosts, h)
	}
	slices.Sort(hosts)
	return hosts, true
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
	case wantsLogin(says):
		return "its registry asks for a login"
	case strings.Contains(says, "pull access denied"), strings.Contains(says, "insufficient_scope"):
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
