package progress

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kindlab/kindlab/labs"
)

// A Machine is an attendee's own, as the hub knows it.
type Machine struct {
	ID         string
	Attendee   string
	Token      []byte // SHA-256 of what it shows to be let in
	Generation int    // of the attendee, when it joined
	Joined     time.Time
	Seen       time.Time // when it last brought an event
	Seq        int64     // of the last event that was taken in
	About      []byte    // JSON: what it said of itself when it joined
	Gone       bool      // it left, or was told to
}

// Machines are all that ever joined.
func (s *Store) Machines(ctx context.Context) ([]Machine, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id, attendee, token, generation, joined_at, seen_at, seq, about, gone FROM machines ORDER BY joined_at, id`)
	if err != nil {
		return nil, s.explain("reading", err)
	}
	defer rows.Close()
	var out []Machine
	for rows.Next() {
		var m Machine
		var joined, seen int64
		if err := rows.Scan(&m.ID, &m.Attendee, &m.Token, &m.Generation, &joined, &seen, &m.Seq, &m.About, &m.Gone); err != nil {
			return nil, s.explain("reading", err)
		}
		m.Joined, m.Seen = time.UnixMilli(joined), time.UnixMilli(seen)
		out = append(out, m)
	}
	return out, s.explain("reading", rows.Err())
}

// PutMachine keeps a machine. The number of its last event only rises.
func (s *Store) PutMachine(ctx context.Context, m Machine) error {
	return s.exec(ctx, `INSERT INTO machines (id, attendee, token, generation, joined_at, seen_at, seq, about, gone) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET attendee = excluded.attendee, token = excluded.token, generation = excluded.generation,
			joined_at = excluded.joined_at, seen_at = excluded.seen_at, seq = max(seq, excluded.seq), about = excluded.about, gone = excluded.gone`,
		m.ID, m.Attendee, m.Token, m.Generation, m.Joined.UnixMilli(), m.Seen.UnixMilli(), m.Seq, string(m.About), m.Gone)
}

// RemoveMachine forgets a machine. What it brought stays.
func (s *Store) RemoveMachine(ctx context.Context, id string) error {
	return s.exec(ctx, `DELETE FROM machines WHERE id = ?`, id)
}

// Deliver takes in events of a machine, all or none, in the order of their numbers.
// Those that it had before, by their number, it passes over: had is the last number
// of before. Up to through, it has had them all from now on. fresh are those that
// told something new.
func (s *Store) Deliver(ctx context.Context, machine string, events []Event, through int64, at time.Time) (had int64, fresh []Event, err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, nil, s.explain("writing", err)
	}
	defer tx.Rollback()
	var attendee string
	if err := tx.QueryRowContext(ctx, `SELECT attendee, seq FROM machines WHERE id = ?`, machine).Scan(&attendee, &had); err != nil {
		return 0, nil, s.explain("reading", err)
	}
	last := had
	for _, e := range events {
		if e.Seq <= last {
			continue
		}
		last = e.Seq
		news, err := deliver(ctx, tx, machine, attendee, e)
		if err != nil {
			return 0, nil, s.explain("writing", err)
		}
		if news {
			fresh = append(fresh, e)
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE machines SET seq = ?, seen_at = ? WHERE id = ?`, max(last, through), at.UnixMilli(), machine); err != nil {
		return 0, nil, s.explain("writing", err)
	}
	return had, fresh, s.explain("writing", tx.Commit())
}

// deliver takes in one event and reports whether it told something new.
func deliver(ctx context.Context, tx *sql.Tx, machine, attendee string, e Event) (bool, error) {
	v := e.Verdict
	at := v.At.UnixMilli()
	if e.Kind == FirstPass {
		return changed(tx.ExecContext(ctx, `INSERT INTO passes (attendee, course, lab, name, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			attendee, e.Course, v.Lab, v.Check, at))
	}
	data, err := json.Marshal(v)
	if err != nil {
		return false, err
	}
	// One machine's numbers say which verdict is later; between two machines of an attendee the time must.
	return changed(tx.ExecContext(ctx, `INSERT INTO reported (attendee, course, lab, name, machine, at, verdict) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (attendee, course, lab, name) DO UPDATE SET machine = excluded.machine, at = excluded.at, verdict = excluded.verdict
			WHERE machine = excluded.machine OR at <= excluded.at`, attendee, e.Course, v.Lab, v.Check, machine, at, string(data)))
}

func changed(done sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := done.RowsAffected()
	return n > 0, err
}

// Reported are the verdicts that an attendee's machines told last of a lab, by check.
func (s *Store) Reported(ctx context.Context, attendee, course, lab string) (map[string]labs.Verdict, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT name, verdict FROM reported WHERE attendee = ? AND course = ? AND lab = ?`, attendee, course, lab)
	if err != nil {
		return nil, s.explain("reading", err)
	}
	defer rows.Close()
	out := map[string]labs.Verdict{}
	for rows.Next() {
		var name, data string
		var v labs.Verdict
		if err := rows.Scan(&name, &data); err != nil {
			return nil, s.explain("reading", err)
		}
		if err := json.Unmarshal([]byte(data), &v); err != nil {
			return nil, s.explain("reading", fmt.Errorf("the verdict of %s: %w", name, err))
		}
		out[name] = v
	}
	return out, s.explain("reading", rows.Err())
}

// A Confirmation is what came of asking a machine again for a verdict.
type Confirmation struct {
	At        time.Time
	Confirmed bool
	Why       string // when it was not
}

// Confirm keeps what came of asking again. The last one counts.
func (s *Store) Confirm(ctx context.Context, attendee, course, lab, check string, c Confirmation) error {
	return s.exec(ctx, `INSERT INTO confirmations (attendee, course, lab, name, at, confirmed, why) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (attendee, course, lab, name) DO UPDATE SET at = excluded.at, confirmed = excluded.confirmed, why = excluded.why`,
		attendee, course, lab, check, c.At.UnixMilli(), c.Confirmed, c.Why)
}

// Confirmations are an attendee's, by [labs.Key].
func (s *Store) Confirmations(ctx context.Context, attendee, course string) (map[string]Confirmation, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT lab, name, at, confirmed, why FROM confirmations WHERE attendee = ? AND course = ?`, attendee, course)
	if err != nil {
		return nil, s.explain("reading", err)
	}
	defer rows.Close()
	out := map[string]Confirmation{}
	for rows.Next() {
		var lab, name string
		var at int64
		var c Confirmation
		if err := rows.Scan(&lab, &name, &at, &c.Confirmed, &c.Why); err != nil {
			return nil, s.explain("reading", err)
		}
		c.At = time.UnixMilli(at)
		out[labs.Key(lab, name)] = c
	}
	return out, s.explain("reading", rows.Err())
}
