// Package join is the line between an attendee's own machine and the hub of the
// class, both ends of it: how a machine joins ([Join]) and is remembered ([Place]),
// how its verdicts get to the hub however long the network is away ([Sender]), and
// what the hub does with them ([Desk]).
//
// The line delivers at least once, and the hub takes in each event once: events have
// numbers that rise, and stay on the machine until the hub has said that it has
// them. Learning never waits for the line.
//
// The package knows the nouns of package labs and the store of site/progress. It
// does not know how a check is evaluated, who the people of the class are, or what
// the board shows: those who wire it give it functions for that.
package join
