package dudect

import (
	"math/rand/v2"
	"testing"
)

func TestWelchSeesADifference(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var a, b, c moments
	for range 20000 {
		a.add(rng.NormFloat64())
		b.add(rng.NormFloat64())
		c.add(rng.NormFloat64() + 0.2)
	}
	if v := welch(&a, &b); v > 4 || v < -4 {
		t.Errorf("equal distributions give t = %f", v)
	}
	if v := welch(&a, &c); v > -Threshold {
		t.Errorf("different distributions give t = %f", v)
	}
	if v := a.variance(); v < 0.9 || v > 1.1 {
		t.Errorf("variance %f", v)
	}
}

func TestMeasureCountsEverySample(t *testing.T) {
	rng, runs := rand.New(rand.NewPCG(1, 2)), 0
	maker := func() int { return 1 }
	r := Measure(3*chunkSize, rng, [2]func() int{maker, maker}, func(*int) { runs++ })
	if r.Samples != 3*chunkSize || runs != 4*chunkSize {
		t.Errorf("%d samples, %d runs", r.Samples, runs)
	}
}
