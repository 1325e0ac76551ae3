package main

import (
	"fmt"
	"path/filepath"

	"github.com/kindlab/kindlab/site/join"
)

// placeFile is where this machine remembers which class it is in.
func (a *app) placeFile() string { return filepath.Join(a.state, "join.json") }

// inClass is this machine's place in a class; one that has not joined when it cannot
// be read. Learning does not depend on it.
func (a *app) inClass() *join.Place {
	place, err := join.ReadPlace(a.placeFile())
	if err != nil {
		fmt.Fprintf(a.err, "%s %v; nothing is sent to a class\n", a.paint(yellow, "!"), err)
		return &join.Place{}
	}
	return place
}
