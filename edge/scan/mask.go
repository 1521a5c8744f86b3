package scan

import "rsc.io/qr/coding"

// penalty measures how hard a symbol is to read, ISO/IEC 18004 §7.8.3.1. Of the eight masks the
// one with the lowest penalty is drawn.
func penalty(code *coding.Code) int {
	sum := 0
	line := make([]bool, code.Size)
	for i := range code.Size {
		for k := range line {
			line[k] = code.Black(k, i)
		}
		sum += penaltyRuns(line) + penaltyFinders(line)
		for k := range line {
			line[k] = code.Black(i, k)
		}
		sum += penaltyRuns(line) + penaltyFinders(line)
	}
	return sum + penaltyBlocks(code) + penaltyBalance(code)
}

// penaltyRuns: five or more modules of one colour in a line.
func penaltyRuns(line []bool) int {
	sum, run := 0, 0
	for i := range line {
		if i > 0 && line[i] == line[i-1] {
			run++
		} else {
			run = 1
		}
		switch {
		case run == 5:
			sum += 3
		case run > 5:
			sum++
		}
	}
	return sum
}

// penaltyFinders: what looks like a finder pattern, dark 1:1:3:1:1 with four light modules before
// or after it. The margin counts as light.
func penaltyFinders(line []bool) int {
	dark := [7]bool{true, false, true, true, true, false, true}
	sum := 0
	for i := 0; i+len(dark) <= len(line); i++ {
		if [7]bool(line[i:i+7]) != dark {
			continue
		}
		if allLight(line[max(0, i-4):i]) || allLight(line[i+7:min(len(line), i+11)]) {
			sum += 40
		}
	}
	return sum
}

func allLight(line []bool) bool {
	for _, dark := range line {
		if dark {
			return false
		}
	}
	return true
}

// penaltyBlocks: squares of 2 × 2 modules of one colour.
func penaltyBlocks(code *coding.Code) int {
	sum := 0
	for y := range code.Size - 1 {
		for x := range code.Size - 1 {
			dark := code.Black(x, y)
			if code.Black(x+1, y) == dark && code.Black(x, y+1) == dark && code.Black(x+1, y+1) == dark {
				sum += 3
			}
		}
	}
	return sum
}

// penaltyBalance: ten for every full 5 % that the dark share is away from one half.
func penaltyBalance(code *coding.Code) int {
	dark := 0
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				dark++
			}
		}
	}
	all := code.Size * code.Size
	away := dark*20 - all*10 // twentieths of the whole
	return max(away, -away) / all * 10
}
