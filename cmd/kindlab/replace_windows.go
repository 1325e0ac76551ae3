package main

import (
	"path/filepath"
	"strings"
)

// replace runs another program and ends with its exit code. A program there is not
// told under which name it was called, so our tools are called by their command.
func replace(path string, argv, env []string) error {
	if name := argv[0]; (name == toolKubectl || name == toolHelm) && !strings.EqualFold(strings.TrimSuffix(filepath.Base(path), ".exe"), name) {
		argv = append([]string{"kindlab", "as-" + name}, argv[1:]...)
	}
	return runAs(path, argv, env)
}
