package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// Entries of risk rules: kept once and for ever, found by moment, and listed by user.
func testRisk(t *testing.T, open Open) {
	s := newScene(t, open)
	ming, hong := s.users[0], s.users[1]
	entry := func(user ridecode.UserID, kind payment.RiskKind, sec int, key, body string) payment.RiskEntry {
		return payment.RiskEntry{User: user, Kind: kind, At: noon().Add(time.Duration(sec) * time.Second), Key: key, Body: []byte(body)}
	}
	scans := []payment.RiskEntry{entry(ming, payment.RiskScan, 0, "a", "1"), entry(ming, payment.RiskScan, 0, "b", "2"), entry(ming, payment.RiskScan, 9, "a", "3")}
	findings := []payment.RiskEntry{entry(ming, payment.RiskFinding, 0, "a", "4"), entry(ming, payment.RiskFinding, 5, "站", ""), entry(hong, payment.RiskFinding, 1, "a", "6")}
	mark := payment.RiskMark{Day: today, After: 7, Again: true}
	keep := func(changes payment.Changes) {
		t.Helper()
		err := s.store.Update(t.Context(), payment.Need{Bucket: s.bucket}, func(payment.State) (payment.Changes, error) { return changes, nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	keep(payment.Changes{Risk: append(append([]payment.RiskEntry{scans[2], scans[0]}, findings...), scans[1]), RiskSeen: &mark})
	other := scans[0]
	other.Body = []byte("not the first")
	keep(payment.Changes{Risk: []payment.RiskEntry{other, scans[1]}})
	s.store = s.reopen()
	need := func(kind payment.RiskKind, from, to, limit int) payment.RiskNeed {
		return payment.RiskNeed{User: ming, Kind: kind, From: noon().Add(time.Duration(from) * time.Second), To: noon().Add(time.Duration(to) * time.Second), Limit: limit}
	}
	for i, c := range []struct {
		needs []payment.RiskNeed
		want  []payment.RiskEntry
	}{
		{[]payment.RiskNeed{need(payment.RiskScan, 0, 9, 10)}, scans},
		{[]payment.RiskNeed{need(payment.RiskScan, 0, 8, 10)}, scans[:2]},
		{[]payment.RiskNeed{need(payment.RiskScan, 0, 9, 1)}, scans[:1]},
		{[]payment.RiskNeed{need(payment.RiskScan, 0, 9, 0)}, nil},
		{[]payment.RiskNeed{need(payment.RiskScan, 1, 9, 10), need(payment.RiskScan, 0, 9, 10)}, scans},
		{[]payment.RiskNeed{need(payment.RiskFinding, 0, 9, 10), need(payment.RiskScan, 9, 9, 10)}, []payment.RiskEntry{scans[2], findings[0], findings[1]}},
		{[]payment.RiskNeed{need(payment.RiskAppeal, 0, 9, 10)}, nil},
		{nil, nil},
	} {
		got := view(t, s.store, payment.Need{Bucket: s.bucket, Risk: c.needs}).Risk[ming]
		if !sameEntries(got, c.want) {
			t.Errorf("%d: %+v, want %+v", i, got, c.want)
		}
	}
	if got := view(t, s.store, payment.Need{Bucket: s.bucket, RiskSeen: true}); got.RiskSeen != mark {
		t.Errorf("looked as far as %+v, want %+v", got.RiskSeen, mark)
	}
	for bucket := range s.store.Buckets() {
		var listed []payment.RiskEntry
		err := s.store.EachFinding(t.Context(), bucket, func(e payment.RiskEntry) error { listed = append(listed, e); return nil })
		want := findings
		if hong < ming {
			want = []payment.RiskEntry{findings[2], findings[0], findings[1]}
		}
		if bucket != s.bucket {
			want = nil
		}
		if err != nil || !sameEntries(listed, want) {
			t.Errorf("findings of bucket %d: %+v, %v", bucket, listed, err)
		}
	}
	if err := s.store.EachFinding(t.Context(), s.bucket, func(payment.RiskEntry) error { return errEnough }); !errors.Is(err, errEnough) {
		t.Errorf("a visitor who stops: %v", err)
	}
	auditClean(t, s.store)
}

func sameEntries(a, b []payment.RiskEntry) bool {
	text := func(all []payment.RiskEntry) (out []string) {
		for _, e := range all {
			out = append(out, fmt.Sprintf("%s %d %d %q %q", e.User, e.Kind, e.At.UnixMicro(), e.Key, e.Body))
		}
		return out
	}
	return reflect.DeepEqual(text(a), text(b))
}

// Entries without a name, or of no kind, are refused whole.
func testWrongRisk(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1, plenty)
	bucket := bucketOf(store, 0)
	for name, entry := range map[string]payment.RiskEntry{
		"no user": {Kind: payment.RiskScan, At: noon(), Key: "a"}, "no key": {User: userID(0), Kind: payment.RiskScan, At: noon()},
		"no kind": {User: userID(0), At: noon(), Key: "a"}, "another kind": {User: userID(0), Kind: 4, At: noon(), Key: "a"},
	} {
		err := store.Update(t.Context(), payment.Need{Bucket: bucket}, func(payment.State) (payment.Changes, error) {
			good := payment.RiskEntry{User: userID(0), Kind: payment.RiskScan, At: noon(), Key: "good"}
			return payment.Changes{Risk: []payment.RiskEntry{good, entry}}, nil
		})
		if err == nil {
			t.Errorf("%s: it was stored", name)
		}
	}
	from, to := noon(), noon()
	left := view(t, store, payment.Need{Bucket: bucket, Risk: []payment.RiskNeed{{User: userID(0), Kind: payment.RiskScan, From: from, To: to, Limit: 9}}}).Risk
	if len(left[userID(0)]) > 0 {
		t.Errorf("of what was refused, %+v is there", left)
	}
}

// Pages of a day's trades: each once, in the order of their numbers.
func testTradesAfter(t *testing.T, open Open) {
	store, reopen := furnished(t, open, 1, plenty)
	bucket := bucketOf(store, 0)
	want := map[payment.TradeNo]bool{}
	for n := range 7 {
		want[mustSettle(t, store, sale(n, userID(0)))[0].TradeNo] = true
	}
	store = reopen()
	after := ledger.DocumentID(0)
	for pages := 0; ; pages++ {
		page, err := store.TradesAfter(t.Context(), bucket, today, after, 3)
		if err != nil || len(page) > 3 || pages > 3 {
			t.Fatalf("%d trades on page %d: %v", len(page), pages, err)
		}
		for _, trade := range page {
			_, _, id, _ := trade.TradeNo.Parse()
			if !want[trade.TradeNo] || id <= after || trade.Content.UserID != userID(0) {
				t.Errorf("%s after %d", trade.TradeNo, after)
			}
			delete(want, trade.TradeNo)
			after = id
		}
		if len(page) < 3 {
			break
		}
	}
	if page, err := store.TradesAfter(t.Context(), bucket, today.Next(), 0, 3); err != nil || len(page) > 0 || len(want) > 0 {
		t.Errorf("%v were left out, another day has %d: %v", want, len(page), err)
	}
}
