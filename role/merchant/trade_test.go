package merchant

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant/fare"
)

func tapWith(kind record.Kind, at time.Time, mark byte) Tap {
	return Tap{Record: record.Identify([]byte{mark}), Kind: kind, At: at, POSID: "POS2", Line: "LINE1", Station: "Xujiahui"}
}

var morning = time.Date(2016, 5, 11, 0, 34, 0, 0, time.UTC)

func TestNumberTrade(t *testing.T) {
	bus := Trip{Start: tapWith(record.Single, morning, 1)}
	if got, want := numberTrade(bus.Taps()), openapi.OutTradeNo("LINE1_Xujiahui_POS2_20160511083400_9c12cfdc04c74584"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	twin := bus
	twin.Start.Record = record.Identify([]byte{2})
	if numberTrade(bus.Taps()) == numberTrade(twin.Taps()) {
		t.Error("two taps in one second have one number")
	}
	metro := Trip{Start: tapWith(record.Entry, morning, 1), End: tapWith(record.Exit, morning, 2)}
	other := Trip{Start: tapWith(record.Entry, morning, 3), End: metro.End}
	if numberTrade(metro.Taps()) == numberTrade(other.Taps()) {
		t.Error("two trips that end with one tap have one number")
	}
	if got := numberTrade([]Tap{{At: morning, Line: "十九 路"}}); !regexp.MustCompile(`^20160511083400_[0-9a-f]{16}$`).MatchString(string(got)) {
		t.Errorf("without any letter: %s", got)
	}
}

func TestSubject(t *testing.T) {
	for want, trip := range map[string]Trip{
		"公交-19 路-3241-08:34":   {Start: Tap{Kind: record.Single, At: morning, Line: "19 路", POSID: "3241"}},
		"公交-19 路-龙翔桥-08:34":    {Start: Tap{At: morning, Line: "19 路", POSID: "3241", Station: "龙翔桥"}},
		"公交-08:34":             {Start: Tap{At: morning}},
		"公交-rm -rf-08:34":      {Start: Tap{At: morning, Line: "rm\x00\n -\u202erf\u2028"}},
		"地铁-A-G2-08:34":        {Start: Tap{Kind: record.Entry, Station: "A"}, End: Tap{Kind: record.Exit, At: morning, POSID: "G2"}},
		"地铁-A-未出站-08:34":       {Start: Tap{Kind: record.Entry, Station: "A", At: morning}},
		"地铁-未进站-G2-08:34":      {End: Tap{Kind: record.Exit, At: morning, POSID: "G2"}},
		"地铁-A-B-08:34":         {Start: Tap{Kind: record.Entry, Station: "A", At: morning}, Claim: Claim{Station: "B"}},
		"地铁-B-A-08:34":         {End: Tap{Kind: record.Exit, Station: "A", At: morning}, Claim: Claim{Station: "B"}},
		"公交-一二三四五六七八九十一-08:34": {Start: Tap{At: morning, Line: "一二三四五六七八九十一二三"}},
	} {
		if got := writeSubject(trip); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestTradeFitsWire: whatever a terminal writes, the platform's own reader takes the trade, unchanged.
func TestTradeFitsWire(t *testing.T) {
	m := &Merchant{}
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
		trade := m.makeTrade(trip, trip.Taps(), morning)
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
	rules := pairRules{maxTrip: 6 * time.Hour, companionWait: 3 * time.Minute}
	for taps, want := range map[string]string{ // S a bus, E entry, X exit; F entry at another station; then the minute
		"":                         "",
		"E0 X1":                    "0-1",
		"X1 E0":                    "0-1",
		"X0 E1":                    "?-0 1-?",
		"E0 X0":                    "?-0 0-?",
		"E0 F1 X2":                 "0-? 1-2",
		"E0 X1 X2":                 "0-1 ?-2",
		"E0 X1 F1 X2":              "0-1 1-2",
		"E0 X360":                  "0-360",
		"E0 X361":                  "0-? ?-361",
		"E0 E4 X5":                 "0-? 4-5",
		"E0 E3 X5":                 "0-?+ 3-5",
		"E0 E1 E2 X30 X31 X90":     "2-30 1-31+ 0-90+",
		"E0 E1 X30 E31 X60 X61":    "0-?+ 1-30 31-60 ?-61",
		"E0 X1 E2 X3 E4 X5 E6 E70": "0-1 2-3 4-5 6-? 70-?",
		"S0 S3 S6 S10":             "0 3+ 6+ 10",
		"E0 S1 X20 S21":            "1 0-20 21",
	} {
		var all []WindowTap
		var letter byte
		var minute int
		for rest := taps; rest != ""; {
			if n, err := fmt.Sscanf(rest, "%c%d", &letter, &minute); n != 2 {
				t.Fatal(rest, err)
			}
			rest = rest[min(len(rest), len(fmt.Sprintf("%c%d ", letter, minute))):]
			tap := tapWith(map[byte]record.Kind{'S': record.Single, 'E': record.Entry, 'F': record.Entry, 'X': record.Exit}[letter], morning.Add(time.Duration(minute)*time.Minute), byte(len(all)))
			if letter == 'F' {
				tap.Station = "elsewhere"
			}
			all = append(all, WindowTap{Tap: tap})
		}
		var got []string
		for _, trip := range pairTrips(all, rules) {
			got = append(got, describeTrip(trip))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", taps, strings.Join(got, " "), want)
		}
	}
}

func describeTrip(trip Trip) string {
	minute := func(tap Tap) string {
		if tap.Kind == "" {
			return "?"
		}
		return fmt.Sprint(tap.At.Sub(morning).Minutes())
	}
	text := minute(trip.Start) + "-" + minute(trip.End)
	if !trip.isMetro() {
		text = minute(trip.Start)
	}
	if trip.Companion {
		text += "+"
	}
	return text
}

// noKeys is a key list that has not arrived.
type noKeys struct{}

func (noKeys) IssuerKey(ridecode.KeyID) (ridecode.Verifier, bool) { return nil, false }

type noStore struct{ Store }
type noSettler struct{ Settler }

func TestNewRefuses(t *testing.T) {
	good := Config{Keys: &noKeys{}, Fares: &fare.Tariff{}}
	if m, err := New(noStore{}, noSettler{}, good); err != nil || m.config.SettleBatch != DefaultSettleBatch || m.config.MaxTrip != DefaultMaxTrip {
		t.Fatal(m, err)
	}
	for name, spoil := range map[string]func(*Config){
		"keys":   func(c *Config) { c.Keys = nil },
		"fares":  func(c *Config) { c.Fares = nil },
		"wait":   func(c *Config) { c.PairWait = -1 },
		"late":   func(c *Config) { c.MaxLate = -1 },
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
