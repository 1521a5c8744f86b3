package openapi_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

// trade is one good entry; %s is replaced by what a test adds.
const trade = `{"user_id":"2088011211223344","out_trade_no":"LINE1_POS1_20160425120102","actual_order_time":"2016-11-11 11:11:11",` +
	`"subject":"984 路公交","amount":2,"records":["0a3feae2ad6d7c"]}`

func list(entries ...string) []byte {
	return []byte(`{"trade_list":[` + strings.Join(entries, ",") + `]}`)
}

func sampleTrade() openapi.Trade {
	return openapi.Trade{OutTradeNo: "LINE1_POS1_20160425120102", UserID: "2088011211223344", AmountFen: 200, Subject: "984 路公交",
		OrderTime: time.Date(2016, 11, 11, 3, 11, 11, 0, time.UTC), Records: [][]byte{{0x0a, 0x3f, 0xea, 0xe2, 0xad, 0x6d, 0x7c}}}
}

// TestSettleSample reads the sample of document 2 §4.2.3.6, its records cut to hex.
func TestSettleSample(t *testing.T) {
	sample := `{
  "trade_list": [
    {
      "user_id": "2088011211223344",
      "out_trade_no": "LINE1_POS1_20160425120102",
      "actual_order_time": "2016-11-11 11:11:11",
      "subject": "984 路公交",
      "amount": 2,
      "order_biz_context": "{ \"line\": \"metro2\", \"start_pos_id\": \"01\", \"start_station\": \"松江大学城\", \"end_pos_id\": \"02\", \"end_station\": \"杨高中路\" }",
      "records": [
    "0a3feae2ad6d7c"
  ],
  "seller_login_name": "pc@alipay.com"
}
]
}`
	want := sampleTrade()
	want.BizContext = `{ "line": "metro2", "start_pos_id": "01", "start_station": "松江大学城", "end_pos_id": "02", "end_station": "杨高中路" }`
	want.SellerLogin = "pc@alipay.com"
	request, err := openapi.TradeSettle().ParseRequest([]byte(sample))
	if err != nil || len(request.Entries) != 1 || request.Entries[0].Fault != nil {
		t.Fatalf("%+v, %v", request, err)
	}
	if got := request.Entries[0].Trade; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

// TestSettleTakes changes one member of a good entry.
func TestSettleTakes(t *testing.T) {
	for _, test := range []struct {
		name, old, new string
		check          func(openapi.Trade) bool
	}{
		{"text amount", `:2,`, `:"2.0",`, func(t openapi.Trade) bool { return t.AmountFen == 200 }},
		{"number amount with decimals", `:2,`, `:2.05,`, func(t openapi.Trade) bool { return t.AmountFen == 205 }},
		{"large amount, which a float would round", `:2,`, `:"9999999999.99",`, func(t openapi.Trade) bool { return t.AmountFen == 999999999999 }},
		{"upper-case hex", `0a3feae2ad6d7c`, `0A3FEAE2AD6D7C`, func(t openapi.Trade) bool { return t.Records[0][1] == 0x3f }},
		{"newer members", `"amount"`, `"open_id":"x","card_type":"T0330100","new":{"a":[1,{}]},"amount"`, func(t openapi.Trade) bool { return t.CardType == "T0330100" }},
		{"null for what may be absent", `"amount"`, `"order_biz_context":null,"seller_login_name":null,"amount"`, func(t openapi.Trade) bool { return t.BizContext == "" }},
		{"names spelled with escapes", `"amount"`, `"\u0061mount"`, func(t openapi.Trade) bool { return t.AmountFen == 200 }},
		{"128 characters of three bytes", `984 路公交`, strings.Repeat("路", 128), func(t openapi.Trade) bool { return len(t.Subject) == 384 }},
		{"context over lines", `"amount"`, `"order_biz_context":"{\n\"line\":\"2\"}","amount"`, func(t openapi.Trade) bool { return t.BizContext == "{\n\"line\":\"2\"}" }},
	} {
		entry, fault := readOne(t, strings.Replace(trade, test.old, test.new, 1))
		if fault != nil || !test.check(entry.Trade) {
			t.Errorf("%s: %+v, %v", test.name, entry.Trade, fault)
		}
	}
}

func readOne(t *testing.T, entry string) (openapi.SettleEntry, error) {
	t.Helper()
	request, err := openapi.TradeSettle().ParseRequest(list(entry))
	if err != nil {
		t.Fatalf("%s: %v", entry, err)
	}
	return request.Entries[0], request.Entries[0].Fault
}

// TestSettleFaultIsTheTradesOwn: a bad trade is refused by name, field and clause; its neighbours are read.
func TestSettleFaultIsTheTradesOwn(t *testing.T) {
	for _, test := range []struct{ name, old, new, field string }{
		{"negative amount", `:2,`, `:-2,`, "amount"},
		{"negative amount as text", `:2,`, `:"-2",`, "amount"},
		{"exponent", `:2,`, `:2e0,`, "amount"},
		{"exponent as text", `:2,`, `:"2E0",`, "amount"},
		{"third decimal", `:2,`, `:2.000,`, "amount"},
		{"fraction of a fen", `:2,`, `:"0.001",`, "amount"},
		{"plus", `:2,`, `:"+2",`, "amount"},
		{"no whole yuan", `:2,`, `:".50",`, "amount"},
		{"spaces", `:2,`, `:" 2",`, "amount"},
		{"over int64", `:2,`, `:99999999999999999999,`, "amount"},
		{"amount true", `:2,`, `:true,`, "amount"},
		{"amount in a list", `:2,`, `:[2],`, "amount"},
		{"amount null", `:2,`, `:null,`, "amount"},
		{"amount empty", `:2,`, `:"",`, "amount"},
		{"no amount", `"amount":2,`, ``, "amount"},
		{"amount twice", `:2,`, `:2,"amount":1,`, ""},
		{"amount twice, once with escapes", `:2,`, `:2,"\u0061mount":2,`, ""},
		{"no user", `"user_id":"2088011211223344",`, ``, "user_id"},
		{"user is a number", `"2088011211223344"`, `2088011211223344`, "user_id"},
		{"user over 64", `2088011211223344`, strings.Repeat("2", 65), "user_id"},
		{"user on two lines", `2088011211223344`, `2088\n2088`, "user_id"},
		{"no time", `"actual_order_time":"2016-11-11 11:11:11",`, ``, "actual_order_time"},
		{"time of no day", `2016-11-11 `, `2016-11-31 `, "actual_order_time"},
		{"time with a zone", `11:11:11"`, `11:11:11Z"`, "actual_order_time"},
		{"time with a fraction", `11:11:11"`, `11:11:11.5"`, "actual_order_time"},
		{"time as a number", `"2016-11-11 11:11:11"`, `1478833871`, "actual_order_time"},
		{"no subject", `"subject":"984 路公交",`, ``, "subject"},
		{"subject over 128", `984 路公交`, strings.Repeat("路", 129), "subject"},
		{"subject with a control character", `984 路公交`, `984\u0000`, "subject"},
		{"subject with half a character", `984 路公交`, `984\ud83d`, "subject"},
		{"context over 2048", `"amount"`, `"order_biz_context":"` + strings.Repeat("x", 2049) + `","amount"`, "order_biz_context"},
		{"context is an object", `"amount"`, `"order_biz_context":{},"amount"`, "order_biz_context"},
		{"card type over 64", `"amount"`, `"card_type":"` + strings.Repeat("x", 65) + `","amount"`, "card_type"},
		{"seller over 64", `"amount"`, `"seller_login_name":"` + strings.Repeat("x", 65) + `","amount"`, "seller_login_name"},
		{"no records", `"records":["0a3feae2ad6d7c"]`, `"x":1`, "records"},
		{"empty list of records", `["0a3feae2ad6d7c"]`, `[]`, "records"},
		{"records is a text", `["0a3feae2ad6d7c"]`, `"0a"`, "records"},
		{"nine records", `["0a3feae2ad6d7c"]`, `["00","01","02","03","04","05","06","07","08"]`, "records"},
		{"record is null", `["0a3feae2ad6d7c"]`, `["00",null]`, "records[1]"},
		{"record is a number", `["0a3feae2ad6d7c"]`, `[10]`, "records[0]"},
		{"record of half a byte", `0a3feae2ad6d7c`, `0a3`, "records[0]"},
		{"record not hex", `0a3feae2ad6d7c`, `0a3f.....`, "records[0]"},
		{"record empty", `0a3feae2ad6d7c`, ``, "records[0]"},
		{"record too long", `0a3feae2ad6d7c`, strings.Repeat("00", record.MaxSize+1), "records[0]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			bad := strings.Replace(trade, test.old, test.new, 1)
			if bad == trade {
				t.Fatal("nothing was changed")
			}
			good := strings.Replace(trade, "LINE1", "LINE2", 1)
			request, err := openapi.TradeSettle().ParseRequest(list(good, bad, good))
			if err != nil {
				t.Fatal(err)
			}
			for i, entry := range request.Entries {
				if (entry.Fault != nil) != (i == 1) {
					t.Errorf("entry %d: fault %v", i, entry.Fault)
				}
			}
			entry := request.Entries[1]
			if entry.OutTradeNo != "LINE1_POS1_20160425120102" || !reflect.DeepEqual(entry.Trade, openapi.Trade{}) {
				t.Errorf("the faulty entry is %+v", entry)
			}
			wantField(t, entry.Fault, strings.TrimSuffix("trade_list[1]."+test.field, "."))
		})
	}
}

