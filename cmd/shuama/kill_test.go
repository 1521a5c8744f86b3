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
	"github.com/shuama/shuama/role/wallet"
)

const (
	killCount   = 50
	killRides   = 4000
	killFare    = money.Fen(2_00)
	killBatch   = 7
	killSenders = 3
	killUsers   = 12 // every third has no money: the guarantee fund pays
)

func killUser(n int) ridecode.UserID { return ridecode.UserID(fmt.Sprintf("20880000000000%02d", n)) }

// The server is killed fifty times, at random moments, while merchants settle: no trade is lost, none
// is paid twice, what was answered stays answered, and the books are proven.
func TestKilledServer(t *testing.T) {
	k := newKilling(t, 1, "")
	stop := k.load()
	random := rand.New(rand.NewPCG(7, 7))
	for range killCount {
		k.servers[0].start()
		time.Sleep(time.Duration(random.IntN(120)) * time.Millisecond)
		k.servers[0].kill()
	}
	stop()
	k.prove(killCount)
}

// killing is a city under load.
type killing struct {
	t       *testing.T
	dir     string
	binary  string
	servers []*killed
	trades  []openapi.Trade

	mutex    sync.Mutex
	answered map[openapi.OutTradeNo]openapi.TradeNo
	answers  int
	faults   int
}

// killed is one server of a city, and the merchant's way to it.
type killed struct {
	k       *killing
	address string
	client  *gateway.Client
	process *exec.Cmd
}

// newKilling makes a city, with books of its own or in a database.
func newKilling(t *testing.T, servers int, database string, layout ...string) *killing {
	k := &killing{t: t, dir: t.TempDir(), answered: map[openapi.OutTradeNo]openapi.TradeNo{}}
	k.binary = filepath.Join(k.dir, "shuama")
	if out, err := exec.Command("go", "build", "-o", k.binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	// The rides were two hours ago: a server refuses records from the future.
	clock := time.Now().UTC().Truncate(time.Second).Add(-2 * time.Hour)
	w := &world{context: t.Context(), stdin: strings.NewReader(""), stdout: io.Discard, stderr: &bytes.Buffer{}, now: func() time.Time { return clock }}
	for range servers {
		k.servers = append(k.servers, &killed{k: k, address: freeAddress(t)})
	}
	k.run(w, "keys init", k.path("city"))
	if database != "" {
		k.run(w, "db use", append([]string{k.path("city"), database}, layout...)...)
	}
	k.run(w, "keys app", k.path("city"), "2021000000000001", "--merchant", "transit", "--out", k.path("merchant"), "--gateway", "http://gateway.invalid"+gateway.Path)
	k.run(w, "keys terminal", k.path("city"), "2021000000000001", "bus", "--out", k.path("gate"))
	k.run(w, "account top-up", k.path("city"), "guarantee", "100000", "--number", "fund")
	for n := range killUsers {
		user := string(killUser(n))
		k.run(w, "account open", k.path("city"), user)
		if n%3 != 0 {
			k.run(w, "account top-up", k.path("city"), user, "100000", "--number", user)
		}
		k.run(w, "wallet fetch", k.path("city"), user, "--out", k.path("phone"+user))
	}
	k.ride(w, &clock)
	for _, server := range k.servers {
		server.connect(w)
	}
	return k
}

func (k *killing) path(name string) string { return filepath.Join(k.dir, name) }

// run runs a command in this process.
func (k *killing) run(w *world, command string, args ...string) {
	k.t.Helper()
	if status := run(w, append(strings.Fields(command), args...)); status != exitAccepted {
		k.t.Fatalf("shuama %s %v: %s", command, args, w.stderr)
	}
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
	var phones []*wallet.Wallet
	for n := range killUsers {
		phone, err := (&walletShowCommand{Dir: k.path("phone" + string(killUser(n)))}).open()
		if err != nil {
			k.t.Fatal(err)
		}
		phones = append(phones, phone)
	}
	gate, err := (&terminalCommand{Dir: k.path("gate"), Line: "19", Amount: killFare.Yuan()}).open(w)
	if err != nil {
		k.t.Fatal(err)
	}
	defer gate.journal.Close()
	for i := range killRides {
		*clock = clock.Add(time.Second)
		code, err := phones[i%killUsers].Present(*clock)
		if err != nil {
			k.t.Fatal(err)
		}
		got := gate.Accept(code, terminal.Tap{POSParam: gate.posParam(*clock), AmountFen: killFare}, *clock)
		if got.Verdict != ridecode.Success {
			k.t.Fatal(got.Trace.Reason())
		}
		k.trades = append(k.trades, openapi.Trade{OutTradeNo: openapi.OutTradeNo(fmt.Sprintf("LINE19_%06d", i)), UserID: killUser(i % killUsers),
			OrderTime: *clock, Subject: "公交-19路", AmountFen: killFare, Records: [][]byte{got.Record}})
	}
}

func (s *killed) connect(w *world) {
	live := *w
	live.now = time.Now
	dir := s.k.path("merchant")
	settings, err := readMerchant(dir)
	if err != nil {
		s.k.t.Fatal(err)
	}
	settings.Gateway = "http://" + s.address + gateway.Path
	sealer, err := (&sealFlags{}).sealer(dir)
	if err != nil {
		s.k.t.Fatal(err)
	}
	if s.client, err = newClient(&live, dir, settings, sealer); err != nil {
		s.k.t.Fatal(err)
	}
}

// start runs the server and waits until it serves.
func (s *killed) start() {
	t := s.k.t
	t.Helper()
	s.process = exec.Command(s.k.binary, "serve", s.k.path("city"), "--listen", s.address)
	out, err := s.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var faults bytes.Buffer
	s.process.Stderr = &faults
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "Serving http://") {
		s.kill()
		t.Fatalf("the server says %q: %s", line, &faults)
	}
}

