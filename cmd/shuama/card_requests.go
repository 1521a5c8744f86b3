package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/cardissuer"
)

type cardIssueCommand struct {
	Dir      string `arg:"" help:"The merchant's folder." type:"existingdir"`
	Type     string `arg:"" help:"The card type."`
	User     string `arg:"" help:"The user's number."`
	Number   string `help:"The request's number: the same number again gives the same card." required:"" placeholder:"NO"`
	No       string `help:"The card number, up to 16 letters and digits. Without it: 16 digits that follow from the request's number." name:"card-no" placeholder:"NO"`
	Data     string `help:"Card data in hex; where the type is sealed, what is sealed into it, at most 20 bytes." placeholder:"HEX"`
	DataDays uint16 `help:"Where the type is sealed: how many days its card data holds." default:"365"`
	sealFlags
}

// Help shows how it is used.
func (cardIssueCommand) Help() string {
	return `The platform learns of it with shuama card push. A postpaid card is taken there once its rider has signed up.

Examples:
  shuama card issue merchant GJ310000 2088000011112222 --number 1
  shuama card issue merchant GJ310001 2088000011112222 --number 2 --card-no 3100000001`
}

// Run opens the card.
func (c *cardIssueCommand) Run(w *world) error {
	user, err := parseUser(c.User)
	if err != nil {
		return err
	}
	payload, err := hex.DecodeString(c.Data)
	if err != nil {
		return errors.New("--data: not hex (document 2 §4.2.4.5)")
	}
	order := cardissuer.Order{Number: c.Number, Key: cardissuer.CardKey{Type: ridecode.CardType(c.Type), No: ridecode.CardNo(c.No)}, User: user,
		Data: cardissuer.Data{Payload: payload, Lasts: time.Duration(c.DataDays) * 24 * time.Hour}}
	if c.No == "" {
		order.Key.No = numberCard(c.Type, c.Number)
	}
	return atCounter(w, c.Dir, c.sealFlags, func(at *counter) error {
		card, err := at.Issue(w.context, order, w.now().UTC())
		if err != nil {
			return err
		}
		return printCard(w, at, card)
	})
}

// numberCard makes 16 digits of a request's number.
func numberCard(cardType, number string) ridecode.CardNo {
	sum := sha256.Sum256([]byte(cardType + "/" + number))
	return ridecode.CardNo(fmt.Sprintf("%016d", binary.BigEndian.Uint64(sum[:8])%1e16))
}

type cardTopUpCommand struct {
	cardArgs
	Amount string `arg:"" help:"In yuan."`
	Number string `help:"The request's number: the same number again does nothing." required:"" placeholder:"NO"`
}

// Help shows how it is used.
func (cardTopUpCommand) Help() string {
	return "Example:\n  shuama card top-up merchant GJ310000 3100000001 50 --number 7"
}

// Run tops up.
func (c *cardTopUpCommand) Run(w *world) error {
	amount, err := money.ParseYuan(c.Amount)
	if err != nil {
		return err
	}
	return c.change(w, func(at *counter) (card cardissuer.Card, err error) {
		_, card, err = at.TopUp(w.context, c.Number, c.key(), amount, w.now().UTC())
		return card, err
	})
}

// change does something to a card, and shows it.
func (a cardArgs) change(w *world, do func(*counter) (cardissuer.Card, error)) error {
	return atCounter(w, a.Dir, a.sealFlags, func(at *counter) error {
		card, err := do(at)
		if err != nil {
			return err
		}
		return printCard(w, at, card)
	})
}

type cardRefundCommand struct {
	cardArgs
	OutTradeNo string `arg:"" help:"The ride's number." name:"out-trade-no"`
	Amount     string `arg:"" help:"In yuan; all refunds of a ride together are at most its amount."`
	Number     string `help:"The request's number: the same number again does nothing." required:"" placeholder:"NO"`
	Reason     string `help:"For the book." placeholder:"TEXT"`
}

// Help shows how it is used.
func (cardRefundCommand) Help() string {
	return `Refunds that a merchant owes are listed by shuama merchant list.

Example:
  shuama card refund merchant GJ310000 3100000001 19_BUS_20261126 0.50 --number R1 --reason "fare was corrected"`
}

// Run refunds.
func (c *cardRefundCommand) Run(w *world) error {
	amount, err := money.ParseYuan(c.Amount)
	if err != nil {
		return err
	}
	return c.change(w, func(at *counter) (card cardissuer.Card, err error) {
		_, card, err = at.RefundRide(w.context, c.Number, c.OutTradeNo, c.key(), amount, c.Reason, w.now().UTC())
		return card, err
	})
}

type cardSuspendCommand struct {
	cardArgs
	Tips   string `help:"What the rider reads (disabled_tips)." default:"卡片已停用，请联系发卡方"`
	Number string `help:"The request's number: the same number again does nothing." placeholder:"NO"`
}

// Help shows how it is used.
func (cardSuspendCommand) Help() string {
	return `It gets no further grant once the platform knows, and gates turn it away from their next trust bundle on.

Example:
  shuama card suspend merchant GJ310000 3100000001 --tips 已挂失`
}

// Run suspends.
func (c *cardSuspendCommand) Run(w *world) error {
	return c.change(w, func(at *counter) (cardissuer.Card, error) {
		return at.Suspend(w.context, requestNumber(c.Number), c.key(), c.Tips, w.now().UTC())
	})
}

type cardResumeCommand struct {
	cardArgs
	Number string `help:"The request's number: the same number again does nothing." placeholder:"NO"`
}

// Help shows how it is used.
func (cardResumeCommand) Help() string {
	return "Example:\n  shuama card resume merchant GJ310000 3100000001"
}

// Run resumes.
func (c *cardResumeCommand) Run(w *world) error {
	return c.change(w, func(at *counter) (cardissuer.Card, error) {
		return at.Resume(w.context, requestNumber(c.Number), c.key(), w.now().UTC())
	})
}

type cardRevokeCommand struct {
	cardArgs
	AtOnce bool   `help:"Do not wait for rides that come late: what they cost is then owed."`
	Number string `help:"The request's number: the same number again does nothing." placeholder:"NO"`
}

// Help shows how it is used.
func (cardRevokeCommand) Help() string {
	return `A prepaid card waits for rides that come late; shuama card close then gives its balance back.

Examples:
  shuama card revoke merchant GJ310000 3100000001
  shuama card revoke merchant GJ310000 3100000001 --at-once`
}

// Run revokes.
func (c *cardRevokeCommand) Run(w *world) error {
	return c.change(w, func(at *counter) (cardissuer.Card, error) {
		return at.Revoke(w.context, requestNumber(c.Number), c.key(), c.AtOnce, w.now().UTC())
	})
}

type cardCloseCommand struct {
	Dir string `arg:"" help:"The merchant's folder." type:"existingdir"`
	sealFlags
}

// Help shows how it is used.
func (cardCloseCommand) Help() string {
	return "A serving merchant (shuama merchant serve) does this by itself.\n\nExample:\n  shuama card close merchant"
}

// Run closes.
func (c *cardCloseCommand) Run(w *world) error {
	return atCounter(w, c.Dir, c.sealFlags, func(at *counter) error {
		closed, err := at.CloseDue(w.context, w.now().UTC())
		for _, entry := range closed {
			fmt.Fprintf(w.stdout, "%s %s is revoked; pay out %s yuan under number %d.\n", entry.Card.Type, entry.Card.No, entry.AmountFen.Yuan(), entry.ID)
		}
		fmt.Fprintf(w.stdout, "%d cards closed.\n", len(closed))
		return err
	})
}
