package web_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/scan"
	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/edge/web"
	"github.com/shuama/shuama/internal/testkit"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/payment"
)

const (
	rider    ridecode.UserID   = "2088000011112222"
	stranger ridecode.UserID   = "2088000011113333"
	password                   = "correct horse"
	prepaid  ridecode.CardType = "GJ310000"
	postpaid ridecode.CardType = "GJ310001"
)

// city is the pages over a real institution, and a merchant's page that riders are sent back to.
type city struct {
	*testkit.World
	t          *testing.T
	clock      sync.Mutex
	agreements *codeissuer.Agreements
	cards      *codeissuer.Cards
	pages      *httptest.Server
	merchant   *httptest.Server
	came       chan url.Values // what riders came back to the merchant with
	log        strings.Builder
}

// types gives all card types to one app; GJ310001 is postpaid.
type types struct{}

func (types) CardTypeOwner(ridecode.CardType) (codeissuer.AppID, bool) { return testkit.AppID, true }
func (types) IsPostpaid(cardType ridecode.CardType) bool               { return cardType == postpaid }

func newCity(t *testing.T) *city {
	c := &city{World: testkit.New(t, 0), t: t, came: make(chan url.Values, 10)}
	db, err := store.Open(filepath.Join(t.TempDir(), "platform.db"))
	c.must(err)
	t.Cleanup(func() { db.Close() })
	c.agreements = codeissuer.NewAgreements(db.Agreements(), types{})
	c.cards = c.Cards.WithAgreements(c.agreements)
	for _, user := range []ridecode.UserID{rider, stranger} {
		c.must(c.Payment.OpenUser(t.Context(), user, 0))
		c.must(c.Payment.SetPassword(t.Context(), user, password))
	}
	c.merchant = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.came <- r.URL.Query()
		_, _ = io.WriteString(w, "<h1 id=merchant>merchant</h1>")
	}))
	t.Cleanup(c.merchant.Close)
	c.pages = httptest.NewServer(c.handler(c.Issuer))
	t.Cleanup(c.pages.Close)
	return c
}

func (c *city) handler(issuer web.Issuer) http.Handler {
	c.t.Helper()
	handler, err := web.New(web.Config{Riders: c.Payment, Cards: c.cards, Issuer: issuer, Agreements: c.agreements, Rides: c.Rides, Trades: c.Payment, Terms: c.terms, Now: c.now,
		Number: func(time.Time) string { return "A1" }, Logger: slog.New(slog.NewTextHandler(&c.log, nil)),
		WrongPassword: payment.ErrPassword, Locked: payment.ErrPasswordLocked})
	c.must(err)
	return handler
}

func (c *city) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *city) now() time.Time {
	c.clock.Lock()
	defer c.clock.Unlock()
	return c.World.Now()
}

func (c *city) pass(d time.Duration) {
	c.clock.Lock()
	defer c.clock.Unlock()
	c.Pass(d)
}

func (c *city) terms(cardType ridecode.CardType) (web.CardTerms, bool) {
	switch cardType {
	case prepaid:
		return web.CardTerms{Title: "市民卡", Template: "blue"}, true
	case postpaid:
		return web.CardTerms{Title: "乘车卡", Template: "green", Postpaid: true, Agreement: "公交付款服务协议 <b>全文</b>", Redirects: []string{c.merchant.URL + "/signed"}}, true
	}
	return web.CardTerms{}, false
}

// send tells the register of a card, a second after the last time.
func (c *city) send(action codeissuer.CardAction, key codeissuer.CardKey, change func(*codeissuer.CardMessage)) {
	c.t.Helper()
	c.pass(time.Second)
	balance, off := money.Fen(12_50), false
	m := codeissuer.CardMessage{Action: action, Key: key, User: rider, LastUpdate: c.now(), BalanceFen: &balance, Disabled: &off, Data: []byte{0xca, 0xfe}}
	if change != nil {
		change(&m)
	}
	_, err := c.cards.Send(c.t.Context(), testkit.AppID, m, c.now())
	c.must(err)
}

func (c *city) link(values url.Values, change ...string) string {
	for i := 0; i < len(change); i += 2 {
		values.Set(change[i], change[i+1])
		if change[i+1] == "-" {
			values.Del(change[i])
		}
	}
	return c.pages.URL + web.Path + "card_entry.html?" + values.Encode()
}

func (c *city) signLink(change ...string) string {
	return c.link(url.Values{"action": {"sign"}, "cardTitle": {"乘车卡"}, "scene": {"TRANSIT"}, "subScene": {"330100"}, "source": {"test"},
		"redirectUrl": {c.merchant.URL + "/signed?order=7"}, "cardType": {string(postpaid)}, "lang": {"zh"}}, change...)
}

func (c *city) useLink(key codeissuer.CardKey, change ...string) string {
	return c.link(url.Values{"action": {"use"}, "scene": {"TRANSIT"}, "subScene": {"330100"}, "source": {"test"}, "cardType": {string(key.Type)},
		"cardNo": {string(key.No)}, "lang": {"zh"}}, change...)
}

