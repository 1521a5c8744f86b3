package bill_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/bill"
)

var head = bill.Head{App: "2021000000000001", Merchant: "merchant:transit", Date: "2026-11-26"}

func lineOf(n int, kind bill.Kind, amountFen money.Fen) bill.Line {
	line := bill.Line{Kind: kind, TradeNo: fmt.Sprintf("20261126%020d", n), OutTradeNo: fmt.Sprintf("LINE19_%d", n), Subject: "公交-19路",
		At: time.Date(2026, 11, 26, 0, 34, n%60, 0, time.UTC), AmountFen: amountFen}
	if kind == bill.Refund {
		line.RequestNo = fmt.Sprint("R", n)
	}
	return line
}

func write(t testing.TB, lines ...bill.Line) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := bill.NewWriter(&out, head)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if err := w.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func read(r io.Reader) (got []bill.Line, h bill.Head, totals bill.Totals, err error) {
	h, totals, err = bill.Read(r, func(line bill.Line) error {
		got = append(got, line)
		return nil
	})
	return got, h, totals, err
}

// The file as people see it: written out by hand.
func TestBytes(t *testing.T) {
	file := string(write(t, lineOf(1, bill.Trade, 200), lineOf(2, bill.Refund, 5)))
	want := "#刷码对账单,1\n#应用,2021000000000001\n#商户,merchant:transit\n#日期,2026-11-26\n交易号,商户订单号,业务类型,退款请求号,标题,完成时间,金额\n" +
		"2026112600000000000000000001,LINE19_1,交易,,公交-19路,2026-11-26 08:34:01,2.00\n" +
		"2026112600000000000000000002,LINE19_2,退款,R2,公交-19路,2026-11-26 08:34:02,0.05\n" +
		"#合计,交易,1,2.00\n#合计,退款,1,0.05\n#校验,"
	if !strings.HasPrefix(file, want) || len(file) != len(want)+64+1 {
		t.Errorf("the file is\n%s", file)
	}
}

// What is read is what was written, however it comes in.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var lines []bill.Line
		var want bill.Totals
		for n := range rapid.IntRange(0, 20).Draw(t, "count") {
			line := lineOf(n, rapid.SampledFrom([]bill.Kind{bill.Trade, bill.Refund}).Draw(t, "kind"), money.Fen(rapid.Int64Range(1, int64(money.MaxFen)).Draw(t, "amount")))
			line.Subject = rapid.StringMatching(`[ -~公交\n"',=#@+-]{0,40}`).Draw(t, "subject")
			line.OutTradeNo = rapid.StringMatching(`[!-~]{1,64}`).Draw(t, "number")
			total := &want.Trades
			if line.Kind == bill.Refund {
				total = &want.Refunds
			}
			total.Count, total.SumFen = total.Count+1, total.SumFen+line.AmountFen
			lines = append(lines, line)
		}
		var out bytes.Buffer
		w, err := bill.NewWriter(&out, head)
		for _, line := range lines {
			err = errors.Join(err, w.Write(line))
		}
		wrote, err2 := w.Close()
		if err != nil || err2 != nil || wrote != want {
			t.Fatal(err, err2, wrote)
		}
		for _, r := range []io.Reader{bytes.NewReader(out.Bytes()), iotest.OneByteReader(bytes.NewReader(out.Bytes())), iotest.DataErrReader(bytes.NewReader(out.Bytes()))} {
			got, h, totals, err := read(r)
			if err != nil || h != head || totals != want || !reflect.DeepEqual(got, lines) {
				t.Fatalf("%v\n%+v\n%+v, want\n%+v\n%s", err, totals, got, lines, out.Bytes())
			}
		}
	})
}

