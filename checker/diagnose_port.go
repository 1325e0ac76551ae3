package checker

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/kindlab/kindlab/labs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// portDifferences compares the container's published TCP ports.
func (c *containerCheck) portDifferences(ctr *container.InspectResponse) []labs.Finding {
	var found []labs.Finding
	for _, inside := range slices.Sorted(maps.Keys(c.Ports)) {
		if f := c.whyNotPublished(ctr, inside, c.Ports[inside]); f != nil {
			f.Expected = fmt.Sprintf("host port %d to lead to container port %d", c.Ports[inside], inside)
			if f.Look == "" {
				f.Look = "`docker port " + c.Name + "`"
			}
			found = append(found, *f)
		}
	}
	return found
}

// whyNotPublished is nil when the host port leads to the container port inside.
func (c *containerCheck) whyNotPublished(ctr *container.InspectResponse, inside, host int) *labs.Finding {
	published := publishedPorts(ctr.NetworkSettings.Ports)
	if slices.Contains(published, mapping{inside, host, network.TCP}) {
		return nil
	}
	const fixed = "a container's ports are set when it is made"
	for _, m := range published {
		switch {
		case m == mapping{host, inside, network.TCP}:
			return &labs.Finding{Got: m.String(),
				Because: fmt.Sprintf("the two ports are swapped: -p is HOST:CONTAINER, here -p %d:%d", host, inside)}
		case m == mapping{inside, host, network.UDP}:
			return &labs.Finding{Got: m.String(), Because: "it is published for UDP"}
		case m.inside == inside && m.proto == network.TCP && !asked(ctr, m):
			return &labs.Finding{Got: m.String(),
				Because: fmt.Sprintf("Docker chose the host port: -p %d:%d names it", host, inside)}
		case m.inside == inside && m.proto == network.TCP, m.host == host && m.proto == network.TCP:
			return &labs.Finding{Got: m.String(),
				Because: fmt.Sprintf("it was started with -p %d:%d, and %s", m.host, m.inside, fixed)}
		}
	}
	if ctr.HostConfig.NetworkMode.IsHost() {
		return &labs.Finding{Got: "no published port", Because: "it uses the host's network (--network host), where -p has no effect"}
	}
	if len(published) > 0 {
		return &labs.Finding{Got: listMappings(published), Because: fixed}
	}
	f := &labs.Finding{Got: "no published port", Because: fmt.Sprintf("it was started without -p %d:%d", host, inside)}
	if _, exposed := ctr.Config.ExposedPorts[tcpPort(inside)]; exposed {
		f.Because += ": EXPOSE alone publishes nothing"
	}
	return f
}

// A mapping leads from a port of the host to a port of a container.
type mapping struct {
	inside, host int
	proto        network.IPProtocol
}

func (m mapping) String() string {
	text := fmt.Sprintf("host port %d leading to container port %d", m.host, m.inside)
	if m.proto != network.TCP {
		text += "/" + string(m.proto)
	}
	return text
}

func listMappings(ms []mapping) string {
	texts := make([]string, len(ms))
	for i, m := range ms {
		texts[i] = m.String()
	}
	return strings.Join(texts, ", ")
}

// publishedPorts are the mappings of a running container, in order and each once
// (the engine lists one for IPv4 and one for IPv6).
func publishedPorts(ports network.PortMap) []mapping {
	var ms []mapping
	for p, bindings := range ports {
		for _, b := range bindings {
			if host, err := strconv.Atoi(b.HostPort); err == nil && host > 0 {
				ms = append(ms, mapping{int(p.Num()), host, p.Proto()})
			}
		}
	}
	slices.SortFunc(ms, func(a, b mapping) int {
		if a.inside != b.inside {
			return a.inside - b.inside
		}
		return a.host - b.host
	})
	return slices.Compact(ms)
}

// asked reports whether the mapping's host port was named when the container was made.
func asked(ctr *container.InspectResponse, m mapping) bool {
	return slices.Contains(publishedPorts(ctr.HostConfig.PortBindings), m)
}

func tcpPort(n int) network.Port {
	p, _ := network.PortFrom(uint16(n), network.TCP)
	return p
}

