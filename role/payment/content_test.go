package payment_test

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

func drawTrade(t *rapid.T) payment.Trade {
	text := func(name string) string { return rapid.String().Draw(t, name) }
	return payment.Trade{OutTradeNo: payment.OutTradeNo(text("no")), UserID: ridecode.UserID(text("user")), Subject: text("subject"), BizContext: text("biz"),
		CardType: text("card"), SellerLogin: text("seller"), OrderTime: time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "time"), 0).UTC(),
		AmountFen: money.Fen(rapid.Int64().Draw(t, "amount")), Records: rapid.SliceOfN(rapid.SliceOf(rapid.Byte()), 0, 3).Draw(t, "records")}
}

// What is read back is what was written, byte for byte, and nothing else has its digest.
func TestContentRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		trade, other := drawTrade(t), drawTrade(t)
		content := trade.Append([]byte("x"))[1:]
		read, err := payment.ParseTrade(content)
		if err != nil || !bytes.Equal(read.Append(nil), content) || read.Digest() != trade.Digest() {
			t.Fatalf("%+v is read as %+v, %v", trade, read, err)
		}
		if bytes.Equal(other.Append(nil), content) != (other.Digest() == trade.Digest()) {
			t.Fatal("two contents, one digest")
		}
	})
}

func TestContentRefuses(t *testing.T) {
	content := payment.Trade{OutTradeNo: "1", UserID: "2", Subject: "3", AmountFen: 4, Records: [][]byte{{5}}}.Append(nil)
	for size := range content {
		if trade, err := payment.ParseTrade(content[:size]); err == nil && !bytes.Equal(trade.Append(nil), content[:size]) {
			t.Errorf("cut off at %d: %+v", size, trade)
		}
	}
	for _, bad := range [][]byte{nil, {0}, {2}, append([]byte{2}, content[1:]...), append(bytes.Clone(content), 0), append(bytes.Clone(content), 0xff, 0xff, 0xff, 0xff)} {
		if trade, err := payment.ParseTrade(bad); err == nil {
			t.Errorf("% x is taken for %+v", bad, trade)
		}
	}
}

func FuzzParseTrade(f *testing.F) {
	f.Add(payment.Trade{OutTradeNo: "1", UserID: "2", Subject: "3", AmountFen: 4, Records: [][]byte{{5}, {}}}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if trade, err := payment.ParseTrade(b); err == nil && !bytes.Equal(trade.Append(nil), b) {
			t.Errorf("% x is read as %+v", b, trade)
		}
	})
}

func TestTradeNo(t *testing.T) {
	no := payment.NumberTrade(2026_11_26, 7, 42)
	if day, bucket, id, ok := no.Parse(); no != "2026112600700000000000000042" || day != 2026_11_26 || bucket != 7 || id != 42 || !ok {
		t.Errorf("%s: %s, %d, %d, %v", no, day, bucket, id, ok)
	}
	for _, bad := range []payment.TradeNo{"", "2026112600700000000000000042 ", "2026133200700000000000000042", "2026112699900000000000000042",
		"+026112600700000000000000042", "2026112600700000000000000x42", "20261126007000000000000000420"} {
		if _, _, _, ok := bad.Parse(); ok {
			t.Errorf("%q is taken for a trade number", bad)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		day, bucket := ledger.DayOf(time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "time"), 0)), rapid.IntRange(0, payment.BucketsMax-1).Draw(t, "bucket")
		id := ledger.DocumentID(rapid.Int64Range(0, int64(payment.DocumentMax)).Draw(t, "id"))
		if d, b, i, ok := payment.NumberTrade(day, bucket, id).Parse(); !ok || d != day || b != bucket || i != id {
			t.Fatalf("%s %d %d became %s %d %d", day, bucket, id, d, b, i)
		}
	})
}

// Users and numbers are spread evenly, also where they follow one another; where they are is fixed for ever.
func TestBuckets(t *testing.T) {
	const count, users = 16, 64_000
	var users16, numbers16 [count]int
	for n := range users {
		user := ridecode.UserID(pad("2088", n))
		users16[payment.BucketOf(user, count)]++
		numbers16[payment.BucketOfNumber(payment.Number{Scope: "2021000000000001", No: pad("LINE1_", n)}, count)]++
	}
	for bucket := range count {
		for _, n := range []int{users16[bucket], numbers16[bucket]} {
			if n < users/count*9/10 || n > users/count*11/10 {
				t.Errorf("bucket %d of %d has %d of %d", bucket, count, n, users)
			}
		}
	}
	if a, b := payment.BucketOf("2088000011112222", 256), payment.BucketOfNumber(payment.Number{Scope: "2021000000000001", No: "LINE1_POS2_20160511_0001"}, 256); a != 124 || b != 82 {
		t.Errorf("books that stand are lost: %d, %d", a, b)
	}
}

func pad(prefix string, n int) string {
	digits := []byte("000000000000")
	for i := len(digits) - 1; n > 0; i-- {
		digits[i] = byte('0' + n%10)
		n /= 10
	}
	return prefix + string(digits)
}
