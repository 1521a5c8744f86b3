//go:build cgo

package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/protocol/record"
)

// maxSignerFileSize bounds a key file, in bytes.
const maxSignerFileSize = 4096

// signer makes the integrity value of this terminal's records.
type signer struct {
	record.IntegritySigner
	byCall bool // set by set_pos_signer: a key file does not replace it
}

// recordForm is how records are written. Without a key of its own the terminal writes what terminals
// of 2018 write, version 2 with the legacy value: whoever checks those records today can check these.
func (s *signer) recordForm() (record.Version, string, record.IntegritySigner) {
	if s == nil || s.Algorithm() == record.LegacyHMACMD5 {
		return record.Version2, version, record.Legacy{}
	}
	return record.Version1, "", s.IntegritySigner
}

// recordSize is how long the record of a tap will be, in bytes: header, then each part with its length
// (document 1 §7.2; wire-facts).
func (s *signer) recordSize(t tap) int {
	version, software, integrity := s.recordForm()
	size := 2 + 2 + len(t.code) + 2 + len(t.posParam) + 2 + 4 + 2 + integrity.IntegritySize()
	if version == record.Version2 {
		size += 2 + len(software)
	}
	return size
}

// parseSigner makes the signer of set_pos_signer. Errors never repeat the key.
func parseSigner(algorithm string, key []byte) (record.IntegritySigner, error) {
	switch record.Algorithm(algorithm) {
	case record.LegacyHMACMD5:
		if len(key) > 0 {
			return nil, errors.New("signer: hmac-md5-user-id takes no key")
		}
		return record.Legacy{}, nil
	case record.HMACSHA256:
		return record.NewSharedKey(key)
	case record.ECDSASHA256:
		private, err := secp256k1.ParsePrivateKey(key)
		if err != nil {
			return nil, errors.New("signer: the key is not a private key of secp256k1, 32 bytes")
		}
		return record.TerminalSigner{Private: private}, nil
	}
	return nil, fmt.Errorf("signer: the algorithm is none of %s, %s, %s", record.LegacyHMACMD5, record.HMACSHA256, record.ECDSASHA256)
}

// readSigner reads a key file: one line, ALGORITHM=HEX.
func readSigner(path string) (record.IntegritySigner, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("signer: %w", err)
	}
	if info.Size() > maxSignerFileSize {
		return nil, fmt.Errorf("signer: %s: longer than %d bytes", path, maxSignerFileSize)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("signer: %w", err)
	}
	defer clear(content)
	algorithm, keyHex, _ := strings.Cut(string(bytes.TrimSpace(content)), "=")
	key, err := hex.DecodeString(keyHex)
	if err != nil {
		return nil, fmt.Errorf("signer: %s: the part after = is not hex", path)
	}
	made, err := parseSigner(algorithm, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return made, nil
}

// setSigner replaces the signer for every record from now on.
func (g *gate) setSigner(made record.IntegritySigner) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.signer = &signer{IntegritySigner: made, byCall: true}
	g.configure(g.configured)
}
