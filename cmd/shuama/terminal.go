package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/shuama/shuama/edge/depot"
	"github.com/shuama/shuama/edge/journal"
	"github.com/shuama/shuama/edge/prompt"
	"github.com/shuama/shuama/edge/reader"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/terminal"
)

// What a terminal's journal holds.
const (
	acceptanceKind journal.Kind = 1 // acceptance records
	refusalKind    journal.Kind = 2 // refused codes, as refusalDocument
	// Where a line does not go on offline, a record is pending until the payment institution has
	// answered, and then stands again as accepted, or as one whose gate stayed shut.
	pendingKind journal.Kind = 3
	shutKind    journal.Kind = 4
)

// rememberedCodes bounds a terminal's memory: ten minutes at two hundred riders a second.
const rememberedCodes = 120_000

type terminalCommand struct {
	Dir      string   `arg:"" help:"The terminal's folder: terminal.json, terminal.sealed, trust.bundle." type:"existingdir"`
	Input    []string `arg:"" optional:"" help:"Picture files, or - for standard input. Without any: the readers of terminal.json, or standard input." placeholder:"FILE|-"`
	Framing  string   `help:"Standard input is lines of hex or base64, or framed: raw bytes with a two-byte length." enum:"lines,framed" default:"lines"`
	Kind     string   `help:"SINGLE, ENTRY or EXIT." placeholder:"TYPE"`
	Line     string   `help:"The line."`
	Station  string   `help:"The station."`
	Amount   string   `help:"The fare, in yuan; none at a metro entry."`
	CardType []string `help:"A card type taken here, of those the trust bundle has; may be repeated."`
	JSON     bool     `help:"Answer in JSON lines." name:"json"`
	sealFlags
}

// Help shows how it is used.
func (terminalCommand) Help() string {
	return `Each accepted code is in DIR/gate.journal, synced, before SUCCESS is printed; refused ones are kept
there too. With upload_url and trust_url in terminal.json, records are brought to the merchant and newer
trust bundles fetched, whenever there is a network; the gate never waits for one.

terminal.json also names readers ("serial:/dev/ttyS1:115200:raw", "keyboard:/dev/input/by-id/…",
"folder:pictures"), voice ("zh", "en", "tone"), the hook that opens the gate, again_sec and companion_sec (how
soon one rider may come again, or bring somebody), codes_most, online_ms and time servers. Flags stand over the file.

Exit status: 0 all accepted, 1 some refused, 2 misuse.

Examples:
  shuama wallet show phone --hex | shuama terminal gate --line 19 --amount 2.00
  shuama terminal gate --line metro2 --station 人民广场 --kind ENTRY code.png
  shuama terminal gate --json < codes.txt`
}

// gateRun is a terminal at work.
type gateRun struct {
	*terminal.Terminal
	dir      string
	settings gateSettings
	base     terminal.Settings // without what the trust bundle says
	fareFen  money.Fen
	journal  *journal.Journal
	trust    *gateTrust // nil: keys.json alone
	clock    *gateClock
	depot    *depot.Client // nil: none
	issuer   *depot.Client // of trust bundles; nil: none
	voice    *prompt.Voice // nil: none
	hook     *prompt.Hook  // nil: none
	hooks    sync.WaitGroup

	answers sync.Mutex // one scan is judged and answered at a time
	json    bool
	refused bool
}

// Run reads codes until there are no more, or until it is told to stop.
func (c *terminalCommand) Run(w *world) (err error) {
	gate, err := c.open(w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, gate.Close()) }()
	source, err := c.source(w, gate.settings)
	if err != nil {
		return err
	}
	stop := gate.work(w)
	err = source.Run(w.context, func(scan reader.Scan) { gate.scan(w, scan) })
	stop()
	if err != nil {
		return err
	}
	if gate.refused {
		return refusal{}
	}
	return nil
}

