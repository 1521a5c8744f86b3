package ridecode_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/curve/secp192k1"
	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
)

// The vendor's own two sample codes, as published (wire-facts).
type published struct {
	InstitutionPublicKey string `json:"institution_public_key"`
	Codes                []struct {
		Name      string          `json:"name"`
		Code      string          `json:"code"`
		UserID    ridecode.UserID `json:"user_id"`
		Expires   int64           `json:"expires"`
		ValidSec  uint16          `json:"valid_seconds"`
		LimitFen  money.Fen       `json:"limit_cents"`
		CardType  string          `json:"card_type"`
		CardNo    string          `json:"card_no"`
		CardData  string          `json:"card_data"`
		Generated int64           `json:"generated"`
	} `json:"codes"`
}

func readPublished(t testing.TB) (published, *trust.KeyRing) {
	t.Helper()
	b, err := os.ReadFile("../../testdata/vectors/demo-codes.json")
	if err != nil {
		t.Fatal(err)
	}
	var p published
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	key, err := trust.ParseKey(0, p.InstitutionPublicKey)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := trust.NewKeyRing([]trust.Key{key}, trust.WindowSmall)
	if err != nil {
		t.Fatal(err)
	}
	return p, ring
}

func TestPublishedCodes(t *testing.T) {
	p, keys := readPublished(t)
	for _, want := range p.Codes {
		raw := unhex(t, want.Code)
		code, trace := ridecode.Examine(raw, keys, time.Unix(want.Generated+1, 0), ridecode.DefaultClock())
		if code == nil {
			t.Fatalf("%s: %v", want.Name, trace)
		}
		g := code.Grant
		if g.UserID != want.UserID || g.Expires.Unix() != want.Expires || g.ValidSec != want.ValidSec || g.LimitFen != want.LimitFen ||
			string(g.CardType) != want.CardType || string(g.CardNo) != want.CardNo ||
			hex.EncodeToString(g.CardData) != want.CardData || code.Generated.Unix() != want.Generated {
			t.Errorf("%s: read as %+v", want.Name, code)
		}
		if again, err := code.Append(nil); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("%s: written again as %x, %v", want.Name, again, err)
		}
	}
}

// Every single-bit flip of a published code is refused.
func TestBitFlips(t *testing.T) {
	p, keys := readPublished(t)
	for _, published := range p.Codes {
		raw, at := unhex(t, published.Code), time.Unix(published.Generated, 0)
		for bit := range len(raw) * 8 {
			flipped := bytes.Clone(raw)
			flipped[bit/8] ^= 1 << (bit % 8)
			if code, trace := ridecode.Examine(flipped, keys, at, ridecode.DefaultClock()); code != nil || trace.Verdict() == ridecode.Success {
				t.Errorf("%s: bit %d of byte %d flipped, and it verifies", published.Name, bit%8, bit/8)
			}
		}
	}
}

// Truncated at every length, or with bytes behind it, a code has no form; the error is a form.Error
// that names field and clause.
func TestTruncatedAndTrailing(t *testing.T) {
	p, _ := readPublished(t)
	raw := unhex(t, p.Codes[0].Code)
	for size := range len(raw) {
		_, err := ridecode.Parse(raw[:size])
		assertFormError(t, err)
	}
	_, err := ridecode.Parse(append(bytes.Clone(raw), 0))
	assertFormError(t, err)
	_, err = ridecode.Parse(bytes.Repeat([]byte{2}, 1<<20))
	assertFormError(t, err)
}

func assertFormError(t *testing.T, err error) {
	t.Helper()
	var wrong *form.Error
	if !errors.As(err, &wrong) || wrong.Field == "" || !strings.HasPrefix(wrong.Clause, "document 1 §") {
		t.Fatalf("error %v does not name field and clause", err)
	}
}

// Each length byte that lies, up or down, is refused with the field that it counts.
func TestLyingLengths(t *testing.T) {
	p, _ := readPublished(t)
	raw := unhex(t, p.Codes[0].Code)
	lengths := map[int]string{3: "L", 4 + 16 + 4 + 2 + 2 + 12 + 25 + 8: "card number", 4 + 16 + 4 + 2 + 2 + 12 + 25 + 8 + 1 + 8: "card data"}
	lengths[4+int(raw[3])] = "institution signature"
	lengths[5+int(raw[3])+int(raw[4+int(raw[3])])] = "user data"
	for offset, name := range lengths {
		for _, lie := range []byte{0, raw[offset] - 1, raw[offset] + 1, 255} {
			if lie == raw[offset] {
				continue
			}
			lied := bytes.Clone(raw)
			lied[offset] = lie
			if _, err := ridecode.Parse(lied); err == nil {
				t.Errorf("%s length %d told as %d is taken", name, raw[offset], lie)
			}
		}
	}
}

