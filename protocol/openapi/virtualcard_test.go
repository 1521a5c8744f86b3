package openapi_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/openapi"
)

// cardSample is that of document 2 §4.2.4.6.
const cardSample = `{
    "action": "ISSUE",
    "balance": "0",
    "card_data": "",
    "card_no": "2088000011112222",
    "card_type": "GJ310000",
    "disabled": true,

    "disabled_tips": "余额不足，请先去充值",

    "disabled_code": "CARD_OVERDUE",
    "ext_info": "{ \"city_code\": \"310000\",\"agent_id\": \"000001\", \"discount_type\": \"91discount\" }",
    "user_id": "2088000011112222",
    "last_update_time": "2017-01-30 11:12:56"
  }`

func TestCardSample(t *testing.T) {
	request, err := openapi.CardSend().ParseRequest([]byte(cardSample))
	if err != nil {
		t.Fatal(err)
	}
	zero, yes, code, tips := money.Fen(0), true, "CARD_OVERDUE", "余额不足，请先去充值"
	ext := `{ "city_code": "310000","agent_id": "000001", "discount_type": "91discount" }`
	want := openapi.CardSendRequest{Action: openapi.CardIssue, UserID: "2088000011112222", CardType: "GJ310000", CardNo: "2088000011112222",
		LastUpdate: time.Date(2017, 1, 30, 3, 12, 56, 0, time.UTC), CardData: []byte{}, BalanceFen: &zero, Disabled: &yes, DisabledCode: &code,
		DisabledTips: &tips, ExtInfo: &ext}
	if !reflect.DeepEqual(request, want) {
		t.Errorf("got %+v", request)
	}
}

// swap changes one text of a sample, which has it.
func swap(t *testing.T, sample, old, new string) []byte {
	t.Helper()
	changed := strings.Replace(sample, old, new, 1)
	if changed == sample {
		t.Fatalf("%s is not there", old)
	}
	return []byte(changed)
}

// What clients send beside the sample, and what it means.
func TestCardTakes(t *testing.T) {
	for _, test := range []struct {
		name, old, new string
		check          func(openapi.CardSendRequest) bool
	}{
		{"disabled as a text", `"disabled": true`, `"disabled": "true"`, func(r openapi.CardSendRequest) bool { return *r.Disabled }},
		{"not disabled, in a text", `"disabled": true`, `"disabled": "false"`, func(r openapi.CardSendRequest) bool { return !*r.Disabled }},
		{"balance as a number", `"0"`, `12.5`, func(r openapi.CardSendRequest) bool { return *r.BalanceFen == 1250 }},
		{"balance below zero", `"0"`, `"-3.00"`, func(r openapi.CardSendRequest) bool { return *r.BalanceFen == -300 }},
		{"balance empty, as for a postpaid card", `"0"`, `""`, func(r openapi.CardSendRequest) bool { return r.BalanceFen == nil }},
		{"no balance", `"balance": "0",`, ``, func(r openapi.CardSendRequest) bool { return r.BalanceFen == nil }},
		{"balance null", `"0"`, `null`, func(r openapi.CardSendRequest) bool { return r.BalanceFen == nil }},
		{"card data", `"card_data": ""`, `"card_data": "0aFF"`, func(r openapi.CardSendRequest) bool { return bytes.Equal(r.CardData, []byte{0x0a, 0xff}) }},
		{"no card data", `"card_data": "",`, ``, func(r openapi.CardSendRequest) bool { return r.CardData == nil }},
		{"no tips, and not disabled", `"disabled": true,`, ``, func(r openapi.CardSendRequest) bool { return r.Disabled == nil }},
		{"an empty code", `CARD_OVERDUE`, ``, func(r openapi.CardSendRequest) bool { return *r.DisabledCode == "" }},
		{"newer members", `"action"`, `"sub_action":"VERIFY","open_id":"o1","trade_scene":"EXTRA_PREPAY","card_style":{"a":1},"action"`,
			func(r openapi.CardSendRequest) bool {
				return r.SubAction == "VERIFY" && r.OpenID == "o1" && *r.TradeScene == "EXTRA_PREPAY" && r.UserID == "2088000011112222"
			}},
		{"open_id instead of user_id", `"user_id"`, `"open_id"`, func(r openapi.CardSendRequest) bool { return r.UserID == "2088000011112222" }},
		{"ext_info as an object", `"{ \"city_code\": \"310000\",\"agent_id\": \"000001\", \"discount_type\": \"91discount\" }"`, `{"city_code":"310000"}`,
			func(r openapi.CardSendRequest) bool { return *r.ExtInfo == `{"city_code":"310000"}` }},
		{"ext_info empty", `"{ \"city_code\": \"310000\",\"agent_id\": \"000001\", \"discount_type\": \"91discount\" }"`, `""`,
			func(r openapi.CardSendRequest) bool { return *r.ExtInfo == "" }},
	} {
		request, err := openapi.CardSend().ParseRequest(swap(t, cardSample, test.old, test.new))
		if err != nil || !test.check(request) {
			t.Errorf("%s: %+v, %v", test.name, request, err)
		}
	}
}

