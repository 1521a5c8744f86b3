package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/edge/hsm"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/codeissuer"
)

type keysCommand struct {
	Init     keysInitCommand     `cmd:"" help:"Make a city: institution keys, platform key, empty books."`
	App      keysAppCommand      `cmd:"" help:"Register a merchant's app, and make the merchant's folder with its key."`
	Terminal keysTerminalCommand `cmd:"" help:"Make a terminal's signing key and register it."`
	List     keysListCommand     `cmd:"" help:"Print the institution's public keys, for terminals."`
	CA       keysCACommand       `cmd:"" name:"ca" help:"Make the authority and the platform's certificate, for certificate mode."`
}

type keysInitCommand struct {
	Dir         string `arg:"" help:"The city's folder; it must not hold one yet."`
	Institution string `help:"The institution code, 8 hex digits." default:"00000001"`
	sealFlags
}

// Help shows how it is used.
func (keysInitCommand) Help() string {
	return `Private keys are sealed before they touch the disk. Keep sealing.key somewhere else than a backup
of the folder, or use a passphrase: whoever has both has the keys.

Examples:
  shuama keys init city
  shuama keys init city --passphrase-file /run/secrets/city`
}

// Run makes the city.
func (c *keysInitCommand) Run(w *world) error {
	made := &city{dir: c.Dir, settings: citySettings{Institution: c.Institution, Apps: []appSettings{}, Trust: defaultTrust()}}
	if code, err := hex.DecodeString(c.Institution); err != nil || len(code) != 4 {
		return errors.New("--institution: not 8 hex digits (document 1 §6.3.2)")
	}
	if _, err := os.Stat(made.path("city.json")); err == nil {
		return fmt.Errorf("%s holds a city already: its keys are not overwritten", c.Dir)
	}
	if _, err := os.Stat(made.path("issuer.sealed")); err == nil {
		return fmt.Errorf("%s holds keys and no city: an earlier keys init was interrupted; remove the folder and start again", c.Dir)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	sealer, err := c.newSealer(c.Dir)
	if err != nil {
		return err
	}
	if err := errors.Join(made.makeSlots(sealer), made.makePlatformKey(sealer), made.makeAuthority(sealer), makeBooks(made.path("shuama.db"))); err != nil {
		return err
	}
	if err := made.save(); err != nil {
		return err
	}
	if _, err := made.publish(sealer, w.now().UTC().Truncate(time.Second), nil); err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "Made %s: %d institution keys and the platform's RSA key, sealed.\nNext: shuama keys app %s APP_ID --out merchant\n",
		c.Dir, codeissuer.SlotCount, c.Dir)
	return nil
}

func (c *city) makeSlots(sealer hsm.Sealer) error {
	var sealed sealedSlots
	var public []trust.Key
	for id := range codeissuer.SlotCount {
		private, err := secp256k1.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		sealed.Slots = append(sealed.Slots, sealedSlot{KeyID: uint8(id), Private: hex.EncodeToString(private.Bytes())})
		public = append(public, trust.Key{ID: ridecode.KeyID(id), Public: private.PublicKey()})
	}
	content, err := json.Marshal(sealed)
	if err != nil {
		return err
	}
	if err := hsm.WriteSealed(c.path("issuer.sealed"), sealer, content); err != nil {
		return err
	}
	return replaceFile(c.path("keys.json"), append(trust.AppendKeyList(nil, public), '\n'), 0o644)
}

func (c *city) makePlatformKey(sealer hsm.Sealer) error {
	public, err := makeRSA(c.path("platform.sealed"), sealer)
	if err != nil {
		return err
	}
	return replaceFile(c.path("platform.pub"), public, 0o644)
}

// makeRSA makes a pair, seals the private half, and answers with the public one in PEM.
func makeRSA(path string, sealer hsm.Sealer) ([]byte, error) {
	private, err := rsa.GenerateKey(rand.Reader, openapi.MinKeyBits)
	if err != nil {
		return nil, err
	}
	content, err := openapi.MarshalPrivateKey(private, openapi.PKCS8)
	if err != nil {
		return nil, err
	}
	if err := hsm.WriteSealed(path, sealer, content); err != nil {
		return nil, err
	}
	return openapi.MarshalPublicKey(&private.PublicKey)
}

