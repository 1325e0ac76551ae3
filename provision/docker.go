package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// Labels in Docker and in Kubernetes.
const (
	PartLabel     = "kindlab.part"     // on what kindlab makes: network, registry, volume, image
	AttendeeLabel = "kindlab.attendee" // on what belongs to an attendee
	LabLabel      = "kindlab.lab"      // and to a lab
	CourseLabel   = "kindlab.course"
	ClassLabel    = "kindlab.class" // on what belongs to an attendee who shares a cluster: of several classes in it, which
)

// A Hinted error knows the next step.
type Hinted struct {
	Err  error
	Hint string
}

func (h *Hinted) Error() string { return h.Err.Error() }
func (h *Hinted) Unwrap() error { return h.Err }

func hint(err error, format string, args ...any) error {
	return &Hinted{err, fmt.Sprintf(format, args...)}
}

// ErrDocker says that the Docker Engine does not answer.
var ErrDocker = errors.New("Docker does not answer")

// Connect makes a client of the Docker Engine that the docker command uses:
// DOCKER_HOST, else the current context. It does not ask the engine anything.
func Connect(ctx context.Context) (*client.Client, error) {
	opts := []client.Opt{client.FromEnv}
	if os.Getenv("DOCKER_HOST") == "" && hasContext() {
		if host := contextHost(ctx); host != "" {
			opts = append(opts, client.WithHost(host))
		}
	}
	docker, err := client.New(opts...)
	if err != nil {
		return nil, hint(fmt.Errorf("connecting to Docker: %w", err), "check DOCKER_HOST and `docker context ls`")
	}
	return docker, nil
}

// hasContext reports whether the docker command may have another context than the
// default one. Without any, asking it would only cost time, at every command.
func hasContext() bool {
	folder := os.Getenv("DOCKER_CONFIG")
	if folder == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return true
		}
		folder = filepath.Join(home, ".docker")
	}
	var config struct {
		CurrentContext string `json:"currentContext"`
	}
	data, err := os.ReadFile(filepath.Join(folder, "config.json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) || err == nil && json.Unmarshal(data, &config) != nil {
		return true
	}
	name := os.Getenv("DOCKER_CONTEXT")
	if name == "" {
		name = config.CurrentContext
	}
	return name != "" && name != "default"
}

// contextHost is the address of the docker command's current context, or "".
func contextHost(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "docker", "context", "inspect", "-f", "{{.Endpoints.docker.Host}}").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// remoteEngine is the host of an engine that is not on this machine, or "".
func remoteEngine(daemonHost string) string {
	u, err := url.Parse(daemonHost)
	if err != nil || u.Scheme == "unix" || u.Scheme == "npipe" || u.Scheme == "fd" {
		return ""
	}
	switch h := u.Hostname(); h {
	case "", "localhost", "127.0.0.1", "::1":
		return ""
	default:
		return h
	}
}

func isNotFound(err error) bool { return errdefs.IsNotFound(err) }
