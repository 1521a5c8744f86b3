//go:build peers

package main

/*
#include "peers.h"
*/
import "C"

import (
	"errors"
	"math/rand/v2"
	"slices"

	decred "github.com/decred/dcrd/dcrec/secp256k1/v4"
	decredecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/shuama/shuama/curve/secp192k1"
	"github.com/shuama/shuama/curve/secp256k1"
)

// The names of the contenders; the table refers to them.
const (
	ours192Verify  = "secp192k1 verify, key decompressed"
	ours192Parsed  = "secp192k1 verify, parsed key"
	ours192Sign    = "secp192k1 sign"
	ours192Batch   = "secp192k1 batch of 64, per item"
	ours256Known   = "secp256k1 verify, known key (w=8)"
	ours256Small   = "secp256k1 verify, known key (w=6)"
	ours256Unknown = "secp256k1 verify, parsed key"
	ours256Parse   = "secp256k1 verify, key decompressed"
	ours256Batch   = "secp256k1 batch of 64 known keys, per item"
	ours256Cached  = "secp256k1 verdict from the cache"
	ours256Sign    = "secp256k1 sign"
	oursBoth       = "both verifications of a code"

	openssl192Verify = "OpenSSL secp192k1 verify, key decompressed"
	openssl192Sign   = "OpenSSL secp192k1 sign"
	openssl256Verify = "OpenSSL secp256k1 verify, parsed key"
	libsecpVerify    = "libsecp256k1 verify, parsed key"
	libsecpParse     = "libsecp256k1 verify, key decompressed"
	libsecpSign      = "libsecp256k1 sign"
	decredVerify     = "decred secp256k1 verify, parsed key"
)

func contenders() ([]*contender, error) {
	users, set192, err := userContenders()
	if err != nil {
		return nil, err
	}
	issuers, set256, err := issuerContenders(set192)
	if err != nil {
		return nil, err
	}
	if C.openssl_setup(C.SECP192K1, &set192.c[0], caseCount) != 1 || C.openssl_setup(C.SECP256K1, &set256.c[0], caseCount) != 1 || C.libsecp_setup(&set256.c[0], caseCount) != 1 {
		return nil, errors.New("a peer refuses a key")
	}
	gates, err := gateContenders()
	if err != nil {
		return nil, err
	}
	return slices.Concat(users, issuers, gates, peerContenders(set192, set256)), nil
}

func peerContenders(a, b *cases) []*contender {
	decredKeys, decredRun := make([]*decred.PublicKey, caseCount), 0
	for i := range decredKeys {
		decredKeys[i], _ = decred.ParsePubKey(b.keys[i])
	}
	return []*contender{
		{name: openssl192Verify, run: func(n int) int { return int(C.openssl_verify(C.SECP192K1, &a.c[0], caseCount, C.int(n), 1)) }},
		{name: openssl192Sign, run: func(n int) int { return int(C.openssl_sign(C.SECP192K1, &a.c[0], caseCount, C.int(n))) }},
		{name: openssl256Verify, run: func(n int) int { return int(C.openssl_verify(C.SECP256K1, &b.c[0], caseCount, C.int(n), 0)) }},
		{name: libsecpVerify, run: func(n int) int { return int(C.libsecp_verify(&b.c[0], caseCount, C.int(n), 0)) }},
		{name: libsecpParse, run: func(n int) int { return int(C.libsecp_verify(&b.c[0], caseCount, C.int(n), 1)) }},
		{name: libsecpSign, run: func(n int) int { return int(C.libsecp_sign(&b.c[0], caseCount, C.int(n))) }},
		{name: decredVerify, run: func(n int) int {
			decredRun = 0
			for i := range n {
				sig, err := decredecdsa.ParseDERSignature(b.ders[i%caseCount])
				if err == nil && sig.Verify(b.padded(i%caseCount), decredKeys[i%caseCount]) {
					decredRun++
				}
			}
			return decredRun
		}},
	}
}

// padded is the SHA-1 digest as the 32 bytes that peers without a rule for short digests need.
func (s *cases) padded(i int) []byte {
	return append(make([]byte, 32-len(s.digests[i]), 32), s.digests[i]...)
}

