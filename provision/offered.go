package provision

import "github.com/kindlab/kindlab/labs"

// NotOffered says why a lab cannot be done by an attendee who shares the cluster with
// others (tenant); "" when it can.
func NotOffered(lab *labs.Lab, tenant bool) (why string) {
	switch {
	case !tenant:
	case lab.Wants("admin"):
		return "it changes things of the whole cluster, which you share with others"
	case lab.Wants("policies"):
		return "it is about fences between pods, and the one between you and the others lets your own pods through whatever you write"
	}
	return ""
}

// NotOffered is [NotOffered] for this environment, which may miss more: on an existing
// cluster there is no mesh of ours, and a hub without Docker has no containers.
func (e *Environment) NotOffered(lab *labs.Lab) (why string) {
	switch {
	case e.Existing != nil && lab.Wants("mesh"):
		return "it needs a mesh, and kindlab puts none into a cluster that it has not made"
	case e.Existing != nil && e.Docker == nil && lab.Wants("docker"):
		return "it needs Docker, and there is none here"
	}
	return NotOffered(lab, e.Tenant != nil)
}

// offered are the labs that can be done here.
func (e *Environment) offered(all []*labs.Lab) []*labs.Lab {
	var out []*labs.Lab
	for _, l := range all {
		if e.NotOffered(l) == "" {
			out = append(out, l)
		}
	}
	return out
}
