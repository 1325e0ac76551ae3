//go:build e2e

package checker

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// app is what the images of this test hold: it serves, fails or eats memory.
const app = `package main

import ("fmt"; "net/http"; "os"; "time")

func main() {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "fail":
		fmt.Println("cannot find the greeting")
		os.Exit(3)
	case len(os.Args) > 1 && os.Args[1] == "hog":
		var all [][]byte
		for {
			b := make([]byte, 1<<20)
			for i := range b { b[i] = 1 }
			all = append(all, b)
			time.Sleep(time.Millisecond)
		}
	case len(os.Args) > 1 && os.Args[1] == "hang":
		time.Sleep(time.Hour)
	}
	fmt.Println(http.ListenAndServe(os.Getenv("ADDR")+":"+os.Getenv("PORT"), nil))
}
`

// a world is a Docker Engine, and names of its own for this run.
type world struct {
	*testing.T
	target *Target
	dir    string
	name   string // begins the name of every image and container
}

func newWorld(t *testing.T) *world {
	api, err := client.New(client.FromEnv)
	require.NoError(t, err)
	w := &world{T: t, dir: t.TempDir(), name: fmt.Sprintf("chk%d", time.Now().UnixNano()%1_000_000)}
	w.target = &Target{Docker: api, Attendee: w.name, Lab: &labs.Lab{ID: "e2e", Needs: []string{"docker"}}}
	t.Cleanup(func() {
		own := "label=" + attendeeLabel + "=" + w.name
		if ids := w.try("docker", "ps", "-aq", "--filter", own); ids != "" {
			w.try("docker", append([]string{"rm", "-f"}, strings.Fields(ids)...)...)
		}
		// An image that another was built upon goes only after it.
		for ids := ""; ; {
			left := w.try("docker", "images", "-aq", "--filter", own)
			if left == "" || left == ids {
				return
			}
			ids = left
			w.try("docker", append([]string{"rmi", "-f"}, strings.Fields(ids)...)...)
		}
	})
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "app.go"), []byte(app), 0o644))
	w.run("go", "build", "-o", filepath.Join(w.dir, "app"), filepath.Join(w.dir, "app.go"))
	return w
}

// try runs a command and returns what it wrote, also when it fails.
func (w *world) try(command string, args ...string) string {
	cmd := exec.Command(command, args...)
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=0", "CGO_ENABLED=0")
	out, _ := cmd.CombinedOutput()
	return strings.TrimSpace(string(out))
}

func (w *world) run(command string, args ...string) string {
	w.Helper()
	cmd := exec.Command(command, args...)
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=0", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(w, err, "%s %s: %s", command, strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}

// build builds an image; no tag, no -t. more are lines of its Dockerfile.
func (w *world) build(tag string, more ...string) {
	w.Helper()
	w.run("docker", w.buildArgs(tag, more...)...)
}

func (w *world) buildArgs(tag string, more ...string) []string {
	lines := append([]string{"FROM scratch", "COPY app /app",
		"LABEL kindlab.lab=e2e kindlab.attendee=" + w.name, "ENV PORT=3000"}, more...)
	require.NoError(w, os.WriteFile(filepath.Join(w.dir, "Dockerfile"), []byte(strings.Join(lines, "\n")+"\n"), 0o644))
	args := []string{"build", "-q"}
	if tag != "" {
		args = append(args, "-t", w.name+tag)
	}
	return append(args, w.dir)
}

// start runs a container in the background, whether that works or not.
func (w *world) start(args ...string) { w.try("docker", append([]string{"run", "-d"}, args...)...) }

// is compares what a check finds with the wanted lines. NAME is the world's own name, and
// what differs from run to run is left out.
func (w *world) is(k kind, want ...string) {
	w.Helper()
	require.NoError(w, k.validate())
	found, err := k.look(context.Background(), w.target)
	require.NoError(w, err)
	w.same(found, want)
}

func (w *world) same(found []labs.Finding, want []string) {
	w.Helper()
	got := linesOf(found)
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], w.name, "NAME")
		got[i] = regexp.MustCompile(`image [0-9a-f]{12}`).ReplaceAllString(got[i], "image ID")
		got[i] = regexp.MustCompile(`\b[a-z]+_[a-z]+\d?\b`).ReplaceAllString(got[i], "made_up")
	}
	w.Logf("%s", strings.Join(got, "\n"))
	assert.Equal(w, want, got)
}

// gone removes the container that a case has used.
func (w *world) gone(name string) { w.try("docker", "rm", "-f", name) }

