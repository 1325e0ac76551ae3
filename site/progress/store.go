package progress

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the database/sql driver "sqlite"

	"github.com/kindlab/kindlab/labs"
)

// A Store is an open progress file. Its methods may be called from several goroutines.
type Store struct {
	db   *sql.DB
	path string
}

// Open opens the progress file and makes it, with its folder, when it is not there.
// It brings an older file up to date and refuses one from a newer kindlab ([ErrNewer]).
func Open(path string) (*Store, error) {
	s := &Store{path: path}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, s.explain("opening", err)
	}
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		return nil, s.explain("opening", err)
	}
	s.db = db
	// A hub reads for many at once, and to open a connection takes longer than to read.
	db.SetMaxIdleConns(16)
	if err := s.migrate(context.Background()); err != nil {
		return nil, errors.Join(s.explain("opening", err), db.Close())
	}
	return s, nil
}

// dsn names the file as SQLite wants it. A writer waits for another one instead
// of failing, and a transaction takes its lock at the start: one that reads
// first and writes later could not wait without a deadlock.
func dsn(path string) string {
	q := url.Values{"_txlock": {"immediate"}}
	for _, p := range []string{"busy_timeout(10000)", "synchronous(normal)"} {
		q.Add("_pragma", p)
	}
	file := url.URL{Path: filepath.ToSlash(path)}
	return "file:" + file.EscapedPath() + "?" + q.Encode()
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Values are the values drawn for an attendee's lab; empty before the first were.
func (s *Store) Values(ctx context.Context, attendee, course, lab string) (labs.Values, error) {
	rows, err := s.db.QueryContext(ctx,
		`SELECT name, value FROM drawn WHERE attendee = ? AND course = ? AND lab = ?`, attendee, course, lab)
	if err != nil {
		return nil, s.explain("reading", err)
	}
	defer rows.Close()
	v := labs.Values{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, s.explain("reading", err)
		}
		v[name] = value
	}
	return v, s.explain("reading", rows.Err())
}

// PutValues keeps the values drawn for an attendee's lab and returns those that
// hold from now on: a name that has a value already keeps it, so that two
// processes which draw at the same time end up with the same lab.
func (s *Store) PutValues(ctx context.Context, attendee, course, lab string, v labs.Values) (labs.Values, error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, s.explain("writing", err)
	}
	defer tx.Rollback()
	for name, value := range v {
		if _, err := tx.ExecContext(ctx,
			`INSERT INTO drawn (attendee, course, lab, name, value) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			attendee, course, lab, name, value); err != nil {
			return nil, s.explain("writing", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return nil, s.explain("writing", err)
	}
	return s.Values(ctx, attendee, course, lab)
}

// Drawn are all values that anybody was given.
func (s *Store) Drawn(ctx context.Context) (map[string]bool, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT DISTINCT value FROM drawn`)
	if err != nil {
		return nil, s.explain("reading", err)
	}
	defer rows.Close()
	out := map[string]bool{}
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			return nil, s.explain("reading", err)
		}
		out[value] = true
	}
	return out, s.explain("reading", rows.Err())
}

// Pass records that a check passed. Only the first time counts.
func (s *Store) Pass(ctx context.Context, attendee, course, lab, check string, at time.Time) error {
	return s.exec(ctx, `INSERT INTO passes (attendee, course, lab, name, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		attendee, course, lab, check, at.UnixMilli())
}

// Progress is what an attendee has reached in a course.
func (s *Store) Progress(ctx context.Context, attendee, course string) (labs.Progress, error) {
	return s.times(ctx, `SELECT lab, name, at FROM passes WHERE attendee = ? AND course = ?`, attendee, course)
}

// Hint records that the hint of a check was opened. Only the first time counts.
func (s *Store) Hint(ctx context.Context, attendee, course, lab, check string, at time.Time) error {
	return s.exec(ctx, `INSERT INTO hints (attendee, course, lab, name, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		attendee, course, lab, check, at.UnixMilli())
}

// Hints are the hints an attendee opened in a course, by [labs.Key].
func (s *Store) Hints(ctx context.Context, attendee, course string) (map[string]time.Time, error) {
	return s.times(ctx, `SELECT lab, name, at FROM hints WHERE attendee = ? AND course = ?`, attendee, course)
}

// Answer records what an attendee answered to the question of a check. The last one counts.
func (s *Store) Answer(ctx context.Context, attendee, course, lab, check, value string) error {
	return s.exec(ctx, `INSERT INTO answers (attendee, course, lab, name, value) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (attendee, course, lab, name) DO UPDATE SET value = excluded.value`, attendee, course, lab, check, value)
}

// Answered is what an attendee answered last to the question of a check; "" when nothing yet.
func (s *Store) Answered(ctx context.Context, attendee, course, lab, check string) (string, error) {
	var value string
	err := s.db.QueryRowContext(ctx, `SELECT value FROM answers WHERE attendee = ? AND course = ? AND lab = ? AND name = ?`,
		attendee, course, lab, check).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, s.explain("reading", err)
}

// Reset forgets what an attendee has reached in a lab. The drawn values stay:
// the lab begins again, it does not become another one.
func (s *Store) Reset(ctx context.Context, attendee, course, lab string) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.explain("writing", err)
	}
	defer tx.Rollback()
	for _, q := range []string{
		`DELETE FROM passes WHERE attendee = ? AND course = ? AND lab = ?`,
		`DELETE FROM hints WHERE attendee = ? AND course = ? AND lab = ?`,
		`DELETE FROM answers WHERE attendee = ? AND course = ? AND lab = ?`,
	} {
		if _, err := tx.ExecContext(ctx, q, attendee, course, lab); err != nil {
			return s.explain("writing", err)
		}
	}
	return s.explain("writing", tx.Commit())
}

// Setting is a remembered choice; "" when there is none.
func (s *Store) Setting(ctx context.Context, key string) (string, error) {
	var value string
	err := s.db.QueryRowContext(ctx, `SELECT value FROM settings WHERE key = ?`, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, s.explain("reading", err)
}

// SetSetting remembers a choice.
func (s *Store) SetSetting(ctx context.Context, key, value string) error {
	return s.exec(ctx, `INSERT INTO settings (key, value) VALUES (?, ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
}

func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	_, err := s.db.ExecContext(ctx, query, args...)
	return s.explain("writing", err)
}

// times reads rows of lab, check and time.
func (s *Store) times(ctx context.Context, query string, args ...any) (map[string]time.Time, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.explain("reading", err)
	}
	defer rows.Close()
	out := map[string]time.Time{}
	for rows.Next() {
		var lab, check string
		var at int64
		if err := rows.Scan(&lab, &check, &at); err != nil {
			return nil, s.explain("reading", err)
		}
		out[labs.Key(lab, check)] = time.UnixMilli(at)
	}
	return out, s.explain("reading", rows.Err())
}

// explain says what happened to the file and, where there is a plain reason, why.
func (s *Store) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	if why := reason(err); why != "" {
		return fmt.Errorf("%s the progress file %s: %s: %w", doing, s.path, why, err)
	}
	return fmt.Errorf("%s the progress file %s: %w", doing, s.path, err)
}
