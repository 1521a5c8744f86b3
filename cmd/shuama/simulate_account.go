package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/bill"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/payment"
)

// simulated is what came of a city.
type simulated struct {
	Seed         uint64         `json:"seed"`
	Riders       int            `json:"riders"`
	Gates        int            `json:"gates"`
	Days         float64        `json:"days"`
	Interrupted  bool           `json:"interrupted"`
	LastedSec    float64        `json:"lasted_sec"`
	RidesASecond float64        `json:"rides_a_second"`
	Presented    int            `json:"presented"`
	Accepted     int            `json:"accepted"`
	Refused      map[string]int `json:"refused"`
	Faults       faultCounts    `json:"faults"`
	Losses       []loss         `json:"losses"`
	LossPer10000 float64        `json:"loss_per_10000"`
	Money        []sum          `json:"money"`
	Checks       []simCheck     `json:"checks"`
	AuditFaults  []string       `json:"audit_faults"`
	Explained    bool           `json:"explained"`
	Minutes      []minute       `json:"minutes"`
	Steadiness   string         `json:"steadiness,omitempty"`
}

type faultCounts struct {
	PowerCuts     int   `json:"power_cuts"`
	Outages       int   `json:"outages"`
	UploadedTwice int   `json:"uploaded_twice"`
	LostOnLine    int64 `json:"lost_on_line"`
	Shared        int   `json:"shared"`
	Stolen        int   `json:"stolen"`
}

// loss is rides of honest riders that were refused, or rides that nobody has paid.
type loss struct {
	Cause    string  `json:"cause"`
	Count    int     `json:"count"`
	Per10000 float64 `json:"per_10000"`
}

// sum is money, by what became of it.
type sum struct {
	Name      string    `json:"name"`
	AmountFen money.Fen `json:"amount_fen"`
}

// simCheck is two ways to count the same money.
type simCheck struct {
	Name     string    `json:"name"`
	OneFen   money.Fen `json:"one_fen"`
	OtherFen money.Fen `json:"other_fen"`
}

func (c simCheck) holds() bool { return c.OneFen == c.OtherFen }

// tradeSums is the merchant's trades, by what became of them.
type tradeSums struct {
	settled, waiting money.Fen
	failed           map[string]money.Fen
	failedCount      map[string]int
}

// account looks for every fen in both sets of books.
func (t *town) account(ctx context.Context, interrupted bool) (*simulated, error) {
	for _, s := range t.shards {
		t.tally.add(&s.tally)
	}
	lasted := t.progress.lasted().Seconds()
	r := &simulated{Seed: t.plan.Seed, Riders: t.plan.Riders, Gates: t.plan.Gates, Days: t.now().Sub(t.start).Hours() / 24, Interrupted: interrupted, LastedSec: lasted,
		RidesASecond: float64(t.tally.Presented) / lasted, Presented: t.tally.Presented, Accepted: t.tally.Accepted, Refused: t.tally.Refused,
		Faults:  faultCounts{t.tally.PowerCuts, t.tally.Outages, t.tally.UploadedTwice, t.line.losses, t.tally.Shared, t.tally.Stolen},
		Minutes: t.progress.minutes, Steadiness: steadiness(t.progress.minutes)}
	trades, err := t.sumTrades(ctx)
	if err != nil {
		return nil, err
	}
	r.countLosses(trades)
	return r, t.prove(ctx, r, trades)
}

func (t *town) sumTrades(ctx context.Context) (tradeSums, error) {
	sums := tradeSums{failed: map[string]money.Fen{}, failedCount: map[string]int{}}
	for _, state := range []merchant.TradeState{merchant.Waiting, merchant.Sent, merchant.Settled, merchant.Failed} {
		for trade, err := range t.merchant.Trades(ctx, state) {
			if err != nil {
				return sums, err
			}
			switch state {
			case merchant.Settled:
				sums.settled += trade.AmountFen
			case merchant.Failed:
				_, reason, _ := strings.Cut(trade.Reason, ": ") // behind FAIL stands the error code
				reason, _, _ = strings.Cut(reason, ":")
				sums.failed[reason] += trade.AmountFen
				sums.failedCount[reason]++
			default:
				sums.waiting += trade.AmountFen
			}
		}
	}
	return sums, nil
}

