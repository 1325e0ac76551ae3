package join

import "time"

// beginning is before anything that kindlab can have seen: an earlier time is that
// of a machine whose clock was set after the event.
var beginning = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// correct is when something happened by the hub's clock: at by the machine's, which
// said sent when the hub's said now. It is never later than now.
func correct(at, sent, now time.Time) time.Time {
	if fixed := at.Add(now.Sub(sent)); fixed.Before(now) && fixed.After(beginning) {
		return fixed
	}
	return now
}
