package join

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Bounds of a course that goes from hub to machine.
const (
	mostFiles = 5000
	mostBytes = 64 << 20
)

// courseFiles are the names of a course's files in order. What begins with '.' beside
// course.yaml, as .git does, is not the course's, and neither is what is no plain file.
func courseFiles(fsys fs.FS) ([]string, error) {
	var names []string
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(name, "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.Type().IsRegular():
			names = append(names, name)
		}
		if len(names) > mostFiles {
			return fmt.Errorf("a course has at most %d files", mostFiles)
		}
		return nil
	})
	return names, err
}

// eachFile reads the files of a course in order.
func eachFile(fsys fs.FS, see func(name string, data []byte) error) error {
	names, err := courseFiles(fsys)
	if err != nil {
		return fmt.Errorf("reading the course: %w", err)
	}
	total := 0
	for _, name := range names {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return fmt.Errorf("reading the course: %w", err)
		}
		if total += len(data); total > mostBytes {
			return fmt.Errorf("reading the course: it has more than %d MiB", mostBytes>>20)
		}
		if err := see(name, data); err != nil {
			return err
		}
	}
	return nil
}

// Sum is the same for the same names and contents of a course's files, and for no others.
func Sum(fsys fs.FS) (string, error) {
	sum := sha256.New()
	err := eachFile(fsys, func(name string, data []byte) error {
		_, err := fmt.Fprintf(sum, "%q %d\n%s\n", name, len(data), data)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}

// Pack writes the files of a course as a tar.
func Pack(w io.Writer, fsys fs.FS) error {
	out := tar.NewWriter(w)
	err := eachFile(fsys, func(name string, data []byte) error {
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o644}); err != nil {
			return err
		}
		_, err := out.Write(data)
		return err
	})
	return errors.Join(err, out.Close())
}

// Unpack makes the folder dir of the files in a tar, all or nothing: what is there
// is replaced when the new files are whole and their sum is the expected one.
func Unpack(r io.Reader, dir, sum string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return fmt.Errorf("making the course's folder: %w", err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), ".new-")
	if err != nil {
		return fmt.Errorf("making the course's folder: %w", err)
	}
	defer os.RemoveAll(fresh)
	if err := unpackInto(r, fresh); err != nil {
		return fmt.Errorf("unpacking the course: %w", err)
	}
	if got, err := Sum(os.DirFS(fresh)); err != nil || got != sum {
		return errors.Join(errors.New("unpacking the course: it is not what the hub announced"), err)
	}
	if err := os.Chmod(fresh, 0o755); err != nil {
		return err
	}
	old := fresh + ".old"
	defer os.RemoveAll(old)
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replacing the course: %w", err)
	}
	if err := os.Rename(fresh, dir); err != nil {
		return errors.Join(fmt.Errorf("replacing the course: %w", err), os.Rename(old, dir))
	}
	return nil
}

// unpackInto writes plain files, and only inside dir.
func unpackInto(r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	in := tar.NewReader(io.LimitReader(r, mostBytes+mostFiles*2048))
	total := int64(0)
	for n := 0; ; n++ {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		name := h.Name
		switch total += h.Size; {
		case n >= mostFiles || h.Size < 0 || total > mostBytes:
			return errors.New("it is too large")
		case h.Typeflag != tar.TypeReg || !fs.ValidPath(name) || !filepath.IsLocal(filepath.FromSlash(name)) || strings.ContainsAny(name, "\\:\x00"):
			return fmt.Errorf("%q is no plain file of a course", name)
		}
		if err := root.MkdirAll(filepath.FromSlash(path.Dir(name)), 0o755); err != nil {
			return err
		}
		f, err := root.OpenFile(filepath.FromSlash(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		_, err = io.CopyN(f, in, h.Size)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
}
