package progress

import (
	"context"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrNewer says that a newer kindlab wrote the file, in a form this one does not know.
var ErrNewer = errors.New("a newer kindlab wrote it; update this one")

// migrations are the steps from an empty file to today's, in order. The file's
// user_version is how many of them it has had: add steps, never change one.
func migrations() []string {
	return []string{`
CREATE TABLE drawn (
	attendee TEXT NOT NULL, course TEXT NOT NULL, lab TEXT NOT NULL, name TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (attendee, course, lab, name)
) WITHOUT ROWID;
CREATE TABLE passes (
	attendee TEXT NOT NULL, course TEXT NOT NULL, lab TEXT NOT NULL, name TEXT NOT NULL,
	at INTEGER NOT NULL, -- milliseconds since 1970
	PRIMARY KEY (attendee, course, lab, name)
) WITHOUT ROWID;
CREATE TABLE hints (
	attendee TEXT NOT NULL, course TEXT NOT NULL, lab TEXT NOT NULL, name TEXT NOT NULL,
	at INTEGER NOT NULL,
	PRIMARY KEY (attendee, course, lab, name)
) WITHOUT ROWID;
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
`, `
CREATE TABLE answers (
	attendee TEXT NOT NULL, course TEXT NOT NULL, lab TEXT NOT NULL, name TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (attendee, course, lab, name)
) WITHOUT ROWID;
`, `
CREATE TABLE people (
	id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, instructor INTEGER NOT NULL,
	token BLOB,          -- SHA-256 of the token in the personal link
	generation INTEGER NOT NULL,
	entered_at INTEGER,  -- milliseconds since 1970
	removed INTEGER NOT NULL
);
`, `
-- On an attendee's own machine: what the hub is to hear. The setting "outbox" is the last number given.
CREATE TABLE outbox (
	course TEXT NOT NULL, lab TEXT NOT NULL, name TEXT NOT NULL,
	kind TEXT NOT NULL, -- pass, now
	seq INTEGER NOT NULL,
	at INTEGER NOT NULL,
	verdict TEXT NOT NULL,
	waiting INTEGER NOT NULL, -- 0 when the hub has it
	PRIMARY KEY (course, lab, name, kind)
) WITHOUT ROWID;
-- At the hub: the machines that joined, and what they said last.
CREATE TABLE machines (
	id TEXT PRIMARY KEY, attendee TEXT NOT NULL,
	token BLOB NOT NULL, -- SHA-256
	generation INTEGER NOT NULL,
	joined_at INTEGER NOT NULL, seen_at INTEGER NOT NULL,
	seq INTEGER NOT NULL, -- the last event that was taken in
	about TEXT NOT NULL,
	gone INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE reported (
	attendee TEXT NOT NULL, course TEXT NOT NULL, lab TEXT NOT NULL, name TEXT NOT NULL,
	machine TEXT NOT NULL, at INTEGER NOT NULL, verdict TEXT NOT NULL,
	PRIMARY KEY (attendee, course, lab, name)
) WITHOUT ROWID;
CREATE TABLE confirmations (
	attendee TEXT NOT NULL, course TEXT NOT NULL, lab TEXT NOT NULL, name TEXT NOT NULL,
	at INTEGER NOT NULL, confirmed INTEGER NOT NULL, why TEXT NOT NULL,
	PRIMARY KEY (attendee, course, lab, name)
) WITHOUT ROWID;
`}
}

func (s *Store) migrate(ctx context.Context) error {
	if err := s.useWAL(ctx); err != nil {
		return err
	}
	steps := migrations()
	tx, err := s.db.BeginTx(ctx, nil) // holds the write lock: two processes do not both migrate
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var have int
	if err := tx.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&have); err != nil {
		return err
	}
	if have > len(steps) {
		return fmt.Errorf("%w (it has format %d, this one knows up to %d)", ErrNewer, have, len(steps))
	}
	if have == len(steps) {
		return nil
	}
	for _, step := range steps[have:] {
		if _, err := tx.ExecContext(ctx, step); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, len(steps))); err != nil {
		return err
	}
	return tx.Commit()
}

// useWAL lets readers go on beside a writer. The file remembers it. The change
// needs the file for itself, and SQLite does not wait for that: so this does.
func (s *Store) useWAL(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		var mode string
		err := s.db.QueryRowContext(ctx, `PRAGMA journal_mode = wal`).Scan(&mode)
		var e *sqlite.Error
		if !errors.As(err, &e) || e.Code()&0xff != sqlite3.SQLITE_BUSY {
			return err // nil too; a file system without shared memory keeps its own mode
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}
