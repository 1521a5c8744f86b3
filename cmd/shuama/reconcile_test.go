package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/bill"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/merchant"
)

// officeCity is a city, its server and one merchant, whose clocks the test holds. They need not agree.
type officeCity struct {
	t               *testing.T
	dir, address    string
	server, counter time.Time // the clocks of the platform, and of phone, gate and merchant
	stop            func()
}

// newOfficeCity begins ten minutes before a midnight in Beijing.
func newOfficeCity(t *testing.T) *officeCity {
	today := time.Now().In(openapi.Beijing())
	night := time.Date(today.Year(), today.Month(), today.Day()-2, 23, 50, 0, 0, openapi.Beijing())
	o := &officeCity{t: t, dir: t.TempDir(), address: freeAddress(t), server: night, counter: night}
	for _, command := range []string{"keys init city", "keys app city " + followedApp + " --out merchant --gateway http://" + o.address + gateway.Path,
		"keys terminal city " + followedApp + " bus-19-07 --out gate", "account open city 2088000011112222", "account top-up city 2088000011112222 50 --number 1",
		"wallet fetch city 2088000011112222 --out phone"} {
		o.want(exitAccepted, command)
	}
	return o
}

func (o *officeCity) path(name string) string { return filepath.Join(o.dir, name) }

// run runs a command; the names of folders and files are made into paths.
func (o *officeCity) run(stdin, command string) (status int, out string) {
	args := strings.Fields(command)
	for i, arg := range args {
		if first, _, _ := strings.Cut(arg, "/"); first == "city" || first == "merchant" && i > 1 || first == "gate" || first == "phone" || strings.HasPrefix(arg, "file-") {
			args[i] = o.path(arg)
		}
	}
	var text bytes.Buffer
	w := &world{context: o.t.Context(), stdin: strings.NewReader(stdin), stdout: &text, stderr: &text, now: func() time.Time { return o.counter }}
	status = run(w, args)
	return status, text.String()
}

// want runs a command, and wants its exit status and words of it.
func (o *officeCity) want(status int, command string, words ...string) string {
	o.t.Helper()
	got, out := o.run("", command)
	if got != status {
		o.t.Fatalf("shuama %s: status %d, want %d\n%s", command, got, status, out)
	}
	for _, word := range words {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), word) {
			o.t.Fatalf("shuama %s does not say %q:\n%s", command, word, out)
		}
	}
	return out
}

// serve runs the platform at its clock, until the next serve.
func (o *officeCity) serve(at time.Time) {
	if o.stop != nil {
		o.stop()
	}
	o.server = at
	var log lockedText
	ctx, cancel := context.WithCancel(o.t.Context())
	ended := make(chan int, 1)
	w := &world{context: ctx, stdin: strings.NewReader(""), stdout: io.Discard, stderr: &log, now: func() time.Time { return at }}
	go func() { ended <- run(w, []string{"serve", o.path("city"), "--listen", o.address}) }()
	o.stop = func() {
		cancel()
		if status := <-ended; status != exitAccepted {
			o.t.Errorf("serve ended with %d: %s", status, log.String())
		}
	}
}

// ride is one, settled by a platform whose clock is ahead.
func (o *officeCity) ride(at time.Time, ahead time.Duration) {
	o.t.Helper()
	o.counter = at
	code := o.want(exitAccepted, "wallet show phone --hex")
	if status, out := o.run(code, "terminal gate --line 19 --amount 2.00"); status != exitAccepted {
		o.t.Fatalf("the gate: %s", out)
	}
	o.serve(at.Add(ahead))
	o.want(exitAccepted, "merchant collect merchant gate/gate.journal", "1 records taken")
	o.until("merchant settle merchant --once", "1 trades sent: 1 settled")
}

// until repeats a command until the server answers; retries are due a while later each time.
func (o *officeCity) until(command, word string) (status int, out string) {
	o.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if status, out = o.run("", command); strings.Contains(strings.Join(strings.Fields(out), " "), word) {
			return status, out
		}
	}
	o.t.Fatalf("shuama %s never says %q:\n%s", command, word, out)
	return status, out
}

