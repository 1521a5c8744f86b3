package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/shuama/shuama/edge/hsm"
	"github.com/shuama/shuama/edge/journal"
	"github.com/shuama/shuama/edge/scan"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/terminal"
)

// acceptanceKind marks acceptance records in a terminal's journal.
const acceptanceKind journal.Kind = 1

// rememberedCodes bounds a terminal's memory: ten minutes at two hundred riders a second.
const rememberedCodes = 120_000

// gateSettings is terminal.json in a terminal's folder, beside terminal.sealed and keys.json.
type gateSettings struct {
	POSID         string   `json:"pos_id"`
	Kind          string   `json:"type"`
	Line          string   `json:"line"`
	Station       string   `json:"station"`
	Amount        string   `json:"amount"` // yuan; empty: not known yet
	CardTypes     []string `json:"card_types"`
	RecordVersion uint8    `json:"record_version"` // 0: 1
}

type terminalCommand struct {
	Dir      string   `arg:"" help:"The terminal's folder: terminal.json, terminal.sealed, keys.json." type:"existingdir"`
	Input    []string `arg:"" optional:"" help:"Picture files, or - for lines of hex or base64 on standard input (the default)." placeholder:"FILE|-"`
	Kind     string   `help:"SINGLE, ENTRY or EXIT." placeholder:"TYPE"`
	Line     string   `help:"The line."`
	Station  string   `help:"The station."`
	Amount   string   `help:"The fare, in yuan; none at a metro entry."`
	CardType []string `help:"A card type taken here; may be repeated."`
	JSON     bool     `help:"Answer in JSON lines." name:"json"`
	sealFlags
}

// Help shows how it is used.
func (terminalCommand) Help() string {
	return `Each accepted code is in DIR/gate.journal, synced, before SUCCESS is printed. Settings of terminal.json
hold where no flag is given. Exit status: 0 all accepted, 1 some refused, 2 misuse.

Examples:
  shuama wallet show phone --hex | shuama terminal gate --line 19 --amount 2.00
  shuama terminal gate --line metro2 --station 人民广场 --kind ENTRY code.png`
}

// gateRun is a terminal at work.
type gateRun struct {
	*terminal.Terminal
	settings gateSettings
	fareFen  money.Fen
	journal  *journal.Journal
	json     bool
	refused  bool
}

// Run reads codes until there are no more.
func (c *terminalCommand) Run(w *world) (err error) {
	gate, err := c.open(w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, gate.journal.Close()) }()
	inputs := c.Input
	if len(inputs) == 0 {
		inputs = []string{"-"}
	}
	for _, input := range inputs {
		if err := gate.read(w, input); err != nil {
			return err
		}
	}
	if gate.refused {
		return refusal{}
	}
	return nil
}

func (c *terminalCommand) open(w *world) (*gateRun, error) {
	gate := &gateRun{json: c.JSON}
	if err := readJSON(filepath.Join(c.Dir, "terminal.json"), &gate.settings); err != nil {
		return nil, err
	}
	c.override(&gate.settings)
	if err := gate.checkSettings(); err != nil {
		return nil, err
	}
	settings, err := c.terminalSettings(gate.settings)
	if err != nil {
		return nil, err
	}
	if gate.journal, err = journal.Open(filepath.Join(c.Dir, "gate.journal")); err != nil {
		return nil, err
	}
	if torn := gate.journal.TornBytes(); torn > 0 {
		fmt.Fprintf(w.stderr, "shuama: cut %d bytes off the journal: a record that a power cut interrupted and no rider was let through with\n", torn)
	}
	gate.Terminal = terminal.New(journalKeeper{gate.journal}, rememberedCodes)
	gate.Configure(settings)
	return gate, gate.recall(settings.Clock, w.now().UTC())
}

func (c *terminalCommand) override(settings *gateSettings) {
	for _, flag := range []struct {
		value  string
		target *string
	}{{c.Kind, &settings.Kind}, {c.Line, &settings.Line}, {c.Station, &settings.Station}, {c.Amount, &settings.Amount}} {
		if flag.value != "" {
			*flag.target = flag.value
		}
	}
	if len(c.CardType) > 0 {
		settings.CardTypes = c.CardType
	}
	if settings.Kind == "" {
		settings.Kind = string(record.Single)
	}
}

func (g *gateRun) checkSettings() (err error) {
	switch record.Kind(g.settings.Kind) {
	case record.Single, record.Entry, record.Exit:
	default:
		return errors.New("type: none of SINGLE, ENTRY, EXIT")
	}
	if g.settings.Amount != "" {
		if g.fareFen, err = money.ParseYuan(g.settings.Amount); err != nil {
			return fmt.Errorf("amount: %w", err)
		}
	}
	return nil
}

func (c *terminalCommand) terminalSettings(gate gateSettings) (terminal.Settings, error) {
	signer, err := c.signer()
	if err != nil {
		return terminal.Settings{}, err
	}
	ring, err := readKeyRing(filepath.Join(c.Dir, "keys.json"), trust.WindowFast)
	if err != nil {
		return terminal.Settings{}, err
	}
	settings := terminal.Settings{Keys: ring, Clock: ridecode.DefaultClock(), Signer: signer,
		Version: record.Version(gate.RecordVersion), Software: "shuama"}
	for _, cardType := range gate.CardTypes {
		settings.CardTypes = append(settings.CardTypes, ridecode.CardType(cardType))
	}
	return settings, nil
}

