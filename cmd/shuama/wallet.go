package main

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/shuama/shuama/curve/secp192k1"
	"github.com/shuama/shuama/edge/hsm"
	"github.com/shuama/shuama/edge/scan"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/wallet"
)

type walletCommand struct {
	Fetch walletFetchCommand `cmd:"" help:"Get a grant from the code issuer into a wallet file."`
	Show  walletShowCommand  `cmd:"" help:"Show the ride code of this moment."`
}

// walletDocument is what a wallet file seals.
type walletDocument struct {
	Grant string `json:"grant"`
	Key   string `json:"key"`
}

type walletFetchCommand struct {
	Dir      string `arg:"" help:"The city's folder." type:"existingdir"`
	User     string `arg:"" help:"The user's number."`
	Out      string `help:"The wallet's folder, to be made." required:"" placeholder:"DIR"`
	CardType string `help:"The card type." default:"ANT00001"`
	CardNo   string `help:"The card number. Without it: the user's number."`
	Limit    string `help:"The single-trade limit in yuan. Without it: the issuer's."`
	CityKey  string `help:"The key file of the city. Without it: sealing.key in its folder." placeholder:"FILE" xor:"city"`
	CityPass string `help:"The file with the city's passphrase, where it is sealed with one." name:"city-passphrase-file" placeholder:"FILE" type:"existingfile" xor:"city"`
	bookFlags
	sealFlags
}

// Help shows how it is used.
func (walletFetchCommand) Help() string {
	return `The issuer makes the user's key (document 1 §8.2.1). The wallet's folder seals it with a key of its own.

Example:
  shuama wallet fetch city 2088000011112222 --out phone`
}

// Run asks for a grant and keeps it.
func (c *walletFetchCommand) Run(w *world) error {
	request := codeissuer.Request{UserID: ridecode.UserID(c.User), CardType: ridecode.CardType(c.CardType), CardNo: ridecode.CardNo(c.CardNo)}
	if c.Limit != "" {
		limitFen, err := money.ParseYuan(c.Limit)
		if err != nil {
			return fmt.Errorf("--limit: %w", err)
		}
		if limitFen == 0 {
			return errors.New("--limit: 0: no trade could be made with it")
		}
		request.Terms.LimitFen = limitFen
	}
	authorization, err := c.authorize(w, request)
	if err != nil {
		return err
	}
	if err := c.keep(authorization); err != nil {
		return err
	}
	grant := authorization.Grant.Grant()
	if asked := cmp.Or(request.Terms.LimitFen, codeissuer.DefaultTerms().LimitFen); grant.LimitFen < asked {
		fmt.Fprintf(w.stdout, "Risk rules allow less than was asked for: %s a trade, codes good for %d s. Why: shuama risk show %s %s\n", grant.LimitFen, grant.ValidSec, c.Dir, c.User)
	}
	fmt.Fprintf(w.stdout, "The wallet may show codes without a network until %s.\nNext: shuama wallet show %s\n",
		grant.Expires.Format(time.RFC3339), c.Out)
	return nil
}

func (c *walletFetchCommand) authorize(w *world, request codeissuer.Request) (codeissuer.Authorization, error) {
	home, err := openCity(c.Dir)
	if err != nil {
		return codeissuer.Authorization{}, err
	}
	b, err := home.openBooks(w.context, c.bookFlags, trust.WindowSmall, w.now())
	if err != nil {
		return codeissuer.Authorization{}, err
	}
	defer b.Close()
	sealer, err := sealFlags{KeyFile: c.CityKey, PassphraseFile: c.CityPass}.sealer(c.Dir)
	if err != nil {
		return codeissuer.Authorization{}, err
	}
	issuer, err := home.openIssuer(sealer, b)
	if err != nil {
		return codeissuer.Authorization{}, err
	}
	authorization, err := issuer.Authorize(w.context, request, w.now().UTC())
	if told := new(codeissuer.NotQualified); errors.As(err, &told) {
		return authorization, err
	}
	if errors.Is(err, codeissuer.ErrNotQualified) {
		return authorization, fmt.Errorf("%w: open an account with shuama account open, or pay what is owed", err)
	}
	return authorization, err
}

