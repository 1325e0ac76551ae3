package main

import (
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts run the real main. kubectl and helm are it too, called by their names.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kindlab": main, toolKubectl: main, toolHelm: main})
}

// TestCommands runs the commands as a person does, on a machine without Docker: an
// engine is named that is not there. Every script ends with a home folder as empty
// as it was, because everything of kindlab's is in KINDLAB_STATE and KINDLAB_WORK.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, "home")
			env.Setenv("HOME", home)
			env.Setenv("KINDLAB_STATE", filepath.Join(env.WorkDir, "state"))
			env.Setenv("KINDLAB_WORK", filepath.Join(env.WorkDir, "work"))
			env.Setenv("DOCKER_HOST", "unix:///nonexistent.sock")
			if err := os.Mkdir(home, 0o755); err != nil {
				return err
			}
			env.Defer(func() {
				for _, name := range filesBelow(home) {
					env.T().Log("left in the home folder: " + name)
					defer env.T().FailNow()
				}
			})
			return nil
		},
		Condition: func(cond string) (bool, error) {
			// A full disk is a small one of our own, in a mount namespace.
			return cond == "mount" && exec.Command("unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt").Run() == nil, nil
		},
		Cmds: commands(),
	})
}

// commands are what scripts have beside the usual.
func commands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	all := hubs()
	all["exits"], all["taken"] = exits, taken
	return all
}

// exits CODE COMMAND… runs a command that must end with the code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := err.(*exec.ExitError)
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%v ended with %d, want %s", args[1:], code, args[0])
	}
}

// taken NAME listens on a port until the script ends, and puts it into a variable.
func taken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: taken NAME")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0], strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}

// filesBelow are the files and folders in dir.
func filesBelow(dir string) []string {
	var names []string
	_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && path != dir {
			names = append(names, path)
		}
		return nil
	})
	return names
}
