package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/shuama/shuama/edge/depot"
	"github.com/shuama/shuama/edge/hsm"
	"github.com/shuama/shuama/edge/prompt"
	"github.com/shuama/shuama/edge/reader"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/carddata"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/terminal"
)

// gateSettings is terminal.json in a terminal's folder.
type gateSettings struct {
	POSID         string   `json:"pos_id"`
	Kind          string   `json:"type"` // SINGLE, ENTRY, EXIT
	Line          string   `json:"line"`
	Station       string   `json:"station"`
	Amount        string   `json:"amount"`         // yuan; empty: not known yet
	CardTypes     []string `json:"card_types"`     // empty: all that the trust bundle has
	RecordVersion uint8    `json:"record_version"` // 0: 1
	AgainSec      int64    `json:"again_sec"`      // how soon one rider may come again, whatever code he shows
	CompanionSec  int64    `json:"companion_sec"`  // 禁止带人: how long a rider may bring nobody along; 0: companions are allowed
	CodesMost     int      `json:"codes_most"`     // how many accepted codes are remembered, so that none opens twice

	Readers     []string          `json:"readers"`
	Voice       []string          `json:"voice"`        // zh, en, tone; empty: silent
	VoiceOutput string            `json:"voice_output"` // a file or pipe that gets WAV, instead of a loudspeaker
	Hook        []string          `json:"hook"`         // opens the gate; a program and its arguments
	HookMs      int               `json:"hook_ms"`      // how long it may take; 0: 3000
	CardData    []cardKeySettings `json:"card_data"`

	OnlineMs   int    `json:"online_ms"`   // how long a rider waits for the payment institution; 0: offline
	OnlineElse string `json:"online_else"` // open, refuse: what to do without its answer

	UploadURL   string   `json:"upload_url"` // the merchant's depot
	TrustURL    string   `json:"trust_url"`  // the institution
	TimeServers []string `json:"time_servers"`
	MaxSkewSec  int64    `json:"max_skew_sec"` // the largest correction of the clock without a word
}

// cardKeySettings is a key that opens the card data of one card type.
type cardKeySettings struct {
	CardType  string `json:"card_type"`
	Algorithm string `json:"algorithm"` // aes-256-gcm, sm4-gcm
	KeyID     uint8  `json:"key_id"`
	Sealed    string `json:"sealed"` // a sealed file in the terminal's folder with the key in hex
}

// uploadToken is the file with the token that the terminal shows to the depot.
const uploadToken = "upload.token"

func defaultGate(posID string) gateSettings {
	return gateSettings{POSID: posID, Kind: string(record.Single), CardTypes: []string{}, CodesMost: rememberedCodes, Readers: []string{},
		Voice: []string{}, Hook: []string{}, CardData: []cardKeySettings{}, OnlineElse: "open", TimeServers: []string{}, MaxSkewSec: 60}
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
}

// prepare makes all of a gate that its settings ask for, but the journal.
func (c *terminalCommand) prepare(w *world, gate *gateRun) (err error) {
	if err := gate.check(); err != nil {
		return err
	}
	if err := c.connect(w, gate); err != nil {
		return err
	}
	if gate.trust, err = openTrust(w.context, c.Dir, gate.issuer); err != nil {
		return err
	}
	if gate.base, err = c.baseSettings(gate); err != nil {
		return err
	}
	gate.clock = &gateClock{machine: w.now}
	return gate.answerWith(w)
}

func (g *gateRun) check() (err error) {
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
	if g.settings.OnlineMs > 0 && (g.settings.UploadURL == "" || g.settings.OnlineElse != "open" && g.settings.OnlineElse != "refuse") {
		return errors.New("terminal.json: online_ms: needs upload_url, and online_else to be open or refuse")
	}
	if g.settings.OnlineMs > 0 && (g.settings.Kind != string(record.Single) || g.fareFen == 0) {
		return errors.New("terminal.json: online_ms: only a SINGLE tap with an amount is a whole trade that can be settled online")
	}
	if g.settings.RecordVersion > 2 || g.settings.HookMs < 0 || g.settings.OnlineMs < 0 || g.settings.MaxSkewSec < 0 {
		return errors.New("terminal.json: record_version is 0, 1 or 2; hook_ms, online_ms and max_skew_sec are 0 or more")
	}
	for name, text := range map[string]string{"upload_url": g.settings.UploadURL, "trust_url": g.settings.TrustURL} {
		if text != "" && !strings.HasPrefix(text, "http://") && !strings.HasPrefix(text, "https://") {
			return fmt.Errorf("terminal.json: %s: not an http address", name)
		}
	}
	if g.settings.AgainSec < 0 || g.settings.CompanionSec < 0 || g.settings.CodesMost < 1 {
		return errors.New("terminal.json: again_sec and companion_sec are 0 or more, codes_most is 1 or more")
	}
	if g.settings.POSID == "" {
		return errors.New("terminal.json: pos_id: empty; records without it belong to no terminal")
	}
	return nil
}

