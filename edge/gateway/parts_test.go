package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
)

// cardContent is a good message about a card; %s is its number.
func cardContent(no string) string {
	return `{"action":"ISSUE","user_id":"2088000011112222","card_type":"GJ310000","card_no":"` + no + `","card_data":"0aff","balance":"12.50",` +
		`"disabled":"false","last_update_time":"2026-05-11 11:00:00","ext_info":"{\"city_code\":\"310000\"}"}`
}

// rideContent is good ride data of one ride.
func rideContent(no string) string {
	return `{"scene_code":"vechile_order","op_code":"data_save","channel":"hzcard","version":"2.0","target_id":"2088000011112222","op_data":{"info":[{"type":"order",` +
		`"biz_no":"` + no + `","amount":"1.0","subject":"公交-000 路","biz_time":"2026-05-11 11:00:00","asset_name":"ALIPAY","city_name":"杭州","line_name":"64 路",` +
		`"start_station_name":"龙翔桥","vehicle_type":"BUS","vehicle_id":"1","partner_name":"杭州市民卡","partner_id":"2088"}]}}`
}

// members of a node, as any client reads them.
func membersOf(t *testing.T, answer []byte) map[string]any {
	t.Helper()
	read(t, answer, openapi.RSA2, openapi.RSA)
	var frame map[string]any
	if err := json.Unmarshal(answer, &frame); err != nil {
		t.Fatal(err)
	}
	for name, value := range frame {
		if strings.HasSuffix(name, "_response") {
			return value.(map[string]any)
		}
	}
	t.Fatalf("no node in %s", answer)
	return nil
}

func wantMembers(t *testing.T, answer []byte, want map[string]any) {
	t.Helper()
	got := membersOf(t, answer)
	for name, value := range want {
		if !reflect.DeepEqual(got[name], value) {
			t.Errorf("%s is %v, want %v, in %s", name, got[name], value, answer)
		}
	}
}

// A card's life over the gateway, kept in a real store.
func TestCards(t *testing.T) {
	w := newWorld(t, nil)
	send := func(content string) []byte { return w.call(t, openapi.MethodCardSend, content) }
	query := func(content string) []any {
		members := membersOf(t, w.call(t, openapi.MethodCardBatchQuery, content))
		if members["code"] != "10000" {
			t.Fatalf("query: %v", members)
		}
		return members["card_models"].([]any)
	}
	success := map[string]any{"code": "10000", "user_id": "2088000011112222", "card_type": "GJ310000", "card_no": "1"}
	wantMembers(t, send(cardContent("1")), success)
	wantMembers(t, send(cardContent("1")), success) // again
	want := map[string]any{"card_type": "GJ310000", "card_no": "1", "user_id": "2088000011112222", "card_data": "0aff", "balance": "12.50",
		"card_status": "NORMAL", "ext_info": `{"city_code":"310000"}`, "last_update_time": "2026-05-11 11:00:00"}
	if cards := query(`{"user_id":"2088000011112222"}`); len(cards) != 1 || !reflect.DeepEqual(cards[0], want) {
		t.Errorf("cards %v", cards)
	}
	update := `{"action":"UPDATE","user_id":"2088000011112222","card_type":"GJ310000","card_no":"1","last_update_time":"2026-05-11 11:%s:00",%s}`
	wantMembers(t, send(fmt.Sprintf(update, "30", `"disabled":true,"disabled_code":"CARD_OVERDUE","disabled_tips":"余额不足"`)), success)
	if cards := query(`{"card_no":"1"}`); cards[0].(map[string]any)["card_status"] != "DISABLED" || cards[0].(map[string]any)["status_msg"] != "余额不足" {
		t.Errorf("cards %v", cards)
	}
	wantMembers(t, send(fmt.Sprintf(update, "20", `"balance":"99"`)), map[string]any{"code": "40004", "sub_code": "FAIL", "sub_error_code": "CARD_DATA_OUTDATED",
		"error_message": "平台已有更新的卡数据，请以最新的卡数据和 last_update_time 重新同步"})
	wantMembers(t, send(strings.Replace(fmt.Sprintf(update, "40", `"x":1`), "UPDATE", "REVOKE", 1)), success)
	wantMembers(t, send(fmt.Sprintf(update, "50", `"x":1`)), map[string]any{"code": "40004", "sub_error_code": "CARD_REVOKED"})
	if cards := query(`{"user_id":"2088000011112222"}`); len(cards) != 0 {
		t.Errorf("a revoked card: %v", cards)
	}
	if cards := query(`{"user_id":"2088000011112222","include_deleted":true}`); len(cards) != 1 || cards[0].(map[string]any)["card_status"] != "REVOKED" {
		t.Errorf("with revoked cards: %v", cards)
	}
	for change, code := range map[string]string{"GJ310000>GJ320000": "CARD_TYPE_NOT_REGISTERED", "GJ310000>XX990000": "CARD_TYPE_NOT_REGISTERED",
		"2088000011112222>2088000011113333": "CARD_USER_MISMATCH", "2026-05-11>2026-05-13": "LAST_UPDATE_TIME_IN_FUTURE"} {
		old, new, _ := strings.Cut(change, ">")
		wantMembers(t, send(strings.Replace(cardContent("1"), old, new, 1)), map[string]any{"code": "40004", "sub_code": "FAIL", "sub_error_code": code})
	}
}

