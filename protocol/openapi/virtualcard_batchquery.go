package openapi

import (
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

const clauseTransit = "gateway-facts §3"

// MaxCards is how many cards one answer has; a user who has more is asked for by card_type.
const MaxCards = 200

// CardQueryRequest asks for cards of the caller: by number, by user, or both (gateway-facts §3).
type CardQueryRequest struct {
	CardNo         ridecode.CardNo
	CardType       ridecode.CardType
	UserID         ridecode.UserID
	OpenID         string
	IncludeDeleted bool // revoked cards too
}

// CardQueryResponse is the cards, by type and number.
type CardQueryResponse struct{ Cards []CardModel }

// CardModel is one card as it stands.
type CardModel struct {
	CardType   ridecode.CardType
	CardNo     ridecode.CardNo
	UserID     ridecode.UserID
	OpenID     string
	CardData   []byte
	BalanceFen *money.Fen // nil where none was sent
	Status     string     // card_status: NORMAL, DISABLED, REVOKED
	StatusCode string     // status_code: disabled_code
	StatusMsg  string     // status_msg: disabled_tips
	ExtInfo    string
	LastUpdate time.Time
}

// CardBatchQuery is 虚拟卡信息批量查询, gateway-facts §3.
func CardBatchQuery() Codec[CardQueryRequest, CardQueryResponse] {
	return Codec[CardQueryRequest, CardQueryResponse]{
		Method: MethodCardBatchQuery, Title: "虚拟卡信息批量查询",
		request:  message[CardQueryRequest]{clause: clauseTransit, tell: (*CardQueryRequest).tell},
		response: message[CardQueryResponse]{clause: clauseTransit, tell: (*CardQueryResponse).tell},
	}
}

func (r *CardQueryRequest) tell(d members) {
	text(d, may("card_no", 16, "卡号"), &r.CardNo)
	text(d, may("card_type", 32, "卡类型"), &r.CardType)
	text(d, may("user_id", 64, "支付宝用户 id"), &r.UserID)
	d.text(may("open_id", 128, "支付宝用户 open_id，代替 user_id"), &r.OpenID)
	if r.UserID == "" && len(r.OpenID) <= 64 {
		r.UserID = ridecode.UserID(r.OpenID)
	}
	d.flag(may("include_deleted", 0, "是否包含已注销的卡").loosely(), &r.IncludeDeleted)
	d.demand(r.UserID != "" || r.CardNo != "", "user_id", "missing, and card_no too: ask for a user or a card")
}

func (r *CardQueryResponse) tell(d members) {
	d.list(need("card_models", MaxCards, "卡列表"), listOf(&r.Cards, (*CardModel).tell))
}

func (c *CardModel) tell(d members) {
	text(d, need("card_type", 32, "卡类型"), &c.CardType)
	text(d, need("card_no", 16, "卡号"), &c.CardNo)
	text(d, need("user_id", 64, "支付宝用户 id"), &c.UserID)
	d.text(may("open_id", 128, "支付宝用户 open_id"), &c.OpenID)
	d.bytes(may("card_data", 64, "卡数据，hex"), &c.CardData)
	balance := may("balance", 0, "余额，单位元")
	balance.signed = true
	sent(d, balance, &c.BalanceFen, d.amount)
	d.text(need("card_status", 64, "卡状态，NORMAL：可用，DISABLED：不可用，REVOKED：已注销").oneOf("NORMAL", "DISABLED", "REVOKED"), &c.Status)
	d.text(may("status_code", 64, "不可用错误码"), &c.StatusCode)
	d.text(may("status_msg", 256, "不可用原因提示").lines(), &c.StatusMsg)
	d.text(may("ext_info", 4096, "扩展信息").lines(), &c.ExtInfo)
	d.moment(need("last_update_time", 0, "最后更新时间"), &c.LastUpdate)
}
