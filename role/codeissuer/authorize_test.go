package codeissuer_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/shuama/shuama/curve/secp192k1"
	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/wallet"
)

var now = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

// registered users may ride; anybody else may not.
type registered map[ridecode.UserID]bool

func (r registered) MayRide(_ context.Context, user ridecode.UserID, _ time.Time) (bool, error) {
	if user == "fault-of-server-" {
		return false, errors.New("the database is away")
	}
	return r[user], nil
}

func slots(t *testing.T, count int) []codeissuer.Slot {
	t.Helper()
	list := make([]codeissuer.Slot, count)
	for i := range list {
		private, err := secp256k1.ParsePrivateKey(bytes.Repeat([]byte{byte(i + 1)}, 32))
		if err != nil {
			t.Fatal(err)
		}
		list[i] = codeissuer.Slot{ID: ridecode.KeyID(i), Public: private.PublicKey(), Signer: private}
	}
	return list
}

func newIssuer(t *testing.T, policy codeissuer.KeyPolicy) *codeissuer.Issuer {
	t.Helper()
	return newIssuerWith(t, policy, nil)
}

func newIssuerWith(t *testing.T, policy codeissuer.KeyPolicy, cards codeissuer.CardBook) *codeissuer.Issuer {
	t.Helper()
	issuer, err := codeissuer.New(codeissuer.Config{Institution: ridecode.Quad{0, 0, 0, 1}, Slots: slots(t, 32), Active: policy, Cards: cards,
		Terms: codeissuer.DefaultTerms(), Users: registered{"2088000011112222": true}, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return issuer
}

// Each of the 32 slots signs in its turn, and a terminal with the issuer's list takes the codes.
func TestEverySlotInItsTurn(t *testing.T) {
	issuer := newIssuer(t, codeissuer.RotateEvery(24*time.Hour))
	ring, err := trust.NewKeyRing(issuer.Keys(), trust.WindowSmall)
	if err != nil {
		t.Fatal(err)
	}
	used := map[ridecode.KeyID]bool{}
	for day := range 32 {
		at := now.AddDate(0, 0, day)
		authorization, err := issuer.Authorize(t.Context(), codeissuer.Request{UserID: "2088000011112222"}, at)
		if err != nil {
			t.Fatal(err)
		}
		phone, err := wallet.New(authorization.Grant, authorization.UserKey)
		if err != nil {
			t.Fatal(err)
		}
		code, err := phone.Present(at)
		if err != nil {
			t.Fatal(err)
		}
		if read, trace := ridecode.Examine(code, ring, at, ridecode.DefaultClock()); read == nil {
			t.Errorf("day %d: %s", day, trace.Reason())
		}
		used[authorization.Grant.KeyID()] = true
	}
	if len(used) != 32 {
		t.Errorf("%d keys used in 32 days", len(used))
	}
}

func TestWhatAGrantHolds(t *testing.T) {
	kept, cards := register()
	kept[codeissuer.CardKey{Type: "GJ310000", No: "3100001"}] = codeissuer.Card{Key: codeissuer.CardKey{Type: "GJ310000", No: "3100001"}, App: "app1",
		User: "2088000011112222", Data: []byte{1, 2}}
	issuer := newIssuerWith(t, codeissuer.AlwaysKey(5), cards)
	device, err := secp192k1.ParsePrivateKey(bytes.Repeat([]byte{0x22}, 24))
	if err != nil {
		t.Fatal(err)
	}
	authorization, err := issuer.Authorize(t.Context(), codeissuer.Request{UserID: "2088000011112222", CardType: "GJ310000",
		CardNo: "3100001", Identity: ridecode.Quad{0, 0, 0, 7}, DeviceKey: device.PublicKey(),
		Terms: codeissuer.Terms{Lasts: time.Hour, ValidSec: 60, LimitFen: 500}}, now)
	if err != nil {
		t.Fatal(err)
	}
	g := authorization.Grant.Grant()
	if authorization.UserKey != nil || authorization.Grant.KeyID() != 5 || g.UserKey != ridecode.UserKey(device.PublicKey().Bytes()) ||
		!g.Expires.Equal(now.Add(time.Hour)) || g.ValidSec != 60 || g.LimitFen != 500 || g.Identity.String() != "00000007" ||
		g.Institution.String() != "00000001" || g.CardType != "GJ310000" || g.CardNo != "3100001" || !bytes.Equal(g.CardData, []byte{1, 2}) {
		t.Errorf("granted %+v", g)
	}
}

func TestRefusals(t *testing.T) {
	issuer := newIssuer(t, codeissuer.AlwaysKey(0))
	good := codeissuer.Request{UserID: "2088000011112222"}
	long, wide, dear := good, good, good
	long.Terms.Lasts, wide.Terms.ValidSec, dear.Terms.LimitFen = 8*24*time.Hour, 601, 3001
	for name, request := range map[string]codeissuer.Request{"lasts": long, "validity": wide, "limit": dear} {
		if _, err := issuer.Authorize(t.Context(), request, now); !errors.Is(err, codeissuer.ErrTerms) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := issuer.Authorize(t.Context(), codeissuer.Request{UserID: "2088999999999999"}, now); !errors.Is(err, codeissuer.ErrNotQualified) {
		t.Errorf("unknown user: %v", err)
	}
	if _, err := issuer.Authorize(t.Context(), codeissuer.Request{UserID: "fault-of-server-"}, now); err == nil || errors.Is(err, codeissuer.ErrNotQualified) {
		t.Errorf("a fault of the server is told as %v", err)
	}
	if _, err := newIssuer(t, codeissuer.AlwaysKey(77)).Authorize(t.Context(), good, now); !errors.Is(err, codeissuer.ErrNoActiveKey) {
		t.Errorf("no such slot: %v", err)
	}
	for name, list := range map[string][]codeissuer.Slot{"none": nil, "33": slots(t, 33), "twice": append(slots(t, 1), slots(t, 1)...)} {
		if _, err := codeissuer.New(codeissuer.Config{Slots: list}); err == nil {
			t.Errorf("%s slots are taken", name)
		}
	}
}
