package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/shuama/shuama/edge/web"
	"github.com/shuama/shuama/internal/testkit"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/rides"
)

func (c *city) ridesLink(change ...string) string {
	return c.link(url.Values{"action": {"rides"}, "scene": {"TRANSIT"}, "subScene": {"330100"}, "source": {"test"}, "lang": {"zh"}}, change...)
}

// told is what a merchant tells of a ride, minutes after the city's time.
func (c *city) told(user ridecode.UserID, kind, number string, minutes int, change func(*openapi.RideInfo)) {
	c.t.Helper()
	two := money.Fen(200)
	at := c.now().Add(time.Duration(minutes) * time.Minute).Truncate(time.Second)
	info := openapi.RideInfo{Type: kind, BizNo: number, AmountFen: &two, Subject: "s", BizTime: at, AssetName: "ALIPAY", CityName: "杭州", LineName: "19 路",
		Start: openapi.RideStop{StationName: "龙翔桥", TerminalID: "bus", TerminalTime: at}, VehicleID: "v", VehicleType: "BUS", PartnerName: "杭州公交", PartnerID: "1"}
	if kind == "event" {
		info.AmountFen = nil
	}
	if change != nil {
		change(&info)
	}
	ride := rides.Ride{App: testkit.AppID, Scene: "vechile_order", Channel: "c", Version: "2.0", Target: string(user), Info: info}
	c.must(c.Rides.Keep(c.t.Context(), []rides.Ride{ride}, c.now()))
}

// rideForReal rides three times, through gate, merchant, gateway and books, and has one ride given back and another
// one in part.
func (c *city) rideForReal() {
	c.must(c.Payment.TopUp(c.t.Context(), payment.TopUp{Number: "1", Account: payment.UserAccount(rider), AmountFen: 100_00, At: c.now()}))
	gate, phone := c.Gate(record.TerminalInfo{POSID: "bus", Kind: record.Single, Subject: "bus", Line: "19"}, 2_00), c.Phone(codeissuer.Request{UserID: rider})
	for range 3 {
		c.pass(10 * time.Minute)
		if got := gate.Tap(phone); got.Verdict != ridecode.Success {
			c.t.Fatal(got.Trace.Reason())
		}
	}
	_, err := c.Merchant.Collect(c.t.Context(), gate.Records(), c.now())
	c.must(err)
	report, err := c.Merchant.SettleDue(c.t.Context(), c.now())
	if c.must(err); report.Settled != 3 {
		c.t.Fatalf("%+v", report)
	}
	told, err := c.Teller().TellDue(c.t.Context(), c.now())
	if c.must(err); told.Told != 6 || told.Fault != nil {
		c.t.Fatalf("%+v", told)
	}
	refunds := []money.Fen{2_00, 50}
	for trade, err := range c.Merchant.Trades(c.t.Context(), merchant.Settled) {
		if c.must(err); len(refunds) == 0 {
			return
		}
		_, err = c.Payment.Refund(c.t.Context(), c.Payee, payment.Refund{Trade: payment.TradeKey{App: testkit.AppID, OutTradeNo: payment.OutTradeNo(trade.OutTradeNo)},
			RequestNo: "1", AmountFen: refunds[0], At: c.now()})
		c.must(err)
		refunds = refunds[1:]
	}
}

// A rider sees what became of each of his rides, each once, and nobody else's.
func TestRides(t *testing.T) {
	c := newCity(t)
	free := money.Fen(0)
	c.told(rider, "event", "scan of the order", 1, nil)
	c.told(rider, "order", "an order", 1, nil)
	c.told(rider, "event", "scan alone", 2, func(r *openapi.RideInfo) { r.LineName = "<b>2 号线</b>" })
	c.told(rider, "order", "free", 3, func(r *openapi.RideInfo) { r.AmountFen = &free })
	c.told(rider, "order", "unpaid", 4, func(r *openapi.RideInfo) { r.AmountFen = nil })
	c.told(rider, "order", "card", 5, func(r *openapi.RideInfo) { r.AssetName = "OUTSIDE CARD" })
	c.told(stranger, "order", "theirs", 6, func(r *openapi.RideInfo) { r.LineName = "a stranger's line" })
	v := c.visitor()
	if status, body, _ := v.get(c.ridesLink()); status != http.StatusOK || strings.Contains(body, "19 路") || !strings.Contains(body, `id="password"`) {
		t.Errorf("before the login: %d %s", status, body)
	}
	v.login(c.ridesLink(), rider, password)
	_, body, _ := v.get(c.ridesLink("user", string(stranger), "target", string(stranger)))
	if states := statesIn(body); fmt.Sprint(states) != "[PAID_OUTSIDE UNPAID FREE SCANNED PAID]" || strings.Contains(body, "stranger") || strings.Contains(body, "<b>2") {
		t.Errorf("%v\n%s", states, body)
	}
	if _, body, _ := v.get(c.ridesLink("lang", "en")); !strings.Contains(body, "Scanned; the fare comes later") || !strings.Contains(body, "My rides") {
		t.Errorf("%s", body)
	}
	other := c.visitor()
	other.login(c.ridesLink(), stranger, password)
	if _, body, _ := other.get(c.ridesLink()); fmt.Sprint(statesIn(body)) != "[PAID]" || strings.Contains(body, "19 路") {
		t.Errorf("the stranger sees\n%s", body)
	}
	for _, from := range []string{"x", "1-0", "-1-1", "1-1-1", "01-1", "+1-1", "1_0-1", "99999999999999999999-1", "1- 1"} {
		if status, body, _ := v.get(c.ridesLink("from", from)); status != http.StatusBadRequest || !strings.Contains(body, "from") {
			t.Errorf("from %q: %d %s", from, status, body)
		}
	}
}

