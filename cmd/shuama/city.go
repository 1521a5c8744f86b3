package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/edge/hsm"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/payment"
)

// city is the folder of a code issuer that is also the payment institution, as it usually is
// (document 1 §5.5):
//
//	city.json        who may call: apps, and the terminals of each
//	keys.json        institution public keys, as key.query gives them
//	issuer.sealed    institution private keys
//	platform.sealed  the open platform's RSA key
//	platform.pub     its public half, for merchants
//	ca.sealed        the key of the authority for certificate mode, once shuama keys ca was run
//	ca.crt           its certificate, for merchants
//	platform.crt     the platform's own, for merchants
//	contents.sealed  the keys that contents are encrypted with, of apps that have one
//	authority.sealed the key that signs trust bundles
//	authority.pub    its public half, for terminals
//	stations.csv     where stations are, for risk rules, if it is there
//	trust/           the bundles, and what changed from one to the next
//	bills/           reconciliation files: APP_ID/trade-2026-05-11.csv.zip
//	shuama.db        the books
type city struct {
	dir      string
	settings citySettings
	sealer   hsm.Sealer // of a server: nil where nothing is unsealed
}

type citySettings struct {
	Institution string         `json:"institution"` // 机构编码, 8 hex digits
	Apps        []appSettings  `json:"apps"`
	RetiredApps []string       `json:"retired_apps,omitempty"` // removed: their trades stand, so nobody gets the number again
	Trust       trustSettings  `json:"trust"`
	Database    string         `json:"database,omitempty"`   // postgres://…, where the books are; empty: shuama.db
	RidersURL   string         `json:"riders_url,omitempty"` // where notices for riders go
	Payment     policySettings `json:"payment"`
}

type appSettings struct {
	AppID     string             `json:"app_id"`
	Merchant  string             `json:"merchant"`
	LoginName string             `json:"login_name"`
	PublicKey string             `json:"public_key"`           // RSA, one line of base64; empty for an app that uses certificates
	AllowSHA1 bool               `json:"allow_sha1,omitempty"` // sign_type RSA is taken too, for clients that know no other
	Terminals []terminalSettings `json:"terminals"`

	PreviousKey   string                `json:"previous_key,omitempty"` // is taken until PreviousUntil
	PreviousUntil time.Time             `json:"previous_until,omitzero"`
	Certificates  []certificateSettings `json:"certificates,omitempty"`
	Disabled      bool                  `json:"disabled,omitempty"`
	Methods       []string              `json:"methods"` // what it may call; null, as in older cities, is the first three
	CallsPerSec   int                   `json:"calls_per_sec,omitempty"`
	MethodCalls   map[string]int        `json:"method_calls_per_sec,omitempty"`
	NotifyURL     string                `json:"notify_url,omitempty"` // where notices of its trades go
	Addresses     []string              `json:"addresses,omitempty"`  // where its calls come from; none is anywhere
	CardTypes     []string              `json:"card_types,omitempty"` // whose virtual cards it sends

	CardTerms map[string]cardTermsSettings `json:"card_terms,omitempty"` // of its card types, by their name
}

type certificateSettings struct {
	SN          string    `json:"sn"`
	Certificate string    `json:"certificate"` // DER, one line of base64
	Revoked     time.Time `json:"revoked,omitzero"`
}

type terminalSettings struct {
	POSID     string `json:"pos_id"`
	Integrity string `json:"integrity"` // as record.ParseIntegrity reads it; public keys only
}

func openCity(dir string) (*city, error) {
	c := &city{dir: dir}
	err := readJSON(c.path("city.json"), &c.settings)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is not a city's folder: make one with shuama keys init %s", dir, dir)
	}
	return c, err
}

