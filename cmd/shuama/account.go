package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

type accountCommand struct {
	Open     accountOpenCommand     `cmd:"" help:"Open a user's account."`
	TopUp    accountTopUpCommand    `cmd:"" name:"top-up" help:"Bring money from outside to a user or into the guarantee fund."`
	Credit   accountCreditCommand   `cmd:"" help:"Change a user's credit line."`
	Refund   accountRefundCommand   `cmd:"" help:"Give a rider money back from a merchant."`
	Denied   accountDeniedCommand   `cmd:"" help:"List the riders that belong on the deny list, and why."`
	Block    accountBlockCommand    `cmd:"" help:"Stop a rider, for a reason that you give."`
	Unblock  accountUnblockCommand  `cmd:"" help:"Let a rider ride again."`
	Password accountPasswordCommand `cmd:"" help:"Set a user's payment password."`
	Approve  accountApproveCommand  `cmd:"" help:"Confirm an online trade that waits for its rider's password."`
	Agree    accountAgreeCommand    `cmd:"" help:"Sign a user up for a postpaid card type, or end that."`
	Evidence accountEvidenceCommand `cmd:"" help:"Show the second records of codes that two gates took."`
	Audit    auditCommand           `cmd:"" help:"Prove the books, and show every balance."`
}

type accountOpenCommand struct {
	Dir    string `arg:"" help:"The city's folder." type:"existingdir"`
	User   string `arg:"" help:"The user's number: 16 characters."`
	Credit string `help:"The credit line, in yuan." default:"0"`
	bookFlags
}

// Help shows how it is used.
func (accountOpenCommand) Help() string {
	return "Example:\n  shuama account open city 2088000011112222 --credit 20"
}

// Run opens the account; again does nothing.
func (c *accountOpenCommand) Run(w *world) error {
	credit, err := money.ParseYuan(c.Credit)
	if err != nil {
		return fmt.Errorf("--credit: %w", err)
	}
	user, err := parseUser(c.User)
	if err != nil {
		return err
	}
	return withBooks(w, c.Dir, c.bookFlags, func(_ *city, b *books) error { return b.OpenUser(w.context, user, credit) })
}

type accountTopUpCommand struct {
	Dir     string `arg:"" help:"The city's folder." type:"existingdir"`
	Account string `arg:"" help:"A user's number, or guarantee for the guarantee fund."`
	Amount  string `arg:"" help:"In yuan."`
	Number  string `help:"The order's number: the same number again does nothing." required:"" placeholder:"NO"`
	bookFlags
}

// Help shows how it is used.
func (accountTopUpCommand) Help() string {
	return "Examples:\n  shuama account top-up city 2088000011112222 50 --number 1\n  shuama account top-up city guarantee 100000 --number 2"
}

// Run tops up.
func (c *accountTopUpCommand) Run(w *world) error {
	amountFen, err := money.ParseYuan(c.Amount)
	if err != nil {
		return err
	}
	account := payment.UserAccount(ridecode.UserID(c.Account))
	if c.Account == string(payment.GuaranteeAccount) {
		account = payment.GuaranteeAccount
	}
	return withBooks(w, c.Dir, c.bookFlags, func(_ *city, b *books) error {
		return b.TopUp(w.context, payment.TopUp{Number: c.Number, Account: account, AmountFen: amountFen, At: w.now().UTC()})
	})
}

type accountCreditCommand struct {
	Dir    string `arg:"" help:"The city's folder." type:"existingdir"`
	User   string `arg:"" help:"The user's number."`
	Amount string `arg:"" help:"How far the balance may fall below zero, in yuan."`
	bookFlags
}

// Help shows how it is used.
func (accountCreditCommand) Help() string {
	return "Example:\n  shuama account credit city 2088000011112222 20"
}

