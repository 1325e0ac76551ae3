package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// imageAnnotation on an image in the registry is the id that it has in the engine.
	imageAnnotation = "kindlab.image"
	meshRepository  = "istio" // in the registry
)

// meshImageNames are the images of Istio that run in the cluster.
func meshImageNames() []string { return []string{"pilot", "proxyv2"} }

// findMeshImages finds out where the nodes get Istio's images: when the engine has
// all of them they go into the registry and nothing is pulled from elsewhere.
func (e *Environment) findMeshImages(ctx context.Context) (detail string, err error) {
	e.meshHub = e.Mesh.hub()
	ids := map[string]string{}
	for _, image := range meshImageNames() {
		ref := e.Mesh.hub() + "/" + image + ":" + e.Mesh.tag()
		found, err := e.Docker.ImageInspect(ctx, ref)
		if isNotFound(err) {
			return "the nodes pull them from " + e.Mesh.hub(), nil
		} else if err != nil {
			return "", fmt.Errorf("looking for image %s: %w", ref, err)
		}
		ids[image] = found.ID
	}
	for _, image := range meshImageNames() {
		if err := e.pushFromEngine(ctx, e.Mesh.hub()+"/"+image+":"+e.Mesh.tag(), ids[image], meshRepository+"/"+image+":"+e.Mesh.tag()); err != nil {
			return "", err
		}
	}
	e.meshHub = e.Registry + "/" + meshRepository
	return fmt.Sprintf("%s, from Docker's own", e.meshHub), nil
}

// pushFromEngine puts an image of the engine into the registry, unless it is there.
func (e *Environment) pushFromEngine(ctx context.Context, ref, id, as string) error {
	dst, err := name.NewTag(e.Registry+"/"+as, name.Insecure)
	if err != nil {
		return err
	}
	transport := &http.Transport{} // no proxy: the registry is on this machine
	defer transport.CloseIdleConnections()
	opts := []remote.Option{remote.WithContext(ctx), remote.WithTransport(transport)}
	if there, err := remote.Image(dst, opts...); err == nil {
		if m, err := there.Manifest(); err == nil && m.Annotations[imageAnnotation] == id {
			return nil
		}
	}
	e.Report.Echo(fmt.Sprintf("docker tag %s %s && docker push %s", ref, dst, dst))
	file, err := e.saveImage(ctx, ref)
	if err != nil {
		return err
	}
	defer os.Remove(file)
	src, err := name.NewTag(ref)
	if err != nil {
		return fmt.Errorf("reading the name of image %s: %w", ref, err)
	}
	img, err := tarball.ImageFromPath(file, &src)
	if err != nil {
		return fmt.Errorf("reading image %s as Docker saved it: %w", ref, err)
	}
	marked, ok := mutate.Annotations(img, map[string]string{imageAnnotation: id}).(v1.Image)
	if !ok {
		return fmt.Errorf("image %s cannot be marked", ref)
	}
	if err := remote.Write(dst, marked, opts...); err != nil {
		return fmt.Errorf("pushing %s: %w", dst, err)
	}
	return nil
}

// saveImage writes an image of the engine into a file that the caller removes. Of an
// image for many platforms the engine may have just the parts that it runs.
func (e *Environment) saveImage(ctx context.Context, ref string) (file string, err error) {
	var opts []client.ImageSaveOption
	if apiAtLeast(e.Docker.ClientVersion(), 48) {
		arch, err := e.engineArch(ctx)
		if err != nil {
			return "", err
		}
		opts = append(opts, client.ImageSaveWithPlatforms(ocispec.Platform{OS: "linux", Architecture: arch}))
	}
	saved, err := e.Docker.ImageSave(ctx, []string{ref}, opts...)
	if err != nil {
		return "", fmt.Errorf("saving image %s: %w", ref, err)
	}
	defer saved.Close()
	f, err := os.CreateTemp("", "kindlab-image-*.tar")
	if err != nil {
		return "", fmt.Errorf("saving image %s: %w", ref, err)
	}
	_, err = io.Copy(f, saved)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("saving image %s: %w", ref, errors.Join(err, os.Remove(f.Name())))
	}
	return f.Name(), nil
}
