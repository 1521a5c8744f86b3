// Package secp192k1 (ECDSA192, 用户授权签名) signs and verifies ECDSA on the curve secp192k1, as the user of a ride
// code (票卡二维码) does: document 1 §8.2.2 names the algorithm ECDSA192.
//
// The curve is y² = x³ + 3 over the field of p = 2^192 - 2^32 - 4553, of prime order n (SEC 2 version 2
// §2.2.1). Keys are compressed points of 25 bytes (SEC 1 §2.3.3), signatures strict DER of at most 56 bytes or
// r ‖ s of 48 bytes.
//
//	key, err := secp192k1.ParsePublicKey(compressed)
//	ok := key.VerifyDER(digest, signature)
//
// # What runs in constant time
//
// Signing and the derivation of a public key: SignDER, AppendSignDER, Sign, SignTo and PublicKey take
// the same time and touch the same addresses whatever the private key and the nonce are. The scalar is
// multiplied by a comb with signed odd digits, every row of which is read in full; additions are the complete
// formulas of Renes, Costello and Batina (2016), which have no special cases; inversions are the division
// steps of Bernstein and Yang (2019), 590 of them always. The nonce is that of RFC 6979 with HMAC-SHA-256,
// so that a bad random source cannot reveal the key, and so that signatures can be tested. The test with the
// build tag dudect measures all this; package dudect says how.
//
// The claim is for processors whose 64-bit multiplication (32-bit on 32-bit systems) has a fixed time, which is
// so for amd64 and arm64 and for ARM application cores, and not for some small ones (Cortex-M3). There is no
// defence against power analysis or induced faults.
//
// # What does not
//
// Everything that only sees public values: parsing, verification, tables, VerifyBatch. The verifying code takes
// a type of scalar that no private value has, so the compiler refuses to run it on a secret.
// ParsePrivateKey and GenerateKey branch on whether the bytes are in range, that is with a probability of
// about 2^-95. Go gives no means to wipe memory for certain; a key stays in it until it is overwritten.
//
// # Strength
//
// The best known attack on a key is Pollard's rho with the three automorphisms and their negatives, about
// 2^95 additions: 96-bit security. That is below the 112 bits which NIST SP 800-57 demands since 2014, and below every
// current national minimum. Document 1 can live with it because a user key is worth little (one virtual card with a
// limit), and is authorised for a short time only; such an attack must be paid again for every key.
//
// The documents hash with SHA-1. Forging a signature for a given message needs a second preimage, 2^160. But
// whoever may choose what is signed can make two messages with one SHA-1 value for about 2^63 operations (Leurent and
// Peyrin, 2020). So never sign free-form content of another party under SHA-1: a ride code is
// safe as its signer composes all of it.
//
// Digests are taken as ECDSA defines it (SEC 1 §4.1.3): the 20 bytes of SHA-1 are the number they spell,
// as if padded with zeros on the left, and of longer digests the leftmost 24 bytes count. Both s and n-s
// are valid: neither the documents nor ECDSA asks for the smaller one. A signature therefore is not an
// identifier of what was signed.
//
// # When not to use this package
//
// For anything but the codes of document 1. A new design takes Ed25519 or P-256 from the standard library; a system
// with secp256k1 takes the package beside this one. Do not use the curve for key agreement or encryption.
package secp192k1

//go:generate go run ../internal/gen -curve secp192k1 -out .
