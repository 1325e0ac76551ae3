package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

const lookupArgs = "[-o text|json] [-srv] [-timeout 3s] NAME..."

// A resolved is what became of a name, and the JSON of lookup.
type resolved struct {
	Name      string     `json:"name"`
	Addresses []string   `json:"addresses"`
	SRV       []endpoint `json:"srv"`
	CNAME     string     `json:"cname"` // the full name that answered, when it is another one
	Error     string     `json:"error"`
	Kind      string     `json:"kind"` // notfound, timeout or other
}

type endpoint struct {
	Target string `json:"target"`
	Port   uint16 `json:"port"`
}

// lookup resolves names as a program in this container does.
func lookup(ctx context.Context, p process, args []string) int {
	flags := flag.NewFlagSet("lookup", flag.ContinueOnError)
	format := flags.String("o", "text", "print `text` or json")
	srv := flags.Bool("srv", false, "ask for services instead of addresses")
	timeout := flags.Duration("timeout", 3*time.Second, "give up on a name after this `time`")
	names, err := parse(p, flags, lookupArgs, args)
	if err == nil && len(names) == 0 {
		err = errors.New("give a name")
	}
	if err != nil {
		return p.misused("lookup", lookupArgs, err)
	}
	asJSON, err := wantsJSON(*format)
	if err != nil {
		return p.misused("lookup", lookupArgs, err)
	}
	ctx, cancel := p.untilSignal(ctx)
	defer cancel()
	found := make([]resolved, len(names))
	for i, name := range names {
		found[i] = resolve(ctx, p.resolver(), name, *srv, *timeout)
	}
	if asJSON {
		return p.printJSON(found)
	}
	return printResolved(p, found)
}

func printResolved(p process, found []resolved) int {
	code := exitOK
	for _, r := range found {
		if r.Error != "" {
			fmt.Fprintf(p.stderr, "hello lookup: %s: %s\n", r.Name, r.Error)
			code = exitFailed
		}
		if r.CNAME != "" {
			fmt.Fprintf(p.stdout, "%s is %s\n", r.Name, r.CNAME)
		}
		for _, a := range r.Addresses {
			fmt.Fprintf(p.stdout, "%s has address %s\n", r.Name, a)
		}
		for _, s := range r.SRV {
			fmt.Fprintf(p.stdout, "%s is served by %s port %d\n", r.Name, s.Target, s.Port)
		}
	}
	return code
}

func resolve(ctx context.Context, resolver *net.Resolver, name string, srv bool, timeout time.Duration) resolved {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r := resolved{Name: name, Addresses: []string{}, SRV: []endpoint{}}
	if srv {
		_, records, err := resolver.LookupSRV(ctx, "", "", name)
		for _, s := range records {
			r.SRV = append(r.SRV, endpoint{strings.TrimSuffix(s.Target, "."), s.Port})
		}
		r.fail(err)
		return r
	}
	addresses, err := resolver.LookupHost(ctx, name)
	if err != nil {
		r.fail(err)
		return r
	}
	slices.Sort(addresses)
	r.Addresses = slices.Compact(addresses)
	if net.ParseIP(name) != nil {
		return r
	}
	full, err := resolver.LookupCNAME(ctx, name)
	if full = strings.TrimSuffix(full, "."); err == nil && full != strings.TrimSuffix(name, ".") {
		r.CNAME = full
	}
	return r
}

func (r *resolved) fail(err error) {
	if err == nil {
		return
	}
	r.Error, r.Kind = err.Error(), kindOther
	var dns *net.DNSError
	if errors.As(err, &dns) {
		switch {
		case dns.IsNotFound:
			r.Kind = "notfound"
		case dns.IsTimeout:
			r.Kind = kindTimeout
		}
	}
}
