package secp256k1

import (
	"hash/maphash"
	"sync"
)

// VerdictCache remembers signatures of institutions that were found good. An institution signs one grant that then
// arrives in many ride codes, so that a gate meets the same signature again and again.
//
// The key of an entry is the whole question: public key, digest and every byte of the signature, compared in
// full. Only successes are stored, so that a flood of forgeries cannot push good entries out, and an answer
// can only be "verified before, exactly so". Whether the grant has expired is not the cache's business: it is checked
// outside, every time. The capacity is fixed; the oldest entry of a set is replaced. Safe for
// concurrent use.
type VerdictCache struct {
	seed maphash.Seed // random, so that nobody can aim at one set
	sets []verdictSet
}

const (
	verdictWays      = 8
	verdictDigestMax = 64
	verdictBytesMax  = PublicKeySize + 1 + verdictDigestMax + MaxDERSize
)

// verdictSet is a ring of entries that may share a hash.
type verdictSet struct {
	mu      sync.Mutex
	next    int
	entries [verdictWays]verdictEntry
}

// verdictEntry holds key ‖ digest length ‖ digest ‖ signature; size 0 is empty.
type verdictEntry struct {
	hash  uint64
	size  int
	bytes [verdictBytesMax]byte
}

// NewVerdictCache makes a cache for at most capacity entries of about 200 bytes; below 8 it holds 8.
func NewVerdictCache(capacity int) *VerdictCache {
	return &VerdictCache{maphash.MakeSeed(), make([]verdictSet, max(1, capacity/verdictWays))}
}

// Capacity returns the number of entries the cache can hold.
func (c *VerdictCache) Capacity() int { return len(c.sets) * verdictWays }

// VerifyDER gives the same answer as k.VerifyDER, from memory if it can.
func (c *VerdictCache) VerifyDER(k *KnownKey, digest, sig []byte) bool {
	var e verdictEntry
	if !e.fill(k, digest, sig) {
		return k.VerifyDER(digest, sig)
	}
	set := c.locate(&e)
	if set.contains(&e) {
		return true
	}
	if !k.VerifyDER(digest, sig) {
		return false
	}
	set.store(&e)
	return true
}

// Contains reports whether the signature was verified before and is still remembered.
func (c *VerdictCache) Contains(k *KnownKey, digest, sig []byte) bool {
	var e verdictEntry
	return e.fill(k, digest, sig) && c.locate(&e).contains(&e)
}

// VerifyBatch gives the same answers as the function VerifyBatch: from memory where it can, the others in one
// batch. Items with a plain Key are not remembered.
func (c *VerdictCache) VerifyBatch(items []BatchItem, verdicts []bool) {
	verdicts = verdicts[:len(items)]
	missing, indices := make([]BatchItem, 0, len(items)), make([]int, 0, len(items))
	for i := range items {
		b := &items[i]
		verdicts[i] = b.Known != nil && c.Contains(b.Known, b.Digest, b.DER)
		if !verdicts[i] {
			missing, indices = append(missing, *b), append(indices, i)
		}
	}
	answers := make([]bool, len(missing))
	VerifyBatch(missing, answers)
	for i, good := range answers {
		verdicts[indices[i]] = good
		if good && missing[i].Known != nil {
			c.remember(&missing[i])
		}
	}
}

func (c *VerdictCache) remember(b *BatchItem) {
	var e verdictEntry
	if e.fill(b.Known, b.Digest, b.DER) {
		c.locate(&e).store(&e)
	}
}

// fill writes the question into e and reports whether it fits.
func (e *verdictEntry) fill(k *KnownKey, digest, sig []byte) bool {
	if k.key.isZero() || len(digest) == 0 || len(digest) > verdictDigestMax || len(sig) > MaxDERSize {
		return false
	}
	b := append(e.bytes[:0], k.id[:]...)
	b = append(b, byte(len(digest)))
	b = append(b, digest...)
	e.size = len(append(b, sig...))
	return true
}

func (c *VerdictCache) locate(e *verdictEntry) *verdictSet {
	e.hash = maphash.Bytes(c.seed, e.bytes[:e.size])
	return &c.sets[e.hash%uint64(len(c.sets))]
}

func (s *verdictSet) contains(e *verdictEntry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(e)
}

func (s *verdictSet) find(e *verdictEntry) bool {
	for i := range s.entries {
		o := &s.entries[i]
		if o.hash == e.hash && o.size == e.size && o.bytes == e.bytes {
			return true
		}
	}
	return false
}

// store puts e in the place of the oldest entry, unless another goroutine was faster.
func (s *verdictSet) store(e *verdictEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.find(e) {
		return
	}
	s.entries[s.next] = *e
	s.next = (s.next + 1) % verdictWays
}
