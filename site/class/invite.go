package class

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

// Invite gives a person a new personal link and returns its token, which is kept
// nowhere: the link is HUB/in/TOKEN. An earlier link and the sessions begun with it
// end. Who was removed is back. A name that is known already stays.
func Invite(ctx context.Context, s Store, p labs.Person, instructor bool) (token string, err error) {
	token = rand.Text()
	hash := sha256.Sum256([]byte(token))
	err = s.ChangeMember(ctx, p.ID, func(m *progress.Member) error {
		if m.Token != nil || m.Removed {
			m.Generation++
		}
		if m.Name == "" {
			m.Name = p.Name
		}
		m.Instructor, m.Token, m.Removed = instructor, hash[:], false
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("inviting %s: %w", p.ID, err)
	}
	return token, nil
}

// Revoke ends a person's link and sessions.
func Revoke(ctx context.Context, s Store, id string) error {
	return s.ChangeMember(ctx, id, func(m *progress.Member) error {
		m.Token = nil
		m.Generation++
		return nil
	})
}

// Remove takes a person out of the class. What they reached stays in the store.
func Remove(ctx context.Context, s Store, id string) error {
	return s.ChangeMember(ctx, id, func(m *progress.Member) error {
		m.Token, m.Removed = nil, true
		m.Generation++
		return nil
	})
}

const codeSetting = "class-code"

// NewCode makes the class's code, by which attendees come in, and returns it. Only
// its hash is kept; an earlier code is void.
func NewCode(ctx context.Context, s Store) (code string, err error) {
	// Eight letters: 40 bits, of which a guesser tries two a second.
	text := strings.ToLower(rand.Text()[:8])
	code = text[:4] + "-" + text[4:]
	return code, s.SetSetting(ctx, codeSetting, hashCode(code))
}

// hashCode is the hash of a code however it was typed.
func hashCode(code string) string {
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(code))
	sum := sha256.Sum256([]byte(plain))
	return hex.EncodeToString(sum[:])
}

// isCode reports whether code is the class's.
func (h *Hub) isCode(ctx context.Context, code string) (bool, error) {
	want, err := h.cfg.Store.Setting(ctx, codeSetting)
	if err != nil || want == "" || len(code) > 100 {
		return false, err
	}
	return subtle.ConstantTimeCompare([]byte(want), []byte(hashCode(code))) == 1, nil
}
