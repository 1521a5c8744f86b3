package reader

import (
	"context"
	"crypto/sha256"
	"time"
)

// rememberedCount bounds what Debounce remembers: codes that a camera can see at a time, and some more.
const rememberedCount = 16

// Debounce hands on a code once for as long as it stays in sight, for readers and cameras that report
// it several times a second: a code is passed over when the same bytes were last seen less than hold
// ago, be it the hundredth time. Unreadable scans are handed on as they are.
//
// It compares bytes and keeps a rider's phone from being judged twice in one showing, no more. That a
// code is used once, and that riders keep a distance, are decided by the gate (role/terminal), which
// looks at what was signed. A refused code can be tried again once it was out of sight for hold.
func Debounce(source Source, hold time.Duration) Source {
	return &debounce{source: source, hold: hold, seen: map[[sha256.Size]byte]time.Time{}}
}

type debounce struct {
	source Source
	hold   time.Duration
	seen   map[[sha256.Size]byte]time.Time // a digest: codes themselves are kept nowhere
}

func (d *debounce) Run(ctx context.Context, found func(Scan)) error {
	return d.source.Run(ctx, func(s Scan) {
		if s.Err != nil || d.isNew(s.Payload, time.Now()) {
			found(s)
		}
	})
}

func (d *debounce) isNew(payload []byte, now time.Time) bool {
	digest := sha256.Sum256(payload)
	last, known := d.seen[digest]
	d.seen[digest] = now
	if len(d.seen) > rememberedCount {
		d.forgetOldest()
	}
	return !known || now.Sub(last) >= d.hold
}

func (d *debounce) forgetOldest() {
	var oldest [sha256.Size]byte
	var at time.Time
	for digest, seen := range d.seen {
		if at.IsZero() || seen.Before(at) {
			oldest, at = digest, seen
		}
	}
	delete(d.seen, oldest)
}
