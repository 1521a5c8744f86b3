package trust_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
)

var issued = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func days(n int) time.Time { return issued.AddDate(0, 0, n) }

func newSigner(t testing.TB, seed byte) trust.SeedSigner {
	t.Helper()
	signer, err := trust.NewSeedSigner(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func authority(t testing.TB, signers ...trust.Signer) trust.Authority {
	t.Helper()
	var keys []ed25519.PublicKey
	for _, s := range signers {
		keys = append(keys, s.PublicKey())
	}
	a, err := trust.NewAuthority(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func userNo(i int) ridecode.UserID { return ridecode.UserID(fmt.Sprintf("2088%012d", i)) }

func sampleDraft(t testing.TB) trust.Draft {
	t.Helper()
	keys, err := trust.ParseKeyList([]byte(sampleKeys))
	if err != nil {
		t.Fatal(err)
	}
	d := trust.Draft{Serial: 7, Issued: issued, AlarmFrom: days(3), StaleAfter: days(7), DeadAfter: days(14), GraceLimitFen: 500,
		Versions: trust.Versions{Keys: 3, CardRules: 1, DenyList: 40, Clock: 1},
		CardRules: []trust.CardRule{
			{Type: "HZ000001", Institution: ridecode.Quad{0, 0, 0, 1}, Class: ridecode.Quad{0, 0, 0, 7}},
			{Type: "ANT00001", AnyInstitution: true, AnyClass: true},
			{Type: "HZ000001", Institution: ridecode.Quad{0, 0, 0, 2}, AnyClass: true}},
		DeniedUsers: []trust.DeniedUser{{User: userNo(9), Reason: trust.DenyUnpaid}, {User: userNo(2), Reason: trust.DenyFraud}},
		DeniedCards: []trust.DeniedCard{{Card: trust.Card{Type: "HZ000001", No: "31000017"}, Reason: trust.DenyLost}, {Card: trust.Card{Type: "HZ000001", No: "9"}}},
		Clock:       trust.Clock{Policy: ridecode.DefaultClock(), MaxSkewSec: 60, ValidCapSec: 1200}}
	for _, key := range keys {
		d.Keys = append(d.Keys, key.Encode())
	}
	return d
}

func sign(t testing.TB, d trust.Draft, signer trust.Signer) []byte {
	t.Helper()
	raw, err := d.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func open(t testing.TB, raw []byte, signers ...trust.Signer) *trust.Bundle {
	t.Helper()
	u, err := trust.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	b, err := u.Verify(authority(t, signers...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func assertForm(t testing.TB, err error) {
	t.Helper()
	var wrong *form.Error
	if !errors.As(err, &wrong) || wrong.Field == "" || wrong.Clause == "" {
		t.Fatalf("error %v does not name field and clause", err)
	}
}

func assertReason(t testing.TB, err error, want trust.Reason) {
	t.Helper()
	var refused *trust.Refusal
	if !errors.Is(err, want) || !errors.As(err, &refused) || refused.Why == "" {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestSignReadVerify(t *testing.T) {
	signer := newSigner(t, 1)
	d := sampleDraft(t)
	raw := sign(t, d, signer)
	b := open(t, raw, signer)
	if b.Serial() != 7 || !b.Issued().Equal(issued) || b.Versions() != d.Versions || b.Clock() != d.Clock || len(b.Keys()) != 2 {
		t.Errorf("read as %+v", b.Draft())
	}
	if !bytes.Equal(b.Append(nil), raw) || !bytes.Equal(b.Bytes(), raw) || !bytes.Equal(sign(t, b.Draft(), signer), raw) {
		t.Error("written again otherwise")
	}
	slices.Reverse(d.Keys)
	slices.Reverse(d.CardRules)
	slices.Reverse(d.DeniedUsers)
	slices.Reverse(d.DeniedCards)
	if !bytes.Equal(sign(t, d, signer), raw) {
		t.Error("one content in another order is another bundle")
	}
	ring, err := b.KeyRing(trust.WindowSmall)
	if err != nil {
		t.Fatal(err)
	}
	if _, known := ring.IssuerKey(1); !known {
		t.Error("key 1 is not in the ring")
	}
	want := "2 keys (version 3), 3 card rules (version 1), 2 users and 2 cards denied (version 40), 0 entries rejected"
	if got := b.Report().String(); got != want {
		t.Errorf("report %q, want %q", got, want)
	}
}

// Every single-bit flip, every truncation, every byte behind the end is refused.
func TestBundleBitFlipsAndTruncation(t *testing.T) {
	signer := newSigner(t, 1)
	raw, keys := sign(t, sampleDraft(t), signer), authority(t, signer, newSigner(t, 2))
	for bit := range len(raw) * 8 {
		flipped := bytes.Clone(raw)
		flipped[bit/8] ^= 1 << (bit % 8)
		u, err := trust.Parse(flipped)
		if err != nil {
			assertForm(t, err)
			continue
		}
		if b, err := u.Verify(keys); err == nil || b != nil {
			t.Errorf("bit %d of byte %d flipped, and it verifies", bit%8, bit/8)
		}
	}
	for size := range len(raw) {
		_, err := trust.Parse(raw[:size])
		assertForm(t, err)
	}
	for _, more := range [][]byte{append(bytes.Clone(raw), 0), bytes.Repeat(raw, 2), make([]byte, trust.MaxBundleSize+1)} {
		_, err := trust.Parse(more)
		assertForm(t, err)
	}
}

func TestRotationOfTheAuthority(t *testing.T) {
	old, new, other := newSigner(t, 1), newSigner(t, 2), newSigner(t, 3)
	for _, signer := range []trust.Signer{old, new} {
		open(t, sign(t, sampleDraft(t), signer), old, new)
	}
	u, err := trust.Parse(sign(t, sampleDraft(t), other))
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Verify(authority(t, old, new))
	assertReason(t, err, trust.UnknownSigner)
	_, err = u.Verify(trust.Authority{})
	assertReason(t, err, trust.UnknownSigner)
	forged := bytes.Clone(u.Bytes())
	forged[len(forged)-1] ^= 1
	u, err = trust.Parse(forged)
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Verify(authority(t, other))
	assertReason(t, err, trust.BadSignature)
	for _, keys := range [][]ed25519.PublicKey{nil, {old.PublicKey(), old.PublicKey()}, {old.PublicKey(), new.PublicKey(), other.PublicKey()}, {old.PublicKey()[:31]}} {
		_, err := trust.NewAuthority(keys...)
		assertForm(t, err)
	}
}

// Users have one order, and an authority that signs another one is not heard: a search in such a list
// would miss who is on it.
func TestUsersOutOfOrder(t *testing.T) {
	signer := newSigner(t, 1)
	raw, first, second := sign(t, sampleDraft(t), signer), string(userNo(2)), string(userNo(9))
	a, b := bytes.Index(raw, []byte(first)), bytes.Index(raw, []byte(second))
	if a < 0 || b != a+16 {
		t.Fatal("the two users do not stand side by side")
	}
	for _, users := range []string{second + first, first + first, first + "20880000000000\x7f9"} {
		copy(raw[a:], users)
		resign(t, raw, signer)
		_, err := trust.Parse(raw)
		assertForm(t, err)
	}
}

// A key that cannot be used is rejected alone, and the report says which and why; so is a card rule.
func TestRejectedAlone(t *testing.T) {
	signer := newSigner(t, 1)
	d := sampleDraft(t)
	off := bytes.Repeat([]byte{0xff}, 33)
	off[0] = 2
	d.Keys = append(d.Keys, trust.EncodedKey{ID: 5, Algorithm: trust.Secp256k1, Public: off},
		trust.EncodedKey{ID: 6, Algorithm: 2, Public: []byte("a key of tomorrow")}, trust.EncodedKey{ID: 7, Algorithm: trust.Secp256k1})
	raw := sign(t, d, signer)
	at := bytes.Index(raw, []byte("ANT00001")) + 8
	raw[at] = 4 // a condition of tomorrow
	resign(t, raw, signer)
	b := open(t, raw, signer)
	report := b.Report()
	if report.KeyCount != 2 || report.CardRuleCount != 2 || len(report.Rejected) != 4 {
		t.Fatalf("%v: %v", report, report.Rejected)
	}
	for i, want := range []string{"key 5: rejected, ", "key 6: rejected, algorithm 2 is not known here", "key 7: rejected, ", "card rule 0: rejected, it has conditions that are not known here"} {
		if got := report.Rejected[i].String(); !strings.HasPrefix(got, want) || len(got) <= len("key 5: rejected, ") {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if types := b.CardTypes(); !slices.Equal(types, []ridecode.CardType{"HZ000001"}) {
		t.Errorf("card types %v", types)
	}
	if again := b.Draft(); len(again.Keys) != 5 {
		t.Errorf("a draft of the next bundle has %d keys", len(again.Keys))
	}
}

// resign makes the signature anew, as an authority with newer software could.
func resign(t testing.TB, raw []byte, signer trust.Signer) {
	t.Helper()
	body := raw[:len(raw)-64]
	signature, err := signer.SignTrust(append([]byte("shuama trust bundle 1\n"), body...))
	if err != nil {
		t.Fatal(err)
	}
	copy(raw[len(body):], signature)
}

// A bundle that leaves nothing to work with is refused as a whole: the terminal keeps its older one.
func TestUnusable(t *testing.T) {
	signer := newSigner(t, 1)
	for _, spoil := range []func(*trust.Draft){
		func(d *trust.Draft) { d.Keys = nil },
		func(d *trust.Draft) { d.CardRules = nil },
		func(d *trust.Draft) { d.Keys = []trust.EncodedKey{{Algorithm: 9}} },
	} {
		d := sampleDraft(t)
		spoil(&d)
		_, err := d.Sign(signer)
		assertReason(t, err, trust.Unusable)
	}
}

func TestDraftsThatDoNotFit(t *testing.T) {
	signer := newSigner(t, 1)
	for name, spoil := range map[string]func(*trust.Draft){
		"serial 0":             func(d *trust.Draft) { d.Serial = 0 },
		"serial too large":     func(d *trust.Draft) { d.Serial = 1 << 63 },
		"before 1970":          func(d *trust.Draft) { d.Issued = time.Time{} },
		"after 2106":           func(d *trust.Draft) { d.DeadAfter = time.Date(2107, 1, 1, 0, 0, 0, 0, time.UTC) },
		"alarm before issue":   func(d *trust.Draft) { d.AlarmFrom = days(-1) },
		"stale before alarm":   func(d *trust.Draft) { d.StaleAfter = days(2) },
		"dead before stale":    func(d *trust.Draft) { d.DeadAfter = days(6) },
		"grace limit":          func(d *trust.Draft) { d.GraceLimitFen = 65536 },
		"negative grace limit": func(d *trust.Draft) { d.GraceLimitFen = -1 },
		"future":               func(d *trust.Draft) { d.Clock.Policy.FutureSec = 65536 },
		"negative future":      func(d *trust.Draft) { d.Clock.Policy.FutureSec = -1 },
		"long key":             func(d *trust.Draft) { d.Keys[0].Public = make([]byte, 256) },
		"key id twice":         func(d *trust.Draft) { d.Keys[1].ID = d.Keys[0].ID },
		"too many keys":        func(d *trust.Draft) { d.Keys = make([]trust.EncodedKey, 257) },
		"card type":            func(d *trust.Draft) { d.CardRules[0].Type = "HZ1" },
		"card type not text":   func(d *trust.Draft) { d.CardRules[0].Type = "HZ00000\n" },
		"rule twice":           func(d *trust.Draft) { d.CardRules = append(d.CardRules, d.CardRules[0]) },
		"too many rules":       func(d *trust.Draft) { d.CardRules = make([]trust.CardRule, 4097) },
		"user of 15":           func(d *trust.Draft) { d.DeniedUsers[0].User = "208800000000000" },
		"user not text":        func(d *trust.Draft) { d.DeniedUsers[0].User = "20880000000000\x00\x01" },
		"user twice":           func(d *trust.Draft) { d.DeniedUsers = append(d.DeniedUsers, d.DeniedUsers[0]) },
		"card without number":  func(d *trust.Draft) { d.DeniedCards[0].Card.No = "" },
		"card number too long": func(d *trust.Draft) { d.DeniedCards[0].Card.No = ridecode.CardNo(strings.Repeat("1", 256)) },
		"card number not text": func(d *trust.Draft) { d.DeniedCards[0].Card.No = "\xff" },
		"card with short type": func(d *trust.Draft) { d.DeniedCards[0].Card.Type = "HZ" },
		"card twice":           func(d *trust.Draft) { d.DeniedCards = append(d.DeniedCards, d.DeniedCards[0]) },
		"longer than 8 MiB": func(d *trust.Draft) {
			for i := range 500_000 {
				d.DeniedUsers = append(d.DeniedUsers, trust.DeniedUser{User: userNo(100 + i)})
			}
		},
	} {
		d := sampleDraft(t)
		spoil(&d)
		if _, err := d.Sign(signer); err == nil {
			t.Errorf("%s: signed", name)
		} else {
			assertForm(t, err)
		}
	}
}

func TestRollback(t *testing.T) {
	signer := newSigner(t, 1)
	make := func(change func(*trust.Draft)) *trust.Bundle {
		d := sampleDraft(t)
		change(&d)
		return open(t, sign(t, d, signer), signer)
	}
	here := make(func(*trust.Draft) {})
	for name, test := range map[string]struct {
		change func(*trust.Draft)
		want   trust.Reason
	}{
		"the same":              {func(*trust.Draft) {}, ""},
		"the next":              {func(d *trust.Draft) { d.Serial = 8; d.Versions.DenyList = 41; d.DeniedUsers = nil }, ""},
		"an older one":          {func(d *trust.Draft) { d.Serial = 6 }, trust.RolledBack},
		"another of one serial": {func(d *trust.Draft) { d.DeniedUsers = nil }, trust.Forked},
		"issued before":         {func(d *trust.Draft) { d.Serial = 8; d.Issued = days(-1) }, trust.RolledBack},
		"older keys":            {func(d *trust.Draft) { d.Serial = 8; d.Versions.Keys = 2 }, trust.RolledBack},
		"older card rules":      {func(d *trust.Draft) { d.Serial = 8; d.Versions.CardRules = 0 }, trust.RolledBack},
		"older deny list":       {func(d *trust.Draft) { d.Serial = 8; d.Versions.DenyList = 39 }, trust.RolledBack},
		"older clock":           {func(d *trust.Draft) { d.Serial = 8; d.Versions.Clock = 0 }, trust.RolledBack},
	} {
		err := make(test.change).Succeeds(here.Mark())
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		t.Run(name, func(t *testing.T) { assertReason(t, err, test.want) })
	}
	if err := here.Succeeds(trust.Mark{}); err != nil {
		t.Errorf("a new terminal takes nothing: %v", err)
	}
}

func TestStaleness(t *testing.T) {
	b := open(t, sign(t, sampleDraft(t), newSigner(t, 1)), newSigner(t, 1))
	second := time.Second
	for _, test := range []struct {
		now   time.Time
		state trust.State
		until time.Time
		alarm bool
		small bool // 5 yuan
		large bool // 5.01 yuan
		says  string
	}{
		{issued, trust.Fresh, days(7), false, true, true, "fresh until 2026-03-08T00:00:00Z"},
		{days(3).Add(-second), trust.Fresh, days(7), false, true, true, "fresh"},
		{days(3), trust.Fresh, days(7), true, true, true, "fresh until 2026-03-08T00:00:00Z: fetch a newer one"},
		{days(7), trust.Fresh, days(7), true, true, true, "fetch"},
		{days(7).Add(second), trust.Stale, days(14), true, true, false, "stale until 2026-03-15T00:00:00Z, trades up to 5.00 yuan are taken"},
		{days(14), trust.Stale, days(14), true, true, false, "stale"},
		{days(14).Add(second), trust.Dead, time.Time{}, true, false, false, "dead since 2026-03-15T00:00:01Z: nothing is taken"},
	} {
		got := b.Staleness(test.now)
		if got.State != test.state || !got.Until.Equal(test.until) || got.Alarm != test.alarm || got.Allows(500) != test.small ||
			got.Allows(501) != test.large || got.BehindSec != 0 || !got.DeadFrom.Equal(days(14).Add(second)) {
			t.Errorf("at %v: %+v", test.now, got)
		}
		if !strings.Contains(got.String(), test.says) {
			t.Errorf("at %v: %q does not say %q", test.now, got, test.says)
		}
	}
	if got := b.Staleness(issued.Add(-60 * second)); got.BehindSec != 0 {
		t.Errorf("a skew within the policy: %+v", got)
	}
	if got := b.Staleness(issued.Add(-61 * second)); got.BehindSec != 61 || !strings.Contains(got.String(), "61 s behind") {
		t.Errorf("a clock that is behind: %+v", got)
	}
}

func TestTakesCard(t *testing.T) {
	b := open(t, sign(t, sampleDraft(t), newSigner(t, 1)), newSigner(t, 1))
	for _, test := range []struct {
		cardType    ridecode.CardType
		institution byte
		class       byte
		takes       bool
	}{
		{"ANT00001", 9, 9, true}, {"HZ000001", 1, 7, true}, {"HZ000001", 1, 8, false}, {"HZ000001", 2, 8, true},
		{"HZ000001", 3, 7, false}, {"HZ000002", 1, 7, false}, {"", 0, 0, false},
	} {
		grant := ridecode.Grant{CardType: test.cardType, Institution: ridecode.Quad{0, 0, 0, test.institution}, Identity: ridecode.Quad{0, 0, 0, test.class}}
		if takes, why := b.TakesCard(&grant); takes != test.takes || takes != (why == "") {
			t.Errorf("%+v: %v, %s", test, takes, why)
		}
	}
	if types := b.CardTypes(); !slices.Equal(types, []ridecode.CardType{"ANT00001", "HZ000001"}) {
		t.Errorf("card types %v", types)
	}
	if rules := b.CardRules(); len(rules) != 3 {
		t.Errorf("card rules %v", rules)
	}
}

func TestDenied(t *testing.T) {
	b := open(t, sign(t, sampleDraft(t), newSigner(t, 1)), newSigner(t, 1))
	none := trust.Card{Type: "ANT00001"}
	for _, test := range []struct {
		user ridecode.UserID
		card trust.Card
		says string
	}{
		{userNo(9), none, "the user is on the deny list of version 40: unpaid rides"},
		{userNo(2), trust.Card{Type: "HZ000001", No: "9"}, "the user is on the deny list of version 40: fraud"},
		{userNo(1), trust.Card{Type: "HZ000001", No: "9"}, "the card is on the deny list of version 40: no reason given"},
		{userNo(1), trust.Card{Type: "HZ000001", No: "31000017"}, "the card is on the deny list of version 40: reported lost"},
		{userNo(1), trust.Card{Type: "HZ000002", No: "31000017"}, ""},
		{userNo(1), trust.Card{Type: "HZ000001", No: "3100001"}, ""},
		{userNo(1), trust.Card{Type: "HZ000001"}, ""},
		{"", trust.Card{}, ""}, {userNo(9)[:15], none, ""}, {userNo(9) + "0", none, ""},
	} {
		got, denied := b.Denied(test.user, test.card)
		if denied != (test.says != "") || denied && got.String() != test.says {
			t.Errorf("%+v: %v, %v", test, got, denied)
		}
	}
}

// The list is exact, whatever is on it: who is not on it is never denied, and who is always is.
func TestDenyListIsExact(t *testing.T) {
	signer := newSigner(t, 1)
	rapid.Check(t, func(r *rapid.T) {
		users := rapid.MapOf(rapid.IntRange(0, 60), rapid.Uint8()).Draw(r, "users")
		cards := rapid.MapOf(rapid.StringMatching(`[0-9]{1,3}`), rapid.Uint8()).Draw(r, "cards")
		d := sampleDraft(t)
		d.DeniedUsers, d.DeniedCards = deniedUsers(users), deniedCards(cards)
		b := open(t, sign(t, d, signer), signer)
		for i := range 62 {
			reason, listed := users[i]
			if got, denied := b.Denied(userNo(i), trust.Card{}); denied != listed || denied && byte(got.Reason) != reason {
				r.Fatalf("user %d: %v, %v", i, got, denied)
			}
		}
		for i := range 1200 {
			no := fmt.Sprint(i)
			reason, listed := cards[no]
			if got, denied := b.Denied("", trust.Card{Type: "HZ000001", No: ridecode.CardNo(no)}); denied != listed || denied && byte(got.Reason) != reason {
				r.Fatalf("card %s: %v, %v", no, got, denied)
			}
		}
	})
}

func deniedUsers(users map[int]uint8) (list []trust.DeniedUser) {
	for i, reason := range users {
		list = append(list, trust.DeniedUser{User: userNo(i), Reason: trust.DenyReason(reason)})
	}
	return list
}

func deniedCards(cards map[string]uint8) (list []trust.DeniedCard) {
	for no, reason := range cards {
		list = append(list, trust.DeniedCard{Card: trust.Card{Type: "HZ000001", No: ridecode.CardNo(no)}, Reason: trust.DenyReason(reason)})
	}
	return list
}

// The signer signs this package's documents and nothing else, and never shows its key.
func TestSeedSigner(t *testing.T) {
	signer := newSigner(t, 0x4c)
	_, err := signer.SignTrust([]byte("a record"))
	assertForm(t, err)
	_, err = trust.NewSeedSigner(make([]byte, 31))
	assertForm(t, err)
	if text := fmt.Sprintf("%v %#v", signer, signer); strings.Contains(text, "76") || strings.Contains(text, "4c") {
		t.Errorf("the key is printed: %s", text)
	}
}

func FuzzParse(f *testing.F) {
	signer := newSigner(f, 1)
	f.Add(sign(f, sampleDraft(f), signer))
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := trust.Parse(b)
		if err != nil {
			assertForm(t, err)
			return
		}
		if !bytes.Equal(u.Bytes(), b) {
			t.Fatal("the bytes changed")
		}
		resignable := bytes.Clone(b)
		id := trust.NameSigner(signer.PublicKey())
		copy(resignable[5:], id[:])
		resign(t, resignable, signer)
		if u, err = trust.Parse(resignable); err != nil {
			t.Fatalf("another signer, another form: %v", err)
		}
		bundle, err := u.Verify(authority(t, signer))
		if err != nil {
			assertReason(t, err, trust.Unusable)
			return
		}
		if len(bundle.Report().Rejected) > 0 {
			return
		}
		if again := sign(t, bundle.Draft(), signer); !bytes.Equal(again, resignable) {
			t.Fatalf("%x was written again as %x", resignable, again)
		}
	})
}

// cityDraft is a bundle of a city with so many denied users, and a twentieth as many cards.
func cityDraft(t testing.TB, userCount int) trust.Draft {
	d := sampleDraft(t)
	d.DeniedUsers, d.DeniedCards = nil, nil
	for i := range userCount {
		d.DeniedUsers = append(d.DeniedUsers, trust.DeniedUser{User: userNo(i * 7919), Reason: trust.DenyUnpaid})
		if i%20 == 0 {
			d.DeniedCards = append(d.DeniedCards, trust.DeniedCard{Card: trust.Card{Type: "HZ000001", No: ridecode.CardNo(fmt.Sprintf("31%014d", i))}})
		}
	}
	return d
}

func BenchmarkDenied(b *testing.B) {
	signer := newSigner(b, 1)
	raw := sign(b, cityDraft(b, 100_000), signer)
	bundle := open(b, raw, signer)
	users := make([]ridecode.UserID, 4096)
	for i := range users {
		users[i] = userNo(i * 100_003)
	}
	card := trust.Card{Type: "HZ000001", No: "3100000000000007"}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		bundle.Denied(users[i%len(users)], card)
	}
	b.ReportMetric(float64(len(raw)), "bytes/bundle")
}

func BenchmarkLoad(b *testing.B) {
	signer := newSigner(b, 1)
	raw, keys := sign(b, cityDraft(b, 100_000), signer), authority(b, signer)
	b.ReportAllocs()
	for b.Loop() {
		u, err := trust.Parse(raw)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := u.Verify(keys); err != nil {
			b.Fatal(err)
		}
	}
}
