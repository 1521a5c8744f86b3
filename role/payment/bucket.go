package payment

import (
	"hash/fnv"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/ridecode"
)

// BucketOf is the bucket of a user, of count. It never changes for books that stand: who changes it
// loses every account.
func BucketOf(user ridecode.UserID, count int) int { return hashBucket(string(user), count) }

// BucketOfNumber is where a number is claimed. It depends on nothing but the number, for who sends it
// again may say anything else.
func BucketOfNumber(n Number, count int) int { return hashBucket(n.Scope+"\x00"+n.No, count) }

func hashBucket(text string, count int) int {
	h := fnv.New64a()
	h.Write([]byte(text))
	sum := h.Sum64()
	sum ^= sum >> 32 // the low bits of FNV alone are poor for texts that end alike
	return int(sum % uint64(count))
}

// home is the bucket of an account that is no user's: where what was swept from all buckets lies.
func (p *Payment) home(account ledger.AccountID) int {
	return hashBucket(string(account), p.store.Buckets())
}

func (p *Payment) bucket(user ridecode.UserID) int { return BucketOf(user, p.store.Buckets()) }

// moment is when something is ordered, and in whose statement it will stand.
type moment struct {
	now time.Time
	day ledger.Day
}

func (p *Payment) moment(now time.Time) moment {
	now = storedTime(now)
	return moment{now: now, day: p.policy.DayOf(now)}
}

func beijing() *time.Location { return time.FixedZone("Beijing", 8*60*60) }
