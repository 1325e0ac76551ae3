package checker

import (
	"context"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
)

func TestOptionAfterImage(t *testing.T) {
	const went = " stands after the image's name, so it went to the program and not to `docker run`"
	tests := map[string]struct {
		args, own []string
		want      string
	}{
		"a variable":             {args: []string{"-e", "COLOUR=plum"}, want: "-e COLOUR=plum" + went},
		"a variable in one word": {args: []string{"--env=COLOUR=plum", "serve"}, want: "--env=COLOUR=plum" + went},
		"a port":                 {args: []string{"-p", "127.0.0.1:8080:3000"}, want: "-p 127.0.0.1:8080:3000" + went},
		"a volume":               {args: []string{"-v", "data:/data", "serve"}, want: "-v data:/data" + went},
		"a name":                 {args: []string{"--name", "web"}, want: "--name web" + went},
		"in the background":      {args: []string{"-d"}, want: "-d" + went},
		"the image's own":        {args: []string{"--rm"}, own: []string{"/app", "--rm"}},
		"the version":            {args: []string{"-v"}},
		"a port of the program":  {args: []string{"-p", "8080"}},
		"a script":               {args: []string{"-e", "console.log(1)"}},
		"a word":                 {args: []string{"serve", "--name", "web"}},
		"nothing":                {},
	}
	for name, tt := range tests {
		c := box(container.State{Status: "exited", ExitCode: 2})
		c.Config.Entrypoint, c.Config.Cmd = []string{"/app"}, tt.args
		assert.Equal(t, tt.want, optionAfterImage(c, tt.own), name)
	}
	c := box(container.State{Status: "created"})
	c.Config.Cmd = []string{"-e", "COLOUR=plum"}
	assert.Contains(t, optionAfterImage(c, nil), "-e COLOUR=plum stands after the image's name, so it was taken for the command to run")
}

func TestLeftBehind(t *testing.T) {
	const build = "FROM golang AS build\n# the program\nRUN go build \\\n  -o /out/app .\n"
	const says = "the image has no program /app: an earlier stage of the Dockerfile makes it, and the last stage does not take it over (COPY --from="
	tests := map[string]struct{ text, want string }{
		"not taken over":              {build + "FROM scratch\nCMD [\"/app\"]\n", says + "build)"},
		"a stage without a name":      {"from golang\nrun make app\nfrom scratch\nentrypoint [\"/app\", \"serve\"]\n", says + "0)"},
		"taken over":                  {build + "FROM scratch\nCOPY --from=build /out/app /app\nCMD [\"/app\"]\n", ""},
		"taken over with a folder":    {build + "FROM scratch\nCOPY --from=build /out /\nCMD [\"/app\"]\n", ""},
		"made in the last stage":      {build + "FROM alpine\nRUN make install\nCMD /app\n", ""},
		"goes on with the first":      {build + "FROM build\nCMD [\"/app\"]\n", ""},
		"another program":             {build + "FROM scratch\nCMD [\"/other\"]\n", ""},
		"no earlier stage has it":     {"FROM golang AS build\nRUN make apple\nFROM scratch\nCMD [\"/app\"]\n", ""},
		"one stage":                   {"FROM scratch\nCMD [\"/app\"]\n", ""},
		"no Dockerfile":               {"", ""},
		"instructions before a stage": {"ARG V=1\nCMD [\"/app\"]\n", ""},
	}
	for name, tt := range tests {
		assert.Equal(t, tt.want, leftBehind(tt.text, "/app"), name)
	}
}

// FuzzDockerfile takes whatever an attendee's Dockerfile holds.
func FuzzDockerfile(f *testing.F) {
	f.Add("FROM a AS b\nRUN x \\\n y\nFROM scratch\nCMD [\"/app\"]\n", "/app")
	f.Add("FROM\nfrom", "\xee")
	f.Add("FROM\nfrom --platform=x\nCOPY\nCMD", "")
	f.Fuzz(func(t *testing.T, text, program string) {
		leftBehind(text, program)
		whyOtherBase(stagesOf(text), "hello:v1")
	})
}

