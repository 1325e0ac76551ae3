package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/registry"
)

// maxManifest is far more than any manifest needs.
const maxManifest = 4 << 20

// A store is a registry that keeps its blobs and manifests on disk. The registry inside keeps manifests in memory only;
// the store writes down each one that it accepted and puts them in again at the next start.
type store struct {
	inside http.Handler
	dir    string // of the manifests
	log    *log.Logger
	mu     sync.Mutex // memory and disk change together
}

// A manifest is one accepted PUT, as it is written down.
type manifest struct {
	Repo        string `json:"repo"`
	Reference   string `json:"reference"` // a tag or a digest
	ContentType string `json:"contentType"`
	Digest      string `json:"digest"`
	Body        []byte `json:"body"`
}

func openStore(dir string, log *log.Logger) (*store, error) {
	blobs, manifests := filepath.Join(dir, "blobs"), filepath.Join(dir, "manifests")
	if err := errors.Join(os.MkdirAll(blobs, 0o755), os.MkdirAll(manifests, 0o755)); err != nil {
		return nil, err
	}
	unfinished, _ := filepath.Glob(filepath.Join(blobs, "upload-*"))
	for _, path := range unfinished {
		_ = os.Remove(path)
	}
	inside := registry.New(registry.Logger(log), registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs)))
	s := &store{inside: inside, dir: manifests, log: log}
	s.replay()
	return s, nil
}

// replay puts the manifests in again. An index is refused as long as its images are missing, so those that were refused
// are tried again until there is no progress.
func (s *store) replay() {
	pending, before := s.read(), -1
	for len(pending) != before {
		before = len(pending)
		var refused []manifest
		for _, m := range pending {
			if s.ask(http.MethodPut, m).status != http.StatusCreated {
				refused = append(refused, m)
			}
		}
		pending = refused
	}
	for _, m := range pending {
		s.log.Printf("skipping %q %q: something it needs is missing", m.Repo, m.Reference)
	}
}

// read returns all manifests on disk, without those that are damaged.
func (s *store) read() (all []manifest) {
	paths, _ := filepath.Glob(filepath.Join(s.dir, "*.json"))
	for _, path := range paths {
		var m manifest
		text, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(text, &m)
		}
		if err == nil && (digest(m.Body) != m.Digest || s.path(m) != path) {
			err = errors.New("damaged")
		}
		if err != nil {
			s.log.Printf("skipping %s: %v", path, err)
			continue
		}
		all = append(all, m)
	}
	return all
}

func digest(body []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(body)) }

// path is named by a hash, since the names of repositories and tags are the client's.
func (s *store) path(m manifest) string {
	return filepath.Join(s.dir, fmt.Sprintf("%x.json", sha256.Sum256([]byte(m.Repo+"\x00"+m.Reference))))
}

// ServeHTTP is the registry, and keeps the disk in step with it.
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m, found := manifestOf(r.URL.Path)
	if !found || (r.Method != http.MethodPut && r.Method != http.MethodDelete) {
		s.inside.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	m.ContentType, m.Digest, m.Body = r.Header.Get("Content-Type"), digest(body), body
	if r.Method == http.MethodPut && m.byDigest() && m.Reference != m.Digest {
		http.Error(w, "the digest is "+m.Digest, http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.ask(r.Method, m)
	switch got.status {
	case http.StatusCreated:
		err = s.keep(m)
	case http.StatusAccepted:
		err = s.forget(m)
	}
	if err != nil {
		s.log.Printf("%s %q %q: %v", r.Method, m.Repo, m.Reference, err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	got.send(w)
}

// manifestOf reads /v2/REPO/manifests/REFERENCE as the registry inside does.
func manifestOf(path string) (manifest, bool) {
	parts := strings.Split(path, "/")
	n := len(parts)
	if n < 5 || parts[n-2] != "manifests" {
		return manifest{}, false
	}
	return manifest{Repo: strings.Join(parts[2:n-2], "/"), Reference: parts[n-1]}, true
}

func (m manifest) byDigest() bool { return strings.HasPrefix(m.Reference, "sha256:") }

// keep writes a manifest down: under its digest, and under its tag if it has one.
func (s *store) keep(m manifest) error {
	if !m.byDigest() {
		same := m
		same.Reference = m.Digest
		if err := s.keep(same); err != nil {
			return err
		}
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path(m)+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(s.path(m)+".new", s.path(m))
}

// forget removes a tag, or a manifest together with the tags that lead to it.
func (s *store) forget(m manifest) error {
	if m.byDigest() {
		for _, tag := range s.read() {
			if tag.Repo == m.Repo && tag.Digest == m.Reference && !tag.byDigest() {
				s.ask(http.MethodDelete, tag)
				if err := s.forget(tag); err != nil {
					return err
				}
			}
		}
	}
	if err := os.Remove(s.path(m)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil // it was never written down
}

// ask passes a change on to the registry inside.
func (s *store) ask(method string, m manifest) *reply {
	got := &reply{header: http.Header{}}
	s.inside.ServeHTTP(got, &http.Request{
		Method: method,
		URL:    &url.URL{Path: "/v2/" + m.Repo + "/manifests/" + m.Reference},
		Header: http.Header{"Content-Type": {m.ContentType}},
		Body:   io.NopCloser(bytes.NewReader(m.Body)),
	})
	return got
}

// A reply is what the registry inside answered.
type reply struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *reply) Header() http.Header         { return r.header }
func (r *reply) WriteHeader(status int)      { r.status = status }
func (r *reply) Write(b []byte) (int, error) { return r.body.Write(b) }

func (r *reply) send(w http.ResponseWriter) {
	for name, values := range r.header {
		w.Header()[name] = values
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body.Bytes()) // the client may have left
}
