package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/kindlab/kindlab/labs"
)

// asideFolder in a course's work folder holds what resets have put aside.
const asideFolder = ".before-reset"

// startWork makes the lab's work folder and puts the lab's files there. A file
// that is there already stays as the learner has it.
func (e *Environment) startWork(ctx context.Context, course string, lab *labs.Lab) error {
	dir := e.LabFolder(course, lab.ID)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return hint(fmt.Errorf("making the work folder: %w", err), "choose another place with --work or KINDLAB_WORK")
	}
	files, err := lab.WorkFiles()
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := putFile(dir, f.Name, f.Data, 0o644); err != nil {
			return err
		}
	}
	if lab.Wants("app") {
		arch, err := e.engineArch(ctx)
		if err != nil {
			return err
		}
		program, err := App(appHello, arch)
		if err != nil {
			return err
		}
		return putFile(dir, appHello, program, 0o755)
	}
	return nil
}

// putFile writes a file below dir and nowhere else, unless it is there.
func putFile(dir, name string, data []byte, mode os.FileMode) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("opening the work folder: %w", err)
	}
	defer root.Close()
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return fmt.Errorf("making a folder in %s: %w", dir, err)
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("writing a lab file: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		// Half a file would count as the learner's next time.
		return fmt.Errorf("writing %s: %w", filepath.Join(dir, name), errors.Join(err, root.Remove(name)))
	}
	return nil
}

// SaveFile writes a file of the lab's page into the work folder, over what is there.
func (e *Environment) SaveFile(course, lab, name string, data []byte) error {
	root, err := os.OpenRoot(e.LabFolder(course, lab))
	if err != nil {
		return fmt.Errorf("opening the work folder: %w", err)
	}
	defer root.Close()
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return fmt.Errorf("making a folder for %s: %w", name, err)
	}
	if err := root.WriteFile(name, data, 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// putAside moves what is in the lab's work folder out of it; the folder itself
// stays, because a shell may be in it. kept is the new place, or "" when there was
// nothing.
func (e *Environment) putAside(course, lab string) (kept string, err error) {
	dir := e.LabFolder(course, lab)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return "", nil
	} else if err != nil {
		return "", fmt.Errorf("reading the work folder: %w", err)
	}
	kept = filepath.Join(e.Work, course, asideFolder, lab+"-"+time.Now().Format("20060102-150405.000"))
	if err := os.MkdirAll(kept, 0o755); err != nil {
		return "", fmt.Errorf("putting your files aside: %w", err)
	}
	for _, entry := range entries {
		if err := os.Rename(filepath.Join(dir, entry.Name()), filepath.Join(kept, entry.Name())); err != nil {
			return "", fmt.Errorf("putting your files aside: %w", err)
		}
	}
	return kept, nil
}
