package testkit_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/internal/testkit"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/wallet"
)

// A day in a city whose line loses requests, loses answers and doubles requests, whose servers restart
// and whose uploads come twice and out of order: every ride is paid exactly once, and every fen is
// proven. The seeds are fixed; a failure names its own.
func TestLossyDay(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			newDay(t, rand.New(rand.NewPCG(seed, 1))).live()
		})
	}
}

// day is a city and what it must come to.
type day struct {
	*testkit.World
	t      *testing.T
	random *rand.Rand

	phones   []*wallet.Wallet
	inside   map[int]bool // riders in the metro
	bus      *testkit.Gate
	entries  *testkit.Gate
	exits    *testkit.Gate
	rides    int
	dueFen   money.Fen
	uploaded int
}

func newDay(t *testing.T, random *rand.Rand) *day {
	d := &day{World: testkit.New(t, 10_000_00), t: t, random: random, inside: map[int]bool{}}
	for i := range 6 {
		d.phones = append(d.phones, d.Rider(ridecode.UserID(fmt.Sprintf("208800000000%04d", i)), money.Fen(random.IntN(30_00)), money.Fen(random.IntN(5_00))))
	}
	d.bus = d.Gate(record.TerminalInfo{POSID: "bus", Kind: record.Single, Subject: "bus", Line: "19"}, 2_00)
	d.entries = d.Gate(record.TerminalInfo{POSID: "in", Kind: record.Entry, Subject: "metro", Line: "metro", Station: "A"}, 0)
	d.exits = d.Gate(record.TerminalInfo{POSID: "out", Kind: record.Exit, Subject: "metro", Line: "metro", Station: "B"}, 6_00)
	d.Line.Fate = func() testkit.Fate { return testkit.Fate(random.IntN(4)) }
	return d
}

func (d *day) live() {
	for range 120 {
		d.Pass(time.Duration(1+d.random.IntN(90)) * time.Second)
		switch what := d.random.IntN(20); {
		case what < 7:
			d.ride(d.random.IntN(len(d.phones)))
		case what < 13:
			d.metro(d.random.IntN(len(d.phones)))
		case what < 16:
			d.upload()
		case what < 19:
			d.settle()
		default:
			d.Restart()
		}
	}
	d.comeToAnEnd()
}

func (d *day) ride(rider int) {
	d.tap(d.bus, rider)
	d.rides++
	d.dueFen += 2_00
}

func (d *day) metro(rider int) {
	if !d.inside[rider] {
		d.tap(d.entries, rider)
		d.inside[rider] = true
		return
	}
	d.Pass(5 * time.Minute)
	d.tap(d.exits, rider)
	d.inside[rider] = false
	d.rides++
	d.dueFen += 6_00
}

func (d *day) tap(gate *testkit.Gate, rider int) {
	d.t.Helper()
	if got := gate.Tap(d.phones[rider]); got.Verdict != ridecode.Success {
		d.t.Fatal(got.Trace.Reason())
	}
}

// upload sends some of each journal, shuffled; what was sent before may come again.
func (d *day) upload() {
	var batch [][]byte
	for _, gate := range []*testkit.Gate{d.bus, d.entries, d.exits} {
		for _, raw := range gate.Records() {
			if d.random.IntN(3) > 0 {
				batch = append(batch, raw)
			}
		}
	}
	d.collect(batch)
}

func (d *day) collect(batch [][]byte) {
	d.t.Helper()
	d.random.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
	answers, err := d.Merchant.Collect(d.t.Context(), batch, d.Now())
	if err != nil {
		d.t.Fatal(err)
	}
	for _, answer := range answers {
		if answer.Standing == merchant.SetAside {
			d.t.Fatalf("a good record stands aside: %s", answer.Reason)
		}
	}
}

func (d *day) settle() merchant.Report {
	d.t.Helper()
	report, err := d.Merchant.SettleDue(d.t.Context(), d.Now())
	if err != nil || len(report.Strange) > 0 || report.Failed > 0 {
		d.t.Fatalf("%+v, %v", report, err)
	}
	return report
}