// publisher is the running container that publishes a TCP port of the host, and where
// the port leads; nil when there is none.
func publisher(all []container.Summary, port int) (*container.Summary, *container.PortSummary) {
	for i := range all {
		for j, p := range all[i].Ports {
			if p.Type == "tcp" && int(p.PublicPort) == port {
				return &all[i], &all[i].Ports[j]
			}
		}
	}
	return nil, nil
}

// whyHostPortSilent says why nothing answers on a TCP port of this machine that a container
// should publish. It fills Because, Nearest and Look; the caller knows what was expected.
func whyHostPortSilent(ctx context.Context, t *Target, port int) labs.Finding {
	if t.Lab != nil && !t.Lab.Wants("docker") {
		return labs.Finding{Because: fmt.Sprintf("nothing listens on port %d of this machine", port)}
	}
	d, err := dockerOf(t)
	if err != nil {
		return labs.Finding{Because: "nothing listens there, and Docker cannot be asked why"}
	}
	all, err := d.containers(ctx)
	if err != nil {
		return labs.Finding{Because: "nothing listens there, and Docker cannot be asked why: " + clip(err.Error(), 160)}
	}
	if s, _ := publisher(all, port); s != nil {
		ctr, err := d.containerByID(ctx, s.ID)
		if err != nil || ctr == nil {
			return labs.Finding{Because: "container " + containerName(s.Names[0]) + " publishes this port, and cannot be inspected", Look: "`docker ps -a`"}
		}
		heard, seen := listeners(os.DirFS("/proc"), ctr.State.Pid, ctr.ID)
		return whySilent(ctr, port, heard, seen)
	}
	if f, ok := d.whyStopped(ctx, all, port); ok {
		return f
	}
	f := labs.Finding{Because: fmt.Sprintf("no container publishes host port %d", port), Look: "`docker ps`"}
	f.Nearest = nearestPublished(all, d, port)
	return f
}

// whyStopped finds a container that would publish the port if it ran.
func (d *docker) whyStopped(ctx context.Context, all []container.Summary, port int) (labs.Finding, bool) {
	const most = 20 // the newest; a machine may keep very many
	stopped := slices.DeleteFunc(slices.Clone(all), func(s container.Summary) bool { return s.State == container.StateRunning })
	for _, s := range stopped[:min(len(stopped), most)] {
		ctr, err := d.containerByID(ctx, s.ID)
		if err != nil || ctr == nil {
			continue
		}
		isIt := func(m mapping) bool { return m.host == port && m.proto == network.TCP }
		if !slices.ContainsFunc(publishedPorts(ctr.HostConfig.PortBindings), isIt) {
			continue
		}
		f := whyNotRunning(ctr, d.startFacts(ctx, ctr))
		f.Because = fmt.Sprintf("container %s should publish this port and does not run (%s): %s", containerName(ctr.Name), f.Got, f.Because)
		f.Got = ""
		return f, true
	}
	return labs.Finding{}, false
}

// nearestPublished is the published port that was most likely meant, or "": one of the
// lab's containers, else one that differs from port in a digit or two.
func nearestPublished(all []container.Summary, d *docker, port int) string {
	digits := map[string]string{}
	for _, s := range all {
		for _, p := range s.Ports {
			if p.Type != "tcp" || p.PublicPort == 0 {
				continue
			}
			text := fmt.Sprintf("container %s publishes host port %d, leading to its port %d", containerName(s.Names[0]), p.PublicPort, p.PrivatePort)
			if d.ofLab(s.Labels) {
				return text
			}
			digits[strconv.Itoa(int(p.PublicPort))] = text
		}
	}
	return digits[labs.Nearest(strconv.Itoa(port), slices.Sorted(maps.Keys(digits)))]
}