func TestTooManyCards(t *testing.T) {
	w := newWorld(t, nil)
	client := w.client(t)
	for i := range openapi.MaxCards + 1 {
		_, err := gateway.Ask(t.Context(), client, openapi.CardSend(), openapi.CardSendRequest{Action: openapi.CardIssue, UserID: "u", CardType: "GJ310000",
			CardNo: openapiCardNo(i), LastUpdate: noon()})
		if err != nil {
			t.Fatal(err)
		}
	}
	wantMembers(t, w.call(t, openapi.MethodCardBatchQuery, `{"user_id":"u"}`), map[string]any{"code": "40004", "sub_code": "FAIL"})
	wantMembers(t, w.call(t, openapi.MethodCardBatchQuery, `{"user_id":"u","card_no":"c7"}`), map[string]any{"code": "10000"})
}

// A ride told twice is one; told otherwise it is refused, with the whole batch.
func TestRides(t *testing.T) {
	w := newWorld(t, nil)
	for range 2 {
		wantMembers(t, w.call(t, openapi.MethodDataSend, rideContent("1")), map[string]any{"code": "10000",
			"data_send_business_result": map[string]any{"biz_code": "SUCCESS", "biz_msg": "成功"}})
	}
	other := strings.Replace(rideContent("1"), "64 路", "65 路", 1)
	n := read(t, w.call(t, openapi.MethodDataSend, other), openapi.RSA2)
	if n.Code != "40004" || n.SubCode != "FAIL" || !strings.Contains(n.SubMsg, "biz_no 1 ") {
		t.Errorf("%+v", n)
	}
	wantMembers(t, w.call(t, openapi.MethodDataSend, strings.Replace(rideContent("2"), `"vehicle_id":"1",`, ``, 1)),
		map[string]any{"code": "40004", "sub_code": "ILLEGAL_PARAMS"})
}

func TestDenyListPages(t *testing.T) {
	w := newWorld(t, nil)
	for content, want := range map[string][]any{
		`{}`: {"2088000000000001", "2088000000000002", "2088000000000003"}, `{"page_index":1,"page_size":2}`: {"2088000000000001", "2088000000000002"},
		`{"page_index":2,"page_size":2}`: {"2088000000000003"}, `{"page_index":3,"page_size":2}`: {}, `{"page_index":1000000,"page_size":1000}`: {},
	} {
		wantMembers(t, w.call(t, openapi.MethodDenyListQuery, content), map[string]any{"code": "10000", "black_list": want})
	}
}

// putBill writes a reconciliation file where others will write them.
func (w *world) putBill(t *testing.T, app, name, content string) {
	t.Helper()
	dir := filepath.Join(w.bills, app)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func fetch(t *testing.T, link string) (status int, header http.Header, body string) {
	t.Helper()
	response, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(b)
}

// A link is one file of one app, for half a minute.
func TestBills(t *testing.T) {
	now := noon()
	var disabled bool
	w := newWorld(t, func(c *gateway.Config, a *gateway.App) {
		c.Now = func() time.Time { return now }
		app := *a
		c.Apps = appsFunc(func() gateway.App { app.Disabled = disabled; return app })
	})
	w.putBill(t, appID, "trade-2026-05-10.csv.zip", "mine")
	w.putBill(t, otherAppID, "trade-2026-05-10.csv.zip", "another's")
	wantMembers(t, w.call(t, openapi.MethodBillQuery, `{"bill_type":"trade","bill_date":"2026-05-11"}`), map[string]any{"code": "40004", "sub_code": "isp.bill_not_exist"})
	response, err := gateway.Ask(t.Context(), w.client(t), openapi.BillQuery(), openapi.BillQueryRequest{BillType: "trade", BillDate: "2026-05-10"})
	if err != nil {
		t.Fatal(err)
	}
	link := response.DownloadURL
	if status, header, body := fetch(t, link); status != 200 || body != "mine" || header.Get("Content-Disposition") != `attachment; filename=trade_2026-05-10.csv.zip` {
		t.Errorf("%d %q, %v", status, body, header)
	}
	parsed, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"app_id": otherAppID, "bill_type": "signcustomer", "bill_date": "2026-05-11", "expires": "9999999999", "downloadFileName": "x", "sign": "00"} {
		query := parsed.Query()
		query.Set(name, value)
		changed := *parsed
		changed.RawQuery = query.Encode()
		if status, _, body := fetch(t, changed.String()); status != http.StatusForbidden || strings.Contains(body, "mine") {
			t.Errorf("another %s: %d %s", name, status, body)
		}
	}
	now = now.Add(30 * time.Second)
	if status, _, _ := fetch(t, link); status != 200 {
		t.Errorf("after 30 seconds: %d", status)
	}
	disabled = true
	if status, _, _ := fetch(t, link); status != http.StatusForbidden {
		t.Errorf("for an app that was disabled: %d", status)
	}
	disabled, now = false, now.Add(time.Second)
	if status, _, body := fetch(t, link); status != http.StatusForbidden || !strings.Contains(body, "下载超时") {
		t.Errorf("after 31 seconds: %d %s", status, body)
	}
	if status, _, _ := fetch(t, strings.TrimSuffix(w.url, gateway.Path)+gateway.BillPath); status != http.StatusForbidden {
		t.Errorf("without anything: %d", status)
	}
}