// wantFault sees that a text is refused, and that the error names field and clause and not the content.
func wantFault(t *testing.T, name string, err error, field, clause string) {
	t.Helper()
	var fault *form.Error
	if !errors.As(err, &fault) || fault.Field != field || !strings.HasPrefix(fault.Clause, clause) || fault.Why == "" {
		t.Errorf("%s: got %v, want %s (%s)", name, err, field, clause)
	}
}

// Field by field: each row of document 2 §4.2.4.5 that can be broken.
func TestCardRefuses(t *testing.T) {
	for _, test := range []struct{ name, old, new, field string }{
		{"no action", `"action": "ISSUE",`, ``, "action"},
		{"another action", `ISSUE`, `DELETE`, "action"},
		{"action in small letters", `ISSUE`, `issue`, "action"},
		{"no user", `"user_id": "2088000011112222",`, ``, "user_id"},
		{"user over 64", `"user_id": "2088`, `"user_id": "` + strings.Repeat("2", 60) + `2088`, "user_id"},
		{"no time", "\"user_id\": \"2088000011112222\",\n    \"last_update_time\": \"2017-01-30 11:12:56\"", `"user_id":"2088000011112222"`, "last_update_time"},
		{"a time that is none", `2017-01-30`, `2017-02-30`, "last_update_time"},
		{"no card type", `"card_type": "GJ310000",`, ``, "card_type"},
		{"card type over 32", `GJ310000`, strings.Repeat("G", 33), "card_type"},
		{"no card number", `"card_no": "2088000011112222",`, ``, "card_no"},
		{"card number over 16", `"card_no": "2088`, `"card_no": "20881`, "card_no"},
		{"card number with a hyphen", `"card_no": "2088`, `"card_no": "2-8`, "card_no"},
		{"card data over 128", `"card_data": ""`, `"card_data": "` + strings.Repeat("00", 65) + `"`, "card_data"},
		{"card data not hex", `"card_data": ""`, `"card_data": "0g"`, "card_data"},
		{"card data of half a byte", `"card_data": ""`, `"card_data": "0"`, "card_data"},
		{"balance with three decimals", `"0"`, `"0.001"`, "balance"},
		{"balance of minus minus", `"0"`, `"--1"`, "balance"},
		{"balance with an exponent", `"0"`, `1e2`, "balance"},
		{"disabled is a number", `"disabled": true`, `"disabled": 1`, "disabled"},
		{"disabled is a word", `"disabled": true`, `"disabled": "yes"`, "disabled"},
		{"disabled without tips", `余额不足，请先去充值`, ``, "disabled_tips"},
		{"disabled and tips left out", "\"disabled_tips\": \"余额不足，请先去充值\",", ``, "disabled_tips"},
		{"tips over 256", `余额`, strings.Repeat("余", 257), "disabled_tips"},
		{"another code", `CARD_OVERDUE`, `CARD_LOST`, "disabled_code"},
		{"ext_info is a list", `"{ \"city`, `"[{ \"city`, "ext_info"},
		{"ext_info is no JSON", `"{ \"city`, `"{{ \"city`, "ext_info"},
		{"ext_info has a name twice", `\"agent_id\"`, `\"city_code\"`, "ext_info"},
		{"ext_info over 4096", `\"000001\"`, `\"` + strings.Repeat("0", 4096) + `\"`, "ext_info"},
		{"another scene", `"action"`, `"trade_scene":"CASH","action"`, "trade_scene"},
		{"a name twice", `"action"`, `"user_id":"1","action"`, "biz_content"},
	} {
		_, err := openapi.CardSend().ParseRequest(swap(t, cardSample, test.old, test.new))
		wantFault(t, test.name, err, test.field, "document 2 §4.2.4.5")
	}
}

func TestCardResponseBytes(t *testing.T) {
	node := openapi.CardSend().AppendResponse(nil, openapi.CardSendResponse{UserID: "2088111122223333", CardType: "GJ310000", CardNo: "2016011101589"})
	if want := `{"code":"10000","msg":"Success","user_id":"2088111122223333","card_type":"GJ310000","card_no":"2016011101589"}`; string(node) != want {
		t.Errorf("got %s", node)
	}
	refusal := openapi.Refuse(openapi.SubFail, "卡片不存在")
	refusal.SubErrorCode, refusal.ErrorMessage = "CARD_NOT_EXIST", "卡片不存在"
	want := `{"code":"40004","msg":"Business Failed","sub_code":"FAIL","sub_msg":"业务处理失败：卡片不存在",` +
		`"sub_error_code":"CARD_NOT_EXIST","error_message":"卡片不存在","err_message":"卡片不存在"}`
	if node := refusal.AppendNode(nil); string(node) != want {
		t.Errorf("got %s", node)
	}
}

