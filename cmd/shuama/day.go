package main

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/bill"
	"github.com/shuama/shuama/role/payment"
)

type dayCommand struct {
	Close     dayCloseCommand     `cmd:"" help:"End an accounting day, and write every merchant's bill."`
	Statement dayStatementCommand `cmd:"" help:"Show a merchant's closed day."`
	PayOut    dayPayOutCommand    `cmd:"" name:"pay-out" help:"Pay merchants what closed days have left."`
}

// dayFlag names an accounting day.
type dayFlag struct {
	Day string `help:"The accounting day, as 2026-11-26. Without it: the last one that has ended." placeholder:"DATE"`
}

func (f dayFlag) day(policy payment.Policy, now time.Time) (ledger.Day, error) {
	if f.Day == "" {
		return policy.DayOf(now).Previous(), nil
	}
	day, err := ledger.ParseDay(f.Day)
	if err != nil {
		return 0, fmt.Errorf("--day: %w", err)
	}
	return day, nil
}

type dayCloseCommand struct {
	Dir string `arg:"" help:"The city's folder." type:"existingdir"`
	dayFlag
	bookFlags
}

// Help shows how it is used.
func (dayCloseCommand) Help() string {
	return `Nothing is posted on a closed day any more: what comes in later stands in the next one. The day's bills
are in city/bills, one for each app, where bill.downloadurl.query hands them out. It may be repeated. A running
server closes days by itself.

Example:
  shuama day close city --day 2026-11-26`
}

// Run closes a day.
func (c *dayCloseCommand) Run(w *world) error {
	return withBooks(w, c.Dir, c.bookFlags, func(home *city, b *books) error {
		policy, err := home.settings.Payment.policy()
		if err != nil {
			return err
		}
		day, err := c.day(policy, w.now())
		if err != nil {
			return err
		}
		written, err := home.closeDay(w.context, b, day, w.now())
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w.stdout, "%s is closed: %d bills in %s.\n", day, written, home.path("bills"))
		return err
	})
}

// billDaysMax is how far back bills are looked for that were not written: a server may have been off for so long.
const billDaysMax = 92

// closeDay closes a day, and every earlier one that is open, and writes the bills of the days of which there are
// none; those of the day itself in any case. It tells how many bills it has written.
func (c *city) closeDay(ctx context.Context, b *books, day ledger.Day, now time.Time) (bills int, err error) {
	if err := b.CloseDay(ctx, day, now.UTC()); err != nil {
		return 0, err
	}
	for d := day; d > day.Back(billDaysMax); d = d.Previous() {
		closed, err := b.DayClosed(ctx, d)
		if err != nil || !closed || d != day && c.hasBills(d) {
			return bills, err
		}
		count, err := c.writeBills(ctx, b, d)
		if bills += count; err != nil {
			return bills, err
		}
	}
	return bills, nil
}

// billsMark stands when all bills of a day do.
func (c *city) billsMark(day ledger.Day) string {
	return filepath.Join(c.path("bills"), ".written-"+day.String())
}

func (c *city) hasBills(day ledger.Day) bool {
	_, err := os.Stat(c.billsMark(day))
	return err == nil
}

// writeBills writes the bill of each app, in one walk through the day. A file stands under its name when it
// is whole.
func (c *city) writeBills(ctx context.Context, b *books, day ledger.Day) (count int, err error) {
	files := map[payment.AppID]*billFile{}
	defer func() {
		for _, file := range files {
			file.discard()
		}
	}()
	for i := range c.settings.Apps {
		app := c.settings.Apps[i].payee()
		if files[app.App], err = c.newBill(app, day); err != nil {
			return 0, err
		}
	}
	err = b.EachBillLine(ctx, day, func(app payment.AppID, merchant ledger.AccountID, line bill.Line) error {
		if files[app] == nil { // it was removed; its trades stand
			file, err := c.newBill(payment.Merchant{App: app, Account: merchant}, day)
			if err != nil {
				return err
			}
			files[app] = file
		}
		return files[app].out.Write(line)
	})
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		if err := file.finish(); err != nil {
			return 0, err
		}
	}
	if err := os.MkdirAll(c.path("bills"), 0o700); err != nil {
		return 0, err
	}
	return len(files), os.WriteFile(c.billsMark(day), nil, 0o600)
}

// billFile is a bill that is being written, zipped, under another name.
type billFile struct {
	path string
	file *os.File
	zip  *zip.Writer
	out  *bill.Writer
	done bool
}

