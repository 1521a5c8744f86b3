package wallet_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/shuama/shuama/curve/secp192k1"
	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/wallet"
)

var now = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

func keys(t testing.TB) (*secp256k1.PrivateKey, *secp192k1.PrivateKey) {
	t.Helper()
	institution, err := secp256k1.ParsePrivateKey(bytes.Repeat([]byte{0x11}, 32))
	if err != nil {
		t.Fatal(err)
	}
	phone, err := secp192k1.ParsePrivateKey(bytes.Repeat([]byte{0x22}, 24))
	if err != nil {
		t.Fatal(err)
	}
	return institution, phone
}

func grant(t testing.TB, institution *secp256k1.PrivateKey, phone *secp192k1.PrivateKey) ridecode.SignedGrant {
	t.Helper()
	signed, err := ridecode.Grant{UserID: "2088000011112222", Expires: now.Add(time.Hour), ValidSec: 600, LimitFen: 3000,
		UserKey: ridecode.UserKey(phone.PublicKey().Bytes()), CardType: ridecode.PlainCardType}.Sign(0, institution)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestPresent(t *testing.T) {
	institution, phone := keys(t)
	w, err := wallet.New(grant(t, institution, phone), phone)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := trust.NewKeyRing([]trust.Key{{ID: 0, Public: institution.PublicKey()}}, trust.WindowSmall)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Time{now, now.Add(time.Minute), now.Add(time.Hour)} {
		code, err := w.Present(at)
		if err != nil {
			t.Fatal(err)
		}
		read, trace := ridecode.Examine(code, ring, at, ridecode.DefaultClock())
		if read == nil || !read.Generated.Equal(at) {
			t.Errorf("at %s: %s", at, trace.Reason())
		}
	}
}

func TestRefusals(t *testing.T) {
	institution, phone := keys(t)
	signed := grant(t, institution, phone)
	other, err := secp192k1.ParsePrivateKey(bytes.Repeat([]byte{0x33}, 24))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wallet.New(signed, other); !errors.Is(err, wallet.ErrNotOwn) {
		t.Errorf("another phone's grant: %v", err)
	}
	w, err := wallet.New(signed, phone)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Time]error{now.Add(time.Hour + time.Second): wallet.ErrExpired,
		time.Unix(-1, 0): wallet.ErrClockBehind, time.Unix(1<<32, 0): wallet.ErrClockBehind} {
		if code, err := w.Present(at); !errors.Is(err, want) || code != nil {
			t.Errorf("at %s: %v, want %v", at, err, want)
		}
	}
}

func BenchmarkPresent(b *testing.B) {
	institution, phone := keys(b)
	w, err := wallet.New(grant(b, institution, phone), phone)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := range b.N {
		if _, err := w.Present(now.Add(time.Duration(i%3600) * time.Second)); err != nil {
			b.Fatal(err)
		}
	}
}
