package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/shuama/shuama/edge/hsm"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/cardissuer"
)

type cardTypeCommand struct {
	Add     cardTypeAddCommand     `cmd:"" help:"Register a card type, or change its rules."`
	List    cardTypeListCommand    `cmd:"" help:"List the card types."`
	GateKey cardTypeGateKeyCommand `cmd:"" name:"gate-key" help:"Give a gate the key that opens a type's card data."`
}

type cardTypeAddCommand struct {
	Dir         string `arg:"" help:"The merchant's folder." type:"existingdir"`
	Type        string `arg:"" help:"The card type that the platform has allotted, as GJ310000."`
	Mode        string `help:"prepaid: rides are taken from what was topped up. postpaid: from the rider's payment account." enum:"prepaid,postpaid" default:"prepaid"`
	Title       string `help:"What riders call it." required:"" placeholder:"TEXT"`
	Template    string `help:"The template that was registered with the platform." placeholder:"NAME"`
	CityCode    string `help:"The city, 6 digits." placeholder:"CODE"`
	AgentID     string `help:"The agent (agent_id)." name:"agent-id" placeholder:"ID"`
	Discount    string `help:"The discount of these cards (discount_type)." placeholder:"TYPE"`
	MinBalance  string `help:"A card with less, in yuan, may not be shown." default:"0.01"`
	MaxBalance  string `help:"A top-up may not take a card higher, in yuan." default:"1000"`
	RevokeDays  int    `help:"Days for which late rides are waited for before a balance is given back." default:"14"`
	Seal        string `help:"Seal card data: aes-256-gcm or sm4-gcm. Without it card data is carried as it is given." placeholder:"ALGORITHM" enum:",aes-256-gcm,sm4-gcm" default:""`
	Institution string `help:"The code issuer's institution code: sealed card data is bound to it." default:"00000001"`
	Database    string `help:"With the first type: keep the book here, as postgres://user@host/cards. Without it: cards.db in the folder." placeholder:"URL"`
	sealFlags
}

// Help shows how it is used.
func (cardTypeAddCommand) Help() string {
	return `The type is first registered with the platform: shuama app card-type. A type is prepaid or postpaid for ever;
the rest may be changed by saying it again.

Examples:
  shuama card type add merchant GJ310000 --title 市民卡 --city-code 310000 --min-balance 2
  shuama card type add merchant GJ310001 --mode postpaid --title 乘车卡
  shuama card type add merchant GJ310002 --title 学生卡 --seal sm4-gcm`
}

// Run registers the type.
func (c *cardTypeAddCommand) Run(w *world) error {
	kind, err := c.kind()
	if err != nil {
		return err
	}
	if err := c.prepare(); err != nil {
		return err
	}
	return atCounter(w, c.Dir, c.sealFlags, func(at *counter) error {
		if err := at.RegisterType(w.context, rand.Text(), kind, w.now().UTC()); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w.stdout, "Registered card type %s, %s.\nNext: shuama card issue %s %s USER --number NO\n", kind.Type, strings.ToLower(string(kind.Mode)), c.Dir, c.Type)
		return err
	})
}

func (c *cardTypeAddCommand) kind() (cardissuer.CardType, error) {
	kind := cardissuer.CardType{Type: ridecode.CardType(c.Type), Mode: cardissuer.Postpaid, Title: c.Title, Template: c.Template, CityCode: c.CityCode,
		AgentID: c.AgentID, DiscountType: c.Discount}
	if c.Mode == "postpaid" {
		return kind, nil
	}
	least, err1 := money.ParseYuan(c.MinBalance)
	most, err2 := money.ParseYuan(c.MaxBalance)
	if err := errors.Join(err1, err2); err != nil {
		return kind, fmt.Errorf("--min-balance, --max-balance: %w", err)
	}
	if c.RevokeDays < 0 || c.RevokeDays > 3650 {
		return kind, errors.New("--revoke-days: not 0 to 3650")
	}
	kind.Mode, kind.MinBalanceFen, kind.MaxBalanceFen = cardissuer.Prepaid, least, most
	kind.RevokeWait = max(time.Duration(c.RevokeDays)*24*time.Hour, time.Second)
	return kind, nil
}

