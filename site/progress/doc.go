// Package progress keeps what an attendee has reached, in one SQLite file: the
// values that were drawn for their labs, when each check first passed, and which
// hints they opened; and of a class its people and their machines, or on such a
// machine what the class is to hear. It outlives every environment.
//
// Several processes use the file at once (the pages of `kindlab up`, a `kindlab
// check` in a terminal), so everything is idempotent and the first writer wins:
// neither a drawn value nor the time of a first pass changes once it is there.
//
// The package knows the nouns of package labs. It does not know what a check
// means, who asks, or where the file should be.
package progress
