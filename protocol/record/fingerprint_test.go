package record_test

import (
	"bytes"
	"testing"

	"github.com/shuama/shuama/protocol/record"
)

func TestFingerprint(t *testing.T) {
	seen := map[[32]byte]string{}
	for _, text := range []string{
		"hmac-md5-user-id", "hmac-sha256=000102030405060708090a0b0c0d0e0f", "hmac-sha256=000102030405060708090a0b0c0d0e10",
		"ecdsa-secp256k1-sha256=0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
		"ecdsa-secp256k1-sha256=02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
		"ed25519=d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
		"ed25519=3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
	} {
		key, err := record.ParseIntegrity(text)
		if err != nil {
			t.Fatal(err)
		}
		print := record.Fingerprint(key)
		if other, twice := seen[print]; twice || print != record.Fingerprint(key) {
			t.Errorf("%s has the fingerprint of %s", text, other)
		}
		if seen[print] = text; bytes.Contains(print[:], []byte{0, 1, 2, 3}) {
			t.Error("the fingerprint tells the key")
		}
	}
}
