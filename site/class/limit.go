package class

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// A bucket holds tokens: so many at most, so many more each second.
type bucket struct {
	most, perSecond float64

	mu   sync.Mutex
	have float64
	at   time.Time
}

func newBucket(most, perSecond float64) *bucket {
	return &bucket{most: most, perSecond: perSecond, have: most}
}

func (b *bucket) fill(now time.Time) {
	if !b.at.IsZero() {
		b.have = min(b.most, b.have+max(0, now.Sub(b.at).Seconds())*b.perSecond)
	}
	b.at = now
}

// take takes a token, if there is one.
func (b *bucket) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill(now)
	if b.have < 1 {
		return false
	}
	b.have--
	return true
}

func (b *bucket) giveBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.have = min(b.most, b.have+1)
}

// left is how many tokens there are.
func (b *bucket) left(now time.Time) float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill(now)
	return b.have
}

// A limiter counts wrong guesses, by address and altogether. Right ones are free: a
// whole class may come from one address at once.
type limiter struct {
	all *bucket

	mu   sync.Mutex
	from map[string]*bucket
}

const (
	guessesFrom    = 20   // from one address at once
	guessesAll     = 200  // from everywhere at once
	knownAddresses = 5000 // more are not remembered
)

func newLimiter() *limiter {
	return &limiter{all: newBucket(guessesAll, 2), from: map[string]*bucket{}}
}

// bucket is that of the address a request comes from.
func (l *limiter) bucket(r *http.Request, now time.Time) *bucket {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		host = ip.Mask(net.CIDRMask(64, 128)).String() // one machine has as many addresses as it likes
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.from[host]
	if b == nil {
		if len(l.from) >= knownAddresses {
			for name, old := range l.from {
				if old.left(now) == old.most {
					delete(l.from, name)
				}
			}
		}
		if len(l.from) >= knownAddresses {
			return l.all
		}
		b = newBucket(guessesFrom, 1.0/3)
		l.from[host] = b
	}
	return b
}

// guess looks at a guess. It is not looked at when there were too many wrong ones.
func (l *limiter) guess(r *http.Request, now time.Time, right func() bool) (looked, is bool) {
	from := l.bucket(r, now)
	if !l.all.take(now) {
		return false, false
	}
	if from != l.all && !from.take(now) {
		l.all.giveBack()
		return false, false
	}
	if !right() {
		return true, false
	}
	l.all.giveBack()
	if from != l.all {
		from.giveBack()
	}
	return true, true
}
