// Package provision turns an environment into running things: it looks whether
// this machine can carry one (preflight), and makes, mends and removes the kind
// cluster, the local image registry, the lab images, the mesh, the namespaces with
// the labs' start states, and the work folders.
//
// It asks Docker and the cluster what exists and keeps no state file. Every step
// converges when it is run again, after a crash too. What kindlab makes in Docker
// carries the label [PartLabel], except a cluster's nodes: kind gives those its own
// labels, and they are ours when they are on our network. Nothing else is touched.
//
// The package does not decide verdicts, serve pages, or know what the command line is.
package provision