// With two faults the verdict is the first one's, in the order of the documentation.
func TestPrecedence(t *testing.T) {
	w := newWriter(t)
	good := w.code(t, 0, w.grant(), shownAt)
	expired := w.grant()
	expired.Expires = shownAt.Add(-time.Hour)
	late := shownAt.Add(time.Hour)
	breakLast := func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-1] ^= 1; return b }
	version := func(b []byte) []byte { b = bytes.Clone(b); b[0] = 3; return b }
	cases := []struct {
		name  string
		code  []byte
		at    time.Time
		want  ridecode.Verdict
		check string
	}{
		{"all well", good, shownAt, ridecode.Success, ""},
		{"last second of validity", good, shownAt.Add(600 * time.Second), ridecode.Success, ""},
		{"one second later", good, shownAt.Add(601 * time.Second), ridecode.QRCodeInfoExpired, ridecode.CheckCodeTime},
		{"20 s ahead", good, shownAt.Add(-20 * time.Second), ridecode.Success, ""},
		{"21 s ahead", good, shownAt.Add(-21 * time.Second), ridecode.QRCodeInfoExpired, ridecode.CheckCodeTime},
		{"form before version", version(good)[:40], shownAt, ridecode.MalformedQRCode, ridecode.CheckForm},
		{"version before signature", version(breakLast(good)), late, ridecode.ProtoUnsupported, ridecode.CheckProtocol},
		{"unknown key before user signature", breakLast(w.code(t, 7, w.grant(), shownAt)), late, ridecode.QRCodeKeyExpired, ridecode.CheckKey},
		{"user signature before times", breakLast(good), late, ridecode.MalformedQRCode, ridecode.CheckUserSignature},
		{"authorization before code time", w.code(t, 0, expired, shownAt), late, ridecode.QRCodeKeyExpired, ridecode.CheckAuthorizationTime},
	}
	for _, c := range cases {
		code, trace := ridecode.Examine(c.code, w.keys, c.at, ridecode.DefaultClock())
		if trace.Verdict() != c.want || (code != nil) != (c.want == ridecode.Success) || !strings.HasPrefix(trace.Reason(), c.check) {
			t.Errorf("%s: %s because %q, want %s by %s", c.name, trace.Verdict(), trace.Reason(), c.want, c.check)
		}
	}
}

// The twin of a signature, (r, n−s), verifies, and is the same code: an identity over bytes would
// let everybody ride twice.
func TestTwinSignatureIsTheSameCode(t *testing.T) {
	w := newWriter(t)
	raw := w.code(t, 0, w.grant(), shownAt)
	code, _ := ridecode.Examine(raw, w.keys, shownAt, ridecode.DefaultClock())
	twin := *code
	twin.ProofSignature = negateS(t, code.ProofSignature)
	twinRaw, err := twin.Append(nil)
	if err != nil || bytes.Equal(twinRaw, raw) {
		t.Fatalf("no twin: %v", err)
	}
	read, trace := ridecode.Examine(twinRaw, w.keys, shownAt, ridecode.DefaultClock())
	if read == nil {
		t.Fatalf("high s must be taken (wire-facts): %s", trace.Reason())
	}
	if read.ID() != code.ID() {
		t.Error("the twin has another identity")
	}
}

// Whatever fits into a grant comes back from its code.
func TestRoundTrip(t *testing.T) {
	w := newWriter(t)
	rapid.Check(t, func(rt *rapid.T) {
		g := w.grant()
		g.UserID = ridecode.UserID(rapid.StringMatching(`[ -~]{16}`).Draw(rt, "user"))
		g.ValidSec = rapid.Uint16().Draw(rt, "valid")
		g.LimitFen = money.Fen(rapid.Uint16().Draw(rt, "limit"))
		g.CardNo = ridecode.CardNo(rapid.StringMatching(`[ -~]{0,40}`).Draw(rt, "card"))
		g.CardData = rapid.SliceOfN(rapid.Byte(), 0, ridecode.MaxCardSize-40).Draw(rt, "data")
		raw := w.code(t, 0, g, shownAt)
		code, trace := ridecode.Examine(raw, w.keys, shownAt, ridecode.DefaultClock())
		if code == nil {
			rt.Fatal(trace.Reason())
		}
		got := code.Grant
		if got.UserID != g.UserID || got.ValidSec != g.ValidSec || got.LimitFen != g.LimitFen || got.CardNo != g.CardNo || !bytes.Equal(got.CardData, g.CardData) {
			rt.Fatalf("%+v became %+v", g, got)
		}
	})
}