// until waits for a container's state.
func (w *world) until(name, state string) {
	w.Helper()
	require.Eventually(w, func() bool {
		return w.try("docker", "inspect", "--format", "{{.State.Status}}", name) == state
	}, 20*time.Second, 100*time.Millisecond)
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestBrokenImages(t *testing.T) {
	w := newWorld(t)
	teal := w.name + ":teal"
	look := "look at `docker image inspect NAME:teal`"

	w.is(&imageCheck{Name: teal}, "expected image NAME:teal, got no image of that name", "look at `docker images`")

	w.build("", `CMD ["/app"]`)
	w.is(&imageCheck{Name: teal}, "expected image NAME:teal, got no image of that name",
		"because an image gets its name from -t in `docker build -t NAME .`",
		"nearest: image ID, built a moment ago, has this lab's labels and no name", "look at `docker images`")

	w.build("", `CMD ["/app"]`, "ENV A=1")
	w.run("docker", append([]string{"build", "-t", w.name}, w.dir)...)
	w.is(&imageCheck{Name: teal}, "expected image NAME:teal, got no image of that name",
		"because an image that is built without a tag is called latest", "nearest: you have NAME:latest", "look at `docker images`")

	w.build(":tael", `CMD ["/app"]`)
	w.is(&imageCheck{Name: teal}, "expected image NAME:teal, got no image of that name", "nearest: you have NAME:tael", "look at `docker images`")

	w.build(":teal", "CMD /app serve", "EXPOSE 8080", "ENV COLOR=teal")
	w.is(&imageCheck{Name: teal, Cmd: []string{"/app", "serve"}, Env: map[string]string{"COLOUR": "teal"}, Ports: []int{3000}, Workdir: "/srv", User: "65532"},
		`expected CMD ["/app", "serve"], got CMD ["/bin/sh", "-c", "/app serve"]`,
		"because the shell form of CMD makes Docker run /bin/sh -c with the text as it is",
		`nearest: the words are right: write them as a list, CMD ["/app", "serve"]`, look,
		"expected ENV COLOUR=teal, got no COLOUR", "nearest: COLOR=teal", look,
		"expected WORKDIR /srv, got no WORKDIR", look,
		"expected EXPOSE 3000, got EXPOSE 8080/tcp", look,
		"expected USER 65532, got no USER", "because without USER a container runs as root", look)

	w.build(":teal", `ENTRYPOINT ["/app", "serve"]`)
	w.is(&imageCheck{Name: teal, Cmd: []string{"/app", "serve"}}, `expected CMD ["/app", "serve"], got no CMD`,
		"because the image has these words as its ENTRYPOINT", look)

	w.build(":teal", `CMD ["/app", "serve"]`, "EXPOSE 3000", "ENV COLOUR=teal", "WORKDIR /srv", "USER 65532")
	w.is(&imageCheck{Name: teal, Cmd: []string{"/app", "serve"}, Env: map[string]string{"COLOUR": "teal"}, Ports: []int{3000}, Workdir: "/srv", User: "65532",
		Labels: map[string]string{"kindlab.lab": "e2e"}})
}

func TestBrokenContainers(t *testing.T) {
	w := newWorld(t)
	w.build(":teal", `CMD ["/app"]`, "ENV COLOUR=teal", "EXPOSE 3000")
	teal, web := w.name+":teal", w.name+"-web"
	check := func() *containerCheck { return &containerCheck{Name: web, Image: teal} }
	inspect := "look at `docker inspect --format '{{.State.Error}}' NAME-web`"
	again := "look at `docker rm -f NAME-web`, then run it anew"

	t.Run("absent", func(t *testing.T) {
		w := &world{t, w.target, w.dir, w.name}
		absent := "expected container NAME-web to run, got no container of that name, running or stopped"
		w.is(check(), absent, "look at `docker ps -a`")
		w.is(&containerCheck{Name: web, Image: w.name + ":nope"}, absent, "because there is no image NAME:nope yet", "look at `docker ps -a`")
		id := w.run("docker", "run", "-d", teal)
		w.is(check(), absent, "because Docker makes up a name such as made_up when `docker run` has no --name",
			"nearest: container made_up was made from NAME:teal", "look at `docker ps -a`")
		w.gone(id)
		w.start("--name", w.name+"-wbe", teal)
		w.is(check(), absent, "nearest: you have a container NAME-wbe", "look at `docker rename NAME-wbe NAME-web`")
		w.gone(w.name + "-wbe")
	})
	t.Run("not running", func(t *testing.T) {
		w := &world{t, w.target, w.dir, w.name}
		w.run("docker", "create", "--name", web, teal)
		w.is(check(), "expected container NAME-web to run, got a container that never started",
			"because `docker create` makes a container and does not start it", "look at `docker start NAME-web`")
		w.gone(web)
		w.start("--name", web, teal, "/app", "fail")
		w.until(web, "exited")
		w.is(check(), "expected container NAME-web to run, got exit code 3",
			"because its log says: cannot find the greeting", "look at `docker logs NAME-web`")
		w.gone(web)
		w.start("--name", web, "--restart", "always", teal, "/app", "fail")
		w.until(web, "restarting")
		for range 8 { // some of these are in a moment in which it runs
			w.is(check(), "expected container NAME-web to run, got one that ends and starts again and again, last with exit code 3",
				"because its log says: cannot find the greeting", "look at `docker logs NAME-web`")
			time.Sleep(150 * time.Millisecond)
		}
		w.gone(web)
		w.start("--name", web, teal, "/ap")
		w.is(check(), "expected container NAME-web to run, got a container that never started",
			"because the image has no program /ap, which was given after the image's name", inspect)
		w.gone(web)
		w.start("--name", web, teal, "-e", "COLOUR=plum")
		w.is(check(), "expected container NAME-web to run, got a container that never started",
			"because -e COLOUR=plum stands after the image's name, so it was taken for the command to run and not for an option of `docker run`", inspect)
		w.gone(web)
		w.start("--name", web, teal)
		w.run("docker", "pause", web)
		w.is(check(), "expected container NAME-web to run, got a paused container", "because `docker pause` holds its processes still", "look at `docker unpause NAME-web`")
		w.run("docker", "unpause", web)
		w.run("docker", "kill", web)
		w.is(check(), "expected container NAME-web to run, got exit code 137",
			"because it was killed (`docker kill`)", "look at `docker start NAME-web`")
		w.gone(web)
		w.start("--name", web, "--memory", "20m", "--memory-swap", "20m", teal, "/app", "hog")
		w.until(web, "exited")
		found, err := check().look(context.Background(), w.target)
		require.NoError(t, err)
		assert.Regexp(t, "more memory than its limit of 20 MiB|memory passes the limit, here 20 MiB", strings.Join(linesOf(found), "\n"))
		w.gone(web)
	})
	t.Run("programs that cannot run", func(t *testing.T) {
		w := &world{t, w.target, w.dir, w.name}
		w.build(":shell", "CMD /app")
		w.start("--name", web, w.name+":shell")
		w.is(&containerCheck{Name: web}, "expected container NAME-web to run, got a container that never started",
			"because the image has no program /bin/sh, which the shell form of CMD needs", inspect)
		w.gone(web)
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, "text"), []byte("no program\n"), 0o755))
		w.build(":text", "COPY text /text", `CMD ["/text"]`)
		w.start("--name", web, w.name+":text")
		w.until(web, "exited")
		found, err := (&containerCheck{Name: web}).look(context.Background(), w.target)
		require.NoError(t, err)
		assert.Contains(t, strings.Join(linesOf(found), "\n"), "because its program is for another kind of machine, or is not a program")
		w.gone(web)
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, "script"), []byte("#!/bin/sh\necho\n"), 0o755))
		w.build(":script", "COPY script /script", `CMD ["/script"]`)
		w.start("--name", web, w.name+":script")
		w.until(web, "exited")
		found, err = (&containerCheck{Name: web}).look(context.Background(), w.target)
		require.NoError(t, err)
		assert.Contains(t, strings.Join(linesOf(found), "\n"), "/script is there, but not /bin/sh, with which its first line says to run it")
		w.gone(web)
	})
	t.Run("ports", func(t *testing.T) {
		w := &world{t, w.target, w.dir, w.name}
		host := freePort(t)
		h := strconv.Itoa(host)
		c := check()
		c.Ports = map[int]int{3000: host}
		want := "expected host port " + h + " to lead to container port 3000, got "
		look := "look at `docker port NAME-web`"
		w.start("--name", web, teal)
		w.is(c, want+"no published port", "because it was started without -p "+h+":3000: EXPOSE alone publishes nothing", look)
		w.gone(web)
		other := strconv.Itoa(freePort(t))
		w.start("--name", web, "-p", other+":3000", teal)
		w.is(c, want+"host port "+other+" leading to container port 3000",
			"because it was started with -p "+other+":3000, and a container's ports are set when it is made", look)
		w.gone(web)
		w.start("--name", web, "-p", h+":8080", teal)
		w.is(c, want+"host port "+h+" leading to container port 8080",
			"because it was started with -p "+h+":8080, and a container's ports are set when it is made", look)
		w.gone(web)
		w.start("--name", web, "-P", teal)
		found, err := c.look(context.Background(), w.target)
		require.NoError(t, err)
		assert.Contains(t, strings.Join(linesOf(found), "\n"), "because Docker chose the host port: -p "+h+":3000 names it")
		w.gone(web)
		w.start("--name", w.name+"-first", "-p", h+":3000", teal)
		w.start("--name", web, "-p", h+":3000", teal)
		w.is(c, "expected container NAME-web to run, got a container that never started",
			"because host port "+h+" is taken: container NAME-first publishes it", inspect)
		w.gone(web)
		w.gone(w.name + "-first")
		l, err := net.Listen("tcp", "0.0.0.0:"+h)
		require.NoError(t, err)
		w.start("--name", web, "-p", h+":3000", teal)
		w.is(c, "expected container NAME-web to run, got a container that never started",
			"because host port "+h+" is taken by a program of this machine", inspect)
		l.Close()
		w.gone(web)
		w.start("--name", web, "-p", h+":3000", teal)
		w.is(c)
		w.gone(web)
	})
	t.Run("image and environment", func(t *testing.T) {
		w := &world{t, w.target, w.dir, w.name}
		c := check()
		c.Env = map[string]string{"COLOUR": "plum"}
		look := "look at `docker inspect --format '{{.Config.Env}}' NAME-web`"
		w.start("--name", web, teal)
		w.is(c, "expected env COLOUR=plum, got COLOUR=teal", "because that is what the image sets: `docker run -e COLOUR=…` would replace it", look)
		w.build(":teal", `CMD ["/app"]`, "ENV COLOUR=plum")
		w.is(check(), "expected NAME-web to run what NAME:teal is now, got the image that had this name before",
			"because NAME:teal was built again after this container was made", again)
		w.gone(web)
		w.build(":plum", `CMD ["/app"]`)
		w.start("--name", web, w.name+":plum")
		w.is(check(), "expected NAME-web to run NAME:teal, got NAME:plum", "because it was made from NAME:plum, and a container keeps the image that it was made from", again)
		w.gone(web)
	})
}