// kill ends the server as a power cut does.
func (s *killed) kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait() // it was killed: that is its error
}

// load lets merchants send until stop, which waits for them.
func (k *killing) load() (stop func()) {
	ctx, cancel := context.WithCancel(k.t.Context())
	var senders sync.WaitGroup
	for sender := range killSenders {
		senders.Go(func() { k.send(ctx, rand.New(rand.NewPCG(uint64(sender), 2))) })
	}
	return func() { cancel(); senders.Wait() }
}

// send settles trades at random, again and again, settled ones too, through any server.
func (k *killing) send(ctx context.Context, random *rand.Rand) {
	for ctx.Err() == nil {
		first := random.IntN(len(k.trades) - killBatch)
		batch := k.trades[first : first+killBatch]
		results, err := k.servers[random.IntN(len(k.servers))].client.Settle(ctx, batch)
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
func (k *killing) prove(kills int) {
	k.t.Helper()
	if len(k.answered) == 0 || k.faults == 0 {
		k.t.Fatalf("%d trades answered and %d requests lost: the load did not meet the kills", len(k.answered), k.faults)
	}
	acknowledged := len(k.answered)
	k.servers[0].start()
	for first := 0; first < len(k.trades); first += openapi.MaxTrades {
		results, err := k.servers[0].client.Settle(k.t.Context(), k.trades[first:min(first+openapi.MaxTrades, len(k.trades))])
		if err != nil {
			k.t.Fatal(err)
		}
		for _, result := range results {
			k.check(result)
		}
	}
	k.servers[0].kill()
	k.audit()
	k.t.Logf("%d kills: %d answers, %d requests lost, %d trades acknowledged before the end, all %d settled once",
		kills, k.answers, k.faults, acknowledged, len(k.answered))
}

func (k *killing) audit() {
	home, err := openCity(k.path("city"))
	if err != nil {
		k.t.Fatal(err)
	}
	b, err := home.openBooks(k.t.Context(), bookFlags{}, trust.WindowSmall, time.Now())
	if err != nil {
		k.t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Arrive(k.t.Context(), time.Now()); err != nil {
		k.t.Fatal(err)
	}
	report, err := b.Audit(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	for _, fault := range report.Faults {
		k.t.Error("audit: " + fault)
	}
	merchant, claims := payment.MerchantAccount("transit"), payment.ClaimsAccount
	accounts, err := b.Accounts(k.t.Context(), merchant, claims)
	if err != nil {
		k.t.Fatal(err)
	}
	paid, owed := accounts[merchant].Balance, accounts[claims].Balance
	if report.Trades != killRides || len(k.answered) != killRides || paid != killRides*killFare || owed != ridesOfPoor()*killFare || report.UnderWay != 0 {
		k.t.Errorf("%d rides: %d trades in the books, %d answered, %s paid, %s owed", killRides, report.Trades, len(k.answered), paid, owed)
	}
}

func ridesOfPoor() (count money.Fen) {
	for i := range killRides {
		if i%killUsers%3 == 0 {
			count++
		}
	}
	return count
}