// spoiledBill is the bill of a day with one fen more in its first trade, sums and digest as they then are.
func (o *officeCity) spoiledBill(day string) (spoiled, whole []byte) {
	o.t.Helper()
	archive, err := zip.OpenReader(o.path("city/bills/" + followedApp + "/trade-" + day + ".csv.zip"))
	if err != nil {
		o.t.Fatal(err)
	}
	defer archive.Close()
	file, err := archive.File[0].Open()
	if err != nil {
		o.t.Fatal(err)
	}
	if whole, err = io.ReadAll(file); err != nil {
		o.t.Fatal(err)
	}
	var lines []bill.Line
	head, _, err := bill.Read(bytes.NewReader(whole), func(line bill.Line) error {
		lines = append(lines, line)
		return nil
	})
	if err != nil || len(lines) == 0 {
		o.t.Fatalf("%d lines, %v", len(lines), err)
	}
	lines[0].AmountFen += money.Fen(1)
	var out bytes.Buffer
	w, err := bill.NewWriter(&out, head)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, line := range lines {
		if err := w.Write(line); err != nil {
			o.t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		o.t.Fatal(err)
	}
	return out.Bytes(), whole
}

// TestReconcile takes the bills of two days from a real server. A trade settles before midnight by the merchant's
// clock and after it by the platform's; then the platform issues a bill with a fen too much, and a right one again.
func TestReconcile(t *testing.T) {
	o := newOfficeCity(t)
	evening := o.server
	defer func() { o.stop() }()
	first, second := evening.Format(time.DateOnly), evening.AddDate(0, 0, 1).Format(time.DateOnly)
	o.ride(evening, 0)
	o.ride(evening.Add(9*time.Minute+55*time.Second), 10*time.Second)

	o.want(exitMisuse, "merchant reconcile merchant --date "+second, "there is no bill of "+second+", or none yet")
	o.counter = evening.Add(10 * time.Hour)
	o.serve(o.counter)
	o.until("merchant reconcile merchant --date "+first, "Adds up.")
	o.want(exitAccepted, "merchant reconcile merchant --date "+first, "which was here already", "settled here on that day 2 4.00", "+ MISSING_THERE 1 -2.00",
		"= trades in the bill 1 2.00", "0 open (0.00 yuan), 1 carried (2.00 yuan)")
	o.want(exitAccepted, "merchant differences merchant", "1 CARRIED MISSING_THERE of "+first, "the bill of "+second+" may have it")

	left, young := o.path("merchant/.bill-old"), o.path("merchant/.bill-young")
	for path, age := range map[string]time.Duration{left: 25 * time.Hour, young: time.Hour} {
		made := evening.Add(34*time.Hour - age)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, made, made)); err != nil {
			t.Fatal(err)
		}
	}
	o.counter = evening.Add(34 * time.Hour)
	o.serve(o.counter)
	o.until("merchant reconcile merchant --date "+second, "Adds up.")
	o.want(exitAccepted, "merchant reconcile merchant --date "+second, "+ in the bill, settled here on another day 1 2.00", "0 open (0.00 yuan), 0 carried (0.00 yuan)")
	o.want(exitAccepted, "merchant reconcile merchant --date "+first, "- settled here, in the bill of another day 1 2.00")
	o.want(exitAccepted, "merchant differences merchant --all", "1 RESOLVED MISSING_THERE of "+first, "RESOLVED: the bill of "+second+" has it")
	if files, _ := filepath.Glob(o.path("merchant/.bill-*")); len(files) != 1 || files[0] != young {
		t.Errorf("of files that killed runs have left, there are %q", files)
	}
	o.wantSpoiled(first)
}

// wantSpoiled refuses what is no whole bill or not the one that is here, and names the fen of one that replaces it.
func (o *officeCity) wantSpoiled(day string) {
	o.t.Helper()
	spoiled, whole := o.spoiledBill(day)
	for name, content := range map[string][]byte{"file-spoiled": spoiled, "file-whole": whole, "file-cut": whole[:len(whole)-9], "file-zip": []byte("PK\x03\x04no zip")} {
		if err := os.WriteFile(o.path(name), content, 0o600); err != nil {
			o.t.Fatal(err)
		}
	}
	command := "merchant reconcile merchant --date " + day + " --file "
	o.want(exitMisuse, command+"file-cut", "bill: line")
	o.want(exitMisuse, command+"file-zip", "the bill's zip")
	o.want(exitMisuse, command+"file-spoiled", "another bill of this day is here already", "--replace")
	o.want(exitRefused, command+"file-spoiled --replace", "which replaces an earlier one", "+ AMOUNT 1 0.01", "1 open (0.01 yuan)")
	o.want(exitMisuse, "merchant resolve merchant 9 --reason x", "there is no difference with this number")
	o.want(exitAccepted, "merchant resolve merchant 2 --reason known", "RESOLVED by office: known")
	o.want(exitAccepted, command+"file-whole --replace", "0 open (0.00 yuan)")
	o.want(exitAccepted, "merchant unsettled merchant", "No such trade.")
	o.wantRefund()
}

// wantRefund: what was named for refund is owed until a bill has it.
func (o *officeCity) wantRefund() {
	o.t.Helper()
	number := strings.Fields(o.want(exitAccepted, "merchant list merchant"))[1]
	db, err := store.Open(o.path("merchant/merchant.db"))
	if err != nil {
		o.t.Fatal(err)
	}
	refund := merchant.Refund{Number: "R_1", OutTradeNo: openapi.OutTradeNo(number), AmountFen: 50, Reason: "a late record", Named: o.counter.Add(-25 * time.Hour)}
	err = db.Merchant().Update(o.t.Context(), merchant.Need{}, func(merchant.State) (merchant.Changes, error) {
		return merchant.Changes{Refunds: []merchant.Refund{refund}}, nil
	})
	if err = errors.Join(err, db.Close()); err != nil {
		o.t.Fatal(err)
	}
	o.want(exitAccepted, "merchant unsettled merchant", "REFUND R_1 0.50 yuan of "+number+" 1d1h old: a late record", "REFUND 1 0.50 yuan")
	o.want(exitAccepted, "merchant unsettled merchant --json", `{"refund":"R_1","out_trade_no":"`+number+`","amount_fen":50,`, `"age_sec":90000,`)
	for _, narrowed := range []string{" --older-than 26h", " --state SENT"} {
		if out := o.want(exitAccepted, "merchant unsettled merchant"+narrowed); strings.Contains(out, "R_1") {
			o.t.Errorf("%s: %s", narrowed, out)
		}
	}
	o.want(exitAccepted, "account refund city "+followedApp+" "+number+" 0.50 --number R_1")
	today := o.counter.Format(time.DateOnly)
	o.counter = o.counter.AddDate(0, 0, 1)
	o.serve(o.counter)
	o.until("merchant reconcile merchant --date "+today, "refunds named here, in the bill 1 0.50")
	if out := o.want(exitAccepted, "merchant unsettled merchant"); strings.Contains(out, "R_1") {
		o.t.Errorf("a bill has it: %s", out)
	}
}
