package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/edge/hsm"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/terminal"
	"github.com/shuama/shuama/role/wallet"
)

type demoCommand struct {
	Keep string `help:"Make the demo's city in this folder and leave it there, to look around in." placeholder:"DIR"`
}

// Help shows how it is used.
func (demoCommand) Help() string {
	return `Everything in it is real: keys, signatures, files, journals, HTTP. Only the clock is moved.

Examples:
  shuama demo
  shuama demo --keep /tmp/city`
}

// Who plays.
const (
	ming  ridecode.UserID = "2088000000000001" // has money
	hong  ridecode.UserID = "2088000000000002" // has less than her ride will cost
	appID                 = "2021000000000001"
)

// Run tells the story, in the order of docs/FLOW.md.
func (c *demoCommand) Run(w *world) (err error) {
	dir := c.Keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "shuama-demo-*"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	s := &story{outer: w, dir: dir, start: w.now().UTC().Truncate(time.Second)}
	defer func() { err = errors.Join(err, s.close()) }()
	for _, chapter := range []func() error{
		s.found, s.authorize, s.ride, s.refuse, s.upload, s.settle, s.restart, s.cards, s.balance,
	} {
		if err := chapter(); err != nil {
			return err
		}
	}
	if c.Keep != "" {
		s.say("\nThe city is in %s: try shuama account audit %s\n", dir, s.path("city"))
	}
	return nil
}

// story is the state of the demo between its chapters.
type story struct {
	outer  *world
	dir    string
	start  time.Time
	passed time.Duration // on the demo's clock

	home    *city
	sealer  hsm.Sealer
	server  *runningServer
	phones  map[ridecode.UserID]*wallet.Wallet
	gates   map[string]*gateRun
	records int
	sent    []openapi.Trade                        // as they went over the wire
	numbers map[openapi.OutTradeNo]openapi.TradeNo // of the settled ones
}

func (s *story) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

func (s *story) now() time.Time { return s.start.Add(s.passed) }

func (s *story) say(format string, args ...any) { fmt.Fprintf(s.outer.stdout, format, args...) }

// quiet is the world for commands that the story runs, with its clock and without their output.
func (s *story) quiet() *world {
	return &world{context: s.outer.context, stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, now: s.now}
}

// found makes the city, its merchant, three gates and two riders, by the commands that a user has.
func (s *story) found() error {
	s.say("1. A city is founded\n")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	url := "http://" + listener.Addr().String() + gateway.Path
	commands := [][]string{
		{"keys", "init", s.path("city")},
		{"keys", "app", s.path("city"), appID, "--merchant", "transit", "--out", s.path("merchant"), "--gateway", url},
		{"keys", "terminal", s.path("city"), appID, "BUS-19-07", "--out", s.path("bus")},
		{"keys", "terminal", s.path("city"), appID, "METRO-A-01", "--out", s.path("entry")},
		{"keys", "terminal", s.path("city"), appID, "METRO-B-01", "--out", s.path("exit")},
		{"account", "open", s.path("city"), string(ming)},
		{"account", "top-up", s.path("city"), string(ming), "50", "--number", "demo-1"},
		{"account", "open", s.path("city"), string(hong)},
		{"account", "top-up", s.path("city"), string(hong), "1.50", "--number", "demo-2"},
		{"account", "top-up", s.path("city"), "guarantee", "1000", "--number", "demo-3"},
	}
	for _, command := range commands {
		w := s.quiet()
		if status := run(w, command); status != exitAccepted {
			listener.Close()
			return fmt.Errorf("shuama %s: %s", strings.Join(command, " "), w.stderr)
		}
	}
	if s.home, err = openCity(s.path("city")); err != nil {
		return err
	}
	if s.sealer, err = (sealFlags{}).sealer(s.path("city")); err != nil {
		return err
	}
	s.say("   32 institution keys on secp256k1, sealed; a merchant with a bus and a metro; three gates, each with a key;\n")
	s.say("   Ming has 50.00 yuan, Hong 1.50, and a guarantee fund stands behind them.\n")
	return s.serve(listener)
}

// authorize gives each phone its grant, while it still has a network.
func (s *story) authorize() error {
	s.say("\n2. The phones fetch their authorizations, and go offline\n")
	issuer, err := s.home.openIssuer(s.sealer, s.server.books)
	if err != nil {
		return err
	}
	s.phones = map[ridecode.UserID]*wallet.Wallet{}
	for _, rider := range []ridecode.UserID{ming, hong} {
		authorization, err := issuer.Authorize(s.outer.context, codeissuer.Request{UserID: rider}, s.now())
		if err != nil {
			return err
		}
		if s.phones[rider], err = wallet.New(authorization.Grant, authorization.UserKey); err != nil {
			return err
		}
		grant := authorization.Grant.Grant()
		s.say("   %s: good until %s, codes good for %d s, up to %s a trade, signed by institution key %d\n",
			nameOf(rider), grant.Expires.Format("2006-01-02 15:04"), grant.ValidSec, grant.LimitFen, authorization.Grant.KeyID())
	}
	return nil
}

