// Package content knows where the courses are: a folder each, embedded in the
// program. It does not know what their files mean; that is for package labs.
package content

import (
	"embed"
	"io/fs"
)

// The prefix all: keeps the files that a course names with a leading dot or underscore, as Helm charts do.
//
//go:embed all:courses
var embedded embed.FS

// Courses returns the file system that holds a folder for each course.
func Courses() fs.FS {
	courses, err := fs.Sub(embedded, "courses")
	if err != nil {
		panic(err) // only an invalid path can fail, and this one is constant
	}
	return courses
}