func (c *city) newBill(merchant payment.Merchant, day ledger.Day) (*billFile, error) {
	dir := filepath.Join(c.path("bills"), url.PathEscape(string(merchant.App)))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	name := "trade-" + day.String() + ".csv"
	file, err := os.CreateTemp(dir, ".making-*")
	if err != nil {
		return nil, err
	}
	b := &billFile{path: filepath.Join(dir, name+".zip"), file: file, zip: zip.NewWriter(file)}
	var inside io.Writer
	inside, err = b.zip.Create(string(merchant.App) + "_" + name)
	if err == nil {
		b.out, err = bill.NewWriter(inside, bill.Head{App: string(merchant.App), Merchant: string(merchant.Account), Date: day.String()})
	}
	if err != nil {
		b.discard()
		return nil, err
	}
	return b, nil
}

func (b *billFile) finish() error {
	_, err := b.out.Close()
	if err = errors.Join(err, b.zip.Close(), b.file.Sync(), b.file.Close()); err != nil {
		return err
	}
	b.done = true
	return os.Rename(b.file.Name(), b.path)
}

func (b *billFile) discard() {
	if !b.done {
		b.file.Close()
		os.Remove(b.file.Name())
	}
}

type dayStatementCommand struct {
	Dir   string `arg:"" help:"The city's folder." type:"existingdir"`
	AppID string `arg:"" optional:"" help:"An app of the merchant; all merchants without it." name:"app-id"`
	dayFlag
	bookFlags
}

// Help shows how it is used.
func (dayStatementCommand) Help() string {
	return "Example:\n  shuama day statement city 2021000000000001 --day 2026-11-26"
}

// Run shows statements.
func (c *dayStatementCommand) Run(w *world) error {
	return eachMerchant(w, c.Dir, c.bookFlags, c.dayFlag, c.AppID, func(b *books, merchant payment.Merchant, day ledger.Day) error {
		s, err := b.Statement(w.context, merchant.Account, day)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w.stdout, "%s, %s, in yuan\n  opening         %14s\n  %6d rides    %14s\n  %6d refunds  %14s\n  %6d payouts  %14s\n  closing         %14s\n",
			merchant.Account, day, s.OpeningFen.Yuan(), s.Rides.Count, s.Rides.SumFen.Yuan(), s.Refunds.Count, (-s.Refunds.SumFen).Yuan(),
			s.Payouts.Count, (-s.Payouts.SumFen).Yuan(), s.ClosingFen.Yuan())
		return err
	})
}

type dayPayOutCommand struct {
	Dir   string `arg:"" help:"The city's folder." type:"existingdir"`
	AppID string `arg:"" optional:"" help:"An app of the merchant; all merchants without it." name:"app-id"`
	dayFlag
	bookFlags
}

// Help shows how it is used.
func (dayPayOutCommand) Help() string {
	return `What the last closed day has left goes from the merchant to the world outside, once: a bank carries it on.
What earlier days have left is in it.

Example:
  shuama day pay-out city --day 2026-11-26`
}

// Run pays out.
func (c *dayPayOutCommand) Run(w *world) error {
	return eachMerchant(w, c.Dir, c.bookFlags, c.dayFlag, c.AppID, func(b *books, merchant payment.Merchant, day ledger.Day) error {
		paidFen, err := b.Payout(w.context, merchant, day, w.now().UTC())
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w.stdout, "%s, %s: %s paid out.\n", merchant.Account, day, paidFen)
		return err
	})
}

// eachMerchant does something for one merchant or all, each once, whatever apps it has.
func eachMerchant(w *world, dir string, flags bookFlags, of dayFlag, appID string, do func(*books, payment.Merchant, ledger.Day) error) error {
	return withBooks(w, dir, flags, func(home *city, b *books) error {
		policy, err := home.settings.Payment.policy()
		if err != nil {
			return err
		}
		day, err := of.day(policy, w.now())
		if err != nil {
			return err
		}
		if appID != "" {
			app, err := home.app(appID)
			if err != nil {
				return err
			}
			return do(b, app.payee(), day)
		}
		seen := map[ledger.AccountID]bool{}
		for i := range home.settings.Apps {
			merchant := home.settings.Apps[i].payee()
			if seen[merchant.Account] {
				continue
			}
			seen[merchant.Account] = true
			if err := do(b, merchant, day); err != nil {
				return err
			}
		}
		return nil
	})
}
