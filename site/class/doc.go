// Package class is the hub: the server that the attendees of a class and their
// instructors share.
//
//	GET  /in, POST /in              come in by class code and name
//	GET  /in/{token}                come in by a personal link
//	POST /out                       leave
//	GET, POST /me/name              the name of whoever sits on a seat without one
//	GET  /me/kubeconfig/{lab}       the attendee's kubeconfig
//	GET  /board/                    the room, for instructors; see routes for what is below it
//	     everything else            the attendee's own pages, as package site has them
//
// An attendee's pages are a [site.Site] of their own, made of functions that know
// only that attendee, and the session's cookie chooses the Site: nothing in an
// address or a form does. Who may ask for what stands in one table, [Hub.routes].
//
// The hub has the current lab of each attendee who came in watched, also when no
// page of it is open, so that the board shows the room as it is.
//
// The package knows people, sessions and courses. It does not know how a verdict is
// found or what an environment is: [Config] brings that as functions.
package class