// Run changes the line. It cannot be less than what is used of it.
func (c *accountCreditCommand) Run(w *world) error {
	amountFen, err := money.ParseYuan(c.Amount)
	if err != nil {
		return err
	}
	user, err := parseUser(c.User)
	if err != nil {
		return err
	}
	return withBooks(w, c.Dir, c.bookFlags, func(_ *city, b *books) error { return b.SetCreditLine(w.context, user, amountFen) })
}

type accountRefundCommand struct {
	Dir        string `arg:"" help:"The city's folder." type:"existingdir"`
	AppID      string `arg:"" help:"The app that has settled the trade." name:"app-id"`
	OutTradeNo string `arg:"" help:"The merchant's number of the trade." name:"out-trade-no"`
	Amount     string `arg:"" help:"In yuan; all refunds of a trade together are at most its amount."`
	Number     string `help:"The refund's number: the same number again does nothing." required:"" placeholder:"NO"`
	Reason     string `help:"For the books." placeholder:"TEXT"`
	bookFlags
}

// Help shows how it is used.
func (accountRefundCommand) Help() string {
	return `The merchant pays it, from what its rides have brought in; what the rider still owes is paid from it first.

Example:
  shuama account refund city 2021000000000001 LINE19_BUS-19-07_20261126 2.00 --number R1 --reason "gate stayed shut"`
}

// Run refunds.
func (c *accountRefundCommand) Run(w *world) error {
	amountFen, err := money.ParseYuan(c.Amount)
	if err != nil {
		return err
	}
	return withBooks(w, c.Dir, c.bookFlags, func(home *city, b *books) error {
		app, err := home.app(c.AppID)
		if err != nil {
			return err
		}
		result, err := b.Refund(w.context, app.payee(), payment.Refund{Trade: payment.TradeKey{App: payment.AppID(c.AppID), OutTradeNo: payment.OutTradeNo(c.OutTradeNo)},
			RequestNo: c.Number, AmountFen: amountFen, Reason: c.Reason, At: w.now().UTC()})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w.stdout, "Trade %s of %s: %s refunded in all.\n", result.Trade.TradeNo, result.Trade.Content.AmountFen, result.RefundedFen)
		return err
	})
}

type accountDeniedCommand struct {
	Dir string `arg:"" help:"The city's folder." type:"existingdir"`
	bookFlags
}

// Help shows how it is used.
func (accountDeniedCommand) Help() string {
	return `The policy in city.json says who is on it: riders who owe too much or for too long, whose codes were used
twice, of whom risk rules found something (shuama risk show), or whom support has blocked. shuama trust publish brings it to the gates.

Example:
  shuama account denied city`
}

// Run lists them.
func (c *accountDeniedCommand) Run(w *world) error {
	return withBooks(w, c.Dir, c.bookFlags, func(_ *city, b *books) error {
		denied, err := b.Denied(w.context, w.now().UTC())
		if err != nil {
			return err
		}
		for _, d := range denied {
			fmt.Fprintf(w.stdout, "%s  owes %s, %d double codes: %s\n", d.User, d.OwedFen, d.Doubles, d.Reason)
		}
		_, err = fmt.Fprintf(w.stdout, "%d riders are denied.\n", len(denied))
		return err
	})
}

type accountBlockCommand struct {
	Dir    string `arg:"" help:"The city's folder." type:"existingdir"`
	User   string `arg:"" help:"The user's number."`
	Reason string `help:"Why: it is shown to whoever asks." required:"" placeholder:"TEXT"`
	bookFlags
}

// Help shows how it is used.
func (accountBlockCommand) Help() string {
	return `He gets no new grant, and gates learn of it from the next trust bundle.

Example:
  shuama account block city 2088000011112222 --reason "phone lost"`
}

// Run blocks.
func (c *accountBlockCommand) Run(w *world) error {
	return blockRider(w, c.Dir, c.bookFlags, c.User, c.Reason)
}

type accountUnblockCommand struct {
	Dir  string `arg:"" help:"The city's folder." type:"existingdir"`
	User string `arg:"" help:"The user's number."`
	bookFlags
}

