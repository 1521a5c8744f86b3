package payment

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// ContentDigest is SHA-256 over all fields of a trade, so that the same number with other content is
// told from a retry.
type ContentDigest [sha256.Size]byte

// contentVersion is the first byte of a content.
const contentVersion = 1

// errContent says that bytes are no content; they came from the books, so it is a fault of theirs.
var errContent = errors.New("payment: these bytes are no trade")

// Append writes a trade as the books keep it: a version, the texts and the records, each with four bytes
// of its size before it so that no two contents run together, and between them the order's second and the
// amount, eight bytes each. The digest of a trade is that of these bytes.
func (t Trade) Append(dst []byte) []byte {
	dst = append(dst, contentVersion)
	for _, text := range []string{string(t.OutTradeNo), string(t.UserID), t.Subject, t.BizContext, t.CardType, t.SellerLogin} {
		dst = appendSized(dst, text)
	}
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.OrderTime.Unix()))
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.AmountFen))
	for _, rec := range t.Records {
		dst = appendSized(dst, rec)
	}
	return dst
}

// Digest covers every field.
func (t Trade) Digest() ContentDigest { return sha256.Sum256(t.Append(nil)) }

// ParseTrade reads what Append wrote; ParseTrade(t.Append(nil)) is t, as far as its second.
func ParseTrade(b []byte) (Trade, error) {
	r := contentReader{rest: b}
	if len(b) == 0 || b[0] != contentVersion {
		return Trade{}, errContent
	}
	r.rest = b[1:]
	t := Trade{OutTradeNo: OutTradeNo(r.sized()), UserID: ridecode.UserID(r.sized()), Subject: string(r.sized()),
		BizContext: string(r.sized()), CardType: string(r.sized()), SellerLogin: string(r.sized()),
		OrderTime: time.Unix(r.int64(), 0).UTC(), AmountFen: money.Fen(r.int64())}
	for len(r.rest) > 0 && !r.bad {
		t.Records = append(t.Records, r.sized())
	}
	if r.bad {
		return Trade{}, errContent
	}
	return t, nil
}

// contentReader takes sizes on trust of nobody.
type contentReader struct {
	rest []byte
	bad  bool
}

func (r *contentReader) take(size uint64) []byte {
	if r.bad || uint64(len(r.rest)) < size {
		r.bad = true
		return nil
	}
	taken := r.rest[:size:size]
	r.rest = r.rest[size:]
	return taken
}

func (r *contentReader) sized() []byte {
	size := r.take(4)
	if r.bad {
		return nil
	}
	return r.take(uint64(binary.BigEndian.Uint32(size)))
}

func (r *contentReader) int64() int64 {
	b := r.take(8)
	if r.bad {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}

func appendSized[T string | []byte](dst []byte, part T) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(part)))
	return append(dst, part...)
}
