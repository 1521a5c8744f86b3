package bill

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shuama/shuama/money"
)

// LineError says what is wrong with a bill, and where.
type LineError struct {
	Line int // from 1
	Why  string
}

func (e *LineError) Error() string { return fmt.Sprintf("bill: line %d: %s", e.Line, e.Why) }

// lineMax bounds a line, in bytes: no text in it is longer than what the gateway takes.
const lineMax = 4096

// Read reads a bill and gives each line to visit, in order. The lines count only once Read has ended without
// error: what the foot says is checked at the end. An error of visit ends it and is given back.
func Read(r io.Reader, visit func(Line) error) (Head, Totals, error) {
	b := &reader{source: &sizedLines{r: r}, digest: sha256.New()}
	head, err := b.readHead()
	for err == nil && !b.ended {
		err = b.readLine(visit)
	}
	if err != nil {
		return Head{}, Totals{}, err
	}
	return head, b.totals, b.readEnd()
}

// reader takes a bill apart, line by line.
type reader struct {
	source *sizedLines
	digest hash.Hash // of all lines before this one
	line   int
	totals Totals
	told   Totals // by the foot
	feet   int
	ended  bool
}

func (b *reader) fault(why string) error { return &LineError{Line: b.line, Why: why} }

// next is the fields of the next line, and its bytes, which the digest does not have yet.
func (b *reader) next() (fields []string, raw []byte, err error) {
	raw, lines, err := b.source.next()
	b.line += lines
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		b.line++
		return nil, nil, b.fault("the file ends here, before its foot: it was cut off, ask for it again")
	}
	if err != nil {
		return nil, nil, err
	}
	parser := csv.NewReader(strings.NewReader(string(raw)))
	parser.FieldsPerRecord = -1
	fields, err = parser.Read()
	if err != nil || !utf8.Valid(raw) {
		return nil, nil, b.fault("not a line of comma-separated UTF-8")
	}
	return fields, raw, nil
}

func (b *reader) readHead() (head Head, err error) {
	for _, mark := range []struct {
		name string
		to   *string
	}{{markVersion, new(string)}, {markApp, &head.App}, {markMerchant, &head.Merchant}, {markDate, &head.Date}} {
		fields, raw, err := b.next()
		if err != nil {
			return head, err
		}
		if len(fields) != 2 || fields[0] != mark.name || fields[1] == "" {
			return head, b.fault("not " + mark.name + " and its value: this is no reconciliation file")
		}
		*mark.to = fields[1]
		if mark.name == markVersion && fields[1] != strconv.Itoa(Version) {
			return head, b.fault("version " + fields[1] + " is not known here: use a newer program")
		}
		b.digest.Write(raw)
	}
	if _, err := time.Parse(time.DateOnly, head.Date); err != nil {
		return head, b.fault("not a day like 2026-11-26")
	}
	fields, raw, err := b.next()
	if err == nil && !slices.Equal(fields, columns()) {
		err = b.fault("not the names of the columns")
	}
	b.digest.Write(raw)
	return head, err
}

func (b *reader) readLine(visit func(Line) error) error {
	fields, raw, err := b.next()
	if err != nil {
		return err
	}
	switch {
	case fields[0] == markDigest:
		return b.readDigest(fields)
	case fields[0] == markTotal:
		err = b.readTotal(fields)
	case b.feet > 0:
		err = b.fault("a line behind the totals")
	default:
		var line Line
		if line, err = b.parse(fields); err == nil {
			err = visit(line)
		}
	}
	b.digest.Write(raw)
	return err
}

func (b *reader) parse(fields []string) (Line, error) {
	if len(fields) != len(columns()) {
		return Line{}, b.fault(fmt.Sprintf("%d columns, not %d", len(fields), len(columns())))
	}
	at, err := time.ParseInLocation(timeFormat, fields[5], beijing())
	if err != nil {
		return Line{}, b.fault("完成时间: not a time like 2026-11-26 08:34:00")
	}
	amountFen, err := money.ParseYuan(fields[6])
	if err != nil {
		return Line{}, b.fault("金额: " + err.Error())
	}
	line := Line{Kind: Kind(fields[2]), TradeNo: fields[0], OutTradeNo: unguard(fields[1]), RequestNo: unguard(fields[3]), Subject: unguard(fields[4]),
		At: at.UTC(), AmountFen: amountFen}
	if why := line.fault(); why != "" {
		return Line{}, b.fault(why)
	}
	if err := b.totals.add(line); err != nil {
		return Line{}, b.fault("金额: the lines do not add up to an amount")
	}
	return line, nil
}

