package payment

import (
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Policy is what an institution decides for itself.
type Policy struct {
	Clock        ridecode.ClockPolicy
	SettleWithin time.Duration // 结算时间: a trade whose first record is older is not settled (document 2 §4.2.3.1)
	BusyRetry    time.Duration // when to ask again after UNKNOWN
	FundsRetry   time.Duration // when to ask again after a lack of funds
	// CannotTellRetry is when to ask again where a key or the time to judge a record by is still missing.
	CannotTellRetry time.Duration
	// DayEnds is the time of day, in Beijing, at which an accounting day ends (日切): 24 hours is midnight.
	DayEnds time.Duration
	Debt    DebtPolicy
	Doubles DoublesPolicy
	Online  OnlinePolicy
	Risk    RiskPolicy
	// IsPrepaid tells of card types whose rides are taken from their issuer's own book (document 2 §3.1.1 step 11): their
	// riders have not agreed to pay from their accounts. nil: none.
	IsPrepaid func(cardType ridecode.CardType) bool
	// Panicked hears of a bug that left one trade UNKNOWN, and never of what the trade holds; may be nil.
	Panicked func(what, stack string)
}

// DebtPolicy says when a rider who owes is put on the deny list (document 1 §5.5: penalties). He gets no
// new grant from the first fen on.
type DebtPolicy struct {
	DenyAboveFen money.Fen     // once more than this is owed
	DenyAfter    time.Duration // once it was owed for so long
}

// DoublesPolicy says what follows when two gates have taken one code.
type DoublesPolicy struct {
	PayBoth   bool // each gate is paid once; otherwise the first that is settled
	DenyAfter int  // so many such codes put the rider on the deny list; 0 never does
}

// OnlinePolicy says what is asked of a rider whose trade is settled while he waits (document 1 §5.5.1).
type OnlinePolicy struct {
	Within           time.Duration // a record that arrives later is settled like an offline one: its gate has decided
	PasswordAboveFen money.Fen     // above it the password is asked for
	PasswordDoubles  int           // so many double codes ask for it too; 0 never does
	PasswordWithin   time.Duration // after it, a trade that was not confirmed is refused
	PasswordRetry    time.Duration // when to ask again meanwhile
	PasswordTries    int           // wrong passwords until the next try has to wait
	PasswordWait     time.Duration // how long it waits then
}

// DefaultPolicy takes records up to 30 days old: terminals may be out of reach for weeks.
func DefaultPolicy() Policy {
	return Policy{Clock: ridecode.DefaultClock(), SettleWithin: 30 * 24 * time.Hour, BusyRetry: time.Minute, FundsRetry: time.Hour,
		CannotTellRetry: time.Hour, DayEnds: 24 * time.Hour,
		Debt:    DebtPolicy{DenyAboveFen: 20_00, DenyAfter: 24 * time.Hour},
		Doubles: DoublesPolicy{DenyAfter: 3},
		Risk:    DefaultRisk(),
		Online: OnlinePolicy{Within: time.Minute, PasswordAboveFen: 50_00, PasswordDoubles: 1, PasswordWithin: 5 * time.Minute, PasswordRetry: 2 * time.Second,
			PasswordTries: 5, PasswordWait: 15 * time.Minute}}
}

// DayOf is the accounting day of a moment.
func (p Policy) DayOf(now time.Time) ledger.Day {
	return ledger.DayOf(now.In(beijing()).Add(24*time.Hour - p.DayEnds))
}

// DayOver tells whether an accounting day has ended.
func (p Policy) DayOver(day ledger.Day, now time.Time) bool { return p.DayOf(now) > day }
