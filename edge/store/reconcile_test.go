package store_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/bill"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/reconcile"
	"github.com/shuama/shuama/role/merchant/reconcile/storetest"
)

func TestReconcileStore(t *testing.T) { storetest.Run(t, openReconcile) }

func openReconcile(t testing.TB) (storetest.Books, func() storetest.Books, func()) {
	path := filepath.Join(t.TempDir(), "merchant.sqlite")
	db := openDB(t, path)
	again := func() storetest.Books {
		closeDB(t, db)
		db = openDB(t, path)
		return booksOf(db)
	}
	return booksOf(db), again, func() { closeDB(t, db) }
}

func booksOf(db *store.DB) storetest.Books {
	return storetest.Books{Store: db.Reconcile(), Trades: db.Merchant()}
}

const (
	reconcileDays   = 3
	reconcileTrades = 700                     // of a day: more than a page
	reconcileFolder = "SHUAMA_TEST_RECONCILE" // set in the child process
)

// reconciledTrade is the n-th of a day. Of a hundred, one is missing in the bill, one is missing here, and one is
// billed with a fen too much.
func reconciledTrade(day reconcile.Day, n int) (trade storetest.Trade, line bill.Line) {
	number := int(day)*1_000_000 + n
	at := storetest.At(day, 12*time.Hour+time.Duration(n)*time.Millisecond)
	trade = storetest.Trade{Number: fmt.Sprint("T", number), AmountFen: 200, State: merchant.Settled, TradeNo: storetest.NumberOf(number), Settled: at}
	line = bill.Line{Kind: bill.Trade, TradeNo: trade.TradeNo, OutTradeNo: trade.Number, Subject: "bus", At: at, AmountFen: 200}
	if n%100 == 2 {
		line.AmountFen++
	}
	return trade, line
}

// reconciledDay is the trades of a day, and its bill.
func reconciledDay(t testing.TB, day reconcile.Day, count int) (trades []storetest.Trade, file []byte) {
	var lines []bill.Line
	for n := range count {
		trade, line := reconciledTrade(day, n)
		if n%100 != 0 {
			lines = append(lines, line)
		}
		if n%100 != 1 {
			trades = append(trades, trade)
		}
	}
	return trades, storetest.BillOf(t, day, lines...)
}

// TestReconcileKilled kills a merchant's process again and again while it takes bills in. In the end each
// difference is there once, with a history that nobody sees the kills in, and the sums prove themselves.
func TestReconcileKilled(t *testing.T) {
	path := os.Getenv(reconcileFolder)
	if path != "" {
		reconcileUntilKilled(t, path)
		return
	}
	path = filepath.Join(t.TempDir(), "merchant.sqlite")
	db := openDB(t, path)
	for day := range reconcile.Day(reconcileDays) {
		trades, _ := reconciledDay(t, storetest.FirstDay+day, reconcileTrades)
		storetest.WriteTrades(t, db.Merchant(), trades...)
	}
	closeDB(t, db)
	midway := 0
	for round := range 15 {
		killReconciling(t, path, 1+round%6)
		midway += unfinished(t, path)
	}
	if t.Logf("15 kills, %d of them before the end", midway); midway == 0 {
		t.Error("no kill came before the end")
	}
	db = openDB(t, path)
	defer closeDB(t, db)
	for day := range reconcile.Day(reconcileDays) {
		if summary := reconcileDay(t, db, storetest.FirstDay+day, nil); !summary.AddsUp() || summary.Own.Count != reconcileTrades*99/100 {
			t.Errorf("%+v", summary)
		}
	}
	wantEachOnce(t, db)
}

