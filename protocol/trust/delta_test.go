package trust_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/protocol/trust"
)

// succeed signs a changed successor of a draft.
func succeed(d trust.Draft, change func(*trust.Draft)) trust.Draft {
	d.Serial, d.Issued = d.Serial+1, d.Issued.AddDate(0, 0, 1)
	change(&d)
	return d
}

func newDelta(t testing.TB, from, to *trust.Bundle, signer trust.Signer) []byte {
	t.Helper()
	raw, err := trust.NewDelta(from, to, signer)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func openDelta(t testing.TB, raw []byte, signers ...trust.Signer) *trust.Delta {
	t.Helper()
	u, err := trust.ParseDelta(raw)
	if err != nil {
		t.Fatal(err)
	}
	d, err := u.Verify(authority(t, signers...))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// sampleDelta is two bundles and what leads from the first to the second: users and cards come, go and
// change their reason, a key goes.
func sampleDelta(t testing.TB, signer trust.Signer) (from, to *trust.Bundle, raw []byte) {
	t.Helper()
	before := sampleDraft(t)
	after := succeed(before, func(d *trust.Draft) {
		d.Versions.Keys, d.Versions.DenyList, d.Keys = 4, 41, d.Keys[:1]
		d.DeniedUsers = []trust.DeniedUser{{User: userNo(9), Reason: trust.DenyClosed}, {User: userNo(1)}, {User: userNo(3)}}
		d.DeniedCards = []trust.DeniedCard{{Card: trust.Card{Type: "HZ000001", No: "31000018"}, Reason: trust.DenyLost}, {Card: trust.Card{Type: "HZ000001", No: "9"}}}
	})
	from, to = open(t, sign(t, before, signer), signer), open(t, sign(t, after, signer), signer)
	return from, to, newDelta(t, from, to, signer)
}

func TestDelta(t *testing.T) {
	signer := newSigner(t, 1)
	from, to, raw := sampleDelta(t, signer)
	d := openDelta(t, raw, signer)
	if a, b := d.Serials(); a != 7 || b != 8 {
		t.Errorf("from %d to %d", a, b)
	}
	u, err := d.Apply(from)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(u.Bytes(), to.Bytes()) {
		t.Fatal("the result is not the other bundle")
	}
	b, err := u.Verify(authority(t, signer))
	if err != nil {
		t.Fatal(err)
	}
	if _, denied := b.Denied(userNo(2), trust.Card{}); denied {
		t.Error("who was taken off the list is still denied")
	}
	if got, denied := b.Denied(userNo(9), trust.Card{}); !denied || got.Reason != trust.DenyClosed {
		t.Error("the reason did not change")
	}
}

// Whatever two deny lists are, the delta between them leads from one to the other, byte for byte.
func TestDeltaBetweenAnyLists(t *testing.T) {
	signer := newSigner(t, 1)
	rapid.Check(t, func(r *rapid.T) {
		users, cards := rapid.MapOf(rapid.IntRange(0, 12), rapid.Uint8Range(0, 2)), rapid.MapOf(rapid.StringMatching(`[0-3]{1,2}`), rapid.Uint8Range(0, 2))
		before := sampleDraft(t)
		before.DeniedUsers, before.DeniedCards = deniedUsers(users.Draw(r, "users before")), deniedCards(cards.Draw(r, "cards before"))
		after := succeed(before, func(d *trust.Draft) {
			d.Versions.DenyList++
			d.DeniedUsers, d.DeniedCards = deniedUsers(users.Draw(r, "users after")), deniedCards(cards.Draw(r, "cards after"))
		})
		from, to := open(t, sign(t, before, signer), signer), open(t, sign(t, after, signer), signer)
		u, err := openDelta(t, newDelta(t, from, to, signer), signer).Apply(from)
		if err != nil || !bytes.Equal(u.Bytes(), to.Bytes()) {
			r.Fatalf("%v", err)
		}
	})
}

func TestDeltaBitFlipsAndTruncation(t *testing.T) {
	signer := newSigner(t, 1)
	_, _, raw := sampleDelta(t, signer)
	keys := authority(t, signer)
	for bit := range len(raw) * 8 {
		flipped := bytes.Clone(raw)
		flipped[bit/8] ^= 1 << (bit % 8)
		u, err := trust.ParseDelta(flipped)
		if err != nil {
			assertForm(t, err)
			continue
		}
		if d, err := u.Verify(keys); err == nil || d != nil {
			t.Errorf("bit %d of byte %d flipped, and it verifies", bit%8, bit/8)
		}
	}
	for size := range len(raw) {
		_, err := trust.ParseDelta(raw[:size])
		assertForm(t, err)
	}
	for _, more := range [][]byte{append(bytes.Clone(raw), 0), make([]byte, trust.MaxBundleSize+1)} {
		_, err := trust.ParseDelta(more)
		assertForm(t, err)
	}
}

// A delta fits the one bundle that it was made from.
func TestDeltaNeedsItsBase(t *testing.T) {
	signer := newSigner(t, 1)
	from, to, raw := sampleDelta(t, signer)
	d := openDelta(t, raw, signer)
	_, err := d.Apply(to)
	assertReason(t, err, trust.WrongBase)
	twin := sampleDraft(t)
	twin.GraceLimitFen++
	_, err = d.Apply(open(t, sign(t, twin, signer), signer))
	assertReason(t, err, trust.WrongBase)
	_, err = trust.NewDelta(to, from, signer)
	assertReason(t, err, trust.RolledBack)
	_, err = trust.NewDelta(from, from, signer)
	assertForm(t, err)
	careless := succeed(sampleDraft(t), func(d *trust.Draft) { d.Clock.MaxSkewSec++ })
	_, err = trust.NewDelta(from, open(t, sign(t, careless, signer), signer), signer)
	assertForm(t, err)
	u, err := trust.ParseDelta(raw)
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Verify(authority(t, newSigner(t, 2)))
	assertReason(t, err, trust.UnknownSigner)
}

// An authority that signs nonsense does not get it into a terminal: each byte of the delta changed and
// signed again is refused, or gives a bundle that does not verify, or is the same bundle.
func TestDeltaThatLies(t *testing.T) {
	signer := newSigner(t, 1)
	from, to, raw := sampleDelta(t, signer)
	keys, refused := authority(t, signer), 0
	for at := range len(raw) - 64 {
		lied := bytes.Clone(raw)
		lied[at] ^= 1
		if at < 5 || at >= 13 { // a lie about the signer stays one
			lied = resignDelta(t, lied, signer)
		}
		u, err := trust.ParseDelta(lied)
		if err != nil {
			refused++
			continue
		}
		d, err := u.Verify(keys)
		if err != nil {
			refused++
			continue
		}
		result, err := d.Apply(from)
		if err == nil {
			t.Errorf("byte %d lies, and it applies to %d bytes; the bundle has %d", at, len(result.Bytes()), len(to.Bytes()))
			continue
		}
		refused++
	}
	if refused != len(raw)-64 {
		t.Errorf("%d of %d lies refused", refused, len(raw)-64)
	}
}

// A bundle's signature is none of a delta, and the other way round.
func TestDomainsAreApart(t *testing.T) {
	signer := newSigner(t, 1)
	_, _, raw := sampleDelta(t, signer)
	signature, err := signer.SignTrust(append([]byte("shuama trust bundle 1\n"), raw[:len(raw)-64]...))
	if err != nil {
		t.Fatal(err)
	}
	copy(raw[len(raw)-64:], signature)
	u, err := trust.ParseDelta(raw)
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Verify(authority(t, signer))
	assertReason(t, err, trust.BadSignature)
}

// FuzzParseDelta signs whatever has the form of a delta: what it applies to is a bundle that the
// authority signed, or does not verify.
func FuzzParseDelta(f *testing.F) {
	signer := newSigner(f, 1)
	keys := authority(f, signer)
	from, to, raw := sampleDelta(f, signer)
	other := open(f, sign(f, succeed(sampleDraft(f), func(*trust.Draft) {}), signer), signer)
	f.Add(raw)
	f.Add(newDelta(f, from, other, signer))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := trust.ParseDelta(b); err != nil {
			assertForm(t, err)
			return
		}
		d := openDelta(t, resignDelta(t, b, signer), signer)
		u, err := d.Apply(from)
		if err != nil {
			return
		}
		if got, err := u.Verify(keys); err == nil && got.Digest() != to.Digest() && got.Digest() != other.Digest() {
			t.Fatalf("%x leads to a bundle that nobody signed", b)
		}
	})
}

func resignDelta(t testing.TB, b []byte, signer trust.Signer) []byte {
	t.Helper()
	signed, id := bytes.Clone(b), trust.NameSigner(signer.PublicKey())
	copy(signed[5:], id[:])
	body := signed[:len(signed)-64]
	signature, err := signer.SignTrust(append([]byte("shuama trust delta 1\n"), body...))
	if err != nil {
		t.Fatal(err)
	}
	copy(signed[len(body):], signature)
	return signed
}

func BenchmarkApply(b *testing.B) {
	signer := newSigner(b, 1)
	before := cityDraft(b, 100_000)
	after := succeed(before, func(d *trust.Draft) {
		d.Versions.DenyList++
		d.DeniedUsers = append(d.DeniedUsers[200:len(d.DeniedUsers):len(d.DeniedUsers)], trust.DeniedUser{User: userNo(1)})
	})
	from, to := open(b, sign(b, before, signer), signer), open(b, sign(b, after, signer), signer)
	raw := newDelta(b, from, to, signer)
	d := openDelta(b, raw, signer)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Apply(from); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(raw)), "bytes/delta")
}
