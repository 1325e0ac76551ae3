package class

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A boardNews is what changed on the board.
type boardNews struct {
	Rows    []rowNews `json:"rows"`
	Medians []int64   `json:"medians,omitempty"` // milliseconds, by column; when some changed
	Parts   string    `json:"parts,omitempty"`   // HTML; when it changed
	Tables  int       `json:"tables"`            // another number: other people are listed
}

// A rowNews is a row that changed.
type rowNews struct {
	ID      string `json:"id"`
	States  string `json:"states"`
	Now     int    `json:"now"`
	Since   int64  `json:"since"`
	State   string `json:"state"`
	That    string `json:"that,omitempty"`
	Why     string `json:"why,omitempty"`
	Stuck   bool   `json:"stuck,omitempty"`
	Solved  int    `json:"solved"`
	Entered string `json:"entered,omitempty"`
	Ready   string `json:"ready"` // yes, no, or asked not yet
	Detail  string `json:"detail,omitempty"`
	Open    int    `json:"open"`
}

const (
	boardPause = 100 * time.Millisecond // between two messages to a board
	boardBeat  = 15 * time.Second
)

// boardEvents streams what changes on the board: all rows at once, then those that
// changed. News that come quickly are sent together.
func (h *Hub) boardEvents(w http.ResponseWriter, r *http.Request, _ *person) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	if r.Method == http.MethodHead {
		return
	}
	wake := make(chan struct{}, 1)
	h.mu.Lock()
	h.room.boards[wake] = true
	h.mu.Unlock()
	defer func() { h.mu.Lock(); defer h.mu.Unlock(); delete(h.room.boards, wake) }()
	go h.callRoll()

	out := http.NewResponseController(w)
	beat := time.NewTicker(boardBeat)
	defer beat.Stop()
	seen, tables, last := -1, -1, ""
	message := []byte("retry: 2000\n")
	for {
		news, parts, err := h.newsSince(seen, tables, last)
		switch {
		case err != nil:
			h.log.WarnContext(r.Context(), "sending the board", "err", err)
			message = append(message, ": no news\n\n"...)
		case news == nil:
			message = append(message, ": still here\n\n"...)
		default:
			data, err := json.Marshal(news.boardNews)
			if err != nil {
				return
			}
			message = fmt.Appendf(message, "event: board\ndata: %s\n\n", data)
			seen, tables, last = news.version, news.Tables, parts
		}
		_ = out.SetWriteDeadline(time.Now().Add(2 * boardBeat))
		if _, err := w.Write(message); err != nil || out.Flush() != nil {
			return
		}
		message = message[:0]
		pause := time.After(boardPause)
		select {
		case <-wake:
		case <-beat.C:
		case <-r.Context().Done():
			return
		case <-h.ctx.Done():
			return
		}
		select {
		case <-pause:
		case <-r.Context().Done():
			return
		case <-h.ctx.Done():
			return
		}
	}
}

type versionedNews struct {
	boardNews
	version int
}

// newsSince is what changed since a version of the room; nil when nothing did.
// tables and last are what they were then. When others are listed now, all is news.
func (h *Hub) newsSince(version, tables int, last string) (*versionedNews, string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.room.version == version {
		return nil, last, nil
	}
	parts, err := h.partsHTML()
	if err != nil {
		return nil, last, err
	}
	n := &versionedNews{boardNews{Rows: []rowNews{}, Tables: h.room.tables}, h.room.version}
	if parts != last {
		n.Parts = parts
	}
	for _, d := range h.room.medians {
		n.Medians = append(n.Medians, d.Milliseconds())
	}
	for _, id := range h.order {
		r := &h.people[id].row
		if r.version <= version && h.room.tables == tables {
			continue
		}
		row := rowNews{ID: id, States: r.states, Now: r.now, State: string(r.state), That: r.that, Why: r.why,
			Stuck: r.stuck, Solved: r.solved, Ready: "unknown", Detail: r.ready.detail, Open: r.open}
		if r.ready.asked {
			row.Ready = map[bool]string{true: "yes", false: "no"}[r.ready.ok]
		}
		if r.now >= 0 {
			row.Since = r.since.UnixMilli()
		}
		if !r.entered.IsZero() {
			row.Entered = r.entered.Local().Format("15:04")
		}
		n.Rows = append(n.Rows, row)
	}
	return n, parts, nil
}

// partsHTML is what boards have besides their table, made once for all boards. The
// hub is locked.
func (h *Hub) partsHTML() (string, error) {
	if h.room.html == "" || h.room.htmlAt != h.room.version {
		var b strings.Builder
		if err := h.pages["board"].ExecuteTemplate(&b, "parts", h.partsNow()); err != nil {
			return "", err
		}
		h.room.html, h.room.htmlAt = b.String(), h.room.version
	}
	return h.room.html, nil
}