// unfinished is 1 where not all bills are here and compared.
func unfinished(t *testing.T, path string) int {
	db := openDB(t, path)
	defer closeDB(t, db)
	bills, err := db.Reconcile().Bills(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bills {
		if !b.Compared {
			return 1
		}
	}
	if len(bills) < reconcileDays {
		return 1
	}
	return 0
}

func wantEachOnce(t *testing.T, db *store.DB) {
	counts := map[reconcile.Kind]int{}
	differences, err := db.Reconcile().Differences(t.Context(), true, 0, 10*reconcileTrades)
	if err != nil {
		t.Fatal(err)
	}
	for _, difference := range differences {
		if counts[difference.Kind]++; len(difference.Steps) != 1 || difference.State != reconcile.Open {
			t.Errorf("%+v", difference)
		}
	}
	each := reconcileDays * reconcileTrades / 100
	if len(counts) != 3 || counts[reconcile.MissingHere] != each || counts[reconcile.MissingThere] != each || counts[reconcile.Amount] != each {
		t.Errorf("%v, want %d each", counts, each)
	}
	bills, err := db.Reconcile().Bills(t.Context())
	if err != nil || len(bills) != reconcileDays {
		t.Errorf("%d bills, %v", len(bills), err)
	}
}

func reconcileDay(t testing.TB, db *store.DB, day reconcile.Day, progress func(done, total int)) reconcile.Summary {
	_, file := reconciledDay(t, day, reconcileTrades)
	r, err := reconcile.New(db.Reconcile(), reconcile.Config{App: storetest.App, Progress: progress})
	if err != nil {
		t.Fatal(err)
	}
	summary, err := r.Reconcile(context.Background(), day, storetest.SourceOf(file), reconcile.Options{}, storetest.At(day+1, time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return summary
}

func reconcileUntilKilled(t *testing.T, path string) {
	db := openDB(t, path)
	for range 1000 { // a bound, should the parent be gone
		for day := range reconcile.Day(reconcileDays) {
			reconcileDay(t, db, storetest.FirstDay+day, func(done, _ int) { fmt.Println("page", done) })
		}
	}
}

// killReconciling lets a process handle some pages, and a random while more.
func killReconciling(t *testing.T, path string, pages int) {
	child := exec.Command(os.Args[0], "-test.run=^TestReconcileKilled$")
	child.Env, child.Stderr = append(os.Environ(), reconcileFolder+"="+path), os.Stderr
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	told := bufio.NewReader(output)
	for range pages {
		if line, err := told.ReadString('\n'); !strings.HasPrefix(line, "page ") {
			t.Fatalf("the child says %q (%v)", line, err)
		}
	}
	time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Fatal("it ended before it was killed")
	}
}

// BenchmarkReconcile takes the bill of a day of 100 000 trades in.
func BenchmarkReconcile(b *testing.B) {
	const trades = 100_000
	day := storetest.FirstDay
	for range b.N {
		b.StopTimer()
		db := openDB(b, filepath.Join(b.TempDir(), "merchant.sqlite"))
		own, file := reconciledDay(b, day, trades)
		for ; len(own) > 0; own = own[min(len(own), 1000):] {
			storetest.WriteTrades(b, db.Merchant(), own[:min(len(own), 1000)]...)
		}
		r, err := reconcile.New(db.Reconcile(), reconcile.Config{App: storetest.App})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		summary, err := r.Reconcile(b.Context(), day, storetest.SourceOf(file), reconcile.Options{}, storetest.At(day+1, time.Hour))
		if err != nil || !summary.AddsUp() || summary.Differences[reconcile.Amount].SumFen != money.Fen(trades/100) {
			b.Fatalf("%+v, %v", summary, err)
		}
		b.StopTimer()
		closeDB(b, db)
	}
	b.ReportMetric(float64(b.N)*trades/b.Elapsed().Seconds(), "trades/s")
}

// A file from before the time of settlement was kept goes on: of its settled trades the day is not known, and
// they agree with the bill that has them.
func TestReconcileOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "merchant.sqlite")
	conn := raw(t, path)
	names := []string{"payment.sql", "merchant.sql", "cards.sql", "rides.sql", "deliveries.sql", "cardissuer.sql", "agreements.sql"}
	for _, name := range names {
		script(t, conn, string(readFile(t, filepath.Join("schema", name))))
	}
	script(t, conn, fmt.Sprintf(`PRAGMA application_id = 0x53687561; PRAGMA user_version = %d;
		INSERT INTO merchant_record VALUES (1, zeroblob(32), x'00', 0);
		INSERT INTO merchant_tap VALUES (1, 'SINGLE', 0, '2088000000000001', 'ANT00001', '1', '', '19', '', x'00000000', 0, 0);
		INSERT INTO merchant_trade VALUES (1, 'T1', 0, 'bus', 200, '{}', '', 1, NULL, 0, 0, '[]', '', 'SETTLED', 1, 0, '%s', '');`, len(names), storetest.NumberOf(1)))
	closeAll(t, conn)
	db := openDB(t, path)
	defer closeDB(t, db)
	r, err := reconcile.New(db.Reconcile(), reconcile.Config{App: storetest.App})
	if err != nil {
		t.Fatal(err)
	}
	line := bill.Line{Kind: bill.Trade, TradeNo: storetest.NumberOf(1), OutTradeNo: "T1", Subject: "bus", At: storetest.At(storetest.FirstDay, time.Hour), AmountFen: 200}
	summary, err := r.Reconcile(t.Context(), storetest.FirstDay, storetest.SourceOf(storetest.BillOf(t, storetest.FirstDay, line)), reconcile.Options{}, storetest.At(storetest.FirstDay+1, 0))
	if err != nil || !summary.AddsUp() || summary.OtherDay != (bill.Total{Count: 1, SumFen: 200}) || summary.Open.Count != 0 {
		t.Errorf("%+v, %v", summary, err)
	}
}
