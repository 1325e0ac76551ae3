package checker

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strconv"

	"github.com/kindlab/kindlab/labs"
	"helm.sh/helm/v4/pkg/release"
	"helm.sh/helm/v4/pkg/release/common"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedv1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// releaseCheck: a Helm release in the lab's namespace. Its last revision must be
// deployed. Fields that are not given are not looked at.
type releaseCheck struct {
	Name         string         `yaml:"name" doc:"The release." required:"true"`
	Chart        string         `yaml:"chart" doc:"The name of its chart."`
	MinRevision  int            `yaml:"minRevision" doc:"The last revision is at least this one."`
	Values       map[string]any `yaml:"values" doc:"A part of the values that the release has in effect."`
	RolledBackTo int            `yaml:"rolledBackTo" doc:"The last revision is a rollback to this one."`
	Ready        bool           `yaml:"ready" doc:"Its workloads are available, and nothing of it is missing."`
}

func (c *releaseCheck) validate() error {
	if c.Name == "" {
		return errors.New("name is missing: which release")
	}
	var errs []error
	// What Helm accepts for a release's name.
	if ok, _ := regexp.MatchString(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`, c.Name); !ok || len(c.Name) > 53 {
		errs = append(errs, fmt.Errorf("name %q is not a release's name: use small letters, digits and '-', at most 53", c.Name))
	}
	if c.MinRevision < 0 {
		errs = append(errs, errors.New("minRevision: revisions begin with 1"))
	}
	if c.RolledBackTo < 0 {
		errs = append(errs, errors.New("rolledBackTo: revisions begin with 1"))
	}
	return errors.Join(errs...)
}

func (c *releaseCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	k, err := kubeOf(ctx, t)
	if err != nil {
		return nil, err
	}
	history, err := revisions(releaseStore(ctx, k, t.Namespace), c.Name)
	if err != nil {
		return nil, kubeError("reading release "+c.Name, err)
	}
	if len(history) == 0 {
		f, err := c.whyNoRelease(ctx, k, t)
		if err != nil {
			return nil, err
		}
		return []labs.Finding{f}, nil
	}
	last := history[len(history)-1]
	found := c.differences(history)
	if last.Info.Status == common.StatusFailed {
		found[0] = whyFailed(ctx, k, t, last, found[0])
	}
	if len(found) > 0 || !c.Ready {
		return found, nil
	}
	return releaseReady(ctx, k, t, last)
}

// A releaseReader is where releases are stored, in one namespace.
type releaseReader interface {
	List(filter func(release.Releaser) bool) ([]release.Releaser, error)
	Query(labels map[string]string) ([]release.Releaser, error)
}

// releaseStore reads the releases of a namespace until ctx ends.
func releaseStore(ctx context.Context, k *kube, namespace string) releaseReader {
	return helmSecrets(ctx, k.typed.CoreV1().Secrets(namespace))
}

// helmSecrets reads releases from Secrets as Helm does.
func helmSecrets(ctx context.Context, secrets typedv1.SecretInterface) releaseReader {
	s := driver.NewSecrets(boundSecrets{secrets, ctx})
	s.SetLogger(slog.DiscardHandler)
	return s
}

// boundSecrets lists Secrets under a context of its own: Helm's storage brings none.
type boundSecrets struct {
	typedv1.SecretInterface
	ctx context.Context
}

// List implements [typedv1.SecretInterface]. Releases that unpack to more than a
// release is are left out: an attendee could write one that fills the memory.
func (b boundSecrets) List(_ context.Context, opts metav1.ListOptions) (*corev1.SecretList, error) {
	list, err := b.SecretInterface.List(b.ctx, opts)
	if err != nil {
		return nil, err
	}
	list.Items = slices.DeleteFunc(list.Items, func(s corev1.Secret) bool { return !fitsMemory(s.Data["release"]) })
	return list, nil
}

// releaseBytes is how large a release may be when it is unpacked. Helm stores it
// packed in a Secret, which holds at most 1 MiB.
const releaseBytes = 32 << 20

// fitsMemory reports whether what Helm stores of a release, base64 of gzip of JSON,
// unpacks to at most releaseBytes.
func fitsMemory(stored []byte) bool {
	packed := base64.NewDecoder(base64.StdEncoding, bytes.NewReader(stored))
	buffered := bufio.NewReader(packed)
	if magic, _ := buffered.Peek(3); !bytes.Equal(magic, []byte{0x1f, 0x8b, 0x08}) {
		return true // of an old Helm, not packed
	}
	z, err := gzip.NewReader(buffered)
	if err != nil {
		return true // it will not be read
	}
	n, _ := io.Copy(io.Discard, io.LimitReader(z, releaseBytes+1))
	return n <= releaseBytes
}

// revisions are those of the named release that are still stored, oldest first.
func revisions(store releaseReader, name string) ([]*releasev1.Release, error) {
	stored, err := store.Query(map[string]string{"name": name, "owner": "helm"})
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var out []*releasev1.Release
	for _, s := range stored {
		if r := readRelease(s); r != nil {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *releasev1.Release) int { return a.Version - b.Version })
	return out, nil
}

// readRelease is a stored release; nil when it is of a format unknown to us or has a hole.
func readRelease(s release.Releaser) *releasev1.Release {
	r, _ := s.(*releasev1.Release)
	if r == nil || r.Info == nil || r.Chart == nil || r.Chart.Metadata == nil {
		return nil
	}
	return r
}

// releaseNames are the releases of a namespace that are not uninstalled, each once.
func releaseNames(store releaseReader) ([]string, error) {
	var names []string
	_, err := store.List(func(s release.Releaser) bool {
		if r := readRelease(s); r != nil && r.Info.Status != common.StatusUninstalled {
			names = append(names, r.Name)
		}
		return false
	})
	slices.Sort(names)
	return slices.Compact(names), err
}

// rolledBackTo is the revision that a revision is a rollback to; 0 when it is none.
func rolledBackTo(r *releasev1.Release) int {
	if n := r.Info.RollbackRevision; n > 0 {
		return n
	}
	// Helm 3 says it in words only.
	if m := regexp.MustCompile(`^Rollback to (\d+)$`).FindStringSubmatch(r.Info.Description); m != nil {
		n, _ := strconv.Atoi(m[1])
		return n
	}
	return 0
}
