//go:build e2e && unix

package main

import "testing"

// TestClass is a class that shares one cluster, and what may happen to it. Each stage
// builds on the one before.
func TestClass(t *testing.T) {
	r := newRoom(t, "room", sharedRoom)
	stage := func(name string, f func(t *testing.T)) {
		t.Helper()
		if !t.Run(name, f) {
			t.FailNow()
		}
	}
	stage("up, killed after every step", r.killedAfterEveryStep)
	stage("more names", r.moreNames)
	stage("hub killed and restarted", r.hubKilled)
	stage("two people with one name", r.sameName)
	stage("scripts in every field", r.scripts)
	stage("who floods", r.flood)
	stage("a stolen link", r.stolenLink)
	stage("Docker of two", r.dockerOfTwo)
	stage("add, reset, remove", r.addResetRemove)
	stage("disk full at the hub", r.diskFull)
	stage("down", r.classDown)
}

// The bounds are small, so that a flood is. Nobody else on the engine has these ids.
const sharedRoom = `isolation: namespace
resources: {pods: 2}
attendees: [{id: e2e-ada, name: Ada}, {id: e2e-ben, name: Ben}]
instructors: [{id: e2e-iris, name: Iris}]`
