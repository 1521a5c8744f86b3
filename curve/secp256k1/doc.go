// Package secp256k1 (ECDSA256, 机构授权签名) signs and verifies ECDSA on the curve secp256k1, as the institution
// that issues ride codes (票卡二维码) does: document 1 §8.1.2 names the algorithm ECDSA256.
//
// The curve is y² = x³ + 7 over the field of p = 2^256 - 2^32 - 977, of prime order n (SEC 2 version 2
// §2.4.1). Keys are compressed points of 33 bytes (SEC 1 §2.3.3), signatures strict DER of at most 72 bytes or
// r ‖ s of 64 bytes.
//
// # Three ways to verify
//
// All give the same answer to the same question; they differ in what they know beforehand.
//
//   - PublicKey.VerifyDER knows nothing. One scalar multiplication by the endomorphism of the curve.
//   - KnownKey.VerifyDER has a table of one key. A gate knows the at most 32 keys of its trust bundle, so that it
//     needs no doublings: about 0.4 of the time. A table takes 256 KiB, or 86 KiB with
//     KnownKeyWindowSmall.
//   - VerifyBatch works through many signatures and shares inversions among them, about 0.3 of the time;
//     VerdictCache remembers good ones, because an institution's grant comes back in every code of its validity.
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
// defence against power analysis or induced faults: a key worth attacking in a laboratory belongs into a hardware module.
//
// # What does not
//
// Everything that only sees public values: parsing, verification, tables, VerifyBatch, VerdictCache. The
// verifying code takes a type of scalar that no private value has, so the compiler refuses to run it on a
// secret. ParsePrivateKey and GenerateKey branch on whether the bytes are in range, that is with a
// probability of about 2^-127. Go gives no means to wipe memory for certain; a key stays in it until it is
// overwritten.
//
// # Strength
//
// The best known attack on a key takes about 2^127 additions: 128-bit security. The documents hash with
// SHA-1, which weakens what is signed, not the key. Forging a signature for a given message needs a second preimage,
// 2^160. But whoever may choose what is signed can make two messages with one SHA-1 value for about 2^63
// operations (Leurent and Peyrin, 2020). A grant holds fields that a user influences, so the institution must
// compose every byte of it itself and take no free-form field from outside.
//
// Digests are taken as ECDSA defines it (SEC 1 §4.1.3): the 20 bytes of SHA-1 are the number they spell,
// as if padded with zeros on the left, and of longer digests the leftmost 32 bytes count. Both s and n-s
// are valid: neither the documents nor ECDSA asks for the smaller one, unlike Bitcoin. A signature therefore is
// not an identifier of what was signed.
//
// # When not to use this package
//
// For blockchains: they have rules of their own (low s, recoverable keys, Schnorr signatures), which this
// package does not know. For new designs, which take Ed25519 or P-256 from the standard library. For key agreement or
// encryption.
package secp256k1

//go:generate go run ../internal/gen -curve secp256k1 -out .
