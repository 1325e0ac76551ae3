package main

import (
	"context"
	"errors"
	"fmt"
)

const onceArgs = "[token]"

// client idles until it is asked to end. In an image without a shell this is where `kubectl exec` finds the other modes.
func client(ctx context.Context, p process, args []string) int {
	if len(args) > 0 {
		return p.misused("client", "", fmt.Errorf("unexpected argument %q", args[0]))
	}
	ctx, cancel := p.untilSignal(ctx)
	defer cancel()
	fmt.Fprintln(p.stdout, "hello client: idle; run /hello get URL in here")
	<-ctx.Done()
	return exitOK
}

// once prints its token, or the one in TOKEN, and ends: the shortest life a container can have.
func once(_ context.Context, p process, args []string) int {
	token := p.getenv("TOKEN")
	switch len(args) {
	case 0:
	case 1:
		token = args[0]
	default:
		return p.misused("once", onceArgs, fmt.Errorf("unexpected argument %q", args[1]))
	}
	if token == "" {
		return p.misused("once", onceArgs, errors.New("no token: give it as the argument or in TOKEN"))
	}
	fmt.Fprintln(p.stdout, token)
	return exitOK
}
