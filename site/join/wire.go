package join

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

// Protocol is how machine and hub speak with one another. A hub refuses another one.
const Protocol = 1

// Bounds of what is sent. A machine keeps to them; a hub refuses what does not.
const (
	mostJoin    = 64 << 10  // bytes of a request to join
	mostPost    = 512 << 10 // bytes of a post
	mostEvents  = 200       // in a post
	mostEvent   = 16 << 10  // bytes of one event
	mostAnswers = 5         // to what the hub asked again, in a post
	mostReceipt = 1 << 20   // bytes of an answer of the hub
	mostLines   = 20        // findings, links of a chain, causes ruled out
)

// MostText is how many characters of one text of a verdict are sent.
const MostText = 1000

// A Request asks the hub to let a machine in: by the class's code and a name, or by
// the token of a personal link.
type Request struct {
	Protocol  int       `json:"protocol"`
	Code      string    `json:"code,omitempty"`
	Name      string    `json:"name,omitempty"`
	Token     string    `json:"token,omitempty"`
	Machine   string    `json:"machine"` // drawn by the machine; asking again with it is no second one
	Version   string    `json:"version"` // of kindlab
	Platform  string    `json:"platform"`
	Preflight []Finding `json:"preflight,omitempty"`
}

// A Finding is what the preflight of a machine says of one thing.
type Finding struct {
	Name  string `json:"name"`
	Level string `json:"level"`
	Found string `json:"found"`
}

// A Welcome is what the hub answers to who is let in.
type Welcome struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Token  string `json:"token"` // what the machine shows from now on
	Class  string `json:"class"`
	Course string `json:"course"`
	Sum    string `json:"sum"` // of the course's files, see [Sum]; empty when the hub does not give them out
}

// A Post is what a machine brings: events, in the order of their numbers, and
// answers. Without any it says that the machine is there.
type Post struct {
	Protocol int      `json:"protocol"`
	Sent     int64    `json:"sent"` // the machine's clock, milliseconds since 1970
	Events   Events   `json:"events,omitempty"`
	Answers  []Answer `json:"answers,omitempty"`
	Looking  []string `json:"looking,omitempty"` // nonces of what is being looked at
}

// An Answer is the verdict that the hub asked for.
type Answer struct {
	Nonce   string       `json:"nonce"`
	Verdict labs.Verdict `json:"verdict"`
}

// A Receipt is what the hub answers to a post.
type Receipt struct {
	Now     int64     `json:"now"`     // the hub's clock, milliseconds since 1970
	Had     int64     `json:"had"`     // the number of the last event it had before
	Through int64     `json:"through"` // it has every event up to this one
	Refused []Refused `json:"refused,omitempty"`
	Ask     []Ask     `json:"ask,omitempty"`
	Notices *Notices  `json:"notices,omitempty"`
}

// A Refused event is one that the hub has seen and will never take in.
type Refused struct {
	Seq int64  `json:"seq"`
	Why string `json:"why"`
}

// An Ask is what the hub wants to have looked at again.
type Ask struct {
	Lab   string `json:"lab"`
	Check string `json:"check"`
	Nonce string `json:"nonce"`
}

// Notices are what the instructor tells the attendee.
type Notices struct {
	Message   string            `json:"message,omitempty"`
	Until     time.Time         `json:"until,omitzero"` // when a countdown ends, by the hub's clock
	For       string            `json:"for,omitempty"`
	Solutions map[string]string `json:"solutions,omitempty"` // handed out, by [labs.Key] of lab and task
}

// Events are those of a post. Decoding them stops at what is too much.
type Events []progress.Event

type event struct {
	Seq     int64        `json:"seq"`
	Kind    string       `json:"kind"`
	Course  string       `json:"course"`
	At      int64        `json:"at"` // by the machine's clock
	Verdict labs.Verdict `json:"verdict"`
}

// MarshalJSON implements [json.Marshaler].
func (es Events) MarshalJSON() ([]byte, error) {
	out := make([]json.RawMessage, len(es))
	for i, e := range es {
		data, err := encode(e)
		if err != nil {
			return nil, err
		}
		out[i] = data
	}
	return json.Marshal(out)
}