func (c *terminalCommand) open(w *world) (*gateRun, error) {
	gate := &gateRun{dir: c.Dir, json: c.JSON, settings: defaultGate("")}
	if err := readJSON(filepath.Join(c.Dir, "terminal.json"), &gate.settings); err != nil {
		return nil, err
	}
	c.override(&gate.settings)
	if err := c.prepare(w, gate); err != nil {
		return nil, err
	}
	var err error
	if gate.journal, err = journal.Open(filepath.Join(c.Dir, "gate.journal")); err != nil {
		return nil, err
	}
	if torn := gate.journal.TornBytes(); torn > 0 {
		w.tell(fmt.Sprintf("cut %d bytes off the journal: a record that a power cut interrupted and no rider was let through with", torn))
	}
	gate.Terminal = terminal.New(journalKeeper{gate.journal, gate.keepAs()}, gate.settings.CodesMost)
	gate.configure()
	if err := gate.recall(gate.base.Clock, gate.clock.now()); err != nil {
		return nil, errors.Join(err, gate.Close())
	}
	return gate, nil
}

// tell says something to a terminal's keeper.
func (w *world) tell(what string) { fmt.Fprintln(w.stderr, "shuama:", what) }

// Close ends what the gate has started. The last rider's gate opens all the same.
func (g *gateRun) Close() error {
	g.hooks.Wait()
	var err error
	if g.voice != nil {
		err = g.voice.Close()
	}
	return errors.Join(err, g.journal.Close())
}

// configure hands the terminal its settings, the trust bundle's over the file's.
func (g *gateRun) configure() {
	settings := g.base
	if g.trust != nil {
		g.trust.apply(&settings)
	}
	if len(g.settings.CardTypes) > 0 { // what this line takes; the bundle is asked besides
		settings.CardTypes = nil
	}
	for _, cardType := range g.settings.CardTypes {
		settings.CardTypes = append(settings.CardTypes, ridecode.CardType(cardType))
	}
	g.Configure(settings)
}

// journalKeeper is the terminal's Journal on a synced file.
type journalKeeper struct {
	journal *journal.Journal
	kind    journal.Kind
}

// Keep answers once the record is on disk.
func (k journalKeeper) Keep(acceptance []byte) error {
	_, err := k.journal.Append(k.kind, acceptance)
	return err
}

func (g *gateRun) keepAs() journal.Kind {
	if g.settings.OnlineMs > 0 && g.settings.OnlineElse == "refuse" {
		return pendingKind
	}
	return acceptanceKind
}

// recall reads back what was accepted before a restart. A record that is pending still is one whose gate
// lost its power before it could open: nobody rode on it.
func (g *gateRun) recall(clock ridecode.ClockPolicy, now time.Time) error {
	var pending, last []byte
	err := g.journal.Replay(0, func(entry journal.Entry) error {
		switch entry.Kind {
		case acceptanceKind, shutKind:
			pending = nil
		case pendingKind:
			pending = entry.Payload
		default:
			return nil
		}
		last = entry.Payload
		return g.Recall(entry.Payload, clock, now)
	})
	if err == nil {
		err = g.ownJournal(last)
	}
	if err == nil && pending != nil {
		_, err = g.journal.Append(shutKind, pending)
	}
	return err
}

// ownJournal refuses another terminal's journal at the start, and not every rider later: its chain
// cannot be gone on with under another pos_id.
func (g *gateRun) ownJournal(last []byte) error {
	if !g.base.Chained {
		return nil
	}
	if _, err := record.Next(g.settings.POSID, last); err != nil {
		return fmt.Errorf("gate.journal: %w: put the journal away once its records were brought, or mend pos_id in terminal.json", err)
	}
	return nil
}

// scan judges what a reader found, and answers it.
func (g *gateRun) scan(w *world, scan reader.Scan) {
	g.answers.Lock()
	defer g.answers.Unlock()
	if scan.Err != nil {
		g.refused = true
		w.tell(fmt.Sprintf("%s: %v", scan.Source, scan.Err))
		g.answer(w, prompt.Unreadable(), "")
		if g.json {
			g.told(w, writeLine(w.stdout, tapJSON{Verdict: "UNREADABLE", Reason: scan.Err.Error()}))
		}
		return
	}
	g.tell(w, g.tap(w, scan.Payload))
}

