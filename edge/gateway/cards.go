package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/codeissuer"
)

// Cards is the register of virtual cards; *codeissuer.Cards is one.
type Cards interface {
	// Send takes a message about a card of the app; a *codeissuer.CardError says that it changed nothing.
	Send(ctx context.Context, app codeissuer.AppID, message codeissuer.CardMessage, now time.Time) (codeissuer.Card, error)
	// Query gives cards of the app that the query names, by type and number.
	Query(ctx context.Context, query codeissuer.CardQuery) ([]codeissuer.Card, error)
}

func (s *server) cardSend(ctx context.Context, c call, r openapi.CardSendRequest) (openapi.CardSendResponse, error) {
	if s.Cards == nil {
		return openapi.CardSendResponse{}, errNotOpen()
	}
	message := codeissuer.CardMessage{Action: codeissuer.CardAction(r.Action), SubAction: r.SubAction,
		Key: codeissuer.CardKey{Type: r.CardType, No: r.CardNo}, User: r.UserID, OpenID: r.OpenID, LastUpdate: r.LastUpdate, Data: r.CardData,
		BalanceFen: r.BalanceFen, Disabled: r.Disabled, DisabledCode: r.DisabledCode, DisabledTips: r.DisabledTips, Scene: r.TradeScene, ExtInfo: r.ExtInfo}
	card, err := s.Cards.Send(ctx, codeissuer.AppID(c.app.ID), message, c.now)
	if err != nil {
		return openapi.CardSendResponse{}, err
	}
	return openapi.CardSendResponse{UserID: card.User, OpenID: card.OpenID, CardType: card.Key.Type, CardNo: card.Key.No}, nil
}

func (s *server) cardBatchQuery(ctx context.Context, c call, r openapi.CardQueryRequest) (openapi.CardQueryResponse, error) {
	if s.Cards == nil {
		return openapi.CardQueryResponse{}, errNotOpen()
	}
	cards, err := s.Cards.Query(ctx, codeissuer.CardQuery{App: codeissuer.AppID(c.app.ID), User: r.UserID, Type: r.CardType, No: r.CardNo,
		Revoked: r.IncludeDeleted, Limit: openapi.MaxCards + 1})
	if err != nil {
		return openapi.CardQueryResponse{}, err
	}
	if len(cards) > openapi.MaxCards {
		return openapi.CardQueryResponse{}, openapi.Refuse(openapi.SubFail, "卡片数量过多，请以 card_type 缩小范围")
	}
	var response openapi.CardQueryResponse
	for _, card := range cards {
		response.Cards = append(response.Cards, cardModel(card))
	}
	return response, nil
}

func cardModel(card codeissuer.Card) openapi.CardModel {
	model := openapi.CardModel{CardType: card.Key.Type, CardNo: card.Key.No, UserID: card.User, OpenID: card.OpenID, CardData: card.Data,
		BalanceFen: card.BalanceFen, Status: "NORMAL", StatusCode: card.DisabledCode, StatusMsg: card.DisabledTips, ExtInfo: card.ExtInfo, LastUpdate: card.LastUpdate}
	switch {
	case card.Revoked:
		model.Status = "REVOKED"
	case card.Disabled:
		model.Status = "DISABLED"
	}
	return model
}

// cardRefusal is FAIL with sub_error_code and error_message (document 2 §4.2.4.2, §4.2.4.7).
func cardRefusal(fault *codeissuer.CardError) *openapi.Error {
	message := cardMessageOf(fault.Fault)
	refusal := openapi.Refuse(openapi.SubFail, message)
	refusal.SubErrorCode, refusal.ErrorMessage = string(fault.Fault), message
	return refusal
}

func cardMessageOf(fault codeissuer.CardFault) string {
	switch fault {
	case codeissuer.CardTypeNotRegistered:
		return "卡类型未登记给该应用，请先向平台登记"
	case codeissuer.CardTimeInFuture:
		return "last_update_time 超前平台时间一天以上，请校准时钟并使用北京时间"
	case codeissuer.CardNotExist:
		return "卡片不存在，请先以 ISSUE 开通"
	case codeissuer.CardOfOtherUser:
		return "卡号已发给其他用户"
	case codeissuer.CardOutdated:
		return "平台已有更新的卡数据，请以最新的卡数据和 last_update_time 重新同步"
	case codeissuer.CardIsRevoked:
		return "卡片已注销，如需恢复请以 ISSUE 重新开通"
	case codeissuer.CardNotAgreed:
		return "用户尚未签约公交付款服务，请先引导用户签约后再开通后付费卡"
	}
	return "卡信息同步失败"
}

// asCardError finds a card's fault in an error.
func asCardError(err error) (*codeissuer.CardError, bool) {
	var fault *codeissuer.CardError
	return fault, errors.As(err, &fault)
}