func (c *terminalCommand) signer() (record.IntegritySigner, error) {
	sealer, err := c.sealer(c.Dir)
	if err != nil {
		return nil, err
	}
	content, err := hsm.ReadSealed(filepath.Join(c.Dir, "terminal.sealed"), sealer)
	if err != nil {
		return nil, err
	}
	private, err := parsePrivate256(string(content))
	if err != nil {
		return nil, fmt.Errorf("terminal.sealed: %w", err)
	}
	return record.TerminalSigner{Private: private}, nil
}

// journalKeeper is the terminal's Journal on a synced file.
type journalKeeper struct{ journal *journal.Journal }

// Keep answers once the record is on disk.
func (k journalKeeper) Keep(acceptance []byte) error {
	_, err := k.journal.Append(acceptanceKind, acceptance)
	return err
}

// recall reads back the codes that were accepted before a restart and still hold.
func (g *gateRun) recall(clock ridecode.ClockPolicy, now time.Time) error {
	return g.journal.Replay(0, func(entry journal.Entry) error {
		if entry.Kind != acceptanceKind {
			return nil
		}
		return g.Recall(entry.Payload, clock, now)
	})
}

func (g *gateRun) read(w *world, input string) error {
	if input != "-" {
		return g.readPicture(w, input)
	}
	lines := bufio.NewReader(w.stdin)
	for w.context.Err() == nil {
		line, err := scan.ReadLine(lines)
		if errors.Is(err, io.EOF) {
			return nil
		}
		var code []byte
		if err == nil {
			code, _, err = scan.ParseText(line)
		}
		if err != nil {
			g.unreadable(w, err)
			continue
		}
		if err := g.tap(w, code); err != nil {
			return err
		}
	}
	return nil
}

func (g *gateRun) readPicture(w *world, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	found, err := scan.DecodePicture(file)
	if err != nil {
		g.unreadable(w, fmt.Errorf("%s: %w", path, err))
		return nil
	}
	for _, symbol := range found {
		if err := g.tap(w, symbol.Payload); err != nil {
			return err
		}
	}
	return nil
}

// unreadable is a scan that gave no bytes: the gate stays shut and goes on.
func (g *gateRun) unreadable(w *world, err error) {
	g.refused = true
	fmt.Fprintln(w.stderr, "shuama:", err)
}

// tap offers a code to the terminal and tells the answer.
func (g *gateRun) tap(w *world, code []byte) error {
	now := w.now().UTC()
	got := g.Accept(code, terminal.Tap{POSParam: g.posParam(now), AmountFen: g.fareFen}, now)
	g.refused = g.refused || got.Verdict != ridecode.Success
	if g.json {
		return writeTapJSON(w.stdout, got)
	}
	_, err := fmt.Fprintln(w.stdout, tapText(got))
	return err
}

// posParam numbers the tap with the journal's next number: it is never used twice, restart or not.
func (g *gateRun) posParam(now time.Time) []byte {
	s := g.settings
	return record.TerminalInfo{POSID: s.POSID, Kind: record.Kind(s.Kind), Subject: subjectOf(s), Line: s.Line, Station: s.Station,
		RecordID: fmt.Sprintf("%s_%s_%08d", s.POSID, now.Format("20060102150405"), g.journal.LastSeq()+1)}.JSON()
}

func subjectOf(s gateSettings) string {
	if s.Station == "" {
		return s.Line
	}
	return s.Line + " " + s.Station
}

func tapText(got terminal.Acceptance) string {
	if got.Verdict != ridecode.Success {
		return fmt.Sprintf("%s (%d)  %s\n  %s", got.Verdict, got.Verdict, got.Trace.Reason(), adviceOf(got.Verdict))
	}
	grant := got.Code.Grant
	return fmt.Sprintf("SUCCESS (1)  user %s, card %s %s; record of %d bytes is on disk", grant.UserID, grant.CardType, grant.CardNo.Mask(), len(got.Record))
}

// tapJSON is one line of terminal --json.
type tapJSON struct {
	Verdict  string `json:"verdict"`
	Number   int    `json:"verdict_number"`
	Reason   string `json:"reason,omitempty"`
	UserID   string `json:"user_id,omitempty"`
	CardType string `json:"card_type,omitempty"`
	CardNo   string `json:"card_no,omitempty"`
	Record   string `json:"record,omitempty"`
}

func writeTapJSON(out io.Writer, got terminal.Acceptance) error {
	line := tapJSON{Verdict: got.Verdict.String(), Number: int(got.Verdict), Reason: got.Trace.Reason()}
	if got.Code != nil {
		grant := got.Code.Grant
		line.UserID, line.CardType, line.CardNo = string(grant.UserID), string(grant.CardType), string(grant.CardNo)
		line.Record = hex.EncodeToString(got.Record)
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(line)
}
