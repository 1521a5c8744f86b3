package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/terminal"
)

const (
	killCount    = 50
	killRides    = 2000
	killFare     = money.Fen(2_00)
	killBatch    = 7
	killSenders  = 3
	killRideUser = "2088000000000001"
)

// The server is killed fifty times, at random moments, while merchants settle: no trade is lost, none
// is paid twice, what was answered stays answered, and the books are proven.
func TestKilledServer(t *testing.T) {
	k := newKilling(t)
	load, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	for sender := range killSenders {
		senders.Go(func() { k.send(load, rand.New(rand.NewPCG(uint64(sender), 2))) })
	}
	random := rand.New(rand.NewPCG(7, 7))
	for range killCount {
		server := k.start()
		time.Sleep(time.Duration(random.IntN(120)) * time.Millisecond)
		if err := server.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = server.Wait() // it was killed: that is its error
	}
	stop()
	senders.Wait()
	k.prove()
}

// killing is a city under load.
type killing struct {
	t       *testing.T
	dir     string
	binary  string
	address string
	client  *gateway.Client
	trades  []openapi.Trade

	mutex    sync.Mutex
	answered map[openapi.OutTradeNo]openapi.TradeNo
	answers  int
	faults   int
}

func newKilling(t *testing.T) *killing {
	k := &killing{t: t, dir: t.TempDir(), address: freeAddress(t), answered: map[openapi.OutTradeNo]openapi.TradeNo{}}
	k.binary = filepath.Join(k.dir, "shuama")
	if out, err := exec.Command("go", "build", "-o", k.binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	// The rides were an hour ago: a server refuses records from the future.
	clock := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	w := &world{context: t.Context(), stdin: strings.NewReader(""), stdout: io.Discard, stderr: &bytes.Buffer{}, now: func() time.Time { return clock }}
	for _, command := range []string{
		"keys init city", "keys app city 2021000000000001 --merchant transit --out merchant --gateway http://" + k.address + gateway.Path,
		"keys terminal city 2021000000000001 bus --out gate", "account open city " + killRideUser,
		"account top-up city " + killRideUser + " 1000000 --number 1", "wallet fetch city " + killRideUser + " --out phone",
	} {
		args := strings.Fields(command)
		for i, arg := range args {
			if arg == "city" || arg == "gate" || arg == "phone" || arg == "merchant" && args[i-1] == "--out" {
				args[i] = filepath.Join(k.dir, arg)
			}
		}
		if status := run(w, args); status != exitAccepted {
			t.Fatalf("shuama %s: %s", command, w.stderr)
		}
	}
	k.ride(w, &clock)
	k.connect(w)
	return k
}

// freeAddress is a port that nobody listens at now.
func freeAddress(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// ride makes the trades: one code a second, through a real gate.
func (k *killing) ride(w *world, clock *time.Time) {
	phone, err := (&walletShowCommand{Dir: filepath.Join(k.dir, "phone")}).open()
	if err != nil {
		k.t.Fatal(err)
	}
	gate, err := (&terminalCommand{Dir: filepath.Join(k.dir, "gate"), Line: "19", Amount: killFare.Yuan()}).open(w)
	if err != nil {
		k.t.Fatal(err)
	}
	defer gate.journal.Close()
	for i := range killRides {
		*clock = clock.Add(time.Second)
		code, err := phone.Present(*clock)
		if err != nil {
			k.t.Fatal(err)
		}
		got := gate.Accept(code, terminal.Tap{POSParam: gate.posParam(*clock), AmountFen: killFare}, *clock)
		if got.Verdict != ridecode.Success {
			k.t.Fatal(got.Trace.Reason())
		}
		k.trades = append(k.trades, openapi.Trade{OutTradeNo: openapi.OutTradeNo(fmt.Sprintf("LINE19_%06d", i)), UserID: killRideUser,
			OrderTime: *clock, Subject: "公交-19路", AmountFen: killFare, Records: [][]byte{got.Record}})
	}
}

func (k *killing) connect(w *world) {
	live := *w
	live.now = time.Now
	client, err := (&merchantSettleCommand{Dir: filepath.Join(k.dir, "merchant")}).client(&live)
	if err != nil {
		k.t.Fatal(err)
	}
	k.client = client
}

// start runs the server and waits until it serves.
func (k *killing) start() *exec.Cmd {
	k.t.Helper()
	server := exec.Command(k.binary, "serve", filepath.Join(k.dir, "city"), "--listen", k.address)
	out, err := server.StdoutPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	var faults bytes.Buffer
	server.Stderr = &faults
	if err := server.Start(); err != nil {
		k.t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "Serving http://") {
		_ = server.Process.Kill()
		_ = server.Wait()
		k.t.Fatalf("the server says %q: %s", line, &faults)
	}
	return server
}

// send settles trades at random, again and again, settled ones too.
func (k *killing) send(ctx context.Context, random *rand.Rand) {
	for ctx.Err() == nil {
		first := random.IntN(len(k.trades) - killBatch)
		batch := k.trades[first : first+killBatch]
		results, err := k.client.Settle(ctx, batch)
		if err != nil {
			k.note(func() { k.faults++ })
			time.Sleep(2 * time.Millisecond)
			continue
		}
		for _, result := range results {
			k.note(func() { k.check(result) })
		}
	}
}

func (k *killing) note(do func()) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	do()
}

// check holds an answer against all earlier ones to the same trade.
func (k *killing) check(result openapi.TradeResult) {
	k.answers++
	switch earlier, known := k.answered[result.OutTradeNo]; {
	case result.Outcome == openapi.OutcomeUnknown:
	case result.Outcome != openapi.OutcomeSuccess:
		k.t.Errorf("trade %s: %+v", result.OutTradeNo, result)
	case known && earlier != result.TradeNo:
		k.t.Errorf("trade %s was settled as %s, and now as %s", result.OutTradeNo, earlier, result.TradeNo)
	default:
		k.answered[result.OutTradeNo] = result.TradeNo
	}
}

// prove settles the rest in peace, and adds up.
func (k *killing) prove() {
	k.t.Helper()
	if len(k.answered) == 0 || k.faults == 0 {
		k.t.Fatalf("%d trades answered and %d requests lost: the load did not meet the kills", len(k.answered), k.faults)
	}
	acknowledged := len(k.answered)
	server := k.start()
	for first := 0; first < len(k.trades); first += openapi.MaxTrades {
		results, err := k.client.Settle(k.t.Context(), k.trades[first:min(first+openapi.MaxTrades, len(k.trades))])
		if err != nil {
			k.t.Fatal(err)
		}
		for _, result := range results {
			k.check(result)
		}
	}
	_ = server.Process.Kill()
	_ = server.Wait()
	k.audit()
	k.t.Logf("%d kills: %d answers, %d requests lost, %d trades acknowledged before the end, all %d settled once",
		killCount, k.answers, k.faults, acknowledged, len(k.answered))
}

func (k *killing) audit() {
	home, err := openCity(filepath.Join(k.dir, "city"))
	if err != nil {
		k.t.Fatal(err)
	}
	b, err := home.openBooks(k.t.Context(), trust.WindowSmall)
	if err != nil {
		k.t.Fatal(err)
	}
	defer b.Close()
	report, err := b.Audit(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	for _, fault := range report.Faults {
		k.t.Error("audit: " + fault)
	}
	accounts, err := b.Accounts(k.t.Context(), payment.MerchantAccount("transit"))
	if err != nil {
		k.t.Fatal(err)
	}
	if paid := accounts[payment.MerchantAccount("transit")].Balance; report.Trades != killRides || len(k.answered) != killRides || paid != killRides*killFare {
		k.t.Errorf("%d rides: %d trades in the books, %d answered, %s paid", killRides, report.Trades, len(k.answered), paid)
	}
}
