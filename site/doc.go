// Package site is the web site of a kindlab: an [http.Handler] with the pages of
// its courses and the verdicts of their checks, live.
//
//	GET  /                              the catalogue
//	GET  /{course}/                     a course: what it is about, its labs
//	GET  /{course}/{lab}/               a lab: its text, and each task's verdict below it
//	GET  /{course}/{lab}/events         that lab's verdicts as they change (server-sent events)
//	POST /{course}/{lab}/hints/{check}  a hint was opened
//	POST /{course}/{lab}/answers/{check}  an answer to a check's question
//	POST /{course}/{lab}/reset          begin the lab again; answers with one line per step
//	GET  /api/{course}/status           labs, tasks, progress and verdicts as JSON
//	GET  /assets/{name}                 style, script and icon; a name holds its content's hash
//
// A page is complete without JavaScript: it shows the verdicts last known. The
// script only keeps it so. It replaces what a check says by the HTML that the
// server would have rendered, so there is one template for both.
//
// A lab is watched while at least one page of it is open, once for all pages.
//
// Lab text, values, findings and the Host header are taken as hostile: Markdown
// has no raw HTML, everything else goes through html/template, and the content
// security policy allows nothing inline and nothing from elsewhere.
//
// The package knows courses and progress, from package labs. It does not know how
// a verdict is found or what an environment is: [Config] brings that as functions.
package site
