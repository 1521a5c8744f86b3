package carddata_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/protocol/carddata"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
)

var (
	expires = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	card    = carddata.Card{Institution: ridecode.Quad{0, 0, 0, 9}, Type: "HZ000001", No: "3100001700000042", User: "2088000011112222"}
	content = carddata.Content{Payload: []byte("monthly pass"), Expires: expires}

	aesKey = carddata.Key{ID: 4, Algorithm: carddata.AES256GCM, Bytes: bytes.Repeat([]byte{0xa1}, 32)}
	sm4Key = carddata.Key{ID: 5, Algorithm: carddata.SM4GCM, Bytes: bytes.Repeat([]byte{0xb2}, 16)}
)

func rule(t testing.TB, sealWith carddata.KeyID) carddata.Rule {
	t.Helper()
	r, err := carddata.NewSealed([]carddata.Key{aesKey, sm4Key}, sealWith)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func seal(t testing.TB, r carddata.Rule, card carddata.Card, content carddata.Content) []byte {
	t.Helper()
	data, err := r.Seal(card, content, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func assertForm(t testing.TB, err error) {
	t.Helper()
	var wrong *form.Error
	if !errors.As(err, &wrong) || wrong.Field == "" || wrong.Clause == "" {
		t.Fatalf("error %v does not name field and clause", err)
	}
}

func assertReason(t testing.TB, got carddata.Content, err error, want carddata.Reason) {
	t.Helper()
	var refused *carddata.Refusal
	if !errors.Is(err, want) || !errors.As(err, &refused) || refused.Why == "" || got.Payload != nil || !got.Expires.IsZero() {
		t.Errorf("%+v, error %v, want %s", got, err, want)
	}
}

// Both ciphers, one rule: each opens what the other sealed, because the key decides.
func TestSealOpen(t *testing.T) {
	for _, key := range []carddata.Key{aesKey, sm4Key} {
		data := seal(t, rule(t, key.ID), card, content)
		if len(data) > carddata.MaxSize || data[0] != byte(key.ID) || bytes.Contains(data, content.Payload) {
			t.Errorf("%v: %x", key, data)
		}
		for _, now := range []time.Time{time.Unix(0, 0), expires} {
			got, err := rule(t, aesKey.ID).Open(card, data, now)
			if err != nil || !bytes.Equal(got.Payload, content.Payload) || !got.Expires.Equal(expires) {
				t.Errorf("%v at %v: %+v, %v", key, now, got, err)
			}
		}
		got, err := rule(t, aesKey.ID).Open(card, data, expires.Add(time.Second))
		assertReason(t, got, err, carddata.Expired)
	}
}

func TestBitFlipsAndTruncation(t *testing.T) {
	for _, id := range []carddata.KeyID{aesKey.ID, sm4Key.ID} {
		r := rule(t, id)
		data := seal(t, r, card, content)
		for bit := range len(data) * 8 {
			flipped := bytes.Clone(data)
			flipped[bit/8] ^= 1 << (bit % 8)
			got, err := r.Open(card, flipped, expires)
			want := carddata.NotGenuine
			if bit < 8 && flipped[0] != byte(aesKey.ID) && flipped[0] != byte(sm4Key.ID) {
				want = carddata.UnknownKey
			}
			assertReason(t, got, err, want)
		}
		for size := range len(data) {
			got, err := r.Open(card, data[:size], expires)
			if err == nil || got.Payload != nil {
				t.Errorf("%d of %d bytes are taken", size, len(data))
			}
		}
		for size := range 33 {
			_, err := r.Open(card, data[:size], expires)
			assertForm(t, err)
		}
		_, err := r.Open(card, make([]byte, 54), expires)
		assertForm(t, err)
		got, err := r.Open(card, append(bytes.Clone(data), 0), expires)
		assertReason(t, got, err, carddata.NotGenuine)
	}
}

// Card data moved to another card, user, type or institution is refused, and so is data whose key was
// given another number.
func TestMovedCardData(t *testing.T) {
	r := rule(t, aesKey.ID)
	data := seal(t, r, card, content)
	for name, change := range map[string]func(*carddata.Card){
		"institution": func(c *carddata.Card) { c.Institution[3]++ },
		"type":        func(c *carddata.Card) { c.Type = "HZ000002" },
		"number":      func(c *carddata.Card) { c.No = "3100001700000043" },
		"shorter":     func(c *carddata.Card) { c.No = c.No[:15] },
		"no number":   func(c *carddata.Card) { c.No = "" },
		"user":        func(c *carddata.Card) { c.User = "2088000011112223" },
		"shifted":     func(c *carddata.Card) { c.No, c.User = c.No+"2", "0880000111122220" },
	} {
		other := card
		change(&other)
		got, err := r.Open(other, data, expires)
		t.Run(name, func(t *testing.T) { assertReason(t, got, err, carddata.NotGenuine) })
	}
	renumbered := aesKey
	renumbered.ID = 6
	other, err := carddata.NewSealed([]carddata.Key{renumbered}, 6)
	if err != nil {
		t.Fatal(err)
	}
	moved := bytes.Clone(data)
	moved[0] = 6
	got, err := other.Open(card, moved, expires)
	assertReason(t, got, err, carddata.NotGenuine)
	got, err = other.Open(card, data, expires)
	assertReason(t, got, err, carddata.UnknownKey)
}

func TestCardOf(t *testing.T) {
	grant := ridecode.Grant{UserID: card.User, Institution: card.Institution, CardType: card.Type, CardNo: card.No}
	if carddata.CardOf(&grant) != card {
		t.Errorf("%+v", carddata.CardOf(&grant))
	}
}

func TestSealRefuses(t *testing.T) {
	r := rule(t, aesKey.ID)
	for name, spoil := range map[string]func(*carddata.Card, *carddata.Content){
		"long payload": func(_ *carddata.Card, c *carddata.Content) { c.Payload = make([]byte, 21) },
		"before 1970":  func(_ *carddata.Card, c *carddata.Content) { c.Expires = time.Time{} },
		"after 2106":   func(_ *carddata.Card, c *carddata.Content) { c.Expires = time.Date(2107, 1, 1, 0, 0, 0, 0, time.UTC) },
		"short type":   func(k *carddata.Card, _ *carddata.Content) { k.Type = "HZ" },
		"short user":   func(k *carddata.Card, _ *carddata.Content) { k.User = "2088" },
		"number":       func(k *carddata.Card, _ *carddata.Content) { k.No = "31\x00" },
		"long number":  func(k *carddata.Card, _ *carddata.Content) { k.No = ridecode.CardNo(strings.Repeat("1", 132)) },
	} {
		spoiledCard, spoiled := card, content
		spoil(&spoiledCard, &spoiled)
		if _, err := r.Seal(spoiledCard, spoiled, rand.Reader); err == nil {
			t.Errorf("%s: sealed", name)
		} else {
			assertForm(t, err)
		}
	}
	if data, err := r.Seal(card, content, bytes.NewReader(make([]byte, 11))); err == nil || data != nil {
		t.Error("sealed without a whole nonce")
	}
	_, err := r.Open(carddata.Card{}, seal(t, r, card, content), expires)
	assertForm(t, err)
}

func TestBadKeys(t *testing.T) {
	for name, keys := range map[string][]carddata.Key{
		"none":            nil,
		"another to seal": {sm4Key},
		"twice":           {aesKey, {ID: aesKey.ID, Algorithm: carddata.SM4GCM, Bytes: sm4Key.Bytes}},
		"AES of 16":       {{ID: aesKey.ID, Algorithm: carddata.AES256GCM, Bytes: sm4Key.Bytes}},
		"SM4 of 32":       {{ID: aesKey.ID, Algorithm: carddata.SM4GCM, Bytes: aesKey.Bytes}},
		"no algorithm":    {{ID: aesKey.ID, Bytes: aesKey.Bytes}},
	} {
		if _, err := carddata.NewSealed(keys, aesKey.ID); err == nil {
			t.Errorf("%s: taken", name)
		} else {
			assertForm(t, err)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v", aesKey, aesKey, aesKey); strings.Contains(text, "161") || strings.Contains(text, "a1") {
		t.Errorf("the key is printed: %s", text)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := carddata.Card{Institution: ridecode.Quad(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(r, "institution")),
			Type: ridecode.CardType(rapid.StringMatching(`[ -~]{8}`).Draw(r, "type")), No: ridecode.CardNo(rapid.StringMatching(`[ -~]{0,131}`).Draw(r, "number")),
			User: ridecode.UserID(rapid.StringMatching(`[ -~]{16}`).Draw(r, "user"))}
		want := carddata.Content{Payload: rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(r, "payload"), Expires: time.Unix(rapid.Int64Range(0, 1<<32-1).Draw(r, "expiry"), 0)}
		rule := rule(t, rapid.SampledFrom([]carddata.KeyID{aesKey.ID, sm4Key.ID}).Draw(r, "key"))
		data := seal(t, rule, c, want)
		got, err := rule.Open(c, data, want.Expires)
		if err != nil || !bytes.Equal(got.Payload, want.Payload) || !got.Expires.Equal(want.Expires) || len(data) > carddata.MaxSize {
			r.Fatalf("%x: %+v, %v", data, got, err)
		}
	})
}

// The whole format against another implementation, the openssl command: the payload is AES-256 in
// counter mode from nonce ‖ 2, and without a payload the tag is GMAC of the associated data as the
// layout says it.
func TestAgainstOpenSSL(t *testing.T) {
	tool, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("this test needs the openssl command: apt-get install openssl")
	}
	r, nonce := rule(t, aesKey.ID), []byte("twelve bytes")
	data, err := r.Seal(card, content, bytes.NewReader(nonce))
	if err != nil {
		t.Fatal(err)
	}
	key := hex.EncodeToString(aesKey.Bytes)
	want := run(t, content.Payload, tool, "enc", "-aes-256-ctr", "-K", key, "-iv", hex.EncodeToString(append(bytes.Clone(nonce), 0, 0, 0, 2)))
	if got := data[17 : len(data)-16]; !bytes.Equal(got, want) {
		t.Errorf("payload %x, openssl says %x", got, want)
	}
	empty, err := r.Seal(card, carddata.Content{Expires: expires}, bytes.NewReader(nonce))
	if err != nil {
		t.Fatal(err)
	}
	bound := slices.Concat([]byte("shuama card data 1\x01\x04\x00\x00\x00\x09HZ000001\x103100001700000042"+"2088000011112222"),
		binary.BigEndian.AppendUint32(nil, uint32(expires.Unix())))
	tag := run(t, bound, tool, "mac", "-binary", "-macopt", "cipher:AES-256-GCM", "-macopt", "hexkey:"+key, "-macopt", "hexiv:"+hex.EncodeToString(nonce), "GMAC")
	if got := empty[17:]; !bytes.Equal(got, tag) {
		t.Errorf("tag %x, openssl says %x", got, tag)
	}
}

func run(t *testing.T, input []byte, tool string, args ...string) []byte {
	t.Helper()
	command := exec.Command(tool, args...)
	command.Stdin = bytes.NewReader(input)
	output, err := command.Output()
	if err != nil {
		t.Fatalf("openssl %s: %v", args[0], err)
	}
	return output
}

func FuzzOpen(f *testing.F) {
	r := rule(f, aesKey.ID)
	data, err := r.Seal(card, content, strings.NewReader("twelve bytes")) // the same in every worker
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, string(card.No))
	f.Fuzz(func(t *testing.T, b []byte, no string) {
		c := card
		c.No = ridecode.CardNo(no)
		got, err := r.Open(c, b, expires)
		if err == nil && (c != card || !bytes.Equal(b, data)) {
			t.Fatalf("%x opens for %q as %+v", b, no, got)
		}
		if err != nil && (got.Payload != nil || !got.Expires.IsZero()) {
			t.Fatal("content beside an error")
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	for _, key := range []carddata.Key{aesKey, sm4Key} {
		b.Run(key.Algorithm.String(), func(b *testing.B) {
			r := rule(b, key.ID)
			data := seal(b, r, card, content)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Open(card, data, expires); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
