package payment

import (
	"cmp"
	"slices"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/ridecode"
)

// RiskKind is what a RiskEntry is. The numbers are in the books.
type RiskKind uint8

// The kinds.
const (
	RiskScan    RiskKind = 1 // a gate took a code of the rider
	RiskFinding RiskKind = 2 // a rule has found something
	RiskAppeal  RiskKind = 3 // support has set a finding aside: moment and key are the finding's
)

// RiskEntry is what risk rules keep of a rider: append only. User, kind, moment and key name it, and what was
// kept under a name stays.
type RiskEntry struct {
	User ridecode.UserID
	Kind RiskKind
	At   time.Time // to the microsecond
	Key  string    // not empty
	Body []byte    // JSON
}

// RiskNeed names entries of a rider: of one kind, from From to To, both included, at most Limit, the earliest
// first.
type RiskNeed struct {
	User     ridecode.UserID
	Kind     RiskKind
	From, To time.Time
	Limit    int
}

// RiskMark is how far risk rules have looked at the trades of a bucket: at those of all days before Day, and at
// those of Day up to and including After. A day is looked at as it grows, and, Again, from its beginning once
// nothing can be settled on it any more: a trade keeps the number of its first request, and may be settled after
// higher ones.
type RiskMark struct {
	Day   ledger.Day // 0: nothing was looked at
	After ledger.DocumentID
	Again bool
}

// riskEver is longer than any books: bounds of a RiskNeed that wants all. Stores keep microseconds in 64 bits.
func riskEver() (from, to time.Time) {
	return time.Unix(0, 0).UTC(), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
}

// SortRisk puts the entries of a rider into the order that State has them in.
func SortRisk(entries []RiskEntry) {
	slices.SortFunc(entries, func(a, b RiskEntry) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), a.At.Compare(b.At), cmp.Compare(a.Key, b.Key))
	})
}
