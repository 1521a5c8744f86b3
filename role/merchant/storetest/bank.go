package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
)

// ErrLost is a request or an answer that got lost.
var ErrLost = errors.New("storetest: lost on the way")

// Manner is what a Bank does with a trade at one attempt.
type Manner int

// The manners. LostRequest and LostAnswer happen to whole requests.
const (
	Honest      Manner = iota // settles, or refuses for good what it has decided to refuse
	LostRequest               // nothing happens, no answer
	LostAnswer                // all happens, no answer
	Forget                    // all happens, the result is left out
	SayUnknown                // all happens, the result is UNKNOWN
	SayLater                  // nothing happens, FAIL with need_retry and a time
	SayNow                    // nothing happens, FAIL with need_retry and a time that is past
)

// Event is one line of what a Bank has seen.
type Event struct {
	Kind       string // ATTEMPT, MOVED or REFUSED
	OutTradeNo openapi.OutTradeNo
	Digest     string // of the trade's content as it is on the wire
}

// Bank is a payment institution that does each trade once, whatever it answers: a trade that comes
// again is answered as before, and one that comes with other content is a fault of the merchant.
type Bank struct {
	Manner  func() Manner
	Now     func() time.Time
	LaterBy time.Duration // of the time in SayLater
	Keep    func(Event)   // called for each event before it counts; may be nil
	Willing bool          // refuses nothing

	mu       sync.Mutex
	digests  map[openapi.OutTradeNo]string
	moved    map[openapi.OutTradeNo]int
	refused  map[openapi.OutTradeNo]bool
	Attempts int
	Faults   []string
}

// NewBank begins with the events of an earlier one.
func NewBank(events []Event) *Bank {
	b := &Bank{Manner: func() Manner { return Honest }, Now: Morning, LaterBy: 90 * time.Second, digests: map[openapi.OutTradeNo]string{},
		moved: map[openapi.OutTradeNo]int{}, refused: map[openapi.OutTradeNo]bool{}}
	for _, event := range events {
		b.apply(event)
	}
	return b
}

// RandomManner draws from all manners, half of the time Honest.
func RandomManner(rng *rand.Rand) func() Manner {
	return func() Manner { return Manner(max(0, rng.IntN(14)-7)) }
}

// Settle implements merchant.Settler.
func (b *Bank) Settle(_ context.Context, trades []openapi.Trade) ([]openapi.TradeResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.checkWire(trades); err != nil {
		b.Faults = append(b.Faults, err.Error())
	}
	whole := b.Manner()
	var results []openapi.TradeResult
	for _, trade := range trades {
		b.note(Event{"ATTEMPT", trade.OutTradeNo, digestOf(trade)})
		if whole == LostRequest {
			continue
		}
		if result, told := b.settleOne(trade); told {
			results = append(results, result)
		}
	}
	if whole == LostRequest || whole == LostAnswer {
		return nil, ErrLost
	}
	return results, nil
}

// checkWire sends the request through the real codec: what the platform could not read counts as a fault.
func (b *Bank) checkWire(trades []openapi.Trade) error {
	codec := openapi.TradeSettle()
	content := codec.AppendRequest(nil, openapi.NewSettleRequest(trades))
	if len(content) > openapi.MaxContentSize {
		return fmt.Errorf("a request of %d bytes", len(content))
	}
	request, err := codec.ParseRequest(content)
	if err != nil {
		return err
	}
	for i, entry := range request.Entries {
		if entry.Fault != nil {
			return entry.Fault
		}
		if digestOf(entry.Trade) != digestOf(trades[i]) {
			return fmt.Errorf("trade %q changes on the wire", entry.OutTradeNo)
		}
	}
	return nil
}

func digestOf(trade openapi.Trade) string {
	content := openapi.TradeSettle().AppendRequest(nil, openapi.NewSettleRequest([]openapi.Trade{trade}))
	digest := sha256.Sum256(content)
	return hex.EncodeToString(digest[:])
}

func (b *Bank) note(event Event) {
	if b.Keep != nil {
		b.Keep(event)
	}
	b.apply(event)
}

func (b *Bank) apply(event Event) {
	number := event.OutTradeNo
	switch before, seen := b.digests[number]; {
	case event.Kind == "MOVED":
		b.moved[number]++
	case event.Kind == "REFUSED":
		b.refused[number] = true
	case seen && before != event.Digest:
		b.Faults = append(b.Faults, fmt.Sprintf("trade %q came with other content", number))
	default:
		b.Attempts++
		b.digests[number] = event.Digest
	}
}

// settleOne decides a trade once, by its digest: one in eight is refused.
func (b *Bank) settleOne(trade openapi.Trade) (openapi.TradeResult, bool) {
	number, manner := trade.OutTradeNo, b.Manner()
	final := b.moved[number] > 0 || b.refused[number]
	if !final && (manner == SayLater || manner == SayNow) {
		at := b.Now().Add(b.LaterBy).Truncate(time.Second)
		if manner == SayNow {
			at = at.Add(-time.Hour)
		}
		return openapi.TradeResult{Outcome: openapi.OutcomeFail, OutTradeNo: number, NeedRetry: true, NextRetry: at, ErrorCode: "BALANCE_NOT_ENOUGH"}, true
	}
	switch digest := b.digests[number]; {
	case final:
	case digest[0]&7 == 0 && !b.Willing:
		b.note(Event{"REFUSED", number, digest})
	default:
		b.note(Event{"MOVED", number, digest})
	}
	switch {
	case manner == Forget:
		return openapi.TradeResult{}, false
	case manner == SayUnknown:
		return openapi.TradeResult{Outcome: openapi.OutcomeUnknown, OutTradeNo: number, NeedRetry: true}, true
	case b.refused[number]:
		return openapi.TradeResult{Outcome: openapi.OutcomeFail, OutTradeNo: number, ErrorCode: "RECORD_USED"}, true
	}
	return openapi.TradeResult{Outcome: openapi.OutcomeSuccess, OutTradeNo: number, TradeNo: tradeNoOf(number)}, true
}

func tradeNoOf(number openapi.OutTradeNo) openapi.TradeNo {
	digest := sha256.Sum256([]byte(number))
	return openapi.TradeNo(fmt.Sprintf("%x", digest[:14]))
}

// Moved are the trades whose money has moved, by number; one that moved twice stands twice.
func (b *Bank) Moved() []openapi.OutTradeNo {
	b.mu.Lock()
	defer b.mu.Unlock()
	var numbers []openapi.OutTradeNo
	for number, times := range b.moved {
		numbers = append(numbers, slices.Repeat([]openapi.OutTradeNo{number}, times)...)
	}
	slices.Sort(numbers)
	return numbers
}

// Refused are the trades that were refused for good, by number.
func (b *Bank) Refused() []openapi.OutTradeNo {
	b.mu.Lock()
	defer b.mu.Unlock()
	var numbers []openapi.OutTradeNo
	for number := range b.refused {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	return numbers
}