// Cut off anywhere, or with any bit changed, a bill is refused.
func TestDamaged(t *testing.T) {
	file := write(t, lineOf(1, bill.Trade, 200), lineOf(2, bill.Refund, 5))
	for size := range file {
		if _, _, _, err := read(bytes.NewReader(file[:size])); err == nil {
			t.Errorf("cut off at %d it is taken", size)
		}
	}
	for bit := range len(file) * 8 {
		changed := bytes.Clone(file)
		changed[bit/8] ^= 1 << (bit % 8)
		if _, _, _, err := read(bytes.NewReader(changed)); err == nil {
			t.Errorf("with bit %d of byte %d changed it is taken", bit%8, bit/8)
		}
	}
}

func TestRefuses(t *testing.T) {
	good := string(write(t, lineOf(1, bill.Trade, 200)))
	for _, c := range []struct{ name, file, why string }{
		{"nothing", "", "line 1: the file ends here, before its foot"},
		{"a picture", "\x89PNG\r\n\x1a\n", "line 1: not a line of comma-separated UTF-8"},
		{"another file", "a,b\n", "line 1: not #刷码对账单 and its value"},
		{"a newer version", strings.Replace(good, "单,1", "单,2", 1), "line 1: version 2 is not known here"},
		{"no day", strings.Replace(good, "2026-11-26\n", "2026-13-26\n", 1), "line 4: not a day"},
		{"other columns", strings.Replace(good, "金额", "價錢", 1), "line 5: not the names of the columns"},
		{"a column less", strings.Replace(good, ",2.00\n#", "\n#", 1), "line 6: 6 columns, not 7"},
		{"no amount", strings.Replace(good, ",2.00\n#", ",2.000\n#", 1), "line 6: 金额"},
		{"no time", strings.Replace(good, "08:34:01", "08:34", 1), "line 6: 完成时间"},
		{"a third kind", strings.Replace(good, "01,LINE19_1,交易", "01,LINE19_1,其他", 1), "line 6: 业务类型"},
		{"another total", strings.Replace(good, "交易,1,2.00", "交易,1,2.01", 1), "line 9: the totals say 1 trades of 2.01"},
		{"a line more", strings.Replace(good, "#合计,退款", "x,y,交易,,z,t,1\n#合计,退款", 1), "line 8: a line behind the totals"},
		{"something behind", good + "#", "line 10: something follows the foot"},
		{"an endless line", strings.Repeat("x", 1<<16), "longer than a line can be"},
	} {
		_, _, _, err := read(strings.NewReader(c.file))
		var wrong *bill.LineError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %s", c.name, err, c.why)
		}
	}
	stop := errors.New("enough")
	if _, _, err := bill.Read(strings.NewReader(good), func(bill.Line) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the visitor's error came back as %v", err)
	}
	if _, _, err := bill.Read(iotest.ErrReader(stop), nil); !errors.Is(err, stop) {
		t.Errorf("the disk's error came back as %v", err)
	}
}

func TestWriterRefuses(t *testing.T) {
	w, err := bill.NewWriter(io.Discard, head)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*bill.Line){
		"no kind": func(l *bill.Line) { l.Kind = "" }, "no number": func(l *bill.Line) { l.TradeNo = "1" }, "no order": func(l *bill.Line) { l.OutTradeNo = "" },
		"no amount": func(l *bill.Line) { l.AmountFen = 0 }, "a refund without request": func(l *bill.Line) { l.Kind = bill.Refund },
	} {
		line := lineOf(1, bill.Trade, 200)
		change(&line)
		if err := w.Write(line); err == nil {
			t.Errorf("%s is written", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(write(f, lineOf(1, bill.Trade, 200), lineOf(2, bill.Refund, 5)))
	f.Add([]byte("#刷码对账单,1\n\"\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		lines, h, totals, err := read(bytes.NewReader(b))
		if err != nil {
			return
		}
		var out bytes.Buffer
		w, err := bill.NewWriter(&out, h)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			if err := w.Write(line); err != nil {
				t.Fatal(err)
			}
		}
		if again, err := w.Close(); err != nil || again != totals {
			t.Errorf("%+v, %v; read %+v", again, err, totals)
		}
	})
}
