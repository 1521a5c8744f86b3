package gateway

import (
	"errors"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/payment"
)

// refusalOf is the table from errors to the platform's codes:
//
//	*openapi.Error         itself
//	*form.Error            40004 ILLEGAL_PARAMS, naming field and clause (document 2 §4.2.1.7)
//	*payment.RecordError   40004 FAIL, saying why the record is not genuine; 20000 while nobody can tell
//	*codeissuer.CardError  40004 FAIL with sub_error_code (document 2 §4.2.4.2)
//	*rides.ConflictError   40004 FAIL, naming the number
//	anything else          20000 isp.unknow-error: the outcome is not known, ask again
func refusalOf(err error) (refusal *openapi.Error, unexpected bool) {
	var fault *form.Error
	var record *payment.RecordError
	switch {
	case errors.As(err, &refusal):
		return refusal, false
	case errors.As(err, &fault):
		return openapi.Refuse(openapi.SubIllegalParams, fault.Error()), false
	case errors.As(err, &record) && record.Reason == payment.RecordUnverifiable: // a merchant who took it for false would lose the ride
		return openapi.Refuse(openapi.SubBusinessUnknown, record.Why), false
	case errors.As(err, &record):
		return openapi.Refuse(openapi.SubFail, record.Why), false
	}
	if fault, is := asCardError(err); is {
		return cardRefusal(fault), false
	}
	if conflict, is := asConflict(err); is {
		return conflict, false
	}
	return openapi.Refuse(openapi.SubBusinessUnknown, "请稍后以相同内容重试"), true
}

// messageOf is what a trade's result says to people (message, document 2 §4.2.3.7).
func messageOf(outcome payment.Outcome, reason payment.Reason) string {
	switch outcome {
	case payment.Settled:
		return "成功"
	case payment.Unknown:
		return "处理结果未知，请以相同内容重试"
	}
	for _, row := range [...]struct {
		reason  payment.Reason
		message string
	}{
		{payment.IllegalParams, "请求参数错误"},
		{payment.ContextInconsistent, "该商户外部交易号已用于内容不同的交易"},
		{payment.SellerNotAllowed, "收款方账号不属于该商户"},
		{payment.RecordInvalid, "脱机操作记录无效"},
		{payment.RecordUnverifiable, "脱机操作记录暂时无法验证，请稍后以相同内容重试"},
		{payment.RecordUserMismatch, "脱机操作记录不属于该用户"},
		{payment.RecordCardMismatch, "脱机操作记录与卡类型不符"},
		{payment.QuotaExceeded, "交易金额超过二维码单笔限额"},
		{payment.SettleOverdue, "超过最长结算时间"},
		{payment.RecordUsed, "脱机操作记录已用于其他交易"},
		{payment.UserNotExist, "用户不存在"},
		{payment.FundsNotEnough, "余额不足，请稍后以相同内容重试"},
	} {
		if row.reason == reason {
			return row.message
		}
	}
	return "处理失败"
}
