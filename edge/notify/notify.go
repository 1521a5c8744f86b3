// Package notify brings notices out of the payment institution (通知投递): signed forms, posted to the address
// that a merchant has registered, and to whoever keeps the riders' wallets. They are signed and answered as
// those of the open platform are (gateway-facts §5), so that the SDK that a merchant has verifies them.
package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/payment"
)

// Addresses tells where notices go; empty is nowhere.
type Addresses interface {
	// MerchantNotices is an app's notify_url.
	MerchantNotices(app payment.AppID) string
	// RiderNotices is where those for riders go, all of them: the wallets' server tells them apart.
	RiderNotices() string
}

// Courier carries deliveries over HTTP. It implements payment.Courier.
type Courier struct {
	Addresses Addresses
	Signer    openapi.Signer // the platform's
	HTTP      *http.Client   // with a timeout
	Now       func() time.Time
}

var _ payment.Courier = (*Courier)(nil)

// riderApp stands for app_id in a notice to the wallets' server, which is no app of a merchant.
const riderApp = "riders"

// maxReply bounds what is read of an answer.
const maxReply = 1 << 10

// Wants tells whether a recipient has an address.
func (c *Courier) Wants(to payment.Recipient, notice payment.Notice) bool {
	return c.address(to, notice) != ""
}

func (c *Courier) address(to payment.Recipient, notice payment.Notice) string {
	if to == payment.ToMerchant {
		return c.Addresses.MerchantNotices(notice.App)
	}
	return c.Addresses.RiderNotices()
}

// ErrNotTaken says that a recipient has not answered "success".
var ErrNotTaken = errors.New("notify: the recipient has not answered success")

// Carry posts one delivery. An address that is gone by now is nobody's any more: that is no failure.
func (c *Courier) Carry(ctx context.Context, d payment.Delivery) error {
	address := c.address(d.To, d.Notice)
	if address == "" {
		return nil
	}
	form, err := c.notification(d).Sign(c.Signer, openapi.RSA2)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return errors.New("notify: the address is none") // and may hold a secret
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	response, err := c.HTTP.Do(request)
	if err != nil {
		return fmt.Errorf("%w: no connection", ErrNotTaken)
	}
	defer response.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if err != nil || response.StatusCode != http.StatusOK || strings.TrimSpace(string(reply)) != openapi.NotificationReply {
		return fmt.Errorf("%w: status %d", ErrNotTaken, response.StatusCode)
	}
	return nil
}

// notification is a delivery as a form. What the field knows has its names, the rest has ours.
func (c *Courier) notification(d payment.Delivery) openapi.Notification {
	n := d.Notice
	app := openapi.AppID(n.App)
	if d.To == payment.ToRider {
		app = riderApp
	}
	more := map[string]string{"trade_no": string(n.TradeNo), "out_trade_no": string(n.OutTradeNo), "buyer_id": string(n.User),
		"gmt_create": openapi.FormatTime(n.At), "notice": string(n.Kind)}
	switch n.Kind {
	case payment.TradeSettled:
		more["trade_status"], more["gmt_payment"] = "TRADE_SUCCESS", openapi.FormatTime(n.At)
		more["total_amount"], more["receipt_amount"] = n.AmountFen.Yuan(), n.AmountFen.Yuan()
	case payment.Refunded:
		more["trade_status"], more["gmt_refund"] = "TRADE_SUCCESS", openapi.FormatTime(n.At)
		more["out_request_no"], more["refund_fee"] = n.Number, n.AmountFen.Yuan()
	case payment.RideTold:
		tellRide(more, n)
	default:
		more["amount"], more["number"] = n.AmountFen.Yuan(), n.Number
	}
	return openapi.Notification{AppID: app, Type: typeOf(n.Kind), ID: d.ID, Time: c.Now(), More: more}
}

// tellRide writes a ride with the names of document 2 §4.2.5.5, where it has them.
func tellRide(more map[string]string, n payment.Notice) {
	ride := n.Ride
	more["biz_no"], more["biz_time"], more["line_name"], more["start_station_name"] = string(n.OutTradeNo), openapi.FormatTime(n.At), ride.Line, ride.From
	more["end_station_name"], more["partner_name"], more["merchant_app_id"], more["ride_status"] = ride.To, ride.Merchant, string(ride.App), string(ride.State)
	if ride.State != payment.RideUnpaid {
		more["amount"] = n.AmountFen.Yuan()
	}
}

// typeOf is notify_type.
func typeOf(kind payment.NoticeKind) string {
	if kind == payment.TradeSettled || kind == payment.Refunded {
		return "trade_status_sync"
	}
	return "transit_" + strings.ToLower(string(kind))
}

// NewHTTPClient makes a client for notices: it waits so long for an answer, and follows no redirect, for a
// signed notice is for one address.
func NewHTTPClient(wait time.Duration) *http.Client {
	return &http.Client{Timeout: wait, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
