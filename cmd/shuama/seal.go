package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/shuama/shuama/edge/hsm"
)

// sealFlags says what private keys on disk are sealed with.
type sealFlags struct {
	KeyFile        string `help:"The key file that seals private keys. Without it: sealing.key beside them." placeholder:"FILE"`
	PassphraseFile string `help:"Seal with the passphrase in this file instead." placeholder:"FILE" type:"existingfile" xor:"seal"`
}

// sealer finds the key file or passphrase for a folder of sealed files.
func (f sealFlags) sealer(dir string) (hsm.Sealer, error) {
	if f.PassphraseFile != "" {
		content, err := os.ReadFile(f.PassphraseFile)
		if err != nil {
			return nil, err
		}
		return hsm.PassphraseSealer(string(bytes.TrimRight(content, "\r\n")))
	}
	return hsm.KeyFileSealer(f.keyFile(dir))
}

// newSealer is sealer, with a key file made where there is none yet.
func (f sealFlags) newSealer(dir string) (hsm.Sealer, error) {
	if f.PassphraseFile == "" {
		if _, err := os.Stat(f.keyFile(dir)); errors.Is(err, fs.ErrNotExist) {
			if err := hsm.NewKeyFile(f.keyFile(dir)); err != nil {
				return nil, err
			}
		}
	}
	return f.sealer(dir)
}

func (f sealFlags) keyFile(dir string) string {
	if f.KeyFile != "" {
		return f.KeyFile
	}
	return filepath.Join(dir, "sealing.key")
}