// comeToAnEnd brings riders out, uploads everything, and settles until all is final.
func (d *day) comeToAnEnd() {
	for rider := range d.phones {
		if d.inside[rider] {
			d.metro(rider)
		}
	}
	d.collect(append(append(d.bus.Records(), d.entries.Records()...), d.exits.Records()...))
	for round := 0; ; round++ {
		report := d.settle()
		if report.NextDue.IsZero() {
			break
		}
		if round > 500 {
			d.t.Fatalf("no end after %d rounds: %+v", round, report)
		}
		d.Pass(max(report.NextDue.Sub(d.Now()), time.Second))
	}
	d.prove()
}

func (d *day) prove() {
	d.Restart()
	report := d.Audit()
	if paid := d.Balance(d.Payee.Account); paid != d.dueFen || report.Trades != d.rides {
		d.t.Errorf("%d rides for %s, and %d trades paid %s", d.rides, d.dueFen, report.Trades, paid)
	}
	settled := 0
	for trade, err := range d.Merchant.Trades(d.t.Context(), merchant.Settled) {
		if err != nil || trade.TradeNo == "" {
			d.t.Fatalf("%+v, %v", trade, err)
		}
		settled++
	}
	if settled != d.rides {
		d.t.Errorf("the merchant has %d settled trades of %d rides", settled, d.rides)
	}
	owed := d.Balance(payment.ClaimsAccount)
	if guarantee := d.Balance(payment.GuaranteeAccount); guarantee+owed != 10_000_00 {
		d.t.Errorf("the guarantee fund has %s and riders owe %s", guarantee, owed)
	}
}

// ofApp is the terminals of the city's one app.
type ofApp struct{ w *testkit.World }

func (a ofApp) TerminalIntegrity(posID string) (record.Integrity, bool) {
	return a.w.Terminals().TerminalIntegrity(testkit.AppID, posID)
}

// A record that is lost on its way leaves a hole that the merchant sees, and that closes when it comes.
func TestLostRecordShows(t *testing.T) {
	w := testkit.New(t, 100_00)
	phone := w.Rider("2088000000000001", 50_00, 0)
	gate := w.Gate(record.TerminalInfo{POSID: "bus", Kind: record.Single, Subject: "bus", Line: "19"}, 2_00)
	for range 5 {
		w.Pass(time.Second)
		gate.Tap(phone)
	}
	records := gate.Records()
	for _, step := range []struct {
		batch    [][]byte
		findings string
	}{
		{append(records[:2:2], records[3:]...), "[record 3 has not arrived]"},
		{records, "[]"},
	} {
		if _, err := w.Merchant.Collect(t.Context(), step.batch, w.Now()); err != nil {
			t.Fatal(err)
		}
		chains, err := w.Merchant.Chains(t.Context(), ofApp{w})
		if err != nil || len(chains) != 1 || chains[0].Highest != 5 {
			t.Fatalf("%+v, %v", chains, err)
		}
		if found := fmt.Sprint(chains[0].Findings); !strings.HasPrefix(found, step.findings) {
			t.Errorf("findings %s, want %s", found, step.findings)
		}
	}
}

// Nobody finds a key, a full code or a card number in what the servers log.
func TestLogsTellNoSecrets(t *testing.T) {
	var logged bytes.Buffer
	w := testkit.NewLogging(t, 100_00, slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	phone := w.Rider("2088000000000001", 50_00, 0)
	gate := w.Gate(record.TerminalInfo{POSID: "bus", Kind: record.Single, Subject: "bus", Line: "19"}, 2_00)
	got := gate.Tap(phone)
	if _, err := w.Merchant.Collect(t.Context(), [][]byte{got.Record}, w.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Merchant.SettleDue(t.Context(), w.Now()); err != nil {
		t.Fatal(err)
	}
	if err := w.Client().VerifyRecord(t.Context(), got.Record[:len(got.Record)-1]); err == nil {
		t.Fatal("a truncated record is verified")
	}
	hexCode := fmt.Sprintf("%x", got.Record[20:40])
	for _, secret := range []string{hexCode, "2088000000000001", "biz_content", "sign="} {
		if bytes.Contains(bytes.ToLower(logged.Bytes()), []byte(secret)) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if logged.Len() == 0 {
		t.Error("nothing was logged: this test looks at nothing")
	}
}
