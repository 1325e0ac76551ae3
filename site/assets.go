package site

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets templates
var files embed.FS

// assets are the style, script and icon. A file's address holds the hash of its
// content, so that a browser may keep it for ever and still never shows an old one.
type assets struct {
	url  map[string]string // by file name
	data map[string][]byte // by served name
}

func newAssets(from ...fs.FS) (*assets, error) {
	a := &assets{url: map[string]string{}, data: map[string][]byte{}}
	for _, fsys := range from {
		entries, err := fs.ReadDir(fsys, "assets")
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			data, err := fs.ReadFile(fsys, "assets/"+e.Name())
			if err != nil {
				return nil, err
			}
			sum := sha256.Sum256(data)
			ext := path.Ext(e.Name())
			served := strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
			a.url[e.Name()], a.data[served] = "/assets/"+served, data
		}
	}
	return a, nil
}

// URL is the address of an asset; templates ask for it.
func (a *assets) URL(name string) (string, error) {
	if url, ok := a.url[name]; ok {
		return url, nil
	}
	return "", fmt.Errorf("there is no asset %s", name)
}

func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	data, ok := a.data[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
}
