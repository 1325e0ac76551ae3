package provision

import (
	"archive/tar"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// built is an architecture that the programs are built for.
func built(t *testing.T) string {
	t.Helper()
	for _, arch := range []string{"amd64", "arm64"} {
		_, hello := apps.Open("apps/hello-linux-" + arch + ".gz")
		_, reg := apps.Open("apps/registry-linux-" + arch + ".gz")
		if hello == nil && reg == nil {
			return arch
		}
	}
	t.Skip("the programs of the images are not built: run `make apps`")
	return ""
}

func TestApp(t *testing.T) {
	_, err := App("hello", "pdp11")
	var h *Hinted
	require.ErrorAs(t, err, &h)
	assert.Contains(t, h.Hint, "make ARCHS=pdp11")
	_, err = App("../apps/hello", built(t))
	require.Error(t, err)
	data, err := App("hello", built(t))
	require.NoError(t, err)
	assert.Equal(t, "\x7fELF", string(data[:4]))
}

func TestAppImage(t *testing.T) {
	arch := built(t)
	digests := map[string]string{}
	for _, app := range []string{appHello, appRegistry} {
		var seen []string
		for range 2 {
			img, err := appImage(app, arch)
			require.NoError(t, err)
			d, err := img.Digest()
			require.NoError(t, err)
			seen = append(seen, d.String())
		}
		assert.Equal(t, seen[0], seen[1], "the same program gives the same image")
		digests[seen[0]] = app
	}
	assert.Len(t, digests, 2)
	_, err := appImage(appHello, "pdp11")
	var h *Hinted
	require.ErrorAs(t, err, &h)

	img, err := appImage(appRegistry, arch)
	require.NoError(t, err)
	file, err := img.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, []string{"linux", arch, "65532", "/registry"}, []string{file.OS, file.Architecture, file.Config.User, file.Config.Entrypoint[0]})
	assert.Equal(t, "registry", file.Config.Labels[PartLabel])
	assert.Len(t, file.Config.Labels[programLabel], 64)
	assert.Equal(t, []string{"registry 755 0", "data/ 755 65532"}, entries(t, img))

	img, err = appImage(appHello, arch)
	require.NoError(t, err)
	file, err = img.ConfigFile()
	require.NoError(t, err)
	assert.Empty(t, file.Config.Labels, "what is built on top of it would inherit them")
	assert.Equal(t, []string{"hello 755 0"}, entries(t, img))
}

// entries are the names, modes and owners in the only layer of an image.
func entries(t *testing.T, img v1.Image) []string {
	t.Helper()
	layers, err := img.Layers()
	require.NoError(t, err)
	require.Len(t, layers, 1)
	r, err := layers[0].Uncompressed()
	require.NoError(t, err)
	defer r.Close()
	var out []string
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		assert.Zero(t, h.ModTime.Unix())
		out = append(out, fmt.Sprintf("%s %o %d", h.Name, h.Mode, h.Uid))
	}
}

func TestHelloTags(t *testing.T) {
	tags := HelloTags()
	assert.Equal(t, tags, HelloTags())
	tags["v1"][0] = "changed"
	assert.NotEqual(t, tags, HelloTags(), "each caller has its own")
	for tag, env := range HelloTags() {
		assert.Contains(t, env, "APP_VERSION="+tag)
		assert.Equal(t, tag == "broken", slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "CRASH=") }), tag)
	}
}

func TestPushImages(t *testing.T) {
	srv := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer srv.Close()
	r := &recorder{}
	e := &Environment{Registry: srv.Listener.Addr().String(), arch: built(t), Report: r}
	detail, err := e.pushImages(t.Context())
	require.NoError(t, err)
	assert.Equal(t, e.Registry+"/hello: v1, v2, v3, broken", detail)
	slices.Sort(r.lines)
	push := "$ docker push " + e.Registry + "/hello:"
	assert.Equal(t, []string{push + "broken", push + "v1", push + "v2", push + "v3"}, r.lines)

	digests := map[string]bool{}
	for tag, env := range HelloTags() {
		ref, err := name.NewTag(e.Registry+"/hello:"+tag, name.Insecure)
		require.NoError(t, err)
		img, err := remote.Image(ref)
		require.NoError(t, err)
		file, err := img.ConfigFile()
		require.NoError(t, err)
		assert.Equal(t, env, file.Config.Env)
		assert.Equal(t, []string{"serve"}, file.Config.Cmd)
		d, err := img.Digest()
		require.NoError(t, err)
		digests[d.String()] = true
	}
	assert.Len(t, digests, 4)

	r.lines = nil
	_, err = e.pushImages(t.Context())
	require.NoError(t, err)
	assert.Empty(t, r.lines, "what is there already is not sent again")

	srv.Close()
	_, err = e.pushImages(t.Context())
	require.ErrorContains(t, err, "pushing "+e.Registry+"/hello:")
}

// TestPushImagesElsewhere: to the registry of an existing cluster with the user's own
// credentials, as docker push would.
func TestPushImagesElsewhere(t *testing.T) {
	behind := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ann" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="class"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		behind.ServeHTTP(w, r)
	}))
	defer srv.Close()
	host := srv.Listener.Addr().String()
	e := &Environment{Existing: &Existing{Registry: host + "/class/one"}, Registry: host + "/class/one", nodeArch: built(t), Report: &recorder{}}
	config := t.TempDir()
	t.Setenv("DOCKER_CONFIG", config)
	_, err := e.pushImages(t.Context())
	require.Error(t, err, "nobody may")
	write(t, fmt.Sprintf(`{"auths": {"%s": {"auth": "%s"}}}`, host, base64.StdEncoding.EncodeToString([]byte("ann:secret"))), config, "config.json")
	detail, err := e.pushImages(t.Context())
	require.NoError(t, err)
	assert.Equal(t, host+"/class/one/hello: v1, v2, v3, broken", detail)
}
