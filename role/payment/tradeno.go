package payment

import (
	"fmt"
	"strconv"

	"github.com/shuama/shuama/ledger"
)

// TradeNo is the payment institution's number of a trade (trade_no), 28 digits: the accounting day it was
// settled on, three digits of its bucket, seventeen of its document. It says where the trade is kept, so
// that no index has to.
type TradeNo string

const (
	tradeNoSize = 28
	// BucketsMax is how many buckets there may be.
	BucketsMax = 256
	// DocumentMax is the last number that a document can have.
	DocumentMax ledger.DocumentID = 99_999_999_999_999_999
)

// NumberTrade writes the number of a trade.
func NumberTrade(day ledger.Day, bucket int, id ledger.DocumentID) TradeNo {
	return TradeNo(fmt.Sprintf("%08d%03d%017d", day, bucket, id))
}

// Parse reads a number back; ok is false for one that NumberTrade never wrote.
func (n TradeNo) Parse() (day ledger.Day, bucket int, id ledger.DocumentID, ok bool) {
	if len(n) != tradeNoSize {
		return 0, 0, 0, false
	}
	d, err1 := strconv.ParseUint(string(n[:8]), 10, 31)
	b, err2 := strconv.ParseUint(string(n[8:11]), 10, 31)
	i, err3 := strconv.ParseUint(string(n[11:]), 10, 63)
	day, bucket, id = ledger.Day(d), int(b), ledger.DocumentID(i)
	ok = err1 == nil && err2 == nil && err3 == nil && day.Valid() && bucket < BucketsMax && NumberTrade(day, bucket, id) == n
	return day, bucket, id, ok
}
