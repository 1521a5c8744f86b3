package openapi_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
)

// rideSample is that of document 2 §4.2.5.6, with what its placeholders stand for: a time, and one asset.
const rideSample = `{
    "scene_code": "vechile_order",
    "op_code": "data_save",
    "channel": "hzcard",
    "version": "2.0",
    "target_id": "2088xxxxxxxx",
    "op_data": {
      "info": [
        {
          "type": "order",
          "biz_no": "201701655223232414",
          "amount": "1.0",
          "subject": "公交-000 路-车号[0-6009] 16:26",
          "biz_time": "2016-05-05 11:22:33",
          "asset_name": "OUTSIDE CARD",
          "city_name": "杭州",
          "adcode": "330100",
          "line_name": "公交 000 路",
          "line_id": "3213",
          "start_station_name": "龙翔桥",
          "start_station_id": "31231",
          "start_terminal_id": "A13123123",
          "end_terminal_serial_no": "B213123",
          "start_terminal_time": "2016-05-05 11:22:33",
          "start_lbs": "106.72,26.57",
          "end_station_name": "火车东站",
          "end_station_id": "221312",
          "end_ternimal_id": "32131",
          "end_terminal_time": "2016-05-05 11:22:33",
          "end_lbs": "106.72,26.57",
          "vehicle_id": "3213",
          "vehicle_type": "BUS",
          "card_record": "000201",
          "plate_number": "A312312",
          "card_no": "3213213213",
          "card_type": "T0420100",
          "driver_id": "3213123",
          "driver_name": "张三",
          "partner_name": "杭州市民卡",
          "partner_id": "2088xxxxxxxxx"
        }
      ]
    }
  }`

func sampleRide() openapi.RideInfo {
	amount, at := money.Fen(100), time.Date(2016, 5, 5, 3, 22, 33, 0, time.UTC)
	return openapi.RideInfo{Type: "order", BizNo: "201701655223232414", AmountFen: &amount, Subject: "公交-000 路-车号[0-6009] 16:26", BizTime: at,
		AssetName: "OUTSIDE CARD", CityName: "杭州", Adcode: "330100", LineName: "公交 000 路", LineID: "3213",
		Start:     openapi.RideStop{StationName: "龙翔桥", StationID: "31231", TerminalID: "A13123123", TerminalTime: at, LBS: "106.72,26.57"},
		End:       openapi.RideStop{StationName: "火车东站", StationID: "221312", TerminalSerialNo: "B213123", TerminalTime: at, LBS: "106.72,26.57"},
		VehicleID: "3213", VehicleType: "BUS", PlateNumber: "A312312", CardNo: "3213213213", CardType: "T0420100", CardRecord: "000201",
		DriverID: "3213123", DriverName: "张三", PartnerName: "杭州市民卡", PartnerID: "2088xxxxxxxxx"}
}

// The sample as it stands; with op_data in a text, as the SDKs' classes have it; and with scene_data, as newer
// clients send it, in both forms.
func TestRideSample(t *testing.T) {
	var sample map[string]any
	if err := json.Unmarshal([]byte(rideSample), &sample); err != nil {
		t.Fatal(err)
	}
	op := sample["op_data"]
	text, _ := json.Marshal(op)
	info, _ := json.Marshal(op.(map[string]any)["info"])
	for name, change := range map[string]func(){
		"an object":          func() {},
		"a text":             func() { sample["op_data"] = string(text) },
		"scene_data, a text": func() { delete(sample, "op_data"); sample["scene_data"] = string(info) },
		"scene_data, a list": func() { delete(sample, "op_data"); sample["scene_data"] = op.(map[string]any)["info"] },
	} {
		sample["op_data"] = op
		delete(sample, "scene_data")
		change()
		content, _ := json.Marshal(sample)
		request, err := openapi.DataSend().ParseRequest(content)
		want := openapi.DataSendRequest{SceneCode: "vechile_order", OpCode: "data_save", Channel: "hzcard", Version: "2.0", TargetID: "2088xxxxxxxx",
			Rides: []openapi.RideInfo{sampleRide()}}
		if err != nil || !reflect.DeepEqual(request, want) {
			t.Errorf("%s: %+v, %v", name, request, err)
		}
	}
}