func (c *terminalCommand) baseSettings(gate *gateRun) (terminal.Settings, error) {
	signer, err := c.signer()
	if err != nil {
		return terminal.Settings{}, err
	}
	settings := terminal.Settings{Clock: ridecode.DefaultClock(), Signer: signer, Chained: true, AgainSec: max(gate.settings.AgainSec, gate.settings.CompanionSec),
		Version: record.Version(gate.settings.RecordVersion), Software: "shuama"}
	if settings.Rules, err = c.cardRules(gate.settings.CardData); err != nil {
		return terminal.Settings{}, err
	}
	if gate.trust != nil {
		settings.Clock = gate.trust.current().Clock().Policy
		return settings, nil
	}
	settings.Keys, err = readKeyRing(filepath.Join(c.Dir, "keys.json"), trust.WindowFast)
	return settings, err
}

func (c *terminalCommand) signer() (record.IntegritySigner, error) {
	seed, err := c.unsealHex("terminal.sealed")
	if err != nil {
		return nil, err
	}
	return record.NewEd25519Signer(seed)
}

// unsealHex opens a sealed key that is hex inside.
func (c *terminalCommand) unsealHex(name string) ([]byte, error) {
	sealer, err := c.sealer(c.Dir)
	if err != nil {
		return nil, err
	}
	content, err := hsm.ReadSealed(filepath.Join(c.Dir, name), sealer)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(content)))
	if err != nil {
		return nil, fmt.Errorf("%s: what was sealed is not a key in hex", name)
	}
	return key, nil
}

func (c *terminalCommand) cardRules(list []cardKeySettings) ([]terminal.Rule, error) {
	if len(list) == 0 {
		return nil, nil
	}
	keys := map[ridecode.CardType][]carddata.Key{}
	for _, s := range list {
		algorithm, err := cardAlgorithm(s.Algorithm)
		if err != nil {
			return nil, err
		}
		key, err := c.unsealHex(s.Sealed)
		if err != nil {
			return nil, err
		}
		cardType := ridecode.CardType(s.CardType)
		keys[cardType] = append(keys[cardType], carddata.Key{ID: carddata.KeyID(s.KeyID), Algorithm: algorithm, Bytes: key})
	}
	rules := cardDataRule{}
	for cardType, list := range keys {
		rule, err := carddata.NewSealed(list, list[0].ID)
		if err != nil {
			return nil, err
		}
		rules[cardType] = rule
	}
	return []terminal.Rule{rules}, nil
}

func cardAlgorithm(name string) (carddata.Algorithm, error) {
	switch name {
	case "aes-256-gcm":
		return carddata.AES256GCM, nil
	case "sm4-gcm":
		return carddata.SM4GCM, nil
	}
	return 0, fmt.Errorf("terminal.json: card_data: algorithm %q is none of aes-256-gcm, sm4-gcm", name)
}

// cardDataRule opens the card data of the types that have a rule (document 1 §5.2 step 5).
type cardDataRule map[ridecode.CardType]carddata.Rule

const checkCardData = "card_data"

// Ask notes whether the card data is the card issuer's, of this card, and not over.
func (r cardDataRule) Ask(code *ridecode.Code, _ terminal.Tap, now time.Time, trace *ridecode.Trace) {
	rule, agreed := r[code.Grant.CardType]
	if !agreed {
		return
	}
	_, err := rule.Open(carddata.CardOf(&code.Grant), code.Grant.CardData, now)
	switch {
	case err == nil:
		trace.Pass(checkCardData, "the card issuer's, and of this card")
	case errors.Is(err, carddata.UnknownKey):
		trace.Fail(checkCardData, ridecode.QRCodeKeyExpired, err.Error())
	default:
		trace.Fail(checkCardData, ridecode.CardDataInvalid, err.Error())
	}
}

