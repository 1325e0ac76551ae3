package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A console is what was logged so far.
type console struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.Write(b)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String()
}

// A testRegistry is a store on a server.
type testRegistry struct {
	*httptest.Server
	log *console
}

func open(t *testing.T, dir string) testRegistry {
	t.Helper()
	out := new(console)
	s, err := openStore(dir, log.New(out, "", 0))
	require.NoError(t, err)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return testRegistry{srv, out}
}

func (r testRegistry) ref(t *testing.T, s string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(strings.TrimPrefix(r.URL, "http://") + "/" + s)
	require.NoError(t, err)
	return ref
}

func (r testRegistry) has(t *testing.T, s string) bool {
	t.Helper()
	_, err := remote.Head(r.ref(t, s))
	return err == nil
}

func (r testRegistry) do(t *testing.T, method, path, body string, contentType ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header["Content-Type"] = contentType
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

func image(t *testing.T) (v1.Image, string) {
	t.Helper()
	img, err := random.Image(1000, 2)
	require.NoError(t, err)
	d, err := img.Digest()
	require.NoError(t, err)
	return img, d.String()
}

// assertWhole pulls an image with its layers, whose digests the client compares.
func assertWhole(t *testing.T, img v1.Image) {
	t.Helper()
	_, err := img.ConfigFile()
	require.NoError(t, err)
	layers, err := img.Layers()
	require.NoError(t, err)
	assert.NotEmpty(t, layers)
	for _, l := range layers {
		blob, err := l.Compressed()
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, blob)
		require.NoError(t, err)
		require.NoError(t, blob.Close())
	}
}

func TestImagesSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	img, digest := image(t)
	require.NoError(t, remote.Write(first.ref(t, "hello:v1"), img))

	second := open(t, dir)
	for _, ref := range []string{"hello:v1", "hello@" + digest} {
		got, err := remote.Image(second.ref(t, ref))
		require.NoError(t, err)
		assertWhole(t, got)
		d, err := got.Digest()
		require.NoError(t, err)
		assert.Equal(t, digest, d.String())
	}
	tags, err := remote.List(second.ref(t, "hello").Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"v1"}, tags)
}

func TestIndexesSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	for i := range 5 { // the order on disk is by chance: the index before its images, or after
		first := open(t, dir)
		index, err := random.Index(1000, 1, 2)
		require.NoError(t, err)
		require.NoError(t, remote.WriteIndex(first.ref(t, fmt.Sprint("lab/hello:v", i)), index))
	}
	second := open(t, dir)
	for i := range 5 {
		got, err := remote.Index(second.ref(t, fmt.Sprint("lab/hello:v", i)))
		require.NoError(t, err)
		images, err := got.IndexManifest()
		require.NoError(t, err)
		require.Len(t, images.Manifests, 2)
		for _, d := range images.Manifests {
			img, err := got.Image(d.Digest)
			require.NoError(t, err)
			assertWhole(t, img)
		}
	}
	assert.NotContains(t, second.log.String(), "skipping")
}

func TestAMovedTagKeepsTheOldDigest(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	old, oldDigest := image(t)
	next, nextDigest := image(t)
	require.NoError(t, remote.Write(first.ref(t, "hello:latest"), old))
	require.NoError(t, remote.Write(first.ref(t, "hello:latest"), next))

	second := open(t, dir)
	d, err := remote.Head(second.ref(t, "hello:latest"))
	require.NoError(t, err)
	assert.Equal(t, nextDigest, d.Digest.String())
	assert.True(t, second.has(t, "hello@"+oldDigest))
}

func TestDelete(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	img, digest := image(t)
	for _, tag := range []string{"a", "b", "c"} {
		require.NoError(t, remote.Write(r.ref(t, "hello:"+tag), img))
	}
	require.NoError(t, remote.Write(r.ref(t, "other:a"), img))

	require.NoError(t, remote.Delete(r.ref(t, "hello:a")))
	check := func(r testRegistry, want map[string]bool) {
		for ref, there := range want {
			assert.Equal(t, there, r.has(t, ref), ref)
		}
	}
	want := map[string]bool{"hello:a": false, "hello:b": true, "hello:c": true, "hello@" + digest: true, "other:a": true}
	check(r, want)
	check(open(t, dir), want)

	require.NoError(t, remote.Delete(r.ref(t, "hello@"+digest)))
	want = map[string]bool{"hello:b": false, "hello:c": false, "hello@" + digest: false, "other:a": true, "other@" + digest: true}
	check(r, want)
	check(open(t, dir), want)

	assert.Error(t, remote.Delete(r.ref(t, "hello:b")), "it is gone")
}

