package main

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

// keepAgain is how long it takes until it is tried again to record what could not be.
const keepAgain = 2 * time.Second

// A keeper has verdicts recorded. What cannot be recorded now, such as on a full
// disk, is recorded as soon as that can be.
type keeper struct {
	store *progress.Store
	log   *slog.Logger

	mu  sync.Mutex
	due map[placeOf]*due
	err error // why something is due, or would be
}

type placeOf struct{ attendee, course, lab string }

// due is what is not recorded yet of an attendee's lab.
type due struct {
	record func(context.Context, []labs.Verdict) error
	passed map[string]labs.Verdict // by check: it may be failing since
	latest []labs.Verdict
}

func newKeeper(store *progress.Store, log *slog.Logger) *keeper {
	return &keeper{store: store, log: log, due: map[placeOf]*due{}}
}

// keep has the verdicts of a lab recorded.
func (k *keeper) keep(ctx context.Context, of placeOf, vs []labs.Verdict, record func(context.Context, []labs.Verdict) error) {
	err := record(context.WithoutCancel(ctx), vs) // also what passed as the page was closed
	if err == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.due[of]
	if d == nil {
		d = &due{record: record, passed: map[string]labs.Verdict{}}
		k.due[of] = d
	}
	d.latest = vs
	for _, v := range vs {
		if _, ok := d.passed[v.Check]; !ok && v.State == labs.Passed {
			d.passed[v.Check] = v
		}
	}
	k.say(err)
}

// forget drops what is due of a lab that was begun again.
func (k *keeper) forget(of placeOf) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.due, of)
}

// run records what is due until ctx ends. With probe it finds out that nothing can
// be recorded before there is anything.
func (k *keeper) run(ctx context.Context, probe bool) {
	for tick := time.NewTicker(keepAgain); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			k.again(ctx, probe)
		}
	}
}

func (k *keeper) again(ctx context.Context, probe bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var err error
	for of, d := range k.due {
		if err = d.record(ctx, slices.Collect(maps.Values(d.passed))); err == nil {
			err = d.record(ctx, d.latest)
		}
		if err != nil {
			break
		}
		delete(k.due, of)
	}
	if err == nil && probe {
		err = k.store.SetSetting(ctx, "kept-at", time.Now().UTC().Format(time.RFC3339Nano))
	}
	if ctx.Err() == nil {
		k.say(err)
	}
}

// say notes whether recording works, and logs it when that changes. The keeper is locked.
func (k *keeper) say(err error) {
	switch {
	case err != nil && k.err == nil:
		k.log.Error("progress cannot be recorded; it will be as soon as it can", "err", err)
	case err == nil && k.err != nil:
		k.log.Warn("progress is recorded again")
	}
	k.err = err
}

// trouble says why nothing can be recorded; "" when it can.
func (k *keeper) trouble() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err == nil {
		return ""
	}
	return k.err.Error()
}