// prepare makes the book with the first type, and a type's key, once.
func (c *cardTypeAddCommand) prepare() (err error) {
	unlock, err := lockFolder(c.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if _, err := readMerchant(c.Dir); err != nil {
		return fmt.Errorf("%s is not a merchant's folder: %w", c.Dir, err)
	}
	settings := cardSettings{Institution: c.Institution, CardData: []cardKeySettings{}}
	if isCardIssuer(c.Dir) {
		if err := readJSON(filepath.Join(c.Dir, cardSettingsFile), &settings); err != nil {
			return err
		}
	} else if err := c.makeBook(&settings); err != nil {
		return err
	}
	if c.Database != "" && c.Database != settings.Database {
		return errors.New("--database: the book is kept elsewhere already, and is not moved")
	}
	if _, err := parseInstitution(settings.Institution); err != nil {
		return fmt.Errorf("--institution: %w", err)
	}
	has := slices.ContainsFunc(settings.CardData, func(s cardKeySettings) bool { return s.CardType == c.Type })
	if c.Seal != "" && !has {
		if err := c.makeKey(&settings); err != nil {
			return err
		}
	}
	return writeJSON(filepath.Join(c.Dir, cardSettingsFile), settings)
}

// makeBook makes the book with the first type, or sees that the database can keep it.
func (c *cardTypeAddCommand) makeBook(settings *cardSettings) error {
	if settings.Database = c.Database; c.Database == "" {
		return makeBooks(filepath.Join(c.Dir, cardBookFile))
	}
	_, db, err := settings.openBook(c.Dir)
	if err != nil {
		return err
	}
	return db.Close()
}

func (c *cardTypeAddCommand) makeKey(settings *cardSettings) error {
	if !form.IsAlphanumeric(c.Type) { // it names a file
		return fmt.Errorf("card type %q: letters and digits only, where its card data is sealed", c.Type)
	}
	key := make([]byte, map[string]int{"aes-256-gcm": 32, "sm4-gcm": 16}[c.Seal])
	rand.Read(key)
	sealer, err := c.sealer(c.Dir)
	if err != nil {
		return err
	}
	entry := cardKeySettings{CardType: c.Type, Algorithm: c.Seal, KeyID: 1, Sealed: "card-" + c.Type + ".sealed"}
	settings.CardData = append(settings.CardData, entry)
	return hsm.WriteSealed(filepath.Join(c.Dir, entry.Sealed), sealer, []byte(hex.EncodeToString(key)))
}

type cardTypeListCommand struct {
	Dir string `arg:"" help:"The merchant's folder." type:"existingdir"`
	sealFlags
}

// Help shows how it is used.
func (cardTypeListCommand) Help() string { return "Example:\n  shuama card type list merchant" }

// Run lists them.
func (c *cardTypeListCommand) Run(w *world) error {
	return atCounter(w, c.Dir, c.sealFlags, func(at *counter) error {
		types, err := at.Types(w.context)
		for _, t := range types {
			fmt.Fprintf(w.stdout, "%s  %-8s  %s", t.Type, t.Mode, t.Title)
			if t.Mode == cardissuer.Prepaid {
				fmt.Fprintf(w.stdout, "  shown from %s yuan, holds up to %s, given back %s after it is revoked", t.MinBalanceFen.Yuan(), t.MaxBalanceFen.Yuan(), t.RevokeWait)
			}
			fmt.Fprintln(w.stdout)
		}
		return err
	})
}

type cardTypeGateKeyCommand struct {
	Dir         string `arg:"" help:"The merchant's folder." type:"existingdir"`
	Type        string `arg:"" help:"The card type."`
	Gate        string `arg:"" help:"The gate's folder." type:"existingdir"`
	GateKeyFile string `help:"The key file of the gate. Without it: sealing.key in its folder." placeholder:"FILE"`
	sealFlags
}

// Help shows how it is used.
func (cardTypeGateKeyCommand) Help() string {
	return `The gate then takes cards of this type only with card data that was sealed for this very card (document 1 §5.2
step 5). The key is sealed with the gate's own.

Example:
  shuama card type gate-key merchant GJ310002 gate`
}

// Run hands the key over.
func (c *cardTypeGateKeyCommand) Run(w *world) error {
	var settings cardSettings
	if err := readJSON(filepath.Join(c.Dir, cardSettingsFile), &settings); err != nil {
		return err
	}
	at := slices.IndexFunc(settings.CardData, func(s cardKeySettings) bool { return s.CardType == c.Type })
	if at < 0 {
		return fmt.Errorf("card data of type %s is not sealed: there is no key to give", c.Type)
	}
	entry := settings.CardData[at]
	key, err := entry.unseal(c.Dir, c.sealFlags)
	if err != nil {
		return err
	}
	sealer, err := sealFlags{KeyFile: c.GateKeyFile}.sealer(c.Gate)
	if err != nil {
		return err
	}
	if err := hsm.ReplaceSealed(filepath.Join(c.Gate, entry.Sealed), sealer, []byte(hex.EncodeToString(key.Bytes))); err != nil {
		return err
	}
	return c.tellGate(w, entry)
}

func (c *cardTypeGateKeyCommand) tellGate(w *world, entry cardKeySettings) error {
	gate := defaultGate("")
	path := filepath.Join(c.Gate, "terminal.json")
	if err := readJSON(path, &gate); err != nil {
		return err
	}
	gate.CardData = slices.DeleteFunc(gate.CardData, func(s cardKeySettings) bool { return s.CardType == c.Type && s.KeyID == entry.KeyID })
	gate.CardData = append(gate.CardData, entry)
	if err := writeJSON(path, gate); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w.stdout, "Gate %s opens card data of type %s.\n", gate.POSID, c.Type)
	return err
}