func (c *walletFetchCommand) keep(authorization codeissuer.Authorization) error {
	if err := os.MkdirAll(c.Out, 0o700); err != nil {
		return err
	}
	sealer, err := c.newSealer(c.Out)
	if err != nil {
		return err
	}
	content, err := json.Marshal(walletDocument{Grant: hex.EncodeToString(authorization.Grant.Bytes()),
		Key: hex.EncodeToString(authorization.UserKey.Bytes())})
	if err != nil {
		return err
	}
	return hsm.ReplaceSealed(filepath.Join(c.Out, "wallet.sealed"), sealer, content)
}

type walletShowCommand struct {
	Dir   string `arg:"" help:"The wallet's folder." type:"existingdir"`
	PNG   string `help:"Write the QR picture here too." placeholder:"FILE" name:"png"`
	Hex   bool   `help:"Print the code's bytes in hex instead of a QR symbol."`
	Plain bool   `help:"Draw without colours, for a dark terminal."`
	sealFlags
}

// Help shows how it is used.
func (walletShowCommand) Help() string {
	return `Examples:
  shuama wallet show phone
  shuama wallet show phone --png code.png
  shuama wallet show phone --hex | shuama terminal gate -`
}

// Run shows the code.
func (c *walletShowCommand) Run(w *world) error {
	phone, err := c.open()
	if err != nil {
		return err
	}
	now := w.now().UTC()
	code, err := phone.Present(now)
	if err != nil {
		return err
	}
	symbol, err := scan.QR(code, scan.L)
	if err != nil {
		return err
	}
	if c.PNG != "" {
		if err := writePNG(c.PNG, symbol); err != nil {
			return err
		}
	}
	return c.print(w, phone, symbol, code, now)
}

func (c *walletShowCommand) open() (*wallet.Wallet, error) {
	sealer, err := c.sealer(c.Dir)
	if err != nil {
		return nil, err
	}
	content, err := hsm.ReadSealed(filepath.Join(c.Dir, "wallet.sealed"), sealer)
	if err != nil {
		return nil, err
	}
	var document walletDocument
	if err := json.Unmarshal(content, &document); err != nil {
		return nil, errors.New("wallet.sealed: what was sealed is not a wallet")
	}
	grant, grantErr := hex.DecodeString(document.Grant)
	key, keyErr := hex.DecodeString(document.Key)
	if grantErr != nil || keyErr != nil {
		return nil, errors.New("wallet.sealed: what was sealed is not a wallet")
	}
	signed, err := ridecode.ParseSignedGrant(grant)
	if err != nil {
		return nil, err
	}
	phone, err := secp192k1.ParsePrivateKey(key)
	if err != nil {
		return nil, err
	}
	return wallet.New(signed, phone)
}

func (c *walletShowCommand) print(w *world, phone *wallet.Wallet, symbol *scan.Symbol, code []byte, now time.Time) error {
	if c.Hex {
		_, err := fmt.Fprintf(w.stdout, "%X\n", code)
		return err
	}
	picture := symbol.ANSI()
	if c.Plain {
		picture = symbol.Text()
	}
	grant := phone.Grant()
	_, err := fmt.Fprintf(w.stdout, "%s\nShown at %s, good for %d s; card %s %s, up to %s a trade.\n",
		picture, now.Format(time.RFC3339), grant.ValidSec, grant.CardType, grant.CardNo.Mask(), grant.LimitFen)
	return err
}

// pngModulePx is large enough for a camera at arm's length.
const pngModulePx = 6

func writePNG(path string, symbol *scan.Symbol) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(symbol.PNG(file, pngModulePx), file.Close())
}
