package payment

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// RiskRule names a rule (风控规则).
type RiskRule string

// The rules. The first three, and RuleNew, follow from what the books hold at this moment; the others have found
// something once, which is kept.
const (
	RuleBlocked  RiskRule = "blocked"    // support has stopped him
	RuleDebt     RiskRule = "debt"       // 欠款
	RuleDoubles  RiskRule = "doubles"    // codes that two gates took
	RuleNew      RiskRule = "new-rider"  // 新用户
	RuleVelocity RiskRule = "velocity"   // 频次
	RuleTravel   RiskRule = "impossible" // 不可能位移
)

// RiskOutcome is what follows for the rider, from mild to strict.
type RiskOutcome string

// The outcomes.
const (
	RiskNothing RiskOutcome = "nothing"
	RiskLimit   RiskOutcome = "limit" // on the next grant
	RiskNoGrant RiskOutcome = "no grant"
	RiskDeny    RiskOutcome = "deny" // and gates turn him away (黑名单)
)

// Bounds are the most that a grant allows (document 1 §6.3.2). A zero field bounds nothing.
type Bounds struct {
	LimitFen money.Fen     // of one trade
	ValidSec uint16        // of a shown code
	Lasts    time.Duration // of the grant
}

// tighter is the lesser of two, field by field.
func (b Bounds) tighter(other Bounds) Bounds {
	return Bounds{LimitFen: lesser(b.LimitFen, other.LimitFen), ValidSec: lesser(b.ValidSec, other.ValidSec), Lasts: lesser(b.Lasts, other.Lasts)}
}