// visitor is a browser without scripts.
type visitor struct {
	*http.Client
	c *city
}

func (c *city) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	c.must(err)
	return &visitor{&http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, c}
}

func (v *visitor) get(link string) (int, string, http.Header) {
	v.c.t.Helper()
	answer, err := v.Get(link)
	v.c.must(err)
	return v.read(answer)
}

func (v *visitor) post(name string, form url.Values) (int, string, http.Header) {
	v.c.t.Helper()
	answer, err := v.PostForm(v.c.pages.URL+web.Path+name, form)
	v.c.must(err)
	return v.read(answer)
}

func (v *visitor) read(answer *http.Response) (int, string, http.Header) {
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	v.c.must(err)
	return answer.StatusCode, string(body), answer.Header
}

func (v *visitor) login(link string, user ridecode.UserID, with string) (int, string, http.Header) {
	v.c.t.Helper()
	return v.post("login", url.Values{"entry": {queryOf(link)}, "user": {string(user)}, "password": {with}})
}

func queryOf(link string) string { _, query, _ := strings.Cut(link, "?"); return query }

// A link that is not as §4.3.2 has it says which field, and leads nowhere.
func TestBadLinks(t *testing.T) {
	c := newCity(t)
	card := codeissuer.CardKey{Type: prepaid, No: "3100000001"}
	for field, link := range map[string]string{
		"action":      c.signLink("action", "pay"),
		"scene":       c.signLink("scene", "BUS"),
		"subScene":    c.signLink("subScene", "hangzhou"),
		"source":      c.signLink("source", "-"),
		"cardTitle":   c.signLink("cardTitle", "-"),
		"redirectUrl": c.signLink("redirectUrl", "https://evil.example/"),
		"cardType":    c.signLink("cardType", string(prepaid)),
		"cardNo":      c.useLink(card, "cardNo", "<script>"),
		"query":       c.pages.URL + web.Path + "card_entry.html?action=%zz",
	} {
		status, body, header := c.visitor().get(link)
		if status != http.StatusBadRequest || !strings.Contains(body, field) || !strings.Contains(body, "§4.3.2") || header.Get("Location") != "" || strings.Contains(body, "<script>") {
			t.Errorf("%s: %d %s", field, status, body)
		}
		if status, _, header := c.visitor().login(link, rider, password); status != http.StatusBadRequest || header.Get("Set-Cookie") != "" {
			t.Errorf("%s: login %d", field, status)
		}
	}
	if status, body, _ := c.visitor().get(c.useLink(card, "lang", "en", "cardNo", "-") + "&scene=TRANSIT"); status != 400 || !strings.Contains(body, "stands twice") || !strings.Contains(body, `lang="en"`) {
		t.Errorf("twice: %d %s", status, body)
	}
}

// Who does not show who he is sees nothing of a card, and a few guesses are all that anybody has.
func TestLogin(t *testing.T) {
	c := newCity(t)
	key := codeissuer.CardKey{Type: prepaid, No: "3100000001"}
	c.send(codeissuer.IssueCard, key, nil)
	link, v := c.useLink(key), c.visitor()
	if status, body, header := v.get(link); status != 200 || !strings.Contains(body, "支付密码") || strings.Contains(body, "12.50") ||
		!strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") || header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", status, header, body)
	}
	for _, name := range []string{"card.json", "code.png"} {
		if status, _, _ := v.get(c.pages.URL + web.Path + name + "?cardType=GJ310000&cardNo=3100000001"); status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, status)
		}
	}
	for _, user := range []ridecode.UserID{"2088999999999999", "short", rider} {
		if status, body, header := v.login(link, user, "guess"); status != http.StatusForbidden || header.Get("Set-Cookie") != "" || strings.Contains(body, "guess") {
			t.Errorf("%s: %d", user, status)
		}
	}
	status, _, header := v.login(link, rider, password)
	if cookie := header.Get("Set-Cookie"); status != http.StatusSeeOther || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") {
		t.Errorf("%d %q", status, cookie)
	}
	if _, body, _ := v.get(link); !strings.Contains(body, "12.50") || !strings.Contains(body, "****0001") || strings.Contains(body, "3100000001</") {
		t.Errorf("%s", body)
	}
	c.pass(31 * time.Minute)
	if _, body, _ := v.get(link); strings.Contains(body, "12.50") {
		t.Error("the session never ends")
	}
	for range payment.DefaultPolicy().Online.PasswordTries {
		v.login(link, stranger, "guess")
	}
	if status, _, _ := v.login(link, stranger, password); status != http.StatusTooManyRequests {
		t.Errorf("after many guesses: %d", status)
	}
}

