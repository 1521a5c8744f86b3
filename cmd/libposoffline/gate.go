//go:build cgo

package main

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/terminal"
)

const (
	// rememberedCodes bounds the memory of accepted codes: ten minutes at thirty riders a second. Codes
	// that are over stay while there is room; one that still holds makes room for none.
	rememberedCodes = 20_000

	// maxPOSParamSize bounds a pos_param, in bytes. With the longest code it still fits a record.
	maxPOSParamSize = 2048
)

// gate is the one terminal of this process, and what it trusts.
type gate struct {
	now      func() time.Time
	terminal *terminal.Terminal
	journal  *keeper

	// mutex is held for reading while a code is accepted, and for writing while something is
	// replaced: what a call sees is of one piece.
	mutex        sync.RWMutex
	common       *trusted                   // for institutions that have no list of their own
	institutions map[ridecode.Quad]*trusted // by institution code
	signer       *signer                    // nil before the first one is set
	configured   *trusted                   // what terminal works with at the moment
}

// answer is what a call has to say.
type answer struct {
	verdict ridecode.Verdict
	reason  string         // why not, in one sentence; empty on success
	code    *ridecode.Code // on success
	record  []byte         // on success of accept
}

// tap is one call of verify_qrcode_v2 or verify_qrcode, copied out of the caller's memory.
type tap struct {
	code      []byte
	posParam  []byte
	amountFen money.Fen
	room      room
}

// room is what the caller's buffers hold, in bytes, the NUL at the end not counted.
type room struct{ record, cardNo, cardData int }

func newGate(now func() time.Time) *gate {
	g := &gate{now: now, journal: &keeper{}}
	g.terminal = terminal.New(g.journal, rememberedCodes)
	return g
}

// accept decides on a code, as verify_qrcode_v2 does.
func (g *gate) accept(t tap) answer {
	parsed, _ := ridecode.Parse(t.code) // its error comes back in Accept's trace, in its order
	g.mutex.RLock()
	if list := g.listFor(parsed); list == g.configured {
		defer g.mutex.RUnlock()
		return g.acceptUnder(list, parsed, t)
	}
	g.mutex.RUnlock()
	g.mutex.Lock()
	defer g.mutex.Unlock()
	list := g.listFor(parsed) // again: it may have been replaced between the two locks
	g.configure(list)
	return g.acceptUnder(list, parsed, t)
}

// acceptOneKey decides on a code as verify_qrcode does: with the key that the caller chose, whatever
// key id the code names. The memory of accepted codes is the same.
func (g *gate) acceptOneKey(key ridecode.IssuerKeys, t tap) answer {
	parsed, _ := ridecode.Parse(t.code)
	g.mutex.Lock()
	defer g.mutex.Unlock()
	list := &trusted{keys: key, cardTypes: []ridecode.CardType{ridecode.PlainCardType}}
	if g.common != nil {
		list.cardTypes = g.common.cardTypes
	}
	g.configure(list)
	return g.acceptUnder(list, parsed, t)
}

func (g *gate) acceptUnder(list *trusted, parsed *ridecode.Unverified, t tap) answer {
	if len(t.posParam) > maxPOSParamSize {
		return answer{verdict: ridecode.POSParamError, reason: "pos_param: longer than 2048 bytes"}
	}
	if why := g.tooSmall(parsed, t); why != "" {
		return g.refuseRoom(list, t, why)
	}
	got := g.terminal.Accept(t.code, terminal.Tap{POSParam: t.posParam, AmountFen: t.amountFen}, g.now())
	verdict, reason := list.verdict(&got.Trace)
	return answer{verdict: verdict, reason: reason, code: got.Code, record: got.Record}
}