func nameOf(rider ridecode.UserID) string {
	return map[ridecode.UserID]string{ming: "Ming", hong: "Hong"}[rider]
}

// ride lets Ming take the bus and Hong the metro. Nobody here has a network.
func (s *story) ride() error {
	s.say("\n3. They ride: phone and gate are both offline\n")
	s.gates = map[string]*gateRun{}
	for name, command := range map[string]*terminalCommand{
		"bus":   {Dir: s.path("bus"), Line: "19", Amount: "2.00"},
		"entry": {Dir: s.path("entry"), Line: "metro2", Station: "人民广场", Kind: "ENTRY"},
		"exit":  {Dir: s.path("exit"), Line: "metro2", Station: "松江大学城", Kind: "EXIT", Amount: "6.00"},
	} {
		gate, err := command.open(s.quiet())
		if err != nil {
			return err
		}
		s.gates[name] = gate
	}
	if err := s.board(ming, "bus", "boards bus 19"); err != nil {
		return err
	}
	if err := s.board(hong, "entry", "enters the metro at 人民广场"); err != nil {
		return err
	}
	s.passed += 25 * time.Minute
	return s.board(hong, "exit", "leaves it at 松江大学城, 25 minutes later")
}

func (s *story) board(rider ridecode.UserID, gate, what string) error {
	code, err := s.phones[rider].Present(s.now())
	if err != nil {
		return err
	}
	begun := s.outer.now()
	got := s.tap(gate, code)
	took := s.outer.now().Sub(begun)
	if got.Verdict != ridecode.Success {
		return fmt.Errorf("the gate refuses %s: %s", nameOf(rider), got.Trace.Reason())
	}
	s.records++
	s.say("   %s %s: code %X… (%d bytes) -> %s, record of %d bytes synced to disk, gate open after %.2f ms\n",
		nameOf(rider), what, code[:6], len(code), got.Verdict, len(got.Record), float64(took.Microseconds())/1000)
	return nil
}

func (s *story) tap(gate string, code []byte) terminal.Acceptance {
	return s.gates[gate].tap(s.quiet(), code)
}