func TestGrantsThatDoNotFit(t *testing.T) {
	w := newWriter(t)
	change := map[string]func(*ridecode.Grant){
		"user id":            func(g *ridecode.Grant) { g.UserID = "short" },
		"single-trade limit": func(g *ridecode.Grant) { g.LimitFen = 65536 },
		"card type":          func(g *ridecode.Grant) { g.CardType = "ANT\n0001" },
		"card number":        func(g *ridecode.Grant) { g.CardNo = "卡" },
		"card data":          func(g *ridecode.Grant) { g.CardData = make([]byte, 200) },
		"expiry":             func(g *ridecode.Grant) { g.Expires = time.Unix(1<<32, 0) },
	}
	for field, spoil := range change {
		g := w.grant()
		spoil(&g)
		_, err := g.Sign(0, w.institution)
		var wrong *form.Error
		if !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%s: error %v does not name it", field, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	p, _ := readPublished(f)
	for _, code := range p.Codes {
		raw, _ := hex.DecodeString(code.Code)
		f.Add(raw)
		f.Add(raw[:len(raw)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := ridecode.Parse(b)
		if err != nil {
			assertFormError(t, err)
			return
		}
		if again, err := u.SkipVerification().Append(nil); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x was written again as %x, %v", b, again, err)
		}
	})
}

func FuzzParseSignedGrant(f *testing.F) {
	w := newWriter(f)
	signed, err := w.grant().Sign(0, w.institution)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := ridecode.ParseSignedGrant(b); err == nil && !bytes.Equal(s.Bytes(), b) {
			t.Fatalf("%x became %x", b, s.Bytes())
		}
	})
}

// writer is an institution and a phone with fixed keys.
type writer struct {
	institution *secp256k1.PrivateKey
	phone       *secp192k1.PrivateKey
	keys        *trust.KeyRing
}

var shownAt = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

func newWriter(t testing.TB) writer {
	t.Helper()
	institution, err := secp256k1.ParsePrivateKey(bytes.Repeat([]byte{0x11}, 32))
	if err != nil {
		t.Fatal(err)
	}
	phone, err := secp192k1.ParsePrivateKey(bytes.Repeat([]byte{0x22}, 24))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := trust.NewKeyRing([]trust.Key{{ID: 0, Public: institution.PublicKey()}}, trust.WindowSmall)
	if err != nil {
		t.Fatal(err)
	}
	return writer{institution, phone, keys}
}

func (w writer) grant() ridecode.Grant {
	return ridecode.Grant{UserID: "2088000011112222", Expires: shownAt.Add(7 * 24 * time.Hour), ValidSec: 600, LimitFen: 3000,
		UserKey: ridecode.UserKey(w.phone.PublicKey().Bytes()), CardType: ridecode.PlainCardType, CardNo: "2088000011112222"}
}

func (w writer) code(t testing.TB, key ridecode.KeyID, g ridecode.Grant, at time.Time) []byte {
	t.Helper()
	signed, err := g.Sign(key, w.institution)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signed.Show(at, w.phone)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func negateS(t *testing.T, der []byte) []byte {
	t.Helper()
	signature, err := secp192k1.ParseDER(der)
	if err != nil {
		t.Fatal(err)
	}
	fixed := signature.AppendFixed(nil)
	order := unhex(t, "FFFFFFFFFFFFFFFFFFFFFFFE26F2FC170F69466A74DEFD8D")
	borrow := 0
	for i := 23; i >= 0; i-- {
		difference := int(order[i]) - int(fixed[24+i]) - borrow
		borrow = 0
		if difference < 0 {
			difference, borrow = difference+256, 1
		}
		fixed[24+i] = byte(difference)
	}
	negated, err := secp192k1.ParseFixed(fixed)
	if err != nil {
		t.Fatal(err)
	}
	return negated.AppendDER(nil)
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