// Help shows how it is used.
func (accountUnblockCommand) Help() string {
	return `His double codes are forgotten too; what he owes is not.

Example:
  shuama account unblock city 2088000011112222`
}

// Run unblocks.
func (c *accountUnblockCommand) Run(w *world) error {
	return blockRider(w, c.Dir, c.bookFlags, c.User, "")
}

func blockRider(w *world, dir string, flags bookFlags, user, reason string) error {
	id, err := parseUser(user)
	if err != nil {
		return err
	}
	return withBooks(w, dir, flags, func(_ *city, b *books) error {
		if err := b.Block(w.context, id, reason); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w.stdout, "Done. Next: shuama trust publish %s\n", dir)
		return err
	})
}

type accountPasswordCommand struct {
	Dir  string `arg:"" help:"The city's folder." type:"existingdir"`
	User string `arg:"" help:"The user's number."`
	bookFlags
}

// Help shows how it is used.
func (accountPasswordCommand) Help() string {
	return `The password is read from standard input, a line.

Example:
  shuama account password city 2088000011112222 < password.txt`
}

// Run sets it.
func (c *accountPasswordCommand) Run(w *world) error {
	user, err := parseUser(c.User)
	if err != nil {
		return err
	}
	password, err := readLine(w.stdin)
	if err != nil {
		return err
	}
	return withBooks(w, c.Dir, c.bookFlags, func(_ *city, b *books) error { return b.SetPassword(w.context, user, password) })
}

// readLine reads one short line.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 1<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

type accountApproveCommand struct {
	Dir        string `arg:"" help:"The city's folder." type:"existingdir"`
	User       string `arg:"" help:"The user's number."`
	AppID      string `arg:"" help:"The app that asks." name:"app-id"`
	OutTradeNo string `arg:"" help:"The merchant's number of the trade." name:"out-trade-no"`
	bookFlags
}

// Help shows how it is used.
func (accountApproveCommand) Help() string {
	return `The password is read from standard input, a line. The gate that waits opens at its next try.

Example:
  shuama account approve city 2088000011112222 2021000000000001 LINE19_BUS-19-07_20261126 < password.txt`
}

// Run approves.
func (c *accountApproveCommand) Run(w *world) error {
	user, err := parseUser(c.User)
	if err != nil {
		return err
	}
	password, err := readLine(w.stdin)
	if err != nil {
		return err
	}
	return withBooks(w, c.Dir, c.bookFlags, func(_ *city, b *books) error {
		key := payment.TradeKey{App: payment.AppID(c.AppID), OutTradeNo: payment.OutTradeNo(c.OutTradeNo)}
		asked, err := b.Approve(w.context, user, key, password, w.now().UTC())
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w.stdout, "Confirmed: %s, %s.\n", asked.Subject, asked.AmountFen)
		return err
	})
}

type accountEvidenceCommand struct {
	Dir     string `arg:"" help:"The city's folder." type:"existingdir"`
	TradeNo string `arg:"" help:"The payment institution's number of the trade that was settled." name:"trade-no"`
	bookFlags
}

// Help shows how it is used.
func (accountEvidenceCommand) Help() string {
	return `Two gates that do not know each other may take one code. The trade that was settled holds the first record;
this shows the others. shuama inspect explains a record.

Example:
  shuama account evidence city 2026112600000000000000000042`
}

// Run shows the evidence.
func (c *accountEvidenceCommand) Run(w *world) error {
	return withBooks(w, c.Dir, c.bookFlags, func(_ *city, b *books) error {
		all, err := b.Doubles(w.context, payment.TradeNo(c.TradeNo))
		if err != nil {
			return err
		}
		for _, evidence := range all {
			trade, err := payment.ParseTrade(evidence.Trade)
			if err != nil {
				return err
			}
			for _, record := range trade.Records {
				fmt.Fprintf(w.stdout, "%s %s %X\n", evidence.App, evidence.OutTradeNo, record)
			}
		}
		_, err = fmt.Fprintf(w.stdout, "%d trades have used its codes again.\n", len(all))
		return err
	})
}