func TestWhyOtherBase(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"another":           {"FROM golang\nFROM scratch\n", "the last stage of the Dockerfile is built FROM scratch"},
		"the same":          {"FROM hello:v1\n", "hello:v1 was built again, or pulled anew, after the image was built on it"},
		"by way of a stage": {"FROM hello:v1 AS a\nFROM a AS b\nFROM b\n", "hello:v1 was built again, or pulled anew, after the image was built on it"},
		"a variable":        {"ARG B\nFROM $B\n", "its last stage begins with another FROM, or hello:v1 was built again since"},
		"no Dockerfile":     {"", "its last stage begins with another FROM, or hello:v1 was built again since"},
	}
	for name, tt := range tests {
		assert.Equal(t, tt.want, whyOtherBase(stagesOf(tt.text), "hello:v1"), name)
	}
}

func TestProgramFile(t *testing.T) {
	assert.Contains(t, programFile{}.notExecutable("/a"), "it is a folder, or was copied without `chmod +x`")
	assert.Equal(t, "/a of the image is a folder, and no program", programFile{Path: "/a", Mode: 0o755 | 1<<31}.notExecutable("/a"))
	assert.Equal(t, "/a of the image may not be run: its mode is 0644, without `chmod +x`", programFile{Path: "/a", Mode: 0o644}.notExecutable("/a"))
	assert.Equal(t, "/a of the image may not be run by user 65532: its mode is 0700", programFile{Path: "/a", Mode: 0o700, User: "65532"}.notExecutable("/a"))
	assert.Contains(t, programFile{Path: "/a", Mode: 0o755}.notExecutable("/a"), "permission denied")

	assert.Equal(t, "its program is there, but not the loader or interpreter that the program needs", programFile{Path: "/a"}.noLoader())
	assert.Equal(t, "/a is there, but not /usr/bin/python, with which its first line says to run it", programFile{Path: "/a", First: "#! /usr/bin/python -u"}.noLoader())
	assert.Contains(t, programFile{Path: "/a", First: "#!/bin/sh\r"}.noLoader(), "the first line of /a ends as on Windows")
}

func TestFindsNone(t *testing.T) {
	on := func(name, state string, networks ...string) container.Summary {
		s := container.Summary{Names: []string{"/" + name}, State: container.ContainerState(state),
			NetworkSettings: &container.NetworkSettingsSummary{Networks: map[string]*network.EndpointSettings{}}}
		for _, n := range networks {
			s.NetworkSettings.Networks[n] = nil
		}
		return s
	}
	composed := on("shop-api-1", "running", "shop")
	composed.Labels = map[string]string{"com.docker.compose.service": "api"}
	tests := map[string]struct {
		other container.Summary
		want  []string
	}{
		"on the default bridge": {on("api", "running", "bridge"), []string{
			"because container web finds no api: both are on the default bridge, where containers do not find one another by name", "look at `docker network ls`"}},
		"on another network": {on("api", "running", "shop"), []string{
			"because container web finds no api: they are on no network together (bridge; shop)", "look at `docker network connect shop web`"}},
		"not running": {on("api", "exited", "bridge"), []string{"because container web finds no api: that container does not run (exited)", "look at `docker ps -a`"}},
		"a near name": {on("apy", "running", "bridge"), []string{"because container web finds no api: no container has that name", "nearest: there is container apy", "look at `docker ps`"}},
		"of Compose":  {composed, []string{"because container web finds no api: they are on no network together (bridge; shop)", "look at `docker network connect shop web`"}},
	}
	for name, tt := range tests {
		assert.Equal(t, tt.want, whyFindsNone(context.Background(), "web", []string{"bridge"}, "api", []container.Summary{tt.other}).Lines(), name)
	}
	assert.Empty(t, whyFindsNone(context.Background(), "web", []string{"bridge", "shop"}, "api", []container.Summary{on("api", "running", "shop")}), "there it would be found")
}

func TestUnknownHost(t *testing.T) {
	for text, want := range map[string]string{
		"dial tcp: lookup api on 127.0.0.11:53: no such host":                         "api",
		"dial tcp: lookup api.shop: no such host":                                     "api.shop",
		"Error: getaddrinfo ENOTFOUND db":                                             "db",
		`nginx: [emerg] host not found in upstream "api:3000" in /etc/nginx/x.conf:3`: "api",
		`nginx: [emerg] host not found in upstream "api" in /etc/nginx/x.conf:3`:      "api",
		"curl: (6) Could not resolve host: api":                                       "api",
		"Caused by: java.net.UnknownHostException: db: Name or service not known":     "db",
		"wget: bad address 'api:3000'":                                                "api",
		"connection refused":                                                          "",
	} {
		assert.Equal(t, want, unknownHost(text), text)
	}
}