// countLosses leaves out who was refused with good reason.
func (r *simulated) countLosses(trades tradeSums) {
	add := func(cause string, count int) {
		if count > 0 {
			r.Losses = append(r.Losses, loss{cause, count, 1e4 * float64(count) / float64(max(1, r.Presented))})
			r.LossPer10000 += r.Losses[len(r.Losses)-1].Per10000
		}
	}
	for _, cause := range slices.Sorted(maps.Keys(r.Refused)) {
		if cause != causeDenied && cause != causeNoGrant && cause != causeThief {
			add("refused at the gate: "+cause, r.Refused[cause])
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(trades.failedCount)) {
		add("ridden and never paid: "+reason, trades.failedCount[reason])
	}
}

// prove counts the same money in several ways.
func (t *town) prove(ctx context.Context, r *simulated, trades tradeSums) error {
	report, err := t.payment.Audit(ctx)
	if err != nil {
		return err
	}
	r.AuditFaults = append([]string{}, report.Faults...)
	balances := map[string]money.Fen{}
	for _, account := range report.Balances {
		kind, _, _ := strings.Cut(string(account.ID), ":")
		balances[kind] += account.Balance
	}
	billed, err := t.sumBills(ctx)
	if err != nil {
		return err
	}
	failed, notUploaded := money.Fen(0), t.tally.TakenFen-trades.settled-trades.waiting-t.tally.AsideFen
	r.Money = []sum{{"taken at gates that opened", t.tally.TakenFen}, {"settled", trades.settled}}
	for _, reason := range slices.Sorted(maps.Keys(trades.failed)) {
		r.Money = append(r.Money, sum{"never paid: " + reason, trades.failed[reason]})
		failed += trades.failed[reason]
	}
	notUploaded -= failed
	if !r.Interrupted {
		notUploaded = 0
	}
	r.Money = append(r.Money, sum{"waiting for an answer", trades.waiting}, sum{"set aside", t.tally.AsideFen}, sum{"still in gates", notUploaded},
		sum{"topped up", t.tally.ToppedUpFen}, sum{"on riders' accounts", balances["user"]}, sum{"owed by riders", -balances["debt"]}, sum{"left in the guarantee fund", balances["guarantee"]})
	r.Checks = []simCheck{
		{"taken at gates = settled + never paid + waiting + set aside + still in gates", t.tally.TakenFen, trades.settled + failed + trades.waiting + t.tally.AsideFen + notUploaded},
		{"topped up = riders' balances + merchant + guarantee + under way", t.tally.ToppedUpFen, balances["user"] + balances["merchant"] + balances["guarantee"] + report.UnderWay},
		{"owed by riders = claims of the institution", -balances["debt"], balances["claims"]},
		{"all postings add up to nothing", report.SumFen, 0},
	}
	if !r.Interrupted {
		r.Checks = append(r.Checks, simCheck{"settled, in the merchant's books = in the institution's", trades.settled, balances["merchant"]},
			simCheck{"settled = sum of the daily bills", trades.settled, billed})
	}
	r.Explained = len(r.AuditFaults) == 0 && (r.Interrupted || trades.waiting == 0)
	for _, check := range r.Checks {
		r.Explained = r.Explained && check.holds()
	}
	return nil
}

// sumBills adds up what the merchant finds in its reconciliation files.
func (t *town) sumBills(ctx context.Context) (total money.Fen, err error) {
	policy := payment.DefaultPolicy()
	for at := t.start; !at.After(t.now().Add(24 * time.Hour)); at = at.Add(24 * time.Hour) {
		closed, err := t.payment.DayClosed(ctx, policy.DayOf(at))
		if err != nil || !closed {
			return total, err
		}
		err = t.payment.EachBillLine(ctx, policy.DayOf(at), func(_ payment.AppID, _ ledger.AccountID, line bill.Line) error {
			total += line.AmountFen
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return total, nil
}

// steadiness says of a run of minutes whether it went on as it began.
func steadiness(minutes []minute) string {
	if len(minutes) < 4 {
		return ""
	}
	whole := slices.Clone(minutes[1:]) // accounts are opened in the first one
	slices.SortFunc(whole, func(a, b minute) int { return a.Rides - b.Rides })
	middle, low, high := whole[len(whole)/2].Rides, whole[0].Rides, whole[len(whole)-1].Rides
	heap := func(part []minute) (most uint64) {
		for _, m := range part {
			most = max(most, m.HeapBytes)
		}
		return most >> 20
	}
	third := max(1, len(minutes)/3)
	before, after := heap(minutes[:third]), heap(minutes[len(minutes)-third:])
	verdict := "steady"
	if low*10 < middle*8 || high*10 > middle*12 || after*10 > before*12+100 {
		verdict = "not steady"
	}
	return fmt.Sprintf("%s: %d to %d rides a minute, %d in the middle; at most %d MB in the first third, %d MB in the last", verdict, low, high, middle, before, after)
}
