package progress

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kindlab/kindlab/labs"
)

// The kinds of event that wait in the outbox.
const (
	FirstPass = "pass" // a check passed for the first time: never lost
	Latest    = "now"  // what a check says now: only the last one counts
)

// An Event is something that the hub of a class is to hear.
type Event struct {
	Seq     int64 // rises, and is never given twice
	Kind    string
	Course  string
	Verdict labs.Verdict
}

// lastNumber is the setting that holds the last number given to an event.
const lastNumber = "outbox"

// Queue records what passed, as [Store.Pass] does, and in the same step puts what
// is new into the outbox. There is at most one event of each kind and check, so the
// outbox does not grow with the time that the hub is away. It reports whether
// there is something new to send.
func (s *Store) Queue(ctx context.Context, attendee, course string, vs []labs.Verdict) (news bool, err error) {
	err = s.inOutbox(ctx, func(tx *sql.Tx, last *int64) error {
		before := *last
		for _, v := range vs {
			if v.State == labs.Passed {
				if _, err := tx.ExecContext(ctx, `INSERT INTO passes (attendee, course, lab, name, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
					attendee, course, v.Lab, v.Check, v.At.UnixMilli()); err != nil {
					return err
				}
				if err := queue(ctx, tx, last, FirstPass, `DO NOTHING`, course, v); err != nil {
					return err
				}
			}
			// It gets a new number: an acknowledgement of the old one does not concern it.
			if err := queue(ctx, tx, last, Latest, `DO UPDATE SET seq = excluded.seq, at = excluded.at, verdict = excluded.verdict, waiting = 1
				WHERE verdict <> excluded.verdict`, course, v); err != nil {
				return err
			}
		}
		news = *last > before
		return nil
	})
	return news, err
}

// queue puts one event into the outbox, or does with the one that is there what
// conflict says.
func queue(ctx context.Context, tx *sql.Tx, last *int64, kind, conflict, course string, v labs.Verdict) error {
	at := v.At.UnixMilli()
	v.At, v.Took, v.Facts = time.Time{}, 0, nil // what does not make it another verdict
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	done, err := tx.ExecContext(ctx, `INSERT INTO outbox (course, lab, name, kind, seq, at, verdict, waiting) VALUES (?, ?, ?, ?, ?, ?, ?, 1)
		ON CONFLICT (course, lab, name, kind) `+conflict, course, v.Lab, v.Check, kind, *last+1, at, string(data))
	if err != nil {
		return err
	}
	n, err := done.RowsAffected()
	*last += n
	return err
}

// BeginOutbox forgets what was told to another hub, and has all that an attendee
// has reached in the course wait for this one.
func (s *Store) BeginOutbox(ctx context.Context, attendee, course string) error {
	reached, err := s.Progress(ctx, attendee, course)
	if err != nil {
		return err
	}
	return s.inOutbox(ctx, func(tx *sql.Tx, last *int64) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM outbox`); err != nil {
			return err
		}
		for key, at := range reached {
			lab, check := labs.SplitKey(key)
			v := labs.Verdict{Lab: lab, Check: check, State: labs.Passed, At: at}
			if err := queue(ctx, tx, last, FirstPass, `DO NOTHING`, course, v); err != nil {
				return err
			}
		}
		return nil
	})
}

// Waiting are the events that the hub has not acknowledged, the oldest first.
func (s *Store) Waiting(ctx context.Context, most int) ([]Event, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT seq, kind, course, at, verdict FROM outbox WHERE waiting ORDER BY seq LIMIT ?`, most)
	if err != nil {
		return nil, s.explain("reading", err)
	}
	defer rows.Close()
	var out []Event
	for rows.Next() {
		var e Event
		var at int64
		var verdict string
		if err := rows.Scan(&e.Seq, &e.Kind, &e.Course, &at, &verdict); err != nil {
			return nil, s.explain("reading", err)
		}
		if err := json.Unmarshal([]byte(verdict), &e.Verdict); err != nil {
			return nil, s.explain("reading", fmt.Errorf("event %d: %w", e.Seq, err))
		}
		e.Verdict.At = time.UnixMilli(at)
		out = append(out, e)
	}
	return out, s.explain("reading", rows.Err())
}

// Acknowledged notes that the hub has every event up to a number.
func (s *Store) Acknowledged(ctx context.Context, through int64) error {
	return s.exec(ctx, `UPDATE outbox SET waiting = 0 WHERE seq <= ? AND waiting`, through)
}

// CountWaiting is how many events wait, and how many of them are first passes.
func (s *Store) CountWaiting(ctx context.Context) (all, passes int, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(kind = ?), 0) FROM outbox WHERE waiting`, FirstPass).Scan(&all, &passes)
	return all, passes, s.explain("reading", err)
}

// Numbered is the last number that was given to an event, and the highest of those
// that were acknowledged.
func (s *Store) Numbered(ctx context.Context) (last, acknowledged int64, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT coalesce((SELECT CAST(value AS INTEGER) FROM settings WHERE key = ?), 0),
		coalesce((SELECT max(seq) FROM outbox WHERE NOT waiting), 0)`, lastNumber).Scan(&last, &acknowledged)
	return last, acknowledged, s.explain("reading", err)
}

// SendAgain has the events after a number wait once more: the hub has lost them.
func (s *Store) SendAgain(ctx context.Context, after int64) error {
	return s.exec(ctx, `UPDATE outbox SET waiting = 1 WHERE seq > ?`, after)
}

// Drop forgets an event that waits: the hub will never take it.
func (s *Store) Drop(ctx context.Context, seq int64) error {
	return s.exec(ctx, `DELETE FROM outbox WHERE seq = ? AND waiting`, seq)
}

// Renumber gives all events that wait numbers above one that the hub has seen and
// this file does not know of. It is older than it was then, as on a machine that
// was set back, and numbers must not be used twice.
func (s *Store) Renumber(ctx context.Context, above int64) error {
	return s.inOutbox(ctx, func(tx *sql.Tx, last *int64) error {
		waiting, err := numbers(ctx, tx)
		if err != nil {
			return err
		}
		*last = max(*last, above)
		for _, seq := range waiting {
			*last++
			if _, err := tx.ExecContext(ctx, `UPDATE outbox SET seq = ? WHERE seq = ? AND waiting`, *last, seq); err != nil {
				return err
			}
		}
		return nil
	})
}

// numbers are those of the events that wait, in order.
func numbers(ctx context.Context, tx *sql.Tx) ([]int64, error) {
	rows, err := tx.QueryContext(ctx, `SELECT seq FROM outbox WHERE waiting ORDER BY seq`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []int64
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return nil, err
		}
		out = append(out, seq)
	}
	return out, rows.Err()
}

// inOutbox changes the outbox; last is the last number given, and is kept.
func (s *Store) inOutbox(ctx context.Context, change func(tx *sql.Tx, last *int64) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.explain("writing", err)
	}
	defer tx.Rollback()
	var last int64
	err = tx.QueryRowContext(ctx, `SELECT CAST(value AS INTEGER) FROM settings WHERE key = ?`, lastNumber).Scan(&last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return s.explain("reading", err)
	}
	before := last
	if err := change(tx, &last); err != nil {
		return s.explain("writing", err)
	}
	if last != before {
		if _, err := tx.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES (?, ?)
			ON CONFLICT (key) DO UPDATE SET value = excluded.value`, lastNumber, last); err != nil {
			return s.explain("writing", err)
		}
	}
	return s.explain("writing", tx.Commit())
}
