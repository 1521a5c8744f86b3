package web

import (
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/rides"
)

const (
	ridesOnPage = 50             // scans and orders that one page looks at
	longestTrip = 24 * time.Hour // from a scan to the last one of its order
)

// paidByGuarantee, and what follows, are states that only the books know of.
const (
	paidByGuarantee = "GUARANTEED"
	partlyBack      = "PARTLY_BACK"
	givenBack       = "BACK"
)

// unknownPlace is what merchants write where the document wants a name and nobody knows one (DIVERGENCES).
const unknownPlace = "-"

// rideView is a ride as its rider sees it.
type rideView struct {
	Line     string
	From, To string // empty where nobody knows
	At       string // Beijing time
	Fare     string // yuan; empty where there is none
	State    string // the name of a text
	Back     string // yuan, of a fare that was given back in part
	Merchant string
}

// parsePlace reads where a page goes on: microseconds and number, as writePlace wrote them. Empty is the newest.
func parsePlace(text string) (rides.Place, error) {
	if text == "" {
		return rides.Place{}, nil
	}
	at, no, pair := strings.Cut(text, "-")
	micros, errAt := strconv.ParseInt(at, 10, 64)
	number, errNo := strconv.ParseInt(no, 10, 64)
	place := rides.Place{At: time.UnixMicro(micros).UTC(), No: number}
	if !pair || errAt != nil || errNo != nil || micros < 0 || number < 1 || writePlace(place) != text {
		return rides.Place{}, wrong("from", "not a place that a page of rides has named")
	}
	return place, nil
}

func writePlace(place rides.Place) string {
	return strconv.FormatInt(place.At.UnixMicro(), 10) + "-" + strconv.FormatInt(place.No, 10)
}

// showRides lists the rides of who has logged in, of nobody else: the link names no rider.
func (s *server) showRides(w http.ResponseWriter, r *http.Request, e *entry, rider ridecode.UserID) {
	found, next, err := s.Rides.OfRider(r.Context(), rider, e.from, ridesOnPage)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	paid, err := s.Trades.PaidBy(r.Context(), rider, tradesOf(found))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	newer, err := s.newer(r, e, rider)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	page := s.page(r, e)
	page.Rider, page.Rides = masked(rider), viewRides(found, newer, paid)
	if !next.IsZero() {
		page.Older = e.ridesLink(page.Lang, next)
	}
	if !e.from.IsZero() {
		page.Newest = e.ridesLink(page.Lang, rides.Place{})
	}
	s.show(w, r, http.StatusOK, "rides", page)
}

// newer are the rides right before this page: the order of a scan comes after it, and may stand there.
func (s *server) newer(r *http.Request, e *entry, rider ridecode.UserID) ([]rides.Ride, error) {
	if e.from.IsZero() {
		return nil, nil
	}
	found, _, err := s.Rides.OfRider(r.Context(), rider, rides.Place{At: e.from.At.Add(longestTrip), No: math.MaxInt64}, 4*ridesOnPage)
	return found, err
}

// ridesLink is a link to a page of rides.
func (e *entry) ridesLink(lang language, from rides.Place) string {
	query := url.Values{"action": {actionRides}, "scene": {"TRANSIT"}, "subScene": {e.subScene}, "source": {e.source}, "lang": {string(lang)}}
	if !from.IsZero() {
		query.Set("from", writePlace(from))
	}
	return "card_entry.html?" + query.Encode()
}

// tradesOf names the trades of orders that were paid from the payment account.
func tradesOf(found []rides.Ride) (keys []payment.TradeKey) {
	for _, ride := range found {
		if ride.State() == payment.RidePaid {
			keys = append(keys, tradeKey(ride))
		}
	}
	return keys
}

func tradeKey(ride rides.Ride) payment.TradeKey {
	return payment.TradeKey{App: payment.AppID(ride.App), OutTradeNo: payment.OutTradeNo(ride.Info.BizNo)}
}

// viewRides leaves out scans whose order is there: each ride stands once.
func viewRides(found, newer []rides.Ride, paid map[payment.TradeKey]payment.PaidTrade) (views []rideView) {
	ordered := map[string]bool{}
	for _, ride := range slices.Concat(newer, found) {
		if ride.Info.Type == "order" {
			ordered[scanKey(ride, ride.Info.Start)], ordered[scanKey(ride, ride.Info.End)] = true, true
		}
	}
	for _, ride := range found {
		stop := ride.Info.Start
		if stop.TerminalTime.IsZero() {
			stop = ride.Info.End
		}
		if ride.Info.Type == "order" || stop.TerminalTime.IsZero() || !ordered[scanKey(ride, stop)] {
			views = append(views, viewRide(ride, paid))
		}
	}
	return views
}

// scanKey names a scan: one terminal takes one rider once a second.
func scanKey(ride rides.Ride, stop openapi.RideStop) string {
	return string(ride.App) + "\x00" + stop.TerminalID + "\x00" + stop.TerminalTime.String()
}

func viewRide(ride rides.Ride, paid map[payment.TradeKey]payment.PaidTrade) rideView {
	info := ride.Info
	view := rideView{Line: info.LineName, From: known(info.Start.StationName), To: known(info.End.StationName), At: info.BizTime.In(beijing()).Format(time.DateTime),
		State: string(ride.State()), Merchant: info.PartnerName}
	if info.AmountFen != nil {
		view.Fare = info.AmountFen.Yuan()
	}
	switch inBooks, is := paid[tradeKey(ride)]; {
	case !is:
	case inBooks.RefundedFen >= inBooks.AmountFen:
		view.State = givenBack
	case inBooks.RefundedFen > 0:
		view.State, view.Back = partlyBack, inBooks.RefundedFen.Yuan()
	case inBooks.Payer == payment.PaidByGuarantee:
		view.State = paidByGuarantee
	}
	return view
}

func known(place string) string {
	if place == unknownPlace {
		return ""
	}
	return place
}