func TestRideTakes(t *testing.T) {
	for _, test := range []struct {
		name, old, new string
		check          func(openapi.DataSendRequest) bool
	}{
		{"the other spelling of the scene", "vechile", "vehicle", func(r openapi.DataSendRequest) bool { return true }},
		{"an event without an amount", `"order",`, `"event",`, func(r openapi.DataSendRequest) bool { return r.Rides[0].Type == "event" }},
		{"no amount", `"amount": "1.0",`, ``, func(r openapi.DataSendRequest) bool { return r.Rides[0].AmountFen == nil }},
		{"an empty amount", `"1.0"`, `""`, func(r openapi.DataSendRequest) bool { return r.Rides[0].AmountFen == nil }},
		{"an amount of nothing", `"1.0"`, `0`, func(r openapi.DataSendRequest) bool { return *r.Rides[0].AmountFen == 0 }},
		{"a vehicle without a plate", `"plate_number": "A312312",`, ``, func(r openapi.DataSendRequest) bool { return r.Rides[0].PlateNumber == "" }},
		{"a plate without a vehicle", `"vehicle_id": "3213",`, ``, func(r openapi.DataSendRequest) bool { return r.Rides[0].VehicleID == "" }},
		{"targets", `"2088xxxxxxxx"`, `"a,b,` + strings.Repeat("x", 32) + `"`, func(r openapi.DataSendRequest) bool { return strings.HasPrefix(r.TargetID, "a,b,") }},
		{"open_id", `"target_id"`, `"open_id"`, func(r openapi.DataSendRequest) bool { return r.TargetID == "2088xxxxxxxx" }},
		{"a kind of target", `"version"`, `"target_id_type":"BINDING_MOBILE_NO","version"`, func(r openapi.DataSendRequest) bool { return r.TargetIDType == "BINDING_MOBILE_NO" }},
		{"a place south and west", `"start_lbs": "106.72,26.57"`, `"start_lbs": "-58.38, -34.6"`, func(r openapi.DataSendRequest) bool { return r.Rides[0].Start.LBS == "-58.38, -34.6" }},
		{"empty for what may be absent", `"adcode": "330100"`, `"adcode": "", "discount_type": null`, func(r openapi.DataSendRequest) bool { return r.Rides[0].Adcode == "" }},
	} {
		request, err := openapi.DataSend().ParseRequest(swap(t, rideSample, test.old, test.new))
		if err != nil || !test.check(request) {
			t.Errorf("%s: %+v, %v", test.name, request, err)
		}
	}
}

// Field by field: each row of document 2 §4.2.5.5.
func TestRideRefuses(t *testing.T) {
	long := strings.Repeat("长", 101)
	for _, test := range []struct{ name, old, new, field string }{
		{"no scene", `"scene_code": "vechile_order",`, ``, "scene_code"},
		{"another scene", `vechile_order`, `train_order`, "scene_code"},
		{"scene over 100", `vechile_order`, long, "scene_code"},
		{"no op_code", `"op_code": "data_save",`, ``, "op_code"},
		{"another op_code", `data_save`, `data_delete`, "op_code"},
		{"no channel", `"channel": "hzcard",`, ``, "channel"},
		{"channel over 32", `hzcard`, strings.Repeat("h", 33), "channel"},
		{"no version", `"version": "2.0",`, ``, "version"},
		{"version is a number", `"2.0"`, `2.0`, "version"},
		{"no target", `"target_id": "2088xxxxxxxx",`, ``, "target_id"},
		{"target over 32", `2088xxxxxxxx`, strings.Repeat("2", 33), "target_id"},
		{"a target that is empty", `2088xxxxxxxx`, `a,,b`, "target_id"},
		{"201 targets", `2088xxxxxxxx`, strings.Repeat("a,", 200) + "a", "target_id"},
		{"another kind of target", `"version"`, `"target_id_type":"NAME","version"`, "target_id_type"},
		{"op_data is a list", `"op_data": {`, `"op_data": [{`, "biz_content"},
		{"op_data is a number", `"op_data": {`, `"op_data": 1, "x": {`, "op_data"},
		{"op_data is a text of nothing", `"op_data": {`, `"op_data": "", "x": {`, "op_data"},
		{"no info", `"info"`, `"infos"`, "op_data.info"},
		{"info is an object", `[`, `{"a":[`, "biz_content"},
		{"no type", `"type": "order",`, ``, "op_data.info[0].type"},
		{"another type", `"order"`, `"refund"`, "op_data.info[0].type"},
		{"no number", `"biz_no": "201701655223232414",`, ``, "op_data.info[0].biz_no"},
		{"number over 64", `201701655223232414`, strings.Repeat("1", 65), "op_data.info[0].biz_no"},
		{"amount below zero", `"1.0"`, `"-1.0"`, "op_data.info[0].amount"},
		{"amount with three decimals", `"1.0"`, `"1.001"`, "op_data.info[0].amount"},
		{"no subject", `"subject": "公交-000 路-车号[0-6009] 16:26",`, ``, "op_data.info[0].subject"},
		{"no time", `"biz_time": "2016-05-05 11:22:33",`, ``, "op_data.info[0].biz_time"},
		{"the document's own placeholder", `"biz_time": "2016-05-05 11:22:33"`, `"biz_time": "YYYY-MM-DD HH:MM:SS"`, "op_data.info[0].biz_time"},
		{"no asset", `"asset_name": "OUTSIDE CARD",`, ``, "op_data.info[0].asset_name"},
		{"another asset", `OUTSIDE CARD`, `CASH`, "op_data.info[0].asset_name"},
		{"no city", `"city_name": "杭州",`, ``, "op_data.info[0].city_name"},
		{"adcode over 16", `330100`, strings.Repeat("3", 17), "op_data.info[0].adcode"},
		{"no line", `"line_name": "公交 000 路",`, ``, "op_data.info[0].line_name"},
		{"no start", `"start_station_name": "龙翔桥",`, ``, "op_data.info[0].start_station_name"},
		{"start time that is none", `"start_terminal_time": "2016-05-05 11:22:33"`, `"start_terminal_time": "2016-05-05"`, "op_data.info[0].start_terminal_time"},
		{"end time that is none", `"end_terminal_time": "2016-05-05 11:22:33"`, `"end_terminal_time": "now"`, "op_data.info[0].end_terminal_time"},
		{"start place of one number", `"start_lbs": "106.72,26.57"`, `"start_lbs": "106.72"`, "op_data.info[0].start_lbs"},
		{"end place beyond the pole", `"end_lbs": "106.72,26.57"`, `"end_lbs": "26.57,106.72"`, "op_data.info[0].end_lbs"},
		{"end place that is no number", `"end_lbs": "106.72,26.57"`, `"end_lbs": "NaN,1"`, "op_data.info[0].end_lbs"},
		{"neither vehicle nor plate", `"vehicle_id": "3213",`, `"plate_number_": 1, "plate_number": "",`, "biz_content"},
		{"no kind of vehicle", `"vehicle_type": "BUS",`, ``, "op_data.info[0].vehicle_type"},
		{"another kind of vehicle", `"BUS"`, `"TAXI"`, "op_data.info[0].vehicle_type"},
		{"card record is a list", `"card_record": "000201"`, `"card_record": ["000201"]`, "op_data.info[0].card_record"},
		{"no partner", `"partner_name": "杭州市民卡",`, ``, "op_data.info[0].partner_name"},
		{"no partner's number", `"partner_id": "2088xxxxxxxxx"`, `"x": 1`, "op_data.info[0].partner_id"},
		{"a control character", `张三`, `张\u0007三`, "op_data.info[0].driver_name"},
		{"a name twice", `"type"`, `"biz_no":"1","type"`, "op_data.info[0]"},
	} {
		content := strings.Replace(rideSample, test.old, test.new, 1)
		if content == rideSample {
			t.Fatalf("%s: nothing was changed", test.name)
		}
		if !json.Valid([]byte(content)) {
			test.field = "biz_content"
		}
		if test.name == "neither vehicle nor plate" {
			content, test.field = strings.Replace(content, `"plate_number": "A312312",`, ``, 1), "op_data.info[0].plate_number"
		}
		_, err := openapi.DataSend().ParseRequest([]byte(content))
		if test.name == "neither vehicle nor plate" && err == nil {
			t.Error("neither vehicle nor plate is taken")
			continue
		}
		wantFault(t, test.name, err, test.field, "document 2 §4.2.5.5")
	}
}

