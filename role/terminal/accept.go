// Package terminal is the gate (受理终端, document 1 §11 and document 2 §4.1): it takes a code, and answers
// with a verdict, the trace that explains it, and an acceptance record, without a network.
package terminal

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Names of the checks that a terminal adds to those of ridecode.Examine, in order of precedence: the
// caller's own faults stand before a code's, the others behind.
const (
	CheckInitialized = "initialized"
	CheckArguments   = "arguments"
	CheckPOSParam    = "pos_param"
	CheckCardType    = "card_type"
	CheckAmount      = "amount"
	CheckDuplicate   = "duplicate"
	CheckRider       = "rider"
	CheckJournal     = "journal"
)

// Journal keeps acceptance records. Keep answers nil when the record will be there after a power cut.
type Journal interface {
	Keep(acceptance []byte) error
}

// Settings is what a terminal works with; all of it comes from outside and may be replaced.
type Settings struct {
	Keys      ridecode.IssuerKeys
	CardTypes []ridecode.CardType // at least one
	Clock     ridecode.ClockPolicy
	Signer    record.IntegritySigner // of this terminal's records
	Version   record.Version         // 0: Version1
	Software  string                 // in records of Version2
	Rules     []Rule                 // what this terminal asks beyond document 2, in order
	Chained   bool                   // records carry their number and the record before (record.Link)
	// AgainSec is how long one rider must wait before the next code, in seconds; 0: not at all. It is
	// apart from the memory of codes: a few seconds keep a rider from paying twice by mistake, some
	// minutes keep riders from taking companions along (禁止带人).
	AgainSec int64
}

// Rule is a further question about a code whose signatures, times, card type and amount are well: a
// deny list, the card issuer's card data. Rules are asked in order, before the memory of codes.
type Rule interface {
	// Ask notes one check or more in the trace.
	Ask(code *ridecode.Code, tap Tap, now time.Time, trace *ridecode.Trace)
}

// Tap is one holding of a code to the reader.
type Tap struct {
	POSParam  []byte    // pos_param, JSON: see record.ParseTerminalInfo
	AmountFen money.Fen // 0: not known yet, as at a metro entry
}

// Acceptance is the answer. Code and Record are there only when Verdict is Success, and then the
// record is in the journal already.
type Acceptance struct {
	Verdict ridecode.Verdict
	Trace   ridecode.Trace
	Code    *ridecode.Code
	Record  []byte
}

// Terminal is one gate. It is safe for concurrent use.
type Terminal struct {
	journal Journal
	memory  *memory

	mutex    sync.RWMutex
	settings *Settings

	chain sync.Mutex // held while a chained record is written and kept: one follows the other
	last  []byte     // record, nil before the first
}

// New makes a terminal that keeps its records in journal and remembers up to memoryCount accepted
// codes, and as many riders. Codes that are over stay known for an hour or so, while there is room: a
// clock that was ahead and is set right takes none of them twice. It accepts nothing before Configure.
func New(journal Journal, memoryCount int) *Terminal {
	return &Terminal{journal: journal, memory: newMemory(memoryCount)}
}

