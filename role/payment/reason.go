package payment

import "slices"

// Reason is why a trade was not settled (error_code; document 2 leaves its values open, DIVERGENCES).
// With several faults it is the first of this list.
type Reason string

// The reasons, in order of precedence.
const (
	IllegalParams       Reason = "ILLEGAL_PARAMS"       // a field is missing or wrong: Why names it
	ContextInconsistent Reason = "CONTEXT_INCONSISTENT" // this out_trade_no was sent before with other content
	SellerNotAllowed    Reason = "SELLER_NOT_ALLOWED"   // seller_login_name is not the merchant's
	RecordInvalid       Reason = "RECORD_INVALID"       // form, signature or time of a record or its code
	RecordUnverifiable  Reason = "RECORD_UNVERIFIABLE"  // nobody can tell yet whether a record is genuine: retry
	RecordUserMismatch  Reason = "RECORD_USER_MISMATCH" // the record is another user's
	RecordCardMismatch  Reason = "RECORD_CARD_MISMATCH" // the record is another card type's
	QuotaExceeded       Reason = "QUOTA_EXCEEDED"       // more than the code's single-trade limit
	SettleOverdue       Reason = "SETTLE_OVERDUE"       // after the settlement deadline
	RiskRefused         Reason = "RISK_REFUSED"         // an online trade of a rider who may not ride now
	PasswordRequired    Reason = "PASSWORD_REQUIRED"    // an online trade that its rider has to confirm: retry
	RecordUsed          Reason = "RECORD_USED"          // a code in it has paid for another trade
	UserNotExist        Reason = "USER_NOT_EXIST"       // no account of this user
	FundsNotEnough      Reason = "BALANCE_NOT_ENOUGH"   // balance, credit line and guarantee are all used up: retry
	SystemBusy          Reason = "SYSTEM_ERROR"         // outcome unknown: retry
)

// precedes tells whether r stands before other in the list of reasons; every reason stands before none.
func (r Reason) precedes(other Reason) bool {
	order := []Reason{IllegalParams, ContextInconsistent, SellerNotAllowed, RecordInvalid, RecordUnverifiable, RecordUserMismatch,
		RecordCardMismatch, QuotaExceeded, SettleOverdue, RiskRefused, PasswordRequired, RecordUsed, UserNotExist, FundsNotEnough, SystemBusy}
	return other == "" || slices.Index(order, r) < slices.Index(order, other)
}
