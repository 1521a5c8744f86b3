package merchant

import (
	"encoding/json"
	"fmt"
	"regexp"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

func tapWith(kind record.Kind, at time.Time, mark byte) Tap {
	return Tap{Record: record.Identify([]byte{mark}), Kind: kind, At: at, POSID: "POS2", Line: "LINE1", Station: "Xujiahui"}
}

var morning = time.Date(2016, 5, 11, 0, 34, 0, 0, time.UTC)

func TestNumberTrade(t *testing.T) {
	bus := Trip{Start: tapWith(record.Single, morning, 1)}
	if got, want := numberTrade(bus), openapi.OutTradeNo("LINE1_Xujiahui_POS2_20160511083400_9c12cfdc04c74584"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	twin := bus
	twin.Start.Record = record.Identify([]byte{2})
	if numberTrade(bus) == numberTrade(twin) {
		t.Error("two taps in one second have one number")
	}
	metro := Trip{Start: tapWith(record.Entry, morning, 1), End: tapWith(record.Exit, morning, 2)}
	other := Trip{Start: tapWith(record.Entry, morning, 3), End: metro.End}
	if numberTrade(metro) == numberTrade(other) {
		t.Error("two trips that end with one tap have one number")
	}
	if got := numberTrade(Trip{Start: Tap{At: morning, Line: "十九 路"}}); !regexp.MustCompile(`^20160511083400_[0-9a-f]{16}$`).MatchString(string(got)) {
		t.Errorf("without any letter: %s", got)
	}
}

func TestSubject(t *testing.T) {
	for want, trip := range map[string]Trip{
		"公交-19 路-3241-08:34":   {Start: Tap{At: morning, Line: "19 路", POSID: "3241"}},
		"公交-19 路-龙翔桥-08:34":    {Start: Tap{At: morning, Line: "19 路", POSID: "3241", Station: "龙翔桥"}},
		"公交-08:34":             {Start: Tap{At: morning}},
		"公交-rm -rf-08:34":      {Start: Tap{At: morning, Line: "rm\x00\n -\u202erf\u2028"}},
		"地铁-A-G2-08:34":        {Start: Tap{Kind: record.Entry, Station: "A"}, End: Tap{At: morning, POSID: "G2"}},
		"公交-一二三四五六七八九十一-08:34": {Start: Tap{At: morning, Line: "一二三四五六七八九十一二三"}},
	} {
		if got := writeSubject(trip); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestTradeFitsWire: whatever a terminal writes, the platform's own reader takes the trade, unchanged.
func TestTradeFitsWire(t *testing.T) {
	fares, err := ParseFares([]byte(goodFares))
	if err != nil {
		t.Fatal(err)
	}
	m := &Merchant{config: Config{Fares: fares}}
	text := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.SampledFrom([]rune("\"\\\x00路\U0010ffffa")), 0, 256, 256))
	rapid.Check(t, func(rt *rapid.T) {
		tap := func(kind record.Kind) Tap {
			return Tap{Record: record.Identify([]byte(text.Draw(rt, "record"))), Kind: kind, At: time.Unix(rapid.Int64Range(0, 1<<32-1).Draw(rt, "at"), 0).UTC(),
				Rider: Rider{UserID: "2088000000000001", CardType: "ANT00001"}, POSID: text.Draw(rt, "pos"), Line: text.Draw(rt, "line"), Station: text.Draw(rt, "station")}
		}
		trip := Trip{Start: tap(record.Single)}
		if rapid.Bool().Draw(rt, "metro") {
			trip = Trip{Start: tap(record.Entry), End: tap(record.Exit)}
		}
		trade := m.makeTrade(trip, morning)
		trade.AmountFen = 200
		wire := wireTrade(trade, map[record.ID]StoredRecord{trip.Start.Record: {Bytes: []byte{1}}, trip.Last().Record: {Bytes: []byte{2}}})
		checkWire(rt, wire)
	})
}

func checkWire(rt *rapid.T, wire openapi.Trade) {
	if !regexp.MustCompile(`^[0-9A-Za-z_]{31,64}$`).MatchString(string(wire.OutTradeNo)) {
		rt.Fatalf("out_trade_no %q", wire.OutTradeNo)
	}
	if len(wire.Subject) > 128 || len(wire.BizContext) > 2048 || !json.Valid([]byte(wire.BizContext)) {
		rt.Fatalf("subject of %d bytes, order_biz_context of %d: %s", len(wire.Subject), len(wire.BizContext), wire.BizContext)
	}
	codec := openapi.TradeSettle()
	request, err := codec.ParseRequest(codec.AppendRequest(nil, openapi.NewSettleRequest([]openapi.Trade{wire})))
	if err != nil || request.Entries[0].Fault != nil || fmt.Sprint(request.Entries[0].Trade) != fmt.Sprint(wire) {
		rt.Fatalf("%+v came back as %+v (%v)", wire, request, err)
	}
}

func TestPairTrips(t *testing.T) {
	const maxTrip = 6 * time.Hour
	for taps, want := range map[string]string{ // E entry, X exit, lower case pinned; then the minute
		"":                         "",
		"E0 X1":                    "0-1",
		"X1 E0":                    "0-1",
		"X0 E1":                    "",
		"E0 X0":                    "",
		"E0 E1 X2":                 "1-2",
		"E0 X1 X2":                 "0-1",
		"E0 X1 E1 X2":              "0-1 1-2",
		"E0 X360":                  "0-360",
		"E0 X361":                  "",
		"E0 e1 x2 X3":              "",
		"e0 X1":                    "",
		"E0 x1 E2 X3":              "2-3",
		"E0 X1 e2 x3 E4 X5 E6 E70": "0-1 4-5",
	} {
		var all []Tap
		pinned := map[record.ID]bool{}
		var letter byte
		var minute int
		for rest := taps; rest != ""; {
			if n, err := fmt.Sscanf(rest, "%c%d", &letter, &minute); n != 2 {
				t.Fatal(rest, err)
			}
			rest = rest[min(len(rest), len(fmt.Sprintf("%c%d ", letter, minute))):]
			kind := record.Entry
			if letter|32 == 'x' {
				kind = record.Exit
			}
			tap := tapWith(kind, morning.Add(time.Duration(minute)*time.Minute), byte(len(all)))
			pinned[tap.Record] = letter >= 'a'
			all = append(all, tap)
		}
		got := ""
		for _, trip := range pairTrips(all, pinned, maxTrip) {
			got += fmt.Sprintf(" %.0f-%.0f", trip.Start.At.Sub(morning).Minutes(), trip.End.At.Sub(morning).Minutes())
		}
		if got != "" {
			got = got[1:]
		}
		if got != want {
			t.Errorf("%s: %q, want %q", taps, got, want)
		}
	}
}

// noKeys is a key list that has not arrived.
type noKeys struct{}

func (noKeys) IssuerKey(ridecode.KeyID) (ridecode.Verifier, bool) { return nil, false }

type noStore struct{ Store }
type noSettler struct{ Settler }

func TestNewRefuses(t *testing.T) {
	good := Config{Keys: &noKeys{}, Fares: &Fares{}}
	if m, err := New(noStore{}, noSettler{}, good); err != nil || m.config.SettleBatch != DefaultSettleBatch || m.config.MaxTrip != DefaultMaxTrip {
		t.Fatal(m, err)
	}
	for name, spoil := range map[string]func(*Config){
		"keys":   func(c *Config) { c.Keys = nil },
		"fares":  func(c *Config) { c.Fares = nil },
		"wait":   func(c *Config) { c.PairWait = -1 },
		"batch":  func(c *Config) { c.SettleBatch = MaxSettleBatch + 1 },
		"seller": func(c *Config) { c.SellerLogin = string(make([]byte, 65)) },
	} {
		config := good
		spoil(&config)
		if _, err := New(noStore{}, noSettler{}, config); err == nil {
			t.Error(name, "was taken")
		}
	}
}
