package checker

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

// dockerAgain is how long to wait before asking for a broken event stream again.
const dockerAgain = time.Second

// A dockerWatch has one event stream of a Docker Engine, while engines use it.
type dockerWatch struct {
	api *client.Client

	mu        sync.Mutex
	users     int
	stop      context.CancelFunc
	up        bool
	listeners map[*listener]bool
}

// use keeps the stream going until release is called.
func (d *dockerWatch) use() (release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.users++; d.users == 1 {
		ctx, stop := context.WithCancel(context.Background())
		d.stop = stop
		go d.run(ctx)
	}
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.users--; d.users == 0 {
			d.stop()
			d.up = false
		}
	})
}

// join has the listener woken by changes; false says that none are announced now.
func (d *dockerWatch) join(l *listener) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listeners[l] = true
	return d.up
}

func (d *dockerWatch) leave(l *listener) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.listeners, l)
}

// run follows the events until ctx ends.
func (d *dockerWatch) run(ctx context.Context) {
	filters := client.Filters{}.Add("type", string(events.ImageEventType), string(events.ContainerEventType),
		string(events.NetworkEventType), string(events.VolumeEventType))
	for ctx.Err() == nil {
		following, stop := context.WithCancel(ctx)
		result := d.api.Events(following, client.EventsListOptions{Filters: filters})
		if _, err := d.api.Ping(following, client.PingOptions{}); err == nil {
			d.is(ctx, true) // what happened between two streams is announced by no event
		}
		for open := true; open; {
			select {
			case event := <-result.Messages:
				if matters(event.Action) {
					d.announce(event.Actor.Attributes[attendeeLabel])
				}
			case <-result.Err: // the stream's end, that of ctx too
				open = false
			}
		}
		stop()
		if ctx.Err() != nil {
			return
		}
		d.is(ctx, false)
		pause(ctx, dockerAgain)
	}
}

// is notes whether changes are announced, and wakes all when that is new.
func (d *dockerWatch) is(ctx context.Context, up bool) {
	d.mu.Lock()
	changed := ctx.Err() == nil && d.up != up
	if changed {
		d.up = up
	}
	d.mu.Unlock()
	if changed {
		d.announce("")
	}
}

// announce wakes the attendee whose label an event carries, and all when it carries none.
func (d *dockerWatch) announce(owner string) {
	var woken []*listener
	d.mu.Lock()
	for l := range d.listeners {
		if owner == "" || owner == l.owner {
			woken = append(woken, l)
		}
	}
	d.mu.Unlock()
	for _, l := range woken {
		l.wake()
	}
}

// matters leaves out what looking itself causes, such as health checks.
func matters(action events.Action) bool {
	switch action {
	case events.ActionExecCreate, events.ActionExecStart, events.ActionExecDie, events.ActionTop, events.ActionAttach,
		events.ActionDetach, events.ActionResize, events.ActionArchivePath:
		return false
	}
	return !strings.HasPrefix(string(action), "exec_") // exec_create is followed by the command
}