// tap offers a code to the terminal, and keeps it where it is refused.
func (g *gateRun) tap(w *world, code []byte) terminal.Acceptance {
	now := g.clock.now()
	got := g.Accept(code, terminal.Tap{POSParam: g.posParam(now), AmountFen: g.fareFen}, now)
	if got.Verdict == ridecode.Success && g.settings.OnlineMs > 0 {
		got = g.decideOnline(w.context, w, got)
	}
	if got.Verdict != ridecode.Success {
		g.refused = true
		g.keepRefused(code, got, now)
	}
	return got
}

// posParam numbers the tap with the journal's next number: it is never used twice, restart or not.
func (g *gateRun) posParam(now time.Time) []byte {
	s := g.settings
	kind := record.Kind(s.Kind)
	if s.OnlineMs > 0 {
		kind = record.Online // the payment institution learns from it that its rider waits
	}
	return record.TerminalInfo{POSID: s.POSID, Kind: kind, Subject: subjectOf(s), Line: s.Line, Station: s.Station,
		RecordID: fmt.Sprintf("%s_%s_%08d", s.POSID, now.Format("20060102150405"), g.journal.LastSeq()+1)}.JSON()
}

func subjectOf(s gateSettings) string {
	if s.Station == "" {
		return s.Line
	}
	return s.Line + " " + s.Station
}

// How often a gate looks after itself.
const (
	trustEvery = 10 * time.Minute
	clockEvery = 10 * time.Minute
)

// work starts what goes on beside the codes: uploads, trust bundles, the clock. The answer stops it,
// after one last upload of what the last riders left.
func (g *gateRun) work(w *world) (stop func()) {
	ctx, cancel := context.WithCancel(w.context)
	var wait sync.WaitGroup
	if g.depot != nil {
		wait.Go(func() { g.upload(ctx, w) })
	}
	if g.trust != nil {
		wait.Go(func() { every(ctx, trustEvery, func() { g.refreshTrust(ctx, w); g.alarm(w) }) })
	}
	if g.depot != nil || len(g.settings.TimeServers) > 0 {
		wait.Go(func() { every(ctx, clockEvery, func() { g.measureClock(ctx, w) }) })
	}
	return func() { cancel(); wait.Wait() }
}

func every(ctx context.Context, interval time.Duration, do func()) {
	for ctx.Err() == nil {
		do()
		pause(ctx, interval)
	}
}

func (g *gateRun) refreshTrust(ctx context.Context, w *world) {
	if g.issuer == nil {
		return
	}
	changed, err := g.trust.refresh(ctx, g.issuer)
	if err != nil && ctx.Err() == nil {
		w.tell("trust: " + err.Error())
	}
	if changed {
		g.configure()
		w.tell("trust: now works with bundle " + g.trust.current().Report().String())
	}
}

// alarm tells a keeper in time that a bundle grows old, network or not: a list that nobody renews shuts
// every gate at once.
func (g *gateRun) alarm(w *world) {
	if age := g.trust.current().Staleness(g.clock.now()); age.Alarm || age.State != trust.Fresh {
		w.tell("trust: " + age.String())
	}
}

func (g *gateRun) measureClock(ctx context.Context, w *world) {
	if what := g.clock.measure(ctx, g.depot, g.settings.TimeServers, g.skewMost()); what != "" && ctx.Err() == nil {
		w.tell(what)
	}
}

// skewMost is the settings' limit, or the trust bundle's where that is narrower: the institution decides
// how far a gate's clock may be from its own.
func (g *gateRun) skewMost() time.Duration {
	most := g.settings.MaxSkewSec
	if g.trust != nil {
		most = min(most, int64(g.trust.current().Clock().MaxSkewSec))
	}
	return time.Duration(most) * time.Second
}