func statesIn(body string) (states []string) {
	for _, part := range strings.Split(body, `data-state="`)[1:] {
		state, _, _ := strings.Cut(part, `"`)
		states = append(states, state)
	}
	return states
}

// Page by page every ride is shown once, and a scan is known by its order on the page before.
func TestRidesPages(t *testing.T) {
	c := newCity(t)
	for i := range 60 {
		c.told(rider, "event", fmt.Sprint(i), i*2, nil)
		c.told(rider, "order", fmt.Sprint(i), i*2+1, func(r *openapi.RideInfo) { r.Start.TerminalTime = r.BizTime.Add(-time.Minute) })
	}
	v := c.visitor()
	v.login(c.ridesLink(), rider, password)
	link, shown := c.ridesLink(), 0
	for page := range 3 {
		_, body, _ := v.get(link)
		for _, state := range statesIn(body) {
			if state != "PAID" {
				t.Errorf("page %d shows %s", page, state)
			}
			shown++
		}
		_, after, more := strings.Cut(body, `id="older" href="`)
		if more != (page < 2) {
			t.Fatalf("page %d: more follow: %t", page, more)
		}
		href, _, _ := strings.Cut(after, `"`)
		link = c.pages.URL + web.Path + strings.ReplaceAll(href, "&amp;", "&")
	}
	if shown != 60 {
		t.Errorf("%d rides are shown", shown)
	}
}

// In a real browser the rider comes from his card to his rides, in both languages, and the books say what was given
// back.
func TestRidesInBrowser(t *testing.T) {
	c, b := newCity(t), openBrowser(t)
	key := codeissuer.CardKey{Type: prepaid, No: "3100000001"}
	c.send(codeissuer.IssueCard, key, nil)
	c.told(rider, "order", "bus", 1, nil)
	c.told(rider, "order", "metro", 2, func(r *openapi.RideInfo) {
		r.LineName, r.End = "2 号线", openapi.RideStop{StationName: "火车东站", TerminalID: "gate", TerminalTime: r.BizTime}
	})
	c.told(stranger, "order", "theirs", 3, nil)
	b.login(c.useLink(key), string(rider))
	b.do(chromedp.WaitVisible("#my-rides"), chromedp.Click("#my-rides"), chromedp.WaitVisible("#rides"))
	got := b.text("#rides")
	for _, said := range []string{"2 号线 龙翔桥 至 火车东站", "2.00 元 · 已扣款", "杭州公交"} {
		if !strings.Contains(got, said) {
			t.Errorf("the page does not say %q: %s", said, got)
		}
	}
	b.waitFor(`document.querySelectorAll("#rides > li").length === 2`)
	b.do(chromedp.Navigate(c.ridesLink("lang", "en")), chromedp.WaitVisible("#rides"))
	if got := b.text("#rides"); !strings.Contains(got, "龙翔桥 to 火车东站") || !strings.Contains(got, "2.00 yuan · Paid") {
		t.Errorf("in English: %s", got)
	}
	c.rideForReal()
	b.do(chromedp.Navigate(c.ridesLink("lang", "en")), chromedp.WaitVisible("#rides"))
	b.waitFor(`document.querySelectorAll("#rides > li").length === 5`)
	for _, said := range []string{"2.00 yuan · Refunded", "2.00 yuan · Partly refunded, yuan 0.50", "2.00 yuan · Paid"} {
		if got := b.text("#rides"); !strings.Contains(got, said) {
			t.Errorf("after real rides the page does not say %q: %s", said, got)
		}
	}
	b.quiet()
}
