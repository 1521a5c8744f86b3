package merchant

import (
	"context"
	"errors"
	"fmt"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

// CardBook is a card issuer's own book (document 2 §3.1.1 step 11): rides of prepaid cards are taken from it and
// never reach the payment institution.
type CardBook interface {
	// Holds tells whether rides with cards of this type are taken from the book. Errors are those of the book's
	// store: nothing is known then.
	Holds(ctx context.Context, cardType ridecode.CardType) (bool, error)
	// Take takes a ride, once: the same ride again is answered alike. A *CardRefusal is final; after any other
	// error nobody knows, and the same ride is to be taken again.
	Take(ctx context.Context, ride CardRide) (openapi.TradeNo, error)
}

// CardRide is a ride whose records the platform has verified.
type CardRide struct {
	OutTradeNo openapi.OutTradeNo
	Rider      Rider
	AmountFen  money.Fen
	Subject    string
	Codes      []ridecode.ID // that were shown
}

// CardRefusal says why a ride is never taken from a book.
type CardRefusal struct {
	Code string // at most 64 letters, as CARD_NOT_EXIST
	Why  string
}

func (r *CardRefusal) Error() string { return "merchant: card ride: " + r.Code + ": " + r.Why }

// RecordVerifier has the platform verify a record (脱机记录验证, document 2 §4.2.2): nil when it is genuine, an
// *openapi.Error about its content when it is not. After any other error nobody knows.
type RecordVerifier interface {
	VerifyRecord(ctx context.Context, raw []byte) error
}

// CardSettler settles trades by their card type: those of prepaid cards in their issuer's book, once the platform
// has verified their records, all others at the payment institution.
type CardSettler struct {
	payment Settler
	records RecordVerifier
	book    CardBook
}

// NewCardSettler makes one of the three.
func NewCardSettler(payment Settler, records RecordVerifier, book CardBook) *CardSettler {
	return &CardSettler{payment: payment, records: records, book: book}
}

// Settle implements Settler. An error beside results is about the trades that the results leave out.
func (s *CardSettler) Settle(ctx context.Context, trades []openapi.Trade) ([]openapi.TradeResult, error) {
	var results []openapi.TradeResult
	var others []openapi.Trade
	var faults error
	for _, trade := range trades {
		held, err := s.book.Holds(ctx, ridecode.CardType(trade.CardType))
		switch {
		case err != nil:
			faults = err
		case !held:
			others = append(others, trade)
		default:
			result, err := s.settleCard(ctx, trade)
			if err != nil {
				faults = err
				continue
			}
			results = append(results, result)
		}
	}
	if len(others) == 0 {
		return results, faults
	}
	answered, err := s.payment.Settle(ctx, others)
	if err != nil { // the platform's word about the whole request counts, so that a bad trade is found
		faults = err
	}
	return append(results, answered...), faults
}

// settleCard verifies the records of a trade, and takes it from the card's book.
func (s *CardSettler) settleCard(ctx context.Context, trade openapi.Trade) (openapi.TradeResult, error) {
	ride := CardRide{OutTradeNo: trade.OutTradeNo, AmountFen: trade.AmountFen, Subject: trade.Subject}
	for _, raw := range trade.Records {
		if err := s.records.VerifyRecord(ctx, raw); err != nil {
			return refusedRecord(trade, err)
		}
		if err := ride.add(raw, trade); err != nil {
			return failed(trade, "RECORD_INVALID", err.Error()), nil
		}
	}
	tradeNo, err := s.book.Take(ctx, ride)
	var refusal *CardRefusal
	switch {
	case errors.As(err, &refusal):
		return failed(trade, refusal.Code, refusal.Why), nil
	case err != nil:
		return openapi.TradeResult{}, err
	}
	return openapi.TradeResult{OutTradeNo: trade.OutTradeNo, Outcome: openapi.OutcomeSuccess, TradeNo: tradeNo}, nil
}

// refusedRecord is final where the platform says that the record is not genuine. A fault of the platform, or of
// our account there, says nothing about the record.
func refusedRecord(trade openapi.Trade, err error) (openapi.TradeResult, error) {
	if !isAboutContent(err) {
		return openapi.TradeResult{}, err
	}
	return failed(trade, "RECORD_INVALID", err.Error()), nil
}

func failed(trade openapi.Trade, code, why string) openapi.TradeResult {
	return openapi.TradeResult{OutTradeNo: trade.OutTradeNo, Outcome: openapi.OutcomeFail, ErrorCode: code, ErrorMessage: why}
}

// add reads who rode from a verified record. All records of a trade are one rider's with one card.
func (r *CardRide) add(raw []byte, trade openapi.Trade) error {
	u, err := record.Parse(raw)
	if err != nil {
		return err
	}
	unverified, err := ridecode.Parse(u.CodeBytes())
	if err != nil {
		return err
	}
	code := unverified.SkipVerification() // the platform has verified it with the record
	rider := Rider{UserID: code.Grant.UserID, CardType: code.Grant.CardType, CardNo: code.Grant.CardNo}
	if rider.UserID != trade.UserID || string(rider.CardType) != trade.CardType || len(r.Codes) > 0 && rider != r.Rider {
		return fmt.Errorf("merchant: a record of trade %q is of another rider or card", trade.OutTradeNo)
	}
	r.Rider, r.Codes = rider, append(r.Codes, code.ID())
	return nil
}