// encode writes an event, with less and less of its texts until it is small enough.
func encode(e progress.Event) ([]byte, error) {
	wire := event{Seq: e.Seq, Kind: e.Kind, Course: e.Course, At: e.Verdict.At.UnixMilli()}
	for most := MostText; ; most /= 4 {
		wire.Verdict = Trim(e.Verdict, most)
		data, err := json.Marshal(wire)
		if err != nil || len(data) <= mostEvent || most == 0 {
			return data, err
		}
	}
}

// UnmarshalJSON implements [json.Unmarshaler].
func (es *Events) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if begin, err := d.Token(); err != nil || begin != json.Delim('[') {
		return errors.New("events: want a list")
	}
	var last int64
	for d.More() {
		if len(*es) == mostEvents {
			return fmt.Errorf("events: at most %d at once", mostEvents)
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		if len(raw) > mostEvent {
			return fmt.Errorf("events: one is longer than %d bytes", mostEvent)
		}
		var e event
		if err := json.Unmarshal(raw, &e); err != nil {
			return err
		}
		if e.Seq <= last {
			return fmt.Errorf("events: number %d after %d", e.Seq, last)
		}
		last = e.Seq
		e.Verdict.At = time.UnixMilli(e.At)
		*es = append(*es, progress.Event{Seq: e.Seq, Kind: e.Kind, Course: e.Course, Verdict: e.Verdict})
	}
	return nil
}

// Trim is a verdict with texts of at most so many characters, and not too many of
// them. What was merely seen is left out: it is the longest, and nobody else's business.
func Trim(v labs.Verdict, most int) labs.Verdict {
	text := func(s string) string { return short(s, most) }
	list := func(ss []string) []string {
		if most == 0 {
			return nil
		}
		ss = append([]string(nil), ss[:min(len(ss), mostLines)]...)
		for i := range ss {
			ss[i] = text(ss[i])
		}
		return ss
	}
	v.Lab, v.Task, v.Check = short(v.Lab, 64), short(v.Task, 200), short(v.Check, 64)
	v.That, v.Reason, v.Facts = text(v.That), text(v.Reason), nil
	v.Chain, v.RuledOut = list(v.Chain), list(v.RuledOut)
	var findings []labs.Finding
	for _, f := range v.Findings[:min(len(v.Findings), mostLines)] {
		findings = append(findings, labs.Finding{Expected: text(f.Expected), Got: text(f.Got), Because: text(f.Because), Nearest: text(f.Nearest), Look: text(f.Look)})
	}
	v.Findings = findings
	return v
}

// short is a text of at most so many characters, all of them proper.
func short(s string, most int) string {
	if len(s) > 4*most { // no need to look closer at what is cut off anyway
		s = s[:4*most]
	}
	s = strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	if most == 0 {
		return ""
	}
	return string([]rune(s)[:most-1]) + "…"
}

// readPost decodes a post.
func readPost(r io.Reader) (Post, error) {
	var p Post
	d := json.NewDecoder(r)
	if err := d.Decode(&p); err != nil {
		return Post{}, err
	}
	if len(p.Answers) > mostAnswers || len(p.Looking) > mostAnswers {
		return Post{}, fmt.Errorf("at most %d answers at once", mostAnswers)
	}
	if p.Protocol != Protocol {
		return Post{}, errProtocol
	}
	return p, nil
}

var errProtocol = fmt.Errorf("this hub speaks another version of the protocol (%d)", Protocol)

// A Refusal is why the hub does not do what it was asked for.
type Refusal struct {
	Status int           `json:"-"`
	Reason string        `json:"reason"` // one of the Reason words, for programs
	Text   string        `json:"text"`   // for people
	Try    string        `json:"try,omitempty"`
	After  time.Duration `json:"-"` // how long to wait; 0 when it does not say
}

func (r *Refusal) Error() string { return r.Text }

// Why a hub refuses.
const (
	ReasonCode     = "code"     // the class's code is wrong
	ReasonLink     = "link"     // the personal link is not valid
	ReasonTaken    = "taken"    // somebody has come in by this name; Try may be another
	ReasonPlace    = "place"    // there is no place for this name
	ReasonName     = "name"     // it is no name
	ReasonSlow     = "slow"     // too many requests or guesses
	ReasonRevoked  = "revoked"  // the machine's token is not, or no longer, valid
	ReasonProtocol = "protocol" // the other end is too old or too new
	ReasonBad      = "bad"      // the request cannot be read
	ReasonFull     = "full"     // the hub cannot write
	ReasonNone     = "none"     // there is no such thing here
)