// tooSmall names the buffer that cannot hold what this code would bring. It is asked before the code
// is accepted: a code that is used up and a record that nobody got are a ride that nobody can prove.
func (g *gate) tooSmall(parsed *ridecode.Unverified, t tap) string {
	if parsed == nil {
		return ""
	}
	if size := 2 * g.signer.recordSize(t); size > t.room.record {
		return fmt.Sprintf("record_len: the record of this call needs %d bytes (document 2 §4.1.4.6)", size+1)
	}
	return t.room.tooSmallFor(parsed.SkipVerification())
}

func (r room) tooSmallFor(code *ridecode.Code) string {
	if size := len(code.Grant.CardNo); size > r.cardNo {
		return fmt.Sprintf("card_no_len: the card number of this code needs %d bytes", size+1)
	}
	if size := len(code.Grant.CardData); size > r.cardData {
		return fmt.Sprintf("card_data_len: the card data of this code need %d bytes", size+1)
	}
	return ""
}

// refuseRoom answers for a buffer that is too small, but only to a code that would have been accepted:
// otherwise anybody could make the gate complain of its firmware with a forged code.
func (g *gate) refuseRoom(list *trusted, t tap, why string) answer {
	if _, err := record.ParseTerminalInfo(t.posParam); err != nil {
		return answer{verdict: ridecode.POSParamError, reason: terminal.CheckPOSParam + ": " + err.Error()}
	}
	got := g.inspectUnder(list, t.code)
	if got.verdict != ridecode.Success {
		return got
	}
	if t.amountFen > got.code.Grant.LimitFen {
		return answer{verdict: ridecode.QuotaExceeded, reason: terminal.CheckAmount + ": over the single-trade limit"}
	}
	return answer{verdict: ridecode.IllegalParam, reason: terminal.CheckArguments + ": " + why}
}

// inspect checks a code as get_qrcode_info does: form, keys, both signatures, both times, card type.
// It remembers nothing and writes no record.
func (g *gate) inspect(code []byte, r room) answer {
	parsed, _ := ridecode.Parse(code)
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	got := g.inspectUnder(g.listFor(parsed), code)
	if got.verdict != ridecode.Success {
		return got
	}
	if why := r.tooSmallFor(got.code); why != "" {
		return answer{verdict: ridecode.IllegalParam, reason: terminal.CheckArguments + ": " + why}
	}
	return got
}

func (g *gate) inspectUnder(list *trusted, code []byte) answer {
	if list == nil {
		return notInitialized()
	}
	examined, trace := ridecode.Examine(code, list.keys, g.now(), ridecode.DefaultClock())
	if examined != nil && !slices.Contains(list.cardTypes, examined.Grant.CardType) {
		trace.Fail(terminal.CheckCardType, ridecode.CardTypeUnsupported, string(examined.Grant.CardType)+" is not taken here")
	}
	verdict, reason := list.verdict(&trace)
	return answer{verdict: verdict, reason: reason, code: examined}
}

// isInitialized tells whether there is any list. It comes before every other check of a call.
func (g *gate) isInitialized() bool {
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	return g.common != nil || len(g.institutions) > 0
}

func notInitialized() answer {
	return answer{verdict: ridecode.NotInitialized, reason: terminal.CheckInitialized + ": call init_pos_verify first (document 2 §4.1.2)"}
}

// configure makes the terminal work with list; nil makes it refuse everything. The memory of accepted
// codes is the terminal's, and stays.
func (g *gate) configure(list *trusted) {
	g.configured = list
	if list == nil {
		g.terminal.Configure(terminal.Settings{})
		return
	}
	version, software, signer := g.signer.recordForm()
	g.terminal.Configure(terminal.Settings{Keys: list.keys, CardTypes: list.cardTypes, Clock: ridecode.DefaultClock(),
		Signer: signer, Version: version, Software: software})
}

// free forgets keys, card types and signer and closes the journal. It keeps the memory of accepted
// codes: without it, free and init would be a way to ride twice on one code.
func (g *gate) free() error {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.common, g.institutions, g.signer = nil, nil, nil
	g.configure(nil)
	return g.journal.close()
}
