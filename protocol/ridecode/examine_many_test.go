package ridecode_test

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
)

// Of many codes together the same is said as of each alone: genuine ones, changed ones, ones of unknown
// keys, noise, late ones, in any company, with keys that check many at once and keys that do not.
func TestExamineMany(t *testing.T) {
	w := newWriter(t)
	var good [][]byte
	for i := range 20 {
		good = append(good, w.code(t, 0, w.grant(), shownAt.Add(time.Duration(i)*time.Second)))
	}
	random, ring := rand.New(rand.NewPCG(5, 5)), w.keys
	for range 30 {
		var codes []ridecode.Presented
		for range random.IntN(90) {
			raw := bytes.Clone(good[random.IntN(len(good))])
			switch random.IntN(6) {
			case 0:
				raw[random.IntN(len(raw))] ^= 1 << random.IntN(8)
			case 1:
				raw = raw[:random.IntN(len(raw))]
			case 2:
				raw[2] = 200 // a key that nobody has
			}
			codes = append(codes, ridecode.Presented{Raw: raw, At: shownAt.Add(time.Duration(random.IntN(1200)-300) * time.Second)})
		}
		for name, keys := range map[string]ridecode.IssuerKeys{"one by one": oneByOne{ring}, "together": ring, "remembered": remembering(t, ring)} {
			for range 2 {
				compareMany(t, name, codes, keys, ring)
			}
		}
	}
}

func compareMany(t *testing.T, name string, codes []ridecode.Presented, keys, alone ridecode.IssuerKeys) {
	t.Helper()
	for i, got := range ridecode.ExamineMany(codes, keys, ridecode.DefaultClock()) {
		code, trace := ridecode.Examine(codes[i].Raw, alone, codes[i].At, ridecode.DefaultClock())
		if !reflect.DeepEqual(got.Code, code) || !reflect.DeepEqual(got.Trace, trace) {
			t.Fatalf("%s: code %d of %d: %+v, alone %+v", name, i, len(codes), got.Trace, trace)
		}
		if _, err := ridecode.Parse(codes[i].Raw); (err == nil) != (got.Unverified != nil) {
			t.Fatalf("%s: code %d: form %v, and %v", name, i, err, got.Unverified)
		}
	}
}

func remembering(t *testing.T, ring *trust.KeyRing) ridecode.IssuerKeys {
	t.Helper()
	again, err := trust.NewKeyRing(ring.Keys(), trust.WindowSmall)
	if err != nil {
		t.Fatal(err)
	}
	return again.Remember(100)
}

// oneByOne hides that keys can check many at once.
type oneByOne struct{ keys ridecode.IssuerKeys }

func (o oneByOne) IssuerKey(id ridecode.KeyID) (ridecode.Verifier, bool) { return o.keys.IssuerKey(id) }

var _ ridecode.BatchKeys = (*trust.KeyRing)(nil)
