package main

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
)

type appRotateKeyCommand struct {
	Dir               string        `arg:"" help:"The city's folder." type:"existingdir"`
	AppID             string        `arg:"" help:"The app." name:"app-id"`
	PublicKey         string        `help:"The new public key." placeholder:"FILE" type:"existingfile" xor:"what"`
	Merchant          string        `help:"A merchant's folder that shuama has made: a new key is made there." placeholder:"DIR" type:"existingdir" xor:"what"`
	Finish            bool          `help:"Drop the old key now." xor:"what"`
	Keep              time.Duration `help:"How long the old key goes on. 0: not at all, as when it was stolen." default:"168h"`
	LeaveCertificates bool          `help:"Go back from certificates to this key."`
	sealFlags
}

// Help shows how it is used.
func (appRotateKeyCommand) Help() string {
	return `Two keys hold at once, so that the servers of a merchant need not change theirs in the same moment. The seal
flags are the merchant's, and only for --merchant.

Examples:
  shuama app rotate-key city 2021000000000001 --public-key new.pub
  shuama app rotate-key city 2021000000000001 --finish
  shuama app rotate-key city 2021000000000001 --public-key new.pub --keep 0s`
}

// Run takes the new key.
func (c *appRotateKeyCommand) Run(w *world) error {
	if c.Keep < 0 || c.Finish && c.LeaveCertificates {
		return errors.New("--keep is not negative, and --finish leaves no certificates")
	}
	err := changeApp(w, c.Dir, c.AppID, func(_ *city, app *appSettings) (string, error) {
		if c.Finish {
			app.PreviousKey, app.PreviousUntil = "", time.Time{}
			return fmt.Sprintf("The old key of app %s is dropped.", c.AppID), nil
		}
		key, err := c.newKey()
		if err != nil {
			return "", err
		}
		return c.rotate(app, key, w.now().UTC().Truncate(time.Second))
	})
	if err != nil || c.Merchant == "" {
		return err
	}
	return os.Rename(c.nextKey(), filepath.Join(c.Merchant, "merchant.sealed"))
}

func (c *appRotateKeyCommand) nextKey() string {
	return filepath.Join(c.Merchant, "merchant.next.sealed")
}

// newKey reads or makes it. One that was made for a rotation that was interrupted is gone, and made anew.
func (c *appRotateKeyCommand) newKey() (*rsa.PublicKey, error) {
	if c.Merchant == "" && c.PublicKey == "" {
		return nil, errors.New("say which key: --public-key FILE, or --merchant DIR, or --finish")
	}
	path := c.PublicKey
	content, err := os.ReadFile(path)
	if c.Merchant != "" {
		sealer, errSealer := c.sealer(c.Merchant)
		if errSealer != nil {
			return nil, errSealer
		}
		if err := os.Remove(c.nextKey()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		content, err = makeRSA(c.nextKey(), sealer)
	}
	if err != nil {
		return nil, err
	}
	return openapi.ParsePublicKey(string(content))
}

// rotate refuses a key that is there already.
func (c *appRotateKeyCommand) rotate(app *appSettings, key *rsa.PublicKey, now time.Time) (string, error) {
	content, err := openapi.MarshalPublicKey(key)
	if err != nil {
		return "", err
	}
	bare := openapi.BareKey(content)
	if app.holdsCertificate() && !c.LeaveCertificates {
		return "", fmt.Errorf("app %s uses certificates: issue it a new one with shuama app certificate, or say --leave-certificates", c.AppID)
	}
	if bare == app.PublicKey || bare == app.PreviousKey {
		return "", errors.New("this key is registered already")
	}
	if err := app.refuseRevoked(key); err != nil {
		return "", err
	}
	app.Certificates = slices.DeleteFunc(app.Certificates, func(c certificateSettings) bool { return c.Revoked.IsZero() })
	app.retire(c.Keep, now)
	app.PublicKey = bare
	return fmt.Sprintf("App %s has a new key; the old one holds for %s.", c.AppID, c.Keep), nil
}

// retire makes the key the previous one for a while.
func (a *appSettings) retire(keep time.Duration, now time.Time) {
	if a.PublicKey != "" {
		a.PreviousKey, a.PreviousUntil, a.PublicKey = a.PublicKey, now.Add(keep), ""
	}
	if keep == 0 {
		a.PreviousKey, a.PreviousUntil = "", time.Time{}
	}
}
