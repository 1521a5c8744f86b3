package secp256k1

import (
	"bytes"
	"fmt"
	"math/big"
	"testing"
)

// windows are the widths that differ in the number of rows or in the shape of the last one.
var windows = []int{6, 7, 8, 9, 10}

func TestKnownKeyAgreesWithOracle(t *testing.T) {
	rng := seeded(t)
	for _, w := range windows {
		k, err := GenerateKey(rng)
		if err != nil {
			t.Fatal(err)
		}
		known := NewKnownKey(k.PublicKey(), w)
		if !known.PublicKey().Equal(k.PublicKey()) {
			t.Fatal("another key")
		}
		q := reference.Mult(new(big.Int).SetBytes(k.Bytes()), reference.Generator())
		us, vs := scalarsFor(rng), scalarsFor(rng)
		for i, u := range us {
			for _, v := range []*big.Int{vs[i], vs[(i+1)%len(vs)]} {
				points := known.appendPoints(nil, &publicScalar{fromBig(u)}, &publicScalar{fromBig(v)})
				var p jacobian
				for i := range points {
					p.addAffine(&points[i])
				}
				checkPoint(t, &p, reference.Add(reference.Mult(u, reference.Generator()), reference.Mult(v, q)))
			}
		}
	}
}

func scalarsFor(rng interface{ Read([]byte) (int, error) }) []*big.Int {
	one := big.NewInt(1)
	values := []*big.Int{new(big.Int), one, new(big.Int).Sub(reference.N, one), big.NewInt(2), new(big.Int).Rsh(reference.N, 1)}
	for range 4 {
		b := make([]byte, byteLen)
		rng.Read(b)
		values = append(values, new(big.Int).Mod(new(big.Int).SetBytes(b), reference.N))
	}
	return values
}

func TestKnownKeyVerdicts(t *testing.T) {
	rng := seeded(t)
	k, _ := GenerateKey(rng)
	other, _ := GenerateKey(rng)
	for _, w := range append(windows, 0, -1, 5, 11) {
		known := NewKnownKey(k.PublicKey(), w)
		digest := bytes.Repeat([]byte{byte(w + 50)}, 20)
		der, err := k.SignDER(digest)
		if err != nil {
			t.Fatal(err)
		}
		foreign, _ := other.SignDER(digest)
		if !known.VerifyDER(digest, der) {
			t.Errorf("w = %d: a good signature is refused", w)
		}
		if known.VerifyDER(digest, foreign) || known.VerifyDER(digest[1:], der) || known.VerifyDER(digest, der[1:]) || known.VerifyDER(nil, der) {
			t.Errorf("w = %d: a bad signature is accepted", w)
		}
	}
	der, _ := k.SignDER([]byte{1})
	if NewKnownKey(new(PublicKey), 8).VerifyDER([]byte{1}, der) {
		t.Error("the zero key verifies")
	}
}

// TestKnownKeySpecialPoints uses the keys ±G and ±2G, whose tables hold the same points as that of G,
// so that additions meet equal and opposite points.
func TestKnownKeySpecialPoints(t *testing.T) {
	n := reference.N
	for _, m := range []int64{1, -1, 2, -2, 3} {
		d := new(big.Int).Mod(big.NewInt(m), n)
		known := NewKnownKey(parseOracleKey(t, reference.Mult(d, reference.Generator())), 10)
		for _, a := range []int64{0, 1, 2, 5, -1, -5} {
			for _, b := range []int64{1, 2, 5, -1, -5} {
				u, v := new(big.Int).Mod(big.NewInt(a), n), new(big.Int).Mod(big.NewInt(b), n)
				points := known.appendPoints(nil, &publicScalar{fromBig(u)}, &publicScalar{fromBig(v)})
				var p jacobian
				for i := range points {
					p.addAffine(&points[i])
				}
				sum := new(big.Int).Add(u, new(big.Int).Mul(v, d))
				checkPoint(t, &p, reference.Mult(sum.Mod(sum, n), reference.Generator()))
			}
		}
	}
}

func TestKnownKeyAllocatesNothing(t *testing.T) {
	k, _ := GenerateKey(seeded(t))
	digest := bytes.Repeat([]byte{1}, 20)
	der, _ := k.SignDER(digest)
	for _, w := range []int{KnownKeyWindowSmall, KnownKeyWindowDefault} {
		known := NewKnownKey(k.PublicKey(), w)
		if count := testing.AllocsPerRun(20, func() { known.VerifyDER(digest, der) }); count != 0 {
			t.Errorf("w = %d allocates %v times", w, count)
		}
	}
}

func BenchmarkNewKnownKey(b *testing.B) {
	k, _ := GenerateKey(seeded(b))
	public := k.PublicKey()
	for _, w := range []int{KnownKeyWindowSmall, KnownKeyWindowDefault} {
		b.Run(fmt.Sprintf("w=%d", w), func(b *testing.B) {
			for b.Loop() {
				NewKnownKey(public, w)
			}
		})
	}
}
