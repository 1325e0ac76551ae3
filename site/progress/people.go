package progress

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/kindlab/kindlab/labs"
)

// A Member is a person of a class as it is kept.
type Member struct {
	labs.Person
	Instructor bool
	Token      []byte    // SHA-256 of the token in their personal link; nil when they have none
	Generation int       // sessions of an earlier one have ended
	Entered    time.Time // when they first came in; zero before
	Removed    bool
}

const memberColumns = `id, name, instructor, token, generation, entered_at, removed`

// Members are all who are or were in the class, in the order in which they were added.
func (s *Store) Members(ctx context.Context) ([]Member, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT `+memberColumns+` FROM people ORDER BY rowid`)
	if err != nil {
		return nil, s.explain("reading", err)
	}
	defer rows.Close()
	var out []Member
	for rows.Next() {
		m, err := scanMember(rows.Scan)
		if err != nil {
			return nil, s.explain("reading", err)
		}
		out = append(out, m)
	}
	return out, s.explain("reading", rows.Err())
}

// ChangeMember has change alter what is kept of a person, and nobody alters it at
// the same time. A person who is not there yet is given to it with nothing but the
// id. When change returns an error nothing is altered, and that is the error.
func (s *Store) ChangeMember(ctx context.Context, id string, change func(*Member) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.explain("writing", err)
	}
	defer tx.Rollback()
	m, err := scanMember(tx.QueryRowContext(ctx, `SELECT `+memberColumns+` FROM people WHERE id = ?`, id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		m = Member{Person: labs.Person{ID: id}}
	} else if err != nil {
		return s.explain("reading", err)
	}
	if err := change(&m); err != nil {
		return err
	}
	var entered any
	if !m.Entered.IsZero() {
		entered = m.Entered.UnixMilli()
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO people (`+memberColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, instructor = excluded.instructor, token = excluded.token,
			generation = excluded.generation, entered_at = excluded.entered_at, removed = excluded.removed`,
		id, m.Name, m.Instructor, m.Token, m.Generation, entered, m.Removed); err != nil {
		return s.explain("writing", err)
	}
	return s.explain("writing", tx.Commit())
}

func scanMember(scan func(...any) error) (Member, error) {
	var m Member
	var entered sql.NullInt64
	err := scan(&m.ID, &m.Name, &m.Instructor, &m.Token, &m.Generation, &entered, &m.Removed)
	if entered.Valid {
		m.Entered = time.UnixMilli(entered.Int64)
	}
	return m, err
}