func TestCardQuery(t *testing.T) {
	for content, field := range map[string]string{`{}`: "user_id", `{"card_type":"GJ310000"}`: "user_id", `{"user_id":"1","include_deleted":"maybe"}`: "include_deleted",
		`{"card_no":"12345678901234567"}`: "card_no", ``: "biz_content"} {
		_, err := openapi.CardBatchQuery().ParseRequest([]byte(content))
		wantFault(t, content, err, field, "gateway-facts §3")
	}
	for content, want := range map[string]openapi.CardQueryRequest{
		`{"user_id":"u"}`:                             {UserID: "u"},
		`{"open_id":"o"}`:                             {UserID: "o", OpenID: "o"},
		`{"card_no":"1","card_type":"T"}`:             {CardNo: "1", CardType: "T"},
		`{"card_no":"1","include_deleted":"true"}`:    {CardNo: "1", IncludeDeleted: true},
		`{"user_id":"u","include_deleted":true}`:      {UserID: "u", IncludeDeleted: true},
		`{"user_id":"u","card_no":"","card_type":""}`: {UserID: "u"},
	} {
		if got, err := openapi.CardBatchQuery().ParseRequest([]byte(content)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", content, got, err)
		}
	}
	balance := money.Fen(-1)
	response := openapi.CardQueryResponse{Cards: []openapi.CardModel{{CardType: "GJ310000", CardNo: "1", UserID: "u", CardData: []byte{1}, BalanceFen: &balance,
		Status: "DISABLED", StatusCode: "CARD_OVERDUE", StatusMsg: "x", ExtInfo: "{}", LastUpdate: noon()}, {CardType: "GJ310000", CardNo: "2", UserID: "u", Status: "NORMAL", LastUpdate: noon()}}}
	node := openapi.CardBatchQuery().AppendResponse(nil, response)
	want := `{"code":"10000","msg":"Success","card_models":[{"card_type":"GJ310000","card_no":"1","user_id":"u","card_data":"01","balance":"-0.01",` +
		`"card_status":"DISABLED","status_code":"CARD_OVERDUE","status_msg":"x","ext_info":"{}","last_update_time":"2026-05-11 12:00:00"},` +
		`{"card_type":"GJ310000","card_no":"2","user_id":"u","card_status":"NORMAL","last_update_time":"2026-05-11 12:00:00"}]}`
	if string(node) != want {
		t.Errorf("got  %s\nwant %s", node, want)
	}
	if got, err := openapi.CardBatchQuery().ParseResponse(node); err != nil || !reflect.DeepEqual(got, response) {
		t.Errorf("read back as %+v, %v", got, err)
	}
}

func TestDenyListQuery(t *testing.T) {
	for content, want := range map[string]openapi.DenyListRequest{
		`{}`: {1, 1000}, `{"page_index":3,"page_size":20}`: {3, 20}, `{"page_index":"2","page_size":"1000"}`: {2, 1000}, `{"page_size":1}`: {1, 1},
	} {
		if got, err := openapi.DenyListQuery().ParseRequest([]byte(content)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", content, got, err)
		}
	}
	for content, field := range map[string]string{`{"page_size":1001}`: "page_size", `{"page_index":0}`: "page_index", `{"page_index":-1}`: "page_index",
		`{"page_index":1.5}`: "page_index", `{"page_index":"x"}`: "page_index", `{"page_index":9999999999999999999}`: "page_index", `{"page_index":[1]}`: "page_index", `{"page_index":"\"1"}`: "page_index"} {
		_, err := openapi.DenyListQuery().ParseRequest([]byte(content))
		wantFault(t, content, err, field, "gateway-facts §3")
	}
	node := openapi.DenyListQuery().AppendResponse(nil, openapi.DenyListResponse{Users: nil})
	if string(node) != `{"code":"10000","msg":"Success","black_list":[]}` {
		t.Errorf("got %s", node)
	}
	response, err := openapi.DenyListQuery().ParseResponse([]byte(`{"code":"10000","black_list":["a","b"]}`))
	if err != nil || len(response.Users) != 2 || response.Users[1] != "b" {
		t.Errorf("%+v, %v", response, err)
	}
	if _, err := openapi.DenyListQuery().ParseResponse([]byte(`{"code":"10000","black_list":["a",1]}`)); err == nil {
		t.Error("a user that is a number")
	}
}

func TestBillQuery(t *testing.T) {
	for content, field := range map[string]string{`{"bill_type":"trade"}`: "bill_date", `{"bill_date":"2026-05-11"}`: "bill_type", `{"bill_type":"all","bill_date":"2026-05-11"}`: "bill_type",
		`{"bill_type":"trade","bill_date":"2026-5-11"}`: "bill_date", `{"bill_type":"trade","bill_date":"2026-02-30"}`: "bill_date", `{"bill_type":"trade","bill_date":"2026"}`: "bill_date",
		`{"bill_type":"trade","bill_date":"../../etc"}`: "bill_date"} {
		_, err := openapi.BillQuery().ParseRequest([]byte(content))
		wantFault(t, content, err, field, "DIVERGENCES")
	}
	for _, date := range []string{"2026-05-11", "2026-05"} {
		if got, err := openapi.BillQuery().ParseRequest([]byte(`{"bill_type":"signcustomer","bill_date":"` + date + `","smid":"x"}`)); err != nil || got.BillDate != date {
			t.Errorf("%s: %+v, %v", date, got, err)
		}
	}
}