type keysAppCommand struct {
	Dir       string `arg:"" help:"The city's folder." type:"existingdir"`
	AppID     string `arg:"" help:"The app's number (app_id)." name:"app-id"`
	Merchant  string `help:"The merchant's name in the books." default:"merchant"`
	Login     string `help:"The contract account's name (seller_login_name)." default:"merchant@example.com"`
	Out       string `help:"Make the merchant's folder here, with its key." placeholder:"DIR" xor:"whose"`
	PublicKey string `help:"Register this public key instead; the private one stays with the merchant." placeholder:"FILE" type:"existingfile" xor:"whose"`
	AllowSHA1 bool   `help:"Take sign_type RSA (SHA-1) too, for clients that know no other." name:"allow-sha1"`
	Gateway   string `help:"The gateway's address, for the merchant's folder." default:"http://127.0.0.1:8080/gateway.do"`

	CityName    string `help:"The city's name in ride data, for the merchant's folder." default:"本市" name:"city-name"`
	PartnerName string `help:"What riders call the merchant, for its folder. Without it: --merchant." name:"partner-name" placeholder:"NAME"`
	sealFlags
}

// Help shows how it is used.
func (keysAppCommand) Help() string {
	return `Examples:
  shuama keys app city 2021000000000001 --out merchant
  shuama keys app city 2021000000000002 --merchant metro --public-key metro.pub`
}

// Run registers the app.
func (c *keysAppCommand) Run(w *world) error {
	return changeCity(c.Dir, func(home *city) error { return c.register(w, home) })
}

func (c *keysAppCommand) register(w *world, home *city) error {
	if err := errors.Join(checkName("APP_ID", c.AppID), checkName("--merchant", c.Merchant), checkName("--login", c.Login)); err != nil {
		return err
	}
	if _, err := home.app(c.AppID); err == nil {
		return fmt.Errorf("app %s is registered already", c.AppID)
	}
	if slices.Contains(home.settings.RetiredApps, c.AppID) {
		return fmt.Errorf("app %s was removed: its trades stand under this number, so take another", c.AppID)
	}
	if c.Out == "" && c.PublicKey == "" {
		return errors.New("say whose key it is: --out DIR makes a merchant's folder, --public-key FILE takes the merchant's own")
	}
	public, err := c.publicKey(home)
	if err != nil {
		return err
	}
	if _, err := openapi.ParsePublicKey(string(public)); err != nil {
		return err
	}
	home.settings.Apps = append(home.settings.Apps, appSettings{AppID: c.AppID, Merchant: c.Merchant, LoginName: c.Login,
		PublicKey: openapi.BareKey(public), AllowSHA1: c.AllowSHA1, Terminals: []terminalSettings{}, Methods: methodNames()})
	if err := home.save(); err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "Registered app %s. A running gateway takes it up at once.\nNext: shuama keys terminal %s %s POS_ID --out gate\nWhat its client needs: shuama app show %s %s\n",
		c.AppID, c.Dir, c.AppID, c.Dir, c.AppID)
	return nil
}

func (c *keysAppCommand) publicKey(home *city) ([]byte, error) {
	if c.PublicKey != "" {
		content, err := os.ReadFile(c.PublicKey)
		if err != nil {
			return nil, err
		}
		key, err := openapi.ParsePublicKey(string(content))
		if err != nil {
			return nil, err
		}
		return openapi.MarshalPublicKey(key)
	}
	return makeMerchantFolder(home, c)
}

type keysTerminalCommand struct {
	Dir       string `arg:"" help:"The city's folder." type:"existingdir"`
	AppID     string `arg:"" help:"The app of the terminal's merchant." name:"app-id"`
	POSID     string `arg:"" help:"The terminal's number (pos_id)." name:"pos-id"`
	Out       string `help:"Make the terminal's folder here: its key sealed, and the key list." placeholder:"DIR" xor:"whose"`
	Integrity string `help:"Register this instead: hmac-md5-user-id, or ed25519=HEX or ecdsa-secp256k1-sha256=HEX with the terminal's public key." placeholder:"ALGORITHM[=HEX]" xor:"whose"`
	Merchant  string `help:"The merchant's folder: the terminal then brings its records to the depot by itself." placeholder:"DIR" type:"existingdir"`
	DepotURL  string `help:"Where the merchant serves terminals." default:"http://127.0.0.1:8090"`
	TrustURL  string `help:"Where the institution serves trust bundles." default:"http://127.0.0.1:8080"`
	sealFlags
}

// Help shows how it is used.
func (keysTerminalCommand) Help() string {
	return `hmac-md5-user-id is for terminals in the field that know nothing else: whoever has a code can make it.

Examples:
  shuama keys terminal city 2021000000000001 bus-19-07 --out gate
  shuama keys terminal city 2021000000000001 bus-19-08 --out gate8 --merchant merchant
  shuama keys terminal city 2021000000000001 old-01 --integrity hmac-md5-user-id`
}

