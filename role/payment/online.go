package payment

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Errors of payment passwords, for errors.Is.
var (
	ErrPassword       = errors.New("payment: wrong password")
	ErrPasswordShort  = errors.New("payment: a payment password has at least six characters")
	ErrPasswordLocked = errors.New("payment: too many wrong passwords: wait before you try again")
	ErrNotAsked       = errors.New("payment: no trade of this user waits for a password under this number, or not any more")
)

// isOnline tells whether the gate of a trade has asked while its rider waits (联机交易, document 1 §5.5.1).
func (c *claim) isOnline() bool {
	for _, code := range c.codes {
		if code.online {
			return true
		}
	}
	return false
}

// assess looks at the rider of an online trade before its money moves: it may be refused, or wait for the
// password. What was answered once binds, whenever the trade is sent again: else who waits long enough would
// be paid for a ride that was refused. A trade that we were not asked about in time has passed a gate that has
// decided without us, and is settled like any other.
func (s *settlement) assess(ctx context.Context, c *claim) {
	known, before, err := s.p.askedOf(ctx, c)
	switch {
	case err != nil:
		*c = c.refused(SystemBusy, whyAway)
	case before.settled || before.approved || !known.exists:
	case before.asked != nil:
		s.repeatAnswer(c, *before.asked)
	case s.at.now.Sub(c.first) > s.p.policy.Online.Within:
	case s.p.stopped(known, s.at.now):
		s.decideOnline(ctx, c, true)
	case s.p.wantsPassword(known, c.trade.AmountFen):
		s.decideOnline(ctx, c, false)
	}
}

// repeatAnswer answers what was answered before: no, or not yet.
func (s *settlement) repeatAnswer(c *claim, asked Asked) {
	switch {
	case asked.Digest != c.digestText():
		*c = c.refused(ContextInconsistent, whyInconsistent)
	case asked.Refused:
		*c = c.refused(RiskRefused, whyRisk)
	case asked.late(s.p.policy, s.at.now):
		*c = c.refused(RiskRefused, "its rider has not confirmed it in time (document 1 §5.5.1)")
	default:
		s.awaitPassword(c)
	}
}

const whyRisk = "this rider may not ride now: he owes, or was stopped (document 1 §5.5.1)"

func (s *settlement) awaitPassword(c *claim) {
	*c = c.refused(PasswordRequired, "the rider has to confirm this trade with his password (document 1 §5.5.1)")
	c.retry = s.at.now.Add(s.p.policy.Online.PasswordRetry)
}

// decideOnline answers an online trade, and keeps the answer first.
func (s *settlement) decideOnline(ctx context.Context, c *claim, refused bool) {
	if err := s.p.keepAnswer(ctx, c, refused, s.at); err != nil {
		*c = c.refused(SystemBusy, whyAway)
		return
	}
	if refused {
		*c = c.refused(RiskRefused, whyRisk)
		return
	}
	s.awaitPassword(c)
}

func (p *Payment) wantsPassword(known knownRider, amountFen money.Fen) bool {
	policy := p.policy.Online
	return len(known.Password) > 0 && (amountFen > policy.PasswordAboveFen || policy.PasswordDoubles > 0 && known.Doubles >= policy.PasswordDoubles)
}

func askedKey(key TradeKey) DocumentKey {
	return DocumentKey("asked/" + string(key.App) + "/" + string(key.OutTradeNo))
}
func approvedKey(key TradeKey) DocumentKey {
	return DocumentKey("approved/" + string(key.App) + "/" + string(key.OutTradeNo))
}

// answered is what became of a trade before.
type answered struct {
	settled, approved bool
	asked             *Asked // nil: it is new
}

func (p *Payment) askedOf(ctx context.Context, c *claim) (knownRider, answered, error) {
	earlier, err := p.find(ctx, []TradeKey{c.key})
	if err != nil || earlier[c.key].trade != nil {
		return knownRider{}, answered{settled: true}, err
	}
	need := riderNeed(p.bucket(c.trade.UserID), c.trade.UserID)
	need.Documents = []DocumentKey{askedKey(c.key), approvedKey(c.key)}
	state, err := p.store.View(ctx, need)
	if err != nil {
		return knownRider{}, answered{}, err
	}
	asked, err := readAsked(state, c.key)
	approval, approved := state.Documents[approvedKey(c.key)]
	return riderOf(state, c.trade.UserID), answered{asked: asked, approved: approved && string(approval.Body) == c.digestText()}, err
}

func readAsked(state State, key TradeKey) (*Asked, error) {
	document, was := state.Documents[askedKey(key)]
	if !was {
		return nil, nil
	}
	asked := &Asked{At: document.At}
	return asked, json.Unmarshal(document.Body, asked)
}

// digestText lets an approval hold for one content alone.
func (c *claim) digestText() string { return fmt.Sprintf("%x", c.digest) }