// Parts that a platform was made without are closed, and say so.
func TestPartsLeftOut(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config, _ *gateway.App) {
		c.Cards, c.Rides, c.DenyList, c.Bills, c.Certificates = nil, nil, nil, nil, nil
	})
	for method, content := range map[openapi.Method]string{openapi.MethodCardSend: cardContent("1"), openapi.MethodCardBatchQuery: `{"user_id":"u"}`,
		openapi.MethodDataSend: rideContent("1"), openapi.MethodDenyListQuery: `{}`, openapi.MethodBillQuery: `{"bill_type":"trade","bill_date":"2026-05-10"}`,
		openapi.MethodCertDownload: `{"alipay_cert_sn":"x"}`} {
		wantMembers(t, w.call(t, method, content), map[string]any{"code": "40002", "sub_code": "isv.forbidden-api"})
	}
	wantMembers(t, w.call(t, openapi.MethodTradeSettle, settleContent), map[string]any{"code": "10000"})
}

// A store that is away leaves the outcome unknown, and says so, for every method that has one.
func TestPartsAway(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config, _ *gateway.App) {
		c.Cards, c.Rides, c.DenyList, c.Bills.Files = brokenCards{}, brokenRides{}, brokenDenyList{}, brokenBills{}
	})
	for method, content := range map[openapi.Method]string{openapi.MethodCardSend: cardContent("1"), openapi.MethodCardBatchQuery: `{"user_id":"u"}`,
		openapi.MethodDataSend: rideContent("1"), openapi.MethodDenyListQuery: `{}`, openapi.MethodBillQuery: `{"bill_type":"trade","bill_date":"2026-05-10"}`} {
		wantMembers(t, w.call(t, method, content), map[string]any{"code": "20000", "sub_code": "isp.unknow-error"})
	}
	if text := w.log.String(); strings.Count(text, "institution failed") != 5 || strings.Contains(text, "2088000011112222") {
		t.Errorf("log %s", text)
	}
}

// The client reads what the platform gives, for every method.
func TestClientAsksEverything(t *testing.T) {
	w := newWorld(t, nil)
	w.putBill(t, appID, "trade-2026-05.csv.zip", "month")
	client := w.client(t)
	balance := money.Fen(-50)
	card, err := gateway.Ask(t.Context(), client, openapi.CardSend(), openapi.CardSendRequest{Action: openapi.CardIssue, UserID: "u", CardType: "GJ310000", CardNo: "1",
		LastUpdate: noon(), BalanceFen: &balance})
	if err != nil || card.CardNo != "1" {
		t.Errorf("%+v, %v", card, err)
	}
	cards, err := gateway.Ask(t.Context(), client, openapi.CardBatchQuery(), openapi.CardQueryRequest{UserID: "u"})
	if err != nil || len(cards.Cards) != 1 || *cards.Cards[0].BalanceFen != -50 {
		t.Errorf("%+v, %v", cards, err)
	}
	users, err := gateway.Ask(t.Context(), client, openapi.DenyListQuery(), openapi.DenyListRequest{PageIndex: 2, PageSize: 1})
	if err != nil || len(users.Users) != 1 || users.Users[0] != "2088000000000002" {
		t.Errorf("%+v, %v", users, err)
	}
	bill, err := gateway.Ask(t.Context(), client, openapi.BillQuery(), openapi.BillQueryRequest{BillType: "trade", BillDate: "2026-05"})
	if err != nil || !strings.Contains(bill.DownloadURL, "/bill.do?") {
		t.Errorf("%+v, %v", bill, err)
	}
	request, err := openapi.DataSend().ParseRequest([]byte(rideContent("1")))
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := gateway.Ask(t.Context(), client, openapi.DataSend(), request); err != nil || kept.BizCode != "SUCCESS" {
		t.Errorf("%+v, %v", kept, err)
	}
	_, err = gateway.Ask(t.Context(), client, openapi.CardSend(), openapi.CardSendRequest{Action: openapi.CardUpdate, UserID: "u", CardType: "GJ310000", CardNo: "2", LastUpdate: noon()})
	if refusal, is := err.(*openapi.Error); !is || refusal.SubErrorCode != "CARD_NOT_EXIST" || refusal.ErrorMessage == "" {
		t.Errorf("%v", err)
	}
}