// Configure replaces keys, card types and the rest at once. What was accepted before stays known.
func (t *Terminal) Configure(settings Settings) {
	if settings.Version == 0 {
		settings.Version = record.Version1
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.settings = &settings
}

// Accept decides on a code at the moment now. The order of precedence, with the verdict of each, is:
// not initialised (−9), illegal arguments (−10), pos_param (−4), form (−1), version and algorithm
// (−11), key not known (−3), either signature (−1), authorization over (−3), code shown too long ago
// or in the future (−2), card type (−8), amount over the limit (−5), the terminal's own rules, accepted
// before (−12), the same rider too soon (−33). Last, the record is written and kept; where that fails
// the answer is −7 and the code may be shown again.
func (t *Terminal) Accept(code []byte, tap Tap, now time.Time) Acceptance {
	settings, trace := t.checkCaller(code, tap)
	if settings == nil {
		return Acceptance{Verdict: trace.Verdict(), Trace: trace}
	}
	examined, trace := ridecode.Examine(code, settings.Keys, now, settings.Clock)
	if examined == nil {
		return Acceptance{Verdict: trace.Verdict(), Trace: trace}
	}
	settings.checkTerms(examined, tap, &trace)
	for _, rule := range settings.Rules {
		rule.Ask(examined, tap, now, &trace)
	}
	if trace.Verdict() != ridecode.Success {
		return Acceptance{Verdict: trace.Verdict(), Trace: trace}
	}
	kept := t.keepOnce(settings, code, examined, tap, now, &trace)
	if kept == nil {
		return Acceptance{Verdict: trace.Verdict(), Trace: trace}
	}
	return Acceptance{Verdict: ridecode.Success, Trace: trace, Code: examined, Record: kept}
}

// checkCaller finds faults that are the caller's and not the code's.
func (t *Terminal) checkCaller(code []byte, tap Tap) (*Settings, ridecode.Trace) {
	var trace ridecode.Trace
	t.mutex.RLock()
	settings := t.settings
	t.mutex.RUnlock()
	switch {
	case settings == nil || settings.Keys == nil || settings.Signer == nil || len(settings.CardTypes) == 0:
		trace.Fail(CheckInitialized, ridecode.NotInitialized, "no institution keys, card types or record signer yet (document 2 §4.1.2)")
	case len(code) == 0:
		trace.Fail(CheckArguments, ridecode.IllegalParam, "qrcode is empty (document 2 §4.1.4.6)")
	case tap.AmountFen < 0:
		trace.Fail(CheckArguments, ridecode.IllegalParam, "amount is negative (document 2 §4.1.4.6)")
	default:
		if _, err := record.ParseTerminalInfo(tap.POSParam); err != nil {
			trace.Fail(CheckPOSParam, ridecode.POSParamError, err.Error())
			return nil, trace
		}
		return settings, trace
	}
	return nil, trace
}

// checkTerms holds a genuine code against what this terminal takes.
func (s *Settings) checkTerms(code *ridecode.Code, tap Tap, trace *ridecode.Trace) {
	if slices.Contains(s.CardTypes, code.Grant.CardType) {
		trace.Pass(CheckCardType, "taken here")
	} else {
		trace.Fail(CheckCardType, ridecode.CardTypeUnsupported, fmt.Sprintf("%s is not taken here", code.Grant.CardType))
	}
	if tap.AmountFen <= code.Grant.LimitFen {
		trace.Pass(CheckAmount, "within the single-trade limit")
	} else {
		trace.Fail(CheckAmount, ridecode.QuotaExceeded, fmt.Sprintf("%s is over the single-trade limit of %s",
			tap.AmountFen, code.Grant.LimitFen))
	}
}

// keepOnce is the transaction of a gate: the code is claimed, the record is written and kept, or
// nothing has happened. Were the code remembered and the record lost, the rider's second try would
// be refused as a duplicate of a ride that nobody can prove (terminal-facts R7).
func (t *Terminal) keepOnce(s *Settings, raw []byte, code *ridecode.Code, tap Tap, now time.Time, trace *ridecode.Trace) []byte {
	claim := tapped{id: code.ID(), rider: code.Grant.UserID, at: now, until: forgetAfter(code, s.Clock)}
	if !t.claim(claim, s.AgainSec, trace) {
		return nil
	}
	written, err := t.keep(s, raw, code, tap, now)
	if err != nil {
		t.memory.release(claim)
		trace.Fail(CheckJournal, ridecode.SystemError, "the record could not be kept, so the gate stays shut: "+err.Error())
		return nil
	}
	trace.Pass(CheckJournal, "the record is on disk")
	return written
}

func (t *Terminal) claim(claim tapped, againSec int64, trace *ridecode.Trace) bool {
	switch t.memory.claim(claim, againSec) {
	case seen:
		trace.Fail(CheckDuplicate, ridecode.QRCodeDuplicated, "accepted here before")
		return false
	case tooSoon:
		trace.Pass(CheckDuplicate, "not accepted here before")
		trace.Fail(CheckRider, ridecode.RiderTooSoon, fmt.Sprintf("the same rider came less than %d s ago", againSec))
		return false
	case full:
		trace.Fail(CheckDuplicate, ridecode.NoEnoughMemory, "the memory of accepted codes is full, and none of them is over yet")
		return false
	}
	trace.Pass(CheckDuplicate, "not accepted here before")
	return true
}

// keep writes the record and has the journal keep it.
func (t *Terminal) keep(s *Settings, raw []byte, code *ridecode.Code, tap Tap, now time.Time) ([]byte, error) {
	if s.Chained {
		t.chain.Lock()
		defer t.chain.Unlock()
		if err := t.extend(&tap); err != nil {
			return nil, err
		}
	}
	written, err := s.write(raw, code, tap, now)
	if err != nil {
		return nil, err
	}
	if err := t.journal.Keep(written); err != nil {
		return nil, err
	}
	if s.Chained {
		t.last = written
	}
	return written, nil
}

// extend writes the record's place in the chain into the terminal information.
func (t *Terminal) extend(tap *Tap) error {
	info, err := record.ParseTerminalInfo(tap.POSParam)
	if err != nil {
		return err
	}
	link, err := record.Next(info.POSID, t.last)
	if err != nil {
		return err
	}
	tap.POSParam, err = link.Extend(tap.POSParam)
	return err
}

func (s *Settings) write(raw []byte, code *ridecode.Code, tap Tap, now time.Time) ([]byte, error) {
	r := record.Record{Version: s.Version, Code: raw, Terminal: tap.POSParam, Time: now}
	if s.Version == record.Version2 {
		r.Software = s.Software
	}
	return r.Sign(code.Grant.UserID, s.Signer)
}

// ErrMemoryFull says that a journal has more codes that still hold than the terminal remembers. Such a
// terminal must not open: one of them would be good a second time. Give New a larger memoryCount, or
// wait until they are over.
var ErrMemoryFull = errors.New("the memory of accepted codes is full, and none of them is over yet")

// Recall remembers a record that was accepted before a restart, as read back from the journal in its
// order: a memory that a power cut can wipe is an invitation to cut the power, and a chain that began
// anew would look like a second terminal.
//
// The record's own time decides how long its code and its rider are remembered, since now may be
// ahead at a start; now only tells what may go when the memory is full. Where nothing may go the
// error is ErrMemoryFull. Other errors are those of record.Parse and ridecode.Parse.
func (t *Terminal) Recall(acceptance []byte, clock ridecode.ClockPolicy, now time.Time) error {
	r, err := record.Parse(acceptance)
	if err != nil {
		return err
	}
	u, err := ridecode.Parse(r.CodeBytes())
	if err != nil {
		return err
	}
	t.chain.Lock()
	t.last = r.Bytes()
	t.chain.Unlock()
	code, at := u.SkipVerification(), r.SkipVerification().Time
	tap := tapped{id: code.ID(), rider: code.Grant.UserID, at: at, until: forgetAfter(code, clock)}
	if t.memory.recall(tap, now.Unix()) == full {
		return ErrMemoryFull
	}
	return nil
}

// forgetAfter is the last second at which any clock within the policy could still accept the code.
func forgetAfter(code *ridecode.Code, clock ridecode.ClockPolicy) time.Time {
	return code.ValidUntil().Add(time.Duration(clock.FutureSec) * time.Second)
}
