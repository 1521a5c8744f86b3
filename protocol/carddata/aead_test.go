package carddata

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// Published vectors of the two ciphers, with longer texts than card data has.
func TestPublishedVectors(t *testing.T) {
	for name, vector := range map[string]struct {
		algorithm                             Algorithm
		key, nonce, plain, bound, sealed, tag string
	}{
		"RFC 8998 appendix A.1": {SM4GCM,
			"0123456789abcdeffedcba9876543210", "00001234567800000000abcd",
			"aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa",
			"feedfacedeadbeeffeedfacedeadbeefabaddad2",
			"17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d",
			"83de3541e4c2b58177e065a9bf7b62ec"},
		"McGrew and Viega, test case 16": {AES256GCM,
			"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
			"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
			"feedfacedeadbeeffeedfacedeadbeefabaddad2",
			"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
			"76fc6ece0f4e1768cddf8853bb2d551b"},
	} {
		aead, err := newAEAD(Key{Algorithm: vector.algorithm, Bytes: unhex(t, vector.key)})
		if err != nil {
			t.Fatal(err)
		}
		got := aead.Seal(nil, unhex(t, vector.nonce), unhex(t, vector.plain), unhex(t, vector.bound))
		if want := unhex(t, vector.sealed+vector.tag); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", name, got, want)
		}
		opened, err := aead.Open(nil, unhex(t, vector.nonce), got, unhex(t, vector.bound))
		if err != nil || !bytes.Equal(opened, unhex(t, vector.plain)) {
			t.Errorf("%s: opened as %x, %v", name, opened, err)
		}
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
