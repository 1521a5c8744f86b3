package money_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/money"
)

func TestParseYuan(t *testing.T) {
	good := map[string]money.Fen{"0": 0, "2": 200, "2.0": 200, "2.00": 200, "0.05": 5, "007.1": 710, "10000000000": money.MaxFen}
	for text, want := range good {
		if got, err := money.ParseYuan(text); err != nil || got != want {
			t.Errorf("ParseYuan(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	bad := map[string]error{
		"": money.ErrNotAmount, ".5": money.ErrNotAmount, "5.": money.ErrNotAmount, "-1": money.ErrNotAmount,
		"+1": money.ErrNotAmount, "1e3": money.ErrNotAmount, " 1": money.ErrNotAmount, "1 ": money.ErrNotAmount,
		"1,5": money.ErrNotAmount, "1.2.3": money.ErrNotAmount, "٢": money.ErrNotAmount, "NaN": money.ErrNotAmount,
		"1.005": money.ErrTooFine, "1.000": money.ErrTooFine,
		"10000000000.01": money.ErrTooLarge, "99999999999999999999999": money.ErrTooLarge,
	}
	for text, want := range bad {
		if got, err := money.ParseYuan(text); !errors.Is(err, want) {
			t.Errorf("ParseYuan(%q) = %d, %v; want %v", text, got, err, want)
		}
	}
}

func TestYuanEdges(t *testing.T) {
	for fen, want := range map[money.Fen]string{0: "0.00", 5: "0.05", -5: "-0.05", -200: "-2.00",
		math.MaxInt64: "92233720368547758.07", math.MinInt64: "-92233720368547758.08"} {
		if got := fen.Yuan(); got != want {
			t.Errorf("Fen(%d).Yuan() = %s, want %s", int64(fen), got, want)
		}
	}
}

func TestYuanRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fen := money.Fen(rapid.Int64Range(0, int64(money.MaxFen)).Draw(t, "fen"))
		if back, err := money.ParseYuan(fen.Yuan()); err != nil || back != fen {
			t.Fatalf("%d became %q became %d, %v", fen, fen.Yuan(), back, err)
		}
	})
}

// The oracle is arbitrary-precision arithmetic: Add answers exactly, or says that it cannot.
func TestAddAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		want := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		got, err := money.Fen(a).Add(money.Fen(b))
		if want.IsInt64() != (err == nil) || err == nil && int64(got) != want.Int64() {
			t.Fatalf("%d + %d = %d, %v; want %s", a, b, got, err, want)
		}
	})
}

func FuzzParseYuan(f *testing.F) {
	for _, seed := range []string{"2", "2.00", "-1", "1e3", "0.001"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fen, err := money.ParseYuan(text)
		if err != nil {
			return
		}
		if again, err := money.ParseYuan(fen.Yuan()); err != nil || again != fen {
			t.Fatalf("%q = %d fen, written %q, read %d, %v", text, fen, fen.Yuan(), again, err)
		}
	})
}
