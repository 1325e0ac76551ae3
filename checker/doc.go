// Package checker decides verdicts: it looks at an attendee's world through a
// [Target] and says of each check whether it is true and, when it is not, why.
//
// Each kind of check is one file: the fields an author writes, what they mean,
// and how they are observed. What causes what is in the diagnose files, which all
// kinds share. [Engine] evaluates a lab's checks again whenever something changes.
//
// Checks only read. Requests from inside the cluster are made by the probe pod,
// which lives in kindlab's own namespace.
//
// The package does not create environments and does not know where courses come
// from or who reads the verdicts.
package checker
