package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kindlab/kindlab/provision"
	"github.com/spf13/cobra"
)

func newShell(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "shell [LAB]",
		Short: "Open your shell in a lab: its folder, its namespace, kubectl and helm",
		Long: `shell opens your own shell in the lab's work folder. kubectl and helm are on the
PATH and use the lab's namespace. Without LAB it is the first lab that is not
solved. Leave it with exit.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			s, err := a.attached(ctx, "")
			if err != nil {
				return err
			}
			id := ""
			if len(args) == 1 {
				id = args[0]
			}
			return s.shell(ctx, id)
		},
	}
}

// shell becomes a shell in a lab; without id in the one where the attendee is. It
// closes the session.
func (s *session) shell(ctx context.Context, id string) error {
	defer s.close()
	var err error
	if id == "" {
		if id, err = s.current(ctx, ""); err != nil {
			return err
		}
	}
	lab, err := s.course.FindLab(id)
	if err != nil {
		return err
	}
	dir := s.place.LabFolder(s.course.ID, id)
	if _, err := os.Stat(dir); err != nil {
		return &provision.Hinted{Err: fmt.Errorf("lab %s has no work folder yet: %w", id, err), Hint: "run `kindlab up` in another terminal"}
	}
	env, err := s.labEnv(id)
	if err != nil {
		return err
	}
	if err := os.Chdir(dir); err != nil {
		return fmt.Errorf("entering the work folder: %w", err)
	}
	where := id
	if lab.Wants("cluster") {
		where += "|" + s.place.Namespace(id)
	}
	fmt.Fprintf(s.err, "Lab %s: %s\nYou are in %s. Leave with exit.\n", id, lab.Title, dir)
	path, argv, more, err := s.shellCommand(where)
	if err != nil {
		return err
	}
	s.close()
	return replace(path, argv, append(env, append(more, "PWD="+dir)...))
}

// shellCommand is the user's shell with a prompt that begins with [where]. The
// user's own start-up files are read first and never written.
func (a *app) shellCommand(where string) (path string, argv, env []string, err error) {
	path = first(a.env("SHELL"), "/bin/sh")
	if comspec := a.env("COMSPEC"); a.env("SHELL") == "" && comspec != "" {
		return comspec, []string{comspec}, []string{"PROMPT=[" + where + "] $P$G"}, nil
	}
	dir := filepath.Join(a.state, "shell")
	bin := filepath.Join(a.state, "bin")
	// Start-up files often put their own folders first: ours must win again.
	again := "PATH='" + strings.ReplaceAll(bin, "'", `'\''`) + "':\"$PATH\"; export PATH\n"
	write := func(name, text string) error {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("preparing the shell: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("preparing the shell: %w", err)
		}
		return nil
	}
	argv = []string{path}
	switch filepath.Base(path) {
	case "bash":
		err = write("bashrc", "[ -f ~/.bashrc ] && . ~/.bashrc\n"+again+"PS1=\"[$KINDLAB_PROMPT] $PS1\"\n")
		argv = append(argv, "--rcfile", filepath.Join(dir, "bashrc"), "-i")
	case "zsh":
		err = write(".zshrc", "ZDOTDIR=${KINDLAB_ZDOTDIR:-$HOME}\n[ -f \"$ZDOTDIR/.zshrc\" ] && . \"$ZDOTDIR/.zshrc\"\n"+again+"PS1=\"[$KINDLAB_PROMPT] $PS1\"\n")
		env = []string{"KINDLAB_ZDOTDIR=" + a.env("ZDOTDIR"), "ZDOTDIR=" + dir}
	case "fish":
		argv = append(argv, "-C", "set -gx PATH '"+bin+"' $PATH; functions -c fish_prompt kindlab_old_prompt; function fish_prompt; echo -n \"[$KINDLAB_PROMPT] \"; kindlab_old_prompt; end")
	default:
		env = []string{"PS1=[" + where + "] $ "}
	}
	return path, argv, append(env, "KINDLAB_PROMPT="+where), err
}
