package openapi

import (
	"strconv"
	"strings"
	"time"

	"github.com/shuama/shuama/money"
)

const (
	clauseData       = "document 2 §4.2.5.5"
	clauseDataResult = "document 2 §4.2.5.7"
)

// Bounds of ride data. Document 2 names neither count, nor any length inside op_data (DIVERGENCES).
const (
	MaxRides   = 200 // in one request
	MaxTargets = 200 // in one target_id (gateway-facts §3)
	maxTarget  = 32  // characters of each

	maxRideID   = 64
	maxRideName = 128
)

// DataSendRequest is rides of one user, told as they happen (document 2 §4.2.5.5). Lengths are in
// characters.
type DataSendRequest struct {
	SceneCode    string     // scene_code: vechile_order, as the document spells it, or vehicle_order
	OpCode       string     // op_code: data_save
	Channel      string     // 1 to 32
	Version      string     // 1 to 32
	TargetID     string     // target_id: the user, or up to MaxTargets joined by commas, each 1 to 32
	TargetIDType string     // target_id_type: what TargetID is; empty is a user id
	Rides        []RideInfo // 1 to MaxRides: the list info in op_data, or scene_data
}

// RideInfo is one ride, or one scan of it (op_data, document 2 §4.2.5.5). What is empty was not sent.
type RideInfo struct {
	Type         string // order or event
	BizNo        string // biz_no, 1 to 64
	AmountFen    *money.Fen
	Subject      string
	BizTime      time.Time // whole seconds; Beijing time on the wire, UTC here
	AssetName    string    // ALIPAY, OUTSIDE CARD
	CityName     string
	Adcode       string
	LineName     string
	LineID       string
	Start        RideStop
	End          RideStop
	VehicleID    string // one of this and PlateNumber is there
	VehicleType  string // BUS, BRT, LRT, METRO, FERRY
	PlateNumber  string
	CardNo       string
	DiscountType string
	CardType     string
	CardRecord   string
	DriverID     string
	DriverName   string
	PartnerName  string
	PartnerID    string
}

// RideStop is where a ride begins or ends.
type RideStop struct {
	StationName      string
	StationID        string
	TerminalID       string
	TerminalSerialNo string
	TerminalTime     time.Time
	LBS              string // longitude,latitude in degrees
}

// DataSendResponse says that the data is kept (gateway-facts §3: data_send_business_result).
type DataSendResponse struct{ BizCode, BizMsg string }

// DataSend is 刷码乘车数据通知, document 2 §4.2.5.
func DataSend() Codec[DataSendRequest, DataSendResponse] {
	return Codec[DataSendRequest, DataSendResponse]{
		Method: MethodDataSend, Title: "刷码乘车数据通知",
		request:  message[DataSendRequest]{clause: clauseData, tell: (*DataSendRequest).tell},
		response: message[DataSendResponse]{clause: clauseDataResult, tell: (*DataSendResponse).tell},
	}
}

func (r *DataSendRequest) tell(d members) {
	d.text(need("scene_code", 100, "场景标识").oneOf("vechile_order", "vehicle_order"), &r.SceneCode)
	d.text(need("op_code", 64, "操作码").oneOf("data_save"), &r.OpCode)
	d.text(need("channel", 32, "场景的来源渠道"), &r.Channel)
	r.tellTarget(d)
	d.text(need("version", 32, "场景数据的类型的版本"), &r.Version)
	op := may("op_data", 0, "操作数据，JSON 对象或其文本；也可以 scene_data 代替").jsonText()
	if d.has(op, len(r.Rides) > 0) {
		d.part(op, func(d members) {
			d.list(need("info", MaxRides, "刷码事件与乘车订单").atLeast(1), listOf(&r.Rides, (*RideInfo).tell))
		})
	}
	var other []RideInfo
	scene := may("scene_data", MaxRides, "刷码事件与乘车订单，JSON 数组或其文本，代替 op_data").atLeast(1).loosely()
	if d.has(scene, false) {
		d.list(scene, listOf(&other, (*RideInfo).tell))
	}
	if len(r.Rides) == 0 {
		r.Rides = other
	}
	d.demand(len(r.Rides) > 0, "op_data", "missing or empty")
}

// tellTarget tells whom the rides are of; open_id stands in for target_id.
func (r *DataSendRequest) tellTarget(d members) {
	var openID string
	d.text(may("target_id", MaxTargets*(maxTarget+1), "目标用户 ID，多个以逗号分隔；不传时须传 open_id"), &r.TargetID)
	d.text(may("target_id_type", 64, "target_id 的类型，不传为用户 ID").
		oneOf("IDENTITY_CARD_NO", "ALIPAY_LOGON_ID", "BINDING_MOBILE_NO", "ALIPAY_USER_ID"), &r.TargetIDType)
	d.text(may("open_id", 128, "用户 open_id，代替 target_id"), &openID)
	if r.TargetID == "" {
		r.TargetID = openID
	}
	d.demand(areTargets(r.TargetID), "target_id", "not 1 to 200 users of 1 to 32 characters, joined by commas")
}

