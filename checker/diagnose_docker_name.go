package checker

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/api/types/container"
)

// noSuchHost fits what programs write of a host name that nobody knows.
var noSuchHost = regexp.MustCompile(`lookup ([\w.-]+)(?: on \S+)?: (?:no such host|server misbehaving)|ENOTFOUND ([\w.-]+)|host not found in upstream "([\w.-]+)` +
	`|Could not resolve host: ([\w.-]+)|could not translate host name "([\w.-]+)"|UnknownHostException: ([\w.-]+)|bad address '([\w.-]+)`)

// unknownHost is the host name that a text says is not known, or "".
func unknownHost(text string) string {
	for _, name := range noSuchHost.FindStringSubmatch(text) {
		if name != "" && !strings.ContainsAny(name, ": \"'") {
			return name
		}
	}
	return ""
}

// whyAnswererFindsNone explains an answer from a host port which says that the container
// behind it does not find another one by its name. Without a cause it is empty.
func whyAnswererFindsNone(ctx context.Context, t *Target, port int, body string) labs.Finding {
	host := unknownHost(body)
	if host == "" || t.Docker == nil || t.Lab != nil && !t.Lab.Wants("docker") {
		return labs.Finding{}
	}
	d, err := dockerOf(t)
	if err != nil {
		return labs.Finding{}
	}
	all, err := d.containers(ctx)
	if err != nil {
		return labs.Finding{}
	}
	s, _ := publisher(all, port)
	if s == nil || s.NetworkSettings == nil {
		return labs.Finding{}
	}
	name := containerName(s.Names[0])
	step(ctx, "container %s answers on host port %d", name, port)
	return whyFindsNone(ctx, name, slices.Sorted(maps.Keys(s.NetworkSettings.Networks)), host, all)
}

// whyFindsNone says why a container that is on some networks does not find another one by name.
func whyFindsNone(ctx context.Context, name string, on []string, host string, all []container.Summary) labs.Finding {
	step(ctx, "it asks for host %s, and no such name is known to it", host)
	finds := fmt.Sprintf("container %s finds no %s: ", name, host)
	var names []string
	for _, s := range all {
		called := containerName(s.Names[0])
		names = append(names, called)
		if called != host && s.Labels["com.docker.compose.service"] != host {
			continue
		}
		if s.State != container.StateRunning {
			return labs.Finding{Because: fmt.Sprintf("%sthat container does not run (%s)", finds, s.State), Look: "`docker ps -a`"}
		}
		var there []string
		if s.NetworkSettings != nil {
			there = slices.Sorted(maps.Keys(s.NetworkSettings.Networks))
		}
		common := slices.DeleteFunc(slices.Clone(on), func(n string) bool { return !slices.Contains(there, n) })
		switch {
		case slices.Equal(common, []string{defaultNetwork}):
			return labs.Finding{Because: finds + "both are on the default bridge, where containers do not find one another by name", Look: "`docker network ls`"}
		case len(common) > 0:
			return labs.Finding{} // there it would be found
		}
		f := labs.Finding{Because: fmt.Sprintf("%sthey are on no network together (%s; %s)", finds, listed(on), listed(there)), Look: "`docker network ls`"}
		if own := without(there, []string{defaultNetwork, "host", "none"}); len(own) > 0 {
			f.Look = fmt.Sprintf("`docker network connect %s %s`", own[0], name)
		}
		return f
	}
	f := labs.Finding{Because: finds + "no container has that name", Look: "`docker ps`"}
	if near := nearFit(host, names); near != "" {
		f.Nearest = "there is container " + near
	}
	return f
}

// defaultNetwork is where containers are that were started without --network.
const defaultNetwork = "bridge"
