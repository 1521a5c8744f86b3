package secp256k1

import (
	"bytes"
	"math/big"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// batchKeys are two issuers of each table width and their keys.
var batchKeys = sync.OnceValue(func() (keys []struct {
	private *PrivateKey
	known   *KnownKey
}) {
	for i, w := range []int{7, 6, 8, 10, 6, 8} {
		k, err := ParsePrivateKey(bytes.Repeat([]byte{byte(i + 1)}, byteLen))
		if err != nil {
			panic(err)
		}
		keys = append(keys, struct {
			private *PrivateKey
			known   *KnownKey
		}{k, NewKnownKey(k.PublicKey(), w)})
	}
	return keys
})

// drawItem makes an item and the verdict of the single path.
func drawItem(t *rapid.T) (BatchItem, bool) {
	k := batchKeys()[rapid.IntRange(0, len(batchKeys())-1).Draw(t, "key")]
	digest := rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "digest")
	der, err := k.private.SignDER(digest)
	if err != nil {
		t.Fatal(err)
	}
	item := BatchItem{Known: k.known, Digest: digest, DER: der}
	if rapid.Bool().Draw(t, "plain") {
		item.Known, item.Key = nil, k.private.PublicKey()
	}
	switch rapid.IntRange(0, 7).Draw(t, "damage") {
	case 0:
		item.DER[len(item.DER)-1] ^= 1
	case 1:
		item.DER = item.DER[:rapid.IntRange(0, len(item.DER)-1).Draw(t, "cut")]
	case 2:
		item.Digest = nil
	case 3:
		item.Known, item.Key = nil, nil
	case 4:
		item.Digest = append([]byte{1}, digest...)
	}
	switch {
	case item.Known != nil:
		return item, item.Known.VerifyDER(item.Digest, item.DER)
	case item.Key != nil:
		return item, item.Key.VerifyDER(item.Digest, item.DER)
	}
	return item, false
}

func TestBatchIsTheSinglePath(t *testing.T) {
	cache := NewVerdictCache(64)
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.SampledFrom([]int{0, 1, 2, 31, 32, 33, 63, 64, 65, 130}).Draw(t, "count")
		items, want := make([]BatchItem, count), make([]bool, count)
		for i := range items {
			items[i], want[i] = drawItem(t)
		}
		got := bytes.Repeat([]byte{1}, count)
		verdicts := make([]bool, count)
		for i := range verdicts {
			verdicts[i] = got[i] == 1 // stale answers must not survive
		}
		VerifyBatch(items, verdicts)
		compareVerdicts(t, "batch", verdicts, want)
		cache.VerifyBatch(items, verdicts)
		compareVerdicts(t, "cached batch", verdicts, want)
		cache.VerifyBatch(items, verdicts)
		compareVerdicts(t, "second cached batch", verdicts, want)
	})
}

func compareVerdicts(t *rapid.T, name string, got, want []bool) {
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%s: item %d: verdict %v, single path %v", name, i, got[i], want[i])
		}
	}
}

// TestBatchWithEqualPoints takes the key G, so that the two tables hold the same points: sums that need
// a doubling or pass through infinity must fall back, and must not disturb their neighbours.
func TestBatchWithEqualPoints(t *testing.T) {
	k, err := ParsePrivateKey(big.NewInt(1).FillBytes(make([]byte, byteLen)))
	if err != nil {
		t.Fatal(err)
	}
	known := NewKnownKey(k.PublicKey(), KnownKeyWindowMax) // as wide as the table of G
	good, _ := k.SignDER([]byte{9})
	items := []BatchItem{{Known: known, Digest: []byte{9}, DER: good}}
	n := reference.N
	for _, e := range []int64{1, 2, 3, 7} {
		// r = e makes u1 = u2, every pair of points equal; r = n - e makes the sum infinity.
		for _, r := range []*big.Int{big.NewInt(e), new(big.Int).Sub(n, big.NewInt(e))} {
			sig := Signature{publicScalar{fromBig(r)}, publicScalar{fromBig(big.NewInt(5))}}
			items = append(items, BatchItem{Known: known, Digest: []byte{byte(e)}, DER: sig.AppendDER(nil)})
		}
	}
	items = append(items, items[0], doublingItem(t, known))
	verdicts := make([]bool, len(items))
	VerifyBatch(items, verdicts)
	for i, item := range items {
		if want := known.VerifyDER(item.Digest, item.DER); verdicts[i] != want {
			t.Errorf("item %d: %v, want %v", i, verdicts[i], want)
		}
	}
	if last := len(items) - 1; !verdicts[0] || !verdicts[last-1] || !verdicts[last] {
		t.Error("a good signature is refused")
	}
}

// doublingItem is a valid signature with u1 = u2 for the key G: (2u)·G has x = r, and e = r.
func doublingItem(t *testing.T, known *KnownKey) BatchItem {
	t.Helper()
	u := big.NewInt(0x123456789)
	r := reference.Mult(new(big.Int).Lsh(u, 1), reference.Generator()).X
	s := new(big.Int).ModInverse(u, reference.N)
	s.Mul(s, r).Mod(s, reference.N)
	sig := Signature{publicScalar{fromBig(r)}, publicScalar{fromBig(s)}}
	return BatchItem{Known: known, Digest: r.FillBytes(make([]byte, byteLen)), DER: sig.AppendDER(nil)}
}

func TestBatchPanicsOnShortVerdicts(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	VerifyBatch(make([]BatchItem, 2), make([]bool, 1))
}
