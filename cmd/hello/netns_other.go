//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

func runInNetwork(context.Context, string, []string, io.Writer) error {
	return errors.New("pods are on Linux only")
}
