package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

const (
	benchWriters   = 4
	benchUsers     = 50_000 // of each writer
	benchFare      = money.Fen(200)
	benchPlenty    = money.Fen(1_000_000_000)
	pgbenchScale   = "50"
	pgbenchSec     = "6"
	pgbenchClients = "16"
)

// BenchmarkUpdate settles trades with all their verdicts, beside PostgreSQL's own pgbench (TPC-B, prepared,
// 16 clients) on the same server: once before and once after. Each writer has users of its own and a
// merchant, which is one hot row; all name the guarantee fund and the claims, as every settlement does.
func BenchmarkUpdate(b *testing.B) {
	c := commonCluster(b)
	c.newDatabase(b, "pgbench", "template0")
	c.run(b, "pgbench", "--host="+c.dir, "--port="+strconv.Itoa(c.port), "--username=postgres", "-i", "-q", "-s", pgbenchScale, "pgbench")
	before := c.pgbench(b)
	name := c.emptyBooks(b)
	bench := &benchmark{books: openURL(b, c.url(name)).Payment()}
	bench.furnish(b)
	script(b, c.connect(b, name), "VACUUM ANALYZE") // as the server does by itself after a while
	for _, writers := range []int{1, benchWriters} {
		for _, batch := range []int{1, 64, 512} {
			b.Run(fmt.Sprintf("connections=%d/batch=%d", writers, batch), func(b *testing.B) {
				bench.run(b, writers, batch)
				rate := float64(b.N*batch) / b.Elapsed().Seconds()
				b.ReportMetric(rate, "trades/s")
				b.ReportMetric(rate/before, "x-pgbench")
			})
		}
	}
	began := time.Now()
	report := auditClean(b, bench.books)
	b.Logf("the audit of %d trades took %v", report.Trades, time.Since(began))
	b.Logf("pgbench: %.0f transactions/s before, %.0f after", before, c.pgbench(b))
}

func (c *cluster) pgbench(b *testing.B) float64 {
	b.Helper()
	output := c.run(b, "pgbench", "--host="+c.dir, "--port="+strconv.Itoa(c.port), "--username=postgres",
		"-c", pgbenchClients, "-j", "2", "-M", "prepared", "-T", pgbenchSec, "pgbench")
	found := regexp.MustCompile(`tps = ([0-9.]+)`).FindStringSubmatch(output)
	if found == nil {
		b.Fatalf("pgbench says no rate:\n%s", output)
	}
	rate, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		b.Fatal(err)
	}
	return rate
}

type benchmark struct {
	books *PaymentStore
	next  [benchWriters]int // sales of each writer
}

func benchUser(writer, n int) ridecode.UserID {
	return ridecode.UserID(fmt.Sprintf("2088%012d", n%benchUsers*7919%benchUsers*benchWriters+writer))
}

func benchMerchant(writer int) ledger.AccountID {
	return payment.MerchantAccount(fmt.Sprintf("line %d", writer))
}

func (m *benchmark) furnish(b *testing.B) {
	b.Helper()
	accounts := []ledger.Account{{ID: payment.OutsideAccount, Unbounded: true}, {ID: payment.GuaranteeAccount}, {ID: payment.ClaimsAccount}}
	for writer := range benchWriters {
		accounts = append(accounts, ledger.Account{ID: benchMerchant(writer)})
		for n := range benchUsers {
			accounts = append(accounts, ledger.Account{ID: payment.UserAccount(benchUser(writer, n))})
		}
	}
	err := m.books.Update(b.Context(), payment.Need{}, func(payment.State) (payment.Changes, error) {
		return payment.Changes{Opened: accounts}, nil
	})
	if err != nil {
		b.Fatal(err)
	}
	m.fill(b, accounts[3:])
}

