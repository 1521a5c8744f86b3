package secp256k1_test

import (
	"bytes"
	"crypto/sha1"
	"fmt"

	"github.com/shuama/shuama/curve/secp256k1"
)

// A gate makes the tables when it loads its trust bundle, and asks the cache at every tap.
func Example() {
	institution, err := secp256k1.ParsePrivateKey(bytes.Repeat([]byte{7}, secp256k1.PrivateKeySize))
	if err != nil {
		panic(err)
	}
	digest := sha1.Sum([]byte("institution data"))
	signature, err := institution.SignDER(digest[:])
	if err != nil {
		panic(err)
	}

	known := secp256k1.NewKnownKey(institution.PublicKey(), secp256k1.KnownKeyWindowDefault)
	cache := secp256k1.NewVerdictCache(1024)
	fmt.Println(cache.Contains(known, digest[:], signature))
	fmt.Println(cache.VerifyDER(known, digest[:], signature))
	fmt.Println(cache.Contains(known, digest[:], signature))
	// Output:
	// false
	// true
	// true
}

// A back office verifies a day's records at once.
func ExampleVerifyBatch() {
	institution, err := secp256k1.ParsePrivateKey(bytes.Repeat([]byte{7}, secp256k1.PrivateKeySize))
	if err != nil {
		panic(err)
	}
	known := secp256k1.NewKnownKey(institution.PublicKey(), secp256k1.KnownKeyWindowDefault)
	var items []secp256k1.BatchItem
	for i := range byte(3) {
		digest := sha1.Sum([]byte{i})
		signature, err := institution.SignDER(digest[:])
		if err != nil {
			panic(err)
		}
		items = append(items, secp256k1.BatchItem{Known: known, Digest: digest[:], DER: signature})
	}
	items[1].Digest = items[0].Digest
	verdicts := make([]bool, len(items))
	secp256k1.VerifyBatch(items, verdicts)
	fmt.Println(verdicts)
	// Output: [true false true]
}
