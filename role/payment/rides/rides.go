// Package rides keeps what merchants tell of rides (刷码乘车数据, document 2 §4.2.5): scans as they happen, and the
// orders that come of them. Notices to riders and risk rules read here.
package rides

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
)

// AppID is a registered application of a merchant (app_id).
type AppID string

// Key names a ride: the number of one app and one type, order or event. Told twice it is one ride.
type Key struct {
	App   AppID
	Type  string
	BizNo string
}

// Ride is one ride, or one scan of it, as its merchant told it.
type Ride struct {
	App        AppID
	Scene      string
	Channel    string
	Version    string
	Target     string // the user, or several joined by commas
	TargetType string // what Target is; empty is a user id
	Info       openapi.RideInfo
	Received   time.Time
}

// Key names the ride.
func (r Ride) Key() Key { return Key{App: r.App, Type: r.Info.Type, BizNo: r.Info.BizNo} }

// Digest is SHA-256 over all that the merchant told, each part with its length before it: the same number
// with other content is told from a repetition.
func (r Ride) Digest() [sha256.Size]byte {
	var b []byte
	for _, part := range []string{string(r.App), r.Scene, r.Channel, r.Version, r.Target, r.TargetType, string(openapi.AppendRide(nil, r.Info))} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return sha256.Sum256(b)
}

// Store keeps rides. An implementation is durable, and keeps instants to the second.
type Store interface {
	// Add keeps the rides whose keys are new, all of them or none, and takes those that are there with the same
	// digest. One that is there with another digest is a *ConflictError. Any other error means that the
	// outcome is not known: the caller repeats the same Add.
	//
	// For each that is new and IsAnnounced it keeps, in the same transaction, the Delivery to the rider's wallet, which
	// the payment.Deliveries of the same database carry, and the Text.
	Add(ctx context.Context, batch []Ride) error
	// Find gives one ride.
	Find(ctx context.Context, key Key) (ride Ride, exists bool, err error)
	// OfTarget gives the newest rides of a target by the time of the ride, of one app, at most limit.
	OfTarget(ctx context.Context, app AppID, target string, limit int) ([]Ride, error)
	// OfRider gives the rides whose Rider this is, of every app, the newest by the time of the ride first, those
	// behind from, at most limit; next is zero where no more follow.
	OfRider(ctx context.Context, rider ridecode.UserID, from Place, limit int) (found []Ride, next Place, err error)
	// Texts lists up to count texts that wait, by No, those behind after.
	Texts(ctx context.Context, after int64, count int) ([]Text, error)
}

// ConflictError says that a number was told before, with other content.
type ConflictError struct{ Key Key }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("rides: %s %q of app %s was told before with other content", e.Key.Type, e.Key.BizNo, e.Key.App)
}

// Register is the rides of a city. It is safe for concurrent use.
type Register struct{ store Store }

// New makes a register of what the store keeps.
func New(store Store) *Register { return &Register{store: store} }

// Keep takes a batch of one app in, as a whole or not at all. Errors: *ConflictError, also for a number that
// stands twice in the batch with two contents; any other means that nobody knows: send it again.
func (r *Register) Keep(ctx context.Context, batch []Ride, now time.Time) error {
	seen := make(map[Key][sha256.Size]byte, len(batch))
	kept := make([]Ride, 0, len(batch))
	for _, ride := range batch {
		key, digest := ride.Key(), ride.Digest()
		if before, twice := seen[key]; twice {
			if before != digest {
				return &ConflictError{key}
			}
			continue
		}
		seen[key] = digest
		ride.Received = now.Truncate(time.Second)
		kept = append(kept, ride)
	}
	return r.store.Add(ctx, kept)
}
