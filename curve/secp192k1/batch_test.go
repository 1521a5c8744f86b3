package secp192k1

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// drawItem makes an item and the verdict of the single path.
func drawItem(t *rapid.T) (BatchItem, bool) {
	k, err := ParsePrivateKey(bytes.Repeat([]byte{rapid.ByteRange(1, 5).Draw(t, "key")}, byteLen))
	if err != nil {
		t.Fatal(err)
	}
	digest := rapid.SliceOfN(rapid.Byte(), 1, 30).Draw(t, "digest")
	der, err := k.SignDER(digest)
	if err != nil {
		t.Fatal(err)
	}
	item := BatchItem{k.PublicKey(), digest, der}
	switch rapid.IntRange(0, 7).Draw(t, "damage") {
	case 0:
		item.DER[len(item.DER)-1] ^= 1
	case 1:
		item.DER = item.DER[:rapid.IntRange(0, len(item.DER)-1).Draw(t, "cut")]
	case 2:
		item.Digest = nil
	case 3:
		item.Key = nil
		return item, false
	case 4:
		item.Key = new(PublicKey)
	}
	return item, item.Key.VerifyDER(item.Digest, item.DER)
}

func TestBatchIsTheSinglePath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.SampledFrom([]int{0, 1, 2, 63, 64, 65, 130}).Draw(t, "count")
		items, want, verdicts := make([]BatchItem, count), make([]bool, count), make([]bool, count)
		for i := range items {
			items[i], want[i] = drawItem(t)
			verdicts[i] = !want[i] // stale answers must not survive
		}
		VerifyBatch(items, verdicts)
		for i := range want {
			if verdicts[i] != want[i] {
				t.Fatalf("item %d: verdict %v, single path %v", i, verdicts[i], want[i])
			}
		}
	})
}

func TestBatchAllocatesNothing(t *testing.T) {
	k, _ := GenerateKey(seeded(t))
	der, _ := k.SignDER([]byte{1})
	items := []BatchItem{{k.PublicKey(), []byte{1}, der}, {k.PublicKey(), []byte{2}, der}}
	verdicts := make([]bool, 2)
	if count := testing.AllocsPerRun(20, func() { VerifyBatch(items, verdicts) }); count != 0 {
		t.Errorf("allocates %v times", count)
	}
	if !verdicts[0] || verdicts[1] {
		t.Error("wrong verdicts")
	}
}

func TestBatchPanicsOnShortVerdicts(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	VerifyBatch(make([]BatchItem, 2), make([]bool, 1))
}
