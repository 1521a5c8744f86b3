package merchant

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant/fare"
)

// What each request of ride data says of itself (document 2 §4.2.5.5).
const (
	rideScene   = "vechile_order" // as the document spells it
	rideOp      = "data_save"
	rideVersion = "2.0"
)

const (
	unknownPlace      = "-"  // where the document wants a name and nobody knows one
	ridePartSize      = 60   // bytes of ids
	rideNameSize      = 120  // bytes of names
	cardRecordSizeMax = 4096 // bytes of a record: card_record has it in hex
	paidHere          = "ALIPAY"
	paidOutside       = "OUTSIDE CARD"
)

// RideSettings is what a merchant tells of its rides beside what records hold (document 2 §4.2.5.5).
type RideSettings struct {
	Channel     string `json:"channel"`      // agreed with the platform
	CityName    string `json:"city_name"`    // as 杭州
	Adcode      string `json:"adcode"`       // as 330100; may be empty
	PartnerName string `json:"partner_name"` // the merchant's
	PartnerID   string `json:"partner_id"`
	// Lines and Stations say more of some, by their names in records. A line that is not here is a BUS where one tap
	// makes a trip, and METRO where two do.
	Lines    map[string]RideLine    `json:"lines,omitempty"`
	Stations map[string]RideStation `json:"stations,omitempty"`
}

// RideLine is a line as riders know it. What is empty is as the record has it.
type RideLine struct {
	Name        string `json:"name,omitempty"`
	ID          string `json:"id,omitempty"`
	VehicleType string `json:"vehicle_type,omitempty"` // BUS, BRT, LRT, METRO, FERRY
}

// RideStation is where a station is.
type RideStation struct {
	ID  string `json:"id,omitempty"`
	LBS string `json:"lbs,omitempty"` // longitude,latitude in degrees
}

// Check reads a ride with each line and station as the platform would. The error names the first field that it
// refuses.
func (s RideSettings) Check() error {
	lines, stations := []string{""}, []string{""}
	for line := range s.Lines {
		lines = append(lines, line)
	}
	for station := range s.Stations {
		stations = append(stations, station)
	}
	slices.Sort(lines)
	slices.Sort(stations)
	for i := range max(len(lines), len(stations)) {
		tap := Tap{Kind: record.Single, At: time.Unix(0, 0), Line: lines[min(i, len(lines)-1)], Station: stations[min(i, len(stations)-1)],
			Rider: Rider{UserID: "2088000000000000", CardType: ridecode.PlainCardType}}
		item := RideItem{User: tap.Rider.UserID, Channel: s.Channel, Info: s.event(tap, nil, paidHere)}
		codec := openapi.DataSend()
		if _, err := codec.ParseRequest(codec.AppendRequest(nil, messageOf([]RideItem{item}))); err != nil {
			return fmt.Errorf("merchant: ride data, line %q, station %q: %w", tap.Line, tap.Station, err)
		}
	}
	return nil
}

// messageOf is the request of some items of one user and channel.
func messageOf(items []RideItem) openapi.DataSendRequest {
	message := openapi.DataSendRequest{SceneCode: rideScene, OpCode: rideOp, Version: rideVersion, Channel: items[0].Channel, TargetID: string(items[0].User)}
	for _, item := range items {
		message.Rides = append(message.Rides, item.Info)
	}
	return message
}

// compose makes items of news: an event of each tap, an order of each trade.
func (t *Teller) compose(ctx context.Context, news RideNews, now time.Time) ([]RideItem, error) {
	assets := map[ridecode.CardType]string{}
	var items []RideItem
	add := func(rider Rider, info openapi.RideInfo) {
		items = append(items, RideItem{User: rider.UserID, Channel: t.config.Channel, Info: info, RideTry: RideTry{NextTry: now}})
	}
	for _, tap := range news.Taps {
		asset, err := t.asset(ctx, tap.Rider.CardType, assets)
		if err != nil {
			return nil, err
		}
		add(tap.Rider, t.config.event(tap, news.Records[tap.Record], asset))
	}
	for _, trade := range news.Trades {
		rider := trade.Trip.first().Rider
		asset, err := t.asset(ctx, rider.CardType, assets)
		if err != nil {
			return nil, err
		}
		add(rider, t.config.order(trade, news.Records, asset))
	}
	return items, nil
}

// asset is asset_name: by what rides with such cards are paid.
func (t *Teller) asset(ctx context.Context, cardType ridecode.CardType, known map[ridecode.CardType]string) (string, error) {
	if asset, is := known[cardType]; is || t.config.IsOutside == nil {
		return cmp.Or(asset, paidHere), nil
	}
	outside, err := t.config.IsOutside(ctx, cardType)
	if err != nil {
		return "", err
	}
	known[cardType] = paidHere
	if outside {
		known[cardType] = paidOutside
	}
	return known[cardType], nil
}

