// Package checker decides verdicts: it looks at an attendee's world through a
// [Target] and says of each check whether it is true and, when it is not, why.
//
// Each kind of check is one file: the fields an author writes, what they mean,
// and how they are observed. What causes what is in the diagnose files, which all
// kinds share. The list of kinds is in kinds.go; their schema and reference are made
// from their fields in schema.go.
//
// [Engine] looks at each of a lab's checks again when something changes that it has
// read: read.go notes what that is, and a [Watcher] has one watch for each kind of
// object, whoever has read it.
//
// Checks only read. Requests from inside the cluster are made by the probe, which
// lives in kindlab's own namespace and can ask from a pod's own network.
//
// The package does not create environments and does not know where courses come
// from or who reads the verdicts.
package checker
