package class

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kindlab/kindlab/labs"
)

// sessionLasts is how long a session lasts: longer than any course.
const sessionLasts = 30 * 24 * time.Hour

// A pass is what a session's cookie says: who it is, in which role, and under which
// generation of their link they came in.
type pass struct {
	id         string
	instructor bool
	generation int
	issued     time.Time
}

// A seal signs passes, so that nobody makes their own.
type seal struct {
	key  []byte
	name string // of the cookie
}

const keySetting = "class-key"

// sealKey is the key that signs sessions. It is kept, so that they outlive the process.
func sealKey(ctx context.Context, s Store) ([]byte, error) {
	kept, err := s.Setting(ctx, keySetting)
	if err != nil {
		return nil, err
	}
	if key, err := hex.DecodeString(kept); err == nil && len(key) == sha256.Size {
		return key, nil
	}
	key := make([]byte, sha256.Size)
	rand.Read(key)
	return key, s.SetSetting(ctx, keySetting, hex.EncodeToString(key))
}

func (s seal) mac(text string) string {
	m := hmac.New(sha256.New, s.key)
	m.Write([]byte(s.name + "\x00" + text))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// sign is the pass as text. No part of it can hold a dot.
func (s seal) sign(p pass) string {
	role := "a"
	if p.instructor {
		role = "i"
	}
	text := fmt.Sprintf("1.%s.%s.%d.%d", p.id, role, p.generation, p.issued.Unix())
	return text + "." + s.mac(text)
}

var errPass = errors.New("no pass of ours")

// read is the pass that sign made. It does not say whether the pass still counts.
func (s seal) read(signed string) (pass, error) {
	if len(signed) > 200 {
		return pass{}, errPass
	}
	at := strings.LastIndexByte(signed, '.')
	if at < 0 || !hmac.Equal([]byte(signed[at+1:]), []byte(s.mac(signed[:at]))) {
		return pass{}, errPass
	}
	parts := strings.Split(signed[:at], ".")
	if len(parts) != 5 || parts[0] != "1" || !labs.ValidPersonID(parts[1]) || parts[2] != "a" && parts[2] != "i" {
		return pass{}, errPass
	}
	generation, err := strconv.Atoi(parts[3])
	issued, err2 := strconv.ParseInt(parts[4], 10, 64)
	if err != nil || err2 != nil {
		return pass{}, errPass
	}
	return pass{parts[1], parts[2] == "i", generation, time.Unix(issued, 0)}, nil
}

// give sends the pass as a cookie.
func (s seal) give(w http.ResponseWriter, r *http.Request, p pass) {
	http.SetCookie(w, s.cookie(r, s.sign(p), int(sessionLasts.Seconds())))
}

// take takes the cookie away.
func (s seal) take(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, s.cookie(r, "", -1))
}

func (s seal) cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{Name: s.name, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: byTLS(r)}
}

// of is the pass that a request brings.
func (s seal) of(r *http.Request) (pass, error) {
	c, err := r.Cookie(s.name)
	if err != nil {
		return pass{}, err
	}
	return s.read(c.Value)
}

// byTLS reports whether a browser's request came by TLS. A proxy in front says so; who lies
// about it locks only themselves out.
func byTLS(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}
