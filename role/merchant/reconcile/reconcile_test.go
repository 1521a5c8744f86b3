package reconcile_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/protocol/bill"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/reconcile"
)

// An instant is within the bounds of its day and of no other, wherever the cut-off is.
func TestDays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ends := time.Duration(rapid.IntRange(1, 24*60).Draw(t, "ends")) * time.Minute
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "at"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos"))
		day := reconcile.DayOf(at, ends)
		from, to := day.Bounds(ends)
		if at.Before(from) || !at.Before(to) || to.Sub(from) != 24*time.Hour {
			t.Fatalf("%s is %s, from %s to %s", at, day, from, to)
		}
		if parsed, err := reconcile.ParseDay(day.String()); err != nil || parsed != day {
			t.Fatalf("%s is read as %s, %v", day, parsed, err)
		}
	})
	night := time.Date(2026, 11, 26, 23, 30, 0, 0, openapi.Beijing())
	if got := reconcile.DayOf(night, 24*time.Hour).String() + reconcile.DayOf(night, 23*time.Hour).String(); got != "2026-11-262026-11-27" {
		t.Error(got)
	}
	for _, text := range []string{"", "2026-11-31", "20261126", "2026-11-26 "} {
		if day, err := reconcile.ParseDay(text); err == nil {
			t.Errorf("%q is %s", text, day)
		}
	}
}

// Of every combination of states Decide says something once, and nothing the second time.
func TestDecideOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := reconcile.Day(20783)
		from, _ := day.Bounds(24 * time.Hour)
		facts := reconcile.Facts{OutTradeNo: "T"}
		facts.Trade = reconcile.Trade{State: rapid.SampledFrom([]merchant.TradeState{"", merchant.Waiting, merchant.Sent, merchant.Failed, merchant.Aside, merchant.Free, merchant.Settled}).Draw(t, "state"), AmountFen: 200}
		if facts.Trade.State == merchant.Settled {
			facts.Trade.TradeNo = rapid.SampledFrom([]openapi.TradeNo{"1", "CARD1"}).Draw(t, "trade_no")
			facts.Trade.Settled = from.Add(time.Duration(rapid.IntRange(0, 3*24*60).Draw(t, "settled")) * time.Minute)
		}
		for i := range rapid.IntRange(0, 4).Draw(t, "lines") {
			line := reconcile.Line{Day: day + reconcile.Day(i/2), No: i + 1, Kind: rapid.SampledFrom([]bill.Kind{bill.Trade, bill.Refund}).Draw(t, "kind"), TradeNo: "1", AmountFen: 200}
			if line.Kind == bill.Refund {
				line.RequestNo = "R"
			}
			facts.Lines = append(facts.Lines, line)
		}
		calendar := reconcile.Calendar{DayEnds: 24 * time.Hour, CarryWithin: time.Hour, Billed: map[reconcile.Day]bool{day: true, day + 1: rapid.Bool().Draw(t, "billed")}}
		for _, move := range reconcile.Decide(facts, calendar, from) {
			facts = after(facts, move)
		}
		if again := reconcile.Decide(facts, calendar, from); len(again) != 0 {
			t.Fatalf("%+v: decided again: %+v", facts, again)
		}
	})
}

// after is the facts with a move made.
func after(facts reconcile.Facts, move reconcile.Move) reconcile.Facts {
	for i := range facts.Differences {
		if facts.Differences[i].Content == move.Content {
			facts.Differences[i].State, facts.Differences[i].Steps = move.State, []reconcile.Step{move.Step}
			return facts
		}
	}
	facts.Differences = append(facts.Differences, reconcile.Difference{Content: move.Content, State: move.State, Steps: []reconcile.Step{move.Step}})
	return facts
}
