package provision

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// The programs that images are made of, for Linux, compressed: NAME-linux-ARCH.gz.
// `make` builds them from cmd/hello and cmd/registry before kindlab itself.
//
//go:embed apps
var apps embed.FS

const (
	appHello     = "hello"
	appRegistry  = "registry"
	programLabel = "kindlab.program" // SHA-256 of the program in the image
)

// App is a program for Linux on arch (as Go names it), to be put into an image.
func App(app, arch string) ([]byte, error) {
	file := fmt.Sprintf("apps/%s-linux-%s.gz", app, arch)
	data, err := unpack(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hint(fmt.Errorf("this kindlab was built without the program %s for linux/%s", app, arch),
			"build it with `make`, or `make ARCHS=%s` for a Docker Engine of another architecture", arch)
	}
	return data, err
}

// unpack reads a compressed file that make has put into apps.
func unpack(file string) ([]byte, error) {
	packed, err := apps.ReadFile(file)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", file, err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", file, err)
	}
	return data, nil
}

// nobody is the numeric user of our images.
const nobody = 65532

// appImage makes an image from nothing but one of our programs. The same program
// gives the same image, to the bit, so that what is there already need not be sent.
func appImage(app, arch string) (v1.Image, error) {
	program, err := App(app, arch)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	entries := []tar.Header{{Name: app, Mode: 0o755, Size: int64(len(program)), Typeflag: tar.TypeReg}}
	if app == appRegistry {
		// A volume mounted here takes over the owner.
		entries = append(entries, tar.Header{Name: "data/", Mode: 0o755, Uid: nobody, Gid: nobody, Typeflag: tar.TypeDir})
	}
	for _, h := range entries {
		if err := w.WriteHeader(&h); err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(program); err != nil {
				return nil, err
			}
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return nil, fmt.Errorf("making the layer of %s: %w", app, err)
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return nil, fmt.Errorf("making the image of %s: %w", app, err)
	}
	c := v1.Config{User: fmt.Sprint(nobody), Entrypoint: []string{"/" + app}}
	if app == appRegistry {
		// Not on the sample app: what a learner builds on top of it would inherit the label and count as ours.
		c.Labels = map[string]string{PartLabel: app, programLabel: fmt.Sprintf("%x", sha256.Sum256(program))}
	}
	return configure(img, arch, c)
}

func configure(img v1.Image, arch string, c v1.Config) (v1.Image, error) {
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", arch, c
	file.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	return mutate.ConfigFile(img, file)
}

// HelloTags are the tags of the sample app's image: three versions, and one that
// crashes when it starts.
func HelloTags() map[string][]string {
	return map[string][]string{
		"v1":     {"APP_VERSION=v1", "APP_COLOR=teal"},
		"v2":     {"APP_VERSION=v2", "APP_COLOR=plum"},
		"v3":     {"APP_VERSION=v3", "APP_COLOR=amber"},
		"broken": {"APP_VERSION=broken", "CRASH=cannot read /etc/hello/hello.conf: no such file or directory"},
	}
}

// helloImages are the sample app's images for an architecture, by tag.
func helloImages(arch string) (map[string]v1.Image, error) {
	base, err := appImage(appHello, arch)
	if err != nil {
		return nil, err
	}
	file, err := base.ConfigFile()
	if err != nil {
		return nil, err
	}
	images := map[string]v1.Image{}
	for tag, env := range HelloTags() {
		c := *file.Config.DeepCopy()
		c.Env, c.Cmd, c.ExposedPorts = env, []string{"serve"}, map[string]struct{}{"3000/tcp": {}}
		if images[tag], err = configure(base, arch, c); err != nil {
			return nil, err
		}
	}
	return images, nil
}

// pushImages puts the sample app's images into the registry.
func (e *Environment) pushImages(ctx context.Context) (detail string, err error) {
	arch, err := e.clusterArch(ctx)
	if err != nil {
		return "", err
	}
	images, err := helloImages(arch)
	if err != nil {
		return "", err
	}
	opts := []remote.Option{remote.WithContext(ctx)}
	var insecure []name.Option
	if e.Existing != nil {
		// As docker push would: with the user's proxy and credentials.
		opts = append(opts, remote.WithAuthFromKeychain(authn.DefaultKeychain))
	} else {
		transport := &http.Transport{} // no proxy: the registry is on this machine
		defer transport.CloseIdleConnections()
		opts, insecure = append(opts, remote.WithTransport(transport)), append(insecure, name.Insecure)
	}
	for tag, img := range images {
		ref, err := name.NewTag(e.Registry+"/hello:"+tag, insecure...)
		if err != nil {
			return "", err
		}
		want, err := img.Digest()
		if err != nil {
			return "", err
		}
		if head, err := remote.Head(ref, opts...); err == nil && head.Digest == want {
			continue
		}
		e.Report.Echo("docker push " + ref.String())
		if err := remote.Write(ref, img, opts...); err != nil {
			return "", fmt.Errorf("pushing %s: %w", ref, err)
		}
	}
	return fmt.Sprintf("%s/hello: v1, v2, v3, broken", e.Registry), nil
}

// loadImage gives the Docker Engine one of our images under a tag and returns its id there.
func (e *Environment) loadImage(ctx context.Context, img v1.Image, tag string) (id string, err error) {
	file, err := img.ConfigFile()
	if err != nil {
		return "", err
	}
	// The engine's image ids depend on how it stores images: compare what we wrote into them.
	there, err := e.Docker.ImageInspect(ctx, tag)
	if err == nil && there.Config != nil && there.Config.Labels[programLabel] == file.Config.Labels[programLabel] {
		return there.ID, nil
	} else if err != nil && !isNotFound(err) {
		return "", fmt.Errorf("looking for image %s: %w", tag, err)
	}
	ref, err := name.NewTag(tag)
	if err != nil {
		return "", err
	}
	var archive bytes.Buffer
	if err := tarball.Write(ref, img, &archive); err != nil {
		return "", fmt.Errorf("packing image %s: %w", tag, err)
	}
	loaded, err := e.Docker.ImageLoad(ctx, &archive)
	if err != nil {
		return "", fmt.Errorf("loading image %s into Docker: %w", tag, err)
	}
	_, err = io.Copy(io.Discard, loaded)
	_ = loaded.Close()
	if err != nil {
		return "", fmt.Errorf("loading image %s into Docker: %w", tag, err)
	}
	if there, err = e.Docker.ImageInspect(ctx, tag); err != nil {
		return "", fmt.Errorf("image %s is not in Docker after loading it: %w", tag, err)
	}
	return there.ID, nil
}