// fault is what a line may not say.
func (l Line) fault() string {
	switch {
	case l.Kind != Trade && l.Kind != Refund:
		return "业务类型: neither 交易 nor 退款"
	case len(l.TradeNo) != 28 || strings.Trim(l.TradeNo, "0123456789") != "":
		return "交易号: not 28 digits"
	case l.OutTradeNo == "":
		return "商户订单号: missing"
	case (l.RequestNo == "") != (l.Kind == Trade):
		return "退款请求号: a refund has one, and a trade has none"
	case l.AmountFen <= 0 || l.AmountFen > money.MaxFen:
		return "金额: not above 0"
	}
	return ""
}

func (b *reader) readTotal(fields []string) error {
	want := []Kind{Trade, Refund}
	if b.feet == len(want) || len(fields) != 4 || fields[1] != string(want[b.feet]) {
		return b.fault("not the total of " + string(want[min(b.feet, 1)]))
	}
	count, err := strconv.Atoi(fields[2])
	sumFen, err2 := money.ParseSum(fields[3])
	if err != nil || err2 != nil || count < 0 {
		return b.fault("not a count and an amount")
	}
	total := Total{count, sumFen}
	if b.feet == 0 {
		b.told.Trades = total
	} else {
		b.told.Refunds = total
	}
	b.feet++
	return nil
}

func (b *reader) readDigest(fields []string) error {
	b.ended = true
	if b.feet != 2 || len(fields) != 2 {
		return b.fault("the foot is not whole")
	}
	if b.told != b.totals {
		return b.fault(fmt.Sprintf("the totals say %d trades of %s and %d refunds of %s, and the lines %d of %s and %d of %s",
			b.told.Trades.Count, b.told.Trades.SumFen.Yuan(), b.told.Refunds.Count, b.told.Refunds.SumFen.Yuan(),
			b.totals.Trades.Count, b.totals.Trades.SumFen.Yuan(), b.totals.Refunds.Count, b.totals.Refunds.SumFen.Yuan()))
	}
	if fields[1] != hex.EncodeToString(b.digest.Sum(nil)) {
		return b.fault("the file was changed: its SHA-256 is another one")
	}
	return nil
}

func (b *reader) readEnd() error {
	if _, _, err := b.source.next(); !errors.Is(err, io.EOF) {
		b.line++
		return b.fault("something follows the foot")
	}
	return nil
}

// sizedLines cuts a file into records: a line break inside quotes is none.
type sizedLines struct {
	r    io.Reader
	rest []byte
	err  error
}

func (s *sizedLines) next() (record []byte, lines int, err error) {
	quoted, scanned := false, 0
	for {
		for i, c := range s.rest[scanned:] {
			switch {
			case c == '"':
				quoted = !quoted
			case c == '\n':
				if lines++; !quoted {
					end := scanned + i + 1
					record, s.rest = s.rest[:end:end], s.rest[end:]
					return record, lines, nil
				}
			}
		}
		if scanned = len(s.rest); scanned > lineMax {
			return nil, lines, &LineError{Line: lines + 1, Why: "longer than a line can be"}
		}
		if s.err != nil {
			return nil, lines, s.ending()
		}
		s.fill()
	}
}

// ending is why nothing more comes; bytes without a line's end are what is left of a file that was cut off.
func (s *sizedLines) ending() error {
	if errors.Is(s.err, io.EOF) && len(s.rest) > 0 {
		return io.ErrUnexpectedEOF
	}
	return s.err
}

func (s *sizedLines) fill() {
	buffer := make([]byte, 32<<10)
	n, err := s.r.Read(buffer)
	s.rest, s.err = append(slices.Clip(s.rest), buffer[:n]...), err
}
