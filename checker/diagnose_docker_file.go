package checker

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// A programFile is what there is in a container of a program that could not be started.
type programFile struct {
	Path  string // where it is; empty when it is not there
	Mode  fs.FileMode
	First string // its first line, when that names an interpreter
	User  string // whom the container runs as
}

// program looks for a program as the engine does: by its path, or in the folders of PATH.
func (d *docker) program(ctx context.Context, ctr *container.InspectResponse, name string) programFile {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	places := []string{path.Join("/", ctr.Config.WorkingDir, name)}
	if path.IsAbs(name) {
		places = []string{name}
	} else if !strings.Contains(name, "/") {
		places = nil
		for _, dir := range strings.Split(envMap(ctr.Config.Env)["PATH"], ":") {
			places = append(places, path.Join("/", dir, name))
		}
	}
	for _, place := range places[:min(len(places), 20)] {
		got, err := d.api.ContainerStatPath(ctx, ctr.ID, client.ContainerStatPathOptions{Path: place})
		if err != nil {
			continue
		}
		p := programFile{Path: place, Mode: got.Stat.Mode, User: ctr.Config.User}
		if p.Mode.IsRegular() && got.Stat.Size < 1<<20 {
			p.First = d.firstLine(ctx, ctr.ID, place)
		}
		return p
	}
	return programFile{}
}

// firstLine is the line of a script that names its interpreter, or "".
func (d *docker) firstLine(ctx context.Context, id, file string) string {
	got, err := d.api.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: file})
	if err != nil {
		return ""
	}
	defer got.Content.Close()
	archive := tar.NewReader(got.Content)
	if _, err := archive.Next(); err != nil {
		return ""
	}
	line, _ := bufio.NewReader(io.LimitReader(archive, 256)).ReadString('\n')
	if !strings.HasPrefix(line, "#!") {
		return ""
	}
	return strings.TrimSuffix(line, "\n")
}

// noExecute reports whether nobody may run the file.
func (p programFile) noExecute() bool { return p.Mode.IsRegular() && p.Mode.Perm()&0o111 == 0 }

// notExecutable says why the file may not be run; name is what the engine calls it.
func (p programFile) notExecutable(name string) string {
	switch {
	case p.Path == "":
		return name + " of the image may not be run: it is a folder, or was copied without `chmod +x`"
	case p.Mode.IsDir():
		return name + " of the image is a folder, and no program"
	case p.noExecute():
		return fmt.Sprintf("%s of the image may not be run: its mode is %04o, without `chmod +x`", name, p.Mode.Perm())
	case p.User != "":
		return fmt.Sprintf("%s of the image may not be run by user %s: its mode is %04o", name, clip(p.User, 40), p.Mode.Perm())
	}
	return fmt.Sprintf("%s of the image may not be run (permission denied), though its mode is %04o", name, p.Mode.Perm())
}

// noLoader says what a program that is there lacks.
func (p programFile) noLoader() string {
	words := strings.Fields(strings.TrimPrefix(p.First, "#!"))
	switch {
	case len(words) == 0:
		return "its program is there, but not the loader or interpreter that the program needs"
	case strings.HasSuffix(p.First, "\r"):
		return fmt.Sprintf("the first line of %s ends as on Windows (CR LF), so that the end belongs to the interpreter's name", p.Path)
	}
	return fmt.Sprintf("%s is there, but not %s, with which its first line says to run it", p.Path, clip(words[0], 60))
}

// dockerfile is the text of the Dockerfile in the lab's work folder; "" when there is none.
func (d *docker) dockerfile() string {
	if d.work == "" {
		return ""
	}
	work, err := os.OpenRoot(d.work)
	if err != nil {
		return ""
	}
	defer work.Close()
	f, err := work.Open("Dockerfile")
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 256<<10))
	if err != nil {
		return ""
	}
	return string(text)
}

// A stage is a part of a Dockerfile from one FROM to the next.
type stage struct {
	from, name   string
	instructions []string // those below FROM, each on one line
}

// stagesOf takes a Dockerfile apart.
func stagesOf(text string) []stage {
	text = regexp.MustCompile(`(?m)^\s*#.*\n?`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`\\[ \t]*\r?\n`).ReplaceAllString(text, " ")
	var all []stage
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if !strings.EqualFold(words[0], "FROM") {
			if len(all) > 0 {
				last := &all[len(all)-1]
				last.instructions = append(last.instructions, strings.Join(words, " "))
			}
			continue
		}
		words = slices.DeleteFunc(words[1:], func(w string) bool { return strings.HasPrefix(w, "--") })
		s := stage{}
		if len(words) > 0 {
			s.from = words[0]
		}
		if len(words) > 2 && strings.EqualFold(words[1], "AS") {
			s.name = words[2]
		}
		all = append(all, s)
	}
	return all
}

// leftBehind says that the last stage of a Dockerfile does not take over the program that
// it is to run, and that an earlier stage has it; "" when that cannot be seen.
func leftBehind(dockerfile, program string) string {
	stages := stagesOf(dockerfile)
	if len(stages) < 2 {
		return ""
	}
	last := stages[len(stages)-1]
	if slices.ContainsFunc(stages, func(s stage) bool { return s.name != "" && s.name == last.from }) {
		return ""
	}
	named := regexp.MustCompile(`(?:^|[\s/"'\[,=])` + regexp.QuoteMeta(strings.ToValidUTF8(path.Base(program), "?")) + `(?:$|[\s"'\],])`)
	runs := false
	for _, line := range last.instructions {
		instruction, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(instruction) {
		case "CMD", "ENTRYPOINT":
			runs = runs || firstWord(rest) == program
		case "COPY", "ADD", "RUN":
			// A whole folder may bring it, or a command make it.
			if named.MatchString(rest) || strings.Contains(line, "--from=") || strings.EqualFold(instruction, "RUN") {
				return ""
			}
		}
	}
	if !runs {
		return ""
	}
	for i, s := range slices.Backward(stages[:len(stages)-1]) {
		if !slices.ContainsFunc(s.instructions, named.MatchString) {
			continue
		}
		from := s.name
		if from == "" {
			from = fmt.Sprint(i)
		}
		return fmt.Sprintf("the image has no program %s: an earlier stage of the Dockerfile makes it, and the last stage does not take it over (COPY --from=%s)", program, clip(from, 40))
	}
	return ""
}

// firstWord is the program of a CMD or ENTRYPOINT, in either form.
func firstWord(command string) string {
	var words []string
	if json.Unmarshal([]byte(command), &words) != nil {
		words = strings.Fields(command)
	}
	if len(words) == 0 {
		return ""
	}
	return words[0]
}
