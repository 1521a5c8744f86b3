package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	"github.com/shuama/shuama/role/merchant/reconcile"
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
	platform                                *platform
	desk                                    *reconcile.Reconciler
	agreeing                                time.Duration // bills with trades
	days                                    int           // whose bills agree
	taps, lost, late                        int
	trips                                   int
	making, collecting, settling, reckoning time.Duration
	processor                               time.Duration // of all but making codes and opening accounts
	merchantBytes, platformBytes            int64         // of the files
	heapBytes                               uint64

	books                                         sums
	trades                                        int // that settled, of trades
	tradesFen                                     money.Fen
	fares, paid, short, failed, held, refunds     money.Fen
	reasons                                       money.Fen // the sum of all lines of all reasons
	refundsCount, incomplete, discounted, unknown int
}

// firstDay is the first of a month, at midnight in Beijing.
func firstDay() time.Time { return time.Date(2026, 7, 1, 0, 0, 0, 0, openapi.Beijing()).UTC() }

func runMonth(ctx context.Context, p plan) (m *month, err error) {
	dir, err := os.MkdirTemp("", "month-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	m = &month{plan: p}
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
	platform, err := openPlatform(ctx, dir, city.ring, p.riders)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, platform.close()) }()
	if m.desk, err = reconcile.New(db.Reconcile(), reconcile.Config{App: appID}); err != nil {
		return nil, err
	}
	office, err := merchant.New(db.Merchant(), platform.client, merchant.Config{Keys: city.ring, Clock: ridecode.DefaultClock(), Fares: city.tariff,
		PairWait: 30 * time.Minute, SettleBatch: merchant.MaxSettleBatch})
	if err != nil {
		return nil, err
	}
	m.platform = platform
	if err := m.live(ctx, city, office, dir); err != nil {
		return nil, err
	}
	m.merchantBytes, m.platformBytes = sizeOf(path), sizeOf(platform.path)
	if err := m.prove(ctx, city, office); err != nil {
		return nil, err
	}
	return m, m.proveBooks(ctx)
}

// sizeOf is the file with its log.
func sizeOf(path string) (size int64) {
	for _, name := range []string{path, path + "-wal"} {
		if info, err := os.Stat(name); err == nil {
			size += info.Size()
		}
	}
	return size
}

// live goes through the days: rides, their records in the evening with those that are late, a settlement, refunds; and
// the day before is closed, with its bill.
func (m *month) live(ctx context.Context, city *town, office *merchant.Merchant, dir string) error {
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
		if err := m.endDay(ctx, evening, dir); err != nil {
			return err
		}
		if err := m.collect(ctx, office, waiting[day], evening); err != nil {
			return err
		}
		waiting[day] = nil
		if err := m.settle(ctx, office, evening.Add(time.Hour)); err != nil {
			return err
		}
		m.processor += cpuTime() - used
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		m.heapBytes = max(m.heapBytes, stats.HeapInuse)
	}
	for day := range 2 { // what was settled last is in a bill, too
		if err := m.endDay(ctx, firstDay().AddDate(0, 0, len(waiting)+1+day), dir); err != nil {
			return err
		}
	}
	return m.platform.repay(ctx, m.riders)
}

// endDay closes the day that ends at midnight, takes its bill, and reconciles it: what was carried is not left over.
func (m *month) endDay(ctx context.Context, midnight time.Time, dir string) error {
	m.platform.clock.Store(midnight.Unix())
	path, date, err := m.platform.closeDay(ctx, dir)
	if err != nil {
		return err
	}
	begun := time.Now()
	day, err := reconcile.ParseDay(date)
	if err != nil {
		return err
	}
	summary, err := m.desk.Reconcile(ctx, day, func() (io.ReadCloser, error) { return os.Open(path) }, reconcile.Options{}, midnight)
	if err != nil {
		return err
	}
	if !summary.AddsUp() || summary.Open.Count > 0 || summary.Carried.Count > 0 {
		return fmt.Errorf("the bill of %s and the trades do not agree: %+v", date, summary)
	}
	m.agreeing, m.days = m.agreeing+time.Since(begun), m.days+1
	return os.Remove(path)
}