// whySilent says why a running container does not answer on the host port it publishes.
// heard is where its programs listen, and is known only when seen.
func whySilent(ctr *container.InspectResponse, port int, heard []netip.AddrPort, seen bool) labs.Finding {
	name := containerName(ctr.Name)
	f := labs.Finding{Look: "`docker logs " + name + "`"}
	i := slices.IndexFunc(publishedPorts(ctr.NetworkSettings.Ports), func(m mapping) bool { return m.host == port && m.proto == network.TCP })
	if i < 0 {
		f.Because = "container " + name + " no longer publishes this port"
		return f
	}
	inside := publishedPorts(ctr.NetworkSettings.Ports)[i].inside
	leads := fmt.Sprintf("host port %d leads to port %d of container %s", port, inside, name)
	if ctr.State.Paused {
		f.Because, f.Look = leads+", which is paused", "`docker unpause "+name+"`"
		return f
	}
	if seen {
		f.Because, f.Nearest = leads+whatListens(inside, heard), listenNearest(inside, heard)
		return f
	}
	env := envMap(ctr.Config.Env)
	exposed := slices.Sorted(func(yield func(string) bool) {
		for p := range ctr.Config.ExposedPorts {
			if !yield(p.String()) {
				return
			}
		}
	})
	switch p := env["PORT"]; {
	case p != "" && p != strconv.Itoa(inside):
		f.Because = fmt.Sprintf("%s, and that container has PORT=%s", leads, clip(p, 20))
	case len(exposed) > 0 && !slices.Contains(exposed, strconv.Itoa(inside)+"/tcp"):
		f.Because = fmt.Sprintf("%s, and its image exposes %s", leads, strings.Join(exposed, ", "))
	default:
		f.Because = leads + ", which runs; whether its program listens there, and not only on 127.0.0.1, cannot be seen from outside"
	}
	return f
}

// whatListens goes on after "host port X leads to port Y of container Z".
func whatListens(inside int, heard []netip.AddrPort) string {
	loopback := false
	for _, a := range heard {
		if int(a.Port()) == inside {
			if !a.Addr().IsLoopback() {
				return ", where its program listens: it took the connection and closed it"
			}
			loopback = true
		}
	}
	switch {
	case loopback:
		return ", where its program listens on 127.0.0.1 only: inside a container that reaches nobody else"
	case len(heard) == 0:
		return ", where nothing listens: its program listens on no port"
	}
	return ", where nothing listens"
}

// listenNearest names the ports on which the container's programs do listen, or is "".
func listenNearest(inside int, heard []netip.AddrPort) string {
	var ports []string
	for _, a := range heard {
		if int(a.Port()) == inside {
			return ""
		}
		ports = append(ports, strconv.Itoa(int(a.Port())))
	}
	if len(ports) == 0 {
		return ""
	}
	return "its program listens on port " + strings.Join(slices.Compact(ports), ", ")
}

// listeners are the TCP sockets on which the processes of a container listen. The kernel
// tells them, where the engine runs on this machine; seen is false where it does not.
// proc is /proc, pid the container's first process on the host.
func listeners(proc fs.FS, pid int, containerID string) (heard []netip.AddrPort, seen bool) {
	dir := strconv.Itoa(pid)
	// With an engine in a virtual machine, that pid is some other process here.
	if cgroup, err := fs.ReadFile(proc, path.Join(dir, "cgroup")); err != nil || !strings.Contains(string(cgroup), containerID) {
		return nil, false
	}
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := proc.Open(path.Join(dir, "net", table))
		if err != nil {
			if table == "tcp" {
				return nil, false
			}
			continue // no IPv6
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			// sl local_address rem_address st …
			fields := strings.Fields(s.Text())
			if len(fields) < 4 || fields[3] != "0A" {
				continue // 0A is LISTEN
			}
			a, ok := kernelAddr(fields[1])
			if ok && a.Addr() != dockerDNS() {
				heard = append(heard, a)
			}
		}
		f.Close()
	}
	slices.SortFunc(heard, func(a, b netip.AddrPort) int { return int(a.Port()) - int(b.Port()) })
	return heard, true
}

// dockerDNS is where Docker itself listens inside a container, to answer DNS.
func dockerDNS() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 11}) }

// kernelAddr reads an address as /proc/net/tcp writes it: 32-bit words in the
// machine's byte order, and the port, in hexadecimal.
func kernelAddr(text string) (netip.AddrPort, bool) {
	words, portHex, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(words)
	port, errPort := strconv.ParseUint(portHex, 16, 16)
	if err != nil || errPort != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), ok
}
