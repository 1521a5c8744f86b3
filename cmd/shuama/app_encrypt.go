package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/shuama/shuama/edge/hsm"
	"github.com/shuama/shuama/protocol/openapi"
)

type appEncryptCommand struct {
	Dir   string `arg:"" help:"The city's folder." type:"existingdir"`
	AppID string `arg:"" help:"The app." name:"app-id"`
	Out   string `help:"Write the key here, for the merchant." placeholder:"FILE" xor:"what"`
	Off   bool   `help:"Take the key away: contents come in the clear again." xor:"what"`
	sealFlags
}

// Help shows how it is used.
func (appEncryptCommand) Help() string {
	return `The key is one line of base64: encryptKey, aesKey or 内容加密密钥 in the settings of clients. The city keeps it
sealed. A new key takes the place of the old one at once.

Examples:
  shuama app encrypt city 2021000000000001 --out content.key
  shuama app encrypt city 2021000000000001 --off`
}

// Run makes the key.
func (c *appEncryptCommand) Run(w *world) error {
	if c.Off == (c.Out != "") {
		return errors.New("say where the key goes: --out FILE, or --off")
	}
	if _, err := os.Lstat(c.Out); err == nil {
		return fmt.Errorf("%s is there already: name a new file for the key", c.Out)
	}
	sealer, err := c.sealer(c.Dir)
	if err != nil {
		return err
	}
	return changeCity(c.Dir, func(home *city) error {
		if _, err := home.app(c.AppID); err != nil {
			return err
		}
		sealed, err := home.readContents(sealer)
		if err != nil {
			return err
		}
		delete(sealed, c.AppID)
		if !c.Off {
			raw := make([]byte, openapi.ContentKeySize)
			rand.Read(raw)
			sealed[c.AppID] = base64.StdEncoding.EncodeToString(raw)
			if err := replaceFile(c.Out, []byte(sealed[c.AppID]+"\n"), 0o600); err != nil {
				return err
			}
		}
		if err := home.writeContents(sealer, sealed); err != nil {
			return err
		}
		_, err = fmt.Fprintf(w.stdout, "Contents of app %s %s. %s\n", c.AppID, map[bool]string{true: "come in the clear", false: "may be encrypted with the key in " + c.Out}[c.Off], takenUp)
		return err
	})
}

// readContents opens contents.sealed: keys by app, in base64.
func (c *city) readContents(sealer hsm.Sealer) (map[string]string, error) {
	content, err := hsm.ReadSealed(c.path("contents.sealed"), sealer)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	keys := map[string]string{}
	if json.Unmarshal(content, &keys) != nil {
		return nil, errors.New("contents.sealed: what was sealed is not a list of keys")
	}
	return keys, nil
}

func (c *city) writeContents(sealer hsm.Sealer, keys map[string]string) error {
	content, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	return hsm.ReplaceSealed(c.path("contents.sealed"), sealer, content)
}

// contentKeys are those of a server, which can unseal them.
func (c *city) contentKeys() (map[string]*openapi.ContentKey, error) {
	if c.sealer == nil {
		return nil, nil
	}
	sealed, err := c.readContents(c.sealer)
	if err != nil {
		return nil, err
	}
	keys := map[string]*openapi.ContentKey{}
	for app, text := range sealed {
		if keys[app], err = openapi.ParseContentKey(text); err != nil {
			return nil, fmt.Errorf("contents.sealed: app %s: %w", app, err)
		}
	}
	return keys, nil
}