func wantField(t *testing.T, err error, field string) {
	t.Helper()
	var fault *form.Error
	if !errors.As(err, &fault) || fault.Field != field || !strings.HasPrefix(fault.Clause, "document 2 §4.2.") || fault.Why == "" {
		t.Errorf("got %v, want field %s", err, field)
	}
}

// TestSettleListIsRefused: where an entry cannot be named, nothing is settled.
func TestSettleListIsRefused(t *testing.T) {
	for _, test := range []struct{ name, content, field string }{
		{"nothing", ``, "biz_content"},
		{"not JSON", `{"trade_list":[`, "biz_content"},
		{"a list", `[]`, "biz_content"},
		{"a text", `"trade_list"`, "biz_content"},
		{"null", `null`, "biz_content"},
		{"not UTF-8", "{\"trade_list\":\"\xff\"}", "biz_content"},
		{"something behind", string(list(trade)) + `{}`, "biz_content"},
		{"a name twice", `{"trade_list":[],"trade_list":[` + trade + `]}`, "biz_content"},
		{"very deep", strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000), "biz_content"},
		{"no list", `{}`, "trade_list"},
		{"list is null", `{"trade_list":null}`, "trade_list"},
		{"list is a trade", `{"trade_list":` + trade + `}`, "trade_list"},
		{"empty list", `{"trade_list":[]}`, "trade_list"},
		{"201 trades", string(list(strings.Split(strings.Repeat(trade+"\n", 200)+trade, "\n")...)), "trade_list"},
		{"a trade is null", string(list(trade, "null")), "trade_list[1]"},
		{"a trade is a text", string(list(`"x"`)), "trade_list[0]"},
		{"a trade is a list", string(list(`[]`)), "trade_list[0]"},
		{"a trade has two numbers", string(list(strings.Replace(trade, `"amount"`, `"out_trade_no":"B","amount"`, 1))), "trade_list[0]"},
		{"no number", string(list(strings.Replace(trade, "out_trade_no", "x", 1))), "trade_list[0].out_trade_no"},
		{"number is a number", string(list(strings.Replace(trade, `"LINE1_POS1_20160425120102"`, `1`, 1))), "trade_list[0].out_trade_no"},
		{"number over 64", string(list(strings.Replace(trade, `LINE1`, strings.Repeat("1", 64), 1))), "trade_list[0].out_trade_no"},
		{"number with a broken character", string(list(strings.Replace(trade, `LINE1`, `\ud800`, 1))), "trade_list[0].out_trade_no"},
		{"number that is not ASCII", string(list(strings.Replace(trade, `LINE1`, `线路一`, 1))), "trade_list[0].out_trade_no"},
	} {
		t.Run(test.name, func(t *testing.T) {
			request, err := openapi.TradeSettle().ParseRequest([]byte(test.content))
			if len(request.Entries) > 0 {
				t.Errorf("%d entries in spite of %v", len(request.Entries), err)
			}
			wantField(t, err, test.field)
		})
	}
}