// fill gives each user money in one update.
func (m *benchmark) fill(b *testing.B, accounts []ledger.Account) {
	b.Helper()
	need := payment.Need{Accounts: []ledger.AccountID{payment.OutsideAccount}}
	for _, account := range accounts {
		need.Accounts = append(need.Accounts, account.ID)
	}
	err := m.books.Update(b.Context(), need, func(state payment.State) (changes payment.Changes, err error) {
		book := bookOf(state)
		for _, account := range accounts {
			order := payment.TopUp{ID: payment.TopUpID(account.ID), Account: account.ID, AmountFen: benchPlenty, At: time.Unix(1_800_000_000, 0)}
			changes.TopUps = append(changes.TopUps, order)
			if err := book.Apply(ledger.Transfer{ID: ledger.TransferID("topup:" + order.ID), Debit: payment.OutsideAccount, Credit: account.ID,
				AmountFen: order.AmountFen, Code: payment.CodeTopUp, At: order.At, Reference: string(order.ID)}); err != nil {
				return changes, err
			}
		}
		changes.Entries = book.Entries()
		return changes, nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// run shares b.N batches among writers.
func (m *benchmark) run(b *testing.B, writers, batch int) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var wait sync.WaitGroup
	for writer := range writers {
		wait.Go(func() {
			for left.Add(-1) >= 0 {
				if err := m.sell(b.Context(), writer, batch); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
}

// sell settles a batch of new trades, and sees that each was settled.
func (m *benchmark) sell(ctx context.Context, writer, batch int) error {
	first := m.next[writer]
	m.next[writer] += batch
	trades := make([]payment.SettledTrade, batch)
	need := payment.Need{Accounts: []ledger.AccountID{benchMerchant(writer), payment.GuaranteeAccount, payment.ClaimsAccount}}
	for i := range trades {
		trades[i] = benchTrade(writer, first+i)
		user := trades[i].Content.UserID
		need.Trades, need.Codes = append(need.Trades, trades[i].Key), append(need.Codes, trades[i].Codes...)
		need.Accounts = append(need.Accounts, payment.UserAccount(user), payment.DebtAccount(user))
	}
	return m.books.Update(ctx, need, func(state payment.State) (payment.Changes, error) {
		if len(state.Trades)+len(state.Codes) != 0 || len(state.Accounts) != min(batch, benchUsers)+3 {
			return payment.Changes{}, fmt.Errorf("read %d trades, %d codes, %d accounts", len(state.Trades), len(state.Codes), len(state.Accounts))
		}
		return benchDecision(state, trades, writer)
	})
}

func benchDecision(state payment.State, trades []payment.SettledTrade, writer int) (payment.Changes, error) {
	book := bookOf(state)
	for i := range trades {
		t := &trades[i]
		err := book.Apply(ledger.Transfer{ID: ledger.TransferID("ride:" + t.TradeNo), Debit: payment.UserAccount(t.Content.UserID),
			Credit: benchMerchant(writer), AmountFen: benchFare, Code: payment.CodeRide, At: t.SettledAt, Reference: string(t.TradeNo)})
		if err != nil {
			return payment.Changes{}, err
		}
	}
	return payment.Changes{Trades: trades, Entries: book.Entries()}, nil
}

// benchTrade has the size of a real one; its numbers are spread like the hashes that real ones are.
func benchTrade(writer, n int) payment.SettledTrade {
	code := ridecode.ID(sha256.Sum256(binary.BigEndian.AppendUint64([]byte{byte(writer)}, uint64(n))))
	number := payment.OutTradeNo(fmt.Sprintf("%x", code[:12]))
	content := payment.Trade{OutTradeNo: number, UserID: benchUser(writer, n), OrderTime: time.Unix(1_800_000_000, 0), Subject: "地铁 2 号线",
		AmountFen: benchFare, BizContext: `{"line":"2"}`, CardType: "ANT00001", Records: [][]byte{make([]byte, 320)}}
	return payment.SettledTrade{Key: payment.TradeKey{App: "2021000000000001", OutTradeNo: number},
		TradeNo: payment.TradeNo(fmt.Sprintf("20260806%010d%010d", binary.BigEndian.Uint64(code[:8])%1e10, binary.BigEndian.Uint64(code[8:16])%1e10)),
		Digest:  content.Digest(), Content: content, Codes: []ridecode.ID{code}, SettledAt: time.Unix(1_800_000_100, 0), Payer: payment.PaidByUser}
}
