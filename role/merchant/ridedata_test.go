package merchant

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

func goodSettings() RideSettings {
	return RideSettings{Channel: "c", CityName: "杭州", PartnerName: "p", PartnerID: "i"}
}

// Settings that the platform would refuse are refused when a merchant starts, by the name of the field.
func TestRideSettings(t *testing.T) {
	if err := goodSettings().Check(); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*RideSettings){
		"channel":          func(s *RideSettings) { s.Channel = "" },
		"city_name":        func(s *RideSettings) { s.CityName = "" },
		"adcode":           func(s *RideSettings) { s.Adcode = "12345678901234567" },
		"partner_name":     func(s *RideSettings) { s.PartnerName = "" },
		"partner_id":       func(s *RideSettings) { s.PartnerID = "a\x00" },
		"vehicle_type":     func(s *RideSettings) { s.Lines = map[string]RideLine{"19": {VehicleType: "TRAM"}} },
		"line_name":        func(s *RideSettings) { s.Lines = map[string]RideLine{"19": {Name: string(make([]byte, 200))}} },
		"start_lbs":        func(s *RideSettings) { s.Stations = map[string]RideStation{"A": {}, "B": {LBS: "31.19"}} },
		"start_station_id": func(s *RideSettings) { s.Stations = map[string]RideStation{"A": {ID: "\x01"}} },
	} {
		settings := goodSettings()
		change(&settings)
		if err := settings.Check(); err == nil || !containsAll(err.Error(), field, "§4.2.5.5") {
			t.Errorf("%s: %v", field, err)
		}
		if _, err := NewTeller(noRides{}, noRides{}, TellerConfig{RideSettings: settings}); err == nil {
			t.Errorf("%s: a teller begins all the same", field)
		}
	}
}

type noRides struct{ RideStore }

func (noRides) SendRides(context.Context, openapi.DataSendRequest) error { return nil }

func containsAll(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// Whatever stands in a record, its ride is one that the platform reads, and reads as it was written.
func FuzzRideData(f *testing.F) {
	f.Add("19", "龙翔桥", "3241", "a|b", "T0420100", "6217", []byte{1}, int64(1_462_926_840))
	f.Add("\x00\xff", " \t", "\u202e", "", "", "", []byte(nil), int64(0))
	f.Add(string(make([]byte, 4000)), "站站站站站站站站站站站站站站站站站站站站站站站站站站站站站站站站站站站站站站站站站站站站站站", "\n", "x", "y", "z", make([]byte, 5000), int64(-1))
	f.Fuzz(func(t *testing.T, line, station, posID, other, cardType, cardNo string, raw []byte, sec int64) {
		if sec < 0 || sec > 1<<36 || !isPrintableASCII(cardType) || !isPrintableASCII(cardNo) || len(cardNo) > 64 || len(cardType) > 64 {
			return // neither records nor grants hold such
		}
		at := time.Unix(sec, 0).UTC()
		tap := Tap{Record: record.Identify(raw), Kind: record.Entry, At: at, POSID: posID, Line: line, Station: station,
			Rider: Rider{UserID: "2088000000000000", CardType: ridecode.CardType(cardType), CardNo: ridecode.CardNo(cardNo)}}
		exit, bus := tap, tap
		exit.Kind, exit.Station, exit.Line, exit.At, bus.Kind = record.Exit, other, other, at.Add(time.Minute), record.Single
		var items []RideItem
		for _, each := range []Tap{tap, exit, bus} {
			items = append(items, RideItem{User: each.Rider.UserID, Channel: "c", Info: goodSettings().event(each, raw, paidHere)})
		}
		claimed := Trip{Start: tap, Claim: Claim{Station: other, Line: other, At: at, Made: at}}
		for _, trip := range []Trip{{Start: tap, End: exit}, {Start: bus}, {Start: tap}, {End: exit}, claimed} {
			trade := Trade{OutTradeNo: numberTrade(trip.Taps()), Trip: trip, OrderTime: at, Subject: writeSubject(trip), Progress: Progress{State: Free}}
			items = append(items, RideItem{User: tap.Rider.UserID, Channel: "c", Info: goodSettings().order(trade, map[record.ID][]byte{tap.Record: raw}, paidOutside)})
		}
		message := messageOf(items)
		read, err := openapi.DataSend().ParseRequest(openapi.DataSend().AppendRequest(nil, message))
		if err != nil || !reflect.DeepEqual(read, message) {
			t.Errorf("%v\n%+v\n%+v", err, message, read)
		}
	})
}

func isPrintableASCII(text string) bool {
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