// changeCity opens a city to change its settings, alone.
func changeCity(dir string, change func(*city) error) (err error) {
	unlock, err := lockFolder(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	home, err := openCity(dir)
	if err != nil {
		return err
	}
	return change(home)
}

func (c *city) path(name string) string { return filepath.Join(c.dir, name) }

func (c *city) save() error { return writeJSON(c.path("city.json"), c.settings) }

func (c *city) app(id string) (*appSettings, error) {
	for i := range c.settings.Apps {
		if c.settings.Apps[i].AppID == id {
			return &c.settings.Apps[i], nil
		}
	}
	return nil, fmt.Errorf("no app %s in this city: see shuama app list, or register it with shuama keys app", id)
}

func (a *appSettings) payee() payment.Merchant {
	return payment.Merchant{App: payment.AppID(a.AppID), Account: payment.MerchantAccount(a.Merchant), LoginName: a.LoginName}
}

func (c *city) keyList() ([]trust.Key, error) { return readKeyList(c.path("keys.json")) }

// registeredTerminals is payment.TerminalKeys from the settings.
type registeredTerminals map[terminalName]record.Integrity

type terminalName struct {
	app   payment.AppID
	posID string
}

// TerminalIntegrity finds what checks a terminal's records.
func (r registeredTerminals) TerminalIntegrity(app payment.AppID, posID string) (record.Integrity, bool) {
	integrity, registered := r[terminalName{app, posID}]
	return integrity, registered
}

func (c *city) terminalKeys() (registeredTerminals, error) {
	registered := registeredTerminals{}
	for _, app := range c.settings.Apps {
		for _, t := range app.Terminals {
			integrity, err := record.ParseIntegrity(t.Integrity)
			if err != nil {
				return nil, fmt.Errorf("city.json: app %s, terminal %s: %w", app.AppID, t.POSID, err)
			}
			if integrity.Algorithm() == record.HMACSHA256 {
				return nil, fmt.Errorf("city.json: app %s, terminal %s: a shared key in the clear: use ed25519 with the terminal's public key", app.AppID, t.POSID)
			}
			registered[terminalName{payment.AppID(app.AppID), t.POSID}] = integrity
		}
	}
	return registered, nil
}

// sealedSlots is issuer.sealed once it is open.
type sealedSlots struct {
	Slots []sealedSlot `json:"slots"`
}

type sealedSlot struct {
	KeyID   uint8  `json:"key_id"`
	Private string `json:"private"`
}

// rotation is how long each institution key signs before the next slot's turn.
const rotation = 24 * time.Hour

// openIssuer unseals the institution keys. Users are qualified by the books, and so are their cards.
func (c *city) openIssuer(sealer hsm.Sealer, b *books) (*codeissuer.Issuer, error) {
	slots, err := c.unsealSlots(sealer)
	if err != nil {
		return nil, err
	}
	code, err := hex.DecodeString(c.settings.Institution)
	if err != nil || len(code) != 4 {
		return nil, errors.New("city.json: institution is not 8 hex digits (document 1 §6.3.2)")
	}
	return codeissuer.New(codeissuer.Config{Institution: ridecode.Quad(code), Slots: slots, Users: b, Risk: riskOfGrants{b}, Cards: b.cards, Random: rand.Reader,
		Active: codeissuer.RotateEvery(rotation), Terms: codeissuer.DefaultTerms()})
}

func (c *city) unsealSlots(sealer hsm.Sealer) ([]codeissuer.Slot, error) {
	content, err := hsm.ReadSealed(c.path("issuer.sealed"), sealer)
	if err != nil {
		return nil, err
	}
	var sealed sealedSlots
	if err := json.Unmarshal(content, &sealed); err != nil {
		return nil, errors.New("issuer.sealed: what was sealed is not a list of keys")
	}
	slots := make([]codeissuer.Slot, 0, len(sealed.Slots))
	for _, slot := range sealed.Slots {
		private, err := parsePrivate256(slot.Private)
		if err != nil {
			return nil, fmt.Errorf("issuer.sealed: key %d: %w", slot.KeyID, err)
		}
		slots = append(slots, codeissuer.Slot{ID: ridecode.KeyID(slot.KeyID), Public: private.PublicKey(), Signer: private})
	}
	return slots, nil
}

func parsePrivate256(text string) (*secp256k1.PrivateKey, error) {
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, errors.New("not hex")
	}
	return secp256k1.ParsePrivateKey(b)
}
