package depot_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/depot"
	"github.com/shuama/shuama/internal/testkit"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/merchant"
)

const token = "a token of this merchant"

// yard is a city whose merchant has a depot.
type yard struct {
	*testkit.World
	server *httptest.Server
	client *depot.Client
}

func newYard(t *testing.T) *yard {
	w := testkit.New(t, 100_00)
	handler, err := depot.New(depot.Config{Intake: w.Merchant, Online: w.Merchant, Token: token, Now: w.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &yard{World: w, server: server, client: &depot.Client{URL: server.URL, Token: token, HTTP: server.Client(), Now: w.Now}}
}

func (y *yard) records(count int) [][]byte {
	phone := y.Rider("2088000000000001", 50_00, 0)
	bus := y.Gate(record.TerminalInfo{POSID: "bus", Kind: record.Single, Subject: "bus", Line: "19"}, 2_00)
	for range count {
		y.Pass(time.Second)
		bus.Tap(phone)
	}
	return bus.Records()
}

// wordy sets every record aside, at length.
type wordy struct{ reason string }

func (w wordy) Collect(_ context.Context, batch [][]byte, _ time.Time) ([]merchant.Answer, error) {
	answers := make([]merchant.Answer, len(batch))
	for i := range answers {
		answers[i] = merchant.Answer{Standing: merchant.SetAside, Reason: w.reason}
	}
	return answers, nil
}

// An upload full of bad records is acknowledged in an answer that the terminal can read: otherwise it
// would bring them for ever.
func TestReceiptIsBounded(t *testing.T) {
	batch := make([][]byte, depot.MaxUploadRecords)
	for i := range batch {
		batch[i] = []byte("noise")
	}
	for _, reason := range []string{strings.Repeat("<", 4000), strings.Repeat("\x01", 4000), strings.Repeat("\xff", 4000), "x" + strings.Repeat("交", 4000)} {
		handler, err := depot.New(depot.Config{Intake: wordy{reason}, Token: token, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(handler)
		defer server.Close()
		client := &depot.Client{URL: server.URL, Token: token, HTTP: server.Client(), Now: time.Now}
		receipt, err := client.Upload(t.Context(), batch)
		if err != nil || len(receipt.Aside) != len(batch) {
			t.Fatalf("%.8q: %d aside, %v", reason, len(receipt.Aside), err)
		}
		if got := receipt.Aside[0].Reason; len(got) > 200 || !strings.HasPrefix(reason, got) || strings.ContainsRune(got, '\uFFFD') {
			t.Errorf("%.8q: the reason is %q", reason, got)
		}
	}
}

// What is brought is the merchant's, once, however often it is brought; a bad record among good ones
// is acknowledged too, and named.
func TestUpload(t *testing.T) {
	y := newYard(t)
	records := y.records(3)
	for range 2 {
		receipt, err := y.client.Upload(t.Context(), append(records, []byte("noise")))
		if err != nil || receipt.Count != 4 || len(receipt.Aside) > 1 {
			t.Fatalf("%+v, %v", receipt, err)
		}
	}
	waiting := 0
	for _, err := range y.Merchant.Trades(t.Context(), merchant.Waiting) {
		if err != nil {
			t.Fatal(err)
		}
		waiting++
	}
	if waiting != 3 {
		t.Errorf("%d trades of three rides brought twice", waiting)
	}
}

// Each way to be wrong has its answer, and nothing is taken.
func TestRefusals(t *testing.T) {
	y := newYard(t)
	good := y.records(1)[0]
	frame := append([]byte{byte(len(good) >> 8), byte(len(good))}, good...)
	cases := []struct {
		name, token string
		body        []byte
		status      int
		says        string
	}{
		{"no token", "", frame, http.StatusUnauthorized, "upload.token"},
		{"another token", "a token of another merchant", frame, http.StatusUnauthorized, "upload.token"},
		{"nothing", token, nil, http.StatusBadRequest, "whole frames"},
		{"cut off", token, frame[:len(frame)-1], http.StatusBadRequest, "whole frames"},
		{"a frame of nothing", token, append(bytes.Clone(frame), 0, 0), http.StatusBadRequest, "whole frames"},
		{"too many", token, bytes.Repeat([]byte{0, 1, 'x'}, 501), http.StatusBadRequest, "more than 500"},
		{"endless", token, bytes.Repeat([]byte{0x10, 0}, 4<<20), http.StatusBadRequest, "more than 500"},
	}
	for _, c := range cases {
		request, err := http.NewRequest(http.MethodPost, y.server.URL+depot.RecordsPath, bytes.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+c.token)
		response, err := y.server.Client().Do(request)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		said, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != c.status || !strings.Contains(string(said), c.says) {
			t.Errorf("%s: %s: %s", c.name, response.Status, said)
		}
	}
	for trade, err := range y.Merchant.Trades(t.Context(), merchant.Waiting) {
		t.Errorf("taken all the same: %v, %v", trade.OutTradeNo, err)
	}
	if _, err := depot.New(depot.Config{Token: "short"}); err == nil {
		t.Error("a short token is taken")
	}
}

// An online trade is settled while the rider waits, once, and is the trade that an upload would make;
// a metro entry has no price yet; a line that is dead leaves the trade for later.
func TestOnline(t *testing.T) {
	y := newYard(t)
	records := y.records(2)
	for range 2 {
		if decision, err := y.client.Decide(t.Context(), records[0]); err != nil || decision.State != merchant.Settled {
			t.Fatalf("%+v, %v", decision, err)
		}
	}
	y.Line.Fate = func() testkit.Fate { return testkit.AnswerLost }
	if decision, err := y.client.Decide(t.Context(), records[1]); err != nil || decision.State != merchant.Sent {
		t.Fatalf("with a dead line: %+v, %v", decision, err)
	}
	y.Line.Fate = nil
	if _, err := y.client.Upload(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	y.Pass(time.Hour)
	if _, err := y.Merchant.SettleDue(t.Context(), y.Now()); err != nil {
		t.Fatal(err)
	}
	if report := y.Audit(); report.Trades != 2 || y.Balance(y.Payee.Account) != 4_00 {
		t.Errorf("%d trades, %s", report.Trades, y.Balance(y.Payee.Account))
	}
	entry := y.Gate(record.TerminalInfo{POSID: "in", Kind: record.Entry, Subject: "metro", Line: "metro", Station: "A"}, 0)
	entry.Tap(y.Rider("2088000000000002", 1_00, 0))
	for _, raw := range [][]byte{entry.Records()[0], []byte("noise")} {
		if decision, err := y.client.Decide(t.Context(), raw); err == nil || !strings.Contains(err.Error(), "only a tap that is a whole trade") {
			t.Errorf("%+v, %v", decision, err)
		}
	}
}

// Records whose gate stayed shut charge nobody: not one that never came, not one that waits; one that
// was sent is named, so that its rider is refunded. Told twice is told once.
func TestShut(t *testing.T) {
	y := newYard(t)
	records := y.records(3)
	if _, err := y.client.Upload(t.Context(), records[1:2]); err != nil {
		t.Fatal(err)
	}
	if decision, err := y.client.Decide(t.Context(), records[2]); err != nil || decision.State != merchant.Settled {
		t.Fatalf("%+v, %v", decision, err)
	}
	for range 2 {
		if taken, err := y.client.Shut(t.Context(), records); err != nil || taken.Count != 3 || fmt.Sprint(taken.Charged) != "[2]" {
			t.Errorf("%+v, %v", taken, err)
		}
	}
	if _, err := y.client.Upload(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	if report, err := y.Merchant.SettleDue(t.Context(), y.Now()); err != nil || report.Sent != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	if y.Balance(y.Payee.Account) != 2_00 || y.Audit().Trades != 1 {
		t.Errorf("the merchant has %s", y.Balance(y.Payee.Account))
	}
}

func TestOffset(t *testing.T) {
	y := newYard(t)
	y.client.Now = func() time.Time { return y.Now().Add(-90 * time.Second) }
	if offset, uncertainty, err := y.client.Offset(t.Context()); err != nil || offset != 90*time.Second || uncertainty != 0 {
		t.Errorf("%s ± %s, %v", offset, uncertainty, err)
	}
}