func TestSettleTakesTheMost(t *testing.T) {
	request, err := openapi.TradeSettle().ParseRequest(list(strings.Split(strings.Repeat(trade+"\n", openapi.MaxTrades-1)+trade, "\n")...))
	if err != nil || len(request.Entries) != openapi.MaxTrades {
		t.Errorf("%d entries, %v", len(request.Entries), err)
	}
}

// TestSettleResponseBytes holds a node against the tables of document 2 §4.2.3.7 and gateway-facts §3.
func TestSettleResponseBytes(t *testing.T) {
	node := openapi.TradeSettle().AppendResponse(nil, openapi.SettleResponse{Results: []openapi.TradeResult{
		{Outcome: openapi.OutcomeSuccess, Message: "成功", OutTradeNo: "A", TradeNo: "2015080521001007096655443322"},
		{Outcome: openapi.OutcomeUnknown, ErrorCode: "SYSTEM_ERROR", ErrorMessage: "ask again", NeedRetry: true, NextRetry: noon(), OutTradeNo: "B"},
	}})
	want := `{"code":"10000","msg":"Success","result_list":[` +
		`{"result":"SUCCESS","message":"成功","need_retry":false,"out_trade_no":"A","trade_no":"2015080521001007096655443322"},` +
		`{"result":"UNKNOWN","error_code":"SYSTEM_ERROR","error_message":"ask again","need_retry":true,` +
		`"next_retry_time":"2026-05-11 12:00:00","next_try_time":"2026-05-11 12:00:00","out_trade_no":"B"}]}`
	if string(node) != want {
		t.Errorf("got  %s\nwant %s", node, want)
	}
}