func areTargets(text string) bool {
	targets := strings.Split(text, ",")
	for _, target := range targets {
		if target == "" || len(target) > maxTarget {
			return false
		}
	}
	return len(targets) <= MaxTargets
}

func (r *RideInfo) tell(d members) {
	d.text(need("type", maxRideID, "回流类型，order：乘车订单，event：刷码事件").oneOf("order", "event"), &r.Type)
	d.text(need("biz_no", maxRideID, "外部交易订单号或者刷码事件编号"), &r.BizNo)
	sent(d, may("amount", 0, "交易金额，单位元").loosely(), &r.AmountFen, d.amount)
	d.text(need("subject", 256, "订单信息或者刷码信息"), &r.Subject)
	d.moment(need("biz_time", 0, "订单时间或者刷码时间"), &r.BizTime)
	d.text(need("asset_name", maxRideID, "用户支付渠道，ALIPAY：支付宝，OUTSIDE CARD：非支付宝").oneOf("ALIPAY", "OUTSIDE CARD", "OUTSIDE_CARD"), &r.AssetName)
	d.text(need("city_name", maxRideName, "城市名称"), &r.CityName)
	d.text(may("adcode", 16, "城市编码"), &r.Adcode)
	d.text(need("line_name", maxRideName, "交通线路名称"), &r.LineName)
	d.text(may("line_id", maxRideID, "交通线路编号"), &r.LineID)
	r.Start.tell(d, "start", "起始站点", need("", maxRideName, ""))
	r.End.tell(d, "end", "终止站点", may("", maxRideName, ""))
	d.text(may("vehicle_id", maxRideID, "交通工具编号"), &r.VehicleID)
	d.text(need("vehicle_type", maxRideID, "交通工具类型").oneOf("BUS", "BRT", "LRT", "METRO", "FERRY"), &r.VehicleType)
	d.text(may("plate_number", maxRideID, "牌照，需要和 vehicle_id 二选一"), &r.PlateNumber)
	d.demand(r.VehicleID != "" || r.PlateNumber != "", "plate_number", "missing, and vehicle_id too")
	r.tellCard(d)
}

func (r *RideInfo) tellCard(d members) {
	d.text(may("card_no", maxRideID, "车票号"), &r.CardNo)
	d.text(may("discount_type", maxRideID, "优惠类型"), &r.DiscountType)
	d.text(may("card_type", maxRideID, "卡票类型"), &r.CardType)
	d.text(may("card_record", 8192, "刷卡记录数据"), &r.CardRecord)
	d.text(may("driver_id", maxRideID, "驾驶员编号"), &r.DriverID)
	d.text(may("driver_name", maxRideName, "驾驶员姓名"), &r.DriverName)
	d.text(need("partner_name", maxRideName, "商户名称"), &r.PartnerName)
	d.text(need("partner_id", maxRideID, "商户合作伙伴 ID"), &r.PartnerID)
}

// tell tells one end of a ride: side is start or end.
func (s *RideStop) tell(d members, side, what string, name member) {
	name.name, name.what = side+"_station_name", what+"名称"
	d.text(name, &s.StationName)
	d.text(may(side+"_station_id", maxRideID, what+"编号"), &s.StationID)
	d.text(may(side+"_terminal_id", maxRideID, what+"终端编号"), &s.TerminalID)
	d.text(may(side+"_terminal_serial_no", maxRideID, what+"终端流水号"), &s.TerminalSerialNo)
	d.moment(may(side+"_terminal_time", 0, what+"终端刷卡时间"), &s.TerminalTime)
	d.text(may(side+"_lbs", maxRideID, what+"地理位置，经度,纬度"), &s.LBS)
	d.demand(s.LBS == "" || isPlace(s.LBS), side+"_lbs", "not longitude,latitude in degrees, as 106.72,26.57")
}

func isPlace(text string) bool {
	longitude, latitude, pair := strings.Cut(text, ",")
	return pair && isDegrees(longitude, 180) && isDegrees(strings.TrimPrefix(latitude, " "), 90)
}

func isDegrees(text string, max float64) bool {
	degrees, err := strconv.ParseFloat(text, 64)
	return err == nil && degrees >= -max && degrees <= max
}

func (r *DataSendResponse) tell(d members) {
	d.part(may("data_send_business_result", 0, "业务结果"), func(d members) {
		d.text(may("biz_code", 64, "业务结果码"), &r.BizCode)
		d.text(may("biz_msg", 128, "业务结果描述").lines(), &r.BizMsg)
	})
}

// AppendRide writes one ride as a JSON object, always the same one for the same ride.
func AppendRide(dst []byte, ride RideInfo) []byte {
	w := writer{append(dst, '{')}
	ride.tell(&w)
	return append(w.dst, '}')
}

// ParseRide reads what AppendRide wrote. The error is a *form.Error.
func ParseRide(text []byte) (RideInfo, error) {
	return message[RideInfo]{clause: clauseData, tell: (*RideInfo).tell}.read(text, "ride")
}
