package rides

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// Users are whom the target names, where it names them by their numbers.
func (r Ride) Users() (users []ridecode.UserID) {
	if r.TargetType != "" && r.TargetType != "ALIPAY_USER_ID" {
		return nil
	}
	for _, user := range strings.Split(r.Target, ",") {
		users = append(users, ridecode.UserID(user))
	}
	return users
}

// Rider is whose ride it is. One that was told for several users at once, or for a user who is named by something
// else than his number, is nobody's: it is kept, and nobody is shown it.
func (r Ride) Rider() (ridecode.UserID, bool) {
	if users := r.Users(); len(users) == 1 {
		return users[0], true
	}
	return "", false
}

// IsAnnounced tells whether the rider gets word of it: of an order, once; a scan is not worth a message.
func (r Ride) IsAnnounced() bool {
	_, has := r.Rider()
	return has && r.Info.Type == "order"
}

// State is what became of the fare, as far as the merchant tells. The document has no field for it: an order with
// an amount was paid, one without was not (DIVERGENCES).
func (r Ride) State() payment.RideState {
	switch {
	case r.Info.Type == "event":
		return payment.RideScanned
	case r.Info.AmountFen == nil:
		return payment.RideUnpaid
	case *r.Info.AmountFen == 0:
		return payment.RideFree
	case r.Info.AssetName == "ALIPAY":
		return payment.RidePaid
	}
	return payment.RidePaidOutside
}

// Delivery is the notice to the rider's wallet. no is the store's number of the ride, so that it has the same ID
// however often it is brought.
func (r Ride) Delivery(no int64) payment.Delivery {
	rider, _ := r.Rider()
	notice := payment.Notice{Kind: payment.RideTold, User: rider, OutTradeNo: payment.OutTradeNo(r.Info.BizNo), At: r.Info.BizTime,
		Ride: &payment.ToldRide{App: payment.AppID(r.App), Merchant: r.Info.PartnerName, Line: r.Info.LineName, From: r.Info.Start.StationName,
			To: r.Info.End.StationName, State: r.State()}}
	if r.Info.AmountFen != nil {
		notice.AmountFen = *r.Info.AmountFen
	}
	return payment.Delivery{ID: fmt.Sprintf("ride-%d", no), To: payment.ToRider, Notice: notice}
}

// textNameMax is how much of a name goes into a text, in characters.
const textNameMax = 12

// Text is the short message (短信) about an order, empty where there is none to send: at most some 70 characters,
// one message in UCS-2, unless names are long. It names no card.
func (r Ride) Text() string {
	if !r.IsAnnounced() {
		return ""
	}
	where := shorten(r.Info.LineName)
	if r.Info.End.StationName != "" {
		where += " " + shorten(r.Info.Start.StationName) + "至" + shorten(r.Info.End.StationName)
	}
	return fmt.Sprintf("【刷码】您%s乘坐%s，%s。", r.Info.BizTime.In(openapi.Beijing()).Format("1月2日15:04"), where, r.fareText())
}

func (r Ride) fareText() string {
	switch r.State() {
	case payment.RideUnpaid:
		return "未扣款"
	case payment.RideFree:
		return "免费"
	}
	return "票款" + r.Info.AmountFen.Yuan() + "元"
}

func shorten(name string) string {
	if runes := []rune(name); len(runes) > textNameMax {
		return string(runes[:textNameMax-1]) + "…"
	}
	return name
}

// Text is a short message that waits for a link to the short message centre.
type Text struct {
	No    int64
	Rider ridecode.UserID // whoever sends it knows his phone
	Text  string
	Made  time.Time
}

// Place is where a page of rides goes on: behind the ride of this time and number. The zero one is the newest.
type Place struct {
	At time.Time
	No int64
}

// IsZero tells that there is nothing behind.
func (p Place) IsZero() bool { return p == Place{} }

// OfRider gives a rider's newest rides of every merchant, from a place on, at most limit, and where the next page
// goes on.
func (r *Register) OfRider(ctx context.Context, rider ridecode.UserID, from Place, limit int) ([]Ride, Place, error) {
	return r.store.OfRider(ctx, rider, from, limit)
}

// Texts lists up to count short messages that wait, in the order in which they were made, those behind after.
func (r *Register) Texts(ctx context.Context, after int64, count int) ([]Text, error) {
	return r.store.Texts(ctx, after, count)
}