func (m *month) settle(ctx context.Context, office *merchant.Merchant, now time.Time) error {
	begun := time.Now()
	m.platform.clock.Store(now.Unix())
	report, err := office.SettleDue(ctx, now)
	if err != nil || report.Fault != nil || report.Failed > 0 || report.Postponed > 0 || len(report.Strange) > 0 {
		return fmt.Errorf("settle: %+v, %w", report, err)
	}
	if err := m.platform.giveBack(ctx, office); err != nil {
		return err
	}
	m.settling += time.Since(begun)
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
	for trade, err := range office.Trades(ctx, merchant.Settled) {
		if err != nil {
			return err
		}
		m.trades, m.tradesFen = m.trades+1, m.tradesFen+trade.AmountFen
	}
	if m.paid != m.tradesFen-m.refunds || m.fares != m.reasons {
		return fmt.Errorf("trades %s less refunds %s are not the %s that were paid, or reasons %s not the fares %s", m.tradesFen, m.refunds, m.paid, m.reasons, m.fares)
	}
	return nil
}

// proveBooks holds the merchant's trades against the institution's bills and books.
func (m *month) proveBooks(ctx context.Context) (err error) {
	if m.books, err = m.platform.audit(ctx); err != nil {
		return err
	}
	for refund, err := range m.desk.UnbilledRefunds(ctx) {
		return errors.Join(err, fmt.Errorf("refund %s was given back, and no bill has it", refund.Number))
	}
	b, billed := m.books, m.platform.billed
	switch {
	case b.fault != "":
		return errors.New(b.fault)
	case billed.Trades.Count != m.trades || billed.Trades.SumFen != m.tradesFen || billed.Refunds.Count != m.refundsCount || billed.Refunds.SumFen != m.refunds:
		return fmt.Errorf("the bills say %+v, and the merchant %d trades of %s, %d refunds of %s", billed, m.trades, m.tradesFen, m.refundsCount, m.refunds)
	case b.merchant != m.tradesFen-m.refunds:
		return fmt.Errorf("the merchant has %s at the institution, and not %s less %s", b.merchant, m.tradesFen, m.refunds)
	case b.users+b.merchant+b.guarantee+b.underWay != m.platform.toppedUp || -b.debts != b.claims:
		return fmt.Errorf("%s came in, and the books are %+v", m.platform.toppedUp, b)
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

const head = `| riders | rides | taps | codes and accounts, s | collect, s | settle, s | bills, s | reconciled, s | every statement, s | µs a ride | of it processor | files, MB | heap, MB |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|`

func (m *month) row() string {
	rides := float64(max(1, m.trips))
	all := m.collecting + m.settling + m.platform.closing + m.agreeing + m.reckoning
	return fmt.Sprintf("| %d | %d | %d | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %.0f | %.0f | %.0f + %.0f | %.0f |", m.riders, m.trips, m.taps, (m.making + m.platform.opening).Seconds(),
		m.collecting.Seconds(), m.settling.Seconds(), m.platform.closing.Seconds(), m.agreeing.Seconds(), m.reckoning.Seconds(), float64(all.Microseconds())/rides, float64(m.processor.Microseconds())/rides,
		float64(m.merchantBytes)/1e6, float64(m.platformBytes)/1e6, float64(m.heapBytes)/1e6)
}

func (m *month) explained() string {
	b := m.books
	return fmt.Sprintf("%d taps lost, %d late; %d trips, %d without entry or exit, %d with more than a base fare, %d without a fare\n"+
		"fares %s = reasons %s = paid %s + short %s - held %s; %d trades %s less %d refunds %s\n"+
		"the platform's bills: %d trades %s, %d refunds %s; its books: topped up %s = riders %s + merchant %s + guarantee fund %s + under way %s; owed %s; the bills of %d days reconciled, differences 0",
		m.lost, m.late, m.trips, m.incomplete, m.discounted, m.unknown,
		m.fares.Yuan(), m.reasons.Yuan(), m.paid.Yuan(), m.short.Yuan(), m.held.Yuan(), m.trades, m.tradesFen.Yuan(), m.refundsCount, m.refunds.Yuan(),
		m.platform.billed.Trades.Count, m.platform.billed.Trades.SumFen.Yuan(), m.platform.billed.Refunds.Count, m.platform.billed.Refunds.SumFen.Yuan(),
		m.platform.toppedUp.Yuan(), b.users.Yuan(), b.merchant.Yuan(), b.guarantee.Yuan(), b.underWay.Yuan(), b.claims.Yuan(), m.days)
}
