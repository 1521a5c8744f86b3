package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/merchant"
)

type merchantUnsettledCommand struct {
	Dir       string        `arg:"" help:"The merchant's folder." type:"existingdir"`
	State     []string      `help:"Only these: WAITING, SENT, FAILED, ASIDE." placeholder:"STATE"`
	OlderThan time.Duration `help:"Only trades of rides longer ago." placeholder:"48h"`
	JSON      bool          `help:"Write one JSON object a trade." name:"json"`
}

// Help shows how it is used.
func (merchantUnsettledCommand) Help() string {
	return `Trades that no money came for, each with its age, its attempts, when it is sent again, and why; then the sums by
reason. WAITING was never sent, SENT has no final answer and is sent again, FAILED never will be paid, ASIDE has no
fare (what it costs is not known). A trip without a fare settles once the fare tables have it. Behind them, unless
--state is given, stand the refunds that were named and that no bill has (shuama merchant reconcile takes bills in).

Examples:
  shuama merchant unsettled merchant
  shuama merchant unsettled merchant --state SENT --older-than 48h`
}

// Run lists.
func (c *merchantUnsettledCommand) Run(w *world) error {
	options := merchant.UnsettledOptions{OlderThan: c.OlderThan}
	if c.OlderThan < 0 {
		return errors.New("--older-than: below nothing")
	}
	for _, state := range c.State {
		options.States = append(options.States, merchant.TradeState(strings.ToUpper(state)))
	}
	o, err := openOffice(c.Dir, notSettling{})
	if err != nil {
		return err
	}
	defer o.Close()
	var sums merchant.ReasonSums
	for trade, err := range o.Unsettled(w.context, options, w.now().UTC()) {
		if err == nil {
			err = errors.Join(c.print(w, trade), sums.Add(trade))
		}
		if err != nil {
			return err
		}
	}
	if !c.JSON {
		printReasons(w, sums.Sums())
	}
	if len(c.State) > 0 {
		return nil
	}
	return c.listRefunds(w, o)
}

// listRefunds tells what riders are still to get back.
func (c *merchantUnsettledCommand) listRefunds(w *world, o *office) error {
	desk, err := o.settings.desk(w, o.db)
	if err != nil {
		return err
	}
	count, sum := 0, money.Fen(0)
	for refund, err := range desk.UnbilledRefunds(w.context) {
		if err != nil {
			return err
		}
		age := w.now().Sub(refund.Named)
		if age < c.OlderThan {
			continue
		}
		if sum, err = sum.Add(refund.AmountFen); err != nil {
			return err
		}
		if count++; count == 1 && !c.JSON {
			fmt.Fprintln(w.stdout, "\nNamed for refund, and in no bill yet:")
		}
		if err := c.printRefund(w, refund, age); err != nil {
			return err
		}
	}
	if count > 0 && !c.JSON {
		fmt.Fprintf(w.stdout, "REFUND  %6d %14s yuan: the platform gives them back under their numbers, once each\n", count, sum.Yuan())
	}
	return nil
}

func (c *merchantUnsettledCommand) printRefund(w *world, r merchant.Refund, age time.Duration) error {
	if !c.JSON {
		_, err := fmt.Fprintf(w.stdout, "REFUND  %s  %s yuan of %s  %s old: %s\n", r.Number, r.AmountFen.Yuan(), r.OutTradeNo, ageText(age), plain(r.Reason))
		return err
	}
	return json.NewEncoder(w.stdout).Encode(struct {
		Refund     string    `json:"refund"`
		OutTradeNo string    `json:"out_trade_no"`
		AmountFen  money.Fen `json:"amount_fen"`
		Named      string    `json:"named"`
		AgeSec     int64     `json:"age_sec"`
		Reason     string    `json:"reason"`
	}{r.Number, string(r.OutTradeNo), r.AmountFen, r.Named.Format(time.RFC3339), int64(age / time.Second), r.Reason})
}

// unsettledJSON is one trade; the amount is fen.
type unsettledJSON struct {
	OutTradeNo string              `json:"out_trade_no"`
	State      merchant.TradeState `json:"state"`
	AmountFen  money.Fen           `json:"amount_fen"`
	OrderTime  string              `json:"order_time"`
	AgeSec     int64               `json:"age_sec"`
	Attempts   int                 `json:"attempts"`
	NextTry    string              `json:"next_try,omitempty"`
	Reason     string              `json:"reason"`
}

func (c *merchantUnsettledCommand) print(w *world, u merchant.UnsettledTrade) error {
	next := ""
	if u.State == merchant.Waiting || u.State == merchant.Sent {
		next = u.NextTry.Format(time.RFC3339)
	}
	if !c.JSON {
		fmt.Fprintf(w.stdout, "%-7s %s  %s yuan  %s old, %d attempts%s: %s\n", u.State, u.OutTradeNo, u.AmountFen.Yuan(), ageText(u.Age), u.Attempts, joinNext(u), plain(u.Why()))
		return nil
	}
	content, err := json.Marshal(unsettledJSON{string(u.OutTradeNo), u.State, u.AmountFen, u.OrderTime.Format(time.RFC3339), int64(u.Age / time.Second), u.Attempts, next, u.Why()})
	if err == nil {
		_, err = fmt.Fprintf(w.stdout, "%s\n", content)
	}
	return err
}

func joinNext(u merchant.UnsettledTrade) string {
	if u.State != merchant.Waiting && u.State != merchant.Sent {
		return ""
	}
	return ", next at " + openapi.FormatTime(u.NextTry)
}

// ageText is an age as people say it: 3d4h, 5h20m, 20m, 7s.
func ageText(age time.Duration) string {
	day := 24 * time.Hour
	switch {
	case age >= day:
		return fmt.Sprintf("%dd%dh", age/day, age%day/time.Hour)
	case age >= time.Hour:
		return fmt.Sprintf("%dh%dm", age/time.Hour, age%time.Hour/time.Minute)
	case age >= time.Minute:
		return fmt.Sprintf("%dm", age/time.Minute)
	}
	return fmt.Sprintf("%ds", max(age, 0)/time.Second)
}

func printReasons(w *world, sums []merchant.ReasonSum) {
	if len(sums) == 0 {
		fmt.Fprintln(w.stdout, "No such trade.")
		return
	}
	fmt.Fprintln(w.stdout, "\nBy reason:")
	for _, sum := range sums {
		fmt.Fprintf(w.stdout, "%-7s %6d %14s yuan, oldest %s: %s\n", sum.State, sum.Count, sum.SumFen.Yuan(), ageText(sum.Oldest), plain(sum.Why))
	}
}