// Asked is an online trade that was refused, or waits for its rider's password.
type Asked struct {
	App        AppID
	OutTradeNo OutTradeNo
	Subject    string
	AmountFen  money.Fen
	Digest     string
	Refused    bool      `json:",omitempty"`
	At         time.Time `json:"-"`
}

func (a Asked) late(policy Policy, now time.Time) bool {
	return now.Sub(a.At) > policy.Online.PasswordWithin
}

// keepAnswer keeps the first answer to an online trade, and tells the rider where he is asked.
func (p *Payment) keepAnswer(ctx context.Context, c *claim, refused bool, at moment) error {
	user, key := c.trade.UserID, askedKey(c.key)
	need := Need{Bucket: p.bucket(user), Documents: []DocumentKey{key}}
	body, err := json.Marshal(Asked{App: c.key.App, OutTradeNo: c.key.OutTradeNo, Subject: c.trade.Subject, AmountFen: c.trade.AmountFen,
		Digest: c.digestText(), Refused: refused})
	if err != nil {
		return err
	}
	return p.store.Update(ctx, need, func(state State) (Changes, error) {
		if _, kept := state.Documents[key]; kept {
			return Changes{}, nil
		}
		w := p.write(state, at.now)
		if !refused {
			w.note(Notice{Kind: PasswordWanted, User: user, OutTradeNo: c.key.OutTradeNo, AmountFen: c.trade.AmountFen})
		}
		return w.changes(Document{Key: key, Body: body}), nil
	})
}

// Approve confirms an online trade that waits for its rider's password. After some wrong ones the next try
// has to wait.
func (p *Payment) Approve(ctx context.Context, user ridecode.UserID, key TradeKey, password string, now time.Time) (asked Asked, err error) {
	now = storedTime(now)
	known, err := p.rider(ctx, user)
	if err != nil {
		return Asked{}, err
	}
	right := checkPassword(known.Password, password) // slow on purpose: outside the transaction
	need := riderNeed(p.bucket(user), user)
	need.Documents = []DocumentKey{askedKey(key), approvedKey(key)}
	var refused error
	err = p.store.Update(ctx, need, func(state State) (Changes, error) {
		var changes Changes
		asked, changes, refused = p.approve(state, user, key, right, now)
		return changes, nil
	})
	return asked, errors.Join(err, refused)
}

// approve counts wrong passwords also where it refuses.
func (p *Payment) approve(state State, user ridecode.UserID, key TradeKey, right bool, now time.Time) (asked Asked, _ Changes, refused error) {
	known := riderOf(state, user)
	policy := p.policy.Online
	if known.Failures >= policy.PasswordTries && now.Sub(known.FailedAt) < policy.PasswordWait {
		return Asked{}, Changes{}, ErrPasswordLocked
	}
	if !right {
		known.Failures, known.FailedAt = known.Failures+1, now
		return Asked{}, Changes{Riders: []Rider{known.Rider}}, ErrPassword
	}
	waiting, err := readAsked(state, key)
	if err != nil || waiting == nil || waiting.Refused || waiting.late(p.policy, now) {
		return Asked{}, Changes{}, ErrNotAsked
	}
	asked = *waiting
	if _, done := state.Documents[approvedKey(key)]; done {
		return asked, Changes{}, nil
	}
	w := p.write(state, now)
	known.Failures, known.FailedAt = 0, time.Time{}
	w.out.Riders = []Rider{known.Rider}
	return asked, w.changes(Document{Key: approvedKey(key), Body: []byte(asked.Digest)}), nil
}

// SetPassword sets or changes a user's payment password. Who may do that is the caller's to know.
func (p *Payment) SetPassword(ctx context.Context, user ridecode.UserID, password string) error {
	if len([]rune(password)) < 6 {
		return ErrPasswordShort
	}
	sealed, err := sealPassword(password)
	if err != nil {
		return err
	}
	return p.changeRider(ctx, user, func(rider *knownRider) error {
		rider.Password, rider.Failures, rider.FailedAt = sealed, 0, time.Time{}
		return nil
	})
}

const (
	passwordRounds = 600_000 // of PBKDF2 with SHA-256
	saltSize       = 16

	passwordKeySize = sha256.Size
)

// sealPassword is salt and derived key: a stolen database gives no password away cheaply.
func sealPassword(password string) ([]byte, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	key, err := pbkdf2.Key(sha256.New, password, salt, passwordRounds, sha256.Size)
	return append(salt, key...), err
}

func checkPassword(sealed []byte, password string) bool {
	if len(sealed) != saltSize+sha256.Size {
		return false
	}
	key, err := pbkdf2.Key(sha256.New, password, sealed[:saltSize], passwordRounds, sha256.Size)
	return err == nil && subtle.ConstantTimeCompare(key, sealed[saltSize:]) == 1
}
