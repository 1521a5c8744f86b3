package secp256k1

import "sync"

// BatchItem is one signature to verify: DER over Digest by Known, or by Key if Known is nil.
type BatchItem struct {
	Known  *KnownKey
	Key    *PublicKey
	Digest []byte
	DER    []byte
}

// VerifyBatch writes to verdicts[i] what Known.VerifyDER or Key.VerifyDER would say of items[i], for
// every item. Items do not influence each other: this is not a test of a random combination, only inversions
// are shared. An item without a key verifies nothing. It panics if verdicts is shorter than items. Where an
// item has a known key it works in about 250 KiB of scratch, which calls hand on to each other.
func VerifyBatch(items []BatchItem, verdicts []bool) {
	verdicts = verdicts[:len(items)]
	sums := scratch.Get().(*batchSums)
	defer scratch.Put(sums)
	for start := 0; start < len(items); start += batchSize {
		end := min(start+batchSize, len(items))
		verifyChunk(items[start:end], verdicts[start:end], sums)
	}
}

// scratch holds what no call relies on: every sum is written before it is read.
var scratch = sync.Pool{New: func() any { return new(batchSums) }}

func verifyChunk(items []BatchItem, verdicts []bool, sums *batchSums) {
	var chunk [batchSize]pending
	count := 0
	for i := range items {
		verdicts[i] = false
		if items[i].hasKey() && chunk[count].parse(i, items[i].Digest, items[i].DER) {
			count++
		}
	}
	finishMultipliers(chunk[:count])
	var buffer [batchSize]*pending
	known := buffer[:0]
	for i := range chunk[:count] {
		c := &chunk[i]
		if items[c.index].Known != nil {
			known = append(known, c)
			continue
		}
		var p jacobian
		p.doubleScalarMult(&c.u1, &c.u2, &items[c.index].Key.point)
		verdicts[c.index] = p.hasX(&c.sig.r.v)
	}
	for start := 0; start < len(known); start += batchSumCount {
		sums.verify(items, verdicts, known[start:min(start+batchSumCount, len(known))])
	}
}

func (b *BatchItem) hasKey() bool {
	if b.Known != nil {
		return !b.Known.key.isZero()
	}
	return b.Key != nil && !b.Key.isZero()
}

// batchSumCount is the number of sums made side by side: the scratch stays within a second-level cache.
const batchSumCount = 32

// batchSums adds the comb points of many signatures side by side in affine form. An affine addition is
// 2 products and a square, and an inversion that all additions of a level share for 3 products each:
// 6 in place of the 11 of a mixed addition.
type batchSums struct {
	sums  [batchSumCount]batchSum
	diffs [batchSumCount * combRowsMax]fe // x2 - x1 of every pair of a level
	heads [batchSumCount * combRowsMax]fe // product of all differences in front
}

// batchSum is one list of points to add up.
type batchSum struct {
	points  [2 * combRowsMax]affine
	count   int
	unequal bool // no pair had equal x so far
}

func (s *batchSums) verify(items []BatchItem, verdicts []bool, known []*pending) {
	sums := s.sums[:len(known)]
	for i, c := range known {
		sum := &sums[i]
		sum.count = len(items[c.index].Known.appendPoints(sum.points[:0], &c.u1, &c.u2))
		sum.unequal = true
	}
	for s.addLevel(sums) {
	}
	for i, c := range known {
		if sums[i].unequal {
			verdicts[c.index] = sums[i].points[0].hasX(&c.sig.r.v)
			continue
		}
		// A doubling or an infinity on the way, which only a constructed signature can cause.
		verdicts[c.index] = items[c.index].Known.verifyMultiplied(&c.u1, &c.u2, &c.sig)
	}
}

// addLevel halves the number of points of every sum and reports whether there was one to halve.
func (s *batchSums) addLevel(sums []batchSum) bool {
	pairs := 0
	var acc fe
	acc.setOne()
	for i := range sums {
		sum := &sums[i]
		half := sum.count / 2
		for j := range half {
			d := &s.diffs[pairs]
			d.sub(&sum.points[j+half].x, &sum.points[j].x)
			if d.isZero() {
				sum.unequal = false
				d.setOne()
			}
			s.heads[pairs] = acc
			acc.mul(&acc, d)
			pairs++
		}
	}
	if pairs == 0 {
		return false
	}
	acc.invertPublic(&acc)
	for i := len(sums) - 1; i >= 0; i-- {
		pairs = s.addPairs(&sums[i], &acc, pairs)
	}
	return true
}

// addPairs adds point j+half to point j, for the pairs that end at index pairs; acc is the inverse of the
// product of all differences up to there.
func (s *batchSums) addPairs(sum *batchSum, acc *fe, pairs int) int {
	half := sum.count / 2
	for j := half - 1; j >= 0; j-- {
		pairs--
		var inverse fe
		inverse.mul(acc, &s.heads[pairs])
		acc.mul(acc, &s.diffs[pairs])
		sum.points[j].addWithInverse(&sum.points[j+half], &inverse)
	}
	if sum.count%2 == 1 {
		sum.points[half] = sum.points[sum.count-1]
	}
	sum.count -= half
	return pairs
}

// addWithInverse sets p = p + q given 1/(q.x - p.x).
func (p *affine) addWithInverse(q *affine, inverse *fe) {
	var slope, x fe
	slope.sub(&q.y, &p.y)
	slope.mul(&slope, inverse)
	x.add(&p.x, &q.x)
	x.squareMinusOne(&slope, &x)
	p.x.sub(&p.x, &x)
	p.y.mulMinus(&slope, &p.x, &p.y)
	p.x = x
}

// hasX reports whether p.x mod n = r.
func (p *affine) hasX(r *limbs) bool {
	candidate := fe(*r)
	return p.x.equal(&candidate) || addOrder(&candidate, r) && p.x.equal(&candidate)
}
