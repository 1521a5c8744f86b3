package testkit

import (
	"context"
	"errors"
	"fmt"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/cardissuer"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/merchant"
)

// ownTypes gives all card types to the World's merchant.
type ownTypes struct{}

// CardTypeOwner is the merchant's app.
func (ownTypes) CardTypeOwner(ridecode.CardType) (codeissuer.AppID, bool) { return AppID, true }

// Till is the World's card book as its merchant sees it.
func (w *World) Till() merchant.CardBook { return till{w} }

// till is the World's card book as its merchant sees it.
type till struct{ w *World }

// Holds tells whether a type is prepaid at the Desk.
func (t till) Holds(ctx context.Context, cardType ridecode.CardType) (bool, error) {
	types, err := t.w.Desk.Types(ctx)
	for _, known := range types {
		if known.Type == cardType {
			return known.Mode == cardissuer.Prepaid, nil
		}
	}
	return false, err
}

// Take debits the card.
func (t till) Take(ctx context.Context, ride merchant.CardRide) (openapi.TradeNo, error) {
	entry, _, err := t.w.Desk.Debit(ctx, cardissuer.Ride{OutTradeNo: string(ride.OutTradeNo), User: ride.Rider.UserID, AmountFen: ride.AmountFen,
		Key: cardissuer.CardKey{Type: ride.Rider.CardType, No: ride.Rider.CardNo}, Subject: ride.Subject, Codes: ride.Codes}, t.w.now)
	var refused *cardissuer.Refusal
	if errors.As(err, &refused) {
		return "", &merchant.CardRefusal{Code: string(refused.Fault), Why: refused.Why}
	}
	return openapi.TradeNo(fmt.Sprintf("CARD%020d", entry.ID)), err
}

// SendCard implements cardissuer.Platform over the World's Line.
func (w *World) SendCard(ctx context.Context, card openapi.CardSendRequest) error {
	_, err := gateway.Ask(ctx, w.Client(), openapi.CardSend(), card)
	return err
}
