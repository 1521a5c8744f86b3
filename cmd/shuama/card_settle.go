package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/cardissuer"
	"github.com/shuama/shuama/role/merchant"
)

// cardTill is the card book as the merchant sees it: it implements merchant.CardBook.
type cardTill struct {
	issuer *cardissuer.Issuer
	world  *world
}

// Holds tells whether a type is prepaid here.
func (t cardTill) Holds(ctx context.Context, cardType ridecode.CardType) (bool, error) {
	types, err := t.issuer.Types(ctx)
	for _, known := range types {
		if known.Type == cardType {
			return known.Mode == cardissuer.Prepaid, nil
		}
	}
	return false, err
}

// Take debits the card.
func (t cardTill) Take(ctx context.Context, ride merchant.CardRide) (openapi.TradeNo, error) {
	key := cardissuer.CardKey{Type: ride.Rider.CardType, No: ride.Rider.CardNo}
	entry, _, err := t.issuer.Debit(ctx, cardissuer.Ride{OutTradeNo: string(ride.OutTradeNo), Key: key, User: ride.Rider.UserID,
		AmountFen: ride.AmountFen, Subject: ride.Subject, Codes: ride.Codes}, t.world.now().UTC())
	var refused *cardissuer.Refusal
	if errors.As(err, &refused) {
		return "", &merchant.CardRefusal{Code: string(refused.Fault), Why: refused.Why}
	}
	if err != nil {
		return "", err
	}
	return openapi.TradeNo(fmt.Sprintf("CARD%020d", entry.ID)), nil
}

// withCards settles rides of the merchant's own prepaid cards in its card book, where it has one, and the others at
// the platform. close ends the book; at is nil where there is none.
func withCards(w *world, dir string, seal sealFlags, client *gateway.Client) (settler merchant.Settler, at *counter, err error) {
	if !isCardIssuer(dir) {
		return client, nil, nil
	}
	if at, err = openCounter(dir, seal); err != nil {
		return nil, nil, err
	}
	return merchant.NewCardSettler(client, client, cardTill{at.Issuer, w}), at, nil
}

// closeCounter ends a book that may not be there.
func closeCounter(at *counter) error {
	if at == nil {
		return nil
	}
	return at.Close()
}

// keepCards tells the platform of cards that have changed, and ends revocations that are due.
func keepCards(ctx context.Context, w *world, at *counter, client *gateway.Client, logger *slog.Logger) {
	for at != nil && ctx.Err() == nil {
		closed, err := at.CloseDue(ctx, w.now().UTC())
		for _, entry := range closed {
			logger.Info("card revoked: pay out", "entry", entry.ID, "yuan", entry.AmountFen.Yuan())
		}
		report, errPush := at.Push(ctx, platformCards{client}, w.now().UTC())
		if report.Sent > 0 {
			logger.Info("cards sent", "sent", report.Sent, "taken", report.Taken, "refused", report.Refused)
		}
		if err = errors.Join(err, errPush, report.Fault); err != nil && ctx.Err() == nil {
			logger.Error("cards", "err", err)
		}
		pause(ctx, settleEvery)
	}
}