func TestSettleResponseRefuses(t *testing.T) {
	good := `{"code":"10000","result_list":[{"result":"SUCCESS","out_trade_no":"A"}]}`
	if _, err := openapi.TradeSettle().ParseResponse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for old, new := range map[string]string{
		`"SUCCESS"`: `"DONE"`, `"A"`: `""`, `[{`: `{"x":{`, `"result":"SUCCESS",`: ``,
		`"A"}`: `"A","need_retry":"true"}`, `"out_trade_no":"A"`: `"out_trade_no":"A","next_retry_time":"soon"`,
	} {
		bad := strings.Replace(good, old, new, 1)
		if _, err := openapi.TradeSettle().ParseResponse([]byte(bad)); err == nil || bad == good {
			t.Errorf("took %s", bad)
		}
	}
	only := strings.Replace(good, `"A"`, `"A","next_try_time":"2026-05-11 12:00:00"`, 1)
	response, err := openapi.TradeSettle().ParseResponse([]byte(only))
	if err != nil || !response.Results[0].NextRetry.Equal(noon()) {
		t.Errorf("next_try_time alone: %+v, %v", response, err)
	}
}

func trades() *rapid.Generator[openapi.Trade] {
	return rapid.Custom(func(t *rapid.T) openapi.Trade {
		return openapi.Trade{
			OutTradeNo:  openapi.OutTradeNo(rapid.StringMatching(`[ -~]{1,64}`).Draw(t, "number")),
			UserID:      ridecode.UserID(rapid.StringMatching(`[0-9]{16}`).Draw(t, "user")),
			OrderTime:   time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "time"), 0).UTC(),
			Subject:     rapid.StringMatching(`[ -~公交路号]{1,128}`).Draw(t, "subject"),
			AmountFen:   money.Fen(rapid.Int64Range(0, int64(money.MaxFen)).Draw(t, "amount")),
			BizContext:  rapid.StringMatching(`[ -~\n站]{0,200}`).Draw(t, "context"),
			CardType:    rapid.StringMatching(`([A-Z0-9]{8})?`).Draw(t, "card"),
			Records:     rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 300), 1, openapi.MaxRecords).Draw(t, "records"),
			SellerLogin: rapid.StringMatching(`[a-z@.]{0,64}`).Draw(t, "seller"),
		}
	})
}

func TestSettleRequestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := openapi.NewSettleRequest(rapid.SliceOfN(trades(), 1, 5).Draw(t, "trades"))
		got, err := openapi.TradeSettle().ParseRequest(openapi.TradeSettle().AppendRequest(nil, want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v", got, err)
		}
	})
}

func FuzzSettleRequest(f *testing.F) {
	f.Add(list(trade))
	f.Add(list(trade, strings.Replace(trade, ":2,", `:"0.01","card_type":"ANT00001",`, 1)))
	f.Add(list(`{"out_trade_no":"1"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		request, err := openapi.TradeSettle().ParseRequest(content)
		if err != nil {
			var fault *form.Error
			if !errors.As(err, &fault) {
				t.Fatalf("%v is no *form.Error", err)
			}
			return
		}
		var good []openapi.Trade
		for _, entry := range request.Entries {
			if entry.OutTradeNo == "" {
				t.Fatal("an entry that cannot be named")
			}
			if entry.Fault == nil {
				good = append(good, entry.Trade)
			}
		}
		if len(good) == 0 {
			return
		}
		want := openapi.NewSettleRequest(good)
		got, err := openapi.TradeSettle().ParseRequest(openapi.TradeSettle().AppendRequest(nil, want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v: %v", got, want, err)
		}
	})
}

func FuzzSettleResponse(f *testing.F) {
	f.Add([]byte(`{"code":"10000","result_list":[{"result":"FAIL","message":"x","need_retry":true,"next_retry_time":"2026-05-11 12:00:00","out_trade_no":"A"}]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, node []byte) {
		want, err := openapi.TradeSettle().ParseResponse(node)
		if err != nil {
			return
		}
		got, err := openapi.TradeSettle().ParseResponse(openapi.TradeSettle().AppendResponse(nil, want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v: %v", got, want, err)
		}
	})
}

func TestTimeIsBeijings(t *testing.T) {
	for text, want := range map[string]string{
		"2016-11-11 11:11:11": "2016-11-11T03:11:11Z", "2016-01-01 00:00:00": "2015-12-31T16:00:00Z",
		"1988-07-01 12:00:00": "1988-07-01T04:00:00Z", // there was summer time then, which nobody means
	} {
		got, ok := openapi.ParseTime(text)
		if !ok || got.Format(time.RFC3339) != want || openapi.FormatTime(got) != text {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func ExampleTradeSettle() {
	codec := openapi.TradeSettle()
	content := codec.AppendRequest(nil, openapi.NewSettleRequest([]openapi.Trade{sampleTrade()}))
	fmt.Println(string(bytes.ReplaceAll(content, []byte(`","`), []byte("\",\n\""))))
	// Output:
	// {"trade_list":[{"user_id":"2088011211223344",
	// "out_trade_no":"LINE1_POS1_20160425120102",
	// "actual_order_time":"2016-11-11 11:11:11",
	// "subject":"984 路公交",
	// "amount":"2.00",
	// "records":["0a3feae2ad6d7c"]}]}
}
