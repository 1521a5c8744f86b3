package secp256k1

import (
	"bytes"
	"sync"
	"testing"
)

func cacheCase(t testing.TB, i byte) (*KnownKey, []byte, []byte) {
	t.Helper()
	k := batchKeys()[int(i)%len(batchKeys())]
	digest := bytes.Repeat([]byte{i}, 20)
	der, err := k.private.SignDER(digest)
	if err != nil {
		t.Fatal(err)
	}
	return k.known, digest, der
}

func TestCacheRemembersOnlyTheExactQuestion(t *testing.T) {
	c := NewVerdictCache(100)
	k, digest, der := cacheCase(t, 1)
	if c.Contains(k, digest, der) || !c.VerifyDER(k, digest, der) || !c.Contains(k, digest, der) || !c.VerifyDER(k, digest, der) {
		t.Fatal("a good signature is not remembered")
	}
	otherKey, _, _ := cacheCase(t, 2)
	for i := range der {
		bent := bytes.Clone(der)
		bent[i] ^= 1
		if c.Contains(k, digest, bent) || c.VerifyDER(k, digest, bent) || c.Contains(k, digest, bent) {
			t.Errorf("byte %d of the signature does not count", i)
		}
	}
	for i := range digest {
		bent := bytes.Clone(digest)
		bent[i] ^= 1
		if c.VerifyDER(k, bent, der) {
			t.Errorf("byte %d of the digest does not count", i)
		}
	}
	// a byte that moves from the digest into the signature must be another question
	if c.VerifyDER(otherKey, digest, der) || c.VerifyDER(k, digest[:19], append(digest[19:], der...)) || c.VerifyDER(k, append(bytes.Clone(digest), der[0]), der[1:]) {
		t.Error("another key or another cut is accepted")
	}
}

// TestCacheComparesBytes makes two questions collide in hash and size.
func TestCacheComparesBytes(t *testing.T) {
	var a, b verdictEntry
	k, digest, der := cacheCase(t, 1)
	if !a.fill(k, digest, der) {
		t.Fatal("does not fit")
	}
	b = a
	b.bytes[b.size-1] ^= 1
	var set verdictSet
	set.store(&a)
	if !set.contains(&a) || set.contains(&b) {
		t.Error("entries are told apart by their hash alone")
	}
}

func TestCacheRefusesWhatDoesNotFit(t *testing.T) {
	c := NewVerdictCache(8)
	k, _, _ := cacheCase(t, 1)
	long := bytes.Repeat([]byte{7}, verdictDigestMax+1)
	der, _ := batchKeys()[1].private.SignDER(long)
	if !c.VerifyDER(k, long, der) || c.Contains(k, long, der) {
		t.Error("a long digest must be verified and not be remembered")
	}
	if c.VerifyDER(k, nil, der) || c.VerifyDER(k, long, make([]byte, 500)) {
		t.Error("nonsense is accepted")
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := NewVerdictCache(16)
	if c.Capacity() != 16 || NewVerdictCache(0).Capacity() != verdictWays || NewVerdictCache(-5).Capacity() != verdictWays {
		t.Errorf("capacity %d", c.Capacity())
	}
	for i := range byte(200) {
		if k, digest, der := cacheCase(t, i); !c.VerifyDER(k, digest, der) || !c.Contains(k, digest, der) {
			t.Fatalf("case %d", i)
		}
	}
	kept := 0
	for i := range byte(200) {
		if c.Contains(cacheCase(t, i)) {
			kept++
		}
	}
	if kept > 16 || kept < verdictWays {
		t.Errorf("%d entries kept, capacity 16", kept)
	}
}

func TestCacheConcurrently(t *testing.T) {
	c := NewVerdictCache(32)
	var wait sync.WaitGroup
	for g := range byte(8) {
		wait.Go(func() {
			for i := range byte(60) {
				k, digest, der := cacheCase(t, i%20+g)
				if !c.VerifyDER(k, digest, der) {
					t.Error("a good signature is refused")
				}
				der[5] ^= 1
				if c.VerifyDER(k, digest, der) {
					t.Error("a bad signature is accepted")
				}
			}
		})
	}
	wait.Wait()
}

func TestCacheAllocatesNothing(t *testing.T) {
	c := NewVerdictCache(8)
	k, digest, der := cacheCase(t, 1)
	if count := testing.AllocsPerRun(50, func() { c.VerifyDER(k, digest, der) }); count != 0 {
		t.Errorf("allocates %v times", count)
	}
}
