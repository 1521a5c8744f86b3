package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant"
)

// plan is how a month goes.
type plan struct {
	riders int
	rides  float64
	amiss  float64
	seed   uint64
}

const (
	monthDays = 31
	latestDay = 6 // days that a late record comes later, at most
)

// month is what a month was, and what it took.
type month struct {
	plan
	taps, lost, late                        int
	trips                                   int
	making, collecting, settling, reckoning time.Duration
	processor                               time.Duration // of collecting, settling and reckoning
	fileBytes                               int64
	heapBytes                               uint64

	bank                                          *bank
	fares, paid, short, failed, held, refunds     money.Fen
	reasons                                       money.Fen // the sum of all lines of all reasons
	refundsCount, incomplete, discounted, unknown int
}

// bank settles all that it is asked to, and adds it up.
type bank struct {
	trades int
	sum    money.Fen
	seen   map[openapi.OutTradeNo]money.Fen
}

// Settle implements merchant.Settler.
func (b *bank) Settle(_ context.Context, trades []openapi.Trade) ([]openapi.TradeResult, error) {
	results := make([]openapi.TradeResult, len(trades))
	for i, trade := range trades {
		if _, again := b.seen[trade.OutTradeNo]; !again {
			b.seen[trade.OutTradeNo] = trade.AmountFen
			b.trades, b.sum = b.trades+1, b.sum+trade.AmountFen
		}
		results[i] = openapi.TradeResult{Outcome: openapi.OutcomeSuccess, OutTradeNo: trade.OutTradeNo, TradeNo: openapi.TradeNo(trade.OutTradeNo)}
	}
	return results, nil
}

// firstDay is the first of a month, at midnight in Beijing.
func firstDay() time.Time { return time.Date(2026, 7, 1, 0, 0, 0, 0, openapi.Beijing()).UTC() }

func runMonth(ctx context.Context, p plan) (m *month, err error) {
	dir, err := os.MkdirTemp("", "faremonth-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	m = &month{plan: p, bank: &bank{seen: map[openapi.OutTradeNo]money.Fen{}}}
	begun := time.Now()
	city, err := found(p, firstDay())
	if err != nil {
		return nil, err
	}
	m.making = time.Since(begun)
	path := filepath.Join(dir, "merchant.db")
	db, err := store.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := db.Close(); err == nil {
			err = closing
		}
	}()
	office, err := merchant.New(db.Merchant(), m.bank, merchant.Config{Keys: city.ring, Clock: ridecode.DefaultClock(), Fares: city.tariff,
		PairWait: 30 * time.Minute, SettleBatch: merchant.MaxSettleBatch})
	if err != nil {
		return nil, err
	}
	if err := m.live(ctx, city, office); err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil {
		m.fileBytes = info.Size()
	}
	return m, m.prove(ctx, city, office)
}

// live goes through the days: rides, their records in the evening with those that are late, a settlement.
func (m *month) live(ctx context.Context, city *town, office *merchant.Merchant) error {
	random := rand.New(rand.NewPCG(m.seed, 2))
	waiting := make([][][]byte, monthDays+latestDay+3)
	for day := range len(waiting) {
		if day < monthDays {
			begun := time.Now()
			if err := m.ride(city, day, random, waiting); err != nil {
				return err
			}
			m.making += time.Since(begun)
		}
		evening, used := firstDay().AddDate(0, 0, day+1), cpuTime()
		if err := m.collect(ctx, office, waiting[day], evening); err != nil {
			return err
		}
		waiting[day] = nil
		begun := time.Now()
		report, err := office.SettleDue(ctx, evening.Add(time.Hour))
		if err != nil || report.Fault != nil || report.Failed > 0 {
			return fmt.Errorf("settle: %+v, %w", report, err)
		}
		m.settling += time.Since(begun)
		m.processor += cpuTime() - used
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		m.heapBytes = max(m.heapBytes, stats.HeapInuse)
	}
	return nil
}

func (m *month) collect(ctx context.Context, office *merchant.Merchant, records [][]byte, now time.Time) error {
	begun := time.Now()
	for len(records) > 0 {
		size := min(len(records), merchant.MaxBatchRecords)
		answers, err := office.Collect(ctx, records[:size], now)
		if err != nil {
			return err
		}
		for _, answer := range answers {
			if answer.Standing == merchant.SetAside {
				return fmt.Errorf("a good record stands aside: %s", answer.Reason)
			}
		}
		records = records[size:]
	}
	m.collecting += time.Since(begun)
	return nil
}

// prove goes through every rider's statement.
func (m *month) prove(ctx context.Context, city *town, office *merchant.Merchant) error {
	begun, used := time.Now(), cpuTime()
	first := city.tariff.DayOf(firstDay().Add(12 * time.Hour))
	for statement, err := range office.Statements(ctx, first-1, first+monthDays, firstDay().AddDate(0, 2, 0)) {
		if err != nil {
			return err
		}
		if statement.Difference() != 0 || statement.ToPayFen != 0 || statement.OpenFen != 0 || statement.UnnamedFen != 0 {
			return fmt.Errorf("not explained: %+v", statement)
		}
		m.add(statement)
	}
	m.reckoning = time.Since(begun)
	m.processor += cpuTime() - used
	for refund, err := range office.Refunds(ctx) {
		if err != nil {
			return err
		}
		m.refunds, m.refundsCount = m.refunds+refund.AmountFen, m.refundsCount+1
	}
	if m.paid != m.bank.sum-m.refunds || m.fares != m.reasons {
		return fmt.Errorf("trades %s less refunds %s are not the %s that were paid, or reasons %s not the fares %s", m.bank.sum, m.refunds, m.paid, m.reasons, m.fares)
	}
	return nil
}

func (m *month) add(s merchant.Statement) {
	m.trips += len(s.Trips)
	m.fares, m.paid, m.short, m.failed, m.held = m.fares+s.FaresFen, m.paid+s.PaidFen, m.short+s.ShortFen, m.failed+s.FailedFen, m.held+s.HeldFen
	for _, trip := range s.Trips {
		for _, line := range trip.Fare.Lines {
			m.reasons += line.AmountFen
		}
		m.incomplete += count(len(trip.Taps()) == 1 && !trip.Taps()[0].Kind.IsWhole())
		m.discounted += count(len(trip.Fare.Lines) > 1)
		m.unknown += count(trip.Err != nil)
	}
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

func (m *month) row() string {
	rides := max(1, m.trips)
	return fmt.Sprintf("| %d | %d | %d | %.1f | %.1f | %.1f | %.1f | %.0f | %.0f | %.0f | %.0f |", m.riders, m.trips, m.taps, m.making.Seconds(), m.collecting.Seconds(),
		m.settling.Seconds(), m.reckoning.Seconds(), float64((m.collecting+m.settling+m.reckoning).Microseconds())/float64(rides), float64(m.processor.Microseconds())/float64(rides), float64(m.fileBytes)/1e6, float64(m.heapBytes)/1e6)
}

func (m *month) explained() string {
	return fmt.Sprintf("%d taps lost, %d late; %d trips, %d without entry or exit, %d with more than a base fare, %d without a fare\n"+
		"fares %s = reasons %s = paid %s + short %s - held %s; %d trades %s less %d refunds %s; differences 0",
		m.lost, m.late, m.trips, m.incomplete, m.discounted, m.unknown,
		m.fares.Yuan(), m.reasons.Yuan(), m.paid.Yuan(), m.short.Yuan(), m.held.Yuan(), m.bank.trades, m.bank.sum.Yuan(), m.refundsCount, m.refunds.Yuan())
}
