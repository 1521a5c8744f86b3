package merchant

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/openapi"
)

// Bounds of a trade's texts, in bytes: so chosen that the whole keeps what document 2 §4.2.3.5 allows,
// subject 128, order_biz_context 2048, out_trade_no 64.
const (
	subjectPartSize = 34
	contextPartSize = 180
	numberPartSize  = 8
	numberPOSSize   = 12
	numberDigestHex = 16
)

// makeTrade writes all that will be sent of a trip, but for its price: held are the taps whose records no
// other trade has sent.
func (m *Merchant) makeTrade(trip Trip, held []Tap, now time.Time) Trade {
	trade := Trade{
		OutTradeNo: numberTrade(held), Trip: trip, OrderTime: held[len(held)-1].At, Subject: writeSubject(trip),
		BizContext: writeContext(trip), SellerLogin: m.config.SellerLogin,
		Progress: Progress{State: Waiting, NextTry: m.firstDue(trip, now)},
	}
	for _, tap := range held {
		trade.Held = append(trade.Held, tap.Record)
	}
	return trade
}

// A metro trade waits: a record that is still in some gate may show that the exit ended another entry.
func (m *Merchant) firstDue(trip Trip, now time.Time) time.Time {
	if trip.isMetro() {
		now = now.Add(m.config.PairWait)
	}
	return now
}

// defaultDue is when a trip without one of its ends is charged its default fare: until then the record may come,
// or its rider's word.
func (m *Merchant) defaultDue(trip Trip) time.Time { return trip.first().At.Add(m.config.DefaultAfter) }

// numberTrade builds the out_trade_no from line, station, terminal and time, as document 2 §4.2.3.5
// recommends, with the records' digest behind: LINE1_Xujiahui_POS2_20160511083400_0011223344556677.
// It comes from the records alone, so a trade that is made again, after a crash or from a resent
// record, is the same trade; two taps in one second have two digests.
func numberTrade(held []Tap) openapi.OutTradeNo {
	last, digest := held[len(held)-1], sha256.New()
	for _, tap := range held {
		digest.Write(tap.Record[:])
	}
	parts := []string{
		numberPart(last.Line, numberPartSize), numberPart(last.Station, numberPartSize), numberPart(last.POSID, numberPOSSize),
		last.At.In(openapi.Beijing()).Format("20060102150405"), hex.EncodeToString(digest.Sum(nil))[:numberDigestHex],
	}
	return openapi.OutTradeNo(joinFilled(parts, "_"))
}

// numberPart keeps the letters, digits and underscores of ASCII: the gateway takes no others.
func numberPart(text string, sizeMax int) string {
	kept := strings.Map(func(r rune) rune {
		if r == '_' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' {
			return r
		}
		return -1
	}, text)
	return kept[:min(len(kept), sizeMax)]
}

// writeSubject makes the title that the rider reads, in the form 公交-线路-车号-时间, Beijing time.
func writeSubject(trip Trip) string {
	last := trip.Last()
	parts := []string{"公交", last.Line, firstFilled(last.Station, last.POSID)}
	if trip.isMetro() {
		from, to := trip.ends()
		parts = []string{"地铁", firstFilled(from.Station, from.POSID, "未进站"), firstFilled(to.Station, to.POSID, "未出站")}
	}
	for i := range parts {
		parts[i] = plainText(parts[i], subjectPartSize)
	}
	return joinFilled(append(parts, last.At.In(openapi.Beijing()).Format("15:04")), "-")
}

// ends are the two ends of the trip, a claimed one as if it were a tap.
func (t Trip) ends() (from, to Tap) {
	from, to = t.Start, t.End
	if claimed := (Tap{Line: t.Claim.Line, Station: t.Claim.Station, At: t.Claim.At}); t.lacksEnd() && t.hasStart() {
		to = claimed
	} else if t.lacksEnd() {
		from = claimed
	}
	return from, to
}

// writeContext writes the order_biz_context with the names that document 2 §4.2.3.5 defines.
func writeContext(trip Trip) string {
	from, to := trip.Start, trip.End
	if trip.isMetro() {
		from, to = trip.ends()
	}
	members := [][2]string{{"line", trip.Last().Line}, {"start_station", from.Station}, {"start_pos_id", from.POSID},
		{"end_station", to.Station}, {"end_pos_id", to.POSID}}
	out := []byte{'{'}
	for _, member := range members {
		if member[1] == "" {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(form.AppendJSONString(out, member[0]), ':')
		out = form.AppendJSONString(out, plainText(member[1], contextPartSize))
	}
	return string(append(out, '}'))
}

// plainText drops what does not print: a terminal's text reaches the rider's bill, where control and
// direction marks could forge what is read. It cuts at a character.
func plainText(text string, sizeMax int) string {
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
	for len(text) > sizeMax {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

func firstFilled(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

func joinFilled(parts []string, separator string) string {
	filled := parts[:0:0]
	for _, part := range parts {
		if part != "" {
			filled = append(filled, part)
		}
	}
	return strings.Join(filled, separator)
}