// refuse tries what one would try.
func (s *story) refuse() error {
	s.say("\n4. What is refused at the gate, and why\n")
	fresh, err := s.phones[ming].Present(s.now())
	if err != nil {
		return err
	}
	changed := bytes.Clone(fresh)
	changed[10] ^= 1
	used := fresh
	if got := s.tap("bus", fresh); got.Verdict != ridecode.Success {
		return fmt.Errorf("the gate refuses a fresh code: %s", got.Trace.Reason())
	}
	s.records++
	later, err := s.phones[ming].Present(s.now().Add(-11 * time.Minute))
	if err != nil {
		return err
	}
	for _, attempt := range []struct {
		what   string
		code   []byte
		change func(*gateRun)
	}{
		{"one bit of a code changed", changed, nil},
		{"a code that is 11 minutes old", later, nil},
		{"the same code twice", used, nil},
		{"a gate that takes another card", nil, func(g *gateRun) { g.settings.CardTypes = []string{"GJ310000"} }},
		{"a fare over the code's limit", nil, func(g *gateRun) { g.fareFen = 3500 }},
		{"a coupon from the supermarket", []byte("https://example.com/coupon"), nil},
	} {
		if err := s.attempt(attempt.what, attempt.code, attempt.change); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) attempt(what string, code []byte, change func(*gateRun)) error {
	gate := s.gates["bus"]
	settings, fareFen := gate.settings, gate.fareFen
	if change != nil {
		change(gate)
		gate.configure()
		s.passed += time.Second
		var err error
		if code, err = s.phones[ming].Present(s.now()); err != nil {
			return err
		}
	}
	got := s.tap("bus", code)
	if got.Verdict == ridecode.Success {
		return fmt.Errorf("the gate takes %s", what)
	}
	s.say("   %-32s %s (%d): %s\n", what+":", got.Verdict, got.Verdict, got.Trace.Reason())
	gate.settings, gate.fareFen = settings, fareFen
	gate.configure()
	return nil
}

// upload brings the journals to the merchant, one of them twice.
func (s *story) upload() error {
	s.say("\n5. The gates come back to the depot; the merchant takes their records\n")
	for name, gate := range s.gates {
		if err := gate.journal.Close(); err != nil {
			return fmt.Errorf("journal of %s: %w", name, err)
		}
	}
	s.gates = nil
	o, err := openOffice(s.path("merchant"), notSettling{})
	if err != nil {
		return err
	}
	defer o.Close()
	counts := map[merchant.Standing]int{}
	for _, gate := range []string{"exit", "bus", "entry", "bus"} {
		if err := collectJournal(s.quiet(), o, s.path(gate, "gate.journal"), counts); err != nil {
			return err
		}
	}
	if counts[merchant.Taken] != s.records || counts[merchant.SetAside] != 0 {
		return fmt.Errorf("%d records made, and the merchant has %v", s.records, counts)
	}
	s.say("   %d records taken, out of order; %d came twice and count once.\n", counts[merchant.Taken], counts[merchant.AlreadyHad])
	for trade, err := range o.Trades(s.outer.context, merchant.Waiting) {
		if err != nil {
			return err
		}
		s.say("   trade %s  %s  %s yuan (%s)\n", trade.OutTradeNo, trade.Subject, trade.AmountFen.Yuan(), trade.FareReason())
	}
	return nil
}

// settle sends the trades while the gateway is down, and again when it is up.
func (s *story) settle() error {
	s.say("\n6. Settlement over HTTP, signed both ways; the server is down at first\n")
	s.passed += 40 * time.Minute
	if err := s.server.stop(); err != nil {
		return err
	}
	report, err := s.settleDue()
	if err != nil {
		return err
	}
	if report.Fault == nil || report.Settled != 0 {
		return fmt.Errorf("the server is down, and yet: %+v", report)
	}
	s.say("   first try: no answer; %d trades are to be sent again at %s, unchanged\n", report.Postponed, report.NextDue.Format("15:04:05"))
	if err := s.serveAgain(); err != nil {
		return err
	}
	s.passed = report.NextDue.Sub(s.start)
	if report, err = s.settleDue(); err != nil {
		return err
	}
	s.say("   second try: %d sent, %d settled, %d failed\n", report.Sent, report.Settled, report.Failed)
	if report.Settled != s.records-1 || !report.NextDue.IsZero() {
		return fmt.Errorf("not every trade is final: %+v", report)
	}
	return nil
}

func (s *story) settleDue() (merchant.Report, error) {
	client, err := s.client()
	if err != nil {
		return merchant.Report{}, err
	}
	settler := &remembering{Settler: client}
	o, err := openOffice(s.path("merchant"), settler)
	if err != nil {
		return merchant.Report{}, err
	}
	defer o.Close()
	report, err := o.SettleDue(s.outer.context, s.now())
	s.sent = append(s.sent, settler.sent...)
	return report, err
}

func (s *story) client() (*gateway.Client, error) {
	return (&merchantSettleCommand{Dir: s.path("merchant")}).client(s.quiet())
}

// restart shows that nothing is lost with the process, and that a repeated request moves nothing.
func (s *story) restart() error {
	s.say("\n7. The server is restarted, and the merchant asks for everything once more\n")
	before, err := s.server.books.Audit(s.outer.context)
	if err != nil {
		return err
	}
	if err := errors.Join(s.server.stop(), s.serveAgain(), s.readNumbers()); err != nil {
		return err
	}
	again, err := s.resend(s.sent)
	if err != nil {
		return err
	}
	after, err := s.server.books.Audit(s.outer.context)
	if err != nil {
		return err
	}
	if after.Postings != before.Postings || after.Trades != before.Trades {
		return fmt.Errorf("the books changed: %d postings before, %d after", before.Postings, after.Postings)
	}
	s.say("   %d trades, the same trade numbers, no new posting. One of them with another amount: %s\n", len(s.sent), again)
	return nil
}

// readNumbers reads the trade numbers that the merchant was given.
func (s *story) readNumbers() error {
	o, err := openOffice(s.path("merchant"), notSettling{})
	if err != nil {
		return err
	}
	defer o.Close()
	s.numbers = map[openapi.OutTradeNo]openapi.TradeNo{}
	for trade, err := range o.Trades(s.outer.context, merchant.Settled) {
		if err != nil {
			return err
		}
		s.numbers[trade.OutTradeNo] = trade.TradeNo
	}
	return nil
}

// balance shows the books and their proof.
func (s *story) balance() error {
	s.say("\n9. The books, in yuan\n")
	report, err := s.server.books.Audit(s.outer.context)
	if err != nil {
		return err
	}
	s.say("%s", auditText(report, false))
	if len(report.Faults) > 0 {
		return errors.New("the books do not add up")
	}
	s.say("   Hong could not pay her metro ride: the guarantee fund did (document 1 §5.5.2), and she owes it.\n")
	return nil
}