func TestDamagedFilesAreSkipped(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	img, digest := image(t)
	require.NoError(t, remote.Write(first.ref(t, "hello:v1"), img))
	require.NoError(t, remote.Write(first.ref(t, "hello:v2"), img))

	s := &store{dir: filepath.Join(dir, "manifests")}
	damaged := s.path(manifest{Repo: "hello", Reference: "v2"})
	text, err := os.ReadFile(damaged)
	require.NoError(t, err)
	for name, content := range map[string]string{
		damaged:                               strings.Replace(string(text), `"digest":"sha256:`, `"digest":"sha256:0`, 1),
		filepath.Join(s.dir, "half.json"):     string(text[:len(text)/2]),
		filepath.Join(s.dir, "copy.json"):     string(text),
		filepath.Join(s.dir, "x.json.new"):    "unfinished",
		filepath.Join(dir, "blobs/upload-12"): "unfinished",
	} {
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	}

	second := open(t, dir)
	assert.True(t, second.has(t, "hello:v1"))
	assert.True(t, second.has(t, "hello@"+digest))
	assert.False(t, second.has(t, "hello:v2"))
	for _, line := range []string{damaged + ": damaged", "half.json: unexpected end", "copy.json: damaged"} {
		assert.Contains(t, second.log.String(), line)
	}
	assert.NotContains(t, second.log.String(), "x.json.new")
	assert.NoFileExists(t, filepath.Join(dir, "blobs/upload-12"))
}

func TestAnIndexWithoutItsImagesIsSkipped(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	index, err := random.Index(1000, 1, 2)
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(first.ref(t, "hello:v1"), index))
	images, err := index.IndexManifest()
	require.NoError(t, err)
	s := &store{dir: filepath.Join(dir, "manifests")}
	require.NoError(t, os.Remove(s.path(manifest{Repo: "hello", Reference: images.Manifests[0].Digest.String()})))

	second := open(t, dir)
	assert.False(t, second.has(t, "hello:v1"))
	assert.True(t, second.has(t, "hello@"+images.Manifests[1].Digest.String()))
	assert.Contains(t, second.log.String(), `skipping "hello" "v1": something it needs is missing`)
}

func TestHostileNamesStayInside(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	r := open(t, data)
	body := `{"schemaVersion":2}`
	paths := []string{
		"/v2/%2e%2e/%2e%2e/manifests/%2e%2e", "/v2/a%00b/manifests/x", "/v2//manifests/x", "/v2/a/manifests/..%5cx", "/v2/a/manifests/",
		"/v2/" + strings.Repeat("x", 5000) + "/manifests/" + strings.Repeat("y", 5000),
	}
	for _, path := range paths {
		status, text := r.do(t, http.MethodPut, path, body)
		assert.Equal(t, http.StatusCreated, status, text)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "nothing is written beside the directory")
	files, err := os.ReadDir(filepath.Join(data, "manifests"))
	require.NoError(t, err)
	for _, f := range files {
		assert.Regexp(t, `^[0-9a-f]{64}\.json$`, f.Name())
	}
	second := open(t, data)
	for _, path := range paths {
		status, text := second.do(t, http.MethodGet, path, "")
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, body, text)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	status, _ := r.do(t, http.MethodGet, "/v2/", "")
	assert.Equal(t, http.StatusOK, status, "it is healthy")
	index := `{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",` +
		`"size":1,"digest":"sha256:` + strings.Repeat("0", 64) + `"}]}`
	for _, c := range []struct {
		reference, contentType, body string
		status                       int
	}{
		{"v1", "application/vnd.oci.image.index.v1+json", index, http.StatusNotFound},
		{"v1", "application/vnd.oci.image.index.v1+json", "{", http.StatusBadRequest},
		{"sha256:" + strings.Repeat("0", 64), "text/plain", "{}", http.StatusBadRequest},
		{"v1", "text/plain", strings.Repeat("x", maxManifest+1), http.StatusRequestEntityTooLarge},
	} {
		status, _ := r.do(t, http.MethodPut, "/v2/hello/manifests/"+c.reference, c.body, c.contentType)
		assert.Equal(t, c.status, status, c.body[:1])
	}
	files, err := os.ReadDir(filepath.Join(dir, "manifests"))
	require.NoError(t, err)
	assert.Empty(t, files, "what was refused is not written down")

	require.NoError(t, os.RemoveAll(filepath.Join(dir, "manifests")))
	status, _ = r.do(t, http.MethodPut, "/v2/hello/manifests/v1", "{}")
	assert.Equal(t, http.StatusInternalServerError, status, "what cannot be written down is not accepted")
}

func TestRun(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		err  string
	}{
		{[]string{"-h"}, 0, "-addr address"},
		{[]string{"-x"}, 2, "-x"},
		{[]string{"-dir", "/dev/null/x"}, 2, "registry: opening /dev/null/x: "},
		{[]string{"-dir", t.TempDir(), "-addr", "nowhere"}, 2, "registry: listen"},
	} {
		out := new(console)
		assert.Equal(t, c.code, run(t.Context(), c.args, out))
		assert.Contains(t, out.String(), c.err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	out, code := new(console), make(chan int)
	go func() { code <- run(ctx, []string{"-dir", t.TempDir(), "-addr", "127.0.0.1:0"}, out) }()
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "listening on 127.0.0.1:") }, 30*time.Second, time.Millisecond)
	cancel()
	assert.Equal(t, 0, <-code)
}
