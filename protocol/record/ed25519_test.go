package record_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/shuama/shuama/protocol/record"
)

// RFC 8032 §7.1, TEST 2: seed, public key, message, signature.
const (
	rfcSeed      = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
	rfcPublic    = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
	rfcMessage   = "72"
	rfcSignature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The value is plain Ed25519 over the message, so that anybody can check it with any tool.
func TestEd25519IsThatOfTheRFC(t *testing.T) {
	signer, err := record.NewEd25519Signer(unhex(t, rfcSeed))
	if err != nil {
		t.Fatal(err)
	}
	value, err := signer.SignIntegrity(user, unhex(t, rfcMessage))
	if err != nil || hex.EncodeToString(value) != rfcSignature || len(value) != signer.IntegritySize() {
		t.Errorf("signed as %x, %v", value, err)
	}
	key, err := record.ParseIntegrity("ed25519=" + rfcPublic)
	if err != nil || key.Algorithm() != record.Ed25519 {
		t.Fatal(err)
	}
	if !key.VerifyIntegrity(user, unhex(t, rfcMessage), value) || key.VerifyIntegrity(user, []byte("x"), value) {
		t.Error("the key does not tell one message from another")
	}
	if hex.EncodeToString(signer.Key().Bytes()) != rfcPublic {
		t.Errorf("public key %x", signer.Key().Bytes())
	}
}

// Nobody can turn a value into a second one: s + L, which is the same number, is refused.
func TestEd25519ValuesHaveNoTwin(t *testing.T) {
	value := unhex(t, rfcSignature)
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := slices.Clone(value[32:])
	slices.Reverse(s)
	twin := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	slices.Reverse(twin)
	key, _ := record.ParseIntegrity("ed25519=" + rfcPublic)
	if key.VerifyIntegrity(user, unhex(t, rfcMessage), slices.Concat(value[:32], twin)) {
		t.Error("a twin verifies")
	}
}

// Each key here lets anybody make values for it (that is shown too, where the encoding is one that
// verifiers take); registering one is refused.
func TestWeakEd25519Keys(t *testing.T) {
	forgeable := 0
	for name, text := range map[string]string{
		"order 1":                 "0100000000000000000000000000000000000000000000000000000000000000",
		"order 2":                 "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"order 4":                 "0000000000000000000000000000000000000000000000000000000000000000",
		"order 4, other sign":     "0000000000000000000000000000000000000000000000000000000000000080",
		"order 8":                 "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"order 8, other sign":     "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"order 8, other y":        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"order 8, both":           "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"order 1, not canonical":  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"order 4, not canonical":  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"order 1, sign of zero":   "0100000000000000000000000000000000000000000000000000000000000080",
		"order 2, sign of zero":   "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"not canonical, all ones": strings.Repeat("ff", 32),
	} {
		if _, err := record.NewEd25519Key(unhex(t, text)); err == nil {
			t.Errorf("%s is taken", name)
		}
		if forges(unhex(t, text)) {
			forgeable++
		}
	}
	if forgeable < 8 {
		t.Errorf("only %d of these keys are weak: the test looks at the wrong ones", forgeable)
	}
}

// forges tells whether R = the neutral point, s = 0 is a value of some short message.
func forges(public []byte) bool {
	value := append([]byte{1}, make([]byte, 63)...)
	for i := range 200 {
		if ed25519.Verify(public, fmt.Append(nil, i), value) {
			return true
		}
	}
	return false
}

func TestBadEd25519Keys(t *testing.T) {
	notOnCurve := 0
	for i := range 64 {
		encoded := make([]byte, 32)
		encoded[0] = byte(i)
		if _, err := record.NewEd25519Key(encoded); err != nil {
			assertFormError(t, err)
			notOnCurve++
		}
	}
	if notOnCurve < 20 || notOnCurve > 44 {
		t.Errorf("%d of 64 small y are no points; about half should be", notOnCurve)
	}
	for i := range 50 {
		signer, err := record.NewEd25519Signer(bytes.Repeat([]byte{byte(i)}, 32))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := record.NewEd25519Key(signer.Key().Bytes()); err != nil {
			t.Errorf("a good key is refused: %v", err)
		}
	}
	for _, size := range []int{0, 31, 33, 64} {
		_, err := record.NewEd25519Key(make([]byte, size))
		assertFormError(t, err)
		_, err = record.NewEd25519Signer(make([]byte, size))
		assertFormError(t, err)
	}
	if (record.Ed25519Key{}).VerifyIntegrity(user, nil, make([]byte, 64)) {
		t.Error("no key verifies")
	}
	if _, err := (record.Ed25519Signer{}).SignIntegrity(user, nil); err == nil {
		t.Error("no key signs")
	}
	signer, _ := record.NewEd25519Signer(unhex(t, rfcSeed))
	if text := fmt.Sprintf("%v %#v %s", signer, signer, signer); strings.Contains(text, "4ccd") || strings.Contains(text, "76") {
		t.Errorf("the key is printed: %s", text)
	}
}

// negateModOrder gives n − s on secp256k1.
func negateModOrder(s []byte) []byte {
	n, _ := new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
	return n.Sub(n, new(big.Int).SetBytes(s)).FillBytes(make([]byte, 32))
}