// networkTimeout bounds one call of a gate to anybody.
const networkTimeout = 20 * time.Second

func (c *terminalCommand) connect(w *world, gate *gateRun) error {
	client := &http.Client{Timeout: networkTimeout}
	if gate.settings.TrustURL != "" {
		gate.issuer = &depot.Client{URL: gate.settings.TrustURL, HTTP: client, Now: w.now}
	}
	if gate.settings.UploadURL == "" {
		return nil
	}
	token, err := os.ReadFile(filepath.Join(c.Dir, uploadToken))
	if err != nil {
		return fmt.Errorf("upload_url is set, so the depot's token is needed: %w", err)
	}
	gate.depot = &depot.Client{URL: gate.settings.UploadURL, Token: strings.TrimSpace(string(token)), HTTP: client, Now: w.now}
	return nil
}

// answerWith makes the voice and the hook.
func (g *gateRun) answerWith(w *world) (err error) {
	if len(g.settings.Voice) > 0 {
		settings := prompt.VoiceSettings{Output: g.settings.VoiceOutput, Trouble: func(err error) { w.tell("voice: " + err.Error()) }}
		for _, language := range g.settings.Voice {
			settings.Languages = append(settings.Languages, prompt.Language(language))
		}
		if g.voice, err = prompt.NewVoice(settings); err != nil {
			return fmt.Errorf("voice: %w", err)
		}
	}
	if len(g.settings.Hook) > 0 {
		g.hook, err = prompt.NewHook(prompt.HookSettings{Command: g.settings.Hook, Timeout: time.Duration(g.settings.HookMs) * time.Millisecond})
	}
	return err
}

// source is where codes come from: the command's arguments, or else the file's readers, or else
// standard input.
func (c *terminalCommand) source(w *world, settings gateSettings) (reader.Source, error) {
	if len(c.Input) == 0 && len(settings.Readers) > 0 {
		return readersOf(w, settings.Readers)
	}
	standard := reader.Lines(w.stdin, "standard input")
	if c.Framing == "framed" {
		standard = reader.Framed(w.stdin, "standard input")
	}
	if len(c.Input) == 0 || len(c.Input) == 1 && c.Input[0] == "-" {
		return standard, nil
	}
	for _, path := range c.Input {
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
	}
	return reader.Pictures(c.Input...), nil
}

func readersOf(w *world, names []string) (reader.Source, error) {
	var sources []reader.Source
	for _, name := range names {
		open, err := readerOf(name)
		if err != nil {
			return nil, fmt.Errorf("terminal.json: readers: %q: %w", name, err)
		}
		tell := func(err error) {
			if err == nil {
				err = errors.New("is back")
			}
			w.tell(name + ": " + err.Error())
		}
		sources = append(sources, reader.Debounce(reader.Reopening(open, reader.Backoff{}, tell), sameSight))
	}
	return reader.Together(sources...), nil
}

// sameSight is how long a code that stays before a camera counts as one showing.
const sameSight = time.Second

// folderEvery is how often a watched folder is looked at.
const folderEvery = 200 * time.Millisecond

// readerOf reads "serial:/dev/ttyS1:115200:raw:30ms:cr", "keyboard:PATH" or "folder:PATH".
func readerOf(name string) (func() (reader.Source, error), error) {
	kind, rest, _ := strings.Cut(name, ":")
	switch kind {
	case "keyboard":
		return func() (reader.Source, error) { return reader.Keyboard(rest) }, nil
	case "folder":
		return func() (reader.Source, error) { return reader.Folder(rest, folderEvery) }, nil
	case "serial":
		path, rest, _ := strings.Cut(rest, ":")
		baud, framingText, _ := strings.Cut(rest, ":")
		rate, err := strconv.Atoi(baud)
		if err != nil {
			return nil, errors.New("not of the form serial:PATH:BAUD:FRAMING")
		}
		framing, err := reader.ParseFraming(framingText)
		if err != nil {
			return nil, err
		}
		return func() (reader.Source, error) { return reader.Serial(path, rate, framing) }, nil
	}
	return nil, errors.New("none of serial:…, keyboard:…, folder:…")
}