func lesser[T money.Fen | uint16 | time.Duration](a, b T) T {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// RiskReason is one rule's word on a rider, and why in a sentence.
type RiskReason struct {
	Rule    RiskRule
	Outcome RiskOutcome
	Why     string
	Next    string // what lifts it
	Bounds  Bounds // of RiskLimit
}

// Finding is what a rule has found of a rider once.
type Finding struct {
	No       int // from 1, of this rider
	Rule     RiskRule
	Why      string    // with figures
	When     time.Time // of the scan that made it so, by its gate's clock
	Evidence []string  // trades and rides, as Scan.Ref names them
	Proven   bool      // by records alone: what a merchant only tells denies nobody
	Found    time.Time
	Appeal   *Appeal // nil: it counts

	at  time.Time // with key, its name
	key string
}

// Appeal sets a finding aside (申诉).
type Appeal struct {
	Who, Reason string
	At          time.Time
}

// Pardon is an appeal that forgot double codes: they are no findings, but counted.
type Pardon struct {
	Doubles int // that were forgotten
	Appeal
}

// Standing is what follows for a rider now: of several reasons, the strictest.
type Standing struct {
	User     ridecode.UserID
	Exists   bool // he has an account
	Outcome  RiskOutcome
	Bounds   Bounds // of his next grant
	Reasons  []RiskReason
	Findings []Finding // all there ever were, by number
	Pardons  []Pardon  // of double codes, in their order
	OwedFen  money.Fen
	Doubles  int
}

// Why is every reason that makes the standing as strict as it is, and the others after them.
func (s Standing) Why() (why string) {
	for _, reason := range s.Reasons {
		if why != "" {
			why += "; "
		}
		why += string(reason.Rule) + ": " + reason.Why
	}
	return why
}

// Next is what lifts the strictest reason.
func (s Standing) Next() string {
	if len(s.Reasons) == 0 {
		return ""
	}
	return s.Reasons[0].Next
}

// judge is the one place that says what follows for a rider from what is known of him. rides is how many of his
// settled rides were seen, as far as the policy counts them. What is kept is what has happened; what follows from
// it is the policy's, and may change.
func (p Policy) judge(known knownRider, rides int, now time.Time) Standing {
	s := Standing{User: known.User, Exists: known.exists, Findings: known.findings, Pardons: known.pardons, OwedFen: known.owedFen, Doubles: known.Doubles}
	s.Reasons = slices.Concat(p.blocked(known), p.debt(known, now), p.doubles(known), p.found(RuleTravel, p.Risk.Travel.Then, known, now),
		p.found(RuleVelocity, p.Risk.Velocity.Then, known, now), p.newRider(rides))
	slices.SortStableFunc(s.Reasons, func(a, b RiskReason) int { return b.Outcome.rank() - a.Outcome.rank() })
	s.Outcome = RiskNothing
	for i, reason := range s.Reasons {
		if i == 0 {
			s.Outcome = reason.Outcome
		}
		s.Bounds = s.Bounds.tighter(reason.Bounds)
	}
	return s
}

func (o RiskOutcome) rank() int {
	return slices.Index([]RiskOutcome{RiskNothing, RiskLimit, RiskNoGrant, RiskDeny}, o)
}

func (p Policy) blocked(known knownRider) []RiskReason {
	if known.Blocked == "" {
		return nil
	}
	return []RiskReason{{Rule: RuleBlocked, Outcome: RiskDeny, Why: known.Blocked, Next: "support lifts it: shuama account unblock"}}
}

func (p Policy) debt(known knownRider, now time.Time) []RiskReason {
	reason := RiskReason{Rule: RuleDebt, Outcome: RiskDeny, Next: "top the account up: what is owed is paid back first"}
	switch since := now.Sub(known.OwesSince); {
	case known.owedFen > p.Debt.DenyAboveFen:
		reason.Why = fmt.Sprintf("owes %s, more than %s", known.owedFen, p.Debt.DenyAboveFen)
	case known.owedFen > 0 && !known.OwesSince.IsZero() && since >= p.Debt.DenyAfter:
		reason.Why = fmt.Sprintf("owes %s for %s, for too long", known.owedFen, since.Truncate(time.Minute))
	case known.owedFen > 0:
		reason.Outcome, reason.Why = RiskNoGrant, fmt.Sprintf("owes %s", known.owedFen)
	default:
		return nil
	}
	return []RiskReason{reason}
}

func (p Policy) doubles(known knownRider) []RiskReason {
	if p.Doubles.DenyAfter <= 0 || known.Doubles < p.Doubles.DenyAfter {
		return nil
	}
	return []RiskReason{{Rule: RuleDoubles, Outcome: RiskDeny, Why: fmt.Sprintf("%d codes of this rider were used twice", known.Doubles),
		Next: "support looks at the evidence and forgets them: shuama risk appeal --finding doubles"}}
}

// found is what follows from the findings of a rule that count: not set aside, and not from too long ago.
func (p Policy) found(rule RiskRule, then FindingPolicy, known knownRider, now time.Time) []RiskReason {
	var last *Finding
	count, proven := 0, 0
	for i := range known.findings {
		f := &known.findings[i]
		if f.Rule != rule || f.Appeal != nil || now.Sub(f.Found) >= p.Risk.Hold {
			continue
		}
		last, count = f, count+1
		if f.Proven {
			proven++
		}
	}
	if count == 0 {
		return nil
	}
	reason := RiskReason{Rule: rule, Outcome: RiskLimit, Why: fmt.Sprintf("%s (finding %d, the last of %d)", last.Why, last.No, count), Bounds: then.Bounds,
		Next: fmt.Sprintf("support looks at the evidence and sets it aside: shuama risk appeal --finding %d", last.No)}
	if then.DenyAfter > 0 && proven >= then.DenyAfter {
		reason.Outcome, reason.Bounds = RiskDeny, Bounds{}
	}
	return []RiskReason{reason}
}

func (p Policy) newRider(rides int) []RiskReason {
	if rides >= p.Risk.New.Rides {
		return nil
	}
	return []RiskReason{{Rule: RuleNew, Outcome: RiskLimit, Why: fmt.Sprintf("%d of the %d settled rides that make him a known rider", rides, p.Risk.New.Rides),
		Bounds: p.Risk.New.Bounds, Next: "it lifts itself as his rides are settled"}}
}

// Standing tells what follows for a rider now, for whoever asks: the next grant, support, the deny list.
func (p *Payment) Standing(ctx context.Context, user ridecode.UserID, now time.Time) (Standing, error) {
	need := riderNeed(p.bucket(user), user)
	from, to := riskEver()
	need.Risk = append(need.Risk, RiskNeed{User: user, Kind: RiskScan, From: from, To: to, Limit: p.policy.Risk.New.Rides * 2 * RecordsMax})
	state, err := p.store.View(ctx, need)
	if err != nil {
		return Standing{}, err
	}
	return p.policy.judge(riderOf(state, user), countRides(scansOf(state, user)), now), nil
}

// findingBody is a finding in the books.
type findingBody struct {
	No       int
	Rule     RiskRule
	Why      string
	When     time.Time
	Evidence []string
	Proven   bool
	Found    time.Time
}

// findingsOf reads a rider's findings, with the appeals that set them aside.
func findingsOf(entries []RiskEntry) []Finding {
	appeals := map[string]*Appeal{}
	for _, entry := range entries {
		if entry.Kind == RiskAppeal {
			appeal := &Appeal{Reason: "it cannot be read"}
			_ = json.Unmarshal(entry.Body, appeal) // an appeal that somebody has spoiled is one
			appeals[nameOfFinding(entry)] = appeal
		}
	}
	var findings []Finding
	for _, entry := range entries {
		var body findingBody
		if entry.Kind != RiskFinding || json.Unmarshal(entry.Body, &body) != nil {
			continue
		}
		findings = append(findings, Finding{No: body.No, Rule: body.Rule, Why: body.Why, When: body.When, Evidence: body.Evidence, Proven: body.Proven,
			Found: body.Found, Appeal: appeals[nameOfFinding(entry)], at: entry.At, key: entry.Key})
	}
	slices.SortStableFunc(findings, func(a, b Finding) int { return a.No - b.No })
	return findings
}

func nameOfFinding(entry RiskEntry) string { return fmt.Sprint(entry.At.UnixMicro(), " ", entry.Key) }

// entry is a finding for the books.
func (f Finding) entry(user ridecode.UserID) RiskEntry {
	body, err := json.Marshal(findingBody{No: f.No, Rule: f.Rule, Why: f.Why, When: f.When, Evidence: f.Evidence, Proven: f.Proven, Found: f.Found})
	if err != nil {
		panic("payment: internal error: a finding cannot be written: " + err.Error())
	}
	return RiskEntry{User: user, Kind: RiskFinding, At: f.at, Key: f.key, Body: body}
}
