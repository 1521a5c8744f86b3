package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/hsm"
	"github.com/shuama/shuama/protocol/carddata"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/wallet"
)

const cardUser ridecode.UserID = "2088000011112222"

// A gate with the card issuer's key takes the card data that the issuer sealed for this very card, and
// tells what is over from what is another card's, and both from a key that it does not have.
func TestCardDataAtTheGate(t *testing.T) {
	c := newCardCity(t)
	now := time.Now().UTC()
	sealed := func(id carddata.KeyID, card carddata.Card, expires time.Time) []byte {
		rule, err := carddata.NewSealed([]carddata.Key{{ID: id, Algorithm: carddata.SM4GCM, Bytes: cardKey}}, id)
		if err != nil {
			t.Fatal(err)
		}
		data, err := rule.Seal(card, carddata.Content{Payload: []byte("month"), Expires: expires}, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	own := carddata.Card{Institution: ridecode.Quad{0, 0, 0, 1}, Type: ridecode.PlainCardType, No: "3100001", User: cardUser}
	other := own
	other.No = "3100002"
	for _, attempt := range []struct {
		name string
		data []byte
		want ridecode.Verdict
	}{
		{"this card's", sealed(1, own, now.Add(time.Hour)), ridecode.Success},
		{"over", sealed(1, own, now.Add(-time.Hour)), ridecode.CardDataInvalid},
		{"another card's", sealed(1, other, now.Add(time.Hour)), ridecode.CardDataInvalid},
		{"none", nil, ridecode.CardDataInvalid},
		{"an unknown key's", sealed(2, own, now.Add(time.Hour)), ridecode.QRCodeKeyExpired},
	} {
		if got := c.gate.tap(c.world, c.code(t, attempt.data)); got.Verdict != attempt.want {
			t.Errorf("%s: %s because %q, want %s", attempt.name, got.Verdict, got.Trace.Reason(), attempt.want)
		}
	}
}

var cardKey = bytes.Repeat([]byte{7}, 16)

type cardCity struct {
	world  *world
	gate   *gateRun
	issuer *codeissuer.Issuer
}

func newCardCity(t *testing.T) *cardCity {
	t.Helper()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	w := &world{context: context.Background(), stdin: strings.NewReader(""), stdout: io.Discard, stderr: &bytes.Buffer{}, now: time.Now}
	for _, command := range [][]string{
		{"keys", "init", path("city")}, {"keys", "app", path("city"), "2021000000000001", "--out", path("merchant")},
		{"keys", "terminal", path("city"), "2021000000000001", "bus", "--out", path("gate")}, {"account", "open", path("city"), string(cardUser)},
	} {
		if status := run(w, command); status != exitAccepted {
			t.Fatalf("shuama %v: %s", command, w.stderr)
		}
	}
	sealGateKey(t, path("gate"))
	gate, err := (&terminalCommand{Dir: path("gate"), Line: "19"}).open(w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gate.Close() })
	return &cardCity{world: w, gate: gate, issuer: openTestIssuer(t, w, path("city"))}
}

// sealGateKey gives a gate the card issuer's key, as a maintainer would.
func sealGateKey(t *testing.T, dir string) {
	t.Helper()
	sealer, err := sealFlags{}.sealer(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := hsm.WriteSealed(filepath.Join(dir, "card.sealed"), sealer, []byte(hex.EncodeToString(cardKey))); err != nil {
		t.Fatal(err)
	}
	settings := defaultGate("bus")
	settings.CardData = []cardKeySettings{{CardType: string(ridecode.PlainCardType), Algorithm: "sm4-gcm", KeyID: 1, Sealed: "card.sealed"}}
	if err := writeJSON(filepath.Join(dir, "terminal.json"), settings); err != nil {
		t.Fatal(err)
	}
}

func openTestIssuer(t *testing.T, w *world, dir string) *codeissuer.Issuer {
	t.Helper()
	home, err := openCity(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := home.openBooks(w.context, bookFlags{}, trust.WindowSmall, w.now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	sealer, err := sealFlags{}.sealer(dir)
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := home.openIssuer(sealer, b)
	if err != nil {
		t.Fatal(err)
	}
	return issuer
}

func (c *cardCity) code(t *testing.T, data []byte) []byte {
	t.Helper()
	now := time.Now().UTC()
	authorization, err := c.issuer.Authorize(t.Context(), codeissuer.Request{UserID: cardUser, CardNo: "3100001", CardData: data}, now)
	if err != nil {
		t.Fatal(err)
	}
	phone, err := wallet.New(authorization.Grant, authorization.UserKey)
	if err != nil {
		t.Fatal(err)
	}
	code, err := phone.Present(now)
	if err != nil {
		t.Fatal(err)
	}
	return code
}