func userContenders() ([]*contender, *cases, error) {
	rng, set := rand.NewChaCha8([32]byte{1}), new(cases)
	var private []*secp192k1.PrivateKey
	var public []*secp192k1.PublicKey
	for i := range caseCount {
		k, err := secp192k1.GenerateKey(rng)
		if err != nil {
			return nil, nil, err
		}
		if i >= keyCount {
			k = private[i-keyCount]
		}
		der, err := k.SignDER(digestOf(i))
		if err != nil {
			return nil, nil, err
		}
		private, public = append(private, k), append(public, k.PublicKey())
		set.add(public[i].Bytes(), digestOf(i), der, k.Bytes(), 20)
	}
	var buffer [secp192k1.MaxDERSize]byte
	return []*contender{
		{name: ours192Verify, run: count(func(i int) bool { return set.verifyUser(i) })},
		{name: ours192Parsed, run: count(func(i int) bool { return public[i].VerifyDER(set.digests[i], set.ders[i]) })},
		{name: ours192Batch, run: func(n int) int { return runUserBatch(set, public, n) }},
		{name: ours192Sign, run: count(func(i int) bool {
			_, err := private[i].AppendSignDER(buffer[:0], set.digests[i])
			return err == nil
		})},
	}, set, nil
}

// verifyUser is what a gate does with the user signature: the key comes compressed in the code.
func (s *cases) verifyUser(i int) bool {
	k, err := secp192k1.ParsePublicKey(s.keys[i])
	return err == nil && k.VerifyDER(s.digests[i], s.ders[i])
}

func issuerContenders(users *cases) ([]*contender, *cases, error) {
	rng, set := rand.NewChaCha8([32]byte{2}), new(cases)
	var private []*secp256k1.PrivateKey
	var public []*secp256k1.PublicKey
	var known, small []*secp256k1.KnownKey
	for i := range caseCount {
		k, err := secp256k1.GenerateKey(rng)
		if err != nil {
			return nil, nil, err
		}
		if i >= keyCount {
			k = private[i-keyCount]
		}
		der, err := k.SignDER(digestOf(i))
		if err != nil {
			return nil, nil, err
		}
		private, public = append(private, k), append(public, k.PublicKey())
		set.add(public[i].Bytes(), digestOf(i), der, k.Bytes(), 32)
		if i < keyCount {
			known = append(known, secp256k1.NewKnownKey(public[i], secp256k1.KnownKeyWindowDefault))
			small = append(small, secp256k1.NewKnownKey(public[i], secp256k1.KnownKeyWindowSmall))
		}
	}
	cache := secp256k1.NewVerdictCache(1024)
	var buffer [secp256k1.MaxDERSize]byte
	return []*contender{
		{name: ours256Known, run: count(func(i int) bool { return known[i%keyCount].VerifyDER(set.digests[i], set.ders[i]) })},
		{name: ours256Small, run: count(func(i int) bool { return small[i%keyCount].VerifyDER(set.digests[i], set.ders[i]) })},
		{name: ours256Batch, run: func(n int) int { return runIssuerBatch(set, known, n) }},
		{name: ours256Cached, run: count(func(i int) bool { return cache.VerifyDER(known[i%keyCount], set.digests[i], set.ders[i]) })},
		{name: ours256Unknown, run: count(func(i int) bool { return public[i].VerifyDER(set.digests[i], set.ders[i]) })},
		{name: ours256Parse, run: count(func(i int) bool {
			k, err := secp256k1.ParsePublicKey(set.keys[i])
			return err == nil && k.VerifyDER(set.digests[i], set.ders[i])
		})},
		{name: ours256Sign, run: count(func(i int) bool {
			_, err := private[i].AppendSignDER(buffer[:0], set.digests[i])
			return err == nil
		})},
		{name: oursBoth, run: count(func(i int) bool {
			return users.verifyUser(i) && known[i%keyCount].VerifyDER(set.digests[i], set.ders[i])
		})},
	}, set, nil
}

// runUserBatch verifies n items, a multiple of caseCount, in batches of caseCount.
func runUserBatch(set *cases, public []*secp192k1.PublicKey, n int) int {
	items, verdicts := make([]secp192k1.BatchItem, caseCount), make([]bool, caseCount)
	for i := range items {
		items[i] = secp192k1.BatchItem{Key: public[i], Digest: set.digests[i], DER: set.ders[i]}
	}
	good := 0
	for range n / caseCount {
		secp192k1.VerifyBatch(items, verdicts)
		good += countTrue(verdicts)
	}
	return good
}

func runIssuerBatch(set *cases, known []*secp256k1.KnownKey, n int) int {
	items, verdicts := make([]secp256k1.BatchItem, caseCount), make([]bool, caseCount)
	for i := range items {
		items[i] = secp256k1.BatchItem{Known: known[i%keyCount], Digest: set.digests[i], DER: set.ders[i]}
	}
	good := 0
	for range n / caseCount {
		secp256k1.VerifyBatch(items, verdicts)
		good += countTrue(verdicts)
	}
	return good
}

func countTrue(verdicts []bool) int {
	good := 0
	for _, v := range verdicts {
		if v {
			good++
		}
	}
	return good
}

// count makes a contender of one operation on case i.
func count(f func(i int) bool) func(int) int {
	return func(n int) int {
		good := 0
		for i := range n {
			if f(i % caseCount) {
				good++
			}
		}
		return good
	}
}
