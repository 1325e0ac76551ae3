// Package english keeps the texts of the bundled kubectl as its source has them: in
// English, as the samples of the pages are. kubectl would unpack a catalogue of
// translations at every start of the program, which takes a quarter of the time that the
// start takes.
//
// It is a package so that it comes before those of kubectl, which translate while they
// are initialized: of packages whose imports are ready, the first by import path is
// initialized next (The Go Programming Language Specification, Program initialization).
package english

import "k8s.io/kubectl/pkg/util/i18n"

func init() {
	// The error says that translations were loaded already.
	_ = i18n.SetLoadTranslationsFunc(func() error { return nil })
}
