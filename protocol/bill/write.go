package bill

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
)

// Writer writes a bill. Without Close it has no foot, and no reader takes it.
type Writer struct {
	out    *csv.Writer
	digest hash.Hash
	totals Totals
}

// NewWriter writes the head.
func NewWriter(w io.Writer, head Head) (*Writer, error) {
	b := &Writer{digest: sha256.New()}
	b.out = csv.NewWriter(io.MultiWriter(w, b.digest))
	for _, fields := range [][]string{{markVersion, strconv.Itoa(Version)}, {markApp, head.App}, {markMerchant, head.Merchant}, {markDate, head.Date}, columns()} {
		if err := b.out.Write(fields); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Write adds a line. A text that would begin like a mark, or that a spreadsheet would take for a formula,
// keeps its first character behind an apostrophe, which Read takes away again.
func (b *Writer) Write(line Line) error {
	if why := line.fault(); why != "" {
		return fmt.Errorf("bill: %s", why)
	}
	if err := b.totals.add(line); err != nil {
		return err
	}
	return b.out.Write([]string{line.TradeNo, guard(line.OutTradeNo), string(line.Kind), guard(line.RequestNo), guard(line.Subject),
		line.At.In(beijing()).Format(timeFormat), line.AmountFen.Yuan()})
}

// Close writes the foot, and gives the totals that it holds.
func (b *Writer) Close() (Totals, error) {
	for _, total := range []struct {
		kind Kind
		of   Total
	}{{Trade, b.totals.Trades}, {Refund, b.totals.Refunds}} {
		if err := b.out.Write([]string{markTotal, string(total.kind), strconv.Itoa(total.of.Count), total.of.SumFen.Yuan()}); err != nil {
			return Totals{}, err
		}
	}
	b.out.Flush()
	if err := b.out.Error(); err != nil {
		return Totals{}, err
	}
	if err := b.out.Write([]string{markDigest, hex.EncodeToString(b.digest.Sum(nil))}); err != nil {
		return Totals{}, err
	}
	b.out.Flush()
	return b.totals, b.out.Error()
}

// risky is what a cell must not begin with: a program that opens the file may act on it.
const risky = "=+-@#'\t\r\n"

func guard(text string) string {
	if text != "" && strings.ContainsRune(risky, rune(text[0])) {
		return "'" + text
	}
	return text
}

func unguard(text string) string {
	if len(text) > 1 && text[0] == '\'' && strings.ContainsRune(risky, rune(text[1])) {
		return text[1:]
	}
	return text
}
