package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// The trust bundle (信任包) is ours: one signed document with all that a terminal trusts, so that a
// terminal is never left with new keys and an old deny list. Documents 1 and 2 ask for its parts: the
// keys and card types of document 2 §4.1.2, the update of document 1 §11.7; terminal-facts R4, R5, R10
// and R20 ask for the rest.
const clauseBundle = "trust bundle 1"

// Bounds of a bundle.
const (
	MaxBundleSize = 8 << 20 // bytes; a deny list of 100 000 users takes 1.7 MB of it
	MaxKeys       = 256     // as many as a key id can name
	MaxCardRules  = 4096
	MaxSerial     = 1<<63 - 1
)

// Digest is SHA-256 of a bundle's bytes, signature included.
type Digest [sha256.Size]byte

// String is the digest in hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Versions are those of a bundle's sections: each grows when its section changes, so that a terminal
// can report what it works with (terminal-facts R5).
type Versions struct{ Keys, CardRules, DenyList, Clock uint32 }

// EncodedKey is an institution key as a bundle carries it: it may be one that this reader cannot use.
type EncodedKey struct {
	ID        ridecode.KeyID
	Algorithm KeyAlgorithm
	Public    []byte // at most 255 bytes
}

// KeyAlgorithm says what the bytes of a key are.
type KeyAlgorithm uint8

// Secp256k1 is the algorithm of document 1 §8.1.2, a compressed point of 33 bytes. A reader rejects
// keys of other algorithms one by one, so that a bundle can introduce one.
const Secp256k1 KeyAlgorithm = 1

// Encode writes a key as a bundle carries it.
func (k Key) Encode() EncodedKey {
	return EncodedKey{ID: k.ID, Algorithm: Secp256k1, Public: k.Public.Bytes()}
}

func (k EncodedKey) decode() (Key, error) {
	if k.Algorithm != Secp256k1 {
		return Key{}, fmt.Errorf("algorithm %d is not known here", k.Algorithm)
	}
	public, err := secp256k1.ParsePublicKey(k.Public)
	if err != nil {
		return Key{}, err
	}
	return Key{ID: k.ID, Public: public}, nil
}

// Clock is what a terminal makes of clocks (terminal-facts R10).
type Clock struct {
	Policy      ridecode.ClockPolicy
	MaxSkewSec  uint16 // the terminal's clock may be this far from its server's before it goes out of service
	ValidCapSec uint16 // a code that claims a longer validity is refused; 0: no cap
}

// Draft is a bundle in parts, as its authority writes it. The order of its lists does not matter.
type Draft struct {
	Serial        uint64    // from 1 to MaxSerial, one more for each bundle
	Issued        time.Time // these four in whole seconds, UTC, none before the one above it
	AlarmFrom     time.Time // from here on the terminal's keeper is told to fetch a newer bundle
	StaleAfter    time.Time // the last second at which the bundle is fresh
	DeadAfter     time.Time // the last second at which it is of any use
	GraceLimitFen money.Fen // while stale, trades up to this are still taken; 0 … 65535

	Versions    Versions
	Keys        []EncodedKey
	CardRules   []CardRule
	DeniedUsers []DeniedUser
	DeniedCards []DeniedCard
	Clock       Clock
}

// Bundle is a trust bundle whose signature was verified. It is not changed once it is made, and safe
// for concurrent use.
type Bundle struct {
	u         *Unverified
	keys      []Key
	cardRules []CardRule
	report    Report
}

// Serial is the bundle's own number.
func (b *Bundle) Serial() uint64 { return b.u.head.serial }

// Issued is when the authority wrote it.
func (b *Bundle) Issued() time.Time { return b.u.head.issued }

// Versions are those of the sections.
func (b *Bundle) Versions() Versions { return b.u.versions() }

// Clock is the clock policy.
func (b *Bundle) Clock() Clock { return b.u.clock }

// Report tells what was loaded and what was rejected. Show it: a key dropped in silence turns its
// riders away, and nobody knows why.
func (b *Bundle) Report() Report {
	r := b.report
	r.Rejected = slices.Clone(r.Rejected)
	return r
}

// Digest names the bundle.
func (b *Bundle) Digest() Digest { return sha256.Sum256(b.u.raw) }

// Bytes is the bundle as it came. The caller must not change it.
func (b *Bundle) Bytes() []byte { return b.u.raw }

// Append writes the bundle as it came, for handing it on.
func (b *Bundle) Append(dst []byte) []byte { return append(dst, b.u.raw...) }

// Keys is the institution keys that this reader can use, by id.
func (b *Bundle) Keys() []Key { return slices.Clone(b.keys) }

// KeyRing makes the tables for the bundle's keys; window is WindowSmall or WindowFast. Make it once for
// each version of the keys: it takes a while.
func (b *Bundle) KeyRing(window int) (*KeyRing, error) { return NewKeyRing(b.keys, window) }

// Draft is the bundle in parts again, to write the next one from. Keys that this reader cannot use are
// in it; card rules that it cannot read are not, see Report.
func (b *Bundle) Draft() Draft {
	u := b.u
	return Draft{
		Serial: u.head.serial, Issued: u.head.issued, AlarmFrom: u.head.alarmFrom, StaleAfter: u.head.staleAfter,
		DeadAfter: u.head.deadAfter, GraceLimitFen: u.head.graceLimitFen, Versions: u.versions(),
		Keys: slices.Clone(u.keys), CardRules: slices.Clone(b.cardRules),
		DeniedUsers: u.denied.userList(), DeniedCards: u.denied.cardList(), Clock: u.clock,
	}
}

// Report is what became of a bundle's entries.
type Report struct {
	KeyCount, CardRuleCount          int // loaded
	DeniedUserCount, DeniedCardCount int
	Versions                         Versions
	Rejected                         []Rejection
}

// Rejection is one entry that this reader cannot use. The others hold.
type Rejection struct {
	Item string // as "key 3"
	Why  string // half a sentence, for people
}

// String is one sentence.
func (r Rejection) String() string { return r.Item + ": rejected, " + r.Why }

// String is one line for a log.
func (r Report) String() string {
	return fmt.Sprintf("%d keys (version %d), %d card rules (version %d), %d users and %d cards denied (version %d), %d entries rejected",
		r.KeyCount, r.Versions.Keys, r.CardRuleCount, r.Versions.CardRules,
		r.DeniedUserCount, r.DeniedCardCount, r.Versions.DenyList, len(r.Rejected))
}