func TestHostPortSilent(t *testing.T) {
	w := newWorld(t)
	w.build(":teal", `CMD ["/app"]`, "EXPOSE 3000")
	teal, web := w.name+":teal", w.name+"-web"
	host := freePort(t)
	h := strconv.Itoa(host)
	is := func(want ...string) {
		t.Helper()
		w.same([]labs.Finding{whyHostPortSilent(context.Background(), w.target, host)}, want)
	}
	leads := "because host port " + h + " leads to port 3000 of container NAME-web"
	logs := "look at `docker logs NAME-web`"
	soon := func(port string) { // the program has begun to listen
		t.Helper()
		require.Eventually(t, func() bool {
			pid, _ := strconv.Atoi(w.try("docker", "inspect", "--format", "{{.State.Pid}}", web))
			heard, seen := listeners(os.DirFS("/proc"), pid, w.try("docker", "inspect", "--format", "{{.Id}}", web))
			return seen && len(heard) > 0 && fmt.Sprint(heard[0].Port()) == port
		}, 10*time.Second, 100*time.Millisecond)
	}

	is("because no container publishes host port "+h, "look at `docker ps`")

	other := strconv.Itoa(freePort(t))
	w.start("--name", web, "-p", other+":3000", teal)
	is("because no container publishes host port "+h, "nearest: container NAME-web publishes host port "+other+", leading to its port 3000", "look at `docker ps`")
	w.gone(web)

	w.start("--name", web, "-p", h+":3000", "-e", "ADDR=127.0.0.1", teal)
	soon("3000")
	is(leads+", where its program listens on 127.0.0.1 only: inside a container that reaches nobody else", logs)
	w.gone(web)

	w.start("--name", web, "-p", h+":3000", "-e", "PORT=8080", teal)
	soon("8080")
	is(leads+", where nothing listens", "nearest: its program listens on port 8080", logs)
	w.run("docker", "pause", web)
	is(leads+", which is paused", "look at `docker unpause NAME-web`")
	w.gone(web)

	w.start("--name", web, "-p", h+":3000", teal, "/app", "hang")
	is(leads+", where nothing listens: its program listens on no port", logs)
	w.gone(web)

	w.start("--name", web, "-p", h+":3000", teal, "/app", "fail")
	w.until(web, "exited")
	is("because container NAME-web should publish this port and does not run (exit code 3): its log says: cannot find the greeting", logs)
}
