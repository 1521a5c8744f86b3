package openapi

import (
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
)

const (
	clauseCardSend       = "document 2 §4.2.4.5"
	clauseCardSendResult = "document 2 §4.2.4.7"
)

// CardAction is what a merchant tells of a card (action, document 2 §4.2.4.5).
type CardAction string

// The actions.
const (
	CardIssue  CardAction = "ISSUE"
	CardUpdate CardAction = "UPDATE"
	CardRevoke CardAction = "REVOKE"
)

// CardSendRequest is the newest state of one virtual card (document 2 §4.2.4.5). A nil member was not sent,
// and stays as it was. Lengths are in characters.
type CardSendRequest struct {
	Action       CardAction
	SubAction    string            // sub_action, at most 64: VERIFY, EXPIRE (gateway-facts §3)
	UserID       ridecode.UserID   // 1 to 64
	OpenID       string            // open_id, at most 128; stands in for UserID
	CardType     ridecode.CardType // 1 to 32
	CardNo       ridecode.CardNo   // 1 to 16 letters and digits
	LastUpdate   time.Time         // last_update_time, whole seconds; Beijing time on the wire, UTC here
	CardData     []byte            // at most 64 bytes; hex on the wire
	BalanceFen   *money.Fen        // yuan on the wire; may be negative
	Disabled     *bool
	DisabledCode *string // CARD_OVERDUE, CARD_REVOKING or empty
	DisabledTips *string // at most 256; not empty where Disabled is true
	TradeScene   *string // PCREDIT, EXTRA_PREPAY or empty
	ExtInfo      *string // the text of a JSON object, at most 4096
}

// CardSendResponse names the card (document 2 §4.2.4.7). SubErrorCode and ErrorMessage belong to a refusal,
// which is an Error.
type CardSendResponse struct {
	UserID       ridecode.UserID
	OpenID       string
	CardType     ridecode.CardType
	CardNo       ridecode.CardNo
	SubErrorCode string
	ErrorMessage string
}

// CardSend is 虚拟卡信息同步, document 2 §4.2.4.
func CardSend() Codec[CardSendRequest, CardSendResponse] {
	return Codec[CardSendRequest, CardSendResponse]{
		Method: MethodCardSend, Title: "虚拟卡信息同步",
		request:  message[CardSendRequest]{clause: clauseCardSend, tell: (*CardSendRequest).tell},
		response: message[CardSendResponse]{clause: clauseCardSendResult, tell: (*CardSendResponse).tell},
	}
}

func (r *CardSendRequest) tell(d members) {
	text(d, need("action", 64, "卡数据同步动作，ISSUE：开通，UPDATE：更新，REVOKE：注销").oneOf("ISSUE", "UPDATE", "REVOKE"), &r.Action)
	d.text(may("sub_action", 64, "子动作，VERIFY 或 EXPIRE"), &r.SubAction)
	rider(d, &r.UserID, &r.OpenID)
	d.moment(need("last_update_time", 0, "当前卡最后更新时间"), &r.LastUpdate)
	text(d, need("card_type", 32, "本平台分配的卡类型"), &r.CardType)
	text(d, need("card_no", 16, "发卡方为用户分配的唯一卡号，由数字字母组成"), &r.CardNo)
	d.demand(form.IsAlphanumeric(string(r.CardNo)), "card_no", "not letters and digits alone")
	d.bytes(may("card_data", 64, "hex 字符串格式卡数据，透传到二维码中"), &r.CardData)
	r.tellState(d)
}

// tellState tells what may change. A card that is disabled says why to its rider.
func (r *CardSendRequest) tellState(d members) {
	balance := may("balance", 0, "余额，单位元，精确到分；后付费卡不需要").loosely()
	balance.signed = true
	sent(d, balance, &r.BalanceFen, d.amount)
	sent(d, may("disabled", 0, "true 表示卡不可用").loosely(), &r.Disabled, d.flag)
	sent(d, may("disabled_code", 64, "不可用错误码，CARD_OVERDUE：卡欠费，CARD_REVOKING：退卡中").oneOf("CARD_OVERDUE", "CARD_REVOKING"), &r.DisabledCode, d.text)
	sent(d, may("disabled_tips", 256, "不可用原因提示，卡不可用时必传").lines(), &r.DisabledTips, d.text)
	sent(d, may("trade_scene", 64, "PCREDIT：先乘后付，EXTRA_PREPAY：外部预付").oneOf("PCREDIT", "EXTRA_PREPAY"), &r.TradeScene, d.text)
	sent(d, may("ext_info", 4096, "扩展信息，JSON 对象的文本，支持 city_code、agent_id、discount_type").jsonText(), &r.ExtInfo, d.text)
	tips := r.DisabledTips != nil && *r.DisabledTips != ""
	d.demand(r.Disabled == nil || !*r.Disabled || tips, "disabled_tips", "missing or empty, and the card is disabled")
}

func (r *CardSendResponse) tell(d members) {
	text(d, may("user_id", 64, "支付宝用户 id"), &r.UserID)
	d.text(may("open_id", 128, "支付宝用户 open_id"), &r.OpenID)
	text(d, may("card_type", 32, "卡类型"), &r.CardType)
	text(d, may("card_no", 16, "卡号"), &r.CardNo)
	tellCardFault(d, &r.SubErrorCode, &r.ErrorMessage)
}

// tellCardFault gives the message under both of its names: document 2's table and its text (§4.2.4.2).
func tellCardFault(d members, code, message *string) {
	d.text(may("sub_error_code", 64, "子错误码"), code)
	again := *message
	d.text(may("error_message", 128, "错误提示信息").shortened(), message)
	d.text(may("err_message", 128, "错误提示信息").shortened(), &again)
	if *message == "" {
		*message = again
	}
}