// event is a scan (刷码事件), a function of its record and the settings alone. The start of a trip is not known at
// its exit.
func (s RideSettings) event(tap Tap, raw []byte, asset string) openapi.RideInfo {
	info := s.common(tap, asset)
	info.Type, info.BizNo, info.BizTime, info.Subject = "event", tap.Record.String(), tap.At, eventSubject(tap)
	if len(raw) <= cardRecordSizeMax {
		info.CardRecord = hex.EncodeToString(raw)
	}
	stop := s.stop(tap, raw)
	if tap.Kind == record.Exit {
		info.Start.StationName, info.End = unknownPlace, stop
		return info
	}
	info.Start = stop
	return info
}

// eventSubject is in the form of a trade's subject.
func eventSubject(tap Tap) string {
	if tap.Kind.IsWhole() {
		return writeSubject(Trip{Start: tap})
	}
	what := map[record.Kind]string{record.Entry: "进站", record.Exit: "出站"}[tap.Kind]
	place := plainText(firstFilled(tap.Station, tap.POSID), subjectPartSize)
	return joinFilled([]string{"地铁", what, place, tap.At.In(openapi.Beijing()).Format("15:04")}, "-")
}

// order is a trip that ended (乘车订单). The document has no field for a state: an amount says what was taken, none
// that nothing was, for the trade failed (DIVERGENCES).
func (s RideSettings) order(trade Trade, records map[record.ID][]byte, asset string) openapi.RideInfo {
	trip := trade.Trip
	info := s.common(trip.Last(), asset)
	info.Type, info.BizNo, info.BizTime, info.Subject = "order", string(trade.OutTradeNo), trade.OrderTime, trade.Subject
	info.DiscountType = discounts(trade.Lines)
	amountFen := trade.AmountFen
	switch trade.State {
	case Settled:
		info.AmountFen = &amountFen
	case Free:
		info.AmountFen = new(money.Fen)
	}
	from, to := trip.Start, Tap{}
	if trip.isMetro() {
		from, to = trip.ends()
	}
	info.Start, info.End = s.stop(from, records[from.Record]), s.stop(to, records[to.Record])
	info.Start.StationName = cmp.Or(info.Start.StationName, unknownPlace)
	if trade.State == Free {
		info.BizNo = numberFree(info)
	}
	return info
}

// numberFree numbers a trip that costs nothing by its content: a late record may make another of it under the same
// out_trade_no, one that costs among them, and a number that was told stands for one content.
func numberFree(info openapi.RideInfo) string {
	const timeAndDigest = len("20160511083400_0011223344556677")
	digest := sha256.Sum256(openapi.AppendRide(nil, info))
	return "F_" + info.BizNo[max(0, len(info.BizNo)-timeAndDigest):] + "_" + hex.EncodeToString(digest[:numberDigestHex/2])
}

// discounts names what was taken off, as TRANSFER,CAP.
func discounts(lines []fare.Line) string {
	var kinds []string
	for _, line := range lines {
		if line.AmountFen < 0 && !slices.Contains(kinds, string(line.Kind)) {
			kinds = append(kinds, string(line.Kind))
		}
	}
	return strings.Join(kinds, ",")
}

// common is what a scan and an order say alike.
func (s RideSettings) common(tap Tap, asset string) openapi.RideInfo {
	line := s.Lines[tap.Line]
	info := openapi.RideInfo{AssetName: asset, CityName: s.CityName, Adcode: s.Adcode, PartnerName: s.PartnerName, PartnerID: s.PartnerID,
		LineName:  firstFilled(line.Name, plainText(tap.Line, rideNameSize), unknownPlace),
		LineID:    firstFilled(line.ID, plainText(tap.Line, ridePartSize)),
		VehicleID: firstFilled(plainText(tap.POSID, ridePartSize), unknownPlace), VehicleType: firstFilled(line.VehicleType, "METRO"),
		CardNo: string(tap.Rider.CardNo), CardType: string(tap.Rider.CardType)}
	if tap.Kind.IsWhole() {
		info.VehicleType = firstFilled(line.VehicleType, "BUS")
	}
	return info
}

// stop is one end of a ride. An end that only its rider has told of has no terminal.
func (s RideSettings) stop(tap Tap, raw []byte) openapi.RideStop {
	if tap.At.IsZero() {
		return openapi.RideStop{}
	}
	station := s.Stations[tap.Station]
	stop := openapi.RideStop{StationName: firstFilled(plainText(tap.Station, rideNameSize), unknownPlace), StationID: station.ID, LBS: station.LBS,
		TerminalID: plainText(tap.POSID, ridePartSize), TerminalSerialNo: plainText(serialNo(raw), ridePartSize)}
	if tap.Kind != "" {
		stop.TerminalTime = tap.At
	}
	return stop
}

// serialNo is the terminal's own number of a record, empty where it has none.
func serialNo(raw []byte) string {
	unverified, err := record.Parse(raw)
	if err != nil {
		return ""
	}
	info, err := record.ParseTerminalInfo(unverified.SkipVerification().Terminal)
	switch {
	case err != nil:
		return ""
	case info.RecordID == "" && info.HasChain():
		return strconv.FormatUint(info.Seq, 10)
	}
	return info.RecordID
}

// RideItems lists what waits to be told, or stands aside, in the order in which it came.
func RideItems(ctx context.Context, store RideStore, aside bool) iter.Seq2[RideItem, error] {
	return pages(func(after RideItem) ([]RideItem, error) { return store.Rides(ctx, aside, after.No, pageSize) })
}
