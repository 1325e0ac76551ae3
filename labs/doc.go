// Package labs knows the nouns of kindlab and the files they are written in:
// a [Course] is a folder of labs, a [Lab] is one Markdown page with its files,
// a [Task] is a section of that page, a [Check] is one thing that must be true,
// a [Verdict] is what a check says now, and [Progress] is what an attendee has reached.
//
// A course is read twice. [Load] reads it as its author wrote it and reports every
// mistake with its file and line. [Lab.For] then makes the lab of one attendee, in
// which each @{name} is replaced by that attendee's own value.
//
// The package reads an [io/fs.FS] and nothing else. It does not know what a kind of
// check means, how pages look, or that Docker and Kubernetes exist.
package labs