func TestRideBounds(t *testing.T) {
	request := openapi.DataSendRequest{SceneCode: "vechile_order", OpCode: "data_save", Channel: "c", Version: "1", TargetID: "u"}
	for range openapi.MaxRides {
		request.Rides = append(request.Rides, sampleRide())
	}
	codec := openapi.DataSend()
	if got, err := codec.ParseRequest(codec.AppendRequest(nil, request)); err != nil || !reflect.DeepEqual(got, request) {
		t.Errorf("%d rides: %v", len(request.Rides), err)
	}
	request.Rides = append(request.Rides, sampleRide())
	_, err := codec.ParseRequest(codec.AppendRequest(nil, request))
	wantFault(t, "201 rides", err, "op_data.info", "document 2 §4.2.5.5")
	request.Rides = nil
	_, err = codec.ParseRequest(codec.AppendRequest(nil, request))
	wantFault(t, "no ride", err, "op_data", "document 2 §4.2.5.5")
}

func TestRideResponseBytes(t *testing.T) {
	node := openapi.DataSend().AppendResponse(nil, openapi.DataSendResponse{BizCode: "SUCCESS", BizMsg: "成功"})
	if want := `{"code":"10000","msg":"Success","data_send_business_result":{"biz_code":"SUCCESS","biz_msg":"成功"}}`; string(node) != want {
		t.Errorf("got %s", node)
	}
	if got, err := openapi.DataSend().ParseResponse(node); err != nil || got.BizCode != "SUCCESS" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRideIsWrittenOneWay(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		ride := sampleRide()
		ride.BizTime = time.Unix(rapid.Int64Range(0, 1<<33).Draw(r, "time"), 0).UTC()
		ride.Subject = rapid.StringMatching(`[ -~公交]{1,64}`).Draw(r, "subject")
		ride.End = openapi.RideStop{StationName: rapid.StringMatching(`[站"\\<&]{0,9}`).Draw(r, "station")}
		text := openapi.AppendRide(nil, ride)
		got, err := openapi.ParseRide(text)
		if err != nil || !reflect.DeepEqual(got, ride) || string(openapi.AppendRide(nil, got)) != string(text) {
			r.Fatalf("%s read back as %+v, %v", text, got, err)
		}
	})
}
