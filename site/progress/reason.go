package progress

import (
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// reason says in plain words why SQLite could not do it; "" when its own words must do.
func reason(err error) string {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return ""
	}
	// SQLite says so when there is no room for its shared memory.
	if e.Code() == sqlite3.SQLITE_IOERR_SHMSIZE {
		return "the disk is full"
	}
	// The low byte is the kind of failure, the rest its detail.
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return "the disk is full"
	case sqlite3.SQLITE_READONLY:
		return "it may not be written (a read-only folder, or a file of another user)"
	case sqlite3.SQLITE_CANTOPEN:
		return "it cannot be opened (is the folder there, and yours?)"
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return "it is damaged or is no progress file; move it away to begin with a new one"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return "another kindlab holds it for too long"
	case sqlite3.SQLITE_IOERR:
		return "the disk failed"
	}
	return ""
}