// A server without institution keys shows cards, and no codes.
func TestWithoutKeys(t *testing.T) {
	c := newCity(t)
	key := codeissuer.CardKey{Type: prepaid, No: "3100000001"}
	c.send(codeissuer.IssueCard, key, nil)
	c.pages.Config.Handler = c.handler(nil)
	v, link := c.visitor(), c.useLink(key)
	v.login(link, rider, password)
	if _, body, _ := v.get(link); !strings.Contains(body, "12.50") || !strings.Contains(body, "NO_CODES_HERE") || strings.Contains(body, `src="code.png`) {
		t.Errorf("%s", body)
	}
	if status, _, _ := v.get(c.pages.URL + web.Path + "code.png?cardType=GJ310000&cardNo=3100000001"); status != http.StatusForbidden {
		t.Errorf("its code: %d", status)
	}
}

// A form of another site does nothing here, whatever cookies the browser adds.
func TestForeignForms(t *testing.T) {
	c := newCity(t)
	link, v := c.signLink(), c.visitor()
	v.login(link, rider, password)
	for _, header := range []http.Header{{"Sec-Fetch-Site": {"cross-site"}}, {"Origin": {"https://evil.example"}}} {
		request, err := http.NewRequestWithContext(t.Context(), "POST", c.pages.URL+web.Path+"sign", strings.NewReader(url.Values{"entry": {queryOf(link)}, "agree": {"yes"}}.Encode()))
		c.must(err)
		request.Header = header
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := v.Do(request)
		c.must(err)
		if status, _, _ := v.read(answer); status != http.StatusForbidden {
			t.Errorf("%v: %d", header, status)
		}
	}
	if _, signed, err := c.agreements.Current(t.Context(), rider, postpaid); err != nil || signed {
		t.Errorf("signed by another site: %v", err)
	}
}

// Another rider's card is none of his, in no way that the pages have.
func TestAnothersCard(t *testing.T) {
	c := newCity(t)
	key := codeissuer.CardKey{Type: prepaid, No: "3100000001"}
	c.send(codeissuer.IssueCard, key, nil)
	link, v := c.useLink(key), c.visitor()
	v.login(link, stranger, password)
	if _, body, _ := v.get(link); strings.Contains(body, "12.50") || !strings.Contains(body, "CARD_NOT_EXIST") {
		t.Errorf("%s", body)
	}
	if status, _, _ := v.get(c.pages.URL + web.Path + "code.png?cardType=GJ310000&cardNo=3100000001"); status != http.StatusForbidden {
		t.Errorf("its code: %d", status)
	}
}

// A rider who was stopped sees why no code is drawn, and rides again once he is let.
func TestStoppedRider(t *testing.T) {
	c := newCity(t)
	key := codeissuer.CardKey{Type: prepaid, No: "3100000001"}
	c.send(codeissuer.IssueCard, key, nil)
	link, v := c.useLink(key), c.visitor()
	v.login(link, rider, password)
	for _, step := range []struct {
		blocked string
		want    bool
	}{{"", false}, {"looked into", true}, {"", false}} {
		c.must(c.Payment.Block(t.Context(), rider, step.blocked))
		_, body, _ := v.get(link)
		if got := strings.Contains(body, "RIDER_STOPPED") && strings.Contains(body, "data-usable=\"false\""); got != step.want || strings.Contains(body, "looked into") {
			t.Errorf("blocked %q: stopped is %v\n%s", step.blocked, got, body)
		}
	}
}

// A rider who owes signs nothing, and comes back with false.
func TestSignedAndNot(t *testing.T) {
	c := newCity(t)
	link, v := c.signLink(), c.visitor()
	answer := func(agree string) string {
		_, _, header := v.post("sign", url.Values{"entry": {queryOf(link)}, "agree": {agree}})
		return header.Get("Location")
	}
	if got := answer("yes"); !strings.HasPrefix(got, web.Path) { // nobody is known yet: log in first
		t.Errorf("sent to %s", got)
	}
	v.login(link, rider, password)
	back := c.merchant.URL + "/signed?order=7&isCreditOpened="
	c.must(c.Payment.Block(t.Context(), rider, "test"))
	for _, step := range []struct{ agree, want string }{{"yes", "false"}, {"no", "false"}} {
		if got := answer(step.agree); got != back+step.want {
			t.Errorf("%s: %s", step.agree, got)
		}
	}
	c.must(c.Payment.Block(t.Context(), rider, ""))
	for _, step := range []struct{ agree, want string }{{"no", "false"}, {"yes", "true"}, {"no", "true"}} {
		if got := answer(step.agree); got != back+step.want {
			t.Errorf("%s: %s", step.agree, got)
		}
	}
}

// readCode reads a picture as a gate does.
func (c *city) readCode(picture []byte) (raw []byte, code *ridecode.Code) {
	c.t.Helper()
	found, err := scan.DecodePicture(bytes.NewReader(picture))
	c.must(err)
	if len(found) != 1 {
		c.t.Fatalf("%d symbols in the picture", len(found))
	}
	u, err := ridecode.Parse(found[0].Payload)
	c.must(err)
	return found[0].Payload, u.SkipVerification()
}
