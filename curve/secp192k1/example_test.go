package secp192k1_test

import (
	"crypto/rand"
	"crypto/sha1"
	"errors"
	"fmt"

	"github.com/shuama/shuama/curve"
	"github.com/shuama/shuama/curve/secp192k1"
)

// A phone signs, a gate verifies.
func Example() {
	private, err := secp192k1.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	digest := sha1.Sum([]byte("every byte of the code up to the generation time"))
	signature, err := private.SignDER(digest[:])
	if err != nil {
		panic(err)
	}

	public, err := secp192k1.ParsePublicKey(private.PublicKey().Bytes())
	if err != nil {
		panic(err)
	}
	fmt.Println(public.VerifyDER(digest[:], signature), private)
	// Output: true secp192k1.PrivateKey(redacted)
}

// A refusal says why.
func ExampleParsePublicKey() {
	_, err := secp192k1.ParsePublicKey(make([]byte, 25))
	fmt.Println(err, errors.Is(err, curve.ReasonPrefix))
	// Output: secp192k1: public key: prefix is not 02 or 03 true
}