// Run registers the terminal.
func (c *keysTerminalCommand) Run(w *world) error {
	return changeCity(c.Dir, func(home *city) error { return c.register(w, home) })
}

func (c *keysTerminalCommand) register(w *world, home *city) error {
	app, err := home.app(c.AppID)
	if err != nil {
		return err
	}
	if err := checkName("POS_ID", c.POSID); err != nil {
		return err
	}
	if c.Merchant != "" {
		if _, err := os.Stat(filepath.Join(c.Merchant, depotToken)); err != nil {
			return fmt.Errorf("--merchant: not a merchant's folder: %w", err)
		}
	}
	for _, t := range app.Terminals {
		if t.POSID == c.POSID {
			return fmt.Errorf("terminal %s is registered already", c.POSID)
		}
	}
	integrity, err := c.integrity(home)
	if err != nil {
		return err
	}
	app.Terminals = append(app.Terminals, terminalSettings{POSID: c.POSID, Integrity: integrity})
	if err := home.save(); err != nil {
		return err
	}
	if c.Merchant != "" {
		if err := addTerminal(c.Merchant, c.POSID, integrity); err != nil {
			return err
		}
	}
	fmt.Fprintf(w.stdout, "Registered terminal %s of app %s. A running gateway takes it up at once.\n", c.POSID, c.AppID)
	return nil
}

// integrity refuses shared secrets: city.json is no place for them.
func (c *keysTerminalCommand) integrity(home *city) (string, error) {
	if c.Out != "" {
		return makeTerminalFolder(home, c)
	}
	integrity, err := record.ParseIntegrity(c.Integrity)
	if err != nil {
		return "", fmt.Errorf("--integrity: %w", err)
	}
	if integrity.Algorithm() == record.HMACSHA256 {
		return "", errors.New("--integrity: a shared key would stand in city.json in the clear: use ed25519 with the terminal's public key")
	}
	return c.Integrity, nil
}

// makeTerminalFolder makes what a gate needs: its signing key, sealed, and the institution's key list.
func makeTerminalFolder(home *city, c *keysTerminalCommand) (string, error) {
	if err := os.MkdirAll(c.Out, 0o700); err != nil {
		return "", err
	}
	sealer, err := c.newSealer(c.Out)
	if err != nil {
		return "", err
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	if err := hsm.WriteSealed(filepath.Join(c.Out, "terminal.sealed"), sealer, []byte(hex.EncodeToString(private.Seed()))); err != nil {
		return "", err
	}
	_, bundle, err := home.Newest(context.Background())
	if err == nil && bundle == nil {
		err = fmt.Errorf("no trust bundle was published: run shuama trust publish %s", c.Dir)
	}
	if err != nil {
		return "", err
	}
	for name, content := range map[string]func() ([]byte, error){
		"trust.bundle":  func() ([]byte, error) { return bundle, nil },
		"authority.pub": func() ([]byte, error) { return os.ReadFile(home.path("authority.pub")) },
		"keys.json":     func() ([]byte, error) { return os.ReadFile(home.path("keys.json")) },
	} {
		b, err := content()
		if err == nil {
			err = replaceFile(filepath.Join(c.Out, name), b, 0o644)
		}
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s=%X", record.Ed25519, []byte(public)), c.writeSettings()
}

// writeSettings makes terminal.json, with the merchant's depot where its folder is given.
func (c *keysTerminalCommand) writeSettings() error {
	settings := defaultGate(c.POSID)
	if c.Merchant != "" {
		token, err := os.ReadFile(filepath.Join(c.Merchant, depotToken))
		if err != nil {
			return err
		}
		settings.UploadURL, settings.TrustURL = c.DepotURL, c.TrustURL
		if err := replaceFile(filepath.Join(c.Out, uploadToken), token, 0o600); err != nil {
			return err
		}
	}
	return writeJSON(filepath.Join(c.Out, "terminal.json"), settings)
}

type keysListCommand struct {
	Dir string `arg:"" help:"The city's folder." type:"existingdir"`
}

// Help shows how it is used.
func (keysListCommand) Help() string {
	return "Example:\n  shuama keys list city > keys.json"
}

// Run prints the list.
func (c *keysListCommand) Run(w *world) error {
	home, err := openCity(c.Dir)
	if err != nil {
		return err
	}
	keys, err := home.keyList()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w.stdout, "%s\n", trust.AppendKeyList(nil, keys))
	return err
}
