package secp192k1

// BatchItem is one signature to verify: DER over Digest by Key.
type BatchItem struct {
	Key    *PublicKey
	Digest []byte
	DER    []byte
}

// VerifyBatch writes verdicts[i] = items[i].Key.VerifyDER(items[i].Digest, items[i].DER) for every item.
// Items do not influence each other: this is not a test of a random combination, only the inversion mod n is
// shared. A nil key verifies nothing. It panics if verdicts is shorter than items.
func VerifyBatch(items []BatchItem, verdicts []bool) {
	verdicts = verdicts[:len(items)]
	for start := 0; start < len(items); start += batchSize {
		end := min(start+batchSize, len(items))
		verifyChunk(items[start:end], verdicts[start:end])
	}
}

func verifyChunk(items []BatchItem, verdicts []bool) {
	var chunk [batchSize]pending
	count := 0
	for i := range items {
		verdicts[i] = false
		key := items[i].Key
		if key != nil && !key.isZero() && chunk[count].parse(i, items[i].Digest, items[i].DER) {
			count++
		}
	}
	finishMultipliers(chunk[:count])
	for i := range chunk[:count] {
		c := &chunk[i]
		var p jacobian
		p.doubleScalarMult(&c.u1, &c.u2, &items[c.index].Key.point)
		verdicts[c.index] = p.hasX(&c.sig.r.v)
	}
}
