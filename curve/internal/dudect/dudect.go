// Package dudect (时间侧信道检验) asks whether a function takes different times for two classes of secret input:
// the method of Reparaz, Balasch and Verbauwhede, "Dude, is my code constant time?" (2017). The curve
// packages run it from tests behind the build tag dudect, by hand:
//
//	go test -tags dudect -run TestDudect -timeout 0 -v ./curve/secp192k1 ./curve/secp256k1
//
// The statistic is Welch's t between the two classes, for all samples and for the samples below each of
// several percentiles, because interruptions only make slow samples slower. A leak makes |t| grow with the
// number of samples; without one it stays small. It is evidence, not proof.
package dudect

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// Threshold is the |t| at which a difference counts as a leak.
	Threshold = 10

	chunkSize   = 2000
	cropCount   = 12
	minimumSize = 1000 // samples a class needs before its t counts
)

// Result is the greatest |t| of all crops, with the number of samples it comes from.
type Result struct {
	T       float64
	Samples int
	MeanNs  [2]float64 // of the uncropped classes, in nanoseconds
}

// Measure times run(input) for samples inputs, of which a random half is made by each of the two makers. All
// inputs of a chunk are made before the first is timed, and each is copied to the same place, so that
// the classes differ in nothing but their value.
func Measure[T any](samples int, rng *rand.Rand, classes [2]func() T, run func(input *T)) Result {
	var tests [cropCount + 1][2]moments
	var crops []float64
	inputs, class, times := make([]T, chunkSize), make([]int, chunkSize), make([]float64, chunkSize)
	for done := -chunkSize; done < samples; done += chunkSize { // the first chunk only sets the crops
		for i := range inputs {
			class[i] = rng.IntN(2)
			inputs[i] = classes[class[i]]()
		}
		timeChunk(inputs, times, run)
		if crops == nil {
			crops = percentiles(times)
			continue
		}
		for i, t := range times {
			tests[cropCount][class[i]].add(t)
			for j, limit := range crops {
				if t < limit {
					tests[j][class[i]].add(t)
				}
			}
		}
	}
	return summarize(&tests)
}

func timeChunk[T any](inputs []T, times []float64, run func(input *T)) {
	var place T
	for i := range inputs {
		place = inputs[i]
		start := time.Now()
		run(&place)
		times[i] = float64(time.Since(start))
	}
}

// percentiles are closer together at the slow end.
func percentiles(times []float64) []float64 {
	sorted := slices.Sorted(slices.Values(times))
	var crops []float64
	for i := range cropCount {
		p := 1 - math.Pow(0.5, float64(10*(i+1))/cropCount)
		crops = append(crops, sorted[int(p*float64(len(sorted)-1))])
	}
	return crops
}

func summarize(tests *[cropCount + 1][2]moments) Result {
	all := &tests[cropCount]
	r := Result{Samples: int(all[0].count + all[1].count), MeanNs: [2]float64{all[0].mean, all[1].mean}}
	for i := range tests {
		a, b := &tests[i][0], &tests[i][1]
		if a.count >= minimumSize && b.count >= minimumSize {
			r.T = math.Max(r.T, math.Abs(welch(a, b)))
		}
	}
	return r
}

// moments are mean and variance by Welford's recurrence.
type moments struct{ count, mean, squares float64 }

func (m *moments) add(v float64) {
	m.count++
	d := v - m.mean
	m.mean += d / m.count
	m.squares += d * (v - m.mean)
}

func (m *moments) variance() float64 { return m.squares / (m.count - 1) }

func welch(a, b *moments) float64 {
	spread := math.Sqrt(a.variance()/a.count + b.variance()/b.count)
	if spread == 0 {
		return 0
	}
	return (a.mean - b.mean) / spread
}
