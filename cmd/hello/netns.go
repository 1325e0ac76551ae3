package main

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"strings"
)

// A dialFunc makes a connection to an address of numbers.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// resolver asks the cluster's DNS, from the network that the process asks in.
func (p process) resolver() *net.Resolver {
	r := &net.Resolver{PreferGo: true}
	if p.dial != nil {
		r.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			return p.dial(untraced{ctx}, network, address)
		}
	}
	return r
}

// untraced is a context without values, and so without a trace: a connection to the
// DNS is a part of looking up a name, and not yet one to what the name stands for.
type untraced struct{ context.Context }

func (untraced) Value(any) any { return nil }

// dialName connects to a name in the network that the process asks in.
func (p process) dialName(ctx context.Context, network, address string) (net.Conn, error) {
	if p.dial == nil {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	found, err := p.resolver().LookupIPAddr(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, at := range found {
		var conn net.Conn
		if conn, err = p.dial(ctx, network, net.JoinHostPort(at.String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// processOf is a process of a pod, by the pod's uid. The kubelet mounts files of a
// pod into its containers from a folder that is named after the uid, and a pod's
// processes are in a control group with that name.
func processOf(proc fs.FS, uid string) (pid string, err error) {
	if len(uid) < 8 || strings.ContainsAny(uid, "/. ") {
		return "", fmt.Errorf("%q is not the uid of a pod", uid)
	}
	entries, err := fs.ReadDir(proc, ".")
	if err != nil {
		return "", fmt.Errorf("reading the node's processes: %w", err)
	}
	group := strings.ReplaceAll(uid, "-", "_") // as systemd writes it
	for _, look := range []struct {
		file  string
		marks []string
	}{
		{"cgroup", []string{"pod" + uid, "pod" + group}},
		// A whole folder of the pod is mounted for the kubelet too; its hosts file is not.
		{"mountinfo", []string{"/pods/" + uid + "/etc-hosts "}},
	} {
		for _, e := range entries {
			if name := e.Name(); name[0] < '0' || name[0] > '9' {
				continue
			}
			data, err := fs.ReadFile(proc, e.Name()+"/"+look.file)
			if err != nil {
				continue // it has ended
			}
			for _, mark := range look.marks {
				if strings.Contains(string(data), mark) {
					return e.Name(), nil
				}
			}
		}
	}
	return "", fmt.Errorf("no process of pod %s is on this node", uid)
}
