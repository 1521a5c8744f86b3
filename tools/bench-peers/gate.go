//go:build peers

package main

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"time"

	"github.com/shuama/shuama/curve/secp192k1"
	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/edge/journal"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/terminal"
	"github.com/shuama/shuama/role/wallet"
)

const (
	gateAccept    = "terminal.Accept, journal excluded"
	gateJournal   = "terminal.Accept, journal included (synced, time of the wall)"
	walletPresent = "wallet.Present"
)

// now is the moment of every tap.
var now = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

// gateContenders are whole operations of a gate and of a phone: what a rider waits for.
func gateContenders() ([]*contender, error) {
	g, err := newGate()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "bench-peers-*")
	if err != nil {
		return nil, err
	}
	file, err := journal.Open(filepath.Join(folder, "gate.journal"))
	if err != nil {
		return nil, err
	}
	return []*contender{
		{name: gateAccept, run: func(n int) int { return g.accept(n, forgetful{}) }},
		{name: gateJournal, run: func(n int) int { return g.accept(n, onDisk{file}) }, wall: true},
		{name: walletPresent, run: count(func(i int) bool {
			_, err := g.phones[i].Present(now.Add(time.Duration(i) * time.Second))
			return err == nil
		})},
	}, nil
}

// gate is a terminal's settings, and codes of as many phones and institution keys as all contenders use.
type gate struct {
	settings terminal.Settings
	phones   []*wallet.Wallet
	codes    [][]byte
}

func newGate() (*gate, error) {
	var issuers []*secp256k1.PrivateKey
	var list []trust.Key
	for id := range keyCount {
		issuer, err := secp256k1.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		issuers, list = append(issuers, issuer), append(list, trust.Key{ID: ridecode.KeyID(id), Public: issuer.PublicKey()})
	}
	ring, err := trust.NewKeyRing(list, trust.WindowFast)
	if err != nil {
		return nil, err
	}
	shared, err := record.NewSharedKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		return nil, err
	}
	g := &gate{settings: terminal.Settings{Keys: ring, CardTypes: []ridecode.CardType{ridecode.PlainCardType},
		Clock: ridecode.DefaultClock(), Signer: shared}}
	for i := range caseCount {
		if err := g.addPhone(ridecode.KeyID(i%keyCount), issuers[i%keyCount]); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (g *gate) addPhone(id ridecode.KeyID, issuer *secp256k1.PrivateKey) error {
	key, err := secp192k1.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	grant, err := ridecode.Grant{UserID: "2088000011112222", Expires: now.Add(time.Hour), ValidSec: 600, LimitFen: 3000,
		UserKey: ridecode.UserKey(key.PublicKey().Bytes()), CardType: ridecode.PlainCardType, CardNo: "2088000011112222"}.Sign(id, issuer)
	if err != nil {
		return err
	}
	phone, err := wallet.New(grant, key)
	if err != nil {
		return err
	}
	code, err := phone.Present(now)
	g.phones, g.codes = append(g.phones, phone), append(g.codes, code)
	return err
}

// accept takes n codes. The terminal is made anew when it has seen them all: it takes each once.
func (g *gate) accept(n int, kept terminal.Journal) int {
	tap := terminal.Tap{POSParam: []byte(`{"pos_id":"sh001","type":"SINGLE","subject":"bus192","record_id":"000001"}`), AmountFen: 200}
	var t *terminal.Terminal
	good := 0
	for i := range n {
		if i%caseCount == 0 {
			t = terminal.New(kept, 2*caseCount)
			t.Configure(g.settings)
		}
		if t.Accept(g.codes[i%caseCount], tap, now).Verdict == ridecode.Success {
			good++
		}
	}
	return good
}

// forgetful is a journal that costs nothing.
type forgetful struct{}

func (forgetful) Keep([]byte) error { return nil }

// onDisk is the real one.
type onDisk struct{ file *journal.Journal }

func (j onDisk) Keep(acceptance []byte) error {
	_, err := j.file.Append(1, acceptance)
	return err
}
